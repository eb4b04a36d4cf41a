"""Which terms with unknowns inside an equation may have: found by matching integrals, before anything is solved.

Along the smoothed states, ``x(t) − x(0) = Σ coefficient · ∫ term dt`` (Dattner & Klaassen 2015, Electronic Journal of
Statistics 9:1939): linear in the coefficients, with the noise of the samples on the left, and so cheap that each form
is tried with many values of its unknowns.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from mechscreen.discovery import kernels
from mechscreen.discovery.collocation import Collocation
from mechscreen.discovery.data import NOISE_FLOOR
from mechscreen.discovery.forms import POSITIVE
from mechscreen.discovery.hermite import basis, place
from mechscreen.discovery.library import FloatArray, IntArray
from mechscreen.discovery.selection import best_subset, explained_by_pairs
from mechscreen.discovery.shapes import Shape

_LONGEST = 8.0
"""Time over which integrals run, in the data's time scale: errors of the smoothed states add up in them."""
_FEWEST = 8
"""Samples that a piece of a trajectory has at least."""
_KEPT = 12
"""Forms that are fitted beside terms that are chosen anew."""
_EXTENDED, _MOST = 3, 3
"""Proposals that are joined by other forms, and how many of these may stand in one equation."""
_DEARER = (1.0, 5.0, 25.0)
"""Multiples of a term's price at which those beside forms are chosen."""
_STEPS, _FARTHEST = 12, 1.0
"""Of Gauss and Newton for unknowns, and how far one goes, on their scales."""
_GAIN = 1e-2
"""Share of its sum of squares that some form gains by a step of all, below which no other one is made."""
_ALIKE = 0.01
"""Difference of the criteria of two proposals that say the same."""


@dataclass(frozen=True, eq=False)
class Proposal:
    """Terms that one equation may have.

    Attributes
    ----------
    terms
        Of the library without unknowns inside.
    shapes
        Those with unknowns, at values that suit.
    coefficients
        Of the terms and, after them, of the shapes, in the data's units.
    cost
        ``n ln(RSS/n)`` of the matched integrals, and the price of terms and unknowns.
    """

    terms: IntArray
    shapes: tuple[Shape, ...]
    coefficients: FloatArray
    cost: float


@dataclass(frozen=True)
class Path:
    """Smoothed states along which terms are integrated, at nodes and between them.

    Attributes
    ----------
    nodes, widths
        (N,) times, and (N − 1,) widths, 0 at the seam between trajectories.
    starts
        Index of the first node of each trajectory, and N.
    at, linear
        Variables (N, d + q) and terms without unknowns (N, M) at the nodes, in the data's units.
    between, linear_between
        The same in the middles between nodes, (N − 1, d + q) and (N − 1, M).
    """

    nodes: FloatArray
    widths: FloatArray
    starts: IntArray
    at: FloatArray
    linear: FloatArray
    between: FloatArray
    linear_between: FloatArray

    @classmethod
    def along(cls, problem: Collocation, states: FloatArray, *, units: bool = True) -> Path:
        """Return the path of smoothed states (N, d + 2 s), which are scaled, with the data's units unless told not to.

        Where samples are positive but for noise, the path is.
        """
        grid = problem.grid
        samples = np.concatenate([y for _, y in grid.trajectories])
        size = np.sqrt(np.nansum(samples**2, axis=0) / np.maximum(grid.counts, 1))
        positive = np.where(np.isfinite(samples), samples, np.inf).min(axis=0) > -POSITIVE * size
        floors = np.where(positive & (grid.counts > 0), 0.0, -np.inf)
        states = np.maximum(states, np.pad(floors, (0, states.shape[1] - len(floors)), constant_values=-np.inf))
        slopes = [np.gradient(own, nodes, axis=0) for nodes, own in zip(grid.nodes, grid.split(states), strict=True)]
        middle = kernels.midpoints(states, np.concatenate(slopes), grid.h)
        at, between = problem.along(states, units=units), problem.along(middle, between=True, units=units)
        return cls(grid.t, grid.h, grid.starts, *at, *between)


