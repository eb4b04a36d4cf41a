"""A model from a file as libroadrunner solves it (Welsh et al. 2023): compiled once, begun anew for each sample."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from typing import Any, Literal

import numpy as np

from mechscreen.errors import ModelError
from mechscreen.models.outputs import FloatArray
from mechscreen.models.sbml_document import Prepared, Quantity
from mechscreen.models.trajectories import is_whole, not_whole

Method = Literal["ode", "ssa"]

STEADY_RELATIVE, STEADY_ABSOLUTE = 100.0, 10.0
"""By how many of the integrator's tolerances what is steady may change, at its pace, until the last time."""
_HALVINGS = 10
"""The first look at what may be steady is at that time halved so often."""
_LOOKS = 11
"""Points at which each doubling of the time is looked at."""

REST = 1e-6
"""Share of itself by which no state may still change where a model is at rest (`Engine.rest`)."""
_LONGEST = 8
"""Decades of time that are waited for it."""


class Engine:
    """A model that sets some of its values at the start.

    What is to be returned is named as the engine calls it (`selection_of`). What CVODE cannot do ends with a
    `RuntimeError`.

    Parameters
    ----------
    prepared
        The model, in which all that varies is free to be set.
    varied
        What is set at the start.
    method
        ``ode``, or ``ssa``: Gillespie's direct method.
    tolerances
        Relative and absolute, of CVODE.
    steps
        The most that CVODE may take from one point to the next.
    """

    def __init__(
        self,
        prepared: Prepared,
        varied: Sequence[Quantity],
        method: Method,
        tolerances: tuple[float, float],
        steps: int,
    ) -> None:
        if "tensorflow" in sys.modules and "roadrunner" not in sys.modules:
            # Seen by trying: loading it would end the process. The other way round all is well.
            raise ModelError(
                "a model from a file: libroadrunner cannot be loaded after TensorFlow into one process; import "
                "roadrunner before Keras, or simulate in a process of its own, as campaigns and mechscreen simulate do"
            )
        # What CVODE prints of steps that fail would fill logs; that a sample failed is told by its reason.
        for kind in ("ERROR", "WARNING"):
            os.environ.setdefault(f"SUNLOGGER_{kind}_FILENAME", os.devnull)
        import roadrunner

        roadrunner.Logger.setLevel(roadrunner.Logger.LOG_FATAL)
        self._all = roadrunner.SelectionRecord.ALL
        self._runner = roadrunner.RoadRunner(prepared.sbml)
        self._runner.setIntegrator("cvode" if method == "ode" else "gillespie")
        integrator = self._runner.integrator
        self._relative, self._absolute = tolerances
        if method == "ode":
            for setting, value in (
                ("relative_tolerance", self._relative),
                ("absolute_tolerance", self._absolute),
                ("maximum_num_steps", steps),
            ):
                integrator.setValue(setting, value)
        else:
            integrator.setValue("variable_step_size", False)
        self._method = method
        self._at_once = prepared.at_once
        symbols = [selection_of(quantity) for quantity in varied]
        self._species = [(symbol, k) for k, symbol in enumerate(symbols) if varied[k].kind == "species"]
        self._others = [(symbol, k) for k, symbol in enumerate(symbols) if varied[k].kind != "species"]
        self._values: list[float] = []
        self._are_whole = False

    def begin(self, values: FloatArray) -> None:
        """Say the values at the start of the next runs, (varied,)."""
        given = values.tolist()
        if given == self._values:
            return
        # None is said before all are.
        self._values, self._are_whole = [], False
        if not self._at_once:
            # The engine makes a new model of each, which takes it some 0.05 s.
            for symbol, place in [*self._others, *self._species]:
                self._runner.setValue(f"init({symbol})", given[place])
        self._values = given

    def reset(self) -> None:
        """Go to the start, at time 0, with the values that were said."""
        runner = self._runner
        # What events changed in the run before is as it was; then what follows from the values is worked out.
        runner.reset(self._all)
        if self._at_once:
            for symbol, place in self._others:
                runner.setValue(symbol, self._values[place])
            runner.reset()
            for symbol, place in self._species:
                runner.setValue(symbol, self._values[place])

    def run(self, selections: Sequence[str], grid: FloatArray, seed: int = 0) -> FloatArray:
        """Return time series from the start, (selections, points); the seed is for `ssa` alone."""
        self.reset()
        if self._method == "ssa":
            self._see_that_numbers_are_whole()
            self._runner.integrator.setValue("seed", seed)
        return self.go_on(selections, grid)

    def go_on(self, selections: Sequence[str], grid: FloatArray) -> FloatArray:
        """Return time series from where the model is, at time 0, (selections, points)."""
        runner = self._runner
        if grid[-1] == 0:
            return self.now(selections)[:, None]
        asked, before = _as_asked(np.asarray(grid, dtype=float).tobytes())
        found = runner.simulate(selections=list(selections), **asked)
        return np.asarray(found, dtype=float).T[:, before:]

    def now(self, selections: Sequence[str]) -> FloatArray:
        """Return what is selected as it is, (selections,)."""
        return self._all_of(selections)

    def steady(self, selections: Sequence[str], watched: Sequence[str], until: float) -> FloatArray:
        """Return the values of the steady state that is reached, (selections,).

        The time doubles up to `until`. What changes no more is told by its range over the last half of the time, so
        that an oscillation is none.

        Raises
        ------
        RuntimeError
            If something that is watched, or selected, still changes.
        """
        self.reset()
        columns = [*selections, *watched]
        relative, absolute = STEADY_RELATIVE * self._relative, STEADY_ABSOLUTE * self._absolute
        begin, end = 0.0, until / 2**_HALVINGS
        while True:
            found = np.asarray(self._runner.simulate(begin, end, _LOOKS, columns), dtype=float)
            change = np.ptp(found, axis=0) / (end - begin) * until
            moving = ~(change <= relative * np.abs(found).max(axis=0) + absolute)
            if begin > 0 and not moving.any():
                return found[-1, : len(selections)]
            if end >= until:
                what = ", ".join(dict.fromkeys(columns[k] for k in np.flatnonzero(moving)[:3]))
                raise RuntimeError(f"not steady until time {until:g}: {what} still changing")
            begin, end = end, 2 * end

    def change(self, values: Mapping[str, float]) -> None:
        """Set values, by what the engine calls them, where the model is, and let its time begin at 0 again."""
        for symbol, value in values.items():
            self._runner.setValue(symbol, value)
        self._runner.model.setTime(0.0)

    def rest(self, time: float) -> None:
        """Integrate on until the model is at rest, in decades of the given time.

        It is at rest where over nine tenths of the time that it was followed no state changed by more than `REST` of
        itself, and its right-hand side would not change one by more over the given time.

        Raises
        ------
        RuntimeError
            If it is not after eight decades; the message says what changes most.
        """
        runner = self._runner
        model = runner.model
        states = self._states
        if not states:
            return
        began = model.getTime()
        before = np.full(len(states), np.inf)
        for decade in range(1, _LONGEST + 1):
            runner.simulate(times=[model.getTime(), began + time * 10.0**decade], selections=["time"])
            values, rates = self._all_of(states), self._all_of(f"{state}'" for state in states)
            size = REST * np.abs(values) + self._absolute
            changes = np.maximum(np.abs(values - before), time * np.abs(rates)) / size
            if (changes <= 1).all():
                return
            before = values
        worst = int(np.argmax(np.nan_to_num(changes, nan=np.inf)))
        raise RuntimeError(
            f"not at rest by time {model.getTime():.3g}: '{states[worst]}' still changes, by {rates[worst]:.3g} in a "
            "unit of time"
        )

    def without_rates(self) -> str:
        """Return, in words, which states have no rate of change at the start; "" where all have one."""
        self.reset()
        lost = [state for state in self._states if not np.isfinite(self._runner.getValue(f"{state}'"))]
        return f"at the start, the model has no finite rate of change of {', '.join(lost)}" if lost else ""

    def _see_that_numbers_are_whole(self) -> None:
        """Seen by trying: of half a molecule the engine takes away a whole one, and goes on below zero."""
        if self._are_whole:
            return
        following = set(self._runner.getAssignmentRuleIds())
        names = self._runner.model.getFloatingSpeciesIds()
        for name, amount in zip(names, self._runner.model.getFloatingSpeciesAmounts(), strict=True):
            if name not in following and not is_whole(amount):
                raise RuntimeError(not_whole(name, amount))
        self._are_whole = True

    @property
    def _states(self) -> list[str]:
        """What has a rate of change."""
        return [*self._runner.model.getRateRuleSymbols(), *self._runner.model.getFloatingSpeciesIds()]

    def _all_of(self, symbols: Iterable[str]) -> FloatArray:
        return np.array([self._runner.getValue(symbol) for symbol in symbols], dtype=float)


@lru_cache(maxsize=256)
def _as_asked(grid: bytes) -> tuple[dict[str, Any], int]:
    """Return what the engine is told of a grid of times, and how many points come before it: the model begins at 0."""
    own = np.frombuffer(grid)
    times = own if own[0] == 0 else np.concatenate([[0.0], own])
    before = len(times) - len(own)
    if np.array_equal(times, np.linspace(0, times[-1], len(times))):
        return {"start": 0.0, "end": float(times[-1]), "points": len(times)}, before
    return {"times": times.tolist()}, before


def selection_of(quantity: Quantity) -> str:
    """Return what the engine calls a quantity, as its symbol means it in the model."""
    return f"[{quantity.name}]" if quantity.kind == "species" and not quantity.in_amounts else quantity.name


def first_line(error: Exception) -> str:
    """Return what the engine says, without its preamble and the place in its code."""
    text = " ".join(str(error).split())
    text = text.rpartition("Error in CVODE: ")[2] or text
    return text.partition("; In ")[0]
