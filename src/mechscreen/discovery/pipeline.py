"""From samples to equations: the public entry."""

from __future__ import annotations

import functools
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike

from mechscreen.discovery.collocation import BlowUp, Collocation, Grid, Quadratic
from mechscreen.discovery.data import (
    MAX_NODES,
    Scales,
    Trajectories,
    check_trajectories,
    scale_and_smooth,
)
from mechscreen.discovery.forms import KINDS, Sizes
from mechscreen.discovery.hermite import hermite
from mechscreen.discovery.inputs import Course, smooth
from mechscreen.discovery.judge import fits, judge
from mechscreen.discovery.knowledge import Knowledge, Structure
from mechscreen.discovery.library import FloatArray, IntArray, Library, Polynomial
from mechscreen.discovery.model import Alternative, DiscoveredModel, Undetermined, describe_coefficients
from mechscreen.discovery.odenet import train
from mechscreen.discovery.residuals import examine
from mechscreen.discovery.search import Candidate, SupportSearch, regress
from mechscreen.discovery.selection import neighbour_costs
from mechscreen.discovery.shapes import Shape
from mechscreen.errors import InputError, nearest

STEP = 0.2
"""Node spacing of the search, in units of the data's time scale; the final fit halves it as long as that matters."""

UNDECIDED = 0.75
"""Share of the probability of its neighbours and its own, below which a support is not decided."""

ALIKE = 0.3
"""Distance of unknowns on their scales, within which two terms of the same form are one."""

HIDDEN_SIZES = (1.0, 0.1, 0.01)
"""Sizes at which a hidden variable is guessed, relative to the observed ones."""


def discover(
    t: ArrayLike | Sequence[ArrayLike],
    y: ArrayLike | Sequence[ArrayLike],
    library: Polynomial | None = None,
    *,
    names: Sequence[str] | None = None,
    hidden: Sequence[str] = (),
    inputs: Sequence[str] = (),
    knowledge: Knowledge | None = None,
    exact_start: bool = False,
    method: str = "collocation",
) -> DiscoveredModel:
    """Find sparse ordinary differential equations that explain noisy time series.

    Parameters
    ----------
    t, y
        Times (n,) and values (n, d), NaN where missing; or lists of such arrays, one per trajectory. Steps may be
        unequal. Units do not matter.
    library
        Candidate terms; all monomials up to degree 2 unless given.
    names
        Names of the variables; x, y, z (or x0, x1, …) unless given.
    hidden
        Variables without samples; their columns are NaN but for an exact start.
    inputs
        Variables that act on the others and have no equation: an input that repeats its values keeps each until the
        sample with the next one, others go smoothly. Samples before an input's first value are left out.
    knowledge
        What is known about the coefficients beforehand.
    exact_start
        Whether the first row of each trajectory holds exact initial values (NaN where unknown) instead of samples.
    method
        One of `METHODS`: ``"collocation"``, or ``"odenet"`` for that of Hu et al. (2021), which gives no intervals.

    Raises
    ------
    InputError
        If the input is unusable; the message says where.
    Undetermined
        If the data do not determine a model.
    """
    began = time.process_time()
    forms = library.forms if library else ()
    for kind in forms:
        if kind not in KINDS:
            raise InputError(f"discover: no kind of terms '{kind}'{nearest(kind, KINDS)} (valid: {', '.join(KINDS)})")
    if forms and (hidden or exact_start or method != "collocation"):
        raise InputError(
            f"discover: terms with unknowns inside ({', '.join(forms)}) are sought along measured variables, by the "
            "default method; leave hidden variables, exact starts and other methods out"
        )
    if method not in METHODS:
        raise InputError(f"discover: no method '{method}'{nearest(method, METHODS)} (valid: {', '.join(METHODS)})")
    data = check_trajectories(t, y, names, hidden, inputs)
    bound = (library or Polynomial(2)).bind(data.names, data.inputs)
    _check_size(data, bound)
    data, anchors = _split_anchors(data) if exact_start else (data, None)
    statements = knowledge or Knowledge()
    if forms:
        model = _search_forms(data, bound, statements, forms)
    else:
        model = METHODS[method](_pose(data, bound, statements, anchors))
    return replace(model, method=method, elapsed=time.process_time() - began)


