import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import yaml
from scipy.spatial.distance import cdist

from mechscreen import storage
from mechscreen.errors import FileError
from mechscreen.models.outputs import Status
from mechscreen.objectives import get_objective
from mechscreen.ranks import Interrupted
from mechscreen.sampling import sample_seeds
from mechscreen.schemas.screen import ScreenHits
from mechscreen.schemas.validation import ValidatedHits
from mechscreen.stages import screen, validate
from mechscreen.stages.merge import load_split
from mechscreen.stages.search import Search
from mechscreen.stages.validate import nearest


@pytest.fixture
def screened(trained):
    """Return a function that makes the screened campaign, with settings of the validation changed."""
    campaign = trained(screen={"count": 10_000})
    screen.screen_block(campaign, 0)
    screen.gather_screen(campaign)
    curve = {"confirm": "curve", "rmse_limit": 0.15}
    return lambda **changes: trained(screen={"count": 10_000}, validation={**curve, **changes})


def read(campaign):
    table = storage.read(campaign.paths.validation_hits, ValidatedHits.kind, campaign.identity("validation"))
    return table, storage.read_json(campaign.paths.validation_summary)


def read_hits(campaign):
    return storage.read(campaign.paths.screen_hits, ScreenHits.kind)


def test_each_hit_stands_beside_its_own_simulation(screened):
    campaign = screened(limit=10_000)
    validate.validate(campaign)
    table, _ = read(campaign)
    hits = read_hits(campaign)
    for name, column in (("index", "index"), ("parameters", "parameters"), ("emulated_profiles", "profiles")):
        np.testing.assert_array_equal(table[name], hits[column])
    truth = campaign.model_instance.simulate(hits["parameters"])
    ok = truth.status == Status.OK
    assert 0 < (~ok).sum() < 200 < ok.sum()
    np.testing.assert_array_equal(table["status"], truth.status)
    assert set(table["reasons"][~ok]) == {"too narrow"}
    np.testing.assert_allclose(table["profiles"][ok], truth.profiles[ok], atol=1e-6)
    error = np.sqrt(np.mean((truth.profiles - hits["profiles"]) ** 2, axis=(1, 2)))
    np.testing.assert_allclose(table["rmse"], error, rtol=1e-4)
    np.testing.assert_allclose(table["log_peak_error"], abs(truth.log_peaks - hits["log_peaks"]), rtol=1e-4, atol=1e-6)
    labels = get_objective("rings", distance=12)(truth.profiles[ok].astype(np.float32), truth.log_peaks[ok])
    np.testing.assert_array_equal(table["labels"][ok], labels)
    np.testing.assert_array_equal(table["same_class"][ok], labels == 2)
    np.testing.assert_array_equal(table["confirmed"], np.nan_to_num(error, nan=np.inf) <= 0.15)
    assert (table["labels"][~ok] == -1).all()
    assert not table["confirmed"][~ok].any()
    assert not table["same_class"][~ok].any()


def test_unless_another_way_is_chosen_the_class_that_was_asked_for_confirms_a_hit(screened):
    campaign = screened(limit=10_000, confirm="class")
    assert campaign.validation.confirm == type(campaign.validation)().confirm
    validate.validate(campaign)
    table, summary = read(campaign)
    np.testing.assert_array_equal(table["confirmed"], np.isin(table["labels"], campaign.targets))
    assert summary["confirmed_by"] == "class"
    assert summary["confirmed"]["count"] == summary["confirmed_and_same_class"]["count"] == (table["labels"] == 2).sum()
    within = table["rmse"] <= 0.15
    assert summary["within_limit"]["count"] == within.sum() != summary["confirmed"]["count"]


def test_features_within_their_tolerances_confirm_a_hit(screened):
    name = screened().outputs[0].name
    tolerance = {f"final({name})": 0.05, f"time_of_peak({name})": 0.2}
    campaign = screened(limit=10_000, confirm=tolerance)
    validate.validate(campaign)
    table, summary = read(campaign)
    grid = campaign.outputs[0].grid
    said, found = (
        table[f"{kind}profiles"][:, 0] * np.exp(table[f"{kind}log_peaks"][:, 0:1]) for kind in ("emulated_", "")
    )
    with np.errstate(invalid="ignore"):
        final = abs(said[:, -1] - found[:, -1]) <= 0.05 * abs(found[:, -1])
        tops = [grid[np.nan_to_num(values).argmax(axis=1)] for values in (said, found)]
        expected = final & (abs(tops[0] - tops[1]) <= 0.2 * tops[1]) & (table["status"] == Status.OK)
    assert 0 < expected.sum() < len(expected)
    np.testing.assert_array_equal(table["confirmed"], expected)
    assert summary["confirmed_by"] == tolerance


