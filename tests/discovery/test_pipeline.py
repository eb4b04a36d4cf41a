"""Discovery from end to end: known systems, hard data, units, bad input."""

import re
from dataclasses import replace

import numpy as np
import pytest
from scipy.integrate import solve_ivp

from discovery_study.cases import get_case
from mechscreen import InputError
from mechscreen.discovery import Knowledge, Polynomial, Undetermined, discover
from mechscreen.discovery.search import SupportSearch, regress

ROWS = [
    ("over-damped", {}, 2),
    ("spiral", {}, 2),
    ("cycle", {}, 2),
    ("cycle", {"noise": 0.1}, 2),
    ("cycle", {"step": 0.001}, 2),
    ("cycle", {"step": 0.1}, 2),
    ("cycle", {"step": 0.5}, 2),
    ("cycle", {"step": 0.75}, 2),
    ("cycle", {"noise": 0.1, "step": 0.5}, 2),
    ("cycle", {"noise": 0.5}, 2),
    ("cycle", {"keep": 0.5}, 2),
    ("cycle", {"keep": 0.02}, 2),
    ("cycle", {}, 5),
    ("lorenz", {}, 2),
    ("lorenz-short", {"noise": 0.3}, 2),
]


@pytest.mark.parametrize(("name", "options", "degree"), ROWS, ids=str)
def test_the_true_terms_are_found_and_the_intervals_are_right(name, options, degree):
    case = get_case(name)
    t, y = case.observe(0, **options)
    model = discover(t, y, Polynomial(degree))
    truth = case.coefficients(degree)
    assert np.array_equal(model.support, truth != 0), model.equations()
    used = truth != 0
    # All within four standard errors: wrong with probability 1e-3 at most over all these rows.
    assert (np.abs(model.coefficients - truth)[used] < 4 * model.standard_errors[used]).all()
    _, states = case.solution(options.get("step", 0.01))
    np.testing.assert_allclose(model.noise, case.noise_levels(states, options.get("noise")), rtol=0.35)


@pytest.mark.parametrize(("name", "step"), [("cycle", 0.1), ("lorenz", 0.01)])
def test_standard_errors_reach_the_cramer_rao_bound(name, step):
    """The bound comes from a Kalman filter along the true solution, which shares nothing with the solver."""
    case = get_case(name)
    t, y = case.observe(1, step=step)
    bound = case.bound(t, case.noise_levels(case.solution(step)[1]))
    used = bound > 0
    np.testing.assert_allclose(discover(t, y).standard_errors[used], bound[used], rtol=0.1)


def test_estimates_are_unbiased_and_the_intervals_cover_the_truth():
    case = get_case("cycle")
    truth = case.coefficients()
    used = truth != 0
    scores = []
    for seed in range(25):
        model = discover(*case.observe(seed, step=0.1))
        assert np.array_equal(model.support, used)
        scores.append((model.coefficients - truth)[used] / model.standard_errors[used])
    scores = np.array(scores)
    assert np.abs(scores.mean(axis=0)).max() < 4 / np.sqrt(len(scores))
    assert 0.75 < np.sqrt((scores**2).mean()) < 1.3
    assert 0.87 < (np.abs(scores) < 1.96).mean() <= 1.0


@pytest.mark.parametrize("unit", [1e-12, 1e12])
def test_results_do_not_depend_on_units(unit):
    case = get_case("cycle")
    t, y = case.observe(0, step=0.1)
    reference = discover(t, y)
    time_unit = 1e3 * unit
    other = discover(t * time_unit, y * np.array([unit, 1.0 / unit]))
    assert np.array_equal(other.support, reference.support)
    sizes = np.array([unit, 1.0 / unit])
    monomials = np.prod(sizes**reference.terms, axis=1)
    expected = reference.coefficients * sizes[:, None] / monomials / time_unit
    np.testing.assert_allclose(other.coefficients, expected, rtol=1e-5)
    np.testing.assert_allclose(other.noise, reference.noise * sizes, rtol=1e-5)
    assert other.confidence == pytest.approx(reference.confidence, abs=1e-4)


