"""Search for the support: starts from the data, annealing of the constraint, add/drop/swap, comparison by criterion."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from mechscreen.discovery.collocation import BlowUp, Collocation, Columns, Fit, Quadratic
from mechscreen.discovery.data import MAX_NODES, NOISE_FLOOR
from mechscreen.discovery.library import FloatArray, IntArray
from mechscreen.discovery.screening import Path, Screening
from mechscreen.discovery.selection import Blocks, Move, best_subset, neighbour_costs, neighbours_by_blocks
from mechscreen.discovery.watch import Watch

RIDGE = 1e-4
"""Prior precision of dimensionless coefficients while annealing; none in the final fits."""

DENSE_LIMIT = 60
"""Largest number of free coefficients for which the full library is a start of its own."""

_REFINED = 3
"""How often nodes are halved where no start does better than constants: spikes fall between them."""

_AS_SMOOTH, _NOT_SMOOTH = 1.2, 1.5
"""How many times the noise that smoothing leaves, a solution may leave that is not doubted: in the mean, and of one."""
_EXCHANGES = 3
"""Rounds in which the terms of each equation are exchanged for what matched integrals propose."""
_LOOSE = 0.1
"""Looseness at which the states of a proposed support begin to follow it."""

SHAKES, SHAKE = 16, 0.5
"""Further starts where they are exact, and the standard deviation of the logarithms of their coefficients' changes."""


@dataclass(frozen=True)
class Candidate:
    """A support fitted under the tight constraint.

    Attributes
    ----------
    fit
        States and coefficients.
    noise
        (d,) standard deviations of the samples, estimated from the residuals, larger where noise has a memory; 1 for a
        hidden variable.
    criterion
        ``Σ n_k ln(RSS_k/n_k) + price · |support|``; smaller is better.
    """

    fit: Fit
    noise: FloatArray
    criterion: float

    @property
    def support(self) -> tuple[int, ...]:
        """Active columns."""
        return tuple(int(i) for i in self.fit.active)


