"""Least-squares fit of states and coefficients together, by collocation with soft constraints."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from mechscreen.discovery import kernels
from mechscreen.discovery.hermite import hermite, place
from mechscreen.discovery.inputs import Course
from mechscreen.discovery.library import FloatArray, IntArray, Library
from mechscreen.discovery.runge_kutta import rk4_step

BoolArray = NDArray[np.bool_]

_FARTHEST = 1.0
"""That unknowns inside of terms move in one step, on their scales."""


@dataclass(frozen=True)
class Columns:
    """How free coefficients enter the equations: ``theta = offset + Σ_p beta_p Σ_entries weight · e(equation, term)``.

    One column has one entry unless coefficients are tied to one another.

    Attributes
    ----------
    column, equation, term
        (n_entries,) indices.
    weight
        (n_entries,).
    count
        Number of columns, P.
    offset
        (d, M), the coefficients' fixed part.
    """

    column: IntArray
    equation: IntArray
    term: IntArray
    weight: FloatArray
    count: int
    offset: FloatArray

    def theta(self, beta: FloatArray) -> FloatArray:
        """Coefficients (d, M) from free coefficients (P,)."""
        theta = self.offset.copy()
        np.add.at(theta, (self.equation, self.term), self.weight * beta[self.column])
        return theta


class Grid:
    """Nodes of all trajectories in a row, and the samples compressed onto them.

    Parameters
    ----------
    trajectories
        Pairs of times (n,) and values (n, d), NaN where missing.
    nodes
        Node times of each trajectory, from its first to its last sample.
    errors
        Standard deviations of the samples' noise (n, d) in each trajectory, but for a factor for each variable; all are
        the same unless given.
    """

    def __init__(
        self,
        trajectories: Sequence[tuple[FloatArray, FloatArray]],
        nodes: Sequence[FloatArray],
        errors: Sequence[FloatArray] | None = None,
    ) -> None:
        self.trajectories = trajectories
        self.errors = [np.ones_like(y) for _, y in trajectories] if errors is None else list(errors)
        self.nodes = [np.asarray(n, dtype=float) for n in nodes]
        self.starts = np.concatenate([[0], np.cumsum([len(n) for n in self.nodes])])
        self.t = np.concatenate(self.nodes)
        self.h = np.diff(self.t)
        self.h[self.starts[1:-1] - 1] = 0.0
        interval, position, observed = [], [], []
        for (t, y), n, start in zip(trajectories, self.nodes, self.starts, strict=False):
            i, share = place(n, t)
            interval.append(start + i)
            position.append(share)
            observed.append(y)
        self.rows, self.factor, self.target, self.rest, self.counts = kernels.compress(
            np.concatenate(interval), np.concatenate(position), np.concatenate(observed), np.concatenate(self.errors),
            len(self.h), self.h,
        )  # fmt: skip

    def __len__(self) -> int:
        return len(self.t)

    @property
    def duration(self) -> float:
        """Total time covered by all trajectories."""
        return float(self.h.sum())

    @property
    def variance(self) -> FloatArray:
        """What constants leave of the samples, mean squares (d,) in units of their errors."""
        values, errors = np.concatenate([y for _, y in self.trajectories]), np.concatenate(self.errors)
        weights = np.where(np.isfinite(values), errors**-2, 0.0)
        mean = np.nansum(values * weights, axis=0) / np.maximum(weights.sum(axis=0), 1e-300)
        left = np.nansum((values - mean) ** 2 * weights, axis=0)
        return np.asarray(left / np.maximum(self.counts, 1))

    @property
    def halved(self) -> list[FloatArray]:
        """Nodes of each trajectory with others in the middles between them."""
        return [np.sort(np.concatenate([n, 0.5 * (n[1:] + n[:-1])])) for n in self.nodes]

    def samples_of(self, k: int) -> list[tuple[FloatArray, FloatArray, FloatArray]]:
        """Return times, values and errors (n,) of one variable in each trajectory."""
        pairs = zip(self.trajectories, self.errors, strict=True)
        return [(t, y[:, k], errors[:, k]) for (t, y), errors in pairs]

    def with_nodes(self, nodes: Sequence[FloatArray]) -> Grid:
        """Return the same samples on other nodes."""
        return Grid(self.trajectories, nodes, self.errors)

    def split(self, values: FloatArray) -> list[FloatArray]:
        """Cut an array along the nodes into one per trajectory."""
        return [values[a:b] for a, b in zip(self.starts[:-1], self.starts[1:], strict=True)]


@dataclass(frozen=True)
class Rates:
    """Library values, rates and Jacobians at the nodes and midpoints of one candidate."""

    x: FloatArray
    theta: FloatArray
    """(d + 2 s, used terms), the coefficients."""
    values: FloatArray
    """(N, used terms + unknowns): of the terms, and how what they stand for changes with each unknown inside of one."""
    f: FloatArray
    jacobian: FloatArray
    values_mid: FloatArray
    f_mid: FloatArray
    jacobian_mid: FloatArray
    data: FloatArray
    """Sum of squared data residuals per variable (d,), the part beyond reach included."""
    defects: FloatArray
    """Sum over intervals of squared defects over h, per variable (d,)."""


class BlowUp(ArithmeticError):  # noqa: N818 - reads as what happened
    """A candidate is so far off that its quadratic model is not finite."""


@dataclass
class Quadratic:
    """Quadratic model of half the misfit in the free coefficients, states eliminated (Schur complement).

    ``J(beta + step) ≈ J + gradient · step + ½ step · hessian · step``.
    """

    gradient: FloatArray
    hessian: FloatArray


class Collocation:
    """Fits ``dx/dt = theta · library(x)`` to compressed samples on a grid.

    The unknowns are the states at all nodes and the free coefficients. Residuals are the samples' and the
    Hermite–Simpson defects ``x₁ − x₀ − h/6 (f₀ + 4 f_m + f₁)``, the latter weighted by ``1/(looseness² h)``: a
    looseness of 1 lets the states follow the data, a small one makes them a solution of the equations.
    All quantities are dimensionless (see `mechscreen.discovery.data.Scales`).
    """

    def __init__(
        self,
        grid: Grid,
        library: Library,
        term_scales: FloatArray,
        state_scales: FloatArray,
        columns: Columns,
        anchors: FloatArray | None = None,
        courses: Sequence[Course] = (),
        walks: FloatArray | None = None,
    ) -> None:
        self.grid = grid
        self.library = library
        self.columns = columns
        self._term_scales = term_scales
        self._state_scales = state_scales
        self._anchors = anchors
        """(n_trajectories, d) exact initial values, NaN where free."""
        self._courses = tuple(courses)
        """Of the inputs that go in steps, in each trajectory; none where there are no such inputs."""
        self.walks = np.zeros(0) if walks is None else walks
        """(s,), intensities of the random walks that the rates of change of sampled inputs are."""
        d, s = len(library.states), len(self.walks)
        self._sampled, self._changes = np.arange(d, d + s), np.arange(d + s, d + 2 * s)
        self.hidden = grid.counts == 0
        """(d + 2 s,), states that have no samples and no walk."""
        self.hidden[self._changes] = False
        middles = [0.5 * (nodes[1:] + nodes[:-1]) for nodes in grid.nodes]
        self.linear, self.unknowns = columns.count, library.unknowns
        """How many coefficients are free, and the terms of unknowns, which come after them in `beta`."""
        self.count = self.linear + len(self.unknowns)
        self._inputs, self._inputs_mid = self._inputs_at(grid.nodes), self._inputs_at(middles, seams=True)
        known = np.zeros((0, 0), dtype=bool) if anchors is None else np.isfinite(anchors)
        trajectory, self._anchored_variable = np.nonzero(known)
        self._anchored_node = grid.starts[trajectory]
        self._anchor_values = np.zeros(0) if anchors is None else anchors[known]

    def with_grid(self, grid: Grid) -> Collocation:
        """Return the same problem on another grid."""
        return Collocation(
            grid,
            self.library,
            self._term_scales,
            self._state_scales,
            self.columns,
            self._anchors,
            self._courses,
            self.walks,
        )

    def _inputs_at(self, times: Sequence[FloatArray], *, seams: bool = False) -> FloatArray | None:
        """Return the inputs (n, q) at times of each trajectory, with a row at each seam; None where there are none."""
        if not self._courses:
            return None
        parts = []
        for course, own in zip(self._courses, times, strict=True):
            parts.append(course(own))
            if seams:
                parts.append(parts[-1][-1:])
        return np.concatenate(parts[:-1] if seams else parts)

    def library_at(
        self, x: FloatArray, terms: IntArray, inputs: FloatArray | None = None, library: Library | None = None
    ) -> tuple[FloatArray, FloatArray]:
        """Scaled library values (n, M) and slopes (n, M, …) at scaled states (n, d + 2 s) and inputs in steps.

        The values of unknowns are those of a library, and those to begin with unless given; after the terms' values
        come the changes with these, (n, M + I).
        """
        library = library or self.library
        width = x.shape[1]
        known = self._known(x, inputs)
        if len(library.functions) == 0:
            values, slopes = kernels.monomials(np.ascontiguousarray(known), library.exponents[terms])
        else:
            known = known * self._state_scales
            values, slopes, changes = library.expand(known, terms)
            scale = self._term_scales[terms]
            values, slopes = values / scale, slopes * self._state_scales / scale[:, None]
            if self.unknowns:
                changes /= self._term_scales[[m for m, _ in self.unknowns]]
                values = np.concatenate([values, changes], axis=1)
        if len(self.walks) == 0:
            return values, slopes
        of_states = np.zeros((*slopes.shape[:2], width))
        of_states[:, :, : self._changes[0]] = slopes[:, :, : self._changes[0]]
        return values, of_states

    def _known(self, x: FloatArray, inputs: FloatArray | None) -> FloatArray:
        """Return what terms are of, (n, d + q): states, sampled inputs without their changes, inputs in steps."""
        known = x[:, : x.shape[1] - len(self.walks)]
        return known if inputs is None else np.concatenate([known, inputs], axis=1)

    def along(self, x: FloatArray, *, between: bool = False, units: bool = True) -> tuple[FloatArray, FloatArray]:
        """Variables (n, d + q) and terms (n, M), with units or scaled, at scaled states at nodes or between them."""
        inputs = self._inputs_mid if between else self._inputs
        values = self.library_at(x, np.arange(len(self.library)), inputs)[0][:, : len(self.library)]
        known = self._known(x, inputs)
        return (known * self._state_scales, values * self._term_scales) if units else (known, values)

    def library_on_nodes(self, x: FloatArray) -> FloatArray:
        """Scaled values of the whole library at states (N, d + 2 s) at the nodes, (N, M)."""
        return self.library_at(x, np.arange(len(self.library)), self._inputs)[0]

    def start(self, beta: FloatArray) -> FloatArray:
        """Coefficients (P,) and, after them, the unknowns as they begin, (P + I,)."""
        return np.concatenate([beta, self.library.positions])

    def with_unknowns(self, active: IntArray) -> IntArray:
        """Active columns, and those of the unknowns inside of the terms that they use, and of no others."""
        active = active[active < self.linear]
        used = set(self.columns.term[np.isin(self.columns.column, active)].tolist())
        inside = [self.linear + i for i, (m, _) in enumerate(self.unknowns) if m in used]
        return np.concatenate([active, np.array(inside, dtype=np.int64)])

    def entries(
        self, rates: Rates, active: IntArray, terms: IntArray
    ) -> tuple[IntArray, IntArray, IntArray, FloatArray]:
        """How active columns act on rates: place among them, equation, column of the rates' values, weight."""
        columns = self.columns
        place = np.full(self.count, -1)
        place[active] = np.arange(len(active))
        local = np.full(len(self.library), -1)
        local[terms] = np.arange(len(terms))
        chosen = np.isin(columns.column, active)
        found = (
            place[columns.column[chosen]], columns.equation[chosen], local[columns.term[chosen]], columns.weight[chosen]
        )  # fmt: skip
        inside = [
            (place[self.linear + i], k, len(terms) + i, rates.theta[k, local[m]])
            for i, (m, _) in enumerate(self.unknowns)
            if place[self.linear + i] >= 0 and local[m] >= 0
            for k in range(len(self.library.states))
        ]
        if not inside:
            return found
        more = zip(*inside, strict=True)
        return tuple(np.concatenate([own, np.array(of, own.dtype)]) for own, of in zip(found, more, strict=True))  # type: ignore[return-value]

    def _theta(self, beta: FloatArray) -> FloatArray:
        """Coefficients (d + 2 s, M); nothing of the library for sampled inputs and their changes."""
        theta = self.columns.theta(beta)
        return np.concatenate([theta, np.zeros((2 * len(self.walks), theta.shape[1]))]) if len(self.walks) else theta

    def _right_hand_side(
        self, x: FloatArray, values: FloatArray, slopes: FloatArray, theta: FloatArray
    ) -> tuple[FloatArray, FloatArray]:
        """Rates and Jacobians, those of sampled inputs too: their rates of change are states."""
        own = np.ascontiguousarray(values[:, : theta.shape[1]]) if self.unknowns else values
        f, jacobian = kernels.right_hand_side(own, slopes, theta)
        if len(self.walks):
            f[:, self._sampled] = x[:, self._changes]
            jacobian[:, self._sampled, self._changes] = 1.0
        return f, jacobian

    def _library(self, beta: FloatArray) -> Library:
        """Terms with the unknowns as they are in `beta` (P + I,)."""
        return self.library.at(beta[self.linear :])

    def rates(self, x: FloatArray, beta: FloatArray, terms: IntArray) -> Rates:
        """Evaluate a candidate, whose coefficients are zero outside of `terms`."""
        grid, library = self.grid, self._library(beta)
        own = np.ascontiguousarray(self._theta(beta)[:, terms])
        values, slopes = self.library_at(x, terms, self._inputs, library)
        f, jacobian = self._right_hand_side(x, values, slopes, own)
        x_mid = kernels.midpoints(x, f, grid.h)
        values_mid, slopes_mid = self.library_at(x_mid, terms, self._inputs_mid, library)
        f_mid, jacobian_mid = self._right_hand_side(x_mid, values_mid, slopes_mid, own)
        data, defects = kernels.misfit(x, f, f_mid, grid.h, grid.rows, grid.factor, grid.target)
        return Rates(x, own, values, f, jacobian, values_mid, f_mid, jacobian_mid, data + grid.rest, defects)

    def _misfit(self, x: FloatArray, beta: FloatArray, terms: IntArray) -> tuple[FloatArray, FloatArray]:
        """Return the sums of squares of `rates` alone: of data and of defects, per variable."""
        grid, library = self.grid, self._library(beta)
        own = self._theta(beta)[:, terms]

        def rate(x: FloatArray, inputs: FloatArray | None) -> FloatArray:
            known = self._known(x, inputs)
            values = library.values(known * self._state_scales if library.functions else known, terms)
            f = (values / self._term_scales[terms] if library.functions else values) @ own.T
            if len(self.walks):
                f[:, self._sampled] = x[:, self._changes]
            return f

        f = rate(x, self._inputs)
        f_mid = rate(kernels.midpoints(x, f, grid.h), self._inputs_mid)
        data, defects = kernels.misfit(x, f, f_mid, grid.h, grid.rows, grid.factor, grid.target)
        return data + grid.rest, defects

    def local_errors(self, fit: Fit) -> FloatArray:
        """Discretisation error of each interval per unit of time, (N − 1, d); zero at seams.

        Runge–Kutta of order 4 in four steps from each node, which is ten times as accurate as one interval of the
        collocation, against the next node.
        """
        terms, library = self.used_terms(fit.active), self._library(fit.beta)
        theta = np.ascontiguousarray(self._theta(fit.beta)[:, terms])
        grid, width = self.grid, self.grid.h

        def rate(x: FloatArray, share: float) -> FloatArray:
            times = [nodes[:-1] + share * np.diff(nodes) for nodes in grid.nodes]
            values, slopes = self.library_at(x, terms, self._inputs_at(times, seams=True), library)
            return self._right_hand_side(x, values, slopes, theta)[0]

        with np.errstate(all="ignore"):
            state = _step(rate, fit.x[:-1], width[:, None])
            error = np.abs(state - fit.x[1:]) / np.where(width > 0, width, np.inf)[:, None]
        # Sampled inputs follow no equation.
        error[:, len(self.library.states) :] = 0.0
        return np.nan_to_num(error, nan=0.0, posinf=0.0)

    @property
    def exact_starts(self) -> bool:
        """Whether all initial states are known in full, so that the coefficients alone fix the solution."""
        return self._anchors is not None and bool(np.isfinite(self._anchors).all())

    def integrate(self, beta: FloatArray, active: IntArray) -> FloatArray | None:
        """Solution (N, d) of the equations from the exact starts, at the nodes; None if it blows up.

        Runge–Kutta of order 4 in four steps an interval.
        """
        assert self._anchors is not None
        grid = self.grid
        terms, library = self.used_terms(active), self._library(beta)
        theta = np.ascontiguousarray(self._theta(beta)[:, terms])
        if not (self.library.functions or len(self.walks)) and all(course.stays for course in self._courses):
            x = self._integrate_monomials(theta, self.library.exponents[terms])
            return x if np.isfinite(x).all() else None

        x = np.empty((len(grid), theta.shape[0]))
        with np.errstate(all="ignore"):
            for own, (start, first, last) in enumerate(
                zip(self._anchors, grid.starts[:-1], grid.starts[1:], strict=True)
            ):
                x[first] = state = start[None]
                for node in range(first + 1, last):
                    begin, width = grid.t[node - 1], grid.h[node - 1]

                    def rate(
                        x: FloatArray, share: float, own: int = own, begin: float = begin, width: float = width
                    ) -> FloatArray:
                        inputs = self._courses[own](np.array([begin + share * width])) if self._courses else None
                        return self.library_at(x, terms, inputs, library)[0][:, : len(terms)] @ theta.T

                    state = _step(rate, state, width)
                    if not np.isfinite(state).all():
                        return None
                    x[node] = state
        return x

    def _integrate_monomials(self, theta: FloatArray, exponents: IntArray) -> FloatArray:
        """Solution (N, d) of equations in which inputs never change, from the exact starts; infinite from a blow-up."""
        assert self._anchors is not None
        grid, d = self.grid, theta.shape[0]
        if not self._courses:
            return kernels.integrate(self._anchors, grid.starts, grid.h, exponents, theta, 4)
        parts = []
        for start, nodes, course in zip(self._anchors, grid.nodes, self._courses, strict=True):
            # What inputs are is a factor of each coefficient.
            own = theta * np.prod(course(nodes[:1]) ** exponents[:, d:], axis=1)
            ends = np.array([0, len(nodes)])
            parts.append(kernels.integrate(start[None], ends, np.diff(nodes), exponents[:, :d].copy(), own, 4))
        return np.concatenate(parts)

    def interpolate(self, fit: Fit, nodes: Sequence[FloatArray]) -> FloatArray:
        """States of a fit at other node times, (N', d)."""
        return np.concatenate(
            [
                hermite(old, x, f, new)
                for old, x, f, new in zip(
                    self.grid.nodes, self.grid.split(fit.x), self.grid.split(fit.rates.f), nodes, strict=True
                )
            ]
        )

    def _anchor_gaps(self, x: FloatArray) -> FloatArray:
        """Distances of the states from the known initial values, one for each of these."""
        return x[self._anchored_node, self._anchored_variable] - self._anchor_values

    def used_terms(self, active: IntArray) -> IntArray:
        """Return the terms that the active columns and the fixed coefficients use, as `Rates` of them have."""
        used = np.zeros(len(self.library), dtype=bool)
        used[self.columns.term[np.isin(self.columns.column, active)]] = True
        used |= (self.columns.offset != 0).any(axis=0)
        return np.flatnonzero(used)

    def _normal_equations(
        self, rates: Rates, active: IntArray, terms: IntArray, weight: FloatArray, precision: FloatArray,
        anchor_weight: float, damping: float,
    ) -> tuple[Quadratic, FloatArray, FloatArray, FloatArray, bool]:  # fmt: skip
        grid = self.grid
        diagonal, coupling, border, tall = kernels.assemble(
            rates.x, grid.h, rates.values, rates.f, rates.jacobian, rates.values_mid, rates.f_mid,
            rates.jacobian_mid, grid.rows, grid.factor, grid.target, weight, precision,
            *self.entries(rates, active, terms), len(active),
        )  # fmt: skip
        node, variable = self._anchored_node, self._anchored_variable
        diagonal[node, variable, variable] += anchor_weight
        border[node, variable, -1] += anchor_weight * self._anchor_gaps(rates.x)
        lower, upper, definite = kernels.eliminate(diagonal, coupling, border, damping)
        flat = border.reshape(-1, border.shape[2])
        schur = tall.T @ tall - flat.T @ flat
        return Quadratic(schur[:-1, -1], schur[:-1, :-1]), lower, upper, border, definite

    def quadratic(
        self, x: FloatArray, beta: FloatArray, active: IntArray, looseness: float, noise: FloatArray
    ) -> Quadratic:
        """Quadratic model around (x, beta) in the `active` columns, which may be more than those in use.

        Raises
        ------
        BlowUp
            If it is not finite.
        """
        terms = self.used_terms(active)
        rates = self.rates(x, beta, terms)
        weight, precision, anchor_weight = self._weights(looseness, noise, x)
        model = self._normal_equations(rates, active, terms, weight, precision, anchor_weight, 0.0)[0]
        # Products of sizes up to this one stay finite.
        if not (np.abs(model.hessian) < 1e150).all() or not (np.abs(model.gradient) < 1e150).all():
            raise BlowUp
        return model

    def lack(self, fit: Fit, looseness: float) -> float:
        """Weighted sum of squared defects: how far a fit is from solving its equations."""
        return float(fit.rates.defects @ self._weights(looseness, np.ones(fit.x.shape[1]), fit.x)[0])

    def _weights(self, looseness: float, noise: FloatArray, x: FloatArray) -> tuple[FloatArray, FloatArray, float]:
        weight = np.full(len(noise), looseness**-2)
        hidden = self.hidden
        if hidden.any():
            # A hidden variable has no scale of its own: weighed absolutely, its defects would vanish as it shrinks.
            weight[hidden] /= np.maximum((x[:, hidden] ** 2).mean(axis=0), 1e-12)
        weight[self._changes] = self.walks**-2
        return weight, noise**-2, float(1e6 * np.max(noise**-2))

    def fit(
        self,
        x: FloatArray,
        beta: FloatArray,
        active: IntArray,
        looseness: float,
        noise: FloatArray,
        *,
        iterations: int,
        tolerance: float,
        ridge: float = 0.0,
    ) -> Fit:
        """Damped Gauss–Newton from (x, beta), with the columns outside `active` at zero.

        Stops when the expected decrease of half the misfit falls below `tolerance`. `ridge` is the precision of a
        Gaussian prior on the free coefficients, which keeps directions that the data leave open from drifting.
        """
        active = self.with_unknowns(active)
        terms = self.used_terms(active)
        weight, precision, anchor_weight = self._weights(looseness, noise, x)
        beta = self._only(beta, active)
        held = ridge * (active < self.linear)

        def cost(data: FloatArray, defects: FloatArray, x: FloatArray, beta: FloatArray) -> float:
            total = data @ precision + defects @ weight + held @ beta[active] ** 2
            gaps = self._anchor_gaps(x)
            return 0.5 * float(total + anchor_weight * gaps @ gaps)

        rates = self.rates(x, beta, terms)
        value = cost(rates.data, rates.defects, x, beta)
        damping = 0.0
        converged = False
        if not np.isfinite(value):
            return Fit(x, beta, active, rates, np.inf, False)
        for _ in range(iterations):
            quadratic, lower, upper, border, definite = self._normal_equations(
                rates, active, terms, weight, precision, anchor_weight, damping
            )
            hessian = quadratic.hessian + np.diag(held)
            gradient = quadratic.gradient + held * beta[active]
            step = _solve(hessian, gradient, damping) if definite else None
            if step is None:
                damping = max(10 * damping, 1e-3)
                if damping > 1e9:
                    break
                continue
            move = kernels.back_substitute(lower, upper, border, step)
            farthest = float(np.abs(step[active >= self.linear]).max(initial=0.0))
            size = whole = min(1.0, _FARTHEST / max(farthest, 1e-300))
            accepted = False
            for trials in range(6):
                trial_beta = beta.copy()
                trial_beta[active] += size * step
                if self.unknowns:
                    trial_beta[self.linear :] = self.library.at(trial_beta[self.linear :]).positions
                trial_x = x + size * move
                trial = self.rates(trial_x, trial_beta, terms) if trials == 0 else None
                data, defects = (trial.data, trial.defects) if trial else self._misfit(trial_x, trial_beta, terms)
                trial_value = cost(data, defects, trial_x, trial_beta)
                if np.isfinite(trial_value) and trial_value <= value + 1e-12 * abs(value):
                    accepted = True
                    break
                size *= 0.4
            if not accepted:
                if damping > 1e6:
                    break
                damping = max(10 * damping, 1.0)
                continue
            decrease = value - trial_value
            x, beta, value = trial_x, trial_beta, trial_value
            rates = trial or self.rates(x, beta, terms)
            damping = 0.0 if size == whole else damping
            if decrease < tolerance and whole == 1.0:
                converged = True
                break
        return Fit(x, beta, active, rates, value, converged)

    def _only(self, beta: FloatArray, active: IntArray) -> FloatArray:
        """Return `beta` with the coefficients outside of the active columns at zero."""
        start = np.zeros_like(beta)
        start[active] = beta[active]
        start[self.linear :] = beta[self.linear :]
        return start

    def shoot(
        self, beta: FloatArray, active: IntArray, looseness: float, noise: FloatArray, *, iterations: int,
        tolerance: float,
    ) -> Fit | None:  # fmt: skip
        """Levenberg–Marquardt over solutions from the exact starts, with the columns outside `active` at zero.

        Around a solution the defects vanish, so that eliminating the states gives its sensitivities. Returns None if
        the first solution blows up.
        """
        active = self.with_unknowns(active)
        terms = self.used_terms(active)
        beta = self._only(beta, active)

        def solve(beta: FloatArray) -> Fit | None:
            x = self.integrate(beta, active)
            if x is None:
                return None
            with np.errstate(all="ignore"):
                rates = self.rates(x, beta, terms)
                value = 0.5 * float(rates.data @ noise**-2)
            return Fit(x, beta, active, rates, value, True) if np.isfinite(value) else None

        fit = solve(beta)
        if fit is None:
            return None
        damping = 1e-3
        quadratic = self.quadratic(fit.x, fit.beta, active, looseness, noise)
        for _ in range(iterations):
            step = _solve(quadratic.hessian, quadratic.gradient, 1e3 * damping)
            trial = None
            if step is not None:
                beta = fit.beta.copy()
                beta[active] += step
                trial = solve(beta)
            if trial is None or trial.cost >= fit.cost:
                damping *= 4
                if damping > 1e8:
                    return fit
                continue
            decrease = fit.cost - trial.cost
            fit, damping = trial, max(damping / 5, 1e-9)
            if decrease < tolerance:
                return fit
            quadratic = self.quadratic(fit.x, fit.beta, active, looseness, noise)
        return replace(fit, converged=False)


