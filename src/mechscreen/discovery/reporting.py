"""From a fitted candidate to a model: nodes as fine as they need to be, the data's units, and what to think of it."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from mechscreen.discovery.collocation import BlowUp, Collocation, Quadratic
from mechscreen.discovery.data import MAX_NODES, NOISE_FLOOR
from mechscreen.discovery.hermite import dense_curve, hermite
from mechscreen.discovery.inputs import Course, smooth
from mechscreen.discovery.judge import judge
from mechscreen.discovery.knowledge import Structure
from mechscreen.discovery.library import FloatArray, IntArray, Library
from mechscreen.discovery.memory import remembers
from mechscreen.discovery.model import Alternative, DiscoveredModel, Group, Undetermined, describe_coefficients
from mechscreen.discovery.posing import Posed
from mechscreen.discovery.residuals import examine, leverages
from mechscreen.discovery.search import Candidate, SupportSearch
from mechscreen.discovery.tangent import horizon
from mechscreen.errors import at_most

_LEFT = 0.1
"""Share of its samples by which the noise of a variable is told, at least."""

_DEGENERATE = 1e-5
"""Curvature of the misfit, of coefficients without units, below which the data do not determine a combination."""

UNDECIDED = 0.75
"""Share of the probability of its neighbours and its own, below which a support is not decided."""


def finish(best: Candidate, search: SupportSearch, posed: Posed, rivals: Sequence[Alternative] = ()) -> DiscoveredModel:
    """Return the model of the best candidate.

    Parameters
    ----------
    rivals
        Others that were fitted, for the model's alternatives.

    Raises
    ------
    Undetermined
        If it says nothing, or blows up.
    """
    try:
        problem, best = _refine(best, search)
        if not posed.data.crowded or problem.exact_starts:
            return _report(problem, best, search, posed, rivals)
        shares = leverages(problem, best.fit, best.noise)
        if shares is not None:
            noise = _noise_of(problem, best, shares) * np.sqrt(search.memory)
            best = replace(best, noise=noise)
        return replace(_report(problem, best, search, posed, rivals), leverage=tuple(shares or ()))
    except BlowUp:
        raise Undetermined("discover: the best candidate blows up; try a smaller library") from None


def _refine(best: Candidate, search: SupportSearch) -> tuple[Collocation, Candidate]:
    """Halve the node spacing until the coefficients move by less than a tenth of their standard errors."""
    problem = search.problem
    for _ in range(4):
        if len(problem.grid) * 2 > MAX_NODES:
            break
        nodes = problem.grid.halved
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


def _noise_of(problem: Collocation, best: Candidate, shares: Sequence[FloatArray]) -> FloatArray:
    """Return the noise (d + 2 s,) of samples of which a fit follows some more closely than others.

    `shares` as from `leverages`: starts of one variable may be told by samples of another.
    """
    taken = np.nansum(np.concatenate(shares), axis=0)
    counts = problem.grid.counts
    noise = best.noise.copy()
    for k in np.flatnonzero(counts[: len(problem.library.states)] > 0):
        freedom = max(counts[k] - taken[k], _LEFT * counts[k])
        noise[k] = max(float(np.sqrt(best.fit.rates.data[k] / freedom)), NOISE_FLOOR)
    return noise


def _report(
    problem: Collocation, best: Candidate, search: SupportSearch, posed: Posed, rivals: Sequence[Alternative]
) -> DiscoveredModel:
    """Bring the result into the data's units and judge it."""
    structure, data, scales = posed.structure, posed.data, posed.scales
    fit = best.fit
    library = problem.library.at(best.fit.beta[problem.linear :]).told()
    tight = search.tight(best.noise)
    quadratic = problem.quadratic(fit.x, fit.beta, search.everything, tight, best.noise)
    active = fit.active
    covariance = np.zeros((len(fit.beta), len(fit.beta)))
    block = quadratic.hessian[np.ix_(active, active)]
    covariance[np.ix_(active, active)] = np.linalg.pinv(block, rcond=1e-14, hermitian=True)
    groups = _groups(posed, fit.beta, covariance)
    theta, uncertainty = _of_all(groups)
    denoised, initial, courses, curves = [], [], [], []
    d, s = len(data.names), len(data.sampled)
    parts = (data.t, scales.origins, problem.grid.nodes, problem.grid.split(fit.x), problem.grid.split(fit.rates.f))
    for i, (t, origin, nodes, x, f) in enumerate(zip(*parts, strict=True)):
        denoised.append(hermite(nodes, x[:, :d], f[:, :d], (t - origin) / scales.time) * scales.state)
        initial.append(x[0, :d] * scales.state)
        times, curve = dense_curve(nodes, x[:, :d], f[:, :d])
        curves.append((origin + scales.time * times, curve * scales.state))
        own = [data.courses[i]] if data.courses else []
        if s:
            course = smooth(nodes, x[:, d : d + s], x[:, d + s :])
            own.insert(0, course.scaled(-origin / scales.time, 1 / scales.time, 1 / scales.inputs[:s]))
        if own:
            courses.append(functools.reduce(Course.beside, own))
    alternatives, confidence = _neighbours(best, search, structure, library, quadratic, rivals)
    seen = search.observed[:d]
    own_noise = best.noise[:d] / np.sqrt(search.memory[:d])
    noise = np.where(seen, own_noise * scales.state, np.nan)
    n_observed = search.n_samples
    freedom = max(n_observed - len(active) - int(seen.sum()) * len(data), 1)
    model = DiscoveredModel(
        library=library if posed.conditions is None else posed.library,
        coefficients=theta,
        covariance=uncertainty,
        unknown_errors=np.sqrt(np.diag(covariance)[problem.linear :]),
        noise=noise,
        noise_kinds=posed.kinds,
        noise_factors=np.where(seen, own_noise * posed.factors, np.nan),
        t=data.t,
        denoised=tuple(denoised),
        initial=np.array(initial),
        courses=tuple(courses),
        curves=tuple(curves),
        freedom=freedom,
        criterion=best.criterion,
        confidence=confidence,
        alternatives=alternatives,
        knowledge=tuple(posed.knowledge.describe()) + (tuple(posed.conditions.describe()) if posed.conditions else ()),
        groups=groups if posed.conditions else (),
    )
    misfit = examine(problem, fit, best.noise)
    caveats = [
        *data.alike,
        *judge(
            model,
            data,
            smoothed=posed.noise[:d] * scales.state,
            converged=fit.converged,
            gain=search.constants - best.criterion,
            misfit=misfit,
        ),
    ]
    if confidence < UNDECIDED:
        caveats.append(
            f"the support is information-limited: the chosen one has {100 * confidence:.0f} % against its neighbours"
        )
    caveats += [
        caveat for name, times in zip(data.names, posed.memory, strict=True) if (caveat := remembers(name, times))
    ]
    caveats += _degenerate_directions(block, active, structure, library, _sizes(posed))
    if not (problem.exact_starts or problem.hidden.any()):
        parted = horizon(problem, fit, best.noise, covariance[np.ix_(active, active)])
        if parted is not None:
            k, time = parted
            caveats.append(
                f"solutions part after {scales.time * time:.3g}: from a start ten times as exact as a sample, "
                f"and with coefficients as they are known, {data.names[k]} is not told for longer (chaos, or a state "
                "that is left)"
            )
    return replace(model, caveats=tuple(caveats))


