"""Several conditions: the same terms, other values of some coefficients; and constants of each trajectory."""

import itertools
import json

import numpy as np
import pytest
from scipy.integrate import solve_ivp

from mechscreen import InputError
from mechscreen.discovery import Knowledge, Polynomial, discover
from mechscreen.discovery.selection import Blocks, best_subset, neighbours_by_blocks

RATES = {"A": 0.5, "B": 1.0, "C": 2.0}
BOTH = [("x", "x"), ("x", "x^2")]
TRUE = Knowledge(only={"x": ["x", "x^2"]})
NONE = np.zeros(0, dtype=np.int64)


def logistic(seed, rates=RATES, noise=0.02, capacity=2.0):
    """Times, values and labels: x' = r x (1 − x/K) by its solution, one trajectory of 20 samples for each rate."""
    rng = np.random.default_rng(seed)
    t = np.linspace(0, 10, 20)
    curves = [0.1 * capacity / (0.1 + (capacity - 0.1) * np.exp(-r * t)) for r in rates.values()]
    return [t] * len(rates), [(x + noise * rng.standard_normal(20))[:, None] for x in curves], list(rates)


def predators(seed, births=(0.8, 1.1, 1.5), noise=0.03):
    """Lotka–Volterra with a rate of birth for each of three conditions, a trajectory each."""
    rng = np.random.default_rng(seed)
    t = np.linspace(0, 8, 50)
    y = []
    for k in births:
        rate = lambda _, x, k=k: [k * x[0] - 0.1 * x[0] * x[1], 0.075 * x[0] * x[1] - 1.5 * x[1]]  # noqa: E731
        x = solve_ivp(rate, (0, 8), [10, 5], t_eval=t, rtol=1e-9, atol=1e-9).y.T
        y.append(x + noise * x.std(axis=0) * rng.standard_normal(x.shape))
    return [t] * len(births), y, ["low", "middle", "high"]


def doses(seed, given=(0.5, 1.0, 2.0, 3.0)):
    """x' = 0.8 dose − x from 0."""
    rng = np.random.default_rng(seed)
    t = np.linspace(0, 4, 20)
    return [t] * len(given), [(0.8 * u * (1 - np.exp(-t)) + 0.01 * rng.standard_normal(20))[:, None] for u in given]


def names(model, chosen, k=0):
    return [model.term_names[m] for m in np.flatnonzero(chosen[k])]


def test_values_of_each_condition_are_within_their_intervals_as_often_as_these_say():
    held = []
    for seed in range(15):
        t, y, labels = logistic(seed)
        model = discover(t, y, groups=labels, varies=BOTH, noise="constant", knowledge=TRUE)
        assert names(model, model.varying) == ["x", "x^2"]
        for label, r in RATES.items():
            own = model.of_group(label)
            for m, truth in ((1, r), (2, -r / 2)):
                low, high = own.intervals()[0, m]
                held.append(low <= truth <= high)
    # Of 90 intervals at 95 %, 79 or more hold but once in a thousand times.
    assert sum(held) >= 79


def test_which_coefficients_vary_is_found():
    for seed in range(5):
        t, y, labels = logistic(seed)
        model = discover(t, y, groups=labels, noise="constant")
        assert names(model, model.varying) == names(model, model.support) == ["x", "x^2"]


def test_coefficients_that_are_alike_are_shared():
    rates = dict.fromkeys("ABC", 1.0)
    for seed in range(5):
        t, y, labels = logistic(seed, rates)
        model = discover(t, y, groups=labels)
        assert not model.varying.any()
        assert "no coefficient varies" in model.summary()
        alike = discover(t, y)
        np.testing.assert_array_equal(model.support, alike.support)
        np.testing.assert_allclose(model.coefficients, alike.coefficients, rtol=1e-3)
        np.testing.assert_allclose(model.standard_errors, alike.standard_errors, rtol=1e-2)


