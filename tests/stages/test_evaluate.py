import json

import numpy as np
import pytest

import mechscreen
from mechscreen import storage
from mechscreen.campaign import Campaign
from mechscreen.emulators.metrics import rmse
from mechscreen.errors import FileError
from mechscreen.figures import get_figure
from mechscreen.reports.results import Results
from mechscreen.schemas.evaluation import PatternsFile, Predictions
from mechscreen.stages.evaluate import evaluate
from mechscreen.stages.merge import load_split
from mechscreen.stages.predict import load_ensemble


@pytest.fixture
def evaluated(trained):
    campaign = trained()
    evaluate(campaign)
    predictions = storage.read(campaign.paths.predictions, Predictions.kind, campaign.identity("evaluation"))
    return campaign, predictions, json.loads(campaign.paths.metrics.read_text())


def test_predictions_are_those_of_the_test_split(evaluated):
    campaign, predictions, _ = evaluated
    test = load_split(campaign, "test")
    np.testing.assert_array_equal(predictions["index"], test.index)
    np.testing.assert_array_equal(predictions["profiles"], test.profiles)
    said = load_ensemble(campaign.paths.emulators).predict(test.parameters)
    np.testing.assert_allclose(predictions["predicted_profiles"], said.profiles, atol=1e-6)
    np.testing.assert_allclose(predictions["disagreement"], said.disagreement, atol=1e-6)


def test_metrics_follow_from_the_predictions(evaluated):
    campaign, predictions, metrics = evaluated
    error = rmse(predictions["profiles"], predictions["predicted_profiles"])
    np.testing.assert_allclose(predictions["error"], error)
    assert metrics["ensemble"]["rmse"] == pytest.approx(error.mean())
    assert [m["rmse"] for m in metrics["members"]] == pytest.approx(predictions["member_errors"].mean(axis=0))
    assert metrics["ensemble"]["rmse"] < 0.1
    assert metrics["ensemble"]["r2_peak"] > 0.95
    kept = predictions["disagreement"] <= campaign.screen.disagreement_limit
    assert metrics["disagreement"]["kept"] == pytest.approx(kept.mean())
    assert metrics["disagreement"]["spearman"] > 0.2


def test_importance_of_a_parameter_is_the_variance_of_the_means_in_its_bins(evaluated):
    campaign, _, metrics = evaluated
    importance = metrics["importance"]
    assert importance["quantities"] == ["class", "ln peak of signal"]
    assert list(importance["parameters"]) == list(campaign.space.names)
    unit = np.random.default_rng(3).random((100_000, 4))
    said = load_ensemble(campaign.paths.emulators).predict(campaign.space.physical(unit))
    quantities = [campaign.objective(said.profiles, said.log_peaks), said.log_peaks[:, 0]]
    for j, entry in enumerate(importance["parameters"].values()):
        for k, values in enumerate(quantities):
            means = [values[(unit[:, j] * 50).astype(int) == b].mean() for b in range(50)]
            assert entry["first"][k] == pytest.approx(np.var(means) / np.var(values), abs=0.04)
            assert entry["total"][k] > entry["first"][k] - 0.04
            assert 0 < entry["total_error"][k] < 0.03
    assert importance["parameters"]["scale"]["total"][1] > 0.5


def test_the_only_parameter_that_varies_explains_all(trained):
    campaign = trained()
    fixed = {p.name: {"low": p.high, "high": p.high} for p in campaign.space if p.name != "scale"}
    campaign.__dict__["space"] = campaign.space.restrict(fixed)
    evaluate(campaign)
    importance = json.loads(campaign.paths.metrics.read_text())["importance"]["parameters"]
    assert list(importance) == ["scale"]
    assert importance["scale"]["first"][1] == pytest.approx(1, abs=0.02)
    assert importance["scale"]["total"][1] == pytest.approx(1, abs=0.02)


def test_classes_and_confusion_are_those_of_the_objective(evaluated):
    campaign, predictions, metrics = evaluated
    labels = campaign.objective(predictions["profiles"], predictions["log_peaks"])
    np.testing.assert_array_equal(predictions["labels"], labels)
    counts = np.array(metrics["confusion"]["counts"])
    np.testing.assert_array_equal(counts.sum(axis=1), np.bincount(labels, minlength=len(counts)))
    assert metrics["confusion"]["same_class"] == pytest.approx(np.trace(counts) / len(labels))
    assert [c["samples"] for c in metrics["classes"].values()] == counts.sum(axis=1).tolist()
    assert metrics["confusion"]["classes"] == list(metrics["classes"])


def test_the_mean_of_the_members_can_be_chosen(evaluated, trained):
    vote = evaluated[1]["predicted_profiles"]
    campaign = trained(emulators={"combine": "mean"})
    evaluate(campaign)
    mean = storage.read(campaign.paths.predictions, Predictions.kind, campaign.identity("evaluation"))[
        "predicted_profiles"
    ]
    assert not np.allclose(vote, mean, atol=1e-4)


def test_an_ensemble_of_another_campaign_is_refused_naming_both(trained):
    ours = trained(emulators={"training": {"epochs": 3}})
    with pytest.raises(FileError, match=r"emulators\.training\.epochs = 15, this campaign says 3;"):
        evaluate(ours)


def test_a_missing_member_is_named(trained):
    with pytest.raises(FileError, match=r"member-3"):
        evaluate(trained(emulators={"members": 4}))


def test_patterns_are_what_the_ensemble_predicts_whatever_is_looked_for(evaluated):
    campaign, *_ = evaluated
    found = PatternsFile.read(campaign.paths.patterns, campaign.identity("evaluation"))
    said = load_ensemble(campaign.paths.emulators).predict(found.parameters)
    np.testing.assert_allclose(found.profiles, said.profiles, atol=1e-5)
    np.testing.assert_array_equal(found.labels, campaign.objective(said.profiles, said.log_peaks))
    assert found.looked == 20_000
    assert found.share[: found.groups].sum() == pytest.approx(1)
    assert (np.diff(found.share[: found.groups]) <= 0).all()
    assert (found.disagreement <= campaign.screen.disagreement_limit).all()
    # As common among other sets that are drawn: those nearest to the one in the middle, about.
    drawn = campaign.space.physical(np.random.default_rng(7).random((4000, len(campaign.space))))
    others = load_ensemble(campaign.paths.emulators).predict(drawn).profiles.reshape(4000, -1)
    middles = found.profiles[: found.groups].reshape(found.groups, -1)
    nearest = ((others[:, None] - middles[None]) ** 2).sum(axis=2).argmin(axis=1)
    np.testing.assert_allclose(
        np.bincount(nearest, minlength=found.groups) / 4000, found.share[: found.groups], atol=0.15
    )


def test_patterns_are_drawn_and_listed(evaluated):
    campaign, *_ = evaluated
    campaign.record()
    results = Results(Campaign.open(campaign.paths.root))
    found = results.patterns
    picture, caption = get_figure(campaign, "patterns").draw(results)
    titles = [ax.get_title() for ax in picture.axes if ax.axison]
    assert len(titles) == len(found)
    assert sum(title.startswith("unusual") for title in titles) == len(found) - found.groups
    assert caption.startswith("20,000 random parameter sets, predicted; ")
    table = mechscreen.open(campaign.paths.root).patterns
    np.testing.assert_array_equal(table[list(campaign.space.names)], found.parameters)
    assert table["group"].sum() == found.groups
    campaign.paths.patterns.unlink()
    _, caption = get_figure(campaign, "patterns").draw(Results(Campaign.open(campaign.paths.root)))
    assert caption == "Not looked for."
