"""What is made anew first, where a scratch file system removed files."""

import pytest

from mechscreen.runs.jobs import rules
from mechscreen.runs.purged import to_restore
from mechscreen.schemas.dataset import Dropped, Manifest, SplitEntry
from mechscreen.stages.provenance import record


@pytest.fixture
def finished(campaign):
    """A campaign all of whose files are there, by name."""
    return finish(campaign)


def finish(campaign):
    paths = campaign.paths
    for rule in rules(campaign):
        for path in rule.targets.values():
            touch(path)
    for member in range(2):
        touch(*(paths.member(member) / name for name in ("model.keras", "history.csv", "member.json")))
    touch(paths.ensemble, paths.predictions, paths.screen_summary, paths.summary)
    touch(paths.validation_summary, paths.validation_table)
    files = [SplitEntry(file=f"{split}-00000.h5", split=split, rows=1, sha256="") for split in ("train", "test")]
    touch(*(paths.dataset / entry.file for entry in files))
    dropped = Dropped(count=0, reasons=[])
    told = {"parameters": [], "outputs": [], "samples": {}, "dropped": dropped, "files": files, "simulations": 300}
    Manifest(**record(campaign, "dataset"), **told).write(paths.manifest)
    return campaign


def touch(*paths):
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()


def first(campaign, *gone, asked=(), restored=()):
    """Return what is made anew first, once some files, below the campaign's folder, are gone."""
    root = campaign.paths.root
    for pattern in gone:
        found = sorted(root.glob(pattern))
        assert found, pattern
        for path in found:
            path.unlink()
    rule, files = to_restore(rules(campaign), asked, restored)
    return rule, [str(path.relative_to(root)) for path in files]


NOTHING = ("", [])
MANIFEST = ("merge_shards", ["dataset/manifest.json"])


def test_of_a_finished_campaign_nothing_is(finished):
    assert first(finished) == NOTHING


@pytest.mark.parametrize(
    "gone",
    [
        ["simulations/*"],
        ["dataset/*"],
        ["dataset/t*.h5"],
        ["screen/block-*"],
        ["simulations/shard-00001.h5", "dataset/*", "screen/block-*"],
    ],
)
def test_what_was_gathered_since_is_not_missed(finished, gone):
    assert first(finished, *gone) == NOTHING


@pytest.mark.parametrize(
    ("gone", "rule", "files"),
    [
        ("summary.txt", "write_report", ["report.html"]),
        ("validation/hits.csv", "write_report", ["report.html"]),
        ("emulators/*/ensemble.json", "write_report", ["report.html"]),
        ("figures/planes.png", "draw_figure", ["figures/planes.png"]),
        ("validation/hits.h5", "validate_hits", ["validation/hits.h5"]),
        ("validation/summary.json", "validate_hits", ["validation/hits.h5"]),
        ("screen/hits.h5", "gather_screen", ["screen/hits.h5"]),
        ("screen/summary.h5", "gather_screen", ["screen/hits.h5"]),
        ("evaluation/metrics.json", "evaluate_ensemble", ["evaluation/metrics.json"]),
        ("evaluation/predictions.h5", "evaluate_ensemble", ["evaluation/metrics.json"]),
        ("emulators/*/member-1/model.keras", "train_member", ["emulators/dense/member-1/model.keras"]),
        ("emulators/*/member-1/member.json", "train_member", ["emulators/dense/member-1/model.keras"]),
        ("emulators/*/member-1/history.csv", "train_member", ["emulators/dense/member-1/model.keras"]),
    ],
)
def test_a_result_that_is_gone_is_made_again(finished, gone, rule, files):
    assert first(finished, gone) == (rule, files)


@pytest.mark.parametrize("gone", ["member-0/model.keras", "member-0/history.csv", "member-1/member.json"])
def test_members_that_learn_together_are_made_again_by_their_one_job(campaign, gone):
    settings = campaign.emulators.model_copy(update={"together": True})
    finished = finish(campaign.model_copy(update={"emulators": settings}))
    assert first(finished) == NOTHING
    assert first(finished, f"emulators/dense/{gone}") == ("train_ensemble", ["emulators/dense/member-1/model.keras"])


def test_a_training_set_is_merged_again_for_what_is_left_to_do_and_before_it(finished):
    assert first(finished, "dataset/manifest.json", "report.html") == MANIFEST
    assert first(finished, restored=["merge_shards"]) == NOTHING


def test_a_file_of_the_training_set_is_missed_by_what_reads_it(finished):
    assert first(finished, "dataset/train-00000.h5", "report.html") == NOTHING
    assert first(finished, "emulators/dense/member-1/*") == MANIFEST


def test_a_network_without_its_record_is_trained_again_before_it_predicts(finished):
    gone = ["emulators/dense/member-1/member.json", "screen/block-00001.h5", "screen/hits.h5", "report.html"]
    assert first(finished, *gone) == ("train_member", ["emulators/dense/member-1/model.keras"])


def test_all_that_is_gone_comes_in_the_order_of_the_data(finished):
    gone = ["dataset/*", "emulators/dense/member-0/model.keras", "evaluation/predictions.h5", "report.html"]
    assert first(finished, *gone) == MANIFEST
    assert first(finished, restored=["merge_shards"])[0] == "train_member"


def test_a_campaign_that_has_just_begun_has_nothing_to_restore(campaign):
    assert to_restore(rules(campaign)) == ("", [])
    touch(campaign.paths.shard(0))
    assert to_restore(rules(campaign)) == ("", [])


def test_what_a_run_is_not_for_is_not_made(finished):
    assert (
        first(finished, "emulators/dense/member-0/model.keras", "dataset/manifest.json", asked=["dataset"]) == NOTHING
    )
    assert first(finished, asked=["emulators"]) == MANIFEST
    assert first(finished, asked=["dataset"]) == NOTHING
    assert first(finished, asked=[str(finished.paths.member(0) / "model.keras")]) == NOTHING