@pytest.mark.parametrize(
    ("confirm", "message"),
    [
        ({"period(nothing)": 0.1}, "'validation.confirm': 'period\\(nothing\\)': unknown name 'nothing'"),
        ({"steady(signal)": 0.1}, "'validation.confirm': .* is a condition"),
        ({}, "names no feature"),
        ({"final(signal)": 0}, r"'validation.confirm.final\(signal\)' is 0: input should be greater than 0$"),
    ],
)
def test_what_cannot_confirm_a_hit_is_refused(trained, confirm, message):
    with pytest.raises(ValueError, match=message):
        trained(validation={"confirm": confirm}).check()


def test_summary_counts_what_the_table_holds(screened):
    campaign = screened(limit=10_000)
    validate.validate(campaign)
    table, summary = read(campaign)
    n = len(table["rmse"])
    ok = table["status"] == Status.OK
    assert summary["selection"] == "all hits"
    assert summary["hits_found"] == summary["hits_kept"] == summary["validated"] == n
    assert summary["failed"] == (~ok).sum()
    confirmed = int(table["confirmed"].sum())
    assert 0 < confirmed < ok.sum(), "the limit must part the hits for this test to mean anything"
    assert summary["confirmed"]["count"] == confirmed
    assert summary["confirmed"]["share"] == confirmed / n
    # Wilson's interval from its definition: the shares p for which |p − share| is z standard errors of p.
    for p in summary["confirmed"]["interval"]:
        assert abs(p - confirmed / n) / np.sqrt(p * (1 - p) / n) == pytest.approx(1.959964, rel=1e-5)
    assert summary["beyond_limit"]["count"] == (table["rmse"][ok] > 0.15).sum()
    assert summary["confirmed_and_same_class"]["count"] == (table["confirmed"] & table["same_class"]).sum()
    assert summary["rmse"]["mean"] == pytest.approx(table["rmse"][ok].mean())
    assert summary["rmse"]["sd"] == pytest.approx(table["rmse"][ok].std(ddof=1))
    assert sum(summary["simulated_classes"].values()) == ok.sum()


def test_each_class_of_the_target_has_shares_of_its_own(trained):
    screened = {"count": 10_000, "objective": {"name": "rings", "options": {"distance": 12}, "target": ["1", "2"]}}
    campaign = trained(screen=screened, validation={"confirm": "curve", "rmse_limit": 0.15, "limit": 500})
    screen.screen_block(campaign, 0)
    screen.gather_screen(campaign)
    validate.validate(campaign)
    table, summary = read(campaign)
    assert list(summary["emulated_classes"]) == ["1", "2"]
    for label, name in ((1, "1"), (2, "2")):
        of_class = table["emulated_labels"] == label
        assert of_class.sum() > 20
        shares = summary["emulated_classes"][name]
        assert shares["confirmed"]["share"] == pytest.approx(table["confirmed"][of_class].mean())
        assert shares["same_class"]["count"] == table["same_class"][of_class].sum()


def test_a_class_of_many_hits_is_sampled_and_counts_as_many(trained):
    two = {"name": "rings", "options": {"distance": 12}, "target": ["1", "2"]}
    validation = {"confirm": "curve", "rmse_limit": 0.15, "limit": 300}
    campaign = trained(screen={"count": 10_000, "objective": two}, validation=validation)
    screen.screen_block(campaign, 0)
    screen.gather_screen(campaign)
    hits = read_hits(campaign)
    found = {label: int((hits["labels"] == label).sum()) for label in (1, 2)}
    assert min(found.values()) > 300
    validate.validate(campaign)
    table, summary = read(campaign)
    assert summary["selection"] == "all of each class, or a random sample"
    assert [summary["emulated_classes"][name]["found"] for name in "12"] == list(found.values())
    shares = [table["confirmed"][table["emulated_labels"] == label].mean() for label in found]
    assert summary["confirmed"]["share"] == pytest.approx(np.average(shares, weights=list(found.values())))
    low, high = summary["confirmed"]["interval"]
    assert low < summary["confirmed"]["share"] < high
    assert high - low < 0.2