@pytest.mark.parametrize("varies", [None, [("x", "x")]])
def test_the_one_coefficient_that_varies_among_all_is_found_or_told(varies):
    t, y, labels = predators(0)
    model = discover(t, y, groups=labels, varies=varies)
    assert names(model, model.support, 0) == ["x", "x*y"]
    assert names(model, model.support, 1) == ["y", "x*y"]
    assert np.argwhere(model.varying).tolist() == [[0, 1]]
    for label, truth in zip(labels, (0.8, 1.1, 1.5), strict=True):
        own = model.of_group(label)
        assert own.coefficients[0, 1] == pytest.approx(truth, abs=4 * own.standard_errors[0, 1])
        assert own.coefficients[1] == pytest.approx(model.of_group("low").coefficients[1])
    assert model.caveats == ()


def test_where_all_varies_each_condition_is_as_by_itself():
    t, y, labels = logistic(1)
    together = discover(t, y, groups=labels, varies=BOTH, knowledge=TRUE)
    for i, label in enumerate(labels):
        alone = discover(t[i], y[i], knowledge=TRUE)
        own = together.of_group(label)
        # Only the noise, which is that of all conditions, is known better.
        shift = (own.coefficients - alone.coefficients) / np.where(alone.support, alone.standard_errors, 1.0)
        assert np.abs(shift).max() < 0.05


def test_functions_vary_too_be_they_expressions_or_of_python():
    rng = np.random.default_rng(0)
    t = np.linspace(0, 6, 30)
    y = []
    for a in (0.5, 1.5):
        x = solve_ivp(lambda _, x, a=a: a - np.sin(x), (0, 6), [0.2], t_eval=t, rtol=1e-9, atol=1e-9).y.T
        y.append(x + 0.005 * rng.standard_normal(x.shape))
    for functions, called in ((["sin(x)"], "sin(x)"), ({"sine": np.sin}, "sine")):
        library = Polynomial(1, functions)
        model = discover([t, t], y, library, groups="ab", varies=[("x", "1"), ("x", called)])
        assert names(model, model.varying) == names(model, model.support) == ["1", called]
        for label, a in (("a", 0.5), ("b", 1.5)):
            assert model.of_group(label).coefficients[0] == pytest.approx([a, 0, -1], abs=0.05)


def test_what_is_tied_or_mirrored_varies_together_and_what_must_stay_stays():
    rng = np.random.default_rng(0)
    t = np.linspace(0, 5, 30)
    y = []
    for k in (0.5, 1.2):
        a = 2 * np.exp(-k * t)
        y.append(np.stack([a, 2 - a], axis=1) + 0.01 * rng.standard_normal((30, 2)))
    known = Knowledge(mirrored={"y": ("x", -1.0)}, required=[("x", "x")])
    model = discover([t, t], y, Polynomial(1), groups=[1, 2], varies=[("y", "x")], knowledge=known)
    for label, k in (("1", 0.5), ("2", 1.2)):
        own = model.of_group(label)
        np.testing.assert_allclose(own.coefficients[1], -own.coefficients[0], rtol=1e-14)
        assert own.coefficients[0] == pytest.approx([0, -k, 0], abs=0.02)


def test_a_hidden_variable_and_exact_starts_have_conditions_too():
    rng = np.random.default_rng(0)
    t = np.linspace(0, 4, 25)
    y = []
    for k in (0.5, 1.0):
        m = 2 * np.exp(-k * t) + 0.01 * rng.standard_normal(25)
        y.append(np.stack([np.append(2.0, m[1:]), np.append(0.0, np.full(24, np.nan))], axis=1))
    known = Knowledge(mirrored={"M": ("m", -1.0)}, only={"m": ["m", "m*dose"]})
    model = discover(
        [t, t], y, names=["m", "M"], hidden=["M"], exact_start=True, groups="ab", knowledge=known,
        constants={"dose": [1.0, -1.0]}, varies=[("m", "m")],
    )  # fmt: skip
    assert names(model, model.support) == names(model, model.varying) == ["m"]
    for i, (label, k) in enumerate((("a", 0.5), ("b", 1.0))):
        own = model.of_group(label)
        rate = own.rates([[1.0, 0.0, 1.0 - 2 * i]])[0]
        assert rate == pytest.approx([-k, k], abs=0.02)
        solved = own.simulate([2.0, 0.0], t)
        np.testing.assert_allclose(solved, model.denoised[i], atol=1e-4)


