"""One name for one stage: the table, and all that would say it again."""

import re
from typing import get_args

import pytest
from click.testing import CliRunner

from campaigns import ROOT
from mechscreen.campaign import STAGES, Campaign, Stage
from mechscreen.cli import cli
from mechscreen.stages.table import TABLE, VERBS

RULE_FILES = ROOT / "workflow/rules"
WITHOUT_CAMPAIGN = ["discover"]
"""Verbs of stages that stand in the documentation, but are no part of a campaign."""


def numbered(path):
    """Return a path with every number in it left out."""
    return re.sub(r"\d+", "#", path)


def documented():
    """Return the rows of the table in docs/explanation/architecture.md: verb → its cells."""
    text = (ROOT / "docs/explanation/architecture.md").read_text().split("\n## ")[0]
    rows = re.findall(r"^\| ([a-z]+)(?: \(.*\))? \| (.*?) \| (.*?) \| (.*?) \|$", text, re.MULTILINE)
    return {verb: cells for verb, *cells in rows if verb != "stage"}


def expanded(cell):
    """Return the files that a cell names, with what stands in braces written out."""
    names = []
    for name in re.findall(r"`([^`]+)`", cell):
        head, inner, tail = re.fullmatch(r"([^{]*)(?:\{(.*)\})?(.*)", name).groups()
        names += [f"{head}{choice}{tail}" for choice in (inner.split(",") if inner else [""])]
    return names


@pytest.fixture
def campaign(tmp_path):
    """A campaign that has every rule."""
    values = {
        "results": str(tmp_path),
        "simulations": {"count": 200, "shard_size": 100},
        "screen": {"count": 2000, "block_size": 1000},
    }
    first = Campaign.from_dict({**values, "name": "first", "seed": 1})
    first.record()
    output = first.outputs[0]
    measured = f"output,at,value,error\n{output.name},{output.grids[0][0]},1,1\n"
    (tmp_path / "measured.csv").write_text(measured)
    looked_for = {"name": "match", "options": {"observations": str(tmp_path / "measured.csv")}, "target": ["fits"]}
    return Campaign.from_dict(
        {
            **values,
            "name": "all",
            "seed": 2,
            "selection": {"campaign": "first"},
            "learning": {"sizes": [10, 20]},
            "calibration": {"count": 100},
            "screen": {**values["screen"], "objective": looked_for},
        }
    )


def test_each_rule_of_the_workflow_is_a_row_in_the_file_of_its_verb():
    found = {
        (name, path.stem)
        for path in RULE_FILES.glob("*.smk")
        if path.stem not in WITHOUT_CAMPAIGN
        for name, body in re.findall(r"^ *rule (\w+):\n((?:[ \t].*\n|\n)*)", path.read_text(), re.MULTILINE)
        if "shell:" in body
    }
    assert found == {(row.rule, row.verb) for row in TABLE}


def test_resources_of_a_rule_are_those_of_its_own_row():
    for row in TABLE:
        text = (RULE_FILES / f"{row.verb}.smk").read_text()
        body = re.search(rf"^ *rule {row.rule}:\n((?:[ \t].*\n|\n)*)", text, re.MULTILINE)[1]
        assert set(re.findall(r'FORECAST\["(\w+)"\]', body)) <= {row.rule}
        assert set(re.findall(r'(?:reads|reads_at_last|in_round|in_first_round)\(\s*"(\w+)"', body)) == {row.rule}
        assert set(re.findall(r'(?:memory|minutes|fingerprint)_of\("(\w+)"', body)) == {row.rule}


def test_each_verb_is_one_of_the_command_line_and_its_help_has_them_in_order():
    assert set(VERBS) | set(WITHOUT_CAMPAIGN) <= set(cli.commands)
    said = CliRunner().invoke(cli, ["--help"]).output
    lines = " ".join(line for line in said.splitlines() if "→" in line)
    assert re.findall(r"[a-z]+", lines) == [verb for verb in VERBS if verb != "learn"]


def test_fingerprints_are_of_stages_of_the_table_in_their_order():
    nouns = list(dict.fromkeys(row.noun for row in TABLE))
    assert [noun for noun in nouns if noun in STAGES] == list(STAGES)
    # "model" says what is simulated, "ensemble" how members are used together; they have no files of their own. What is
    # gathered of a screen is in its folder.
    assert set(get_args(Stage)) - {"model", "ensemble", "hits"} <= set(nouns)


def test_a_part_of_the_campaign_can_be_asked_for_by_its_noun():
    text = (ROOT / "Snakefile").read_text() + (RULE_FILES / "select.smk").read_text()
    for noun in {row.noun for row in TABLE} - {"report"}:
        assert f"\nrule {noun}:" in text


def test_the_documentation_has_each_verb_once_with_its_rules_and_what_they_write(campaign):
    rows = documented()
    assert list(rows) == [*VERBS, *WITHOUT_CAMPAIGN]
    for verb in VERBS:
        own = [row for row in TABLE if row.verb == verb]
        rules, _, written = rows[verb]
        assert re.findall(r"`(\w+)`", rules) == [row.rule for row in own]
        named = [numbered(name) for name in expanded(written)]
        for row in own:
            for path in row.targets(campaign).values():
                target = numbered(str(path.relative_to(campaign.paths.root))).replace("/dense/", "/<network>/")
                assert any(re.fullmatch(re.escape(name).replace(r"\*", ".*"), target) for name in named), (
                    target,
                    named,
                )
    for verb in WITHOUT_CAMPAIGN:
        assert "without a campaign" in rows[verb][0]


def test_what_a_rule_reads_another_one_has_made_before(campaign):
    """Of the files that others of the stage make too, only their folder is known to the table."""
    made = {path.parent for path in campaign.selector.paths.root.rglob("*")}
    made |= {campaign.selector.paths.member(k) for k in range(campaign.selector.emulators.members)}
    for row in TABLE:
        # Members are trained one by one or together.
        assert row.applies(campaign) is (row.rule != "train_ensemble")
        for job in row.targets(campaign):
            for files in row.inputs(campaign, job).values():
                for path in files if isinstance(files, list) else [files]:
                    assert path.parent in made, (row.rule, path)
        made |= {path.parent for path in row.targets(campaign).values()}


def test_rows_of_a_study_are_no_part_of_what_leads_to_the_report(campaign):
    assert [row.rule for row in TABLE if row.study] == ["train_on_samples", "measure_learning"]
    studied = {path for row in TABLE if row.study for path in row.targets(campaign).values()}
    for row in TABLE:
        for job in row.targets(campaign) if not row.study else ():
            for files in row.inputs(campaign, job).values():
                assert studied.isdisjoint(files if isinstance(files, list) else [files])
