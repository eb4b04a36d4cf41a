"""What is looked for in a model's outputs: arrays in, class labels out.

An objective returns one integer label per sample, an index into its `class_names`. It is called in one of two ways, as
the number of its arguments says. With one: ``objective(outputs)``, a mapping from the name of each output to what the
model says of it, (n, *shape), in its unit. With two, for models whose outputs are profiles of equally many points:
``objective(profiles, log_peaks)``, profiles (n, outputs, points), each scaled as its output says (divided by its own
maximum, mostly), and log_peaks (n, outputs), the logarithms of these maxima. An ensemble's profiles have a maximum near
1; a mean of members that disagree about the place of a peak has a lower one.
"""

from __future__ import annotations

import inspect
import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, Protocol

import numba
import numpy as np
from numpy.typing import ArrayLike, NDArray

from mechscreen.errors import InputError, ModelError
from mechscreen.models import Outputs
from mechscreen.registry import OBJECTIVES, check_options, construct

IntArray = NDArray[np.int64]


class Objective(Protocol):
    """Anything that labels samples."""

    @property
    def version(self) -> str:
        """Changes whenever labels change; it is part of the campaign's identity."""

    @property
    def class_names(self) -> tuple[str, ...]:
        """Name of each class; label k is the class ``class_names[k]``."""

    def __call__(self, *arrays: Any) -> IntArray:
        """Label the outputs of n samples, by name or as profiles and log peaks; return (n,) labels."""


def get_objective(spec: str, /, **options: Any) -> Objective:
    """Return an objective by name, ``package.module:function`` or ``path/to/file.py:function``.

    Names are those of the built-in objectives (`Rings`, `Modes`), and of those that installed packages add (entry
    points of the group ``mechscreen.objectives``). A class is made with the options. A function is called as
    ``function(outputs, **options)`` or ``function(profiles, log_peaks, **options)`` and returns (n,) integers
    0 … len(classes) − 1; the option `classes`, the names of its classes, is not passed on.

    Raises
    ------
    InputError
        If there is no such objective, its module cannot be imported, or an option is unknown or out of range.
    """
    found = OBJECTIVES.get(spec)
    if isinstance(found, type):
        objective: Objective = construct(found, options, f"objective '{spec}'")
        return objective
    return UserObjective(spec, found, options)


class Labelling:
    """An objective for a model's outputs: labels what is stored or predicted of them.

    Raises
    ------
    InputError
        If the objective cannot label such outputs.
    """

    def __init__(self, objective: Objective, outputs: Outputs) -> None:
        self.objective = objective
        self._outputs = outputs
        self._by_name = not isinstance(objective, _OfOneOutput) and _takes_names(
            objective.function if isinstance(objective, UserObjective) else objective
        )
        self._check()

    def _check(self) -> None:
        outputs, objective = self._outputs, self.objective
        if isinstance(objective, _OfOneOutput):
            if objective.output >= len(outputs):
                names = ", ".join(f"{number} ({output.name})" for number, output in enumerate(outputs))
                raise InputError(f"no output {objective.output}; the model's are {names}")
            output = outputs[objective.output]
            if output.scale != "peak" or len(output.grids) != 1:
                raise InputError(
                    f"'{output.name}' is no profile that is scaled by its peak, which is what this objective looks at; "
                    "write a function of your own (docs/own-objective.md)"
                )
        elif not self._by_name and not outputs.uniform:
            shapes = ", ".join(f"'{output.name}' {output.shape}" for output in outputs)
            raise InputError(
                "takes profiles and log peaks, which are for outputs of equally many points, and the model's are "
                f"{shapes}; write it as a function of the outputs: outputs['{outputs[0].name}'] is (n, *shape)"
            )

    def __call__(self, profiles: ArrayLike, log_peaks: ArrayLike) -> IntArray:
        """Label n samples, (n,).

        Parameters
        ----------
        profiles, log_peaks
            (n, *outputs.shape) and (n, outputs), as they are stored and predicted.
        """
        if isinstance(self.objective, _OfOneOutput):
            return self.objective.label(self._outputs.flat(profiles, self.objective.output))
        if self._by_name:
            return self.objective(self._outputs.by_name(profiles, log_peaks))
        return self.objective(profiles, log_peaks)