def test_a_model_of_conditions_is_simulated_under_one_of_them():
    t, y, labels = logistic(2)
    model = discover(t, y, groups=labels, varies=BOTH)
    for label in labels:
        own = model.of_group(label)
        r, capacity = own.coefficients[0, 1], -own.coefficients[0, 1] / own.coefficients[0, 2]
        expected = 0.1 * capacity / (0.1 + (capacity - 0.1) * np.exp(-r * t[0]))
        np.testing.assert_allclose(model.simulate([0.1], t[0], group=label)[:, 0], expected, rtol=1e-6)
    with pytest.raises(InputError, match="simulate: coefficients vary by condition; say which one"):
        model.simulate([0.1], t[0])
    with pytest.raises(InputError, match=r"no group 'D'.*\(groups: A, B, C\)"):
        model.simulate([0.1], t[0], group="D")
    for i, label in enumerate(labels):
        fitted = model.simulate(model.initial[i], t[i], group=label)
        np.testing.assert_allclose(fitted, model.denoised[i], atol=1e-4)


def test_what_varies_is_told_with_each_value():
    t, y, labels = logistic(3)
    model = discover(t, y, groups=labels, varies=BOTH)
    values = [model.of_group(label).coefficients[0, 1] for label in labels]
    told = ", ".join(f"{label}: {value:.4g}" for label, value in zip(labels, values, strict=True))
    assert model.equations()[0].startswith(f"dx/dt = [{told}] x + [A: -0.")
    assert "conditions: A, B, C; by them varies x in dx/dt, x^2 in dx/dt" in model.summary()
    assert all(f"x ({label})" in model.summary() for label in labels)
    found = json.loads(json.dumps(model.to_dict(), allow_nan=False))
    entry = found["coefficients"][0]
    assert (entry["equation"], entry["term"], entry["value"]) == ("x", "x", None)
    assert [own["group"] for own in entry["groups"]] == labels
    assert [own["value"] for own in entry["groups"]] == values
    assert all(own["low"] < own["value"] < own["high"] for own in entry["groups"])
    assert found["groups"][2] == {"group": "C", "trajectories": [2]}


def test_constants_of_trajectories_stand_in_terms():
    held = []
    for seed in range(10):
        t, y = doses(seed)
        model = discover(t, y, Polynomial(1), names=["x"], constants={"dose": [0.5, 1, 2, 3]})
        assert model.inputs == ("dose",)
        assert names(model, model.support) == ["x", "dose"]
        assert model.coefficients[0] == pytest.approx([0, -1, 0.8], abs=0.03)
        held += [low <= truth <= high for (low, high), truth in zip(model.intervals()[0, 1:], (-1, 0.8), strict=True)]
    assert sum(held) >= 17
    np.testing.assert_allclose(model.courses[2](np.array([0.0, 3.3]))[:, 0], 2.0)
    expected = model.coefficients[0, 2] * 3 / -model.coefficients[0, 1]
    assert model.of_trajectory(3).simulate([0.0], [0.0, 50.0])[-1, 0] == pytest.approx(expected, rel=1e-6)