class SupportSearch:
    """Support search for one problem; all quantities dimensionless.

    A candidate is fitted by annealing: from loose constraints, where the states follow the data, to tight ones, where
    they solve the equations. On the way, and at the end, the Schur complement of the whole library around the
    candidate gives a quadratic model of the misfit in all coefficients; a search over supports on that model proposes
    the next candidate, which is fitted in turn. The criterion decides between fitted candidates.

    Parameters
    ----------
    problem
        The collocation problem.
    guesses
        States (N, d) to start from: the smoothed data, with one guess or several of the hidden variables.
    noise
        Noise of the smoothed data (d,).
    locked
        Columns that must stay.
    candidates
        Of how many coefficients they are chosen; all of the problem's unless given.
    blocks
        Columns that enter and leave together, where some are values of a coefficient under further conditions.
    watch
        Ends the search with what it has then; no limit unless given.
    memory
        (d,) or fewer, how many samples of a variable tell as much as one would of white noise; 1 unless given.
    """

    def __init__(
        self,
        problem: Collocation,
        guesses: Sequence[FloatArray],
        noise: FloatArray,
        locked: IntArray,
        candidates: int | None = None,
        blocks: Blocks | None = None,
        watch: Watch | None = None,
        memory: FloatArray | None = None,
    ) -> None:
        grid = problem.grid
        self.watch = watch or Watch()
        self.memory = np.ones(len(noise))
        if memory is not None:
            self.memory[: len(memory)] = memory
        noise = noise * np.sqrt(self.memory)
        self.blocks = blocks
        self.problem = problem
        self.guesses = list(guesses)
        self.begin = locked
        self.locked = np.concatenate([locked, np.arange(problem.linear, problem.count)])
        """What must stay; unknowns inside of terms that are not used are left out of any fit."""
        self.sampled = np.arange(len(noise)) >= len(problem.library.states)
        self.observed = (grid.counts > 0) & ~self.sampled
        # Smoothing can take a coarsely sampled or spiky variable for noise-free, which would make the fit chase it.
        self.noise = self._floored(noise, 0.2)
        self.n_samples = int(grid.counts[self.observed].sum())
        telling = grid.counts / self.memory
        self._telling = telling[self.observed]
        """Samples of each variable that was measured, as many of white noise as would tell as much."""
        count = candidates or (problem.linear if blocks is None else int((~blocks.further).sum()))
        self.everything = np.arange(problem.count)
        self.price = float(np.log(self._telling.sum()) + 2 * np.log(max(count, 2)) + 2)
        """Cost of a term: BIC's ln n, and 2 ln P + 2 for having chosen it among P (as in RIC and extended BIC)."""
        inside = np.bincount([m for m, _ in problem.unknowns], minlength=len(problem.library))
        self._equations = np.concatenate([_first_equation(problem.columns), np.full(len(problem.unknowns), -1)])
        """(P + I,), of each column; of an unknown, which is locked, none."""
        self.prices = np.zeros(problem.count)
        """(P + I,), of coefficients; an unknown inside of a term, which all equations may share, costs as much."""
        rarity = problem.library.rarity[problem.columns.term]
        self._rarity = np.zeros(problem.count)
        self._rarity[problem.columns.column] = rarity
        self.prices[problem.columns.column] = rarity + self.price * (
            1 + inside[problem.columns.term] / len(problem.library.states)
        )
        if blocks is not None:
            self._price_conditions(blocks)
        self.constants = float(self._telling @ np.log(grid.variance[self.observed]))
        """Criterion of what never changes."""
        self.fitted: dict[tuple[int, ...], Candidate | None] = {}
        self._exhausted: Candidate | None = None
        """For which no exchange of terms is better."""

    def _price_conditions(self, blocks: Blocks) -> None:
        """Let each further value of a coefficient cost ln n, and that it varies as much as to have chosen a term.

        Of coefficients that are said to vary the latter is left out: they stand in one block with their first value.
        """
        sought = blocks.needs[blocks.of] >= 0
        value = np.log(self.n_samples)
        chosen = (self.price - value) / np.bincount(blocks.of)[blocks.of]
        price = np.where(sought, value + chosen, value)[blocks.further]
        self.prices[np.flatnonzero(blocks.further)] = price
        self._rarity[np.flatnonzero(blocks.further)] = price - self.price

    def neighbours(self, quadratic: Quadratic, fit: Fit) -> list[Move]:
        """Return the moves away from a fit's support, by a quadratic model around it, cheapest first."""
        target = quadratic.hessian @ fit.beta - quadratic.gradient
        if self.blocks is not None:
            return neighbours_by_blocks(quadratic.hessian, target, fit.active, self.prices, self.locked, self.blocks)
        return neighbour_costs(quadratic.hessian, target, fit.active, self.prices, self.locked)

    def _closed(self, support: IntArray) -> IntArray:
        """Return a support with all columns that go together with one of it."""
        return support if self.blocks is None else self.blocks.closed(support)

    def _floored(self, noise: FloatArray, share: float) -> FloatArray:
        """Return the noise (d + 2 s,): of observed variables at least a share of the largest, of inputs as it is.

        Of hidden variables 1.
        """
        floored = np.maximum(noise, share * noise[self.observed].max())
        return np.where(self.observed, floored, np.where(self.sampled, noise, 1.0))

    def tight(self, noise: FloatArray) -> float:
        """Looseness at which the constraint's slack adds about a hundredth of the noise's variance to an estimate.

        With looseness w a state may wander by w √T over the duration T; n samples of noise s know a constant to s/√n.
        """
        per_variable = self.n_samples / int(self.observed.sum())
        smallest = float(noise[self.observed].min())
        return max(0.1 * smallest / float(np.sqrt(self.problem.grid.duration * per_variable)), 1e-8)

    def _support_of(self, beta: FloatArray) -> IntArray:
        """Return the columns of coefficients (P,) that are not zero, with those that must be there."""
        return self._closed(np.union1d(np.flatnonzero(beta), self.begin))

    @property
    def _plain(self) -> bool:
        """Whether all variables were measured, and starts are as uncertain as any sample."""
        return not self.problem.hidden.any() and not self.problem.exact_starts

    def run(self, *, halve: bool = True) -> Candidate | None:
        """Fit and improve from several supports; return the best candidate, None if none could be fitted.

        `halve` is whether that may take more nodes where none does better than constants.

        The support is chosen anew at every level of the annealing. Where that ends with no term for all starts, the
        choice may have been too early, before the states are near a solution: then it is made at the end alone.
        """
        # Candidates that blow up are met on the way, and left.
        with np.errstate(all="ignore"):
            best = self._run(None, early=True)
            for _ in range(_REFINED if halve else 0):
                if best is None and self._plain and 2 * len(self.problem.grid) < MAX_NODES:
                    self._move_to(self.problem.grid.halved, [])
                    best = self._run(None, early=True)
            if best is None or self.watch.late:
                return best
            if sum(i < self.problem.linear for i in best.support) == len(self.begin):
                best = self._run(best, early=False)
            if best is not None and self._plain:
                best = self._exchanged(best)
            if best is not None and self.problem.exact_starts:
                best = self._shake(self._try_single_moves(best))
            return best

    def improve(
        self, states: FloatArray, beta: FloatArray, support: IntArray, hopeless: float = np.inf
    ) -> Candidate | None:
        """Fit a support from states (N, d + 2 s) and coefficients (P + I,), and move to better ones; None if it fails.

        One whose criterion is above `hopeless` is left as it is.
        """
        with np.errstate(all="ignore"):
            try:
                candidate = self._from_near(states, beta, support)
                nodes = None if candidate is None else self._adapt(candidate)
                if candidate is not None and nodes is not None:
                    (candidate,) = self._move_to(nodes, [candidate])
                if candidate is None or candidate.criterion > hopeless:
                    return candidate
                return self._climb(candidate)
            except BlowUp:
                return None

    def _run(self, best: Candidate | None, *, early: bool) -> Candidate | None:
        """Fit and improve from all starts; return the best of these candidates and the given one.

        Stops when three starts agree, unless a variable is hidden: its guesses lead to different optima. `early` is
        whether to choose supports during the annealing.
        """
        agreeing = 0
        thinned: set[tuple[int, ...]] = set()
        for fit_start in self._fits_of_starts(early=early):
            if best is not None and self.watch.late:
                break
            try:
                candidate = fit_start()
                # What follows the samples less than constants do would ask for any number of nodes.
                if candidate is None or (self._plain and candidate.criterion > self.constants):
                    continue
                nodes = self._adapt(candidate)
                if nodes is not None:
                    candidate, *others = self._move_to(nodes, [candidate] if best is None else [candidate, best])
                    best = others[0] if others else None
                if candidate is None:
                    continue
                candidate = self._climb(candidate)
                if self.problem.exact_starts:
                    if candidate.support in thinned:
                        continue
                    thinned.add(candidate.support)
                    candidate = self._thin(candidate)
            except BlowUp:
                continue
            if self._plain and self._is_as_smooth(candidate):
                settled = self._exchanged(candidate)
                if settled is candidate:
                    return candidate
                candidate = settled
            if best is not None and candidate.support == best.support:
                agreeing += 1
            elif best is None or candidate.criterion < best.criterion:
                best, agreeing = candidate, 1
                self.noise = self._floored(best.noise, 0.02)
            if agreeing == 3 and not self.problem.hidden.any():
                break
        return best

    def _thin(self, candidate: Candidate) -> Candidate:
        """Fit the full library from a candidate and drop terms again, one by one, as long as that ends up better.

        Affordable where the starts are exact, and needed there: with hidden variables, the quadratic model is too
        narrow for moves of many terms at once.
        """
        while not self.watch.late:
            try:
                thinned = self._drop_one_by_one(candidate)
            except BlowUp:
                return candidate
            if thinned is None or not self._is_better(thinned, candidate):
                return candidate
            candidate = thinned
        return candidate

    def _drop_one_by_one(self, candidate: Candidate) -> Candidate | None:
        """Fit the full library from a candidate, drop the cheapest term time and again; return the best on the way."""
        fit = candidate.fit
        best = current = self.settle(self.problem, fit.x, fit.beta, self.everything, candidate.noise)
        while current is not None and not self.watch.late:
            fit, noise = current.fit, current.noise
            quadratic = self.problem.quadratic(fit.x, fit.beta, self.everything, self.tight(noise), noise)
            cheapest = next((dropped for dropped, added, _ in self.neighbours(quadratic, fit) if not added), None)
            if cheapest is None:
                break
            current = self.settle(self.problem, fit.x, fit.beta, np.setdiff1d(fit.active, cheapest), noise)
            if best is not None and self._is_better(current, best):
                best = current
        return None if best is None else self._climb(best)

    def _try_single_moves(self, candidate: Candidate) -> Candidate:
        """Fit the supports one move away that the quadratic model favours, and go to a better one, until none is.

        Where it is wrong about many terms at once it may still be right about one.
        """
        refused: set[tuple[int, ...]] = set()
        while not self.watch.late:
            fit, noise = candidate.fit, candidate.noise
            quadratic = self.problem.quadratic(fit.x, fit.beta, self.everything, self.tight(noise), noise)
            target = quadratic.hessian @ fit.beta - quadratic.gradient
            for dropped, added, change in self.neighbours(quadratic, fit):
                support = np.setdiff1d(np.append(fit.active, np.array(added, dtype=np.int64)), dropped)
                key = tuple(int(i) for i in support)
                if change >= 0 or key in refused:
                    continue
                solution = self._solution(quadratic, target, support, fit.beta)
                try:
                    fits = [self.settle(self.problem, fit.x, beta, support, noise) for beta in (fit.beta, solution)]
                except BlowUp:
                    fits = []
                better = [moved for moved in fits if moved is not None and self._is_better(moved, candidate)]
                if better:
                    candidate = min(better, key=lambda moved: moved.criterion)
                    break
                refused.add(key)
            else:
                return candidate
        return candidate

    def _shake(self, candidate: Candidate) -> Candidate:
        """Start again from the full library with shaken coefficients, some times; return the best.

        Which of several optima the starts lead to can hang on rounding; iterated local search (Lourenço, Martin &
        Stützle 2003) finds its way from one to the next.
        """
        rng = np.random.default_rng(0)
        for _ in range(SHAKES):
            if self.watch.late:
                break
            fit = candidate.fit
            beta = fit.beta * np.exp(SHAKE * rng.standard_normal(len(fit.beta)))
            try:
                shaken = self._drop_one_by_one(replace(candidate, fit=replace(fit, beta=beta)))
                if self._is_better(shaken, candidate):
                    assert shaken is not None
                    candidate = self._try_single_moves(shaken)
            except BlowUp:
                continue
        return candidate

    def _fits_of_starts(self, *, early: bool) -> Iterator[Callable[[], Candidate | None]]:
        """Yield what fits each start; those of matched integrals are near where smoothing is good.

        One such is the first; the others come last, for problems whose starts do not agree.
        """
        of_equations: list[list[FloatArray]] = []
        if early and self._plain:
            of_equations = self._matched(self.guesses[0], self.noise, 2 * self.price)
            yield self._from_proposals([own[0] for own in of_equations])
        for guess, support in self._starts():
            # Nodes, and guesses with them, may have changed since the last.
            yield functools.partial(self._from_start, self.guesses[guess], support, early=early)
        best = [own[0] for own in of_equations]
        for k, own in enumerate(of_equations):
            for other in own[1:]:
                yield self._from_proposals([*best[:k], other, *best[k + 1 :]])

    def _is_as_smooth(self, candidate: Candidate) -> bool:
        """Return whether a solution leaves about as little as smoothing does: of all variables, and of none much more.

        Where matched integrals along it propose nothing better either, other starts, which cost far more, need not be
        tried.
        """
        ratio, weight = (own[self.observed] for own in (candidate.noise / self.noise, self.problem.grid.counts))
        return bool(weight @ np.log(ratio) < weight.sum() * np.log(_AS_SMOOTH) and (ratio < _NOT_SMOOTH).all())

    def _from_proposals(self, of_equations: Sequence[FloatArray]) -> Callable[[], Candidate | None]:
        """Return what fits coefficients (P,) of each equation, zero for others, from the smoothed states."""
        beta = np.sum(of_equations, axis=0)
        return functools.partial(self._from_near, self.guesses[0], self.problem.start(beta), self._support_of(beta))

    def _from_near(self, states: FloatArray, beta: FloatArray, support: IntArray) -> Candidate | None:
        """Fit coefficients (P + I,) and states (N, d + 2 s) that are near."""
        levels = np.geomspace(_LOOSE, self.tight(self.noise), 5)[:-1]
        fit = self._descend(states, beta, support, levels, self.noise, reselect=False)
        return None if fit is None else self._finish(fit, self.noise)

    def _matched(self, states: FloatArray, noise: FloatArray, margin: float) -> list[list[FloatArray]]:
        """Return coefficients (P,) of each equation, zero for others, by matched integrals: many terms and few.

        Best first, as long as they cost no more than that and a margin.
        """
        problem, columns = self.problem, self.problem.columns
        path, grid = Path.along(problem, states, units=False), problem.grid
        of_equations = []
        for k in range(len(problem.library.states)):
            allowed = np.unique(columns.term[columns.equation == k])
            screening = Screening(
                path,
                grid.samples_of(k),
                1.0,
                noise=noise[k],
                allowed=allowed,
                known=columns.offset[k],
                price=self.price,
                rarity=problem.library.rarity[allowed],
            )
            found = []
            proposals = sorted(screening.without_forms(), key=lambda proposal: proposal.cost)
            for proposal in proposals:
                if proposal.cost > proposals[0].cost + margin:
                    break
                beta = np.zeros(problem.linear)
                for m, coefficient in zip(proposal.terms, proposal.coefficients, strict=True):
                    for entry in np.flatnonzero((columns.equation == k) & (columns.term == m)):
                        beta[columns.column[entry]] = coefficient / columns.weight[entry]
                found.append(beta)
            of_equations.append(found)
        return of_equations

    def _exchanged(self, best: Candidate) -> Candidate:
        """Exchange the terms of one equation after the other for what matched integrals propose along the solution.

        Two terms at once, for example, which no single move leads to.
        """
        of_equation = [self.problem.columns.equation == k for k in range(len(self.problem.library.states))]
        for _ in range(_EXCHANGES if best is not self._exhausted else 0):
            before = best
            for k, proposals in enumerate(self._matched(best.fit.x, best.noise, self.price / 2)):
                own = np.unique(self.problem.columns.column[of_equation[k]])
                for proposal in proposals:
                    beta = best.fit.beta.copy()
                    beta[own] = proposal[own]
                    support = self._support_of(beta[: self.problem.linear])
                    if tuple(map(int, support)) in self.fitted:
                        continue
                    if self.watch.late:
                        return best
                    try:
                        moved = self._from_near(best.fit.x, beta, support)
                        if moved is not None and moved.criterion < best.criterion + self.price:
                            moved = self._climb(moved)
                    except BlowUp:
                        continue
                    if self._is_better(moved, best):
                        assert moved is not None
                        best = moved
            if best is before:
                self._exhausted = best
                break
        return best

    def _starts(self) -> list[tuple[int, IntArray]]:
        """Pairs of a guess's index and a support: the full library if it is small, and thresholded regressions."""
        starts = []
        dense = len(self.everything) <= min(DENSE_LIMIT, self.n_samples / 4)
        for i, states in enumerate(self.guesses):
            if dense:
                starts.append((i, self.everything))
            if not (self.problem.hidden.any() and dense):
                starts += [(i, self._closed(support)) for support in threshold_supports(self.problem, states)]
        return starts

    def _from_start(self, states: FloatArray, support: IntArray, *, early: bool) -> Candidate | None:
        noise = self.noise
        beta = regress(self.problem, states, support)
        tight = self.tight(noise)
        dense = len(support) == len(self.everything)
        top, steps = (1.0, 9) if dense or not early else (0.3, 8)
        reselect = early and not dense
        fit = self._descend(states, beta, support, np.geomspace(top, tight, steps)[:-1], noise, reselect=reselect)
        if fit is not None and dense and early:
            quadratic = self.problem.quadratic(fit.x, fit.beta, self.everything, tight, noise)
            chosen, beta = self._select(quadratic, fit.beta, [self.everything, self.locked])
            fit = self._descend(fit.x, beta, chosen, np.geomspace(0.1, tight, 6)[:-1], noise, reselect=True)
        if fit is None:
            return None
        return self._finish(fit, noise)

    def _adapt(self, candidate: Candidate) -> list[FloatArray] | None:
        """Nodes with shorter intervals where discretisation could be taken for a term; None if all are short enough.

        Errors of one sign add up over the duration T to at most T times their largest rate, to be compared with s/√n.
        """
        grid = self.problem.grid
        per_variable = self.n_samples / int(self.observed.sum())
        allowed = candidate.noise / (np.sqrt(per_variable) * grid.duration)
        allowed[~self.observed] = allowed[self.observed].max()
        excess = (self.problem.local_errors(candidate.fit) / allowed).max(axis=1)
        # The error per unit of time falls with the fourth power of the width.
        parts = np.ceil(np.clip(excess**0.25, 1.0, min(8.0, MAX_NODES / len(grid)))).astype(int)
        if parts.mean() < 1.1:
            return None
        nodes = []
        for own, start in zip(grid.nodes, grid.starts[:-1], strict=True):
            pieces = [
                np.linspace(a, b, n, endpoint=False)
                for a, b, n in zip(own[:-1], own[1:], parts[start : start + len(own) - 1], strict=True)
            ]
            nodes.append(np.append(np.concatenate(pieces), own[-1]))
        return nodes

    def _move_to(self, nodes: list[FloatArray], candidates: Sequence[Candidate]) -> list[Candidate | None]:
        """Put the search on other nodes, and the given candidates with it."""
        grid, old = self.problem.grid, self.problem
        self.guesses = [
            np.concatenate(
                [
                    np.stack([np.interp(new, own_nodes, column) for column in own.T], axis=1)
                    for new, own_nodes, own in zip(nodes, grid.nodes, grid.split(states), strict=True)
                ]
            )
            for states in self.guesses
        ]
        self.problem = old.with_grid(grid.with_nodes(nodes))
        self.fitted = {}
        moved = []
        for candidate in candidates:
            fit, noise = candidate.fit, candidate.noise
            x = old.interpolate(fit, nodes)
            if old.exact_starts:
                moved.append(self.settle(self.problem, x, fit.beta, fit.active, noise))
                continue
            levels = np.geomspace(0.03, self.tight(noise), 4)[:-1]
            refit = self._descend(x, fit.beta, fit.active, levels, noise, reselect=False)
            moved.append(None if refit is None else self._finish(refit, noise))
        return moved

    def _select(
        self, quadratic: Quadratic, beta: FloatArray, supports: Sequence[IntArray]
    ) -> tuple[IntArray, FloatArray]:
        """Best support of a quadratic model around beta, and the coefficients it gives there."""
        target = quadratic.hessian @ beta - quadratic.gradient
        chosen, _ = best_subset(
            quadratic.hessian,
            target,
            self.prices,
            starts=list(supports),
            locked=self.locked,
            blocks=self.blocks,
            groups=self._equations if self.blocks is None else None,
        )
        solution = self._solution(quadratic, target, chosen, beta)
        return self.problem.with_unknowns(chosen), solution

    def _solution(self, quadratic: Quadratic, target: FloatArray, chosen: IntArray, beta: FloatArray) -> FloatArray:
        """Minimum of a quadratic model over some columns; unknowns outside of these as they are."""
        solution = np.zeros_like(beta)
        solution[self.problem.linear :] = beta[self.problem.linear :]
        block = quadratic.hessian[np.ix_(chosen, chosen)]
        solution[chosen] = np.linalg.lstsq(block, target[chosen], rcond=None)[0]
        return solution

    def _descend(
        self,
        x: FloatArray,
        beta: FloatArray,
        active: IntArray,
        levels: FloatArray,
        noise: FloatArray,
        *,
        reselect: bool,
    ) -> Fit | None:
        """Fit along falling looseness, choosing the support anew at each level with `reselect`; None if it blew up."""
        fit = None
        for looseness in levels:
            fit = self.problem.fit(x, beta, active, looseness, noise, iterations=12, tolerance=1e-2, ridge=RIDGE)
            if not np.isfinite(fit.cost):
                return None
            x, beta = fit.x, fit.beta
            if reselect:
                quadratic = self.problem.quadratic(x, beta, self.everything, looseness, noise)
                chosen, solution = self._select(quadratic, beta, [active, self.locked])
                if not np.array_equal(chosen, active):
                    active, beta = chosen, solution
                    fit = None
        if fit is None:
            fit = self.problem.fit(x, beta, active, levels[-1], noise, iterations=12, tolerance=1e-2, ridge=RIDGE)
        return fit if np.isfinite(fit.cost) else None

    def _finish(self, fit: Fit, noise: FloatArray) -> Candidate | None:
        """Fit one support under the tight constraint, with the noise estimated from its residuals."""
        key = tuple(int(i) for i in fit.active)
        if key not in self.fitted:
            self.fitted[key] = self.settle(self.problem, fit.x, fit.beta, fit.active, noise)
        return self.fitted[key]

    def settle(
        self, problem: Collocation, x: FloatArray, beta: FloatArray, active: IntArray, noise: FloatArray,
        tolerance: float = 1e-3, noise_tolerance: float = 0.02,
    ) -> Candidate | None:  # fmt: skip
        """Alternate between the tight fit and its noise until both stand; None if it blew up.

        `noise_tolerance` is the relative change of the noise below which it stands.
        """
        self.watch.count()
        seen = self.observed
        counts = problem.grid.counts[seen]
        n_trajectories = len(problem.grid.nodes)
        used = len(active) / seen.sum() + n_trajectories
        freedom = np.maximum(counts - used, 0.1 * counts)

        def estimate_noise(fit: Fit) -> FloatArray:
            estimate = np.ones_like(noise)
            estimate[seen] = np.maximum(np.sqrt(fit.rates.data[seen] / freedom), NOISE_FLOOR)
            estimate[seen] *= np.sqrt(self.memory[seen])
            # How closely an input follows its samples was told by smoothing.
            estimate[self.sampled] = self.noise[self.sampled]
            return estimate

        given = beta
        for _ in range(8):
            fit = problem.fit(x, beta, active, self.tight(noise), noise, iterations=25, tolerance=tolerance)
            if not np.isfinite(fit.cost):
                return None
            x, beta = fit.x, fit.beta
            estimate = estimate_noise(fit)
            change = float(np.abs(np.log(estimate[seen] / noise[seen])).max())
            noise = estimate
            if change < noise_tolerance:
                break
        # What the constraint still lacks counts as misfit: next to nothing for a solution of the equations.
        lack = problem.lack(fit, self.tight(noise)) + float(fit.rates.data[self.sampled] @ noise[self.sampled] ** -2)
        if problem.exact_starts:
            # An unstable equilibrium can be left through the constraint's slack, but not by solving the equations.
            tight = self.tight(noise)
            shots = [problem.shoot(b, active, tight, noise, iterations=40, tolerance=tolerance) for b in (given, beta)]
            solved = [shot for shot in shots if shot is not None]
            if not solved:
                return None
            fit = min(solved, key=lambda shot: shot.cost)
            noise, lack = estimate_noise(fit), 0.0
        variance = np.maximum(fit.rates.data[seen] / counts, NOISE_FLOOR**2)
        paid = self.price * len(fit.active) + float(self._rarity[fit.active].sum())
        return Candidate(fit, noise, float(self._telling @ np.log(variance)) + lack + paid)

    def _climb(self, candidate: Candidate) -> Candidate:
        """Move to better supports, proposed by the quadratic model around the candidate, until none is better."""
        for _ in range(20):
            if self.watch.late:
                break
            for proposal in self._proposals(candidate):
                if self._is_better(proposal, candidate):
                    candidate = proposal
                    break
            else:
                return candidate
        return candidate

    @staticmethod
    def _is_better(proposal: Candidate | None, candidate: Candidate) -> bool:
        return proposal is not None and proposal.criterion < candidate.criterion - 1e-6

    def _proposals(self, candidate: Candidate):  # type: ignore[no-untyped-def]
        fit, noise = candidate.fit, candidate.noise
        tight = self.tight(noise)
        quadratic = self.problem.quadratic(fit.x, fit.beta, self.everything, tight, noise)
        seen = {candidate.support}
        for start in (fit.active, self.locked):
            chosen, beta = self._select(quadratic, fit.beta, [start])
            key = tuple(int(i) for i in chosen)
            if key in seen:
                continue
            seen.add(key)
            if key in self.fitted:
                yield self.fitted[key]
                continue
            # A wrong model's states are far from the data: loosen, so that they may find the way back.
            levels = np.geomspace(max(0.03, 10 * tight), tight, 5)[:-1]
            moved = self._descend(fit.x, beta, chosen, levels, noise, reselect=False)
            if moved is None:
                self.fitted[key] = None
            else:
                yield self._finish(moved, noise)


