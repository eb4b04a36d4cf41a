"""A screen as one program, on networks that are formulas, beside the same written out in NumPy."""

import numpy as np
import pytest

from mechscreen import odds
from mechscreen.emulators.backends.device import Members
from mechscreen.emulators.calibration import Calibration, evidence
from mechscreen.emulators.ensemble import combine_members
from mechscreen.errors import ModelError
from mechscreen.models import Output
from mechscreen.models.distances import Distance
from mechscreen.objectives import Labelling, get_objective
from mechscreen.objectives.base import UNDECIDED
from mechscreen.sampling import unit_at
from mechscreen.spaces import Parameter, ParameterSpace, Sampler
from mechscreen.tally import Counts, random_keys

jax = pytest.importorskip("jax")
from mechscreen.device import labels as of_labels  # noqa: E402
from mechscreen.device.draws import Source  # noqa: E402
from mechscreen.device.program import Program, Question  # noqa: E402

GRID = np.arange(40.0)
SPACE = ParameterSpace([Parameter("place", 0.0, 40.0), Parameter("width", 2.0, 8.0), Parameter("second", 0.0, 1.5)])
DISTANCE = Distance.of([Output("signal", GRID, compare="shape")])
BATCH, LIMIT, STOP = 256, 0.06, 3000
ALL = np.full(6, 2**64 - 1, np.uint64)
ALL_OF_STRATA = np.full((6, odds.STRATA), 2**64 - 1, np.uint64)


def profiles_of(xp, tilt, rows):
    place, width, second = (40 * rows[:, :1], 2 + 6 * rows[:, 1:2], 1.5 * rows[:, 2:3])
    y = xp.exp(-(((GRID - place) / width) ** 2)) + second * (1 + tilt) * xp.exp(-(((GRID - 30) / 4) ** 2))
    return (y / y.max(axis=1, keepdims=True))[:, None, :].astype(np.float32)


TILTS = np.array([0.0, 0.1, 0.3], np.float32)


def members(number=3):
    def call(weights, rows):
        profiles = jax.numpy.stack([profiles_of(jax.numpy, weights[k], rows) for k in range(number)])
        return profiles, jax.numpy.zeros((*profiles.shape[:2], 1), np.float32)

    return Members(call, TILTS[:number])


def rings():
    return Labelling(get_objective("rings", distance=6, prominence=0.05), DISTANCE.outputs)


def program(label=None, *, space=SPACE, mode="full", room=0, by_host=False, target=(2,), calibration=None):
    label = label or rings()
    question = Question(
        classes=6,
        targets=target,
        limit=LIMIT,
        varied=space.varied,
        bins=8,
        combine="vote",
        distance=DISTANCE,
        candidates=(2, 3) if mode == "cascade" else (),
        audit=(1, "audit", 0.05),
        calibration=calibration,
    )
    sampler = Sampler(space, "uniform", 1, "screen")
    return Program(
        members(),
        members(1) if mode == "cascade" else None,
        Source(sampler, list(space.varied)),
        of_labels.Labels(label, by_host),
        question,
        BATCH,
        room=room,
    )


@pytest.fixture(scope="module")
def truth():
    """Sets, what the ensemble and its first member say of them, and the labels of both."""
    draws = Sampler(SPACE, "uniform", 1, "screen").draw(0, STOP)
    rows = SPACE.normalise(draws.physical).astype(np.float32)
    said = [{"profiles": profiles_of(np, t, rows), "log_peaks": np.zeros((STOP, 1), np.float32)} for t in TILTS]
    together = combine_members(said, "vote", DISTANCE)
    label = rings()
    return draws, together, label(together.profiles, together.log_peaks), label(said[0]["profiles"], None)


def counts_of(truth, rows, labels, disagreement):
    counts = Counts.zeros(6, 3, 8)
    counts.add(truth[0].position[rows], labels, disagreement, LIMIT)
    return counts


def assert_equal(counts, expected):
    for name, values in expected.arrays().items():
        np.testing.assert_array_equal(counts.arrays()[name], values, err_msg=name)


def look(program, start, stop, keys=ALL):
    counts, rows = Counts.zeros(6, 3, 8), []
    calls = 0
    while start < stop:
        looked = program.look(start, stop, keys)
        assert looked.stop > start
        counts.merge(looked.counts)
        rows.append(looked.rows)
        start, calls = looked.stop, calls + 1
    return counts, [np.concatenate(column) for column in zip(*rows, strict=True)], calls