def _takes_names(objective: Callable[..., Any]) -> bool:
    """Return whether an objective takes the outputs by name: one argument, beside those that are options."""
    try:
        parameters = list(inspect.signature(objective).parameters.values())
    except (TypeError, ValueError):  # functions that are not written in Python need not say
        return False
    positional = [p for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    needed = [p for p in positional if p.default is p.empty]
    several = any(p.kind is p.VAR_POSITIONAL for p in parameters)
    return len(needed) == 1 and not several and "log_peaks" not in [p.name for p in positional]


class _OfOneOutput(ABC):
    """An objective that looks at the shape of one output alone."""

    output: int

    @abstractmethod
    def label(self, profiles: NDArray[Any]) -> IntArray:
        """Return (n,) labels for the profiles of that output, (n, points)."""

    def __call__(self, profiles: ArrayLike, log_peaks: ArrayLike) -> IntArray:
        """Return (n,) labels for profiles (n, outputs, points); `log_peaks` is not looked at."""
        values: NDArray[Any] = np.asarray(profiles)
        if values.ndim != 3 or self.output >= values.shape[1]:
            raise InputError(
                f"objective '{type(self).__name__.lower()}' looks at output {self.output} of profiles "
                f"(n, outputs, points); these have shape {values.shape}"
            )
        return self.label(values[:, self.output])


class Rings(_OfOneOutput):
    """Number of rings: pairs of peaks of the profile mirrored at the centre (Wang et al. 2019).

    The profile (`points` values, centre first) is mirrored to 2·points − 1 values; its peaks are those of
    ``scipy.signal.find_peaks(mirrored, distance=distance, prominence=prominence)``. A peak at the centre is a spot, not
    a ring; the others come in mirrored pairs, each a ring. Classes: 0, 1, 2, 3, 4, 5 or more rings.

    Parameters
    ----------
    distance
        Least distance between two peaks, in grid points; of two that are closer the higher stays.
    prominence
        Least prominence of a peak, in units of the profile's maximum.
    output
        Index of the model's output that is looked at.
    """

    version = "1"
    class_names = ("0", "1", "2", "3", "4", "5 or more")

    def __init__(self, distance: float = 50, prominence: float = 0.1, output: int = 0) -> None:
        if not (isinstance(distance, int | float) and 1 <= distance < math.inf):
            raise InputError(f"objective 'rings': distance {distance!r} must be a number of grid points, at least 1")
        if not (isinstance(prominence, int | float) and 0 <= prominence < math.inf):
            raise InputError(f"objective 'rings': prominence {prominence!r} must be a number, 0 or more")
        if not (isinstance(output, int) and output >= 0):
            raise InputError(f"objective 'rings': output {output!r} must be the index of an output, 0 or more")
        self._distance = float(distance)
        self._prominence = float(prominence)
        self.output = int(output)

    def label(self, profiles: NDArray[Any]) -> IntArray:
        """Return (n,) labels for profiles (n, points)."""
        off_centre, _ = mirrored_peaks(profiles, self._distance, self._prominence)
        return np.minimum(off_centre // 2, len(self.class_names) - 1)


class Modes(_OfOneOutput):
    """Number of modes of a density: maxima with a dip on both sides, those at either end of the grid included.

    A maximum that is at least `height` of the profile's is a mode if, on the way to a higher one, the profile falls by
    at least `dip` of the maximum itself: its prominence, as `scipy.signal.peak_prominences` has it for a profile that
    goes on with zeros, is at least `dip` of its height. Classes: 1, 2, 3 or more modes.

    Parameters
    ----------
    dip
        Least fall beside a mode, in units of the mode's own height.
    height
        Least height of a mode, in units of the profile's maximum. Where there is next to nothing, estimated densities
        and emulators have ripples that are deep for their height.
    output
        Index of the model's output that is looked at.
    """

    version = "1"
    class_names = ("1", "2", "3 or more")

    def __init__(self, dip: float = 0.3, height: float = 0.05, output: int = 0) -> None:
        for name, value in (("dip", dip), ("height", height)):
            if not (isinstance(value, int | float) and 0 < value < 1):
                raise InputError(f"objective 'modes': {name} {value!r} must be a number between 0 and 1")
        if not (isinstance(output, int) and output >= 0):
            raise InputError(f"objective 'modes': output {output!r} must be the index of an output, 0 or more")
        self._dip = float(dip)
        self._height = float(height)
        self.output = int(output)

    def label(self, profiles: NDArray[Any]) -> IntArray:
        """Return (n,) labels for profiles (n, points)."""
        return np.clip(count_modes(profiles, self._dip, self._height), 1, 3) - 1


class UserObjective:
    """A user's function with its class names and options; what it returns is checked on every call."""

    def __init__(self, spec: str, function: Callable[..., Any], options: Mapping[str, Any]) -> None:
        where = f"objective '{spec}'"
        parameters = {"classes": inspect.Parameter("classes", inspect.Parameter.KEYWORD_ONLY), **_options_of(function)}
        check_options(parameters, options, where)
        if "classes" not in options:
            raise InputError(f"{where} needs the option 'classes', a list of class names, one per label")
        missing = [name for name, parameter in parameters.items() if _is_needed(parameter) and name not in options]
        if missing:
            raise InputError(f"{where} needs the option '{missing[0]}', which has no default")
        classes = options["classes"]
        names = [str(name) for name in classes] if isinstance(classes, list | tuple) else []
        if not names or len(set(names)) != len(names) or not all(isinstance(name, str | int) for name in classes):
            raise InputError(f"{where}: classes {classes!r} must be a list of different names")
        self.spec = spec
        self.function = partial(function, **{name: value for name, value in options.items() if name != "classes"})
        self.class_names = tuple(names)
        self.version = str(getattr(function, "version", "1"))
        """The function's own attribute, if it has one."""

    def __call__(self, *arrays: Any) -> IntArray:
        """Return the function's labels, (n,).

        Raises
        ------
        ModelError
            If they are not n integers that `class_names` has names for.
        """
        first = arrays[0]
        n = len(next(iter(first.values())) if isinstance(first, Mapping) else first)
        if n == 0:  # of nothing, many ways to write a function return an array of another type
            return np.empty(0, np.int64)
        labels = np.asarray(self.function(*arrays))
        if labels.shape != (n,) or not np.issubdtype(labels.dtype, np.integer):
            raise ModelError(
                f"objective '{self.spec}' returned {labels.dtype} values of shape {labels.shape} for {n} samples; "
                f"it must return integers of shape ({n},)"
            )
        outside = np.flatnonzero((labels < 0) | (labels >= len(self.class_names)))
        if outside.size:
            raise ModelError(
                f"objective '{self.spec}' returned label {labels[outside[0]]} for sample {outside[0]}; labels are "
                f"0 … {len(self.class_names) - 1}, one per name in 'classes' ({', '.join(self.class_names)})"
            )
        return labels.astype(np.int64)


def _options_of(function: Callable[..., Any]) -> dict[str, inspect.Parameter]:
    """Return the parameters of a function after the arrays."""
    try:
        parameters = list(inspect.signature(function).parameters.values())[1 if _takes_names(function) else 2 :]
    except (TypeError, ValueError):  # functions that are not written in Python need not say
        return {}
    return {parameter.name: parameter for parameter in parameters if parameter.kind is not parameter.VAR_POSITIONAL}


def _is_needed(parameter: inspect.Parameter) -> bool:
    return (
        parameter.name != "classes"
        and parameter.default is parameter.empty
        and parameter.kind is not parameter.VAR_KEYWORD
    )


def _as_floats(profiles: ArrayLike) -> NDArray[Any]:
    """Return profiles in a precision that the compiled loops take, without a copy where they are in one."""
    values = np.asarray(profiles)
    return values if values.dtype in (np.float32, np.float64) else values.astype(np.float64)


def count_modes(profiles: ArrayLike, dip: float, height: float) -> IntArray:
    """Count the maxima of at least `height` of the profile's and a prominence of at least `dip` of their own height.

    Parameters
    ----------
    profiles
        (n, points), not negative; beyond either end they count as zero.
    dip, height
        As in `Modes`.

    Returns
    -------
    (n,); 0 where a profile is zero everywhere.

    Raises
    ------
    ModelError
        If a profile holds a value that is not finite.
    """
    values = _as_floats(profiles)
    modes = np.zeros(len(values), dtype=np.int64)
    _count_modes(values, dip, height, modes)
    bad = np.flatnonzero(modes < 0)
    if bad.size:
        raise ModelError(f"profile {bad[0]} holds a value that is not finite; its modes cannot be counted")
    return modes


@numba.njit(cache=True, nogil=True)
def _count_modes(profiles, dip, height, modes):  # type: ignore[no-untyped-def]
    """Fill `modes`; −1 where a profile is not finite."""
    zero = np.float64(0.0)
    for sample in range(profiles.shape[0]):
        x = profiles[sample]
        highest = x[0]
        spoilt = x[0] - x[0]
        for value in x:
            highest = max(highest, value)
            spoilt += value - value
        if spoilt != 0:
            modes[sample] = -1
            continue
        least = max(np.float64(height) * highest, 0.0)
        count = 0
        for i in range(len(x)):
            top = np.float64(x[i])
            if top < least or top <= 0 or (i > 0 and x[i - 1] >= x[i]):
                continue
            # A plateau counts once, at its first point.
            last = i
            while last + 1 < len(x) and x[last + 1] == x[i]:
                last += 1
            if last + 1 < len(x) and x[last + 1] > x[i]:
                continue
            # Lowest value on the way to a higher one, on either side; zero where there is none.
            left, j = top, i - 1
            while j >= 0 and x[j] <= x[i]:
                left = min(left, np.float64(x[j]))
                j -= 1
            if j < 0:
                left = zero
            right, j = top, last + 1
            while j < len(x) and x[j] <= x[i]:
                right = min(right, np.float64(x[j]))
                j += 1
            if j == len(x):
                right = zero
            if top - max(left, right) >= dip * top:
                count += 1
        modes[sample] = count


def mirrored_peaks(profiles: ArrayLike, distance: float, prominence: float) -> tuple[IntArray, NDArray[np.bool_]]:
    """Count the peaks of profiles mirrored at their first point.

    Equal to counting ``scipy.signal.find_peaks(np.r_[x[:0:-1], x], distance=distance, prominence=prominence)[0]`` for
    every row x, but works on the half that is given. SciPy lets the higher of two close peaks stay, and among equal
    heights the one that ``numpy.argsort`` happens to put last, which depends on the processor. Where that choice can
    change the count (a fraction of the profiles with equal heights), SciPy itself is asked.

    Parameters
    ----------
    profiles
        (n, points), centre first.
    distance, prominence
        As in `scipy.signal.find_peaks`.

    Returns
    -------
    off_centre
        (n,), number of peaks that are not at the centre.
    centre
        (n,), True where there is a peak at the centre.

    Raises
    ------
    ModelError
        If a profile holds a value that is not finite.
    """
    values = _as_floats(profiles)
    off_centre = np.zeros(len(values), dtype=np.int64)
    centre = np.zeros(len(values), dtype=np.bool_)
    verdict = np.zeros(len(values), dtype=np.uint8)
    _count_mirrored_peaks(values, math.ceil(distance), prominence, off_centre, centre, verdict)
    if verdict.any():
        bad = np.flatnonzero(verdict == _NOT_FINITE)
        if bad.size:
            raise ModelError(f"profile {bad[0]} holds a value that is not finite; its peaks cannot be counted")
        for i in np.flatnonzero(verdict == _TIED):
            off_centre[i], centre[i] = _scipy_peaks(values[i], distance, prominence)
    return off_centre, centre


def _scipy_peaks(profile: NDArray[Any], distance: float, prominence: float) -> tuple[int, bool]:
    from scipy.signal import find_peaks

    mirrored = np.concatenate([profile[:0:-1], profile])
    peaks, _ = find_peaks(mirrored, distance=distance, prominence=prominence)
    at_centre = bool(np.any(peaks == len(profile) - 1))
    return len(peaks) - at_centre, at_centre


_TIED, _NOT_FINITE = 1, 2


@numba.njit(cache=True, nogil=True)
def _count_mirrored_peaks(profiles, distance, prominence, off_centre, centre, verdict):  # type: ignore[no-untyped-def]
    """Fill `off_centre` and `centre`, or set `verdict` where they cannot be told here."""
    points = profiles.shape[1]
    # Peaks of the half, from the centre outwards: the edges of each one's plateau.
    first = np.empty(points, dtype=np.int64)
    last = np.empty(points, dtype=np.int64)
    # The same peaks in the mirrored profile, by position (the centre is 0), and what became of each.
    position = np.empty(2 * points, dtype=np.int64)
    height = np.empty(2 * points, dtype=np.float64)
    kept = np.empty(2 * points, dtype=np.bool_)

    for sample in range(profiles.shape[0]):
        x = profiles[sample]
        lowest = _lowest(x)
        if not np.isfinite(lowest):
            verdict[sample] = _NOT_FINITE
            continue
        # A peak less than `prominence` above the lowest point cannot count, nor can those that it could displace,
        # which are lower still; leaving them out spares the ripple of flat regions. The margin covers rounding.
        count = _half_peaks(x, lowest + 0.999 * prominence, first, last)
        has_centre = count > 0 and first[0] == 0
        pairs = count - 1 if has_centre else count
        size = 2 * pairs + has_centre
        for k in range(pairs):
            half = count - pairs + k
            edges = first[half] + last[half]
            # SciPy rounds the middle of a plateau down, so a plateau of even size is not quite mirrored.
            position[size - pairs + k] = edges // 2
            position[pairs - 1 - k] = -((edges + 1) // 2)
            height[size - pairs + k] = height[pairs - 1 - k] = x[first[half]]
        if has_centre:
            position[pairs] = 0
            height[pairs] = x[0]
        if not _keep_by_distance(position[:size], height[:size], distance, kept):
            verdict[sample] = _TIED
            continue

        for k in range(pairs):
            standing = np.int64(kept[pairs - 1 - k]) + np.int64(kept[size - pairs + k])
            half = count - pairs + k
            if standing and _prominence(x, first[half], last[half]) >= prominence:
                off_centre[sample] += standing
        centre[sample] = has_centre and kept[pairs] and _prominence(x, first[0], last[0]) >= prominence


@numba.njit(cache=True, nogil=True)
def _lowest(x):  # type: ignore[no-untyped-def]
    """Return the least value, NaN if any value is not finite."""
    lowest = x[0]
    spoilt = x[0] - x[0]
    for value in x:
        lowest = min(lowest, value)
        spoilt += value - value
    return np.float64(lowest) + spoilt


# Unsigned indices spare the compiled loops a test for negative ones; that is a third of the time here.
_ONE = np.uint64(1)


@numba.njit(cache=True, nogil=True)
def _half_peaks(x, threshold, first, last):  # type: ignore[no-untyped-def]
    """Find the plateaus of x, of at least `threshold`, that are peaks of its mirror image; return their number."""
    end = np.uint64(len(x) - 1)
    count = 0
    i = np.uint64(0)
    while True:
        if x[i] < threshold:
            # No peak down here; stop before the next point that is high enough.
            while i < end and x[i + _ONE] < threshold:
                i += _ONE
        start = i
        while i < end and x[i + _ONE] > x[i]:
            i += _ONE
            start = i
        while i < end and x[i + _ONE] == x[i]:
            i += _ONE
        if i == end:
            return count
        if x[i + _ONE] > x[i]:
            continue
        if x[i] >= threshold:
            first[count] = start
            last[count] = i
            count += 1
        while i < end and x[i + _ONE] <= x[i]:
            i += _ONE


@numba.njit(cache=True, nogil=True)
def _keep_by_distance(position, height, distance, kept):  # type: ignore[no-untyped-def]
    """Let peaks closer than `distance` to a higher one go; return False where equal heights leave it open."""
    size = len(position)
    close = False
    for i in range(size):
        kept[i] = True
        close |= i > 0 and position[i] - position[i - 1] < distance
    if not close:
        return True

    undecided: Any = np.arange(size)
    mirrored = True
    while len(undecided):
        highest = -np.inf
        for i in undecided:
            highest = max(highest, height[i])
        before = -1
        for i in undecided:
            if height[i] != highest:
                continue
            if before >= 0 and position[i] - position[before] < distance:
                # A peak and its own mirror image: either may go, the outcomes mirror each other, so the count is the
                # same. This holds once; then the rest is no longer symmetric.
                for j in range(size):
                    mirrored &= position[j] == -position[size - 1 - j]
                if not (mirrored and before == size - 1 - i):
                    return False
                mirrored = False
                kept[before] = False
            before = i
        # What is lower and too close goes: once seen from the left, once from the right.
        nearest = position[0] - distance
        for i in undecided:
            if height[i] == highest and kept[i]:
                nearest = position[i]
            elif position[i] - nearest < distance:
                kept[i] = False
        nearest = position[size - 1] + distance
        for i in undecided[::-1]:
            if height[i] == highest and kept[i]:
                nearest = position[i]
            elif nearest - position[i] < distance:
                kept[i] = False
        count = 0
        for i in undecided:
            if kept[i] and height[i] != highest:
                undecided[count] = i
                count += 1
        undecided = undecided[:count]
    return True


@numba.njit(cache=True, nogil=True)
def _prominence(x, first, last):  # type: ignore[no-untyped-def]
    """Prominence, over the whole mirrored profile, of the peak whose plateau is x[first … last]."""
    top = x[first]
    outer = top
    i = np.uint64(last + 1)
    while i < len(x) and x[i] <= top:
        outer = min(outer, x[i])
        i += _ONE
    inner = top
    i = np.uint64(first)
    while i > 0 and x[i - _ONE] <= top:
        i -= _ONE
        inner = min(inner, x[i])
    # Nothing higher up to the centre: beyond it lies the mirror image, at least as deep as the outer side.
    base = outer if i == 0 else max(inner, outer)
    return np.float64(top) - np.float64(base)