def regress(problem: Collocation, states: FloatArray, support: IntArray) -> FloatArray:
    """Coefficients (P,) of a support by weak-form least squares on smoothed states."""
    hessian, target = weak_form(problem, states)
    beta = np.zeros(problem.linear)
    support = support[support < problem.linear]
    beta[support] = np.linalg.lstsq(hessian[np.ix_(support, support)], target[support], rcond=1e-10)[0]
    return problem.start(beta)


def weak_form(problem: Collocation, states: FloatArray, window: int = 4) -> tuple[FloatArray, FloatArray]:
    """Return the normal equations (P, P), (P,) of the weak form on smoothed states.

    The weak form is ``x(t + w) − x(t) = ∫ theta · library(x) dt`` over windows of `window` nodes. Each equation is
    weighted by the inverse mean square of its left-hand side. Hidden variables have no equation.
    """
    grid, columns = problem.grid, problem.columns
    values = problem.library_on_nodes(states)[:, : len(problem.library)]
    left, right = [], []
    for own_values, own_states, nodes in zip(grid.split(values), grid.split(states), grid.nodes, strict=True):
        strips = 0.5 * np.diff(nodes)[:, None] * (own_values[1:] + own_values[:-1])
        integral = np.concatenate([np.zeros((1, values.shape[1])), np.cumsum(strips, axis=0)])
        w = min(window, len(nodes) - 1)
        left.append(own_states[w:] - own_states[:-w])
        right.append(integral[w:] - integral[:-w])
    change, integrals = np.concatenate(left), np.concatenate(right)
    gram, moment = integrals.T @ integrals, integrals.T @ change
    hessian, target = np.zeros((columns.count, columns.count)), np.zeros(columns.count)
    for k in np.flatnonzero(grid.counts[: len(problem.library.states)] > 0):
        known = columns.offset[k]
        precision = len(change) / max(float(((change[:, k] - integrals @ known) ** 2).sum()), 1e-300)
        entries = np.flatnonzero(columns.equation == k)
        p, m, weight = columns.column[entries], columns.term[entries], columns.weight[entries]
        np.add.at(hessian, np.ix_(p, p), precision * np.outer(weight, weight) * gram[np.ix_(m, m)])
        np.add.at(target, p, precision * weight * (moment[m, k] - gram[m] @ known))
    return hessian, target


def threshold_supports(problem: Collocation, states: FloatArray) -> list[IntArray]:
    """Supports by sequentially thresholded weak-form regression (SINDy) at several relative thresholds."""
    hessian, target = weak_form(problem, states)
    scale = np.sqrt(np.maximum(np.diag(hessian), 1e-300))
    group = _first_equation(problem.columns)
    supports: list[IntArray] = []
    for threshold in (0.05, 0.2, 0.5, 0.1, 0.02):
        active = np.arange(len(target))
        while len(active):
            block = hessian[np.ix_(active, active)] / np.outer(scale[active], scale[active])
            size = np.abs(np.linalg.lstsq(block, target[active] / scale[active], rcond=1e-10)[0])
            largest = np.zeros(group.max() + 1)
            np.maximum.at(largest, group[active], size)
            keep = size > threshold * largest[group[active]]
            if keep.all():
                break
            active = active[keep]
        if not any(np.array_equal(active, other) for other in supports):
            supports.append(active)
    return supports


def _first_equation(columns: Columns) -> IntArray:
    """Return the equation of each column's first entry."""
    group = np.zeros(columns.count, dtype=np.int64)
    group[columns.column[::-1]] = columns.equation[::-1]
    return group
