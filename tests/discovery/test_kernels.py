"""The compiled kernels against dense linear algebra, SciPy and finite differences."""

import numpy as np
import pytest

from mechscreen.discovery import kernels
from mechscreen.discovery.collocation import Collocation, Grid
from mechscreen.discovery.data import smooth_samples
from mechscreen.discovery.knowledge import Knowledge
from mechscreen.discovery.library import Polynomial

TIMES = np.array([0.0, 0.1, 0.35, 0.4, 0.41, 0.42, 0.43, 0.44, 0.45, 0.9, 1.0])


@pytest.fixture
def rng():
    return np.random.default_rng(5)


def test_monomials_and_their_derivatives_equal_powers(rng):
    x = rng.normal(size=(20, 3))
    exponents = Polynomial(4).bind(("a", "b", "c")).exponents
    values, slopes = kernels.monomials(x, exponents)
    np.testing.assert_allclose(values, np.prod(x[:, None, :] ** exponents, axis=2), rtol=1e-12)
    step = 1e-6
    for j in range(3):
        up, down = x.copy(), x.copy()
        up[:, j] += step
        down[:, j] -= step
        numeric = (kernels.monomials(up, exponents)[0] - kernels.monomials(down, exponents)[0]) / (2 * step)
        np.testing.assert_allclose(slopes[:, :, j], numeric, atol=1e-7)


def test_compressed_samples_have_the_same_sum_of_squares_for_any_states(rng):
    y = rng.normal(size=(len(TIMES), 2))
    y[3, 0] = np.nan
    nodes = np.linspace(0, 1, 4)
    grid = Grid([(TIMES, y)], [nodes])
    x, f = rng.normal(size=(4, 2)), rng.normal(size=(4, 2))
    data, _ = kernels.misfit(x, f, np.zeros((3, 2)), grid.h, grid.rows, grid.factor, grid.target)
    from scipy.interpolate import CubicHermiteSpline

    direct = np.nansum((CubicHermiteSpline(nodes, x, f)(TIMES) - y) ** 2, axis=0)
    np.testing.assert_allclose(data + grid.rest, direct, rtol=1e-12)
    assert grid.rows.max() <= 4
    assert list(grid.counts) == [len(TIMES) - 1, len(TIMES)]


def test_block_elimination_solves_the_whole_bordered_system(rng):
    n, d, p = 7, 3, 4
    rows = rng.normal(size=(60, n * d + p + 1))
    # Rows touch neighbouring nodes only, so that the states' normal matrix is block tridiagonal.
    for i, row in enumerate(rows):
        node = i % (n - 1)
        row[: node * d] = 0
        row[(node + 2) * d : n * d] = 0
    states, residual = rows[:, : n * d], rows[:, -1]
    full = rows[:, :-1]
    expected = -np.linalg.solve(full.T @ full, full.T @ residual)
    matrix = states.T @ states
    diagonal = np.array([matrix[i * d : (i + 1) * d, i * d : (i + 1) * d] for i in range(n)])
    coupling = np.array([matrix[i * d : (i + 1) * d, (i + 1) * d : (i + 2) * d] for i in range(n - 1)])
    border = (states.T @ rows[:, n * d :]).reshape(n, d, p + 1)
    lower, upper, definite = kernels.eliminate(diagonal, coupling, border, 0.0)
    assert definite
    flat = border.reshape(-1, p + 1)
    tall = rows[:, n * d :]
    schur = tall.T @ tall - flat.T @ flat
    step = -np.linalg.solve(schur[:-1, :-1], schur[:-1, -1])
    move = kernels.back_substitute(lower, upper, border, step)
    np.testing.assert_allclose(step, expected[n * d :], rtol=1e-8)
    np.testing.assert_allclose(move.ravel(), expected[: n * d], rtol=1e-8, atol=1e-10)


def test_elimination_reports_a_singular_matrix():
    *_, definite = kernels.eliminate(np.zeros((2, 1, 1)), np.zeros((1, 1, 1)), np.zeros((2, 1, 1)), 0.0)
    assert not definite


def test_smoothing_recovers_signal_and_noise(rng):
    t = np.linspace(0, 10, 800)
    truth = np.sin(2 * t)
    y = (truth + 0.1 * rng.standard_normal(len(t)))[:, None]
    grid = Grid([(t, y)], [np.linspace(0, 10, 200)])
    states, rates, noise, _ = smooth_samples(grid)
    assert noise[0] == pytest.approx(0.1, rel=0.08)
    assert np.abs(states[:, 0] - np.sin(2 * grid.t)).max() < 0.08
    assert np.sqrt(np.mean((rates[:, 0] - 2 * np.cos(2 * grid.t)) ** 2)) < 0.2


def test_gradient_and_hessian_of_the_eliminated_misfit_match_finite_differences(rng):
    """The Schur complement is the curvature of the misfit after the states have been fitted."""
    library = Polynomial(1).bind(("x", "y"))
    t = np.linspace(0, 3, 40)
    y = np.stack([np.cos(t), 2 * np.sin(t)], axis=1) + 0.01 * rng.standard_normal((40, 2))
    grid = Grid([(t, y)], [np.linspace(0, 3, 25)])
    structure = Knowledge(tied=[{("x", "y"): 1.0, ("y", "x"): -2.0}]).bind(library, np.ones((2, 3)))
    problem = Collocation(grid, library, np.ones(3), np.ones(2), structure.columns)
    count = structure.columns.count
    assert count == 5
    noise, looseness = np.array([0.01, 0.02]), 0.01
    active = np.arange(count)
    start = smooth_samples(grid)[0]
    fit = problem.fit(start, np.zeros(count), active, looseness, noise, iterations=50, tolerance=1e-12)
    assert fit.converged
    quadratic = problem.quadratic(fit.x, fit.beta, active, looseness, noise)
    assert np.abs(quadratic.gradient / np.sqrt(np.diag(quadratic.hessian))).max() < 1e-4

    def eliminated(beta):
        """Half the misfit at fixed coefficients, minimised over the states."""
        terms = np.arange(3)
        weight, precision = np.full(2, looseness**-2), noise**-2
        x = fit.x
        for _ in range(8):
            rates = problem.rates(x, beta, terms)
            none = np.zeros(0, dtype=np.int64)
            diagonal, coupling, border, _ = kernels.assemble(
                rates.x, grid.h, rates.values, rates.f, rates.jacobian, rates.values_mid, rates.f_mid,
                rates.jacobian_mid, grid.rows, grid.factor, grid.target, weight, precision,
                none, none, none, np.zeros(0), 0,
            )  # fmt: skip
            lower, upper, _ = kernels.eliminate(diagonal, coupling, border, 0.0)
            x = x + kernels.back_substitute(lower, upper, border, np.zeros(0))
        rates = problem.rates(x, beta, terms)
        return 0.5 * float(rates.data @ precision + rates.defects @ weight)

    base = eliminated(fit.beta)
    assert base == pytest.approx(fit.cost, rel=1e-9)
    for p in range(count):
        step = 0.05 / np.sqrt(quadratic.hessian[p, p])
        up, down = fit.beta.copy(), fit.beta.copy()
        up[p] += step
        down[p] -= step
        curvature = (eliminated(up) - 2 * base + eliminated(down)) / step**2
        # Gauss–Newton leaves out the residuals' own curvature, which is small near a good fit.
        assert curvature == pytest.approx(quadratic.hessian[p, p], rel=0.05)
