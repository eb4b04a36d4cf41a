"""From samples to equations: the public entry."""

from __future__ import annotations

import functools
import logging
import time
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import ArrayLike

from mechscreen.discovery.columns import questions
from mechscreen.discovery.conditions import check_conditions
from mechscreen.discovery.data import Trajectories, check_trajectories, scale_and_smooth
from mechscreen.discovery.form_search import search_forms
from mechscreen.discovery.judge import fits
from mechscreen.discovery.knowledge import Entry, Knowledge
from mechscreen.discovery.library import FloatArray, Polynomial
from mechscreen.discovery.memory import memory
from mechscreen.discovery.model import DiscoveredModel, Undetermined
from mechscreen.discovery.network import by_network
from mechscreen.discovery.noise import choose
from mechscreen.discovery.offsets import CERTAIN, POSSIBLE, Offsets, cost
from mechscreen.discovery.posing import STEP, Posed, alone, check_size, pose, split_anchors
from mechscreen.discovery.reporting import finish
from mechscreen.discovery.shapes import Shape
from mechscreen.discovery.watch import Watch
from mechscreen.errors import InputError, nearest
from mechscreen.progress import Progress

log = logging.getLogger(__name__)

_AS_GOOD = 2.0
"""By how much the criterion of a model of differences from an offset is to be better than that of one without."""
_LEAST = 0.05
"""Share of a residual's variance that the fit leaves, at least, as far as the kind of noise is concerned."""


