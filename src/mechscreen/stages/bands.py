"""Bands around an ensemble's predictions: found on the test split, checked by halving it, and put around others."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from mechscreen.emulators import conformal
from mechscreen.emulators.conformal import LEVEL, Compared, Inside, count_inside, fit_bands, spread_of
from mechscreen.models import Outputs
from mechscreen.models.distances import Distance
from mechscreen.schemas.emulators import EnsembleBands
from mechscreen.schemas.evaluation import BandMeasures, Coverage

FEWEST = 40
"""Samples of a test split that is halved."""
_HALVINGS = 20
_STREAM = 0xBA2D5


class Told(Protocol):
    """Anything with profiles and log peaks of samples: simulated or predicted ones."""

    @property
    def profiles(self) -> NDArray[np.float32]:
        """(n, *shape)."""

    @property
    def log_peaks(self) -> NDArray[np.float32]:
        """(n, outputs)."""


def find(
    compared: Sequence[Compared],
    truth: Told,
    predicted: Told,
    said: Sequence[Mapping[str, NDArray[Any]]],
    combine: str,
    networks: list[str],
) -> EnsembleBands:
    """Return the bands that follow from samples that no network has seen.

    Parameters
    ----------
    compared
        What is known and predicted of each output.
    truth, predicted
        What is known and predicted of the samples.
    said
        What each member says (`mechscreen.emulators.ensemble.Ensemble.predict_members`).
    combine, networks
        As for `EnsembleBands`.
    """
    log_peaks = spread_of([own["log_peaks"] for own in said])
    of_values = [fit_bands(*own.arrays) for own in compared]
    of_log_peaks = [
        fit_bands(truth.log_peaks[:, [k]], predicted.log_peaks[:, [k]], log_peaks[:, [k]]) for k in range(len(compared))
    ]
    return EnsembleBands.of(of_values, of_log_peaks, combine, len(truth.profiles), networks)


@dataclass(frozen=True)
class Around:
    """Bands around what is predicted of n samples.

    Attributes
    ----------
    low, high
        (n, *shape), ends of the band of each value, scaled as profiles are.
    whole_low, whole_high
        (n, *shape), ends of the band that holds all values of an output at once.
    log_peak_low, log_peak_high
        (n, outputs), ends of the band of each log peak.
    """

    low: NDArray[np.float32]
    high: NDArray[np.float32]
    whole_low: NDArray[np.float32]
    whole_high: NDArray[np.float32]
    log_peak_low: NDArray[np.float32]
    log_peak_high: NDArray[np.float32]


def around(
    outputs: Outputs, bands: EnsembleBands, predicted: Told, said: Sequence[Mapping[str, NDArray[Any]]], level: float
) -> Around:
    """Return bands around what is predicted.

    Parameters
    ----------
    said
        What each member says.

    Raises
    ------
    InputError
        If there are no bands of that level.
    """
    spread, of_log_peaks = (spread_of([own[name] for own in said]) for name in ("profiles", "log_peaks"))
    widths = [
        bands.of_log_peaks(k).half_widths(of_log_peaks[:, [k]], level)[0][:, 0].astype(np.float32)
        for k in range(len(outputs))
    ]
    width = np.stack(widths, axis=1)
    of_values = [bands.of_values(outputs, k) for k in range(len(outputs))]
    ends = conformal.around(outputs, of_values, predicted.profiles, spread, level)
    return Around(*ends, predicted.log_peaks - width, predicted.log_peaks + width)


def measure(
    distance: Distance, compared: Sequence[Compared], labels: NDArray[np.int64], classes: Sequence[str], seed: int
) -> dict[str, BandMeasures]:
    """Return what bands are worth, of each output by its name; none of samples that are too few to be halved.

    Parameters
    ----------
    labels, classes
        Class of each sample, and the names of all.
    """
    n = len(labels)
    if n < FEWEST:
        return {}
    groups = [np.ones(n, bool), *(labels == label for label in range(len(classes)))]
    found = {}
    for output, deviation, own in zip(distance.outputs, distance.deviations, compared, strict=True):
        rng = np.random.default_rng([seed, _STREAM])
        inside = [Inside()] * len(groups)
        for _ in range(_HALVINGS):
            order = rng.permutation(n)
            bands = fit_bands(*own.take(order[: n // 2]).arrays, levels=(LEVEL,))
            rows = order[n // 2 :]
            counted = count_inside(bands, own.take(rows), [group[rows] for group in groups])
            inside = [before + now for before, now in zip(inside, counted, strict=True)]
        bands = fit_bands(*own.arrays, levels=(LEVEL,))
        if not (np.isfinite(bands.pointwise).all() and np.isfinite(bands.whole).all()):
            # Of an output that few samples have there are too few to tell.
            continue
        widths = 2 * bands.half_widths(own.spread, LEVEL)[0] / deviation
        sizes = [int(group.sum()) for group in groups]
        of_all, *others = (Coverage.of(own, size) for own, size in zip(inside, sizes, strict=True))
        found[output.name] = BandMeasures(
            level=LEVEL,
            test=of_all,
            classes=dict(zip(classes, others, strict=True)),
            width=float(np.median(widths)),
            floor=bands.floor.tolist(),
            pointwise=bands.pointwise[0].tolist(),
            whole=float(bands.whole[0]),
        )
    return found
