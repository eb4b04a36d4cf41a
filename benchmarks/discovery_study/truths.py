"""Random cases with a known truth, inside the library or outside it, of 12 to 200 points: do caveats say which?

A case follows from its row and seed alone. What a library can reach is told by `miss`: the full library, all
coefficients and initial states free, is fitted to the *noise-free* samples by least squares on its solutions, each
sample weighted by the standard deviation σ of its noise; the miss is the largest distance that remains at a sample,
in σ. Truths that are missed by `TOLD` or more are to be told by a caveat. The fit begins at the regressions of the
true rates on the terms of each degree up to the library's, and the closest of these fits counts: another optimum may
be closer still, so that a miss may be told too large, but never too small.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.integrate import solve_ivp
from scipy.optimize import least_squares

from discovery_study import fitting
from discovery_study.fitting import Data
from discovery_study.formula import Dynamics
from discovery_study.scoring import Row
from mechscreen.discovery.library import FloatArray, Library, Polynomial
from mechscreen.errors import InputError, nearest

POINTS = (12, 200)
NOISE = (0.005, 0.05)
"""Standard deviation of the noise relative to the range of each variable."""

TOLD = 3.0
"""Distance in standard deviations of a sample's noise from which a miss is to be told."""

FAULT_POINTS = 12
"""Samples of the cases that are made like reported faults."""

DENSE = 400
"""Times at which the solution is known to the fit of what a library can reach."""

Rate = Callable[[float, FloatArray], Sequence[float]]
Rng = np.random.Generator


@dataclass(frozen=True)
class Truth:
    """What a family draws.

    Attributes
    ----------
    rate
        Time derivatives (D,) of all variables.
    start
        (D,) initial state.
    duration
        Time covered.
    degree
        Of the library of monomials that the samples are given to.
    inside
        The equations of the observed variables, if the library holds them.
    form
        Those equations, if they are closed and the library does not; another library may.
    observed
        How many variables are observed, from the first.
    offset
        What is added to the first.
    proportional
        Whether the noise is in proportion to the values.
    exact
        Which of the variables have no noise.
    """

    rate: Rate
    start: Sequence[float]
    duration: float
    degree: int
    inside: Dynamics | None = None
    form: Dynamics | None = None
    observed: int = 1
    offset: float = 0.0
    proportional: bool = False
    exact: tuple[int, ...] = ()


@dataclass(frozen=True)
class RandomCase:
    """Samples of a truth.

    Attributes
    ----------
    family
        What it is an example of.
    truth
        What they were made from.
    t
        (n,) times.
    states
        (n, d) without noise.
    sigma
        (n, d) standard deviations of the noise.
    y
        (n, d) with noise.
    dense
        Times (m,) and observed states (m, d) of the whole solution.
    """

    family: str
    truth: Truth
    t: FloatArray
    states: FloatArray
    sigma: FloatArray
    y: FloatArray
    dense: tuple[FloatArray, FloatArray]

    @property
    def names(self) -> tuple[str, ...]:
        """(d,) observed variables."""
        return NAMES[: self.truth.observed]


NAMES = ("x", "y", "z")


def _between(rng: Rng, low: float, high: float) -> float:
    """Draw uniformly in the logarithm."""
    return float(np.exp(rng.uniform(np.log(low), np.log(high))))


def _signed(rng: Rng, low: float, high: float) -> float:
    return float(rng.choice([-1.0, 1.0])) * _between(rng, low, high)


def _inside(
    equations: Sequence[str], start: Sequence[float], duration: float, degree: int, *, proportional: bool = False
) -> Truth:
    """Return a truth that a library of this degree holds."""
    dynamics = Dynamics(NAMES[: len(equations)], tuple(equations))
    rate = dynamics.rate
    d = len(equations)
    return Truth(lambda _, x: rate(*x), start, duration, degree, dynamics, observed=d, proportional=proportional)


def _form(*equations: str) -> Dynamics:
    return Dynamics(NAMES[: len(equations)], equations)