def _groups(posed: Posed, beta: FloatArray, covariance: FloatArray) -> tuple[Group, ...]:
    """Return coefficients and their covariance under each condition, in the data's units; one where there are none."""
    conditions = posed.conditions
    labels = ("",) if conditions is None else conditions.labels
    of = np.zeros(len(posed.data), dtype=np.int64) if conditions is None else conditions.of
    groups = []
    for g, (label, columns) in enumerate(zip(labels, posed.columns, strict=True)):
        spread = np.zeros((posed.units.size, len(beta)))
        spread[columns.equation * posed.units.shape[1] + columns.term, columns.column] = (
            columns.weight / posed.units[columns.equation, columns.term]
        )
        theta = columns.theta(beta) / posed.units
        trajectories = tuple(np.flatnonzero(of == g).tolist())
        groups.append(Group(label, trajectories, theta, spread @ covariance @ spread.T))
    return tuple(groups)


def _of_all(groups: Sequence[Group]) -> tuple[FloatArray, FloatArray]:
    """Return coefficients and their covariance that hold under all conditions, NaN where they differ."""
    first = groups[0]
    differ = np.any([group.coefficients != first.coefficients for group in groups], axis=0)
    either = differ.ravel()[:, None] | differ.ravel()
    return np.where(differ, np.nan, first.coefficients), np.where(either, np.nan, first.covariance)


