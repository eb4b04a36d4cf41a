"""Features of outputs through the stages: what is told of hits, and what decides it."""

import csv
import json
import re
import shutil
from html import unescape

import numpy as np
import pytest
from scipy import stats

from mechscreen.campaign import Campaign
from mechscreen.figures import figure_names
from mechscreen.figures.style import read_metadata
from mechscreen.reports.hits import list_hits
from mechscreen.reports.results import Results
from mechscreen.schemas.screen import ScreenHits, ScreenSummary
from mechscreen.schemas.validation import ValidatedHits
from mechscreen.stages.evaluate import evaluate
from mechscreen.stages.predict import load_ensemble
from mechscreen.stages.report import report
from mechscreen.stages.screen import gather_screen, screen_block
from mechscreen.stages.validate import validate

TOLD = {"top": "maximum(signal)", "width(signal)": "width(signal)"}
SCREEN = {
    "count": 20_000,
    "hits_per_block": 1000,
    "objective": {"name": "rings", "options": {"distance": 12}, "target": ["1", "2"]},
    "features": TOLD,
}


@pytest.fixture(scope="module")
def kept(tmp_path_factory):
    return tmp_path_factory.mktemp("told") / "bumps"


@pytest.fixture
def told(trained, kept):
    """Return a campaign with features that was run to its report, and a function that returns it with others."""

    def again(features):
        return trained(screen={**SCREEN, "features": features})

    campaign = again(TOLD)
    if kept.exists():
        shutil.rmtree(campaign.paths.root)
        shutil.copytree(kept, campaign.paths.root)
        return campaign, again
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("mechscreen.stages.evaluate.POINTS", 256)
        evaluate(campaign)
    for block in range(campaign.screen.blocks):
        screen_block(campaign, block)
    gather_screen(campaign)
    validate(campaign)
    report(campaign)
    shutil.copytree(campaign.paths.root, kept)
    return campaign, again


def rows_of(campaign):
    with campaign.paths.validation_table.open() as stream:
        return list(csv.DictReader(stream))


def words_of(campaign):
    return " ".join(unescape(re.sub(r"<[^>]*>", " ", campaign.paths.report.read_text(encoding="utf-8"))).split())


def test_what_is_told_of_hits_is_what_their_curves_have(told):
    campaign, again = told
    found = ValidatedHits.read(campaign.paths.validation_hits)
    by_sample = {int(sample): i for i, sample in enumerate(found.index)}
    rows = rows_of(campaign)
    assert len(rows) == len(found) > 100
    peak_at = {"emulated": np.exp(found.emulated_log_peaks[:, 0]), "simulated": np.exp(found.log_peaks[:, 0])}
    missing = 0
    for row in rows:
        i = by_sample[int(row["sample"])]
        scaled = found.emulated_profiles[i, 0].max()
        assert float(row["emulated top"]) == pytest.approx(peak_at["emulated"][i] * scaled, rel=1e-4)
        if row["simulated"].startswith("failed"):
            assert row["simulated top"] == row["simulated width(signal)"] == ""
        else:
            assert float(row["simulated top"]) == pytest.approx(peak_at["simulated"][i], rel=1e-4)
        missing += row["emulated width(signal)"] == ""
        if row["emulated width(signal)"]:
            # As many points as it says are above half of the maximum, or more, where there are two bumps.
            above = (found.emulated_profiles[i, 0] > scaled / 2).sum()
            assert float(row["emulated width(signal)"]) < above + 1
    assert 0 < missing < len(rows)
    assert "simulated width(signal)" in list_hits(campaign.paths.root, 3)

    words = words_of(campaign)
    best = rows[0]
    for title in ("Features of the hits, by class", "What decides the features"):
        assert title in words
    for name in ("features", "feature_accuracy"):
        assert read_metadata(campaign.paths.figure(name).read_bytes())["Description"]
    explored = json.loads(
        re.search(r'id="explorer-data">(.*?)</script>', campaign.paths.report.read_text(encoding="utf-8"))[1]
    )
    assert [one["label"] for one in explored["features"]] == ["top", "width(signal)"]
    simulated, emulated = explored["features"][0]["values"][0]
    assert simulated == pytest.approx(float(best["simulated top"]), rel=1e-3)
    assert emulated == pytest.approx(float(best["emulated top"]), rel=1e-3)

    # Others are told of without another screen, or other simulations of the hits.
    other = again(["area(signal) / maximum(signal)"])
    for stage in ("screen", "validation"):
        assert other.fingerprint(stage) == campaign.fingerprint(stage)
    assert other.fingerprint("evaluation") != campaign.fingerprint("evaluation")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("mechscreen.stages.evaluate.POINTS", 64)
        evaluate(other)
        report(other)
    heads = rows_of(other)[0]
    assert "simulated area(signal) / maximum(signal)" in heads
    assert "simulated top" not in heads

    none = again([])
    assert none.features.names == ()
    assert not {"features", "feature_accuracy"} & set(figure_names(none))


