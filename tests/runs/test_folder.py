"""A folder of results from anywhere, or from anyone."""

import copy
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from campaigns import BIN, EXAMPLE, STRIPE
from mechscreen.campaign import Campaign
from mechscreen.errors import InputError
from mechscreen.runs import driver
from mechscreen.runs.folder import check_folders, plan_file, read_plan, write_plan
from mechscreen.runs.forecast import forecast
from mechscreen.runs.jobs import log_file, rules
from mechscreen.runs.recover import recover
from mechscreen.runs.status import status
from mechscreen.storage import FileError, write_text


def make(campaign, *names):
    """Let the jobs of some rules be done."""
    for rule in rules(campaign):
        for path in rule.targets.values() if rule.name in names else ():
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch()


def test_a_plan_names_each_job_below_the_folder(campaign):
    plan = read_plan(campaign.paths.root)
    assert plan.campaign == "looked-at"
    for planned, rule in zip(plan.rules, rules(campaign), strict=True):
        assert planned.rule == rule.name
        assert {job: campaign.paths.root / path for job, path in planned.targets.items()} == rule.targets


def test_folders_can_stand_where_there_is_nothing_or_a_folder_or_a_link_to_one(tmp_path):
    (tmp_path / "link").symlink_to(tmp_path)
    check_folders([tmp_path / "none/at/all", tmp_path, tmp_path / "link/below"])
    (tmp_path / "astray").symlink_to(tmp_path / "nowhere")
    (tmp_path / "file").write_text("mine")
    for other in ("astray", "file"):
        with pytest.raises(InputError, match=f"^{tmp_path}/{other}: is no folder"):
            check_folders([tmp_path, tmp_path / other / "below"])


def test_status_is_the_same_from_anywhere_and_after_a_copy_or_a_move(campaign, tmp_path, monkeypatch):
    make(campaign, "simulate_shard", "merge_shards")
    root = campaign.paths.root
    said = status(root)
    assert "3 of 3 done" in said
    monkeypatch.chdir("/")
    assert status(root) == said
    copied = tmp_path / "elsewhere/under another name"
    shutil.copytree(root, copied)
    assert status(copied) == said.replace(str(root), str(copied))
    moved = tmp_path / "moved"
    copied.rename(moved)
    assert status(moved) == said.replace(str(root), str(moved))


def test_status_and_recover_of_a_folder_look_at_it_and_not_at_one_of_its_name_below_the_current_one(tmp_path):
    # Two campaigns of one name and one relative folder of results.
    for place, count in (("here", 300), ("there", 200)):
        values = {"name": "same", "seed": 1, "simulations": {"count": count, "shard_size": 100}}
        (tmp_path / place).mkdir()
        with_results = {**values, "results": str(tmp_path / place / "results"), "screen": {"count": 1_000_000}}
        campaign = Campaign.from_dict(with_results)
        write_plan(campaign, forecast(campaign))
        # As it is written where the campaign's own folder is the current one.
        text = campaign.to_yaml().replace(f"results: {with_results['results']}", "results: results")
        write_text(campaign.paths.campaign, text)
        with driver.begin(campaign.paths.root, None):
            pass
        make(campaign, "simulate_shard")
    for verb in ("status", "recover"):
        command = [BIN / "mechscreen", verb, tmp_path / "there/results/same"]
        said = subprocess.run(command, cwd=tmp_path / "here", capture_output=True, text=True, check=True).stdout
        assert "2 of 2 done" in said
        assert str(tmp_path / "here/results") not in said


def test_no_code_of_the_user_runs(tmp_path):
    model = tmp_path / "model.py"
    model.write_text(Path(EXAMPLE).read_text().replace('name = "stripe"', 'name = "no stripe"'))
    values = {**STRIPE, "results": str(tmp_path / "results"), "model": {"name": f"{model}:Stripe"}}
    campaign = Campaign.from_dict(values)
    campaign.record()
    write_plan(campaign, forecast(campaign))
    model.write_text("raise SystemExit('imported')")
    for verb in ("status", "recover"):
        command = [BIN / "mechscreen", verb, campaign.paths.root]
        said = subprocess.run(command, cwd="/", capture_output=True, text=True, check=True).stdout
        assert "simulate_shard     0 of 2 done" in said


def test_jobs_of_a_base_are_those_of_the_campaign_beside_it(tmp_path):
    values = {"seed": 1, "results": str(tmp_path), "simulations": {"count": 200, "shard_size": 100}}
    values["screen"] = {"count": 1000, "block_size": 1000}
    base = Campaign.from_dict({**values, "name": "first"})
    base.record()
    make(base, "simulate_shard")
    second = Campaign.from_dict({**values, "name": "second", "base": "first"})
    second.record()
    write_plan(second, forecast(second))
    assert read_plan(second.paths.root).rules[0].targets["shard-00001"] == "../first/simulations/shard-00001.h5"
    assert "simulate_shard     2 of 2 done" in status(second.paths.root)


@pytest.fixture
def study(tmp_path):
    values = {
        "name": "study",
        "results": str(tmp_path / "results"),
        "seed": 1,
        "simulations": {"count": 300, "shard_size": 100},
        "learning": {"sizes": [50, 100], "members": 3},
        "screen": {"count": 1_000_000},
    }
    campaign = Campaign.from_dict(values)
    campaign.record()
    return campaign


def test_a_study_is_told_of_where_it_was_asked_for(study):
    write_plan(study, forecast(study))
    assert "train_on_samples" not in status(study.paths.root)
    for asked in ("learning", str(study.paths.learning_summary), str(study.paths.member(1, 50) / "model.keras")):
        write_plan(study, forecast(study), [asked])
        said = status(study.paths.root)
        assert "train_on_samples   0 of 6 done" in said
        assert "measure_learning   0 of 1 done" in said


