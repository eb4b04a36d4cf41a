"""Selections and simulations."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import numpy as np
from numpy.typing import NDArray

from mechscreen.schemas.model import Booleans, Floats, Integers, ModelArrays, Singles, Texts
from mechscreen.storage import ArrayFile


@dataclass(frozen=True, kw_only=True)
class Selection(ArrayFile, kind="selection"):
    """What an ensemble selected to be simulated: ``selection/shard-00042.h5``.

    Attributes
    ----------
    selector, candidates
        The campaign whose ensemble selected, and among how many.
    index, parameters
        Number of each sample in its campaign, and physical values.
    disagreement, in_target
        What the ensemble said of each: the disagreement of its members, and whether one of them saw the target.
    """

    selector: str
    candidates: int
    index: Annotated[Integers, "n"]
    parameters: Annotated[Floats, "n d"]
    disagreement: Annotated[Singles, "n"]
    in_target: Annotated[Booleans, "n"]
    parameter_names: Annotated[Texts, "d"]


@dataclass(frozen=True, kw_only=True)
class SimulationFile(ArrayFile, kind="simulations"):
    """Simulations: ``simulations/shard-00042.h5``, and what `mechscreen simulate` writes of a table.

    Attributes
    ----------
    shard
        Number of the shard, of those that are one.
    index, parameters
        Number of each sample, ascending, and physical values.
    profiles, log_peaks, status, reasons
        As `mechscreen.models.Simulations` has them.
    sensitivity
        How far each output moves when the parameters change by 5·10⁻⁶ of their values, where that was asked for.
    """

    shard: int | None = None
    index: Annotated[Integers, "n"]
    parameters: Annotated[Floats, "n d"]
    profiles: Annotated[Singles, "n *shape"]
    log_peaks: Annotated[Floats, "n outputs"]
    status: Annotated[NDArray[np.uint8], "n"]
    reasons: Annotated[Texts, "n"]
    sensitivity: Annotated[Floats, "n outputs"] | None = None
    about: ModelArrays


class PartialSimulationFile(SimulationFile, kind="partial simulations"):
    """Those simulations that are done, until all are: ``shard-00042.h5.partial``."""