@dataclass(frozen=True)
class _Posed:
    """What is asked of a method, dimensionless, and what brings its answer into the data's units."""

    problem: Collocation
    guesses: list[FloatArray]
    noise: FloatArray
    structure: Structure
    data: Trajectories
    scales: Scales
    units: FloatArray
    anchors: FloatArray | None
    knowledge: Knowledge

    def search(self, candidates: int | None = None) -> SupportSearch:
        """Return what searches for its terms; `candidates` as there."""
        return SupportSearch(self.problem, self.guesses, self.noise, self.structure.locked, candidates)


def _pose(data: Trajectories, library: Library, knowledge: Knowledge, anchors: FloatArray | None = None) -> _Posed:
    """Make what is asked dimensionless."""
    smoothed = scale_and_smooth(data, STEP)
    grid, scales, states = smoothed.grid, smoothed.scales, smoothed.states
    term_scales = _term_scales(library, data, scales)
    units = scales.time * term_scales / scales.state[:, None]
    structure = knowledge.bind(library, units)
    scaled = None
    if anchors is not None:
        free = np.full((len(anchors), 2 * len(smoothed.walks)), np.nan)
        scaled = np.concatenate([anchors / scales.state, free], axis=1)
    problem = Collocation(
        grid, library, term_scales, scales.both, structure.columns, scaled, scales.courses(data), smoothed.walks
    )
    guesses = _guess_hidden(states, grid, data, scales, scaled, knowledge)
    return _Posed(problem, guesses, smoothed.noise, structure, data, scales, units, scaled, knowledge)


def _check_size(data: Trajectories, library: Library) -> None:
    """Refuse a library with as many terms as a variable has samples."""
    counts = np.isfinite(data.pooled).sum(axis=0)
    fewest = int(counts[~data.hidden].min())
    if len(library) > fewest:
        raise InputError(
            f"discover: {len(library)} candidate terms per equation, but '{data.names[int(np.argmin(counts))]}' "
            f"has only {fewest} values; lower the degree or give more data"
        )


def _split_anchors(data: Trajectories) -> tuple[Trajectories, FloatArray]:
    """Take the first row of each trajectory out of the samples, as exact initial values (n_trajectories, d)."""
    anchors = np.stack([y[0] for y in data.y])
    values = []
    for y in data.y:
        rest = y.copy()
        rest[0] = np.nan
        values.append(rest)
    return replace(data, y=tuple(values)), anchors


def _guess_hidden(
    states: FloatArray, grid: Grid, data: Trajectories, scales: Scales, anchors: FloatArray | None, knowledge: Knowledge
) -> list[FloatArray]:
    """Smoothed states with guesses of the hidden variables, dimensionless.

    A hidden variable that mirrors an observed one follows from it. Any other is tried in the shape of the observed
    variables' mean, of its running integral and of its rate, each at several sizes, from its start where that is known.
    """
    if not data.hidden.any():
        return [states]
    names = data.names
    seen = np.flatnonzero(~data.hidden)
    mean = states[:, seen].mean(axis=1)
    pieces = list(zip(grid.nodes, grid.split(mean), strict=True))
    integral = [np.concatenate([[0.0], np.cumsum(0.5 * np.diff(n) * (m[1:] + m[:-1]))]) for n, m in pieces]
    rate = [np.gradient(m, n) for n, m in pieces]
    shapes = [mean, np.concatenate(integral), np.concatenate(rate)]
    shapes = [shape / max(float(np.abs(shape).max()), 1e-300) for shape in shapes]
    guesses: list[FloatArray] = []
    for shape in [size * shape for size in HIDDEN_SIZES for shape in shapes]:
        guess = states.copy()
        for i, (a, b) in enumerate(zip(grid.starts[:-1], grid.starts[1:], strict=True)):
            for k in np.flatnonzero(data.hidden):
                start = 0.0 if anchors is None or np.isnan(anchors[i, k]) else anchors[i, k]
                source, factor = knowledge.mirrored.get(names[k], (None, 0.0))
                if source is not None and not data.hidden[names.index(source)]:
                    j = names.index(source)
                    follow = factor * scales.state[j] / scales.state[k] * (states[a:b, j] - states[a, j])
                else:
                    follow = shape[a:b] - shape[a]
                guess[a:b, k] = start + follow
        if not any(np.array_equal(guess, other) for other in guesses):
            guesses.append(guess)
    return guesses