@pytest.mark.parametrize("start", [0, 37])
def test_all_samples_are_counted_and_hits_returned(truth, start):
    _, said, labels, _ = truth
    part = slice(start, STOP)
    counts, (index, label, disagreement, _, profiles, _, _), calls = look(program(), start, STOP)
    assert_equal(counts, counts_of(truth, part, labels[part], said.disagreement[part]))
    hits = start + np.flatnonzero((labels[part] == 2) & (said.disagreement[part] <= LIMIT))
    assert 100 < len(hits) < (labels == 2).sum(), "the limit must part the hits for this test to mean anything"
    np.testing.assert_array_equal(index, hits)
    assert (label == 2).all()
    np.testing.assert_allclose(profiles, said.profiles[hits], atol=1e-6)
    np.testing.assert_allclose(disagreement, said.disagreement[hits], atol=1e-6)
    assert calls < 12


def test_the_program_breaks_off_where_hits_need_more_room_and_goes_on(truth):
    _, said, labels, _ = truth
    counts, (index, *_), calls = look(program(target=range(6)), 0, STOP)
    assert_equal(counts, counts_of(truth, slice(0, STOP), labels, said.disagreement))
    np.testing.assert_array_equal(index, np.flatnonzero(said.disagreement <= LIMIT))
    assert calls > 4


def undecided_at(label, height):
    """Return a labelling that leaves profiles to NumPy whose first value is above a height."""

    def labelled(profiles, log_peaks):
        return jax.numpy.where(profiles[:, 0, 0] > height, UNDECIDED, label(profiles, log_peaks))

    return labelled


@pytest.fixture(scope="module")
def judged(truth):
    """A calibration, and by it the probability of the target of all sets, and the likeliest class of it."""
    coefficients = np.zeros((6, 8))
    # Of votes, their certainty where members are near to one another, and votes of stretched members.
    coefficients[:, [1, 3, 5]] = 4.0, -1.0, 1.5
    odds_of_bins = np.array([[-9.0, 0.0, 5.0, np.nan]] * 6)
    calibration = Calibration(coefficients, odds_of_bins, odds_of_bins + np.array([-0.5, 0.3, 1.0, 0.0]))
    said = [{"profiles": profiles_of(np, t, SPACE.normalise(truth[0].physical).astype(np.float32))} for t in TILTS]
    for own in said:
        own["log_peaks"] = np.zeros((STOP, 1), np.float32)
    evidence_of_all = evidence(said, truth[1].disagreement, rings(), 6, DISTANCE.outputs)
    return calibration, *calibration.of((2, 3), evidence_of_all), [own["profiles"][:, 0, 0] for own in said]


@pytest.mark.parametrize("room", [2**20, 100])
@pytest.mark.parametrize("most", [2**64 - 1, 2**62])
def test_probabilities_are_told_as_numpy_tells_them_and_samples_drawn_of_all_strata(judged, monkeypatch, room, most):
    monkeypatch.setattr("mechscreen.device.program._ROOM_FOR_DRAWN", room)
    calibration, probability, likeliest, first = judged
    left_out = np.max(first, axis=0) > 0.9
    assert 10 < left_out.sum() < 1000
    one = program(undecided_at(rings(), 0.9), target=(2, 3), calibration=calibration)
    keys = np.full(odds.STRATA, np.uint64(most))
    counts, hits, undecided, drawn, levels, calls, at = Counts.zeros(6, 3, 8, probable=True), [], [], [], [], 0, 0
    while at < STOP:
        looked = one.look(at, STOP, ALL_OF_STRATA, keys)
        counts.merge(looked.counts)
        rows = looked.rows
        hits.append([rows.index[rows.label >= 0], rows.label[rows.label >= 0], rows.probability[rows.label >= 0]])
        undecided.append(rows.index[rows.label < 0])
        drawn.append(looked.drawn)
        levels.append(looked.levels)
        at, calls = looked.stop, calls + 1
    # What a member's profile leaves to NumPy is left as a whole; stretched ones may be beyond the height alone.
    asked = np.concatenate(undecided).astype(int)
    assert set(np.flatnonzero(left_out)) <= set(asked)
    known = np.setdiff1d(np.arange(STOP), asked)
    expected = odds.levels_of(probability)
    likely = known[expected[known] >= odds.LIKELY]
    assert 100 < len(likely) < len(known)
    index, label, found = (np.concatenate(column) for column in zip(*hits, strict=True))
    np.testing.assert_array_equal(index, likely)
    np.testing.assert_array_equal(label, likeliest[likely])
    np.testing.assert_allclose(found, probability[likely], atol=1e-5)
    few = known[random_keys(known) <= keys[0]]
    np.testing.assert_array_equal(np.concatenate(drawn), few)
    np.testing.assert_array_equal(np.concatenate(levels), expected[few])
    total = Counts.zeros(6, 3, 8, probable=True)
    total.add_probable(likeliest[known], expected[known])
    np.testing.assert_array_equal(counts.probable, total.probable)
    assert counts.classes.sum() == len(known)
    assert (calls > 5) == (room == 100 and most > 2**62), calls