def _step(rate: Callable[[FloatArray, float], FloatArray], x: FloatArray, width: FloatArray | float) -> FloatArray:
    """States (n, d) after a time `width`, by Runge–Kutta of order 4 in four steps; `rate` is told how far they are."""
    parts = 4
    for k in range(parts):
        share = k / parts
        x = rk4_step(rate, x, width / parts, (share, share + 0.5 / parts, share + 1 / parts))
    return x


def _solve(hessian: FloatArray, gradient: FloatArray, damping: float) -> FloatArray | None:
    """Return the Gauss–Newton step, or None where the scaled Hessian is not positive definite."""
    if len(gradient) == 0:
        return np.zeros(0)
    scale = np.sqrt(np.maximum(np.diag(hessian), 1e-300))
    scaled = hessian / np.outer(scale, scale)
    scaled[np.diag_indices_from(scaled)] += 1e-12 + 1e-3 * damping
    try:
        factor = np.linalg.cholesky(scaled)
    except np.linalg.LinAlgError:
        return None
    inner = np.linalg.solve(factor, gradient / scale)
    return -np.linalg.solve(factor.T, inner) / scale


@dataclass(frozen=True)
class Fit:
    """States (N, d) and free coefficients (P,) that minimise the misfit for one support."""

    x: FloatArray
    beta: FloatArray
    active: IntArray
    rates: Rates
    cost: float
    converged: bool