def polynomial(rng: Rng) -> Truth:
    """A sparse system in one to three variables; those that leave all bounds, or do not move, are drawn anew."""
    d = int(rng.integers(1, 4))
    degree = int(rng.integers(1, 4 if d == 1 else 3))
    terms = Polynomial(degree).bind(NAMES[:d]).names
    equations = []
    for _ in range(d):
        chosen = rng.choice(len(terms), size=min(int(rng.integers(1, 5)), len(terms)), replace=False)
        equations.append(" + ".join(f"({_signed(rng, 0.2, 3.0):.4g})*{terms[m]}" for m in sorted(chosen)))
    start = [_signed(rng, 0.2, 3.0) for _ in range(d)]
    return _inside(equations, start, _between(rng, 2.0, 20.0), min(degree + int(rng.integers(0, 2)), 3 if d < 3 else 2))


def relaxation(rng: Rng) -> Truth:
    """x' = a − b x."""
    b, level = _between(rng, 0.1, 5.0), _between(rng, 0.3, 30.0)
    start = level * _between(rng, 0.03, 4.0)
    return _inside([f"{b * level!r} - {b!r}*x"], [start], rng.uniform(1.5, 7.0) / b, int(rng.integers(1, 3)))


def logistic(rng: Rng) -> Truth:
    """x' = r x (1 − x/K)."""
    r, k = _between(rng, 0.2, 3.0), _between(rng, 0.5, 50.0)
    return _inside([f"{r!r}*x - {r / k!r}*x^2"], [k * rng.uniform(0.02, 0.3)], rng.uniform(4.0, 9.0) / r, 2)


def predation(rng: Rng) -> Truth:
    """Lotka and Volterra's x' = a x − b x y, y' = −c y + d x y."""
    a, c = _between(rng, 0.5, 2.0), _between(rng, 0.5, 2.0)
    x, y = _between(rng, 0.5, 20.0), _between(rng, 0.5, 20.0)
    start = [x * _between(rng, 0.4, 2.5), y * _between(rng, 0.4, 2.5)]
    equations = [f"{a!r}*x - {a / y!r}*x*y", f"-{c!r}*y + {c / x!r}*x*y"]
    return _inside(equations, start, rng.uniform(6.0, 20.0) / np.sqrt(a * c), 2)


def oscillator(rng: Rng) -> Truth:
    """A damped oscillator, x' = y."""
    w, damping = _between(rng, 0.7, 3.0), rng.uniform(0.05, 0.6)
    equations = ["1.0*y", f"-{w**2!r}*x - {damping * w!r}*y"]
    return _inside(equations, [_signed(rng, 0.5, 5.0), 0.0], rng.uniform(6.0, 15.0) / w, int(rng.integers(1, 3)))


def chain(rng: Rng) -> Truth:
    """Reactions one after the other, x → y → z."""
    k, m = _between(rng, 0.3, 2.0), _between(rng, 0.3, 2.0)
    equations = [f"-{k!r}*x", f"{k!r}*x - {m!r}*y", f"{m!r}*y"]
    return _inside(equations, [_between(rng, 1.0, 50.0), 0.0, 0.0], rng.uniform(2.5, 7.0) / min(k, m), 1)


def epidemic(rng: Rng) -> Truth:
    """Susceptible and infected."""
    b, g, n = _between(rng, 0.8, 3.0), _between(rng, 0.2, 0.6), _between(rng, 1.0, 1000.0)
    equations = [f"-{b / n!r}*x*y", f"{b / n!r}*x*y - {g!r}*y"]
    return _inside(equations, [n * 0.95, n * 0.05], rng.uniform(6.0, 12.0) / np.sqrt(b * g), 2)


def michaelis_menten(rng: Rng) -> Truth:
    """Substrate that an enzyme turns over."""
    v, k = _between(rng, 0.5, 2.0), _between(rng, 0.05, 0.7)
    duration, form = rng.uniform(1.3, 2.5) / v, _form(f"-{v!r}*x/({k!r} + x)")
    return Truth(lambda _, x: [-v * x[0] / (k + x[0])], [1.0], duration, int(rng.integers(1, 3)), form=form)


def hill(rng: Rng) -> Truth:
    """A gene that activates itself."""
    a, n, b = _between(rng, 1.5, 4.0), int(rng.choice([2, 4])), _between(rng, 0.5, 1.0)

    def rate(_: float, x: FloatArray) -> list[float]:
        return [a * x[0] ** n / (1 + x[0] ** n) + 0.1 - b * x[0]]

    start, duration = rng.uniform(0.05, 6.0), rng.uniform(5.0, 12.0) / b
    form = _form(f"{a!r}*x^{n}/(1 + x^{n}) + 0.1 - {b!r}*x")
    return Truth(rate, [start], duration, int(rng.integers(1, 3)), form=form)