def test_time_need_not_start_at_zero():
    t, y = get_case("cycle").observe(0, step=0.1)
    np.testing.assert_allclose(discover(t + 5e5, y).coefficients, discover(t, y).coefficients, rtol=1e-5)


def test_noise_free_data_give_the_equations_to_six_digits():
    case = get_case("lorenz")
    t, states = case.solution(0.01)
    model = discover(t[:1000], states[:1000])
    np.testing.assert_allclose(model.coefficients, case.coefficients(), rtol=1e-6)


def test_several_trajectories_share_their_coefficients():
    case = get_case("over-damped")
    t, y = case.observe(0)
    pieces = [(t[:150], y[:150]), (t[150:300] - 7.0, y[150:300]), (t[300:600], y[300:600])]
    model = discover([p[0] for p in pieces], [p[1] for p in pieces])
    assert np.array_equal(model.support, case.coefficients() != 0)
    assert len(model.denoised) == 3
    assert model.denoised[1].shape == (150, 2)
    assert model.initial.shape == (3, 2)


def test_where_terms_chosen_early_all_vanish_they_are_chosen_at_the_end():
    case = get_case("cycle")
    model = discover(*case.observe(307, noise=0.1, step=0.5))
    assert np.array_equal(model.support, case.coefficients() != 0)


def test_spikes_that_two_samples_catch_are_no_noise():
    # Rössler's attractor, whose z is near zero but for a spike in each turn: a smoothing curve calls these noise.
    t = np.linspace(0.0, 10.0, 150)
    exact = _solved(
        lambda _, x: [-5 * x[1] - 5 * x[2], 5 * x[0] + x[1], 5 * x[2] * (x[0] - 5.7) + 1], [2.3, 1.1, 0.8], t
    )
    y = exact * (1 + 0.01 * np.random.default_rng(0).standard_normal(exact.shape))
    model = discover(t, y, Polynomial(3))
    assert _terms(model) == {
        "x": {"y", "z"}, "y": {"x", "y"}, "z": {"1", "z", "x*z"}
    }  # fmt: skip
    assert model.noise_kinds[2] == "proportional"


def test_jumps_of_a_relaxation_oscillator_are_no_noise():
    t = np.linspace(0.0, 100.0, 1000)
    exact = _solved(lambda _, x: [x[1], 30 * (1 - x[0] ** 2) * x[1] - x[0]], [2.0, 0.0], t)
    y = exact + 0.002 * exact.std(axis=0) * np.random.default_rng(0).standard_normal(exact.shape)
    model = discover(t, y, Polynomial(3))
    assert _terms(model) == {
        "x": {"y"}, "y": {"x", "y", "x^2*y"}
    }  # fmt: skip


def _solved(rate, start, t):
    return solve_ivp(rate, (t[0], t[-1]), start, "LSODA", t, rtol=1e-10, atol=1e-12).y.T


def _terms(model):
    return {
        name: {model.term_names[m] for m in np.flatnonzero(row)}
        for name, row in zip(model.names, model.support, strict=True)
    }


def test_missing_values_are_bridged():
    case = get_case("cycle")
    t, y = case.observe(0, step=0.1)
    rng = np.random.default_rng(1)
    y[rng.random(y.shape) < 0.3] = np.nan
    y[100:120, 0] = np.nan
    model = discover(t, y)
    assert np.array_equal(model.support, case.coefficients() != 0)
    exact = case.solution(0.1)[1][: len(t)]
    assert np.abs(model.denoised[0] - exact).max() < 2 * model.noise.max()