def test_a_sample_is_one_of_all_hits_though_blocks_kept_some(trained):
    few = trained(screen={"count": 10_000, "hits_per_block": 100}, validation={"limit": 60})
    screen.screen_block(few, 0)
    screen.gather_screen(few)
    assert len(read_hits(few)["index"]) == 100
    validate.validate(few)
    sampled = read(few)[0]["index"]
    for path in (few.paths.block(0), few.paths.screen_hits, few.paths.screen_summary):
        path.unlink()
    everything = trained(screen={"count": 10_000}, validation={"limit": 60})
    screen.screen_block(everything, 0)
    screen.gather_screen(everything)
    assert len(read_hits(everything)["index"]) > 200
    validate.validate(everything)
    np.testing.assert_array_equal(read(everything)[0]["index"], sampled)


def test_sensitivity_of_the_model_is_measured_where_it_does_not_confirm_a_hit(screened):
    campaign = screened(limit=200, rmse_limit=0.05)
    validate.validate(campaign)
    table, summary = read(campaign)
    missed = (table["status"] == Status.OK) & ~(table["confirmed"] & table["same_class"])
    assert 0 < missed.sum() < 200
    # Each parameter changes up or down at random.
    missing = table["index"][missed].tolist()
    seeds = np.concatenate([sample_seeds(campaign.seed, i, i + 1, "validation seeds") for i in missing])
    expected = campaign.model_instance.simulate(table["parameters"][missed], seeds=seeds, sensitivity=True).sensitivity
    np.testing.assert_allclose(table["sensitivity"][missed], expected, rtol=1e-6)
    assert np.isnan(table["sensitivity"][~missed]).all()
    assert summary["indeterminate"]["count"] == 0
    # Were the model a hundred thousand times as sensitive, most misses would be its own doing.
    sensitivity = 1e5 * table["sensitivity"]
    sensitivity[np.flatnonzero(missed)[0]] = np.nan
    hits = replace(ValidatedHits.read(campaign.paths.validation_hits), sensitivity=sensitivity)
    totals = ScreenHits.read(campaign.paths.screen_hits).totals
    told = validate._summarise(Search(campaign), hits, totals, {2: 200}, np.zeros(6, int), None)
    beyond = missed & ~table["confirmed"]
    assert told.indeterminate.count == (~(sensitivity[beyond, 0] <= 0.05)).sum() > 1


def test_novelty_is_the_distance_to_the_nearest_training_profile(screened):
    campaign = screened(limit=10_000)
    validate.validate(campaign)
    table, summary = read(campaign)
    training = load_split(campaign, "train")
    assert len(list(campaign.paths.dataset.glob("train-*.h5"))) > 1, "the search must go over several files"
    ok = table["status"] == Status.OK
    points = training.profiles.shape[2]
    distances = cdist(table["profiles"][ok, 0], training.profiles[:, 0]) / np.sqrt(points)
    np.testing.assert_allclose(table["nearest_distance"][ok], distances.min(axis=1), rtol=1e-6, atol=1e-9)
    np.testing.assert_array_equal(table["nearest_index"][ok], training.index[distances.argmin(axis=1)])
    assert np.isnan(table["nearest_distance"][~ok]).all()
    assert (table["nearest_index"][~ok] == -1).all()
    labels = get_objective("rings", distance=12)(training.profiles, training.log_peaks)
    assert list(summary["training_classes"].values()) == np.bincount(labels, minlength=6).tolist()
    assert summary["training_target"] == (labels == 2).sum()
    assert summary["nearest_training_distance"]["median"] == pytest.approx(
        np.median(table["nearest_distance"][table["confirmed"]])
    )