def test_a_study_is_told_of_where_it_has_begun(study):
    write_plan(study, forecast(study))
    log = log_file(study.paths.root, "learn", "samples-50-member-1")
    write_text(log, "mechscreen: the loss is nan\n")
    said = status(study.paths.root)
    assert "train_on_samples   0 of 6 done, 1 stopped" in said
    assert f"  {log}\n    wrong input or model: the loss is nan" in said
    assert "measure_learning   0 of 1 done" in said


def test_without_a_plan_it_is_made_of_what_the_folder_says_of_its_campaign(campaign, tmp_path):
    make(campaign, "simulate_shard")
    said = status(campaign.paths.root)
    plan_file(campaign.paths.root).unlink()
    assert status(campaign.paths.root) == said
    moved = tmp_path / "moved"
    campaign.paths.root.rename(moved)
    assert status(moved) == said.replace(str(campaign.paths.root), str(moved))


NAMES = [
    "../../../etc/passwd",
    "/etc/passwd",
    "..",
    "a/../b",
    "../x",
    "",
    "\x1b[2Jx",
    "a\nb",
    "x" * 5000,
    "é",
    "a b",
    "-x",
]


@pytest.mark.parametrize("path", NAMES)
@pytest.mark.parametrize("what", ["job", "target", "verb"])
def test_a_path_that_leads_elsewhere_and_a_name_that_is_none_are_refused(campaign, path, what):
    values = json.loads(plan_file(campaign.paths.root).read_text())
    rule = values["rules"][0]
    if what == "verb":
        rule["verb"] = path
    else:
        rule["targets"] = {path: "a"} if what == "job" else {"a": path}
    plan_file(campaign.paths.root).write_text(json.dumps(values))
    with pytest.raises(FileError, match=r"plan\.json: not a record of mechscreen") as caught:
        status(campaign.paths.root)
    assert str(caught.value).isprintable()


@pytest.mark.parametrize("name", ["plan.json", "logs/run.json", "logs/simulate/shard-00000.log"])
def test_a_pipe_in_the_place_of_a_file_holds_nobody_up(campaign, name):
    path = campaign.paths.root / name
    path.unlink(missing_ok=True)
    path.parent.mkdir(parents=True, exist_ok=True)
    os.mkfifo(path)
    command = [BIN / "mechscreen", "status", campaign.paths.root]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    if name == "plan.json":
        assert done.returncode == 2
        assert "is no plain file" in done.stderr
    else:
        assert "simulate_shard     0 of 3 done" in done.stdout


def test_what_steers_a_terminal_is_spelled_out(campaign):
    log = log_file(campaign.paths.root, "merge", "merge")
    write_text(log, "\x1b]0;title\x07 \x1b[2J\u202eabc\n")
    said = status(campaign.paths.root)
    assert r"\x1b]0;title\x07 \u202eabc" in said
    assert all(line.isprintable() for line in said.splitlines())


def test_what_steers_a_terminal_in_the_record_of_a_run_is_spelled_out(campaign, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["snakemake", "\x1b[2J"])
    with driver.begin(campaign.paths.root, None):
        pass
    said = status(campaign.paths.root)
    assert r"snakemake '\x1b[2J'" in said
    assert all(line.isprintable() for line in said.split("\n"))


def test_measurements_that_are_none_are_passed_over(campaign):
    make(campaign, "simulate_shard")
    write_text(log_file(campaign.paths.root, "simulate", "shard-00000"), "done\n")
    undisturbed = status(campaign.paths.root)
    for text in ("s\tx\nnan\t1\n", "s\tx\ninf\t1\n", "s\n-5\n", "s\n1e300\n", "\x00", "s\n" + "9" * 10**6, "é"):
        write_text(campaign.paths.root / "benchmarks/simulate/shard-00000.tsv", text)
        assert status(campaign.paths.root) == undisturbed


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.sampled_from(NAMES),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


def places(value, here=()):
    """Return the keys that lead to everything in a JSON value."""
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [here, *(place for key, item in inner for place in places(item, (*here, key)))]


def changed(value, place, replacement):
    if not place:
        return replacement
    value = copy.deepcopy(value)
    holder = value
    for key in place[:-1]:
        holder = holder[key]
    holder[place[-1]] = replacement
    return value


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=150)
@given(data=st.data())
def test_whatever_its_records_hold_a_folder_is_told_of_or_refused_in_one_line(campaign, data):
    root = campaign.paths.root
    write_plan(campaign, forecast(campaign))
    with driver.begin(root, None):
        pass
    for path in data.draw(
        st.sampled_from([[plan_file(root)], [driver.record(root)], [plan_file(root), driver.record(root)]])
    ):
        text = path.read_text()
        values = json.loads(text)
        kind = data.draw(st.sampled_from(["value", "key", "bytes", "cut"]))
        if kind == "value":
            place = data.draw(st.sampled_from(places(values)))
            text = json.dumps(changed(values, place, data.draw(ANYTHING)))
        elif kind == "key":
            text = json.dumps({**values, data.draw(st.text()): data.draw(ANYTHING)})
        elif kind == "cut":
            text = text[: data.draw(st.integers(0, len(text)))]
        path.write_bytes(data.draw(st.binary()) if kind == "bytes" else text.encode(errors="surrogatepass"))
    for look in (status, recovered):
        try:
            said = look(root)
        except (InputError, FileError) as error:
            said = str(error)
            assert "\n" not in said
        assert all(line.isprintable() for line in said.split("\n"))


def recovered(root):
    said = []
    recover(root, said.append)
    return "\n".join(said)
