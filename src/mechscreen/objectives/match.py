"""Measured data as the objective: which parameter sets explain them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from copy import copy
from pathlib import Path
from typing import Any

import numpy as np

from mechscreen.arrays import namespace
from mechscreen.errors import InputError
from mechscreen.models import Outputs
from mechscreen.objectives.base import IntArray
from mechscreen.objectives.observations import Compared, Observations

FITS = "fits"
_STANDARD_DEVIATIONS = 3
"""Above its mean up to which χ² of a set fits, unless a limit is given."""
_OWN = ("chi2", "misfit")
"""Outputs of models that compare themselves with measurements, which come with ``noise``."""


class Match:
    """Classes by measurements: ``ruled out``, and ``fits`` where −2 ln L, or χ², is within a limit.

    Parameters
    ----------
    observations
        Table of measurements with their errors (`Observations.read`). None for a model that compares its outputs with
        measurements itself, as problems in PEtab's tables do: it returns ``chi2`` or ``misfit``, and ``noise``.
    limit
        Largest χ², or −2 ln L of a model that compares itself, with which a set fits. None: the mean of the true set's
        χ², the number of measurements m, and three of its standard deviations √(2m).
    """

    version = "1"
    class_names = ("ruled out", FITS)

    def __init__(self, observations: str | None = None, limit: float | None = None) -> None:
        if limit is not None and not math.isfinite(limit):
            raise InputError(f"objective 'match': limit {limit} is no number")
        if observations is not None and not Path(observations).suffix and "/" not in observations:
            # Of such a name alone nobody knows that it is a file, whose content counts.
            raise InputError(f"objective 'match': observations '{observations}': write ./{observations}")
        self._path = None if observations is None else Path(observations)
        self._limit = limit
        self.limit = math.nan
        self.observations: Observations | None = None
        self._own: tuple[str, ...] = ()
        self._deviations: Mapping[str, Any] | None = None

    def bind(self, outputs: Outputs) -> Match:
        """Return the objective for a model's outputs, which were measured.

        Raises
        ------
        InputError
            If the table cannot be read, or speaks of what the model does not return.
        """
        bound = Match(None if self._path is None else str(self._path), self._limit)
        if self._path is not None:
            bound.observations = Observations.read(self._path, outputs)
            measured = len(bound.observations)
            bound.limit = measured + _STANDARD_DEVIATIONS * math.sqrt(2 * measured)
        else:
            names = [output.name for output in outputs]
            bound._own = next(((name,) for name in reversed(_OWN) if name in names), ())
            if not bound._own:
                raise InputError(
                    "needs the option 'observations', a table of measurements (output, at, value, error): the model "
                    f"returns no {' or '.join(_OWN)}"
                )
            bound._own += ("noise",) if "noise" in names else ()
            if self._limit is None:
                raise InputError(
                    f"needs the option 'limit': the largest {' + '.join(bound._own)} with which a set fits"
                )
        bound.limit = bound.limit if self._limit is None else self._limit
        return bound

    def given(self, deviations: Mapping[str, Any]) -> Match:
        """Return the objective for predictions that have such standard deviations, (n, *shape) of outputs by name.

        They add to the noise of measurements; −2 ln L of a model that compares itself fits where it is within three of
        its deviations of the limit: the implausibility of history matching (Craig et al. 1997; Vernon, Goldstein &
        Bower 2010).
        """
        known = copy(self)
        known._deviations = deviations
        return known

    def within(self, limit: float) -> Match:
        """Return the objective with another limit."""
        other = copy(self)
        other.limit = limit
        return other

    def misfit(self, outputs: Mapping[str, Any]) -> Any:
        """Return what is within the limit where a set fits, (n,): χ², or −2 ln L of a model that compares itself.

        Of predictions (`given`), χ² has their variance beside that of the noise.
        """
        if self.observations is None:
            total = sum(outputs[name] for name in self._own)
            if self._deviations is not None:
                variance = sum(np.square(self._deviations[name]) for name in self._own)
                total = total - _STANDARD_DEVIATIONS * np.sqrt(variance)
            return total
        observed = self.observations
        variance = np.square(observed.error)
        if self._deviations is not None:
            variance = variance + np.square(observed.simulated(self._deviations))
        squares = (observed.simulated(outputs) - observed.value) ** 2 / variance
        return squares.sum(axis=1)

    def compare(self, outputs: Mapping[str, Any]) -> Compared:
        """Return how n samples compare with each measurement; the variance of predictions (`given`) is noise, too.

        Of a model that compares itself it takes the outputs ``residuals`` and ``noise_terms``
        (`mechscreen.models.Model.to_fit`), or else all at once: ``chi2`` or ``misfit``, and ``noise``.
        """
        if self.observations is not None:
            return self.observations.compare(outputs, self._deviations)
        if "residuals" in outputs:
            return Compared(outputs["residuals"], outputs["noise_terms"])
        first, *noise = (np.asarray(outputs[name], float)[:, None] for name in self._own)
        return Compared(np.sqrt(np.maximum(first, 0)), noise[0] if noise else np.minimum(first, 0))

    def __call__(self, outputs: Mapping[str, Any]) -> IntArray:
        """Return (n,) labels of what the model says of n samples, by the names of its outputs."""
        with np.errstate(all="ignore"):
            misfit = self.misfit(outputs)
            # What is no number fits nothing.
            return namespace(misfit).asarray(misfit <= self.limit, dtype=np.int64)