def _term_scales(library: Library, data: Trajectories, scales: Scales) -> FloatArray:
    """Size of each term: exact for monomials of the scaled states, the root mean square over the data for others."""
    monomials = np.prod(scales.both**library.exponents, axis=1)
    if not library.functions:
        return monomials
    values = data.with_inputs
    complete = values[np.isfinite(values).all(axis=1)]
    if len(complete) == 0:
        raise InputError("discover: terms that are no monomials need rows without missing values")
    values, slopes = library.evaluate(complete)
    for m in range(len(library.exponents), len(library)):
        if not (np.isfinite(values[:, m]).all() and np.isfinite(slopes[:, m]).all()):
            raise InputError(f"discover: the term '{library.names[m]}' is not finite on the data")
    size = np.sqrt(np.mean(values[:, len(library.exponents) :] ** 2, axis=0))
    return np.concatenate([monomials, np.where(size > 0, size, 1.0)])


def _refine(best: Candidate, search: SupportSearch) -> tuple[Collocation, Candidate]:
    """Halve the node spacing until the coefficients move by less than a tenth of their standard errors."""
    problem = search.problem
    for _ in range(4):
        if len(problem.grid) * 2 > MAX_NODES:
            break
        nodes = [np.sort(np.concatenate([n, 0.5 * (n[1:] + n[:-1])])) for n in problem.grid.nodes]
        finer = problem.with_grid(problem.grid.with_nodes(nodes))
        states = problem.interpolate(best.fit, nodes)
        refined = search.settle(
            finer, states, best.fit.beta, best.fit.active, best.noise, tolerance=1e-9, noise_tolerance=1e-5
        )
        if refined is None:
            break
        active = refined.fit.active
        hessian = finer.quadratic(
            refined.fit.x, refined.fit.beta, active, search.tight(refined.noise), refined.noise
        ).hessian
        shift = (refined.fit.beta - best.fit.beta)[active]
        # Mahalanobis length of the shift: no combination of coefficients moved by more than this many of its errors.
        moved = np.sqrt(max(float(shift @ hessian @ shift), 0.0))
        problem, best = finer, refined
        if moved < 0.1:
            break
    return problem, best


