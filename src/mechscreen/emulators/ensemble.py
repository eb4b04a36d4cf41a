"""An ensemble of networks that votes, and says how far its members disagree."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numba
import numpy as np
from numpy.typing import ArrayLike, NDArray

from mechscreen.emulators.networks import network_shape
from mechscreen.emulators.prediction import AUTO, make_predictor
from mechscreen.emulators.settings import NO_VOTE_OF_TWO, Combine, Precision
from mechscreen.errors import InputError

FloatArray = NDArray[np.float32]

_ROWS = 512
"""Samples that are combined at once."""


@dataclass(frozen=True)
class Prediction:
    """What an ensemble predicts for n parameter sets.

    Attributes
    ----------
    profiles
        (n, outputs, points), in [0, 1]; their maxima are near 1, and lower where members disagree and their mean is
        taken.
    log_peaks
        (n, outputs), natural logarithms of the maxima in the model's units.
    disagreement
        (n,), mean RMSE between the profiles of two members; 0 where there is one member.
    """

    profiles: FloatArray
    log_peaks: FloatArray
    disagreement: FloatArray

    def __len__(self) -> int:
        return len(self.disagreement)


class Ensemble:
    """Networks that were trained on the same samples from different seeds.

    A member's score is the mean RMSE from its profiles to those of the other members (for a sample of several outputs,
    the mean over these); the disagreement is the mean of the scores (Wang et al. 2019).

    Parameters
    ----------
    members
        Keras models of `mechscreen.emulators.networks`, of the same shape.
    combine
        ``vote``: predict what the member with the least score says (the first of equals). ``mean``: predict the mean of
        all members.
    batch_size
        Parameter sets of one call of a network; what so many profiles of all members take should fit the processor's
        cache. The last batch is filled up, so a row's prediction does not depend on the rows around it.
    precision, backend
        Of the members' products, and what computes them (`mechscreen.emulators.prediction.make_predictor`).

    Attributes
    ----------
    backend
        The name of the backend that is used.

    Raises
    ------
    InputError
        If there are no members, two that are to vote (both have the same score), or they differ in their numbers of
        parameters, outputs or points; if the backend cannot do this.
    """

    def __init__(
        self,
        members: Sequence[Any],
        *,
        combine: Combine = "vote",
        batch_size: int = 512,
        precision: Precision = "float32",
        backend: str = AUTO,
    ) -> None:
        shapes = [network_shape(member) for member in members]
        if not shapes:
            raise InputError("an ensemble needs at least one member")
        if len(shapes) == 2 and combine == "vote":
            raise InputError(f"combine: {NO_VOTE_OF_TWO}")
        for number, shape in enumerate(shapes):
            if shape != shapes[0]:
                raise InputError(
                    f"member {number} of the ensemble has (parameters, outputs, points) {shape}; member 0 has "
                    f"{shapes[0]}; put networks of one campaign together"
                )
        self.members = tuple(members)
        self.combine = combine
        self.batch_size = batch_size
        self.dimensions, self.outputs, self.points = shapes[0]
        self._predictors = [make_predictor(member, batch_size, precision, backend) for member in members]
        self.backend = self._predictors[0].name

    def predict(self, normalised: ArrayLike) -> Prediction:
        """Predict normalised parameter sets (n, d).

        Raises
        ------
        InputError
            If the array has another shape or holds a value that is not finite.
        """
        values = self._check(normalised)
        n, size = len(values), self.batch_size
        profiles = np.empty((n, self.outputs, self.points), np.float32)
        log_peaks = np.empty((n, self.outputs), np.float32)
        disagreement = np.empty(n, np.float32)
        said_profiles = np.empty((len(self.members), min(n, size), self.outputs, self.points), np.float32)
        said_log_peaks = np.empty(said_profiles.shape[:-1], np.float32)
        for start in range(0, n, size):
            part = slice(start, min(start + size, n))
            said = said_profiles[:, : part.stop - start], said_log_peaks[:, : part.stop - start]
            for predictor, own_profiles, own_log_peaks in zip(self._predictors, *said, strict=True):
                predictor.fill(values[part], own_profiles, own_log_peaks)
            _combine(*said, self.combine == "vote", profiles[part], log_peaks[part], disagreement[part])
        return Prediction(profiles, log_peaks, disagreement)

    def predict_first(self, normalised: ArrayLike) -> dict[str, FloatArray]:
        """Return what the first member says alone, as in `predict_members`."""
        return self._predictors[0](self._check(normalised))

    def predict_members(self, normalised: ArrayLike) -> list[dict[str, FloatArray]]:
        """Return what each member says alone, as `combine_members` takes it; errors as for `predict`."""
        values = self._check(normalised)
        return [predictor(values) for predictor in self._predictors]

    def _check(self, normalised: ArrayLike) -> FloatArray:
        values = np.asarray(normalised, dtype=np.float32)
        if values.ndim != 2 or values.shape[1] != self.dimensions:
            raise InputError(f"normalised parameters have shape {values.shape}; expected (n, {self.dimensions})")
        bad = np.flatnonzero(~np.isfinite(values).all(axis=1))
        if bad.size:
            raise InputError(f"normalised parameters, row {bad[0]}: a value is not finite")
        return values


def combine_members(said: Sequence[Mapping[str, FloatArray]], combine: Combine) -> Prediction:
    """Combine what members say, as `Ensemble` does.

    Parameters
    ----------
    said
        Per member ``{"profiles": (n, outputs, points), "log_peaks": (n, outputs)}``.
    """
    profiles, log_peaks = (np.empty_like(said[0][name]) for name in ("profiles", "log_peaks"))
    disagreement = np.empty(len(profiles), np.float32)
    # Some rows at a time: the arrays of all members may take much of the memory already.
    for start in range(0, len(profiles), _ROWS):
        part = slice(start, start + _ROWS)
        stacked = (np.stack([own[name][part] for own in said]) for name in ("profiles", "log_peaks"))
        _combine(*stacked, combine == "vote", profiles[part], log_peaks[part], disagreement[part])
    return Prediction(profiles, log_peaks, disagreement)


# Sums may be reordered; values that are not finite stay what they are, so that a screen sees them.
@numba.njit(cache=True, nogil=True, fastmath={"reassoc", "contract"})
def _combine(
    profiles: FloatArray,
    log_peaks: FloatArray,
    vote: bool,
    combined: FloatArray,
    combined_log_peaks: FloatArray,
    disagreement: FloatArray,
) -> None:
    """Combine profiles (members, n, outputs, points) and log peaks (members, n, outputs) into the last three arrays."""
    members, n, outputs, points = profiles.shape
    scores = np.empty(members)
    for i in range(n):
        scores[:] = 0.0
        for a in range(members):
            for b in range(a):
                distance = 0.0
                for o in range(outputs):
                    squares = np.float32(0.0)
                    for p in range(points):
                        squares += (profiles[a, i, o, p] - profiles[b, i, o, p]) ** 2
                    distance += np.sqrt(squares / points)
                scores[a] += distance / outputs
                scores[b] += distance / outputs
        best = 0
        for a in range(1, members):
            if scores[a] < scores[best]:
                best = a
        disagreement[i] = scores.mean() / max(members - 1, 1)
        if vote:
            combined[i] = profiles[best, i]
            combined_log_peaks[i] = log_peaks[best, i]
        else:
            for o in range(outputs):
                for p in range(points):
                    total = np.float32(0.0)
                    for a in range(members):
                        total += profiles[a, i, o, p]
                    combined[i, o, p] = total / members
                combined_log_peaks[i, o] = log_peaks[:, i, o].mean()
