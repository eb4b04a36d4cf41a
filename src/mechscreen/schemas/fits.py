"""Which parameter sets are best: explain measured data, or have the largest values."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

import numpy as np
from numpy.typing import NDArray

from mechscreen.inference.credible import Known
from mechscreen.schemas.model import Booleans, Floats, Integers, ModelArrays, Singles, Texts
from mechscreen.storage import ArrayFile, Record, StageRecord


@dataclass(frozen=True, kw_only=True)
class _FoundSets(ArrayFile):
    """Parameter sets that searches found.

    Attributes
    ----------
    starts, parameters
        (n, d), where each search began, and the set that it found; physical values.
    from_hit
        Whether it began at a validated hit, and not at a set that was drawn.
    looked, done
        (n,), sets that the search looked at, and whether it came to its end, and was not stopped after so many steps.
    profiles, log_peaks, status, reasons
        Simulations of what was found (`mechscreen.schemas.simulations.SimulationFile`).
    """

    starts: Annotated[Floats, "n d"]
    parameters: Annotated[Floats, "n d"]
    from_hit: Annotated[Booleans, "n"]
    looked: Annotated[Integers, "n"]
    done: Annotated[Booleans, "n"]
    profiles: Annotated[Singles, "n *shape"]
    log_peaks: Annotated[Floats, "n outputs"]
    status: Annotated[NDArray[np.uint8], "n"]
    reasons: Annotated[Texts, "n"]
    about: ModelArrays

    def __len__(self) -> int:
        return len(self.parameters)


@dataclass(frozen=True, kw_only=True)
class Polished(_FoundSets, kind="polished"):
    """The best parameter sets that searches with the model found, the best first: ``polished/polished.h5``.

    Attributes
    ----------
    from_search
        (n,), whether it began where another search had ended, with some parameters drawn anew.
    before, deviance
        (n,), −2 ln L at both; `deviance` is the model's.
    searched
        (n,), what it was where the search ended, as the emulators said; None where searches looked with the model.
    deviations
        (n, d), standard deviations along the axes, by the curvature there (`mechscreen.inference.Fit`).
    measured_output, measured_at, measured_value, measured_error
        (m,), what was measured: place of the output, −1 where the campaign has no such one; point on its grid; value;
        and its standard deviation, of noise that is estimated the one at the best set; NaN where it is of a logarithm.
    """

    from_search: Annotated[Booleans, "n"]
    before: Annotated[Floats, "n"]
    deviance: Annotated[Floats, "n"]
    searched: Annotated[Floats, "n"] | None = None
    deviations: Annotated[Floats, "n d"]
    measured_output: Annotated[Integers, "m"]
    measured_at: Annotated[Floats, "m"]
    measured_value: Annotated[Floats, "m"]
    measured_error: Annotated[Floats, "m"]


@dataclass(frozen=True, kw_only=True)
class Largest(_FoundSets, kind="largest"):
    """The parameter sets of the largest values that searches found: ``polished/polished.h5`` of `Maximise`.

    Attributes
    ----------
    weight
        (n,), of the first expression beside the second one, by which the search valued sets.
    before, emulated, simulated
        (n, expressions), values of the expressions: of the set where it began, and of what it found, as those say that
        valued sets, and by the model's simulation. NaN where there is none.
    spread
        (n, expressions), standard deviation of what the members of the ensemble say of what was found; 0 where it was
        the model that valued sets.
    expressions
        (expressions,), what was to be large.
    """

    weight: Annotated[Floats, "n"]
    before: Annotated[Floats, "n expressions"]
    emulated: Annotated[Floats, "n expressions"]
    simulated: Annotated[Floats, "n expressions"]
    spread: Annotated[Floats, "n expressions"]
    expressions: Annotated[Texts, "expressions"]


@dataclass(frozen=True, kw_only=True)
class Chain(ArrayFile, kind="chain"):
    """Where walkers were, step by step, and all that it takes to walk on: ``posterior/chain.h5``.

    Attributes
    ----------
    places
        (steps, walkers, varied), in shares of the prior.
    deviances
        (steps, walkers), −2 ln L.
    last, last_log
        Where they are, in full precision, and the logarithm of the posterior there.
    random
        State of the random numbers.
    looked, moved
        Simulations, and proposals that were accepted.
    """

    places: Annotated[Floats, "steps walkers varied"]
    deviances: Annotated[Floats, "steps walkers"]
    last: Annotated[Floats, "walkers varied"]
    last_log: Annotated[Floats, "walkers"]
    random: Annotated[NDArray[np.uint64], "words"]
    looked: int
    moved: int


@dataclass(frozen=True, kw_only=True)
class Posterior(ArrayFile, kind="posterior"):
    """Draws of the posterior: ``posterior/posterior.h5``.

    Attributes
    ----------
    parameters
        (n, d), physical values, drawn from all places of the walkers, in their order.
    deviance
        (n,), −2 ln L.
    simulated
        (checked,), rows of these that were simulated for what they predict.
    profiles, log_peaks, status
        Their simulations.
    """

    parameters: Annotated[Floats, "n d"]
    deviance: Annotated[Floats, "n"]
    simulated: Annotated[Integers, "checked"]
    profiles: Annotated[Singles, "checked *shape"]
    log_peaks: Annotated[Floats, "checked outputs"]
    status: Annotated[NDArray[np.uint8], "checked"]
    about: ModelArrays

    def __len__(self) -> int:
        return len(self.deviance)


class CredibleRecord(Record):
    """What the posterior says of a parameter: quantiles (`mechscreen.inference.credible.LEVELS`), and in one word."""

    quantiles: tuple[float, ...]
    known: Known
    independent: float | None


class PosteriorSummary(StageRecord):
    """How well parameters are known: ``posterior/summary.json``.

    Attributes
    ----------
    walkers, steps, simulations
        Of the chain; of one by emulators `simulations` are its predictions.
    accepted
        Share of the proposals.
    independent
        Draws that are independent of one another, of the slowest parameter; 0: the chain is too short to say.
    wanted
        As many as were asked for.
    best
        Least −2 ln L that the chain came to.
    simulated, effective
        Where the chain was by emulators: draws that the model simulated and that are weighed by that, and as how many
        equally likely ones they count (Kish 1965). None where it was by the model.
    parameters
        By name, those that vary.
    """

    kind: Literal["posterior"] = "posterior"
    walkers: int
    steps: int
    simulations: int
    accepted: float
    independent: int
    wanted: int
    best: float
    simulated: int | None = None
    effective: float | None = None
    parameters: dict[str, CredibleRecord]

    @property
    def determined(self) -> int:
        """How many parameters the data determine."""
        return sum(about.known == "determined" for about in self.parameters.values())

    @property
    def enough(self) -> bool:
        """Whether there are as many independent draws as were asked for."""
        return self.independent >= self.wanted