class TestExactStarts:
    """Initial values that are known, and variables that are not measured."""

    T = np.linspace(0, 8, 120)
    K1, K2 = 1.0, 0.4
    B = K1 / (K2 - K1) * (np.exp(-K1 * T) - np.exp(-K2 * T))

    def discover_decay(self):
        """A decays into B, which is hidden, and B into C: all rates follow from A and C."""
        a = np.exp(-self.K1 * self.T)
        y = np.stack([a, np.full(len(self.T), np.nan), 1 - a - self.B], axis=1)
        y[1:] += 0.003 * np.random.default_rng(0).standard_normal((len(self.T) - 1, 3))
        y[0] = [1.0, 0.0, 0.0]
        knowledge = Knowledge(
            only={"A": ["A"], "B": ["A", "B", "C"], "C": ["A", "B", "C"]},
            tied=[{("A", "A"): -1.0, ("B", "A"): 1.0}, {("B", "B"): -1.0, ("C", "B"): 1.0}],
        )
        return discover(
            self.T, y, Polynomial(1), names=["A", "B", "C"], hidden=["B"], exact_start=True, knowledge=knowledge
        )

    def check_decay(self, model):
        assert [model.term_names[m] for m in np.flatnonzero(model.support[1])] == ["A", "B"]
        assert model.coefficients[1, model.library.index("A")] == pytest.approx(self.K1, rel=0.02)
        assert model.coefficients[2, model.library.index("B")] == pytest.approx(self.K2, rel=0.02)

    def test_a_hidden_variable_is_reconstructed_with_its_equations(self):
        model = self.discover_decay()
        self.check_decay(model)
        np.testing.assert_allclose(model.denoised[0][:, 1], self.B, atol=0.01)
        assert np.isnan(model.noise[1])

    def test_single_moves_alone_lead_from_the_full_library_to_the_true_terms(self, monkeypatch):
        def run(search, *, halve):
            states = search.guesses[0]
            beta = regress(search.problem, states, search.everything)
            full = search.settle(search.problem, states, beta, search.everything, search.noise)
            assert len(full.support) == search.problem.columns.count
            return search._try_single_moves(full)

        monkeypatch.setattr(SupportSearch, "run", run)
        self.check_decay(self.discover_decay())

    def test_an_equilibrium_is_not_left_without_a_cause(self):
        """Starting from exactly zero, no equation without a constant term reaches what was measured."""
        t = np.linspace(0, 8, 100)
        y = (1e-3 * np.exp(t) * (1 + 0.01 * np.random.default_rng(0).standard_normal(100)))[:, None]
        y[0] = 0.0
        with pytest.raises(Undetermined):
            discover(t, y, Polynomial(1, constant=False), exact_start=True)
        assert discover(t, y, Polynomial(1), exact_start=True).support.all()


def test_functions_of_the_variables_are_found():
    from scipy.integrate import solve_ivp

    t = np.linspace(0, 20, 800)
    states = solve_ivp(lambda _, s: [s[1], -np.sin(s[0])], (0, 20), [2.5, 0.0], t_eval=t, rtol=1e-10, atol=1e-10).y.T
    y = states + 0.01 * np.random.default_rng(0).standard_normal(states.shape)
    model = discover(t, y, Polynomial(2, ["sin(a)", "cos(a)"]), names=["a", "w"])
    assert model.equations()[0].startswith("da/dt =")
    assert [model.term_names[m] for m in np.flatnonzero(model.support[1])] == ["sin(a)"]
    assert model.coefficients[1, model.library.index("sin(a)")] == pytest.approx(-1.0, abs=0.01)