def _train(posed: _Posed) -> DiscoveredModel:
    """Discover by ODENet, from the regression of the full library on the smoothed states."""
    problem, states, structure, data = posed.problem, posed.guesses[0], posed.structure, posed.data
    scales, units, anchors = posed.scales, posed.units, posed.anchors
    if problem.library.functions:
        raise InputError("discover: method 'odenet' integrates monomials alone; leave the functions out")
    if data.inputs:
        raise InputError("discover: method 'odenet' knows no inputs; take the default method")
    grid, columns = problem.grid, structure.columns
    times = [(t - origin) / scales.time for t, origin in zip(data.t, scales.origins, strict=True)]
    smoothed = [
        np.stack([np.interp(t, nodes, column) for column in own.T], axis=1)
        for t, nodes, own in zip(times, grid.nodes, grid.split(states), strict=True)
    ]
    anchored = np.zeros((len(data), len(data.names)), dtype=bool)
    if anchors is not None:
        anchored = np.isfinite(anchors)
        for own, start in zip(smoothed, anchors, strict=True):
            own[0] = np.where(np.isfinite(start), start, own[0])
    seen = grid.counts > 0
    noise = np.where(seen, np.maximum(posed.noise, 0.02 * posed.noise[seen].max()), 1.0)
    beta = regress(problem, states, np.arange(columns.count))
    trained = train(
        times, [y / scales.state for y in data.y], smoothed, noise, beta, columns, problem.library.exponents,
        structure.locked, anchored,
    )  # fmt: skip
    theta = columns.theta(trained.beta) / units
    active = np.flatnonzero(trained.beta)
    spread = np.zeros((units.size, columns.count))
    spread[columns.equation * len(problem.library) + columns.term, columns.column] = 1.0
    unknown = (spread[:, active] != 0).any(axis=1)
    covariance = np.where(np.outer(unknown, unknown), np.nan, 0.0)
    denoised = np.split(trained.states * scales.state, np.cumsum([len(t) for t in times])[:-1])
    price = float(np.log(grid.counts.sum()) + 2 * np.log(max(columns.count, 2)) + 2)
    criterion = float(grid.counts[seen] @ np.log(trained.noise[seen] ** 2)) + price * len(active)
    model = DiscoveredModel(
        library=problem.library,
        coefficients=theta,
        covariance=covariance,
        noise=np.where(seen, trained.noise * scales.state, np.nan),
        t=data.t,
        denoised=tuple(denoised),
        initial=np.stack([x[0] for x in denoised]),
        freedom=max(int(grid.counts.sum()) - len(active) - int(seen.sum()) * len(data), 1),
        criterion=criterion,
        knowledge=tuple(posed.knowledge.describe()),
    )
    scaled = data.pooled[:, seen] / scales.state[seen]
    constants = float(grid.counts[seen] @ np.log(np.nanvar(scaled, axis=0)))
    caveats = judge(model, data, converged=trained.mismatch < 0.1, gain=constants - criterion)
    return replace(model, caveats=tuple(caveats))


def _search(posed: _Posed, *, judge_equations: bool = True) -> DiscoveredModel:
    """Discover by collocation, over supports; judge each equation alone, too, where something does not fit."""
    model = _best_of([posed])
    if judge_equations and not fits(model):
        return replace(model, caveats=(*model.caveats, *_of_each_equation(model, posed)))
    return model


def _best_of(some: Sequence[_Posed], candidates: int | None = None) -> DiscoveredModel:
    """Return the best model of one or more problems, by the criterion; `candidates` as of `SupportSearch`."""
    found = []
    for posed in some:
        search = posed.search(candidates)
        best = search.run()
        if best is not None:
            found.append((best, search, posed))
    if not found:
        raise Undetermined("discover: no candidate model could be fitted to the data; try a smaller library")
    best, search, posed = min(found, key=lambda one: one[0].criterion)
    try:
        problem, best = _refine(best, search)
        return _report(problem, best, search, posed)
    except BlowUp:
        raise Undetermined("discover: the best candidate blows up; try a smaller library") from None


def _of_each_equation(model: DiscoveredModel, posed: _Posed) -> list[str]:
    """Return which equations do not fit alone, along the measured courses of the other variables, and what others are.

    A wrong equation bends the solution along which the others are fitted.
    """
    if len(model.names) < 2 or posed.data.hidden.any() or posed.anchors is not None or posed.knowledge != Knowledge():
        return []
    wrong, right = [], []
    for k, name in enumerate(model.names):
        try:
            own = _search(_alone(posed.data, posed.problem.library, k), judge_equations=False)
        except InputError:
            continue
        if not fits(own):
            wrong.append(f"d{name}/dt")
        else:
            right.append(own.equations()[0])
    if not (wrong and right):
        return []
    return [
        f"{' and '.join(wrong)} does not fit along the measured other variables either, and bends the solution along "
        f"which the rest is fitted; along the measured ones: {'; '.join(right)}"
    ]