def logistic_under_lines(rng: Rng) -> Truth:
    """Logistic growth for a library of degree 1."""
    own = logistic(rng)
    return Truth(own.rate, own.start, own.duration, 1, form=own.inside)


def gompertz(rng: Rng) -> Truth:
    """Growth of a tumour."""
    r, k = _between(rng, 0.3, 2.0), _between(rng, 1.0, 50.0)

    def rate(_: float, x: FloatArray) -> list[float]:
        return [r * x[0] * np.log(k / max(x[0], 1e-9))]

    start, duration = k * _between(rng, 0.002, 0.1), rng.uniform(3.0, 7.0) / r
    return Truth(rate, [start], duration, int(rng.integers(1, 3)), form=_form(f"-{r!r}*x*log(x/{k!r})"))


def saturating_predation(rng: Rng) -> Truth:
    """Prey that predators take ever more slowly (Rosenzweig and MacArthur)."""
    a, h, m = _between(rng, 1.5, 4.0), _between(rng, 0.5, 2.0), _between(rng, 0.3, 0.6)

    def rate(_: float, x: FloatArray) -> list[float]:
        eaten = a * x[0] * x[1] / (1 + h * a * x[0])
        return [x[0] * (1 - x[0] / 2) - eaten, 0.8 * eaten - m * x[1]]

    start = [rng.uniform(0.2, 2.0), rng.uniform(0.1, 1.0)]
    eaten = f"{a!r}*x*y/(1 + {h * a!r}*x)"
    form = _form(f"x*(1 - x/2) - {eaten}", f"0.8*{eaten} - {m!r}*y")
    return Truth(rate, start, rng.uniform(12.0, 30.0), 2, form=form, observed=2)


def forcing(rng: Rng) -> Truth:
    """A sine from outside, which is not among the variables."""
    k, w, a = _between(rng, 0.3, 2.0), _between(rng, 0.5, 3.0), _between(rng, 0.5, 3.0)
    start = [rng.uniform(-2.0, 2.0)]
    duration = rng.uniform(6.0, 20.0) / w
    return Truth(lambda t, x: [-k * x[0] + a * np.sin(w * t)], start, duration, int(rng.integers(1, 4)))


def exponential(rng: Rng) -> Truth:
    """A diode's current."""
    a, c = _between(rng, 0.5, 3.0), _between(rng, 1.5, 5.0)
    start, duration = rng.uniform(-1.5, 0.2), rng.uniform(2.0, 5.0) / a
    form = _form(f"{a!r} - 0.05*(exp({c!r}*x) - 1)")
    return Truth(lambda _, x: [a - 0.05 * np.expm1(c * x[0])], [start], duration, int(rng.integers(1, 3)), form=form)


def half_an_oscillator(rng: Rng) -> Truth:
    """An oscillator of which the velocity is not observed."""
    own = oscillator(rng)
    return Truth(own.rate, own.start, own.duration, int(rng.integers(1, 3)))


def two_decays(rng: Rng) -> Truth:
    """Exchange with a second compartment, which is not observed."""
    k, there, back = _between(rng, 0.1, 0.5), _between(rng, 1.0, 3.0), _between(rng, 0.1, 0.5)

    def rate(_: float, x: FloatArray) -> list[float]:
        return [-(k + there) * x[0] + back * x[1], there * x[0] - back * x[1]]

    return Truth(rate, [_between(rng, 1.0, 50.0), 0.0], rng.uniform(4.0, 12.0), int(rng.integers(1, 3)))


def delay(rng: Rng) -> Truth:
    """Growth that is limited by what was some time ago (two hidden stages)."""
    r, k = _between(rng, 0.8, 2.0), _between(rng, 0.4, 1.0)

    def rate(_: float, x: FloatArray) -> list[float]:
        return [r * x[0] * (1 - x[2]), k * (x[0] - x[1]), k * (x[1] - x[2])]

    start = rng.uniform(0.1, 0.5)
    return Truth(rate, [start, start, start], rng.uniform(12.0, 25.0) / r, int(rng.integers(1, 4)))