def _neighbours(
    best: Candidate,
    search: SupportSearch,
    structure: Structure,
    library: Library,
    quadratic: Quadratic,
    rivals: Sequence[Alternative],
) -> tuple[tuple[Alternative, ...], float]:
    """Rivals and supports one move away, by the quadratic model, and the chosen one's share of the probability."""
    moves = search.neighbours(quadratic, best.fit)
    names = [describe_coefficients(library, entries) for entries in _entries(structure)]
    alternatives = list(rivals)
    for dropped, added, change in moves[:10]:
        words = _told("without", dropped, names, structure) + _told("with", added, names, structure)
        alternatives.append(Alternative(", ".join(words), change))
    changes = [*(change for _, _, change in moves), *(rival.price for rival in rivals)]
    odds = np.exp(-0.5 * np.maximum(changes, 0.0))
    closest = sorted(alternatives, key=lambda one: one.price)[:10]
    return tuple(closest), float(1.0 / (1.0 + odds.sum()))


def _told(what: str, moved: Sequence[int], names: Sequence[str], structure: Structure) -> list[str]:
    """Return what a move adds or drops, in words: whole coefficients, or that they vary by condition."""
    if structure.blocks is None:
        return [f"{what} {names[p]}" for p in moved]
    blocks = structure.blocks
    whole = [p for p in moved if not blocks.further[p]]
    varying = {int(blocks.needs[blocks.of[p]]) for p in moved if blocks.further[p]} - {-1}
    words = [f"{what} {names[p]}{' by condition' if what == 'with' and p in varying else ''}" for p in whole]
    how = "by condition" if what == "with" else "shared by conditions"
    return words + [f"{names[p]} {how}" for p in sorted(varying - set(whole))]


def _entries(structure: Structure) -> list[list[tuple[int, int]]]:
    """Equation and term of each column's entries."""
    columns = structure.columns
    entries: list[list[tuple[int, int]]] = [[] for _ in range(columns.count)]
    for p, k, m in zip(columns.column, columns.equation, columns.term, strict=True):
        entries[p].append((int(k), int(m)))
    return entries


def _sizes(posed: Posed) -> FloatArray:
    """Return what each column (P,) is to be multiplied by for the coefficient of its first entry, in the data's units.

    1 for what only further conditions have.
    """
    columns = posed.columns[0]
    sizes = np.ones(columns.count)
    own, first = np.unique(columns.column, return_index=True)
    sizes[own] = columns.weight[first] / posed.units[columns.equation[first], columns.term[first]]
    return sizes


def _degenerate_directions(
    hessian: FloatArray, active: IntArray, structure: Structure, library: Library, sizes: FloatArray
) -> list[str]:
    """Name combinations of coefficients that the data hardly determine, in a few lines.

    `sizes` as from `_sizes`.
    """
    entries = _entries(structure)
    names = [describe_coefficients(library, own[:1]) for own in entries]
    names += [
        f"{unknown.name} of {library.names[m]}"
        for (m, _), unknown in zip(library.unknowns, library.inside, strict=True)
    ]
    usable = np.isfinite(hessian).all(axis=1) & (np.diag(hessian) > 0)
    lines = [f"nearly degenerate: {names[i]} can change without changing the fit" for i in active[~usable]]
    active, hessian = active[usable], hessian[np.ix_(usable, usable)]
    scale = np.sqrt(np.diag(hessian))
    values, vectors = np.linalg.eigh(hessian / scale / scale[:, None])
    for value, vector in zip(values, vectors.T, strict=True):
        if value < _DEGENERATE:
            order = [i for i in np.argsort(-np.abs(vector)) if abs(vector[i]) > 0.3]
            line = f"nearly degenerate: {' and '.join(names[active[i]] for i in order)} can change together"
            line += " without changing the fit"
            pair = sorted(int(active[i]) for i in order)
            others = np.delete(vector, order)
            single = len(pair) == 2 and max(pair) < len(entries) and np.abs(others).max(initial=0.0) < 0.05
            # Those of further conditions are differences.
            if single and (structure.blocks is None or not structure.blocks.further[pair].any()):
                moves = {int(active[i]): vector[i] / scale[i] * sizes[active[i]] for i in order}
                ratio = -moves[pair[0]] / moves[pair[1]]
                sign = "+" if ratio > 0 else "-"
                line += f"; the data determine only ({names[pair[0]]}) {sign} {abs(ratio):.3g} ({names[pair[1]]})"
            lines.append(line)
    return at_most(lines, what=" nearly degenerate combinations")
