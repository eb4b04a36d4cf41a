"""Random cases: the same from the same seed, as they say, and what a library can reach of them."""

import numpy as np
import pytest

from discovery_study.formula import Dynamics
from discovery_study.truths import (
    FAMILIES,
    FAULT_POINTS,
    POINTS,
    TOLD,
    RandomCase,
    Truth,
    draw,
    measure,
    miss,
)
from mechscreen import InputError
from mechscreen.discovery import Polynomial


@pytest.mark.parametrize("row", FAMILIES)
def test_cases_are_of_their_seed_and_move_within_bounds(row):
    families = set()
    for seed in range(20):
        case, again = draw(row, seed), draw(row, seed)
        np.testing.assert_array_equal(case.y, again.y)
        families.add(case.family)
        n, d = case.y.shape
        assert (n, d) == (len(case.t), len(case.names))
        assert n == FAULT_POINTS if row == "faults" else POINTS[0] <= n <= POINTS[1]
        assert len(Polynomial(case.truth.degree).bind(case.names)) <= n
        assert np.isfinite(case.y).all()
        assert (np.diff(case.t) > 0).all()
        assert (np.ptp(case.states, axis=0) > 0).all()
        np.testing.assert_allclose(np.diff(case.dense[0]), case.truth.duration / 399)
    assert len(families) > 3


def test_noise_is_of_the_size_that_is_said():
    scaled = np.concatenate(
        [((c.y - c.states) / c.sigma).ravel() for c in (draw("inside", seed) for seed in range(60))]
    )
    assert scaled.std() == pytest.approx(1, abs=0.05)
    assert abs(scaled.mean()) < 0.05


def test_truths_inside_are_held_by_their_library_and_solve_their_equations():
    for seed in range(20):
        case = draw("inside", seed)
        truth = case.truth.inside
        assert truth.degree <= case.truth.degree
        t, x = case.dense
        np.testing.assert_allclose(truth.solve(x[0], t)[-1], x[-1], rtol=1e-3, atol=1e-3 * float(np.abs(x).max()))
        assert miss(case) == 0


def test_closed_equations_are_those_that_are_solved():
    checked = set()
    for row in ("outside", "faults"):
        for seed in range(60):
            truth = draw(row, seed).truth
            closed = truth.form or truth.inside
            family = draw(row, seed).family
            if closed is None or truth.offset:
                continue
            x = np.random.default_rng(seed).uniform(0.1, 1.5, truth.observed)
            np.testing.assert_allclose(closed.rates(x[None])[0], truth.rate(0.0, x), rtol=1e-9)
            checked.add(family)
    assert {"michaelis_menten", "hill", "gompertz", "saturating_predation", "exponential", "outflow"} <= checked


def test_a_truth_that_another_library_may_hold_is_not_called_outside(monkeypatch):
    monkeypatch.setattr("discovery_study.fitting.fit", lambda *_, **__: {"caveats": []})
    cases = {draw("outside", seed).family: seed for seed in range(60)}
    seen = {
        family: measure("outside", cases[family], method="collocation", library=library, limit=60)["inside"]
        for family, library in (("michaelis_menten", "rational"), ("step", "rational"))
    }
    assert seen == {"michaelis_menten": None, "step": False}
    told = measure("outside", cases["michaelis_menten"], method="collocation", library="degree 2", limit=60)
    assert told["inside"] is False


def _case(rate, start, degree, duration=5.0, n=20, sigma=0.01):
    """A case of one variable without noise."""
    truth = Truth(rate, [start], duration, degree)
    t, dense = np.linspace(0, duration, n), np.linspace(0, duration, 400)
    path = Dynamics(("x",), (rate,)) if isinstance(rate, str) else None
    states, whole = path.solve([start], t), path.solve([start], dense)
    return RandomCase("own", truth, t, states, np.full((n, 1), sigma), states, (dense, whole))


def test_a_library_that_holds_the_truth_misses_nothing():
    for equation, degree in (("2 - 0.7*x", 1), ("1.2*x - 0.4*x^2", 2), ("1.2*x - 0.4*x^2", 3)):
        assert miss(_case(equation, 0.2, degree)) < 0.05


def test_a_line_misses_logistic_growth_by_what_the_closest_relaxation_leaves():
    case = _case("1.2*x - 0.4*x^2", 0.2, 1, sigma=0.02)
    # By hand: the exponential a + b e^(−c t) closest to it, over a grid of rates.
    t, x = case.t, case.states[:, 0]
    left = []
    for c in np.linspace(-2, 3, 501):
        basis = np.stack([np.ones_like(t), np.exp(-c * t)], axis=1)
        off = x - basis @ np.linalg.lstsq(basis, x, rcond=None)[0]
        left.append(((off**2).sum(), np.abs(off).max() / 0.02))
    assert miss(case) == pytest.approx(min(left)[1], rel=0.03)
    assert miss(case) > TOLD


def test_a_miss_is_in_units_of_the_noise():
    fine, coarse = (miss(_case("1.2*x - 0.4*x^2", 0.2, 1, sigma=sigma)) for sigma in (0.01, 0.1))
    assert fine == pytest.approx(10 * coarse, rel=0.05)


def test_a_measured_case_says_what_it_was_and_what_came_of_it():
    inside = measure("inside", 1, method="collocation", library=None, limit=60)
    assert inside["inside"]
    assert inside["miss"] == 0
    assert {"right", "confidence", "caveats"} <= set(inside) or "failed" in inside
    faults = [draw("faults", seed) for seed in range(20)]
    seed = next(k for k, case in enumerate(faults) if case.family == "fault_1")
    told = measure("faults", seed, method="collocation", library=None, limit=60)
    assert (told["family"], told["points"], told["inside"]) == ("fault_1", 12, False)
    assert told["miss"] > 0.1


def test_a_row_that_is_not_there_is_refused():
    with pytest.raises(InputError, match="did you mean 'outside'"):
        draw("outsider", 0)