def step(rng: Rng) -> Truth:
    """An input that steps, and is not among the variables."""
    k, duration = _between(rng, 0.8, 3.0), rng.uniform(6.0, 12.0)
    levels = rng.uniform(0.0, 3.0, 4)
    while np.abs(np.diff(levels)).min() < 1:
        levels = rng.uniform(0.0, 3.0, 4)

    def rate(t: float, x: FloatArray) -> list[float]:
        return [k * (levels[min(int(4 * t / duration), 3)] - x[0])]

    return Truth(rate, [levels[0] * 0.2], duration, int(rng.integers(1, 4)))


def outflow(rng: Rng) -> Truth:
    """A vessel that empties (Torricelli), with an inflow."""
    a, inflow = _between(rng, 1.0, 3.0), rng.uniform(0.0, 0.3)
    start = [_between(rng, 2.0, 10.0)]
    duration = rng.uniform(1.5, 2.5) * np.sqrt(start[0]) / a
    form = _form(f"{inflow!r} - {a!r}*sqrt(x)")
    return Truth(lambda _, x: [inflow - a * np.sqrt(max(x[0], 0.0))], start, duration, 1, form=form)


def logistic_on_an_offset(rng: Rng) -> Truth:
    """Logistic growth on a blank, as of an optical density, for a library of degree 1."""
    own = logistic(rng)
    return Truth(own.rate, own.start, own.duration, 1, offset=_between(rng, 1.0, 1000.0) * own.start[0])


def fault_1(rng: Rng) -> Truth:
    """Logistic growth that a library of degree 1 takes for a relaxation."""
    r, k = _between(rng, 0.6, 2.0), _between(rng, 1.0, 10.0)
    start = [k * rng.uniform(0.03, 0.12)]
    duration, form = rng.uniform(7.0, 11.0) / r, _form(f"{r!r}*x*(1 - x/{k!r})")
    return Truth(lambda _, x: [r * x[0] * (1 - x[0] / k)], start, duration, 1, form=form)


def fault_2(rng: Rng) -> Truth:
    """A substrate whose saturation the library lacks, and a product that it has all terms of."""
    k, a, b = rng.uniform(0.1, 0.3), _between(rng, 0.3, 0.8), _between(rng, 0.2, 0.5)

    def rate(_: float, x: FloatArray) -> list[float]:
        return [-x[0] / (k + x[0]), a * x[0] - b * x[1]]

    form = _form(f"-x/({k!r} + x)", f"{a!r}*x - {b!r}*y")
    return Truth(rate, [_between(rng, 1.0, 3.0), 0.0], rng.uniform(4.0, 8.0), 1, form=form, observed=2)


def fault_3(rng: Rng) -> Truth:
    """An input that is switched on and off, taken for a variable."""
    k, every = _between(rng, 0.6, 2.0), rng.uniform(1.5, 3.0)

    def rate(t: float, x: FloatArray) -> list[float]:
        # The input's change is so fast that it is done within a hundredth of the time between samples.
        return [k * (x[1] - x[0]), 1000.0 * (float(int(t / every) % 2 == 0) - x[1])]

    return Truth(rate, [0.0, 1.0], 2.75 * every, 1, observed=2, exact=(1,))


def fault_4(rng: Rng) -> Truth:
    """A decay on an offset ten to a million times its size."""
    k, size = _between(rng, 0.3, 1.0), _between(rng, 0.5, 5.0)
    offset = size * _between(rng, 10.0, 1e6)
    start = offset + size
    dynamics = Dynamics(("x",), (f"{k * offset!r} - {k!r}*x",))
    return Truth(lambda _, x: [-k * x[0]], [start - offset], rng.uniform(3.0, 8.0) / k, 1, dynamics, offset=offset)


def fault_5(rng: Rng) -> Truth:
    """A decay with noise in proportion to the values."""
    k = _between(rng, 0.3, 3.0)
    return _inside([f"-{k!r}*x"], [_between(rng, 1.0, 100.0)], rng.uniform(4.0, 6.0) / k, 2, proportional=True)


