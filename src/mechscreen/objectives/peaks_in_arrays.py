"""Peaks of profiles by array operations of JAX, as the compiled loops beside this have them, value for value.

For programs that JAX compiles, on a card above all, where thousands of profiles are looked at in step: a loop here goes
from peak to peak, each step of it over all points of all profiles. Sums and comparisons in float64 need JAX's
``enable_x64``, as in the programs that call this (`mechscreen.device`).
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import jax.numpy as jnp
from jax import lax


class Plateaus(NamedTuple):
    """Runs of equal values that are maxima, each by its last point.

    Attributes
    ----------
    ends
        (n, points), whether a point is the last one of such a run.
    first
        (n, points), the first point of the run that a point ends.
    """

    ends: Any
    first: Any


def plateaus(x: Any, *, open_left: bool, open_right: bool) -> Plateaus:
    """Return the maxima of profiles (n, points).

    Parameters
    ----------
    open_left, open_right
        Whether a run that reaches that end of the grid is a maximum if it falls on the other side.
    """
    n, points = x.shape
    rises, falls = x[:, 1:] > x[:, :-1], x[:, 1:] < x[:, :-1]
    # The last step before each point that is no level one, and which way it went.
    steps = jnp.arange(points - 1, dtype=jnp.int32)
    code = lax.cummax(jnp.where(rises, 2 * steps + 1, jnp.where(falls, 2 * steps, -1)), axis=1)
    code = jnp.concatenate([jnp.full((n, 1), -1, jnp.int32), code], axis=1)
    none = code < 0
    up = jnp.where(none, open_left, code % 2 == 1)
    down = jnp.concatenate([falls, jnp.full((n, 1), open_right)], axis=1)
    return Plateaus(up & down, jnp.where(none, 0, code // 2 + 1))


def _at(values: Any, place: Any) -> Any:
    """Return one value of each row, (n,)."""
    return jnp.take_along_axis(values, place[:, None].astype(jnp.int32), axis=1)[:, 0]


class Sides(NamedTuple):
    """What lies beside one maximum of each profile, (n,) each.

    Attributes
    ----------
    top
        Its height.
    left, right
        Lowest values, its own included, on the way to a higher one or the end of the grid.
    higher_left, higher_right
        Whether there is a higher one.
    """

    top: Any
    left: Any
    right: Any
    higher_left: Any
    higher_right: Any


def sides(x: Any, first: Any, last: Any) -> Sides:
    """Return what lies beside the maxima that go from point `first` to `last`, (n,), of profiles (n, points)."""
    points = x.shape[1]
    place = jnp.arange(points, dtype=jnp.int32)
    top, first, last = _at(x, first), first[:, None], last[:, None]
    higher = x > top[:, None]
    begin = jnp.max(jnp.where(higher & (place < first), place, -1), axis=1)
    end = jnp.min(jnp.where(higher & (place > last), place, points), axis=1)
    left = jnp.where((place > begin[:, None]) & (place < first), x, top[:, None])
    right = jnp.where((place < end[:, None]) & (place > last), x, top[:, None])
    return Sides(top, left.min(axis=1), right.min(axis=1), begin >= 0, end < points)


def mirrored_peaks(profiles: Any, distance: float, prominence: float) -> tuple[Any, Any, Any]:
    """Count the peaks of profiles mirrored at their first point (`mechscreen.objectives.rings.mirrored_peaks`).

    Returns
    -------
    off_centre, centre
        As there.
    undecided
        (n,), where equal heights leave the count to SciPy's choice, or a value is not finite; ask there then.
    """
    x, apart = jnp.asarray(profiles), math.ceil(distance)
    n, points = x.shape
    place = jnp.arange(points, dtype=jnp.int32)
    finite = jnp.isfinite(x).all(axis=1)
    ends, first = plateaus(x, open_left=True, open_right=False)
    # What is less than `prominence` above the lowest point counts as no peak, nor can it displace one that does.
    lowest = x.min(axis=1).astype(jnp.float64)
    found = ends & (x >= lowest[:, None] + 0.999 * prominence) & finite[:, None]
    centre_run = first == 0
    # Places of a peak and of its mirror image, as SciPy rounds the middles of plateaus.
    right = jnp.where(centre_run, 0, (first + place) // 2)
    left = jnp.where(centre_run, 0, -((first + place + 1) // 2))
    uneven = (found & (right != -left)).any(axis=1)

    def more(state: tuple[Any, ...]) -> Any:
        on_right, on_left, *_ = state
        return (on_right | on_left).any()

    def step(state: tuple[Any, ...]) -> tuple[Any, ...]:
        on_right, on_left, off_centre, centre, undecided = state
        there = on_right | on_left
        last = jnp.argmax(jnp.where(there, x, -jnp.inf), axis=1).astype(jnp.int32)
        begin, kept, kept_image = _at(first, last), _at(on_right, last), _at(on_left, last)
        at, at_image = _at(right, last), _at(left, last)
        # A peak and its own mirror image: either may go, the count is the same, as long as all is symmetric.
        too_close = kept & kept_image & (at - at_image < apart)
        undecided |= too_close & uneven
        kept_image &= ~too_close

        def near(places: Any) -> Any:
            of_peak = kept[:, None] & (jnp.abs(places - at[:, None]) < apart)
            return of_peak | (kept_image[:, None] & (jnp.abs(places - at_image[:, None]) < apart))

        near_right, near_left = near(right), near(left)
        self_ = place == last[:, None]
        beside = sides(x, begin, last)
        equal = (x == beside.top[:, None]) & ~self_
        undecided |= (equal & ((on_right & near_right) | (on_left & near_left))).any(axis=1)
        base = jnp.where(beside.higher_left, jnp.maximum(beside.left, beside.right), beside.right)
        counts = beside.top.astype(jnp.float64) - base.astype(jnp.float64) >= prominence
        at_centre = begin == 0
        # Kept bits are false where no peak is left.
        standing = kept.astype(jnp.int32) + kept_image.astype(jnp.int32)
        off_centre = off_centre + jnp.where(counts & ~at_centre, standing, 0)
        centre = centre | (counts & at_centre & kept)
        going = ~self_ & ~undecided[:, None]
        return on_right & ~near_right & going, on_left & ~near_left & going, off_centre, centre, undecided

    nothing = jnp.zeros(n, jnp.int32)
    state = (found, found & ~centre_run, nothing, nothing > 0, ~finite)
    *_, off_centre, centre, undecided = lax.while_loop(more, step, state)
    return off_centre, centre, undecided


def count_modes(profiles: Any, dip: float, height: float) -> tuple[Any, Any]:
    """Count the modes of profiles (`mechscreen.objectives.modes.count_modes`), and say where a value is not finite."""
    x = jnp.asarray(profiles)
    finite = jnp.isfinite(x).all(axis=1)
    ends, first = plateaus(x, open_left=True, open_right=True)
    least = jnp.maximum(height * x.max(axis=1).astype(jnp.float64), 0.0)
    found = ends & (x > 0) & (x >= least[:, None]) & finite[:, None]

    def look(last: Any, there: Any, modes: Any) -> Any:
        beside = sides(x, _at(first, last), last)
        left = jnp.where(beside.higher_left, beside.left, 0).astype(jnp.float64)
        right = jnp.where(beside.higher_right, beside.right, 0).astype(jnp.float64)
        top = beside.top.astype(jnp.float64)
        return modes + (there & (top - jnp.maximum(left, right) >= dip * top))

    return _from_left(found, look, jnp.zeros(len(x), jnp.int32)), ~finite


def _from_left(found: Any, look: Any, state: Any) -> Any:
    """Go over the points of each row that are marked, (n, points), from the left; return the last state.

    `look` is told the next such point of each row, (n,), whether there is one, and the state.
    """
    points = found.shape[1]
    place = jnp.arange(points, dtype=jnp.int32)

    def following(after: Any) -> Any:
        return jnp.min(jnp.where(found & (place > after[:, None]), place, points), axis=1)

    def step(carried: tuple[Any, Any]) -> tuple[Any, Any]:
        at, inner = carried
        there = at < points
        return following(at), look(jnp.where(there, at, 0), there, inner)

    at = following(jnp.full(len(found), -1, jnp.int32))
    return lax.while_loop(lambda carried: (carried[0] < points).any(), step, (at, state))[1]


class _Peaks(NamedTuple):
    """As `mechscreen.objectives.features.Peaks`, and the middle of the last peak."""

    count: Any
    first: Any
    last: Any
    opening: Any
    closing: Any
    prominence: Any
    before: Any


def find_peaks(curves: Any, times: Any, least: Any) -> tuple[Any, ...]:
    """Return the fields of `mechscreen.objectives.features.Peaks` for curves (n, points) on a grid (points,).

    Parameters
    ----------
    least
        (n,), prominence of a peak.
    """
    x, grid = jnp.asarray(curves), jnp.asarray(times, jnp.float64)
    n, points = x.shape
    place = jnp.arange(points, dtype=jnp.int32)
    ends, first = plateaus(x, open_left=False, open_right=False)

    def look(last: Any, there: Any, peaks: _Peaks) -> _Peaks:
        begin = _at(first, last)
        beside = sides(x, begin, last)
        top = beside.top.astype(jnp.float64)
        prominence = top - jnp.maximum(beside.left, beside.right).astype(jnp.float64)
        counts = there & (prominence >= least)
        middle = (begin + last) // 2
        between = (place >= peaks.before[:, None]) & (place < middle[:, None])
        lowest = jnp.where(between, x, jnp.inf).min(axis=1).astype(jnp.float64)
        later = counts & (peaks.before >= 0)
        swing = _at(x, jnp.maximum(peaks.before, 0)).astype(jnp.float64) - lowest
        # The top of the parabola through a single point and its neighbours (for equal steps).
        a, b, c = (_at(x, jnp.clip(middle + k, 0, points - 1)).astype(jnp.float64) for k in (-1, 0, 1))
        bend = a - 2 * b + c
        step = grid[jnp.minimum(middle + 1, points - 1)] - grid[jnp.maximum(middle - 1, 0)]
        shift = jnp.where((begin == last) & (bend < 0), 0.5 * (a - c) / jnp.where(bend < 0, bend, 1) * 0.5 * step, 0)
        at = grid[middle] + shift
        return _Peaks(
            peaks.count + counts,
            jnp.where(counts & (peaks.count == 0), at, peaks.first),
            jnp.where(counts, at, peaks.last),
            jnp.where(later & (peaks.count == 1), swing, peaks.opening),
            jnp.where(later, swing, peaks.closing),
            jnp.where(there, jnp.maximum(peaks.prominence, prominence), peaks.prominence),
            jnp.where(counts, middle, peaks.before),
        )

    none, unknown = jnp.zeros(n, jnp.int64), jnp.full(n, jnp.nan)
    begin = _Peaks(none, unknown, unknown, unknown, unknown, jnp.zeros(n), jnp.full(n, -1, jnp.int32))
    return tuple(_from_left(ends, look, begin)[:-1])