def discover(
    t: ArrayLike | Sequence[ArrayLike],
    y: ArrayLike | Sequence[ArrayLike],
    library: Polynomial | None = None,
    *,
    names: Sequence[str] | None = None,
    hidden: Sequence[str] = (),
    inputs: Sequence[str] = (),
    constants: Mapping[str, Sequence[float]] | None = None,
    groups: Sequence[Hashable] | None = None,
    varies: Sequence[Entry] | None = None,
    knowledge: Knowledge | None = None,
    noise: str | Mapping[str, str] = "auto",
    errors: ArrayLike | Sequence[ArrayLike] | None = None,
    exact_start: bool = False,
    method: str = "collocation",
    called: Sequence[str] | None = None,
    time_limit: float | None = None,
    progress: Progress | None = None,
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
        Variables that act on the others and have no equation: an input that repeats its values, or has two or three
        alone, keeps each until the sample with the next one; others go smoothly. Samples before an input's first value
        are left out.
    constants
        Numbers that each trajectory has and that terms may have, such as a dose: a value for each, by name.
    groups
        The condition of each trajectory. All have the same terms, and some coefficients a value for each condition.
    varies
        Which coefficients these are, ``[("x", "x*y")]``; found out unless given.
    knowledge
        What is known about the coefficients beforehand.
    noise
        How large the noise of a sample is, by one of `mechscreen.discovery.noise.KINDS` for all variables or for each:
        ``"constant"``, ``"proportional"`` to its value, ``"poisson"`` (to its square root), or ``"auto"``, whichever
        suits the data.
    errors
        Standard deviations of the samples, in the form of `y`, but for a factor; NaN for variables without.
    exact_start
        Whether the first row of each trajectory holds exact initial values (NaN where unknown) instead of samples.
    method
        One of `METHODS`: ``"collocation"``, or ``"odenet"`` for that of Hu et al. (2021), which gives no intervals.
    called
        What people call the trajectories; by number, from 1, unless given. Of several, those that tell nothing are left
        out, and the model says which and why.
    time_limit
        Seconds by the clock after which the search ends with the best model that it has then, which says so; or with
        the first one that it finds. As long as it takes unless given.
    progress
        Shows how many models were fitted.

    Raises
    ------
    InputError
        If the input is unusable; the message says where.
    Undetermined
        If the data do not determine a model.
    """
    began = time.process_time()
    library = library or Polynomial(2)
    if method not in METHODS:
        raise InputError(f"discover: no method '{method}'{nearest(method, METHODS)} (valid: {', '.join(METHODS)})")
    if time_limit is not None and method != "collocation":
        raise InputError("discover: a time limit goes with the default method; leave one of them out")
    watch = Watch(time_limit, progress)
    if method == "odenet" and noise == "auto":
        noise = "constant"
    data = check_trajectories(
        t, y, names, hidden, inputs, noise, errors, constants, called=called, exact_start=exact_start
    )
    for line in data.alike:
        log.warning("discover: %s", line)
    conditions = check_conditions(groups, varies, len(data.kept) + len(data.left_out), data.kept)
    shapes = library.shapes([*data.names, *data.inputs], data.with_inputs)
    by_default = method == "collocation" and not hidden and not exact_start
    if shapes and not by_default:
        raise InputError(
            "discover: terms with unknowns inside are sought along measured variables, by the default method; leave "
            "hidden variables, exact starts and other methods out"
        )
    if conditions is not None and (shapes or method != "collocation"):
        raise InputError(
            "discover: with groups, terms have no unknowns inside, and the method is the default one; leave the kinds "
            "of terms, unknowns and other methods out"
        )
    check_size(data, library.bind(data.names, data.inputs))
    data, anchors = split_anchors(data) if exact_start else (data, None)
    statements = knowledge or Knowledge()

    def search(
        data: Trajectories,
        library: Polynomial,
        shapes: Sequence[Shape],
        before: DiscoveredModel | None = None,
        remembered: FloatArray | None = None,
    ) -> DiscoveredModel:
        bound = library.bind(data.names, data.inputs)
        smoothed = scale_and_smooth(data, STEP, before.curves if before and by_default else None)
        asked = functools.partial(
            pose,
            data,
            knowledge=statements,
            anchors=anchors,
            conditions=conditions,
            smoothed=smoothed,
            watch=watch,
            memory=remembered,
        )
        return search_forms(data, bound, statements, shapes, asked, watch) if shapes else METHODS[method](asked(bound))

    def found(data: Trajectories, library: Polynomial, shapes: Sequence[Shape] = ()) -> DiscoveredModel:
        model = search(data, library, shapes)
        kinds = _kinds_of_noise(model, data)
        if kinds != model.noise_kinds and not watch.late:
            data = replace(data, noise=kinds)
            model = search(data, library, shapes, model)
        if by_default:
            remembered = memory(model, data)
            if (remembered > 1).any() and not watch.late:
                model = search(data, library, shapes, model, remembered)
        return model

    def of(offsets: Offsets | None) -> tuple[float, DiscoveredModel]:
        if offsets is None:
            model = found(data, library, shapes)
            return cost(model, data) - _AS_GOOD, model
        own, polynomial = offsets.taken(data), Polynomial(library.degree)
        model = found(own, polynomial)
        return cost(model, own), offsets.restored(model, polynomial.bind(data.names, data.inputs))

    plain = by_default and conditions is None and statements == Knowledge()
    plain = plain and library.constant and not library.functions
    certain, possible = (Offsets.of(data, least) if plain else None for least in (CERTAIN, POSSIBLE))
    same = possible is None or (certain is not None and np.array_equal(certain.values, possible.values))
    rivals = [functools.partial(of, offsets) for offsets in ((certain,) if same else (certain, possible))]
    model = _best(rivals, watch)
    return replace(
        model,
        caveats=(*model.caveats, *questions(data), *watch.caveats),
        method=method,
        kept=data.kept,
        left_out=data.left_out,
        elapsed=time.process_time() - began,
    )


def _best(rivals: Sequence[Callable[[], tuple[float, DiscoveredModel]]], watch: Watch) -> DiscoveredModel:
    """Return the model at the least cost of those that can be found."""
    found: list[tuple[float, DiscoveredModel]] = []
    failed: list[Undetermined] = []
    for rival in rivals:
        if found and watch.late:
            break
        try:
            found.append(rival())
        except Undetermined as error:
            failed.append(error)
    if not found:
        raise failed[0]
    return min(found, key=lambda one: one[0])[1]


def _kinds_of_noise(model: DiscoveredModel, data: Trajectories) -> tuple[str, ...]:
    """Return the kinds of noise that residuals of a model tell, where these were to be found out."""
    kinds = list(model.noise_kinds)
    if not fits(model):
        # What a wrong model leaves is no noise.
        return tuple(kinds)
    for k, wanted in enumerate(data.noise):
        if wanted == "auto" and not data.hidden[k]:
            known = [np.isfinite(y[:, k]) for y in data.y]
            values = [x[there, k] for x, there in zip(model.denoised, known, strict=True)]
            left = [y[there, k] - x for y, x, there in zip(data.y, values, known, strict=True)]
            if model.leverage:
                shares = [own[there, k] for own, there in zip(model.leverage, known, strict=True)]
                left = [own / np.sqrt(np.maximum(1 - share, _LEAST)) for own, share in zip(left, shares, strict=True)]
            kinds[k] = choose(left, values).kind
    return tuple(kinds)


def _search(posed: Posed, *, judge_equations: bool = True) -> DiscoveredModel:
    """Discover by collocation, over supports; judge each equation alone, too, where something does not fit."""
    search = posed.search()
    best = search.run(halve=judge_equations)
    if best is None:
        raise Undetermined("discover: no candidate model could be fitted to the data; try a smaller library")
    model = finish(best, search, posed)
    if judge_equations and not fits(model) and not posed.watch.late:
        return replace(model, caveats=(*model.caveats, *_of_each_equation(model, posed)))
    return model


def _of_each_equation(model: DiscoveredModel, posed: Posed) -> list[str]:
    """Return which equations do not fit alone, along the measured courses of the other variables, and what others are.

    A wrong equation bends the solution along which the others are fitted.
    """
    if len(model.names) < 2 or posed.data.hidden.any() or posed.anchors is not None or posed.knowledge != Knowledge():
        return []
    wrong, right = [], []
    for k, name in enumerate(model.names):
        if posed.watch.late:
            break
        try:
            own = _search(alone(posed, k), judge_equations=False)
        except Undetermined:
            own = None
        except InputError:
            continue
        if own is None or not fits(own):
            wrong.append(f"d{name}/dt")
        else:
            right.append(own.equations()[0])
    if not (wrong and right):
        return []
    return [
        f"{' and '.join(wrong)} does not fit along the measured other variables either, and bends the solution along "
        f"which the rest is fitted; along the measured ones: {'; '.join(right)}"
    ]


METHODS: Mapping[str, Callable[[Posed], DiscoveredModel]] = {"collocation": _search, "odenet": by_network}
"""How equations are found, by the name that is given as `method`."""