def fault_8(rng: Rng) -> Truth:
    """A sine, of which the second variable is missing."""
    w = _between(rng, 0.7, 2.0)
    duration = rng.uniform(5.0, 12.0) / w
    return Truth(lambda _, x: [x[1], -(w**2) * x[0]], [_between(rng, 0.5, 5.0), 0.0], duration, int(rng.integers(1, 3)))


Family = Callable[[Rng], Truth]

FAMILIES: Mapping[str, Sequence[Family]] = {
    "inside": (polynomial,) * 6 + (relaxation, logistic, predation, oscillator, chain, epidemic),
    "outside": (
        michaelis_menten, hill, logistic_under_lines, gompertz, saturating_predation, forcing, exponential,
        half_an_oscillator, two_decays, delay, step, outflow, logistic_on_an_offset,
    ),
    "faults": (fault_1, fault_2, fault_3, fault_4, fault_5, fault_8),
}  # fmt: skip
"""Rows of the table, and what is drawn in each."""


def draw(row: str, seed: int) -> RandomCase:
    """Draw a case.

    Raises
    ------
    InputError
        If there is no such row.
    """
    if row not in FAMILIES:
        raise InputError(f"no random cases '{row}'{nearest(row, FAMILIES)} (valid: {', '.join(FAMILIES)})")
    rng = np.random.default_rng([seed, list(FAMILIES).index(row)])
    family = FAMILIES[row][int(rng.integers(len(FAMILIES[row])))]
    while (case := _sample(family, rng, row)) is None:
        pass
    return case


def _sample(family: Family, rng: Rng, row: str) -> RandomCase | None:
    """Draw a truth of a family and samples of it; None if it leaves all bounds, or if a variable does not move."""
    truth = family(rng)
    terms = len(Polynomial(truth.degree).bind(NAMES[: truth.observed]))
    n = FAULT_POINTS if row == "faults" else max(round(_between(rng, *POINTS)), 2 * terms)
    unequal = row != "faults" and rng.random() < 0.3
    t = np.sort(rng.uniform(0, truth.duration, n)) if unequal else np.linspace(0, truth.duration, n)
    share = _between(rng, *NOISE)
    dense_t = np.linspace(0, truth.duration, DENSE)
    all_t = np.union1d(dense_t, t)
    solution = _solve(truth, all_t)
    if solution is None:
        return None
    states, dense = (solution[np.searchsorted(all_t, some)] for some in (t, dense_t))
    spread = np.ptp(states, axis=0)
    if (spread < 0.1 * np.abs(states).max(axis=0)).any():
        return None
    sigma = share * np.abs(states) if truth.proportional else np.broadcast_to(share * spread, states.shape).copy()
    sigma[:, list(truth.exact)] = 0.0
    shift = np.zeros(truth.observed)
    shift[0] = truth.offset
    y = states + shift + sigma * rng.standard_normal(states.shape)
    return RandomCase(family.__name__, truth, t, states + shift, sigma, y, (dense_t, dense + shift))


def _solve(truth: Truth, t: FloatArray) -> FloatArray | None:
    """Observed states (n, d), None if the solution leaves all bounds."""

    def leaves(_: float, x: FloatArray) -> float:
        return 1e3 * (1 + max(map(abs, truth.start))) - float(np.abs(x).max())

    leaves.terminal = True  # type: ignore[attr-defined]
    with np.errstate(all="ignore"):
        solution = solve_ivp(
            truth.rate, (0.0, truth.duration), list(truth.start), method="LSODA", t_eval=t, rtol=1e-8, atol=1e-10,
            max_step=truth.duration / 50, events=leaves,
        )  # fmt: skip
    if (
        solution.y.shape[1] < len(t)
        or np.abs(solution.y[: truth.observed]).max() > 30 * max(map(abs, truth.start)) + 30
    ):
        return None
    return solution.y[: truth.observed].T


def miss(case: RandomCase) -> float:
    """Largest distance of the library's closest solution from the truth, in standard deviations of the noise."""
    if case.truth.inside is not None:
        return 0.0
    dense_t, dense_x = case.dense
    centre, size = dense_x.mean(axis=0), np.ptp(dense_x, axis=0)
    duration = dense_t[-1]
    # A full library of monomials holds the same solutions wherever its variables begin and whatever their units.
    states = (case.states - centre) / size
    sigma = np.maximum(case.sigma / size, 1e-6)
    library = Polynomial(case.truth.degree).bind(case.names)
    t = case.t / duration
    dense = (dense_x - centre) / size
    best = np.inf
    for degree in range(1, case.truth.degree + 1):
        theta = _regress(library, dense_t / duration, dense, degree)
        best = min(best, _closest(library, t, states, sigma, theta))
    return best