class Screening:
    """Search for the terms of one equation.

    Parameters
    ----------
    path
        What is integrated.
    samples
        Times (n,), values (n,) of the equation's variable, NaN where missing, and errors (n,) of these, but for a
        factor, in each trajectory.
    rate
        By which rates of change in the data's units are to be multiplied, for the path's times and the samples.
    noise
        Of the samples.
    allowed
        Terms without unknowns that the equation may have.
    known
        (M,) coefficients that are known.
    price, rarity
        Of a term, and what those that are rare cost beside it, (M,) of the terms that are allowed.
    few, inside
        For forms: places among these terms of those of which all subsets are tried beside each, and the price of an
        unknown.
    """

    def __init__(
        self,
        path: Path,
        samples: Sequence[tuple[FloatArray, FloatArray, FloatArray]],
        rate: float,
        *,
        noise: float,
        allowed: IntArray,
        known: FloatArray,
        price: float,
        rarity: FloatArray,
        few: Sequence[int] = (),
        inside: float = 0.0,
    ) -> None:
        self._path, self._rate, self._noise, self._allowed = path, rate, noise, allowed
        self._price, self._inside, self._rarity = price, inside, rarity
        target, precision, pieces, interval, share = [], [], [], [], []
        count = 0
        for (t, y, errors), first, last in zip(samples, path.starts[:-1], path.starts[1:], strict=True):
            there = np.isfinite(y)
            nodes, n = path.nodes[first:last], int(there.sum())
            i, z = place(nodes, t[there])
            target.append(y[there])
            precision.append(1 / errors[there])
            interval.append(first + i)
            share.append(z)
            own = min(max(min(int(np.ceil((nodes[-1] - nodes[0]) / _LONGEST)), n // _FEWEST), 1), n)
            pieces.append(count + np.arange(n) * own // max(n, 1))
            count += own
        piece, self._pieces = np.concatenate(pieces), count
        self._per_piece = np.bincount(piece, minlength=count)[:, None]
        self._first = np.concatenate([[0], np.cumsum(self._per_piece)[:-1]])
        self._precision = np.concatenate(precision)[:, None]
        self._weight = np.add.reduceat(self._precision**2, self._first, axis=0)
        self._interval = np.concatenate(interval)
        z = np.concatenate(share)
        self._weights = [weight[:, None] for weight in basis(z, path.widths[self._interval])]
        self._n = len(z)
        fixed = self._integrals((path.linear @ known)[:, None], (path.linear_between @ known)[:, None])
        self._target = (self._centred(np.concatenate(target)[:, None]) - fixed)[:, 0]
        self._linear = self._integrals(path.linear[:, allowed], path.linear_between[:, allowed])
        self._gram = self._linear.T @ self._linear
        self._moment = self._linear.T @ self._target
        self._few = [
            np.array(some, dtype=np.int64) for size in range(len(few) + 1) for some in itertools.combinations(few, size)
        ]
        self._columns = list(np.concatenate([path.at, path.between]).T)
        self._nodes = len(path.at)

    def run(self, forms: Sequence[Shape], count: int) -> list[Proposal]:
        """Return the best proposals, some `count`, best first: among them the best with each number of forms.

        What smoothing does to the states can be explained by further forms.
        """
        none, *fewer = self.without_forms()
        found = [none, *fewer]
        bases = [none]
        for level in range(_MOST):
            beside = self._few if level == 0 else [np.searchsorted(self._allowed, base.terms) for base in bases]
            starts = self._starts(bases, forms, beside)
            better = [one for shapes, terms in starts if (one := self._settled(shapes, terms)) is not None]
            found += [*better, *(self._with(shapes, terms) for shapes, terms in starts)]
            bases = sorted(better, key=_cost)[:_EXTENDED]
            if not bases or bases[0].cost > min(found, key=_cost).cost:
                break
        unlike: list[Proposal] = []
        for one in sorted(found, key=_cost):
            if not any(_alike(one, other) for other in unlike):
                unlike.append(one)
        sizes: dict[int, Proposal] = {}
        for one in unlike:
            sizes.setdefault(len(one.shapes), one)
        return sorted([*unlike[:count], *(one for one in sizes.values() if one not in unlike[:count])], key=_cost)

    def without_forms(self) -> list[Proposal]:
        """Return what is chosen without forms: at several prices, and the one or two terms that explain most."""
        few = self._one_or_two()
        chosen = [self._subset(self._of_shapes(()), dearer, few)[0] for dearer in _DEARER]
        return [self._with((), terms) for terms in [*chosen, *few]]

    def _one_or_two(self) -> list[IntArray]:
        """Return the term, and the two terms, that explain most by themselves: what a search by single moves misses."""
        total = float(self._target @ self._target)

        def cost(explained: FloatArray, rarity: FloatArray) -> FloatArray:
            return np.asarray(self._n * np.log(np.maximum(total - explained, 1e-12 * total)) + rarity)

        one = np.argmin(cost(self._moment**2 / np.maximum(np.diag(self._gram), 1e-300), self._rarity))
        pairs, explained = explained_by_pairs(self._gram, self._moment)
        two = pairs[np.argmin(cost(explained, self._rarity[pairs].sum(axis=1)))] if len(pairs) else ()
        return [np.array(own) for own in ([one], two) if len(own)]

    def _starts(
        self, bases: Sequence[Proposal], forms: Sequence[Shape], beside: Sequence[IntArray]
    ) -> list[tuple[tuple[Shape, ...], IntArray]]:
        """Return what promises most with one form more: forms with their unknowns, and terms beside them.

        The unknowns are fitted beside terms that are given, and beside those that are chosen where they begin, at
        several prices: values that are not yet what they should be are made up for by terms that do not stay.
        """
        ranked: list[tuple[float, tuple[Shape, ...], IntArray]] = []
        for base in bases:
            known = self._of_shapes(base.shapes)
            for form in forms:
                positions = np.array(
                    [
                        [unknown.position(value) for unknown, value in zip(form.unknowns, one, strict=True)]
                        for one in itertools.product(*(unknown.starts for unknown in form.unknowns))
                    ]
                )
                sets = {tuple(map(int, terms)) for terms in [*beside, *self._chosen_at(form, positions, known)]}
                for terms in sorted(sets):
                    own = np.array(terms, dtype=np.int64)
                    fixed = np.concatenate([self._linear[:, own], known], axis=1)
                    found, squares = self._optimised(form, positions, fixed)
                    best = int(np.argmin(squares))
                    if np.isfinite(squares[best]):
                        shapes = (*base.shapes, form.at(found[best]))
                        ranked.append((self._criterion(float(squares[best]), own, shapes), shapes, own))
        unlike: list[tuple[float, tuple[Shape, ...], IntArray]] = []
        for one in sorted(ranked, key=lambda one: one[0]):
            if not unlike or one[0] - unlike[-1][0] > _ALIKE:
                unlike.append(one)
        return [(shapes, terms) for _, shapes, terms in unlike[:_KEPT]]

    def _chosen_at(self, form: Shape, positions: FloatArray, known: FloatArray) -> list[IntArray]:
        """Return the terms that are chosen beside a form where that is best, at each of several prices."""
        found = []
        columns = self._integrated(form, positions)
        usable = columns[:, np.isfinite(columns).all(axis=0)]
        for dearer in _DEARER if usable.size else ():
            chosen = [self._subset(np.concatenate([known, column[:, None]], axis=1), dearer) for column in usable.T]
            found.append(min(chosen, key=lambda one: one[1])[0])
        return found

    def _optimised(self, form: Shape, positions: FloatArray, fixed: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Fit the unknowns of a form beside fixed columns (n, s), from all positions (g, I) at once.

        Levenberg and Marquardt with the coefficients eliminated (Golub & Pereyra 1973). Returns positions, and sums of
        squares (g,), infinite where there are none.
        """
        basis = np.linalg.qr(fixed)[0] if fixed.shape[1] else fixed
        target = self._target - basis @ (basis.T @ self._target)
        low, high = (
            np.array([u.position(end) for u, end in zip(form.unknowns, ends, strict=True)]) for ends in form.ends
        )

        def at(positions: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
            column, change = self._columns_of(form, positions)
            column = column - basis @ (basis.T @ column)
            change = change - np.einsum("ns,sig->nig", basis, np.einsum("ns,nig->sig", basis, change))
            size = np.maximum((column**2).sum(axis=0), 1e-300)
            coefficient = (target @ column) / size
            residual = target[:, None] - coefficient * column
            change = change - column[:, None] * (np.einsum("ng,nig->ig", column, change) / size)
            return residual, coefficient * change, np.where(np.isfinite(size), (residual**2).sum(axis=0), np.inf)

        with np.errstate(all="ignore"):
            residual, change, squares = at(positions)
            damping, own = np.full(len(positions), 1e-3), np.arange(len(form.unknowns))
            for _ in range(_STEPS):
                hessian = np.einsum("nig,njg->gij", change, change)
                gradient = np.einsum("nig,ng->gi", change, residual)
                usable = (
                    np.isfinite(squares) & np.isfinite(hessian).all(axis=(1, 2)) & np.isfinite(gradient).all(axis=1)
                )
                hessian[~usable], gradient[~usable] = 0.0, 0.0
                hessian[:, own, own] = hessian[:, own, own] * (1 + damping[:, None]) + 1e-300
                hessian[~usable] = np.eye(len(own))
                step = np.linalg.solve(hessian, gradient[:, :, None])[:, :, 0]
                trial = np.clip(positions + np.clip(step, -_FARTHEST, _FARTHEST), low, high)
                more, by, now = at(trial)
                better = now < squares
                gain = np.where(better, 1 - now / squares, 0.0)
                positions = np.where(better[:, None], trial, positions)
                residual, squares = np.where(better, more, residual), np.where(better, now, squares)
                change = np.where(better, by, change)
                damping = np.where(better, damping / 5, damping * 5)
                if gain.max(initial=0.0) < _GAIN:
                    break
        return positions, np.maximum(squares, self._n * NOISE_FLOOR**2)

    def _chosen(self, shapes: tuple[Shape, ...]) -> Proposal:
        """Return the best proposal with some forms at the values that their unknowns have."""
        return self._with(shapes, self._subset(self._of_shapes(shapes))[0])

    def _with(self, shapes: tuple[Shape, ...], terms: IntArray) -> Proposal:
        """Return the proposal of some forms at the values that their unknowns have, and of terms, by their places."""
        columns = self._of_shapes(shapes)
        left, _, coefficients = self._projected(self._linear[:, terms], columns)
        return Proposal(self._allowed[terms], shapes, coefficients, self._criterion(left, terms, shapes))

    def _criterion(self, squares: float, terms: IntArray, shapes: Sequence[Shape]) -> float:
        """Return the criterion of terms and forms that leave a sum of squares."""
        paid = self._price * (len(terms) + len(shapes)) + float(self._rarity[terms].sum())
        paid += sum(self._inside * len(shape.unknowns) + shape.rarity for shape in shapes)
        return self._n * float(np.log(max(squares / self._n, NOISE_FLOOR**2))) + paid

    def _settled(self, shapes: tuple[Shape, ...], terms: IntArray) -> Proposal | None:
        """Fit the unknowns of some forms, with the other terms chosen anew until these stay; None if that fails."""
        best = None
        for _ in range(3):
            shapes = self._fitted(shapes, terms)
            proposal = self._chosen(shapes)
            if not np.isfinite(proposal.cost) or (best is not None and proposal.cost > best.cost - 0.1):
                break
            best = proposal
            terms = np.searchsorted(self._allowed, proposal.terms)
        return best

    def _fitted(self, shapes: tuple[Shape, ...], terms: IntArray) -> tuple[Shape, ...]:
        """Fit the unknowns with the linear coefficients eliminated (Golub & Pereyra 1973)."""
        linear = self._linear[:, terms]
        columns, changes = self._expanded(shapes)
        value, residual, own = self._projected(linear, columns)
        owner = np.repeat(np.arange(len(shapes)), [len(shape.unknowns) for shape in shapes])
        for _ in range(_STEPS):
            jacobian = np.concatenate([linear, columns, own[linear.shape[1] + owner] * changes], axis=1)
            norms = np.maximum(np.sqrt((jacobian**2).sum(axis=0)), 1e-300)
            step = (np.linalg.lstsq(jacobian / norms, residual, rcond=1e-8)[0] / norms)[linear.shape[1] + len(shapes) :]
            if len(step) == 0 or not np.isfinite(step).all():
                break
            step *= min(1.0, _FARTHEST / max(float(np.abs(step).max()), 1e-300))
            before = value
            for _ in range(5):
                moved = _moved(shapes, step)
                more, by = self._expanded(moved)
                trial = self._projected(linear, more) if np.isfinite(more).all() else (np.inf, residual, own)
                if trial[0] < value:
                    shapes, columns, changes, (value, residual, own) = moved, more, by, trial
                    break
                step = step * 0.4
            if value > (1 - 1e-4) * before:
                break
        return shapes

    def _projected(self, linear: FloatArray, columns: FloatArray) -> tuple[float, FloatArray, FloatArray]:
        """Return the sum of squares that columns leave, the residual (n,), and the coefficients."""
        used = np.concatenate([linear, columns], axis=1)
        found = np.linalg.lstsq(used, self._target, rcond=1e-12)[0]
        residual = self._target - used @ found
        return float(residual @ residual), residual, found

    def _subset(
        self, extra: FloatArray, dearer: float = 1.0, starts: Sequence[IntArray] = ()
    ) -> tuple[IntArray, float]:
        """Choose terms beside columns (n, e) that stay; return them, by their places, and the criterion.

        As precise as the samples, and then as what is left says, if that is less. `dearer` multiplies their price;
        `starts` are further ones of the search.
        """
        p, e = self._linear.shape[1], extra.shape[1]
        prices = np.concatenate([dearer * self._price + self._rarity, np.full(e, self._price)])
        beside = self._linear.T @ extra
        gram = np.block([[self._gram, beside], [beside.T, extra.T @ extra]])
        moment = np.concatenate([self._moment, extra.T @ self._target])
        total = float(self._target @ self._target)
        variance = max(self._noise, NOISE_FLOOR) ** 2
        stay = np.arange(p, p + e)
        support, left = stay, total
        for _ in range(2):
            support, value = best_subset(
                gram / variance, moment / variance, prices, starts=[stay, support, *starts], locked=stay
            )
            left = max(total + variance * (value - float(prices[support].sum())), self._n * NOISE_FLOOR**2)
            variance = max(variance, left / max(self._n - len(support) - self._pieces, 1))
        chosen = support[support < p]
        return chosen, self._criterion(left, chosen, ()) + self._price * e

    def _of_shapes(self, shapes: Sequence[Shape]) -> FloatArray:
        """Return the integrals of forms at the values that they have, (n, e)."""
        columns = [self._integrated(shape, shape.positions[None]) for shape in shapes]
        return np.concatenate([np.zeros((self._n, 0)), *columns], axis=1)

    def _expanded(self, shapes: Sequence[Shape]) -> tuple[FloatArray, FloatArray]:
        """Return the integrals of forms, (n, e), and how they change with positions of the unknowns, (n, I)."""
        found = [self._columns_of(shape, shape.positions[None]) for shape in shapes]
        columns, changes = [column for column, _ in found], [change[:, :, 0] for _, change in found]
        empty = np.zeros((self._n, 0))
        return np.concatenate([empty, *columns], axis=1), np.concatenate([empty, *changes], axis=1)

    def _columns_of(self, form: Shape, positions: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Return the integrals of a form at positions (g, I) of its unknowns, (n, g), and their changes, (n, I, g)."""
        values, changes = form.many(self._columns, positions)
        g, count = len(positions), len(form.unknowns)
        every = np.concatenate([values, *changes]).T
        integrals = self._integrals(every[: self._nodes], every[self._nodes :])
        return integrals[:, :g], integrals[:, g:].reshape(-1, count, g)

    def _integrated(self, shape: Shape, positions: FloatArray) -> FloatArray:
        """Return the integrals (n, g) of a form at positions (g, I) of its unknowns."""
        values = shape.many(self._columns, positions)[0].T
        return self._integrals(values[: self._nodes], values[self._nodes :])

    def _integrals(self, at: FloatArray, between: FloatArray) -> FloatArray:
        """Integrate values at nodes (N, m) and between them (N − 1, m) to the samples, (n, m), by Simpson's rule."""
        with np.errstate(all="ignore"):
            at, between = self._rate * at, self._rate * between
            strips = self._path.widths[:, None] / 6 * (at[:-1] + 4 * between + at[1:])
            total = np.concatenate([np.zeros((1, at.shape[1])), np.cumsum(strips, axis=0)])
            i, (a, b, c, d) = self._interval, self._weights
            return self._centred(a * total[i] + b * at[i] + c * total[i + 1] + d * at[i + 1])

    def _centred(self, values: FloatArray) -> FloatArray:
        """Subtract the means (n, m) of pieces, each of which begins anywhere, and divide by the samples' errors."""
        means = np.add.reduceat(values * self._precision**2, self._first, axis=0) / self._weight
        return (values - np.repeat(means, self._per_piece[:, 0], axis=0)) * self._precision


def _cost(proposal: Proposal) -> float:
    return proposal.cost


def _moved(shapes: Sequence[Shape], step: FloatArray) -> tuple[Shape, ...]:
    """Return forms with their unknowns moved by steps (I,)."""
    ends = np.cumsum([len(shape.unknowns) for shape in shapes])
    parts = np.split(step, ends[:-1])
    return tuple(shape.at(shape.positions + part) for shape, part in zip(shapes, parts, strict=True))


def _alike(one: Proposal, other: Proposal) -> bool:
    """Return whether two proposals say the same: as many terms that leave the same.

    A constant less what is repressed, for example, is what is activated.
    """
    return len(one.coefficients) == len(other.coefficients) and abs(one.cost - other.cost) < _ALIKE