class TestKnowledge:
    """Statements about the coefficients."""

    def test_a_mirrored_equation_conserves_the_sum(self):
        from scipy.integrate import solve_ivp

        t = np.linspace(0, 8, 300)
        flow = lambda s: 0.8 * s[0] * s[1] - 0.3 * s[1]  # noqa: E731
        states = solve_ivp(lambda _, s: [-flow(s), flow(s)], (0, 8), [0.99, 0.01], t_eval=t, rtol=1e-10, atol=1e-12).y.T
        y = states + 0.005 * np.random.default_rng(0).standard_normal(states.shape)
        model = discover(t, y, names=["s", "i"], knowledge=Knowledge(mirrored={"s": ("i", -1.0)}))
        np.testing.assert_allclose(model.coefficients[0], -model.coefficients[1])
        total = model.denoised[0].sum(axis=1)
        np.testing.assert_allclose(total, total[0], rtol=1e-5)
        assert "ds/dt = -1 × di/dt" in model.summary()

    def test_fixed_excluded_and_required_coefficients_are_respected(self):
        case = get_case("cycle")
        t, y = case.observe(0, step=0.1)
        knowledge = Knowledge(fixed={("x", "x"): 1.0}, exclude=[("y", "1")], required=[("y", "x^2")])
        model = discover(t, y, knowledge=knowledge)
        index = model.library.index
        assert model.coefficients[0, index("x")] == pytest.approx(1.0)
        assert model.standard_errors[0, index("x")] == 0.0
        assert model.support[1, index("x^2")]
        assert not model.support[1, index("1")]
        low, high = model.intervals(0.999)[1, index("x^2")]
        assert low < 0 < high

    def test_terms_can_be_restricted(self):
        case = get_case("cycle")
        t, y = case.observe(0, step=0.1)
        model = discover(t, y, Polynomial(4), knowledge=Knowledge(only={"x": ["x", "x*y"], "y": ["y", "x*y"]}))
        assert model.support.sum() == 4

    @pytest.mark.parametrize(
        ("knowledge", "message"),
        [
            (Knowledge(exclude=[("q", "x")]), "no variable 'q'"),
            (Knowledge(exclude=[("x", "x^9")]), r"no term 'x\^9'"),
            (Knowledge(fixed={("x", "x"): np.nan}), "finite"),
            (Knowledge(only={"x": [], "y": []}), "no coefficient is left"),
            (Knowledge(mirrored={"x": ("y", 1.0), "y": ("x", 1.0)}), "cannot mirror"),
            (Knowledge(fixed={("x", "x"): 1.0}, required=[("x", "x")]), "required"),
            (Knowledge(tied=[{("x", "x"): 1.0, ("y", "y"): 0.0}]), "tied"),
        ],
    )
    def test_a_wrong_statement_is_refused(self, knowledge, message):
        t, y = get_case("cycle").observe(0, step=0.5)
        with pytest.raises(InputError, match=message):
            discover(t, y, knowledge=knowledge)


T, Y = get_case("cycle").observe(0, step=0.5)


@pytest.mark.parametrize(
    ("t", "y", "options", "message"),
    [
        (T[:2], Y[:2], {}, "needs at least 3"),
        (T[:6], Y[:6], {}, "at least 8 are needed"),
        (T[::-1], Y, {}, "times must increase, but row 2"),
        (np.repeat(T[:32], 2), Y, {}, "row 2 .* is repeated"),
        (np.where(T[5] == T, np.nan, T), Y, {}, "time in row 6 is nan"),
        (T, np.where(Y[7, 1] == Y, np.inf, Y), {}, "row 8, variable 2 is infinite"),
        (T, np.ones((len(T), 2)), {}, "x, y: constant throughout"),
        (T, np.column_stack([Y, np.full(len(T), np.nan)]), {}, "'z' has 0 values.*hidden"),
        (T[:-1], Y, {}, "shape"),
        (T, Y, {"names": ["a"]}, "1 names"),
        (T, Y, {"names": ["a", "a"]}, "unique"),
        (T, Y, {"names": ["a", "b c"]}, "not an identifier"),
        (T, Y, {"hidden": ["q"]}, "hidden variable 'q'"),
        (T, Y, {"library": Polynomial(12)}, "91 candidate terms .* only 64 values"),
        (T, [["a", "b"]] * len(T), {}, "not numbers"),
        ([T, T], [Y], {}, "2 arrays of times for 1"),
        ([T, T], [Y, Y[:, :1]], {}, "all need the same"),
    ],
)
def test_unusable_input_is_refused_with_what_and_where(t, y, options, message):
    with pytest.raises(InputError, match=message):
        discover(t, y, **options)


def test_pure_noise_determines_nothing():
    rng = np.random.default_rng(0)
    with pytest.raises(Undetermined, match=r"no term is significant|better than constants"):
        discover(np.arange(200.0), 3.0 + rng.standard_normal((200, 2)))


def test_a_random_walk_is_not_passed_off_as_a_law():
    rng = np.random.default_rng(0)
    try:
        model = discover(np.arange(300.0), np.cumsum(rng.standard_normal((300, 2)), axis=0))
    except Undetermined:
        return
    assert any("is not noise" in caveat for caveat in model.caveats)