def _search_forms(data: Trajectories, library: Library, knowledge: Knowledge, kinds: Sequence[str]) -> DiscoveredModel:
    """Discover with terms that have unknowns inside: first of each equation alone, then of all together."""
    sizes = Sizes.of([*data.names, *data.inputs], data.with_inputs)
    rich = library.with_functions([shape for kind in kinds for shape in KINDS[kind](sizes)])
    chosen: list[Shape] = []
    for k in range(len(data.names)):
        alone = _alone(data, rich, k)
        best = alone.search().run()
        if best is not None:
            chosen += _shapes_of(alone.problem, best, data)
    # Where no number may be whole, the two are one.
    sets = dict.fromkeys(tuple(_unlike(shapes)) for shapes in (chosen, [shape.rounded() for shape in chosen]))
    together = [_pose(data, library.with_functions(shapes), knowledge) for shapes in sets]
    return _best_of(together, candidates=len(data.names) * len(rich))


def _shapes_of(problem: Collocation, best: Candidate, data: Trajectories) -> list[Shape]:
    """Return the terms with unknowns inside that a candidate has, for columns in the data's order."""
    library = problem.library.at(best.fit.beta[problem.linear :])
    names = [*data.names, *data.inputs]
    coefficients = problem.columns.theta(best.fit.beta)[0]
    found = []
    for m in problem.used_terms(best.fit.active):
        shape = library.functions[m - len(library.exponents)] if m >= len(library.exponents) else None
        if isinstance(shape, Shape):
            if coefficients[m] < 0 and coefficients[0] > 0 and len(library.exponents):
                # With a constant, less of the one is more of the other.
                shape = shape.turned()
            found.append(shape.reordered([shape.variables.index(name) for name in names]))
    return found


def _unlike(shapes: Sequence[Shape]) -> list[Shape]:
    """Return shapes without those that are like an earlier one."""
    found: list[Shape] = []
    for shape in shapes:
        like = [
            other
            for other in found
            if other.text == shape.text and np.abs(other.positions - shape.positions).max(initial=0.0) < ALIKE
        ]
        if not like:
            found.append(shape)
    return found


def _alone(data: Trajectories, library: Library, k: int) -> _Posed:
    """Return the problem of one equation, with the other variables as inputs."""
    return _pose(data.of_equation(k), library.of_equation(k), Knowledge())


def _report(problem: Collocation, best: Candidate, search: SupportSearch, posed: _Posed) -> DiscoveredModel:
    """Bring the result into the data's units and judge it."""
    structure, data, scales, units = posed.structure, posed.data, posed.scales, posed.units
    fit, columns = best.fit, structure.columns
    library = problem.library.at(best.fit.beta[problem.linear :]).told()
    tight = search.tight(best.noise)
    quadratic = problem.quadratic(fit.x, fit.beta, search.everything, tight, best.noise)
    active = fit.active
    covariance = np.zeros((len(fit.beta), len(fit.beta)))
    block = quadratic.hessian[np.ix_(active, active)]
    covariance[np.ix_(active, active)] = np.linalg.pinv(block, rcond=1e-14, hermitian=True)
    spread = np.zeros((units.size, problem.count))
    spread[columns.equation * len(library) + columns.term, columns.column] = (
        columns.weight / units[columns.equation, columns.term]
    )
    theta = columns.theta(fit.beta) / units
    denoised, initial, courses = [], [], []
    d, s = len(data.names), len(data.sampled)
    parts = (data.t, scales.origins, problem.grid.nodes, problem.grid.split(fit.x), problem.grid.split(fit.rates.f))
    for i, (t, origin, nodes, x, f) in enumerate(zip(*parts, strict=True)):
        denoised.append(hermite(nodes, x[:, :d], f[:, :d], (t - origin) / scales.time) * scales.state)
        initial.append(x[0, :d] * scales.state)
        own = [data.courses[i]] if data.courses else []
        if s:
            course = smooth(nodes, x[:, d : d + s], x[:, d + s :])
            own.insert(0, course.scaled(-origin / scales.time, 1 / scales.time, 1 / scales.inputs[:s]))
        if own:
            courses.append(functools.reduce(Course.beside, own))
    alternatives, confidence = _neighbours(best, search, structure, library, quadratic)
    seen = search.observed[:d]
    noise = np.where(seen, best.noise[:d] * scales.state, np.nan)
    n_observed = search.n_samples
    freedom = max(n_observed - len(active) - int(seen.sum()) * len(data), 1)
    model = DiscoveredModel(
        library=library,
        coefficients=theta,
        covariance=spread @ covariance @ spread.T,
        unknown_errors=np.sqrt(np.diag(covariance)[problem.linear :]),
        noise=noise,
        t=data.t,
        denoised=tuple(denoised),
        initial=np.array(initial),
        courses=tuple(courses),
        freedom=freedom,
        criterion=best.criterion,
        confidence=confidence,
        alternatives=alternatives,
        knowledge=tuple(posed.knowledge.describe()),
    )
    scaled = data.pooled[:, seen] / scales.state[seen]
    constants = float(problem.grid.counts[:d][seen] @ np.log(np.nanvar(scaled, axis=0)))
    misfit = examine(problem, fit, best.noise)
    caveats = judge(model, data, converged=fit.converged, gain=constants - best.criterion, misfit=misfit)
    if confidence < UNDECIDED:
        caveats.append(
            f"the support is information-limited: the chosen one has {100 * confidence:.0f} % against its neighbours"
        )
    caveats += _degenerate_directions(block, active, structure, library)
    return replace(model, caveats=tuple(caveats))


