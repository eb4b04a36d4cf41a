"""Search with terms that have unknowns inside: proposals for each equation, and then all equations together."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from mechscreen.discovery.data import Trajectories
from mechscreen.discovery.knowledge import Knowledge
from mechscreen.discovery.library import IntArray, Library
from mechscreen.discovery.model import Alternative, DiscoveredModel, Undetermined
from mechscreen.discovery.posing import Posed
from mechscreen.discovery.reporting import finish
from mechscreen.discovery.screening import Path, Proposal, Screening
from mechscreen.discovery.search import Candidate, SupportSearch
from mechscreen.discovery.shapes import Shape
from mechscreen.discovery.watch import Watch

_PROPOSALS = 5
"""Of one equation that are fitted."""
_MARGIN = 40.0
"""By how much a proposal may be worse than the best one by matched integrals, which tell less than a fit."""
_HOPELESS = 100.0
"""By how much what was proposed may be worse, as it is, than the best, to be improved."""
_ALIKE = 0.3
"""Distance of unknowns on their scales, within which two equations may share a term."""
_POWER = 2
"""Up to which power of its own variable, where there is no other one, all subsets of terms are tried beside a form."""
_Key = tuple[tuple[tuple[int, ...], tuple[str, ...]], ...]
_ROUNDS = 3
"""Of proposals along what was found."""
_CLOSE, _CLOSEST = 12.0, 4
"""How much worse than the best, and how many, others may be that whole numbers may make better than it."""
_SAME = 1e-3
"""Difference of criteria that rounding makes."""
_AS_GOOD = 0.5
"""By how much the criterion may be worse where the same is said in another way."""


@dataclass(frozen=True)
class _Fitted:
    """Proposals for all equations, fitted together."""

    choice: tuple[Proposal, ...]
    plain: Sequence[int]
    """Those terms without unknowns that stand in its library after the given one."""
    posed: Posed
    search: SupportSearch
    best: Candidate


def search_forms(
    data: Trajectories,
    library: Library,
    knowledge: Knowledge,
    shapes: Sequence[Shape],
    asked: Callable[[Library], Posed],
    watch: Watch,
) -> DiscoveredModel:
    """Discover equations that may have terms with unknowns inside.

    Parameters
    ----------
    library
        Terms without unknowns.
    shapes
        Terms with unknowns, and others that are as many as to be left out where nothing speaks for them.
    asked
        Makes the problem with a library dimensionless.

    Raises
    ------
    Undetermined
        If the data do not determine a model.
    """
    return _FormSearch(data, library, knowledge, shapes, asked, watch).run()


class _FormSearch:
    def __init__(
        self,
        data: Trajectories,
        library: Library,
        knowledge: Knowledge,
        shapes: Sequence[Shape],
        asked: Callable[[Library], Posed],
        watch: Watch,
    ) -> None:
        self._data, self._library, self._knowledge = data, library, knowledge
        self._asked, self._watch = asked, watch
        self._plain = [shape for shape in shapes if not shape.unknowns]
        self._forms = [shape for shape in shapes if shape.unknowns]
        self._count = len(data.names) * (len(library) + len(shapes))
        """Of coefficients among which those of a model are chosen."""
        self._fitted: list[_Fitted] = []
        self._tried: set[_Key] = set()

    def run(self) -> DiscoveredModel:
        """Fit proposals along the smoothed data, then along what was found, as long as that leads to better ones."""
        best = self._improved(None)
        for _ in range(_ROUNDS):
            better = self._improved(best)
            if better is best or self._watch.late:
                break
            best = better
        # Monomials alone are chosen anew with each step of a fit, which finds them where states are hard to smooth.
        for extra in sorted({(), tuple(self._plain_of(best.choice if best else ()))}, key=len):
            plain = self._search_plain(extra)
            if plain is not None:
                self._fitted.append(plain)
                best = plain if best is None or _criterion(plain) < _criterion(best) else best
        if best is None:
            raise Undetermined("discover: no candidate model could be fitted to the data; try a smaller library")
        return finish(best.best, best.search, best.posed, self._rivals(best))

    def _improved(self, best: _Fitted | None) -> _Fitted | None:
        """Return the best with proposals along its states, or along the smoothed data: of all equations, or of one."""
        every = self._proposals(best)
        found = best
        for k, own in enumerate(every):
            for other in own:
                if found is not None and self._watch.late:
                    return found
                base = self._as_proposals(found) if found else tuple(one[0] for one in every)
                found = self._better(found, (*base[:k], other, *base[k + 1 :]))
        if found is best or found is None:
            return found
        close: dict[tuple[frozenset[str], ...], _Fitted] = {}
        for one in sorted(self._fitted, key=_criterion):
            if _criterion(one) < _criterion(found) + _CLOSE:
                close.setdefault(self._signature(one), one)
        return min([self._tidied(one) for one in [*close.values()][:_CLOSEST]], key=_criterion)

    def _better(self, best: _Fitted | None, choice: tuple[Proposal, ...]) -> _Fitted | None:
        """Return the better of the best and a choice, which is fitted unless one of the same terms was."""
        key = _key(choice)
        if key in self._tried:
            return best
        self._tried.add(key)
        found = self._fit(choice, hopeless=_criterion(best) + _HOPELESS if best else np.inf)
        if found is None:
            return best
        self._fitted.append(found)
        self._tried.add(_key(self._as_proposals(found)))
        return found if best is None or _criterion(found) < _criterion(best) - _SAME else best

    def _search_plain(self, plain: Sequence[int]) -> _Fitted | None:
        """Search among the terms of the given library and some of the others without unknowns."""
        posed = self._pose([self._plain[m - len(self._library)] for m in plain])
        search = posed.search(self._count)
        found = search.run()
        return None if found is None else _Fitted((), plain, posed, search, found)

    def _pose(self, extra: Sequence[Shape]) -> Posed:
        """Make the problem with some terms beside those of the given library dimensionless."""
        return self._asked(self._library.with_functions(extra))

    def _proposals(self, along: _Fitted | None) -> list[list[Proposal]]:
        """Return proposals for each equation, best first: along the states that were fitted, or the smoothed data."""
        names = self._data.names
        posed = self._pose(self._plain)
        problem, scales, columns = posed.problem, posed.scales, posed.structure.columns
        price = posed.search(self._count).price
        states, noise = posed.guesses[0], posed.noise
        if along is not None:
            problem = problem.with_grid(along.search.problem.grid)
            states, noise = along.best.fit.x, along.best.noise
        path, grid = Path.along(problem, states), problem.grid
        found = []
        for k in range(len(names)):
            allowed = np.unique(columns.term[columns.equation == k])
            screening = Screening(
                path,
                grid.samples_of(k),
                scales.time / scales.state[k],
                noise=noise[k],
                allowed=allowed,
                few=self._few(k, allowed),
                known=columns.offset[k] / posed.units[k],
                price=price,
                inside=price / len(names),
                rarity=problem.library.rarity[allowed],
            )
            proposals = screening.run(self._forms_of(names[k]), _PROPOSALS)
            found.append([one for one in proposals if one.cost < proposals[0].cost + _MARGIN])
        return found

    def _few(self, k: int, allowed: IntArray) -> list[int]:
        """Return the places among some terms of a constant and of powers of an equation's own variable."""
        exponents = self._library.exponents
        degrees = exponents.sum(axis=1)
        top = _POWER if exponents.shape[1] == 1 else 1
        own = (degrees == exponents[:, k]) & (degrees <= top)
        return [i for i, m in enumerate(allowed) if m < len(exponents) and own[m]]

    def _forms_of(self, name: str) -> list[Shape]:
        """Return the terms with unknowns that an equation may have: none where its terms were told."""
        told = name in self._knowledge.only or name in self._knowledge.mirrored
        return [] if told else self._forms

    def _fit(self, choice: tuple[Proposal, ...], *, separate: bool = False, hopeless: float = np.inf) -> _Fitted | None:
        """Fit proposals for all equations together; `separate` keeps terms apart that may be one."""
        shapes: list[Shape] = []
        place: list[list[int]] = []
        for proposal in choice:
            place.append([])
            for shape in proposal.shapes:
                like = [i for i, other in enumerate(shapes) if _alike(shape, other, 1e-9 if separate else _ALIKE)]
                place[-1].append(like[0] if like else len(shapes))
                if not like:
                    shapes.append(shape)
        first = len(self._library)
        plain = self._plain_of(choice)
        extra = [*(self._plain[m - first] for m in plain), *shapes]
        posed = self._pose(extra)
        columns = posed.structure.columns
        beta = np.zeros(columns.count)
        for k, (proposal, own) in enumerate(zip(choice, place, strict=True)):
            terms = [first + plain.index(m) if m >= first else int(m) for m in proposal.terms]
            terms += [first + len(plain) + i for i in own]
            for m, coefficient in zip(terms, proposal.coefficients, strict=True):
                for entry in np.flatnonzero((columns.equation == k) & (columns.term == m)):
                    beta[columns.column[entry]] += coefficient * posed.units[k, m] / columns.weight[entry]
        search = posed.search(self._count)
        best = search.improve(posed.guesses[0], posed.problem.start(beta), np.flatnonzero(beta), hopeless)
        return None if best is None else _Fitted(choice, plain, posed, search, best)

    def _plain_of(self, choice: Sequence[Proposal]) -> list[int]:
        """Return the terms without unknowns that proposals have beside those of the given library."""
        return sorted({int(m) for proposal in choice for m in proposal.terms if m >= len(self._library)})

    def _tidied(self, best: _Fitted) -> _Fitted:
        """Return what was fitted with terms apart, with whole numbers, or turned, where that is as good."""
        if _shares(best.choice):
            best = self._as_good(best, best.choice, separate=True)
        for k, proposal in enumerate(best.choice):
            for i in range(len(proposal.shapes)):
                now = self._as_proposals(best)
                for whole in now[k].shapes[i].rounded() if i < len(now[k].shapes) else ():
                    best = self._as_good(best, _with_shape(now, k, i, whole))
        turned = tuple(self._turned(one) for one in self._as_proposals(best))
        return self._as_good(best, turned, _AS_GOOD)

    def _as_good(
        self, best: _Fitted, choice: tuple[Proposal, ...], worse: float = 0.0, *, separate: bool = False
    ) -> _Fitted:
        """Return a choice as it is fitted if that is better than the best, or worse by no more than something."""
        if _key(choice) in self._tried and not separate:
            return best
        self._tried.add(_key(choice))
        other = self._fit(choice, separate=separate, hopeless=_criterion(best) + _CLOSE)
        if other is None:
            return best
        self._fitted.append(other)
        return other if _criterion(other) <= _criterion(best) + worse else best

    def _as_proposals(self, fitted: _Fitted) -> tuple[Proposal, ...]:
        """Return the terms that were fitted, with their unknowns and coefficients as they are then."""
        problem, beta = fitted.posed.problem, fitted.best.fit.beta
        library = problem.library.at(beta[problem.linear :])
        theta = problem.columns.theta(beta) / fitted.posed.units
        numbers = [*range(len(self._library)), *fitted.plain]
        found = []
        for row in theta:
            used = np.flatnonzero(row)
            terms = np.array([numbers[m] for m in used if m < len(numbers)], dtype=np.int64)
            shapes = [library.functions[m - len(library.exponents)] for m in used if m >= len(numbers)]
            found.append(Proposal(terms, tuple(one for one in shapes if isinstance(one, Shape)), row[used], 0.0))
        return tuple(found)

    def _turned(self, proposal: Proposal) -> Proposal:
        """Return less of what is repressed as more of what is activated, where that leaves a positive constant."""
        first = proposal.coefficients[0] if len(proposal.terms) and proposal.terms[0] == 0 else 0.0
        if first <= 0 or not len(self._library.exponents) or self._library.exponents[0].any():
            return proposal
        shapes, coefficients = list(proposal.shapes), proposal.coefficients.copy()
        for i, shape in enumerate(shapes, len(proposal.terms)):
            turned = shape.turned()
            if coefficients[i] < 0 and turned is not shape:
                shapes[i - len(proposal.terms)] = turned
                coefficients[0] += coefficients[i]
                coefficients[i] *= -1
        return replace(proposal, shapes=tuple(shapes), coefficients=coefficients)

    def _rivals(self, best: _Fitted) -> list[Alternative]:
        """Return what else was fitted, and by how much it is worse."""
        rivals: dict[tuple[frozenset[str], ...], tuple[float, str]] = {}
        chosen = self._signature(best)
        for other in self._fitted:
            own = self._signature(other)
            worse = _criterion(other) - _criterion(best)
            if own != chosen and (own not in rivals or worse < rivals[own][0]):
                rivals[own] = (worse, self._told(other, [k for k, one in enumerate(own) if one != chosen[k]]))
        return [Alternative(words, worse) for worse, words in sorted(rivals.values())]

    def _signature(self, fitted: _Fitted) -> tuple[frozenset[str], ...]:
        """Return the terms of each equation, those that are the same beside a constant called the same."""
        found = []
        for proposal in self._as_proposals(fitted):
            beside_one = len(proposal.terms) > 0 and proposal.terms[0] == 0
            texts = [shape.text for shape in proposal.shapes]
            if beside_one:
                texts = [min(shape.text, shape.turned().text) for shape in proposal.shapes]
            found.append(frozenset([*map(str, proposal.terms), *texts]))
        return tuple(found)

    def _told(self, fitted: _Fitted, equations: Sequence[int]) -> str:
        """Return the terms of some equations, in words."""
        names = [*self._library.names, *(shape.text for shape in self._plain)]
        every = self._as_proposals(fitted)
        parts = []
        for k in equations:
            terms = [*(names[m] for m in every[k].terms), *(shape.name for shape in every[k].shapes)]
            parts.append(f"d{self._data.names[k]}/dt of {', '.join(terms) or 'nothing'}")
        return " and ".join(parts)


