"""Bands around what an ensemble predicts: in the evaluation, in predictions, and around the hits."""

import json

import numpy as np
import pytest

from mechscreen.emulators.conformal import LEVEL, LEVELS, around, compare, spread_of
from mechscreen.errors import FileError, InputError
from mechscreen.models import Output, Outputs
from mechscreen.models.distances import Distance
from mechscreen.models.outputs import Status
from mechscreen.schemas.emulators import EnsembleBands, PredictedTable
from mechscreen.schemas.evaluation import Predictions
from mechscreen.stages.bands import FEWEST, find, measure
from mechscreen.stages.evaluate import evaluate
from mechscreen.stages.predict import load_campaign_ensemble, load_ensemble, predict_table


@pytest.fixture
def evaluated(trained):
    campaign = trained()
    evaluate(campaign)
    return campaign


class Said:
    def __init__(self, profiles, log_peaks):
        self.profiles, self.log_peaks = profiles, log_peaks


def test_bands_of_an_evaluation_hold_the_model_as_often_as_they_say(evaluated):
    """New parameter sets, as many as make the share's error small; what the test split is too small for is allowed."""
    campaign = evaluated
    parameters = campaign.space.physical(np.random.default_rng(5).random((2000, 4)), levels=True)
    truth = campaign.model_instance.simulate(parameters)
    ok = truth.status == Status.OK
    ensemble = load_ensemble(campaign.paths.emulators)
    test = Predictions.read(campaign.paths.predictions)
    for level in LEVELS[:3]:
        said, bands = ensemble.predict_bands(parameters[ok], level)
        np.testing.assert_allclose(said.profiles, ensemble.predict(parameters[ok]).profiles, atol=1e-6)
        inside = (bands.low <= truth.profiles[ok]) & (truth.profiles[ok] <= bands.high)
        whole = (bands.whole_low <= truth.profiles[ok]) & (truth.profiles[ok] <= bands.whole_high)
        of_peaks = (bands.log_peak_low <= truth.log_peaks[ok]) & (truth.log_peaks[ok] <= bands.log_peak_high)
        for share in (inside.mean(), whole.all(axis=(1, 2)).mean(), of_peaks.mean()):
            # Of bands that follow from n samples, the share inside has this deviation.
            assert share == pytest.approx(level, abs=4 * np.sqrt(level * (1 - level) / len(test.index)))


def test_what_is_told_of_bands_is_what_halves_of_the_test_split_say(evaluated):
    metrics = json.loads(evaluated.paths.metrics.read_text())
    test = Predictions.read(evaluated.paths.predictions)
    (measured,) = metrics["bands"].values()
    assert measured["level"] == LEVEL
    assert measured["test"]["samples"] == len(test.index)
    assert measured["test"]["values"] == pytest.approx(LEVEL, abs=0.04)
    assert measured["test"]["whole"] == pytest.approx(LEVEL, abs=0.06)
    counts = np.bincount(test.labels, minlength=len(evaluated.class_names)).tolist()
    assert [own["samples"] for own in measured["classes"].values()] == counts
    assert 0 < measured["width"] < 4 * metrics["ensemble"]["rmse"]


def test_the_spread_of_the_test_split_is_that_of_the_members(evaluated):
    test = Predictions.read(evaluated.paths.predictions)
    said = load_campaign_ensemble(evaluated).predict_members(evaluated.space.normalise(test.parameters))
    np.testing.assert_allclose(test.spread, np.std([own["profiles"] for own in said], axis=0), atol=1e-6)


def test_bands_are_in_the_table_of_predictions_where_they_are_asked_for(evaluated, tmp_path):
    table = tmp_path / "sets.csv"
    table.write_text("width,place,scale,second\n6,20,20,1\n9,40,1,0.5\n")
    plain = PredictedTable.read(predict_table(evaluated.paths.emulators, table, tmp_path / "plain.h5"))
    assert plain.low is plain.level is None
    said = PredictedTable.read(predict_table(evaluated.paths.emulators, table, tmp_path / "banded.h5", level=0.9))
    assert said.level == 0.9
    assert np.all((said.whole_low <= said.low) & (said.low <= said.profiles))
    assert np.all((said.profiles <= said.high) & (said.high <= said.whole_high))
    assert np.all((said.log_peak_low < said.log_peaks) & (said.log_peaks < said.log_peak_high))
    assert said.low.min() >= 0
    assert said.whole_high.max() <= 1


