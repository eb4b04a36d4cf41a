"""What is asked, without units: samples on nodes, scaled terms, columns of coefficients, guesses of hidden states."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from mechscreen.discovery.collocation import Collocation, Columns, Grid
from mechscreen.discovery.conditions import Conditions, courses, extend
from mechscreen.discovery.data import Scales, Smoothed, Trajectories, scale_and_smooth
from mechscreen.discovery.knowledge import Knowledge, Structure
from mechscreen.discovery.library import FloatArray, Library
from mechscreen.discovery.search import SupportSearch
from mechscreen.discovery.watch import Watch
from mechscreen.errors import InputError

STEP = 0.2
"""Node spacing of the search, in units of the data's time scale; the final fit halves it as long as that matters."""

HIDDEN_SIZES = (1.0, 0.1, 0.01)
"""Sizes at which a hidden variable is guessed, relative to the observed ones."""


@dataclass(frozen=True)
class Posed:
    """What is asked of a method, dimensionless, and what brings its answer into the data's units.

    Attributes
    ----------
    library, units
        Terms, and what dimensionless coefficients (d, M) of them are to be divided by.
    columns
        Of each condition, over these terms; one where there are no conditions.
    memory
        (d,), how many samples tell as much as one would of white noise (`mechscreen.discovery.memory`).
    problem, structure
        What is fitted: with conditions, over more terms (`mechscreen.discovery.conditions`).
    """

    problem: Collocation
    library: Library
    columns: tuple[Columns, ...]
    guesses: list[FloatArray]
    noise: FloatArray
    structure: Structure
    data: Trajectories
    scales: Scales
    units: FloatArray
    anchors: FloatArray | None
    knowledge: Knowledge
    kinds: tuple[str, ...]
    factors: FloatArray
    conditions: Conditions | None
    watch: Watch
    memory: FloatArray

    def search(self, candidates: int | None = None) -> SupportSearch:
        """Return what searches for its terms; `candidates` as there."""
        return SupportSearch(
            self.problem,
            self.guesses,
            self.noise,
            self.structure.locked,
            candidates,
            self.structure.blocks,
            self.watch,
            self.memory,
        )


def pose(
    data: Trajectories,
    library: Library,
    knowledge: Knowledge,
    anchors: FloatArray | None = None,
    *,
    conditions: Conditions | None = None,
    smoothed: Smoothed | None = None,
    watch: Watch | None = None,
    memory: FloatArray | None = None,
) -> Posed:
    """Make what is asked dimensionless; `smoothed` are the data where that was done before."""
    smoothed = smoothed or scale_and_smooth(data, STEP)
    grid, scales, states = smoothed.grid, smoothed.scales, smoothed.states
    term_scales = _term_scales(library, data, scales)
    units = scales.time * term_scales / scales.state[:, None]
    structure = knowledge.bind(library, units)
    asked, both, known = library, scales.both, scales.courses(data)
    columns: tuple[Columns, ...] = (structure.columns,)
    if conditions is not None:
        extended = extend(conditions, library, structure)
        asked, structure = extended.library, extended.structure
        known = courses(conditions, known)
        further = len(conditions.labels) - 1
        both, term_scales = np.concatenate([both, np.ones(further)]), term_scales[extended.base]
        columns = tuple(extended.columns(g) for g in range(further + 1))
    scaled = None
    if anchors is not None:
        free = np.full((len(anchors), 2 * len(smoothed.walks)), np.nan)
        scaled = np.concatenate([anchors / scales.state, free], axis=1)
    problem = Collocation(grid, asked, term_scales, both, structure.columns, scaled, known, smoothed.walks)
    guesses = _guess_hidden(states, grid, data, scales, scaled, knowledge)
    return Posed(
        problem,
        library,
        columns,
        guesses,
        smoothed.noise,
        structure,
        data,
        scales,
        units,
        scaled,
        knowledge,
        smoothed.kinds,
        smoothed.factors,
        conditions,
        watch or Watch(),
        np.ones(len(data.names)) if memory is None else memory,
    )


def check_size(data: Trajectories, library: Library) -> None:
    """Refuse a library with as many terms as a variable has samples."""
    counts = np.isfinite(data.pooled).sum(axis=0)
    fewest = int(counts[~data.hidden].min())
    if len(library) > fewest:
        raise InputError(
            f"discover: {len(library)} candidate terms per equation, but '{data.names[int(np.argmin(counts))]}' "
            f"has only {fewest} values; lower the degree or give more data"
        )


def split_anchors(data: Trajectories) -> tuple[Trajectories, FloatArray]:
    """Take the first row of each trajectory out of the samples, as exact initial values (n_trajectories, d)."""
    anchors = np.stack([y[0] for y in data.y])
    values = []
    for y in data.y:
        rest = y.copy()
        rest[0] = np.nan
        values.append(rest)
    return replace(data, y=tuple(values)), anchors


def alone(posed: Posed, k: int) -> Posed:
    """Return the problem of one equation, with the other variables as inputs."""
    data, conditions = posed.data, posed.conditions
    own = None if conditions is None else conditions.of_equation(data.names[k])
    return pose(data.of_equation(k), posed.library.of_equation(k), Knowledge(), conditions=own, watch=posed.watch)


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