def _regress(library: Library, t: FloatArray, x: FloatArray, degree: int) -> FloatArray:
    """Coefficients (d, n_terms) of the terms up to a degree that are closest to the true rates."""
    values, _ = library.evaluate(x)
    used = library.exponents.sum(axis=1) <= degree
    theta = np.zeros((x.shape[1], len(library)))
    theta[:, used] = np.linalg.lstsq(values[:, used], np.gradient(x, t, axis=0), rcond=1e-8)[0].T
    return theta


def _closest(library: Library, t: FloatArray, states: FloatArray, sigma: FloatArray, theta: FloatArray) -> float:
    """Largest weighted distance that is left by least squares on the solutions, from these coefficients on."""
    shape, d = theta.shape, states.shape[1]

    def residuals(unknown: FloatArray) -> FloatArray:
        """(b, n · d) of b sets of unknowns (b, p)."""
        thetas = unknown[:, d:].reshape(len(unknown), *shape)
        paths = _paths(library, thetas, unknown[:, :d], t)
        return ((paths - states) / sigma).reshape(len(unknown), -1)

    def jacobian(unknown: FloatArray) -> FloatArray:
        steps = 1e-6 * np.maximum(np.abs(unknown), 0.1)
        moved = residuals(np.concatenate([unknown + np.diag(steps), unknown - np.diag(steps)]))
        return ((moved[: len(unknown)] - moved[len(unknown) :]) / (2 * steps[:, None])).T

    start = np.concatenate([states[0], theta.ravel()])
    found = least_squares(lambda u: residuals(u[None])[0], start, jacobian, x_scale="jac", max_nfev=40)
    return float(np.abs(found.fun).max())


def _paths(library: Library, theta: FloatArray, start: FloatArray, t: FloatArray) -> FloatArray:
    """Solutions (b, n, d) for b coefficients (b, d, n_terms) and states (b, d) at t[0], by Runge–Kutta; clipped."""
    out = np.empty((len(start), len(t), start.shape[1]))
    out[:, 0] = x = start

    def rate(x: FloatArray) -> FloatArray:
        values, _ = library.evaluate(np.clip(x, -10.0, 10.0))
        return np.matmul(theta, values[:, :, None])[:, :, 0]

    for i in range(1, len(t)):
        n = max(2, int(np.ceil((t[i] - t[i - 1]) * 100)))
        h = (t[i] - t[i - 1]) / n
        for _ in range(n):
            k1 = rate(x)
            k2 = rate(x + 0.5 * h * k1)
            k3 = rate(x + 0.5 * h * k2)
            x = np.clip(x + h / 6 * (k1 + 2 * k2 + 2 * k3 + rate(x + h * k3)), -10.0, 10.0)
        out[:, i] = x
    return out


def measure(row: str, seed: int, *, method: str, library: str | None, limit: float) -> Row:
    """Discover a random case; the library is the case's own, of monomials, unless another one is named.

    Returns
    -------
    As `fitting.fit`, with ``family``, ``points``, ``inside`` (None where another library is named that may hold the
    truth), ``as_assumed`` (whether the noise is of one size), ``miss`` (of the monomials) and, where the true equations
    are closed, ``right``.
    """
    case = draw(row, seed)
    truth = case.truth
    closed = truth.inside or truth.form
    known: Row = {"family": case.family, "points": len(case.t), "degree": truth.degree, "miss": miss(case)}
    known |= {"inside": truth.inside is not None, "as_assumed": not truth.proportional}
    if library is not None and fitting.degree_of(library) is None and truth.form is not None:
        known["inside"] = None
    return known | fitting.fit(
        Data(case.names, [case.t], [case.y]),
        library or f"degree {truth.degree}",
        lambda model: {} if closed is None else {"right": closed.is_found(model)},
        limit=limit,
        method=method,
    )