METHODS: Mapping[str, Callable[[_Posed], DiscoveredModel]] = {"collocation": _search, "odenet": _train}
"""How equations are found, by the name that is given as `method`."""


def _neighbours(
    best: Candidate, search: SupportSearch, structure: Structure, library: Library, quadratic: Quadratic
) -> tuple[tuple[Alternative, ...], float]:
    """Supports one move away, by the quadratic model, and the chosen support's share of the probability among them."""
    target = quadratic.hessian @ best.fit.beta - quadratic.gradient
    moves = neighbour_costs(quadratic.hessian, target, best.fit.active, search.prices, search.locked)
    names = [describe_coefficients(library, entries) for entries in _entries(structure)]
    alternatives = []
    for dropped, added, change in moves[:10]:
        words = [f"without {names[dropped]}"] if dropped >= 0 else []
        words += [f"with {names[added]}"] if added >= 0 else []
        alternatives.append(Alternative(", ".join(words), change))
    odds = np.exp(-0.5 * np.maximum([change for _, _, change in moves], 0.0))
    return tuple(alternatives), float(1.0 / (1.0 + odds.sum()))


def _entries(structure: Structure) -> list[list[tuple[int, int]]]:
    """Equation and term of each column's entries."""
    columns = structure.columns
    entries: list[list[tuple[int, int]]] = [[] for _ in range(columns.count)]
    for p, k, m in zip(columns.column, columns.equation, columns.term, strict=True):
        entries[p].append((int(k), int(m)))
    return entries


def _degenerate_directions(hessian: FloatArray, active: IntArray, structure: Structure, library: Library) -> list[str]:
    """Name combinations of coefficients that the data hardly determine."""
    scale = np.sqrt(np.maximum(np.diag(hessian), 1e-300))
    values, vectors = np.linalg.eigh(hessian / np.outer(scale, scale))
    names = [describe_coefficients(library, entries[:1]) for entries in _entries(structure)]
    names += [
        f"{unknown.name} of {library.names[m]}"
        for (m, _), unknown in zip(library.unknowns, library.inside, strict=True)
    ]
    lines = []
    for value, vector in zip(values, vectors.T, strict=True):
        if value < 1e-5:
            involved = [names[active[i]] for i in np.argsort(-np.abs(vector)) if abs(vector[i]) > 0.3]
            lines.append(f"nearly degenerate: {' and '.join(involved)} can change together without changing the fit")
    return lines
