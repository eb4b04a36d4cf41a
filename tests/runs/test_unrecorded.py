"""Files that Snakemake has no record of."""

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from snakemake.persistence.file import FilePersistence

from mechscreen import storage
from mechscreen.errors import InputError
from mechscreen.runs import unrecorded
from mechscreen.runs.jobs import rules
from mechscreen.runs.unrecorded import check_unrecorded
from mechscreen.stages import provenance


@pytest.fixture
def finished(campaign, tmp_path, monkeypatch):
    """A campaign all of whose files say that they are its own, and hold nothing else."""
    monkeypatch.chdir(tmp_path)
    for rule in rules(campaign):
        for path in rule.targets.values():
            path.parent.mkdir(parents=True, exist_ok=True)
            if path.suffix == ".h5":
                storage.write(path, {}, {"kind": "any", **provenance.provenance(campaign, rule.row.depends)})
            elif path.suffix == ".keras":
                path.touch()
                storage.write_json(path.with_name("member.json"), provenance.record(campaign, rule.row.depends))
            elif path.suffix == ".json":
                storage.write_json(path, provenance.record(campaign, rule.row.depends))
            else:
                path.touch()
    return campaign


def other(campaign, **sections):
    """Return the campaign with other settings, in the same folder."""
    return type(campaign).from_dict({**campaign.model_dump(exclude_unset=True), **sections})


def record(campaign, *names):
    """Let Snakemake have records of the files of some rules."""
    for rule in rules(campaign):
        if rule.name in names:
            for path in rule.targets.values():
                kept = Path(FilePersistence(path=Path(".snakemake"))._record_path(".snakemake/metadata", str(path)))
                kept.parent.mkdir(parents=True, exist_ok=True)
                kept.touch()


def test_files_of_the_campaign_itself_stand(finished):
    check_unrecorded(rules(finished))


def test_files_of_another_seed_are_named_with_both_seeds_and_the_way_on(finished):
    changed = other(finished, seed=finished.seed + 1)
    with pytest.raises(InputError) as refused:
        check_unrecorded(rules(changed))
    said = str(refused.value)
    assert f"shard-00000.h5: made with seed = {finished.seed}, this campaign says {finished.seed + 1}" in said
    assert "--forcerun simulate_shard)" in said
    # What depends on them is made anew then, and needs no word of its own.
    assert "manifest.json" not in said


@pytest.mark.parametrize("again", [["simulate_shard"], ["simulate_shard", "draw_figure"]])
def test_what_is_made_anew_may_be_anything(finished, again):
    check_unrecorded(rules(other(finished, seed=finished.seed + 1)), again)


def test_a_single_file_that_is_made_anew_may_be_anything_and_the_next_is_named(finished):
    changed = other(finished, seed=finished.seed + 1)
    with pytest.raises(InputError, match=r"shard-00001\.h5"):
        check_unrecorded(rules(changed), [str(finished.paths.shard(0))])


def test_what_snakemake_has_records_of_is_left_to_it(finished):
    changed = other(finished, seed=finished.seed + 1)
    record(finished, *(rule.name for rule in rules(finished)))
    check_unrecorded(rules(changed))
    with pytest.raises(InputError, match="shard-00000"):
        check_unrecorded(rules(changed), touched=True)


def test_what_snakemake_makes_anew_by_its_records_takes_along_what_it_has_none_of(finished):
    record(finished, "simulate_shard")
    check_unrecorded(rules(other(finished, seed=finished.seed + 1)))


def test_files_that_are_missing_do_not_make_what_needed_them(finished):
    more = other(finished, simulations={**finished.simulations.model_dump(exclude_unset=True), "count": 400})
    assert more.fingerprint("dataset") != finished.fingerprint("dataset")
    with pytest.raises(InputError, match=r"manifest\.json: made with simulations\.count = 300.*merge_shards"):
        check_unrecorded(rules(more))
    check_unrecorded(rules(more), ["merge_shards"])


def test_a_network_is_known_by_its_record_and_a_broken_file_is_left_to_its_stage(finished):
    emulators = finished.emulators.model_dump(exclude_unset=True)
    changed = other(finished, emulators={**emulators, "training": {"epochs": 3}})
    with pytest.raises(InputError, match=r"model\.keras: made with emulators\.training\.epochs"):
        check_unrecorded(rules(changed))
    for member in range(finished.emulators.members):
        (finished.paths.member(member) / "member.json").write_text("{")
    finished.paths.metrics.write_text("[]")
    finished.paths.screen_hits.write_bytes(b"")
    for rule in rules(finished):
        for path in rule.targets.values() if rule.noun in ("screen", "validation") else ():
            path.unlink()
    check_unrecorded(rules(changed))


@given(st.text("abc/ü", min_size=1, max_size=900).filter(lambda name: name.strip("/")))
def test_records_are_looked_for_where_snakemake_puts_them(name):
    path = Path(name)
    limit = os.pathconf("/", "PC_NAME_MAX")
    kept = FilePersistence._record_path(type("Named", (), {"_fetch_max_len": lambda *_: limit})(), "records", str(path))
    assert unrecorded.record_of(path, Path("records")) == Path(kept)
