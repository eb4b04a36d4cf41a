"""A model as a campaign names it: the class, its options, and what is done around it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from mechscreen.models.base import Model, get_model
from mechscreen.models.conditioned import Conditioned, Settings
from mechscreen.models.replicated import Replicated
from mechscreen.registry import MODELS


@dataclass(frozen=True)
class Setup:
    """What a model is made of, as plain values, from which another process makes the same.

    Attributes
    ----------
    name, options
        As `mechscreen.get_model` takes them.
    conditions
        Under which it is simulated (`mechscreen.models.conditioned`); empty: as it is.
    replicates
        How often (`mechscreen.models.replicated`).
    emulate
        Features of its outputs that are learnt in their place (`mechscreen.objectives.emulated`); empty: the outputs.
    """

    name: str
    options: Mapping[str, Any] = field(default_factory=dict)
    conditions: Settings = field(default_factory=dict)
    replicates: int = 1
    emulate: Sequence[str] | Mapping[str, Any] = ()

    def make(self) -> Model:
        """Return the model; loads it.

        Raises
        ------
        InputError
            If there is no such model, or it has no such options or conditions.
        ModelError
            If its module cannot be imported, or its outputs are not as `Model` says.
        """
        model = get_model(self.name, **self.options)
        if self.conditions:
            model = Conditioned(model, self.conditions)
        if self.replicates > 1:
            model = Replicated(model, self.replicates)
        if self.emulate:
            # Loads what computes features where it is asked for.
            from mechscreen.objectives.emulated import FeaturesOf

            model = FeaturesOf(model, self.emulate)
        return model

    @property
    def importable(self) -> Setup:
        """The same by the class's address, since a registered name need not be registered in another process."""
        if ":" in self.name:
            return self
        found = MODELS.get(self.name)
        return replace(self, name=f"{found.__module__}:{found.__qualname__}")