def _with_shape(choice: Sequence[Proposal], k: int, i: int, shape: Shape) -> tuple[Proposal, ...]:
    """Return proposals with another shape at the place i of equation k, and where another equation has the same."""
    old = choice[k].shapes[i]
    changed = [tuple(shape if one == old else one for one in proposal.shapes) for proposal in choice]
    return tuple(replace(one, shapes=shapes) for one, shapes in zip(choice, changed, strict=True))


def _key(choice: Sequence[Proposal]) -> _Key:
    """Return the terms of a choice."""
    return tuple((tuple(map(int, one.terms)), tuple(sorted(shape.text for shape in one.shapes))) for one in choice)


def _shares(choice: Sequence[Proposal]) -> bool:
    """Return whether equations share a term whose unknowns were found apart."""
    pairs = itertools.combinations([shape for proposal in choice for shape in proposal.shapes], 2)
    return any(_alike(one, other, _ALIKE) and not _alike(one, other, 1e-9) for one, other in pairs)


def _alike(one: Shape, other: Shape, distance: float) -> bool:
    """Return whether two terms are of one form, with unknowns no farther apart."""
    return one.text == other.text and bool(np.abs(one.positions - other.positions).max(initial=0.0) < distance)


def _criterion(fitted: _Fitted) -> float:
    return fitted.best.criterion