def test_constants_and_conditions_go_together_and_with_inputs():
    rng = np.random.default_rng(0)
    t = np.linspace(0, 6, 40)
    switched = t[20]
    u = (t >= switched).astype(float)
    y, labels, given = [], [], []
    for label, k in (("old", 0.5), ("new", 1.0)):
        for dose in (1.0, 2.0, 4.0):
            early = dose / k * (1 - np.exp(-k * t))
            late = np.where(t >= switched, 2 / k * (1 - np.exp(-k * (t - switched))), 0.0)
            y.append(np.stack([early + late + 0.02 * rng.standard_normal(40), u], axis=1))
            labels.append(label)
            given.append(dose)
    model = discover(
        [t] * 6, y, Polynomial(1), names=["x", "u"], inputs=["u"], constants={"dose": given}, groups=labels
    )
    assert names(model, model.support) == ["x", "u", "dose"]
    assert names(model, model.varying) == ["x"]
    for label, k in (("old", 0.5), ("new", 1.0)):
        assert model.of_group(label).coefficients[0] == pytest.approx([0, -k, 2, 1], abs=0.04)


def test_conditions_and_constants_follow_the_trajectories_that_are_used():
    """One row says nothing: neither its condition nor its constant counts, and the others keep theirs."""
    t, y, labels = logistic(0, {"A": 0.5, "B": 2.0})
    doses_given = [np.nan, 1.0, 2.0]
    for more in ({}, {"constants": {"dose": doses_given}}):
        model = discover(
            [t[0][:1], *t], [y[0][:1], *y], groups=["Z", *labels], varies=BOTH, noise="constant", knowledge=TRUE, **more
        )
        assert (model.kept, model.left_out) == ((1, 2), ("trajectory 1: one row",))
        assert [(group.label, group.trajectories) for group in model.groups] == [("A", (0,)), ("B", (1,))]
        assert model.of_group("A").coefficients[0, 1] == pytest.approx(0.5, abs=0.1)
        own = model.of_group("B")
        assert own.kept == (2,)
        assert len(own.curves) == 1
        np.testing.assert_array_equal(own.curves[0][1], model.curves[1][1])
    np.testing.assert_array_equal([course(np.zeros(1))[0, 0] for course in model.courses], doses_given[1:])
    with pytest.raises(InputError, match="all 2 trajectories that can be used are of one group, 'A'"):
        discover([t[0][:1], *t], [y[0][:1], *y], groups="ZAA")


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ({"groups": ["A", "B"]}, "2 groups for 3 trajectories"),
        ({"groups": ["A", "A", "A"]}, "all trajectories are of one group, 'A'"),
        ({"groups": ["A", "", "B"]}, "the group of trajectory 2 has no name"),
        ({"varies": BOTH}, r"say which one each trajectory has \(groups\)"),
        ({"groups": "ABC", "varies": [("z", "x")]}, r"varies: no variable 'z' \(variables: x\)"),
        ({"groups": "ABC", "varies": [("x", "x^3")]}, r"varies: library: no term 'x\^3'; did you mean 'x\^2'"),
        (
            {"groups": "ABC", "varies": BOTH, "knowledge": Knowledge(fixed={("x", "x"): 1.0})},
            "varies: the coefficient of x in dx/dt is known or excluded beforehand",
        ),
        ({"groups": "ABC", "library": Polynomial(2, forms=["hill"])}, "with groups, terms have no unknowns inside"),
        ({"groups": "ABC", "method": "odenet"}, "with groups, .* the method is the default one"),
        ({"constants": {"dose": [1, 2]}}, "constant 'dose': give one finite number for each of 3 trajectories"),
        ({"constants": {"dose": [1, 2, np.nan]}}, "constant 'dose': give one finite number"),
        ({"constants": {"dose": [1, 2, "many"]}}, "constant 'dose': not numbers"),
        ({"constants": {"dose": [2, 2, 2]}}, "constant 'dose' is 2 in all trajectories"),
        ({"constants": {"x": [1, 2, 3]}}, "'x' is a constant and a column of the values"),
        ({"constants": {"a b": [1, 2, 3]}}, "the constant's name 'a b' is not an identifier"),
    ],
)
def test_conditions_and_constants_that_say_nothing_are_refused(more, message):
    t, y, _ = logistic(0)
    with pytest.raises(InputError, match=message):
        discover(t, y, **more)