def test_bands_that_are_not_there_or_of_others_are_refused(trained, evaluated):
    folder = evaluated.paths.emulators
    sets = [[20, 6, 1, 20]]
    with pytest.raises(InputError, match=r"no bands of level 0\.99 \(there: 0\.5, 0\.8, 0\.9, 0\.95\)"):
        load_ensemble(folder).predict_bands(sets, 0.99)
    with pytest.raises(FileError, match="combined by vote, and these are by mean; take vote"):
        load_ensemble(folder, combine="mean").predict_bands(sets)
    found = EnsembleBands.read(evaluated.paths.bands)
    others = EnsembleBands(**{**vars(found), "networks": np.array(["a", "b", "c"])})
    others.write(evaluated.paths.bands, {"campaign": "x", "identity": "{}"})
    with pytest.raises(FileError, match="of other members than those that are there; evaluate the ensemble"):
        load_ensemble(folder).predict_bands(sets)
    evaluated.paths.bands.unlink()
    with pytest.raises(FileError, match="does not exist: there are no bands; evaluate the ensemble"):
        load_ensemble(folder).predict_bands(sets)


def two_outputs():
    grid = np.arange(5.0)
    return Distance.of(
        [
            Output("curve", grid, scale="linear", compare="values"),
            Output("has", scale="linear", compare="nothing"),
            Output("time", scale="linear", compare="values", given="has"),
        ],
        [2.0, 1.0, 3.0],
    )


def test_outputs_of_any_shape_have_bands_and_what_a_sample_does_not_have_does_not_count():
    distance, rng, n = two_outputs(), np.random.default_rng(1), 4000
    truth = rng.normal(size=(n, 7))
    truth[:, 5] = rng.random(n) < 0.7
    predicted = truth + np.where(np.arange(7) == 6, 5.0, 0.1) * rng.normal(size=(n, 7))
    predicted[:, 5] = truth[:, 5]
    truth[truth[:, 5] == 0, 6] = 0
    said = [{"profiles": predicted + s, "log_peaks": np.zeros((n, 3))} for s in (-0.1, 0.1)]
    zeros = np.zeros((n, 3))
    spread = spread_of([own["profiles"] for own in said])
    compared = compare(distance.outputs, truth, predicted, spread)
    bands = find(compared, Said(truth, zeros), Said(predicted, zeros), said, "mean", ["a", "b"])
    of_values = [bands.of_values(distance.outputs, k) for k in range(3)]
    low, high, whole_low, whole_high = around(distance.outputs, of_values, predicted, spread, 0.9)
    inside, has = (low <= truth) & (truth <= high), truth[:, 5] == 1
    assert inside[:, :5].mean() == pytest.approx(0.9, abs=0.01)
    assert inside[has, 6].mean() == pytest.approx(0.9, abs=0.01)
    assert np.median(high[:, 6] - low[:, 6]) == pytest.approx(2 * 1.645 * 5, rel=0.1)
    whole = ((whole_low <= truth) & (truth <= whole_high))[:, :5].all(axis=1)
    assert whole.mean() == pytest.approx(0.9, abs=0.01)
    told = measure(distance, compared, np.arange(n) % 2, ("even", "odd"), seed=3)
    assert told["time"].test.values == pytest.approx(0.9, abs=0.01)
    assert told["curve"].classes["odd"].whole == pytest.approx(0.9, abs=0.02)
    assert told["time"].test.whole == pytest.approx(0.9, abs=0.02)
    assert np.all(bands.whole[2, :] >= 0)
    # In units of the deviation of the output.
    assert told["curve"].width == pytest.approx(np.median(high[:, :5] - low[:, :5]) / 2, rel=0.05)


def test_of_few_samples_nothing_is_told():
    distance = two_outputs()
    few = np.zeros((FEWEST - 1, 7))
    assert (
        measure(distance, compare(Outputs(distance.outputs), few, few, few), np.zeros(len(few), int), ("a",), 1) == {}
    )


def test_of_an_output_that_hardly_any_sample_has_nothing_is_told():
    distance, rng, n = two_outputs(), np.random.default_rng(2), 200
    truth = rng.normal(size=(n, 7))
    truth[:, 5] = np.arange(n) < 6
    truth[6:, 6] = 0
    compared = compare(distance.outputs, truth, truth + 0.1 * rng.normal(size=(n, 7)) * (np.arange(7) != 5), 0 * truth)
    assert list(measure(distance, compared, np.zeros(n, int), ("a",), 1)) == ["curve", "has"]