def test_hits_whose_keys_are_too_large_are_counted_and_stay_where_they_are(truth):
    _, said, labels, _ = truth
    keys = np.full(6, 2**62, np.uint64)
    counts, (index, *_), _ = look(program(), 0, STOP, keys)
    assert_equal(counts, counts_of(truth, slice(0, STOP), labels, said.disagreement))
    hits = np.flatnonzero((labels == 2) & (said.disagreement <= LIMIT))
    kept = hits[random_keys(hits) <= 2**62]
    assert 0 < len(kept) < len(hits) / 2
    np.testing.assert_array_equal(index, kept)


def test_what_is_undecided_is_returned_and_counted_nowhere(truth):
    _, said, labels, _ = truth
    label = rings()

    def every_third(profiles, log_peaks):
        found = label(profiles, log_peaks)
        return jax.numpy.where(jax.numpy.arange(len(found)) % 3 == 0, -1, found)

    counts, (index, label_, *_), _ = look(program(every_third), 0, STOP)
    known = np.arange(STOP) % BATCH % 3 != 0
    assert_equal(counts, counts_of(truth, known, labels[known], said.disagreement[known]))
    np.testing.assert_array_equal(np.sort(index[label_ == -1]), np.flatnonzero(~known))


def test_a_cascade_names_what_the_ensemble_looks_at_then(truth):
    _, said, labels, of_first = truth
    cascade = program(mode="cascade")
    chance = unit_at("uniform", 1, np.arange(STOP, dtype=np.uint64), 1, "audit")[:, 0]
    audited = (chance < 0.05) & ~np.isin(of_first, (2, 3))
    looked = np.isin(of_first, (2, 3)) | audited
    first, counts, start, rows = [], Counts.zeros(6, 3, 8), 0, []
    while start < STOP:
        named = cascade.look(start, STOP, ALL)
        start = named.stop
        counts.merge(named.counts)
        first.append(named.candidates)
        candidates, by_audit = named.candidates, named.audited
        np.testing.assert_array_equal(by_audit, audited[candidates])
        while len(candidates):
            there = cascade.look_at(candidates, by_audit, ALL)
            counts.merge(there.counts)
            rows.append(there.rows.index)
            candidates, by_audit = candidates[there.stop :], by_audit[there.stop :]
    np.testing.assert_array_equal(np.concatenate(first), np.flatnonzero(looked))
    hit = (labels == 2) & (said.disagreement <= LIMIT)
    np.testing.assert_array_equal(np.concatenate(rows), np.flatnonzero(looked & hit))
    known = np.where(looked, said.disagreement, np.nan)
    expected = counts_of(truth, slice(0, STOP), np.where(looked, labels, of_first), known)
    expected.audit[:] = audited.sum(), (audited & hit).sum()
    assert expected.audit[0] > 50
    assert_equal(counts, expected)


def test_an_objective_that_takes_numpy_alone_is_asked_from_within(truth):
    _, said, labels, _ = truth
    label = rings()

    def by_numpy(profiles, log_peaks):
        return label(np.ascontiguousarray(profiles), log_peaks)

    assert of_labels.on_host(label, (1, 40), 1) == ""
    assert "NumPy's arrays alone" in of_labels.on_host(by_numpy, (1, 40), 1)
    counts, *_ = look(program(by_numpy, by_host=True), 0, STOP)
    assert_equal(counts, counts_of(truth, slice(0, STOP), labels, said.disagreement))


def test_what_an_objective_raises_there_is_raised_here():
    def refuses(profiles, log_peaks):
        raise ModelError("profile 3 is not to be labelled")

    with pytest.raises(ModelError, match="profile 3 is not to be labelled"):
        program(refuses, by_host=True).look(0, 300, ALL)


def test_an_objective_that_returns_other_than_labels_is_left_to_numpy():
    found = of_labels.on_host(lambda profiles, log_peaks: profiles[:, 0, 0], (1, 40), 1)
    assert found == "the objective returns float32 values of shape (4,) for 4 of JAX's"