def test_a_law_outside_the_library_is_flagged():
    t = np.linspace(0, 30, 600)
    rng = np.random.default_rng(0)
    # A forced oscillator without the forcing among its variables: autonomous equations cannot hold it.
    y = (np.sin(t) + 0.5 * np.sin(np.sqrt(7) * t) + 0.01 * rng.standard_normal(600))[:, None]
    try:
        model = discover(t, y)
    except Undetermined:
        return
    assert model.caveats


def test_variables_in_fixed_proportion_leave_the_support_ambiguous():
    """Where y = 2 x all along, a rate in x and one in y cannot be told apart."""
    t = np.linspace(0, 4, 300)
    rng = np.random.default_rng(0)
    y = np.exp(-t)[:, None] * np.array([1.0, 2.0]) + 0.005 * rng.standard_normal((300, 2))
    model = discover(t, y, Polynomial(1))
    assert model.support.sum() == 2
    assert model.confidence < 0.7
    assert model.alternatives[0].price < 6
    assert any("information-limited" in caveat for caveat in model.caveats)


def test_a_solution_that_escapes_ends_in_nan_and_not_in_an_exception():
    t = np.linspace(0, 0.9, 200)
    y = (1 / (1 - t))[:, None] * (1 + 0.001 * np.random.default_rng(0).standard_normal((200, 1)))
    model = discover(t, y)
    assert [model.term_names[m] for m in np.flatnonzero(model.support[0])] == ["x^2"]
    path = model.simulate([1.0], np.linspace(0, 3, 50))
    assert np.isfinite(path[:10]).all()
    assert np.isnan(path[-1]).all()


@pytest.mark.filterwarnings("ignore:lsoda")
def test_equations_of_high_degree_may_blow_up_within_a_step():
    t, y = get_case("lorenz-short").observe(0)
    model = discover(t, y)
    library = Polynomial(5).bind(model.names)
    coefficients = np.random.default_rng(0).standard_normal((3, len(library)))
    wild = replace(model, library=library, coefficients=coefficients)
    path = wild.simulate([-8.0, 8.0, 27.0], np.linspace(0, 10, 1001))
    assert np.isfinite(path[0]).all()
    assert np.isnan(path[1:]).any()


def test_simulate_agrees_with_the_closed_form():
    t = np.linspace(0, 8, 200)
    exact = 1 / (1 + 9 * np.exp(-t))
    model = discover(t, exact[:, None] + 0.003 * np.random.default_rng(0).standard_normal((200, 1)), names=["n"])
    path = model.simulate([0.1], t)[:, 0]
    r = model.coefficients[0, 1]
    k = -r / model.coefficients[0, 2]
    np.testing.assert_allclose(path, k / (1 + (k / 0.1 - 1) * np.exp(-r * t)), rtol=1e-6)


def test_the_summary_is_a_table_however_long_the_names():
    t, y = get_case("cycle").observe(0, step=0.5)
    lines = [line for line in discover(t, y, names=["prey", "a_long_name"]).summary().split("\n") if "95 %:" in line]
    assert len(lines) == 4
    assert len({line.index("95 %:") for line in lines}) == 1
    assert all("  95 %:" in line for line in lines)


def test_the_summary_says_for_which_values_the_equations_were_measured():
    model = discover(*get_case("cycle").observe(0, step=0.5))
    line = next(line for line in model.summary().split("\n") if line.startswith("measured: "))
    low, high = (float(end) for end in re.search(r"x (\S+) to (\S+), y", line).groups())
    assert low == pytest.approx(model.denoised[0][:, 0].min(), rel=0.01)
    assert high == pytest.approx(model.denoised[0][:, 0].max(), rel=0.01)
    assert line.endswith("of values beyond, the equations are a guess")


def test_simulate_refuses_a_wrong_start():
    t, y = get_case("cycle").observe(0, step=0.5)
    model = discover(t, y)
    with pytest.raises(InputError, match="x0 has shape"):
        model.simulate([1.0], t)
    with pytest.raises(InputError, match="confidence level"):
        model.intervals(1.5)


def test_the_same_data_give_the_same_bits():
    t, y = get_case("lorenz-short").observe(3)
    first, second = discover(t, y), discover(t, y)
    assert np.array_equal(first.coefficients, second.coefficients)
    assert np.array_equal(first.covariance, second.covariance)
