"""Until when solutions are known, beside many solutions of SciPy's."""

import re

import numpy as np
import pytest
from scipy.integrate import solve_ivp

from discovery_study.cases import get_case
from mechscreen.discovery import discover

PARTED = re.compile(r"solutions part after (\S+): .* (\w) is not told for longer")


@pytest.fixture(scope="module")
def lorenz():
    return discover(*get_case("lorenz-short").observe(0, noise=0.02))


def test_of_chaos_it_is_said_when_solutions_part(lorenz):
    found = next(match for caveat in lorenz.caveats if (match := PARTED.match(caveat)))
    told, name = float(found[1]), found[2]
    rng = np.random.default_rng(0)
    t = np.linspace(0, 8, 400)
    rows, columns = np.nonzero(lorenz.support)
    powers = lorenz.library.exponents
    every = []
    for _ in range(60):
        theta = lorenz.coefficients.copy()
        theta[rows, columns] += lorenz.standard_errors[rows, columns] * rng.standard_normal(len(rows))
        start = lorenz.initial[0] + 0.1 * lorenz.noise * rng.standard_normal(3)
        solution = solve_ivp(
            lambda _, x, theta=theta: theta @ np.prod(x**powers, axis=1),
            (0, 8),
            start,
            "LSODA",
            t,
            rtol=1e-8,
            atol=1e-8,
        )
        every.append(solution.y[lorenz.names.index(name)])
    spread = lorenz.denoised[0][:, lorenz.names.index(name)].std()
    # Linearised errors have no bound, solutions' have one: where they are a quarter, both still grow alike.
    quarter = t[int((np.std(every, axis=0) > 0.25 * spread).argmax())]
    assert 0.6 * quarter < told < 1.6 * quarter + 0.5


def test_of_a_cycle_that_attracts_nothing_is_said():
    model = discover(*get_case("cycle").observe(0, noise=0.1, step=0.1))
    assert not any(PARTED.match(caveat) for caveat in model.caveats)


def test_growth_alone_is_no_chaos():
    t = np.linspace(0, 5, 60)
    model = discover(t, np.exp(t) + 0.5 * np.random.default_rng(0).standard_normal(60))
    assert model.equations()[0].startswith("dx/dt = ")
    assert not any(PARTED.match(caveat) for caveat in model.caveats)
