"""Conditions on a model's outputs, as people write them, as an objective."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mechscreen.arrays import namespace
from mechscreen.errors import InputError
from mechscreen.expressions import NUMBER, TRUTH, Expression, parse, parts
from mechscreen.models import Outputs
from mechscreen.objectives.base import IntArray
from mechscreen.objectives.features import ALL, FEATURES, kinds_of, left_undecided, values_of


class Conditions:
    """Classes by conditions: ``{oscillates: "period(p53) > 4 and amplitude(p53) > 0.2"}``.

    Expressions know the model's outputs by their names: numbers as they are, profiles and time series as arguments of
    features (`mechscreen.objectives.features`). A sample is of the first class whose condition it fulfils, and of the
    class "other" where it fulfils none. A condition on what a curve does not have is not fulfilled.

    Parameters
    ----------
    classes
        Name of each class → its condition.
    """

    version = "1"

    def __init__(self, classes: Mapping[str, str] | None = None) -> None:
        if not isinstance(classes, Mapping) or not classes:
            raise InputError(
                "objective 'conditions' needs the option 'classes', a mapping from the name of each class to its "
                'condition, such as {oscillates: "period(x) > 4"}'
            )
        for name, text in classes.items():
            if not isinstance(text, str):
                raise InputError(f"objective 'conditions', class '{name}': {text!r} is no condition; quote it")
        if "other" in classes:
            raise InputError("objective 'conditions': the class 'other' is what fulfils no condition; rename it")
        self._texts = {str(name): text for name, text in classes.items()}
        self.class_names = ("other", *self._texts)
        self._bound: tuple[Outputs, list[Expression]] | None = None

    def bind(self, outputs: Outputs) -> Conditions:
        """Return the objective for a model's outputs, whose names the conditions speak of.

        Raises
        ------
        InputError
            If a condition cannot be read, with the class, what is wrong and the nearest name.
        """
        kinds = kinds_of(outputs)
        conditions = [
            parse(text, kinds, f"class '{name}': '{text}'", wanted=TRUTH, functions=ALL)
            for name, text in self._texts.items()
        ]
        bound = Conditions(self._texts)
        bound._bound = (outputs, conditions)
        # Options that no grid has room for are seen now.
        nothing = {output.name: np.zeros((1, *output.shape)) for output in outputs}
        try:
            bound(nothing)
        except InputError as error:
            raise InputError(f"a condition: {error}") from None
        return bound

    @property
    def features(self) -> tuple[str, ...]:
        """The numbers that the conditions speak of, each once: features of curves, and outputs that are numbers."""
        assert self._bound is not None
        kinds = kinds_of(self._bound[0])
        found: dict[str, None] = {}
        for text in self._texts.values():
            for name in parts(text):
                called = FEATURES.get(name.partition("(")[0]) if "(" in name else None
                if kinds.get(name) == NUMBER or (called is not None and called.gives == NUMBER):
                    found.setdefault(name)
        return tuple(found)

    def __call__(self, outputs: Mapping[str, NDArray[Any]]) -> IntArray:
        """Return (n,) labels of what the model says of n samples, by the names of its outputs."""
        assert self._bound is not None
        of_model, conditions = self._bound
        first = next(iter(outputs.values()))
        n, xp = len(first), namespace(first)
        used = {name for condition in conditions for name in condition.names}
        values = values_of(outputs, [output for output in of_model if output.name in used])
        labels = xp.zeros(n, dtype=np.int64)
        with np.errstate(all="ignore"):
            # The first that is fulfilled counts.
            for place, condition in reversed(list(enumerate(conditions, 1))):
                labels = xp.where(condition(values), place, labels)
        return left_undecided(labels, values)