def test_what_decides_a_feature_is_measured_with_the_ensemble(told):
    campaign, _ = told
    of_features = json.loads(campaign.paths.metrics.read_text())["features"]
    assert list(of_features) == list(TOLD)
    top, width = of_features["top"], of_features["width(signal)"]
    assert top["undefined"] == 0
    assert list(top["parameters"]) == list(campaign.space.names)
    # Shares against the variance of means in bins, as in tests/stages/test_evaluate.py.
    unit = np.random.default_rng(3).random((60_000, 4))
    said = load_ensemble(campaign.paths.emulators).predict(campaign.space.physical(unit))
    values = campaign.features(said.profiles, said.log_peaks)
    for j, entry in enumerate(top["parameters"].values()):
        means = [values["top"][(unit[:, j] * 50).astype(int) == b].mean() for b in range(50)]
        assert entry["first"] == pytest.approx(np.var(means) / np.var(values["top"]), abs=0.05)
        assert entry["total"] > entry["first"] - 0.05
    assert top["parameters"]["scale"]["correlation"] > 0.7
    # Bumps at the ends have no width: no share is a parameter's own then, and it is said.
    assert width["undefined"] == pytest.approx(np.isnan(values["width(signal)"]).mean(), abs=0.02)
    assert {entry["total"] for entry in width["parameters"].values()} == {None}
    has = np.isfinite(values["width(signal)"])
    of_width = unit[has, campaign.space.names.index("width")]
    expected = stats.spearmanr(of_width, values["width(signal)"][has]).statistic
    assert width["parameters"]["width"]["correlation"] == pytest.approx(expected, abs=0.03)
    words = words_of(campaign)
    assert re.search(r"Parameter sets that lack a feature: width\(signal\) [0-9.]+ %", words)
    assert "shares are not given then" in words


def test_sampled_hits_have_each_class_as_often_as_it_was_found(told):
    campaign, _ = told
    results = Results(campaign)
    some = results.sampled
    trusted = ScreenSummary.read(campaign.paths.screen_summary).trusted[list(campaign.targets)]
    kept = ScreenHits.read(campaign.paths.screen_hits).hits
    assert some.found == trusted.sum() > len(kept.index), "the test needs blocks that kept a part of their hits"
    counts = np.array([np.count_nonzero(some.labels == label) for label in campaign.targets])
    np.testing.assert_allclose(counts / counts.sum(), trusted / trusted.sum(), atol=0.01)
    # One of the classes is there with all that was kept of it.
    assert np.isclose(counts, [np.count_nonzero(kept.labels == label) for label in campaign.targets]).any()
    again = campaign.features(kept.profiles, kept.log_peaks)["top"]
    place = {tuple(values): k for k, values in enumerate(kept.parameters)}
    for values, top in zip(some.parameters[:50], some.features["top"][:50], strict=True):
        assert top == again[place[tuple(values)]]


def test_features_of_a_folder_are_told_without_the_code_of_the_model(told, monkeypatch):
    campaign, _ = told
    campaign.record()

    def refused(*arguments, **options):
        raise AssertionError("the code of a user would run")

    monkeypatch.setattr("mechscreen.models.setup.get_model", refused)
    monkeypatch.setattr("mechscreen.registry.load_object", refused)
    opened = Campaign.open(campaign.paths.root)
    assert opened.features.names == tuple(TOLD)
    report(opened)


def test_evaluations_of_earlier_versions_know_nothing_of_features_and_are_reported(told):
    campaign, _ = told
    values = json.loads(campaign.paths.metrics.read_text())
    del values["features"]
    campaign.paths.metrics.write_text(json.dumps(values))
    report(campaign)
    assert "What decides the features" not in words_of(campaign)
    assert "Features of the hits, by class" in words_of(campaign)


def test_without_a_word_the_numbers_of_the_conditions_are_told(trained):
    classes = {"wide": "width(signal) > 15 and maximum(signal) > 5", "flat": "steady(signal)"}
    objective = {"name": "conditions", "options": {"classes": classes}, "target": ["wide"]}
    campaign = trained(screen={"objective": objective})
    assert campaign.features.names == ("width(signal)", "maximum(signal)")
    assert trained(screen={"objective": objective, "features": []}).features.names == ()
    assert trained().features.names == ()