# Four coefficients, two of which may vary by three conditions, and one that comes with its further value.
BLOCKS = Blocks(
    of=np.array([0, 1, 2, 3, 4, 4, 5, 5, 3]),
    needs=np.array([-1, -1, -1, -1, 0, 1]),
    further=np.arange(9) >= 4,
)


def _problem(seed):
    rng = np.random.default_rng(seed)
    a = rng.standard_normal((40, 9)) + 0.5 * rng.standard_normal((40, 1))
    b = a @ (rng.standard_normal(9) * (rng.random(9) < 0.5)) + 0.5 * rng.standard_normal(40)
    return a.T @ a, a.T @ b, rng.uniform(1, 4, 9)


def _value(hessian, target, prices, support):
    own = np.ix_(support, support)
    return float(prices[support].sum() - target[support] @ np.linalg.solve(hessian[own], target[support]))


def _supports():
    """All supports that blocks allow."""
    for chosen in itertools.product([False, True], repeat=6):
        if (not chosen[4] or chosen[0]) and (not chosen[5] or chosen[1]):
            yield np.flatnonzero(np.array(chosen)[BLOCKS.of])


@pytest.mark.parametrize("seed", range(8))
def test_blocks_are_chosen_whole_and_as_well_as_by_trying_all(seed):
    hessian, target, prices = _problem(seed)
    starts = [NONE, np.arange(9)]
    support, value = best_subset(hessian, target, prices, starts=starts, locked=NONE, blocks=BLOCKS)
    np.testing.assert_array_equal(support, BLOCKS.closed(support))
    assert value == pytest.approx(_value(hessian, target, prices, support))
    assert value == pytest.approx(min(_value(hessian, target, prices, own) for own in _supports()))


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("support", [[0, 1, 4, 5], [1, 3, 8], [0, 1, 2, 6, 7]])
def test_costs_of_moves_of_blocks_equal_their_direct_values(seed, support):
    hessian, target, prices = _problem(seed)
    own = np.array(support)
    base = _value(hessian, target, prices, own)
    moves = neighbours_by_blocks(hessian, target, own, prices, NONE, BLOCKS)
    assert [change for _, _, change in moves] == sorted(change for _, _, change in moves)
    reached = set()
    for dropped, added, change in moves:
        other = np.array(sorted((set(support) - set(dropped)) | set(added)), dtype=np.int64)
        np.testing.assert_array_equal(other, BLOCKS.closed(other))
        assert change == pytest.approx(_value(hessian, target, prices, other) - base, abs=1e-8)
        reached.add(tuple(other.tolist()))
    assert len(reached) == len(moves)


@pytest.mark.parametrize("seed", range(20))
def test_blocks_of_nearly_dependent_columns_are_chosen_without_failing(seed):
    rng = np.random.default_rng(seed)
    a = rng.standard_normal((40, 9))
    for j, scale in ((1, 1e-4), (4, 1e-5), (5, 1e-5), (8, 0.0)):
        a[:, j] = a[:, 0] + scale * rng.standard_normal(40)
    b = a[:, 0] + 0.5 * rng.standard_normal(40)
    starts = [NONE, np.arange(9)]
    hessian, target = a.T @ a, a.T @ b
    support, value = best_subset(hessian, target, 2.0, starts=starts, locked=NONE, blocks=BLOCKS)
    np.testing.assert_array_equal(support, BLOCKS.closed(support))
    assert np.isfinite(value)
    assert value <= 2.0 - target[0] ** 2 / hessian[0, 0] + 1e-6


def test_what_is_locked_is_not_dropped():
    hessian, target, prices = _problem(0)
    support, _ = best_subset(hessian, target, 1e6 * prices, starts=[NONE], locked=np.array([3, 8]), blocks=BLOCKS)
    assert support.tolist() == [3, 8]
