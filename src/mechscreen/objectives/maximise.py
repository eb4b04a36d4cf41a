"""The largest values as the objective: of a feature or an expression, and of a second one beside it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from copy import copy
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mechscreen.arrays import namespace
from mechscreen.errors import InputError
from mechscreen.expressions import Expression, parse
from mechscreen.models import Outputs
from mechscreen.objectives.base import IntArray
from mechscreen.objectives.features import ALL, Features, kinds_of, left_undecided, values_of

LARGE = "large"


class Maximise:
    """Classes by the value of an expression: ``large`` from `at_least` on, and ``other``.

    Parameters
    ----------
    of
        What is to be as large as possible: features and outputs, as in `Conditions`. ``-x`` is what is to be small.
    at_least
        From which value on the screen keeps a set. Searches (`mechscreen.stages.polish`) go on from there.
    against
        A second expression that is to be large, too: searches then look for sets of which none is better in both.
    """

    version = "1"
    class_names = ("other", LARGE)

    def __init__(self, of: str | None = None, at_least: float | None = None, against: str | None = None) -> None:
        for name, text in (("of", of), ("against", against)):
            if text is not None and not isinstance(text, str):
                raise InputError(f"objective 'maximise': {name} {text!r} is no expression; quote it")
        if not of:
            raise InputError(
                "objective 'maximise' needs the option 'of': what is to be as large as possible, such as "
                '"amplitude(x)", or "-period(x)" for what is to be small'
            )
        if isinstance(at_least, str | bool) or at_least is None or not math.isfinite(at_least):
            raise InputError(
                f"objective 'maximise' needs the option 'at_least': the value of {of} from which on the screen keeps "
                "a set; searches begin there and find larger ones"
            )
        self._texts = (of,) if against is None else (of, against)
        self.at_least = at_least
        self._outputs: Outputs | None = None
        self._wanted: Features | None = None
        self._of: Expression | None = None

    def bind(self, outputs: Outputs) -> Maximise:
        """Return the objective for a model's outputs, whose names the expressions speak of.

        Raises
        ------
        InputError
            If an expression cannot be read, or is no number.
        """
        bound = Maximise(self._texts[0], self.at_least, *self._texts[1:])
        bound._outputs = outputs
        bound._wanted = Features(self._texts, outputs, "options")
        bound._of = parse(self._texts[0], kinds_of(outputs), "of", functions=ALL)
        return bound

    @property
    def features(self) -> tuple[str, ...]:
        """What is to be large, as it is written: one expression, or two."""
        return self._texts

    @property
    def wanted(self) -> Features:
        """The numbers that are to be large, by their names."""
        assert self._wanted is not None
        return self._wanted

    @property
    def limit(self) -> float:
        """The misfit up to which a set is large."""
        return -self.at_least

    def within(self, limit: float) -> Maximise:
        """Return the objective with another limit."""
        other = copy(self)
        other.at_least = -limit
        return other

    def misfit(self, outputs: Mapping[str, Any]) -> NDArray[np.float64]:
        """Return the value of n samples with the other sign, (n,); NaN where there is none."""
        assert self._of is not None
        with np.errstate(all="ignore"):
            value = np.asarray(self._of(self._values(outputs)), float)
        return np.broadcast_to(np.where(np.isfinite(value), -value, np.nan), (len(next(iter(outputs.values()))),))

    def __call__(self, outputs: Mapping[str, NDArray[Any]]) -> IntArray:
        """Return (n,) labels of what the model says of n samples, by the names of its outputs."""
        first = next(iter(outputs.values()))
        xp = namespace(first)
        values = self._values(outputs)
        assert self._of is not None
        with np.errstate(all="ignore"):
            value = self._of(values)
            # What is no number is not large, and what is infinite is no number.
            large = (value >= self.at_least) & xp.isfinite(value)
        labels = xp.broadcast_to(xp.asarray(large, dtype=np.int64), (len(first),))
        return left_undecided(labels, values)

    def _values(self, outputs: Mapping[str, Any]) -> dict[str, Any]:
        assert self._outputs is not None
        assert self._of is not None
        return values_of(outputs, [output for output in self._outputs if output.name in self._of.names])
