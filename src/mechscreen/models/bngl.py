"""Models in BioNetGen's language, solved by bngsim; asked in the words of `mechscreen.models.sbml`."""

from __future__ import annotations

import importlib.metadata
import logging
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from mechscreen.errors import InputError
from mechscreen.models.bngl_document import Network, read_network
from mechscreen.models.outputs import FloatArray
from mechscreen.models.sbml import SBMLModel
from mechscreen.models.sbml_document import Document
from mechscreen.models.sbml_engine import Method
from mechscreen.models.trajectories import is_whole, not_whole
from mechscreen.spaces import Parameter


class BNGLModel(SBMLModel):
    """A model from a file of BioNetGen's (Harris et al. 2016, Bioinformatics 32:3366).

    Parameters
    ----------
    file
        A network (``.net``), or rules (``.bngl``), of which BNG2.pl makes one; actions in it are not carried out.
    outputs
        Names of observables, functions, parameters, and of species by their patterns; else as in `SBMLModel`. None:
        all observables.
    vary
        Parameters that follow from no others, and species by their patterns, for their initial numbers; else as in
        `SBMLModel`.
    values
        Values at the start that differ from the model's, by name.
    end, points, start
        The time series have so many points from `start` to `end`; the model begins at 0.
    method
        ``ode``, or ``ssa``: Gillespie's direct method, for which parameters that are the initial number of a species
        are whole numbers.
    trajectories
        Of ``ssa``: the outputs are the means of so many, and their standard deviations, ``sd of …``.
    relative_tolerance, absolute_tolerance, steps
        Of CVODE, and the most steps that it may take from one point to the next.
    """

    name: ClassVar[str] = "bngl"
    kinds: ClassVar[str] = "BioNetGen's .net, or .bngl"

    def __init__(
        self,
        file: str = "",
        outputs: Sequence[str] | Mapping[str, Any] | None = None,
        vary: Sequence[str] | Mapping[str, Any] | None = None,
        values: Mapping[str, float] | None = None,
        end: float = 100.0,
        points: int = 101,
        start: float = 0.0,
        method: Method = "ode",
        trajectories: int = 100,
        relative_tolerance: float = 1e-8,
        absolute_tolerance: float = 1e-12,
        steps: int = 100_000,
    ) -> None:
        super().__init__(
            file=file,
            outputs=outputs,
            vary=vary,
            values=values,
            end=end,
            points=points,
            start=start,
            method=method,
            trajectories=trajectories,
            relative_tolerance=relative_tolerance,
            absolute_tolerance=absolute_tolerance,
            steps=steps,
        )
        self.files = list(self._network.tables)

    @property
    def version(self) -> str:  # type: ignore[override]
        """Of this module and of the engine, and of what made a network of rules."""
        engine = importlib.metadata.version("bngsim").rpartition(".")[0]
        made_by = f", BioNetGen {self._network.made_by}" if self._network.made_by else ""
        return f"1, bngsim {engine}{made_by}"

    def _read(self, path: Path) -> Document:
        self._network: Network = read_network(path)
        return self._network.document

    def _parameters(self, vary: Sequence[str] | Mapping[str, Any] | None) -> Iterator[Parameter]:
        for parameter in super()._parameters(vary):
            kind = self.document.quantities[parameter.name].kind
            counted = kind == "species" or parameter.name in self._network.counted
            yield _whole(parameter) if counted and self._method == "ssa" else parameter

    def _shown(self) -> list[str]:
        observables = [quantity.name for quantity in self.document.of_kind("observable")]
        return observables or super()._shown()

    def _refuse_what_is_never_steady(self, where: str, of: str) -> None:
        raise InputError(f"{where}: networks are not followed to a steady state; take {of} at the end of a time series")

    def _engine(self, dose: str | None) -> _Engine:  # type: ignore[override]
        return _Engine(
            self._network,
            self._values,
            [*self.space.names, *([] if dose is None else [dose])],
            self._method,
            self._tolerances,
            self._steps,
        )


def _whole(parameter: Parameter) -> Parameter:
    low, high = math.ceil(parameter.low), math.floor(parameter.high)
    return replace(parameter, low=low, high=high, zero=math.nan, one=math.nan, integer=True)


class _Engine:
    """The network as the engine has it: begun anew for each sample."""

    def __init__(
        self,
        network: Network,
        held: Mapping[str, float],
        varied: Sequence[str],
        method: Method,
        tolerances: tuple[float, float],
        steps: int,
    ) -> None:
        # What it warns of becomes a reason.
        logging.getLogger("bngsim").setLevel(logging.CRITICAL)
        # Others set other values.
        self._model = network.model.clone()
        self._kinds = {name: quantity.kind for name, quantity in network.document.quantities.items()}
        self._held = dict(held)
        self._varied = list(varied)
        self._method = method
        relative, absolute = tolerances
        self._settings = {"rtol": relative, "atol": absolute, "max_steps": steps} if method == "ode" else {}
        self._starts: dict[str, float] = {}
        self._simulator = self._new_simulator()

    def _new_simulator(self) -> Any:
        import bngsim

        # Without code that it compiles: trajectories would be others where there is no compiler.
        return bngsim.Simulator(self._model, self._method, codegen=False)

    def begin(self, values: FloatArray) -> None:
        """Say the values at the start of the next runs."""
        if self._method == "ode":
            # It remembers that a Jacobian failed, and a sample would follow from those before it.
            self._simulator = self._new_simulator()
        given = self._held | dict(zip(self._varied, values.tolist(), strict=True))
        self._model.set_params({name: value for name, value in given.items() if self._kinds[name] == "parameter"})
        self._starts = {name: value for name, value in given.items() if self._kinds[name] == "species"}

    def run(self, selections: Sequence[str], grid: FloatArray, seed: int) -> FloatArray:
        """Return the time series, (selections, points); the seed is for `ssa` alone."""
        self._model.reset()
        for name, value in self._starts.items():
            self._model.set_concentration(name, value)
        if self._method == "ssa":
            self._see_that_numbers_are_whole()
        # The model begins at 0.
        times = list(grid) if grid[0] == 0 else [0.0, *grid]
        found = self._simulator.run(sample_times=times, seed=seed, **self._settings)
        _see_that_rates_were_possible(found.ssa_diagnostics)
        return np.array([self._series(found, name) for name in selections])[:, len(times) - len(grid) :]

    def _series(self, found: Any, name: str) -> FloatArray:
        kind = self._kinds[name]
        if kind == "parameter":
            return np.full(len(found.time), self._model.get_param(name))
        if kind == "species":
            return found.species[:, found.species_names.index(name)]
        return (found.observables if kind == "observable" else found.expressions)[name]

    def _see_that_numbers_are_whole(self) -> None:
        """Refuse parts of molecules, which the engine would round."""
        for name, number in zip(self._model.species_names, self._model.get_state(), strict=True):
            if not is_whole(number):
                raise RuntimeError(not_whole(name, number))


def _see_that_rates_were_possible(diagnostics: Mapping[str, Any]) -> None:
    """Refuse trajectories in which a rate is negative: the engine lets that reaction run backwards, and below zero."""
    if diagnostics["n_reverse_fires"] or diagnostics["n_negative_crossings"]:
        where = diagnostics["first_reverse_reaction"] or diagnostics["first_negative_species"]
        raise RuntimeError(f"a rate is below zero in a trajectory ({where})")