@pytest.mark.parametrize("others", [1, 700, 3000])
def test_the_nearest_are_those_of_scipy(others):
    rng = np.random.default_rng(others)
    a = rng.random((40, 2, 30)).astype(np.float32)
    b = rng.random((others, 2, 30)).astype(np.float32)
    b[others // 2] = a[7]
    distances = cdist(a.reshape(40, -1), b.reshape(others, -1)) / np.sqrt(60)
    distance, place = nearest(a.reshape(40, -1), b.reshape(others, -1))
    np.testing.assert_array_equal(place, distances.argmin(axis=1))
    np.testing.assert_allclose(distance, distances.min(axis=1), rtol=1e-9, atol=1e-12)
    assert distance[7] == 0


def test_more_hits_than_the_limit_leave_a_random_sample_that_is_the_same_again(screened):
    campaign = screened(limit=60)
    validate.validate(campaign)
    table, summary = read(campaign)
    hits = read_hits(campaign)
    assert summary["selection"] == "random sample"
    assert summary["validated"] == len(table["index"]) == 60 < summary["hits_kept"]
    places = np.searchsorted(hits["index"], table["index"])
    np.testing.assert_array_equal(hits["index"][places], table["index"])
    assert places.min() < 0.2 * len(hits["index"])
    assert places.max() > 0.8 * len(hits["index"])
    first = campaign.paths.validation_hits.read_bytes()
    validate.validate(campaign)
    assert campaign.paths.validation_hits.read_bytes() == first


def test_validation_is_the_same_with_two_ranks(screened, tmp_path):
    campaign = screened(limit=60)
    validate.validate(campaign)
    alone = campaign.paths.validation_hits.read_bytes(), campaign.paths.validation_summary.read_bytes()
    config = tmp_path / "campaign.yaml"
    config.write_text(yaml.safe_dump(campaign.model_dump(mode="json")))
    mpiexec = Path(sys.executable).with_name("mpiexec")
    command = [sys.executable, "-m", "mechscreen", "validate", "--config", str(config), "--ranks", "2"]
    subprocess.run([mpiexec if mpiexec.exists() else "mpiexec", "-n", "2", *command], check=True, timeout=240)
    assert (campaign.paths.validation_hits.read_bytes(), campaign.paths.validation_summary.read_bytes()) == alone


class StopAtOnce:
    reason = "the time limit is near"

    def __init__(self, after):
        self.left = after

    def reached(self):
        self.left -= 1
        return self.left < 0

    def overdue(self):
        return False


def test_interrupted_validation_is_continued(screened):
    campaign = screened(limit=60)
    validate.validate(campaign)
    whole = campaign.paths.validation_hits.read_bytes()
    campaign.paths.validation_hits.unlink()
    with pytest.raises(Interrupted, match=r"validate: .* of 60 samples are saved"):
        validate.validate(campaign, deadline=StopAtOnce(2))
    partial = campaign.paths.validation / "simulations.h5.partial"
    assert partial.exists()
    assert not campaign.paths.validation_hits.exists()
    validate.validate(campaign)
    assert campaign.paths.validation_hits.read_bytes() == whole
    assert [path.name for path in sorted(campaign.paths.validation.iterdir())] == [
        "hits.csv",
        "hits.h5",
        "summary.json",
    ]


def test_no_hits_give_an_empty_table_and_no_shares(trained):
    campaign = trained(screen={"count": 10_000, "objective": {"name": "rings", "options": {}, "target": ["5 or more"]}})
    screen.screen_block(campaign, 0)
    screen.gather_screen(campaign)
    validate.validate(campaign)
    table, summary = read(campaign)
    assert len(table["index"]) == 0
    assert table["profiles"].shape == (0, 1, 61)
    assert summary["validated"] == 0
    assert summary["confirmed"] == {"count": 0, "share": None, "interval": None}
    assert summary["rmse"]["mean"] is None
    assert summary["training_samples"] == len(load_split(campaign, "train"))


def test_hits_of_a_smaller_screen_are_refused(screened, trained):
    screened()
    with pytest.raises(
        FileError, match="gathered from 10000 parameter sets, and the screen has 20000; gather it again"
    ):
        validate.validate(trained(screen={"count": 20_000}))


def test_validation_without_a_training_set_says_what_is_missing(screened):
    campaign = screened(limit=60)
    campaign.paths.manifest.unlink()
    with pytest.raises(FileError, match=r"manifest\.json"):
        validate.validate(campaign)
    assert not campaign.paths.validation_hits.exists()
