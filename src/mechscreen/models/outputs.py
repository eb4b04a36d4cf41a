"""What a model returns: outputs, and how their raw values become profiles by their peaks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]

UNDERSHOOT = 1e-6
"""Share of a profile's peak by which it may fall below zero, as solvers do that keep to a tolerance; it is set to
zero."""


@dataclass(frozen=True)
class Output:
    """One profile that a model returns.

    Attributes
    ----------
    name, unit
        For axes, tables and people.
    grid, grid_name, grid_unit
        The points it stands on, shape (points,), ascending, and what they are.
    crop
        It is near zero over much of its grid; figures show the rest.
    floor
        Least value that counts, in its unit; what is below is zero. A profile that is below everywhere is a result like
        any other (zero, with the floor for its peak) instead of a failed sample: a species that dies out, say.
    """

    name: str
    grid: FloatArray
    unit: str = ""
    grid_name: str = ""
    grid_unit: str = ""
    crop: bool = False
    floor: float = 0.0


class Status(IntEnum):
    """What became of one sample."""

    OK = 0
    NOT_FINITE = 1
    NEGATIVE = 2
    FLAT = 3
    """No signal: a profile's maximum is zero, so that it has no shape, and its output has no floor."""
    ERROR = 4
    """The model raised an exception for this sample, or ended its process."""
    TIMEOUT = 5
    """The model took longer than it is given for one sample."""


def scale_profiles(
    raw: FloatArray, outputs: Sequence[Output]
) -> tuple[FloatArray, FloatArray, NDArray[np.uint8], list[str]]:
    """Divide each profile by its maximum and give every sample a status.

    Parameters
    ----------
    raw
        (n, outputs, points), in the units of the outputs.

    Returns
    -------
    profiles
        (n, outputs, points), NaN where the status is not OK.
    log_peaks
        (n, outputs), natural logarithm of the maximum, in the output's unit.
    status
        (n,), values of `Status`.
    reasons
        Per sample, why its status is not OK: which output, and where; "" where it is.
    """
    with np.errstate(invalid="ignore"):
        peaks = raw.max(axis=2)
        bad = ~np.isfinite(raw)
        below = raw < -UNDERSHOOT * peaks[:, :, None]
    floors = np.array([output.floor for output in outputs])
    flat = (peaks < np.finfo(float).tiny) & (floors <= 0)
    status = np.zeros(len(raw), dtype=np.uint8)
    # From the least to the most serious one: a profile below zero may have a peak of zero too.
    status[flat.any(axis=1)] = Status.FLAT
    status[below.any(axis=(1, 2))] = Status.NEGATIVE
    status[bad.any(axis=(1, 2))] = Status.NOT_FINITE
    where = {Status.FLAT: flat[:, :, None], Status.NEGATIVE: below, Status.NOT_FINITE: bad}
    reasons = [
        _reason(Status(int(code)), raw[i], where[Status(int(code))][i], outputs) if code else ""
        for i, code in enumerate(status)
    ]
    ok = status == Status.OK
    kept, least = raw[ok], floors[:, None]
    kept = np.where((kept < 0) | (kept < least), 0.0, kept)
    scales = np.maximum(peaks[ok], floors)
    profiles = np.full_like(raw, np.nan)
    log_peaks = np.full(peaks.shape, np.nan)
    profiles[ok] = kept / scales[:, :, None]
    log_peaks[ok] = np.log(scales)
    return profiles, log_peaks, status, reasons


def _reason(status: Status, raw: FloatArray, where: NDArray[np.bool_], outputs: Sequence[Output]) -> str:
    """Say what is wrong with a sample, at the first place where it is."""
    k, point = (int(place) for place in np.argwhere(where)[0])
    if status == Status.FLAT:
        return f"output '{outputs[k].name}' is zero everywhere; give it a floor (Output(..., floor=...)) if it may be"
    found = f"output '{outputs[k].name}' is {raw[k, point]:.4g} at point {point}"
    if status == Status.NEGATIVE:
        return f"{found}: clip rounding in solve(), or shift it, or take its exponential"
    return found
