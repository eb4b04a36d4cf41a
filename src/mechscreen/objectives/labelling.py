"""Objectives by name, and what they say of a model's outputs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from copy import copy
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from mechscreen.errors import InputError
from mechscreen.models import Outputs
from mechscreen.objectives.base import IntArray, Objective, OfOneOutput
from mechscreen.objectives.function import UserObjective, takes_names
from mechscreen.registry import OBJECTIVES, construct


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
        bind = getattr(objective, "bind", None)
        self.objective: Objective = objective if bind is None else bind(outputs)
        self._outputs = outputs
        self._by_name = not isinstance(objective, OfOneOutput) and takes_names(
            objective.function if isinstance(objective, UserObjective) else objective
        )
        self._check()

    @property
    def by_members(self) -> bool:
        """Whether what the members of an ensemble say counts beside what they say together (`given`)."""
        return hasattr(self.objective, "given")

    def given(self, said: Sequence[Mapping[str, Any]]) -> Labelling:
        """Return what labels predictions of n samples.

        An objective that takes account of how far predictions are known has a method ``given(deviations)``, which
        returns the objective for samples whose outputs, by name, have such standard deviations, (n, *shape), in their
        units. Others label predictions as they label simulations.

        Parameters
        ----------
        said
            What each member of the ensemble says of them (`mechscreen.emulators.ensemble.Ensemble.predict_members`).
        """
        if not self.by_members:
            return self
        outputs = self._outputs
        members = [outputs.by_name(own["profiles"], own["log_peaks"]) for own in said]
        freedom = max(1, len(members) - 1)
        deviations = {}
        for output in outputs:
            values = [np.asarray(own[output.name], float) for own in members]
            mean = sum(values) / len(values)
            deviations[output.name] = np.sqrt(sum(np.square(value - mean) for value in values) / freedom)
        return self.by(self.objective.given(deviations))  # type: ignore[attr-defined]

    def by(self, objective: Objective) -> Labelling:
        """Return what labels the same outputs by another objective, which is bound to them."""
        other = copy(self)
        other.objective = objective
        return other

    def _check(self) -> None:
        outputs, objective = self._outputs, self.objective
        if isinstance(objective, OfOneOutput):
            if objective.output >= len(outputs):
                names = ", ".join(f"{number} ({output.name})" for number, output in enumerate(outputs))
                raise InputError(f"no output {objective.output}; the model's are {names}")
            output = outputs[objective.output]
            if output.scale != "peak" or len(output.grids) != 1:
                raise InputError(
                    f"'{output.name}' is no profile that is scaled by its peak, which is what this objective looks at; "
                    "write a function of your own (docs/howto/own-model.md)"
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
        if isinstance(self.objective, OfOneOutput):
            return self.objective.label(self._outputs.flat(profiles, self.objective.output))
        if self._by_name:
            return self.objective(self._outputs.by_name(profiles, log_peaks))
        return self.objective(profiles, log_peaks)
