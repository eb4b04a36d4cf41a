"""An ensemble of networks that votes, and says how far its members disagree."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mechscreen.emulators.backends.base import AUTO
from mechscreen.emulators.backends.choice import make_predictor
from mechscreen.emulators.networks import network_shape
from mechscreen.emulators.settings import NO_VOTE_OF_TWO, Combine, Precision
from mechscreen.errors import InputError
from mechscreen.models.distances import Distance

FloatArray = NDArray[np.float32]

_ROWS = 512
"""Samples that are combined at once."""


@dataclass(frozen=True)
class Prediction:
    """What an ensemble predicts for n parameter sets.

    Attributes
    ----------
    profiles
        (n, outputs, points), or (n, values) where outputs differ in shape (`mechscreen.models.Outputs`), scaled as the
        outputs say. Those that are divided by their maxima are in [0, 1]; their maxima are near 1, and lower where
        members disagree and their mean is taken.
    log_peaks
        (n, outputs), natural logarithms of the maxima in the model's units; 0 where nothing is divided by.
    disagreement
        (n,), mean distance between two members; 0 where there is one member.
    """

    profiles: FloatArray
    log_peaks: FloatArray
    disagreement: FloatArray

    def __len__(self) -> int:
        return len(self.disagreement)


class Ensemble:
    """Networks that were trained on the same samples from different seeds.

    A member's score is the mean distance from what it says to what the other members say; the disagreement is the mean
    of the scores (Wang et al. 2019, whose distance is the RMSE of profiles).

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
        Of the members' products, and what computes them (`mechscreen.emulators.backends.choice.make_predictor`).
    distance
        What the outputs are, and how they are compared; profiles by their shapes unless given.

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
        distance: Distance | None = None,
    ) -> None:
        shapes = [network_shape(member) for member in members]
        if not shapes:
            raise InputError("an ensemble needs at least one member")
        if len(shapes) == 2 and combine == "vote":
            raise InputError(f"combine: {NO_VOTE_OF_TWO}")
        for number, shape in enumerate(shapes):
            if shape != shapes[0]:
                raise InputError(
                    f"member {number} of the ensemble has (parameters, outputs, shape) {shape}; member 0 has "
                    f"{shapes[0]}; put networks of one campaign together"
                )
        self.members = tuple(members)
        self.combine = combine
        self.batch_size = batch_size
        self.dimensions, self.outputs, self.shape = shapes[0]
        self.distance = distance or Distance.of_shapes(*self.shape)
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
        profiles = np.empty((n, *self.shape), np.float32)
        log_peaks = np.empty((n, self.outputs), np.float32)
        disagreement = np.empty(n, np.float32)
        said_profiles = np.empty((len(self.members), min(n, size), *self.shape), np.float32)
        said_log_peaks = np.empty((*said_profiles.shape[:2], self.outputs), np.float32)
        combine = _Combination(self.distance, self.combine)
        for start in range(0, n, size):
            part = slice(start, min(start + size, n))
            said = said_profiles[:, : part.stop - start], said_log_peaks[:, : part.stop - start]
            for predictor, own_profiles, own_log_peaks in zip(self._predictors, *said, strict=True):
                predictor.fill(values[part], own_profiles, own_log_peaks)
            combine(*said, profiles[part], log_peaks[part], disagreement[part])
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


def combine_members(
    said: Sequence[Mapping[str, FloatArray]], combine: Combine, distance: Distance | None = None
) -> Prediction:
    """Combine what members say, as `Ensemble` does.

    Parameters
    ----------
    said
        Per member ``{"profiles": (n, *shape), "log_peaks": (n, outputs)}``.
    distance
        As for `Ensemble`.
    """
    together = _Combination(distance or Distance.of_shapes(*said[0]["profiles"].shape[1:]), combine)
    profiles, log_peaks = (np.empty_like(said[0][name]) for name in ("profiles", "log_peaks"))
    disagreement = np.empty(len(profiles), np.float32)
    # Some rows at a time: the arrays of all members may take much of the memory already.
    for start in range(0, len(profiles), _ROWS):
        part = slice(start, start + _ROWS)
        of_profiles, of_log_peaks = (np.stack([own[name][part] for own in said]) for name in ("profiles", "log_peaks"))
        together(of_profiles, of_log_peaks, profiles[part], log_peaks[part], disagreement[part])
    return Prediction(profiles, log_peaks, disagreement)


class _Combination:
    """How what members say becomes one prediction, and how far they disagree."""

    def __init__(self, distance: Distance, combine: Combine) -> None:
        # Numba is imported where something is computed.
        from mechscreen.emulators.ensemble_kernel import combine as combine_arrays

        self._combine = combine_arrays
        outputs = distance.outputs
        # The value that says whether there is one.
        given = np.where(outputs.givens < 0, -1, outputs.starts[outputs.givens])
        self._how = outputs.starts, given, distance.of_peaks, distance.units, combine == "vote"

    def __call__(
        self,
        profiles: FloatArray,
        log_peaks: FloatArray,
        combined: FloatArray,
        combined_log_peaks: FloatArray,
        disagreement: FloatArray,
    ) -> None:
        """Combine profiles (members, n, *shape) and log peaks (members, n, outputs) into the last three arrays."""
        flat = profiles.reshape(*profiles.shape[:2], -1)
        self._combine(flat, log_peaks, *self._how, combined.reshape(flat.shape[1:]), combined_log_peaks, disagreement)
