"""The sections of a campaign. Beside each key stands what a change of it does (`mechscreen.campaign.graph`).

A key inside a section without a mark of its own has that of the section.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import Field, SerializerFunctionWrapHandler, field_validator, model_serializer, model_validator

from mechscreen.campaign.configuration import NAME, Section
from mechscreen.campaign.editions import Was
from mechscreen.campaign.graph import EVERYTHING, grows, nothing, remakes
from mechscreen.emulators.backends.base import AUTO
from mechscreen.emulators.backends.choice import check_backend
from mechscreen.emulators.settings import (
    FEWEST_CALIBRATED,
    NO_VOTE_OF_TWO,
    Combine,
    DenseSettings,
    NetworkSettings,
    Precision,
    TrainingSettings,
)
from mechscreen.errors import InputError
from mechscreen.models.setup import Setup
from mechscreen.spaces import Prior

SPLITS = ("train", "validation", "test")

SAMPLE_TIME_LIMIT = 600.0


class _Given(Section):
    """A section of which only what was given counts and is written down."""

    @model_serializer(mode="wrap")
    def _only_what_was_given(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        # `levels: null` says something, no `levels` says nothing.
        return {key: value for key, value in handler(self).items() if key in self.model_fields_set}


class PriorSection(_Given):
    """How likely a parameter's values are: SciPy's distributions and arguments, cut to the parameter's range."""

    name: str = Field(..., description="uniform, loguniform, normal, lognormal, beta or gamma.")
    loc: float = Field(0.0, description="SciPy's location; the mean of normal.")
    scale: float = Field(1.0, description="SciPy's scale; the standard deviation of normal, the median of lognormal.")
    s: float | None = Field(None, description="SciPy's shape argument of lognormal.")
    a: float | None = Field(None, description="SciPy's shape argument of beta and gamma.")
    b: float | None = Field(None, description="SciPy's second shape argument of beta.")

    @model_validator(mode="before")
    @classmethod
    def _name_alone(cls, values: Any) -> Any:
        return {"name": values} if isinstance(values, str) else values

    @model_validator(mode="after")
    def _is_one(self) -> PriorSection:
        _ = self.prior
        return self

    @property
    def prior(self) -> Prior:
        """The distribution."""
        return Prior(**self.model_dump())


class ParameterChange(_Given):
    """How a campaign departs from a parameter as the model declares it, or declares one of its own."""

    low: float | None = Field(None, description="New lower bound, within the model's range.")
    high: float | None = Field(None, description="New upper bound, within the model's range.")
    levels: tuple[float | str, ...] | None = Field(None, description="The only values that it takes; null: all.")
    scale: Literal["linear", "log"] | None = Field(
        None, description="log: drawn evenly over decades, drawn on such axes, and told to networks as a logarithm."
    )
    integer: bool | None = Field(None, description="Whether it takes whole numbers alone.")
    prior: PriorSection | None = Field(
        None, description="How likely its values are, within low and high; null: evenly over its scale."
    )
    value: float | str | None = Field(None, description="Hold the parameter at this value.")

    @model_validator(mode="after")
    def _value_stands_alone(self) -> ParameterChange:
        if self.value is not None and (more := sorted(self.model_fields_set - {"value"})):
            raise ValueError(f"'value' fixes the parameter, so {', '.join(more)} cannot stand beside it")
        return self

    def fields(self) -> dict[str, Any]:
        """Return the changed fields of `mechscreen.spaces.Parameter`; categories may stand there by their names."""
        if self.value is not None:
            return {"low": self.value, "high": self.value, "levels": None, "prior": None}
        given = ("low", "high", "scale", "integer")
        changed = {name: getattr(self, name) for name in given if getattr(self, name) is not None}
        if "levels" in self.model_fields_set:
            changed["levels"] = self.levels
        if "prior" in self.model_fields_set:
            changed["prior"] = None if self.prior is None else self.prior.prior
        return changed


class ModelSection(Section):
    """The mechanistic model."""

    name: str = Field(
        "pattern",
        description="Registered name, or your own: `package.module:Class`, `path/to/file.py:Class`; of the latter, a "
        "change of its source remakes everything, too.",
    )
    options: dict[str, Any] = Field(
        default_factory=dict, description="Options of the model's constructor (docs of each model)."
    )
    parameters: dict[str, ParameterChange] = Field(
        default_factory=dict,
        description="Departures from the model's parameters, by name: `low`, `high`, `scale` (`linear`, `log`), "
        "`levels` (the only values that it takes), `integer`, `prior` (docs/howto/parameters.md), or `value` (held "
        "fixed), in physical units; also new parameters that `derived` speaks of.",
    )
    derived: dict[str, str] = Field(
        default_factory=dict,
        description="Parameters of the model that follow from others: name → expression, such as `k2: k1 * ratio`.",
    )
    constraints: tuple[str, ...] = Field(
        (), description="Conditions that every parameter set fulfils, such as `k1 < k2`; others are drawn again."
    )
    conditions: dict[str, dict[str, float | str]] = Field(
        default_factory=dict,
        description="Simulate each parameter set under several conditions, such as `{wild: {}, mutant: {k1: 0}}`: name "
        "→ the parameters that it sets, to numbers or expressions of those that vary "
        "(docs/howto/model-conditions.md).",
    )
    replicates: int = Field(
        1,
        ge=1,
        le=10**6,
        description="Simulate each parameter set of a stochastic model so often: outputs are the means, and their "
        "standard errors (docs/howto/model-conditions.md).",
    )

    emulate: tuple[str, ...] | dict[str, str | dict[str, str | float]] = Field(
        (),
        description="Let networks learn features of the outputs, numbers, instead of the outputs themselves, as suits "
        "curves that oscillate: `[period(x), amplitude(x)]`, or name → expression, or name → `{of, scale, unit}` "
        "(docs/howto/conditions.md).",
    )

    @property
    def setup(self) -> Setup:
        """What the model is made of."""
        return Setup(self.name, self.options, self.conditions, self.replicates, self.emulate)


class SimulationsSection(Section):
    """The simulations that emulators learn from."""

    count: Annotated[int, grows("simulations"), remakes("dataset")] = Field(
        0,
        ge=0,
        le=10**9,
        description="Number of simulations, a multiple of `shard_size`; may be left out with `screen.by: model`.",
    )
    shard_size: Annotated[int, EVERYTHING] = Field(
        1000, ge=1, le=10**6, description="Simulations in one file, made by one MPI job."
    )
    sampling: Annotated[Literal["uniform", "sobol"], EVERYTHING] = Field(
        "uniform", description="How parameter sets are drawn: `uniform` or `sobol` (scrambled)."
    )
    sample_time_limit: Annotated[float, nothing("remove the files whose samples are to be tried again")] = Field(
        SAMPLE_TIME_LIMIT,
        gt=0,
        le=10**7,
        description="Seconds after which a sample is given up and recorded with status TIMEOUT; for models that run in "
        "a process of their own (docs/howto/own-model.md), as all do but the built-in ones.",
    )
    imported: Annotated[tuple[str, ...], remakes("dataset")] = Field(
        (),
        description="Tables of simulations of your own (CSV, NPZ, HDF5), which the networks learn from besides; their "
        "content counts, not their names (docs/howto/results.md).",
    )

    @model_validator(mode="before")
    @classmethod
    def _without_sensitivity(cls, values: Any) -> Any:
        """Drop a key of earlier releases, whose resolved configurations hold its default."""
        if not isinstance(values, Mapping) or "sensitivity" not in values:
            return values
        if values["sensitivity"] is not False:
            raise ValueError(
                "'sensitivity' is no key any more; leave it out: validation measures that of hits, and "
                "mechscreen simulate --sensitivity that of a table"
            )
        return {key: value for key, value in values.items() if key != "sensitivity"}

    @model_validator(mode="after")
    def _whole_shards(self) -> SimulationsSection:
        if self.count % self.shard_size:
            near = max(1, round(self.count / self.shard_size)) * self.shard_size
            raise ValueError(
                f"count {self.count} is not a multiple of shard_size {self.shard_size} (nearest: {near}); "
                "whole shards let a campaign grow without touching those it has"
            )
        return self

    @property
    def shards(self) -> int:
        """Number of shards."""
        return self.count // self.shard_size

    def sample_range(self, shard: int) -> tuple[int, int]:
        """Return the first sample of a shard, and the one after its last.

        Raises
        ------
        InputError
            If there is no such shard.
        """
        if not 0 <= shard < self.shards:
            raise InputError(f"no shard {shard}: simulations.count and shard_size make shards 0 … {self.shards - 1}")
        return shard * self.shard_size, (shard + 1) * self.shard_size


class SplitSection(Section):
    """Shares of the samples; they add up to 1."""

    train: float = Field(0.8, gt=0, lt=1, description="Fitted.")
    validation: float = Field(0.1, gt=0, lt=1, description="Chooses the best epoch.")
    test: float = Field(0.1, gt=0, lt=1, description="Seen by the evaluation alone.")

    @model_validator(mode="after")
    def _adds_up(self) -> SplitSection:
        total = self.train + self.validation + self.test
        if abs(total - 1) > 1e-9:
            raise ValueError(f"train, validation and test add up to {total:g}, not 1")
        return self


_FEWER_ROUNDS = nothing("rounds that there are stay; which of them is the last")


class EnoughSection(Section):
    """When what an ensemble knows is enough, so that no further round follows: where one of these holds."""

    error: float | None = Field(None, gt=0, description="Its mean RMSE on the test split is at most this.")
    disagreement: float | None = Field(
        None, gt=0, description="Its members disagree there by at most this, in the mean."
    )
    width: float | None = Field(
        None,
        gt=0,
        lt=1,
        description="Of all sets of the target it is known what share the screen finds: the 95 % interval, if the "
        "calibration holds, is at most so wide. Each round then screens and surveys; needs `calibration.count`.",
    )


class SelectionSection(Section):
    """Simulations that an ensemble selects to add to what it learnt from."""

    campaign: Annotated[str, Field(pattern=NAME, max_length=64)] | None = Field(
        None,
        description="The other campaign, in the same folder, with the same section `model` and another seed; it may "
        "itself add to a third one. Its networks count, not its name. null: that of the round before (`rounds`).",
    )
    count: Annotated[int | None, grows("simulations"), remakes("dataset")] = Field(
        None,
        ge=1,
        le=10**9,
        description="Simulations of each round after the first, a multiple of `simulations.shard_size`; null: as many "
        "as in the first.",
    )
    enough: Annotated[EnoughSection, _FEWER_ROUNDS] = Field(
        default_factory=EnoughSection, description="When no further round follows; `rounds` are the most then."
    )
    candidates: int = Field(
        100,
        ge=2,
        le=10**6,
        description="Parameter sets that the ensemble looks at for each one that is selected.",
    )
    near: float = Field(
        0.0,
        ge=0,
        lt=1,
        description="Share of these that are drawn near others of which a member finds the target, or would if it were "
        "farther from the rest; the others are drawn as simulations are.",
    )
    acquisition: str = Field(
        "committee",
        description="What chooses among them: `committee` (the target first, then where the networks disagree), "
        "`target` (where it is least known whether a set is of it), `disagreement`, `sensitivity`, `mix` (half "
        "`target`, half `disagreement`), or your own (docs/howto/extend.md): an installed name, "
        "`package.module:function`, `path/to/file.py:function`.",
    )


class DatasetSection(Section):
    """The merged training set."""

    split: SplitSection = Field(
        default_factory=SplitSection,
        description="Shares of the samples; a sample never moves to another split when a campaign grows.",
    )
    shard_size: int = Field(10_000, ge=1, le=10**6, description="Rows in one file of the training set.")


class EmulatorsSection(Section):
    """The ensemble of neural networks."""

    members: Annotated[int, grows("emulators"), remakes("ensemble")] = Field(
        4, ge=1, le=64, description="Networks in the ensemble; they differ in their seed only."
    )
    architecture: Annotated[NetworkSettings, remakes("emulators")] = Field(
        default_factory=DenseSettings, description="The network of a member."
    )
    training: Annotated[TrainingSettings, remakes("emulators")] = Field(
        default_factory=TrainingSettings, description="How a member is trained, with AdamW."
    )
    together: Annotated[bool, nothing("networks that are there stay")] = Field(
        False,
        description="Train all members at once, by JAX, in one job and on one card (docs/howto/gpu.md); else a job "
        "each.",
    )
    combine: Annotated[Combine, remakes("learning", "ensemble")] = Field(
        "vote",
        description="`vote`: the member, of three or more, that agrees most with the others (the paper); `mean`: mean "
        "of the members.",
    )
    precision: Annotated[Precision, remakes("learning", "ensemble")] = Field(
        "float32",
        description="Of predictions on processors: `float32`, or `bfloat16`, which takes half to a quarter of the time "
        "where the processor has instructions for it (docs/measured/emulators.md); not for the aligned network.",
    )
    backend: Annotated[str, remakes("learning", "ensemble")] = Field(
        AUTO,
        description="What computes predictions: `openvino` (on processors), `device` (JAX, the whole screen as one "
        "program: docs/howto/gpu.md), `keras`, or an installed one (docs/howto/extend.md); `auto`: the fastest on "
        "the machine; files record which one it was.",
    )

    @model_validator(mode="after")
    def _suits_the_network(self) -> EmulatorsSection:
        self.architecture.check(self.training, self.precision)
        check_backend(self.backend, type(self.architecture), self.precision)
        if self.members == 2 and self.combine == "vote":
            raise ValueError(f"combine: {NO_VOTE_OF_TWO}")
        return self


class LearningSection(Section):
    """A study of how the error falls with the number of training samples."""

    sizes: Annotated[tuple[Annotated[int, Field(ge=1)], ...], grows("learning"), remakes("learning")] = Field(
        (), description="Numbers of training samples, the first ones of the training split; none: no study."
    )
    members: Annotated[int, grows("learning"), remakes("learning")] = Field(
        3, ge=1, le=64, description="Networks for each size."
    )

    @model_validator(mode="after")
    def _ascending(self) -> LearningSection:
        if list(self.sizes) != sorted(set(self.sizes)):
            raise ValueError(f"sizes {list(self.sizes)} must ascend, each once")
        return self


class CalibrationSection(Section):
    """Probabilities of the objective's classes, from simulations that no network has seen."""

    count: int = Field(
        0,
        ge=0,
        le=10**7,
        description="Simulations, chosen by what the members say, the target's classes and what is near them most; "
        "0: none, and no probabilities (docs/explanation/screen.md).",
    )
    candidates: int = Field(
        1_000_000,
        ge=1,
        le=10**9,
        description="Parameter sets that the ensemble looks at, among which these are chosen: so many that some "
        "hundreds are of the target.",
    )

    @model_validator(mode="after")
    def _chooses(self) -> CalibrationSection:
        if 0 < self.count < FEWEST_CALIBRATED:
            raise ValueError(f"count {self.count}: probabilities need {FEWEST_CALIBRATED} simulations")
        if self.count > self.candidates:
            raise ValueError(f"count {self.count} is more than the {self.candidates} candidates")
        return self


class ObjectiveSection(Section):
    """What the screen looks for: a labelling of profiles, and the labels wanted."""

    name: Annotated[str, remakes("selection", "evaluation", "calibration", "screen")] = Field(
        "rings",
        description="`rings`, `modes`, `conditions`, `match`, `maximise`, or your own function: "
        "`package.module:function`, `path/to/file.py:function`; a change of its source is a change of this key.",
    )
    options: Annotated[dict[str, Any], remakes("selection", "evaluation", "calibration", "screen")] = Field(
        default_factory=dict,
        description="Its keyword arguments; for your own function, `classes`: the names of its labels 0, 1, ….",
    )
    target: Annotated[tuple[str, ...], remakes("selection", "calibration", "screen")] = Field(
        ("3",), min_length=1, description="Names of the classes that count as hits."
    )


class ScreenSection(Section):
    """The search through many more parameter sets than can be simulated."""

    count: Annotated[int, grows("screen"), remakes("validation")] = Field(
        ..., ge=1, le=10**12, description="Parameter sets to look at, a multiple of `block_size`."
    )
    block_size: int = Field(1_000_000, ge=1, le=10**9, description="Parameter sets in one MPI job and file.")
    sampling: Literal["uniform", "sobol"] = Field(
        "uniform",
        description="How they are drawn: `uniform` or `sobol` (scrambled).",
    )
    by: Literal["emulators", "model"] = Field(
        "emulators",
        description="What looks at them: `emulators`; or `model`, which simulates every one of them, so that there are "
        "no other simulations, no training set and no networks (docs/explanation/screen.md).",
    )
    mode: Literal["full", "cascade"] = Field(
        "full",
        description="`full`: the whole ensemble looks at every sample; `cascade`: the first member does, and the whole "
        "ensemble at the target's classes, those beside them, and one in a hundred of the rest, by which the report "
        "says what share of the hits is found.",
    )
    vary: tuple[str, ...] | None = Field(
        None, min_length=1, description="The only parameters that vary; null: all of them."
    )
    parameters: dict[str, ParameterChange] = Field(
        default_factory=dict,
        description="Narrower ranges (`low`, `high`) or a `value`, by parameter name; what is held without a value "
        "here stands in the middle of its range.",
    )
    objective: ObjectiveSection = Field(default_factory=ObjectiveSection, description="What is looked for.")
    features: Annotated[tuple[str, ...] | dict[str, str] | None, remakes("evaluation")] = Field(
        None,
        description="Numbers that are told of hits beside their class: `[period(x), amplitude(x)]`, or name → "
        "expression (docs/howto/conditions.md); null: those that stand in the classes of the objective `conditions`.",
    )
    disagreement_limit: Annotated[float, remakes("evaluation", "screen")] = Field(
        0.1, gt=0, description="Discard a prediction whose members disagree by more (RMSE of profiles)."
    )
    confidence: Annotated[float | None, remakes("hits")] = Field(
        None,
        gt=0.05,
        lt=1,
        description="Hits are the most probable sets, as many as are of the target with this probability in the mean, "
        "whatever the members' disagreement; null: 0.95 where probabilities are asked for (`calibration.count`), else "
        "by class and `disagreement_limit`.",
    )
    hits_per_block: int = Field(
        10_000,
        ge=1,
        le=10**6,
        description="Hits kept of each class of the target in one block, drawn at random where there are more; counts "
        "stay exact.",
    )
    bins: int = Field(40, ge=2, le=1000, description="Bins along each axis of the parameter planes.")

    @field_validator("features", mode="before")
    @classmethod
    def _expressions(cls, features: Any) -> Any:
        texts = list(features.values()) if isinstance(features, Mapping) else features
        if features is not None and not (isinstance(texts, list | tuple) and all(isinstance(t, str) for t in texts)):
            raise ValueError("must be expressions, each in quotes where it holds a comma, or name → expression")
        # A mapping counts key by key (`mechscreen.campaign.identity`): an empty one would count for null.
        return features or (None if features is None else ())

    @model_validator(mode="after")
    def _varied_or_held(self) -> ScreenSection:
        for name, change in self.parameters.items():
            if wrong := sorted(change.model_fields_set - {"low", "high", "value"}):
                raise ValueError(
                    f"parameters.{name}: {', '.join(wrong)}: a screen takes low, high or value; the rest is said of "
                    "simulations and screen together, in model.parameters"
                )
            if name in (self.vary or ()) and change.value is not None:
                raise ValueError(f"'{name}' stands in vary, and parameters.{name} holds it at {change.value}")
        return self

    @model_validator(mode="after")
    def _cascades_are_of_emulators(self) -> ScreenSection:
        if self.by == "model" and self.mode == "cascade":
            raise ValueError("mode: cascade is for an ensemble; leave it out, or take by: emulators")
        return self

    @model_validator(mode="after")
    def _whole_blocks(self) -> ScreenSection:
        if self.count % self.block_size:
            near = max(1, round(self.count / self.block_size)) * self.block_size
            raise ValueError(f"count {self.count} is not a multiple of block_size {self.block_size} (nearest: {near})")
        return self

    @property
    def blocks(self) -> int:
        """Number of blocks."""
        return self.count // self.block_size


class PolishSection(Section):
    """The search for the best parameter sets, from hits and from sets that are drawn."""

    count: int | None = Field(
        None,
        ge=0,
        le=10**6,
        description="Searches for the best sets, from the best hits and from sets that are drawn; with `match` half of "
        "them go on from where others ended. null: 200 with the objectives `match` (docs/howto/match.md) and "
        "`maximise` (docs/howto/maximise.md), none with others.",
    )
    by: Literal["model", "emulators"] | None = Field(
        None,
        description="What searches look with: `model`, or `emulators`, where a simulation takes too long for "
        "thousands; the model simulates what is found either way. Posteriors are sampled by the same. null: for "
        "`match` the model, for `maximise` the emulators, where there are any.",
    )


class PosteriorSection(Section):
    """How well measured data determine the parameters, by the model."""

    draws: Annotated[int | None, grows("posterior")] = Field(
        None,
        ge=0,
        le=10**6,
        description="Draws of the posterior that are to be independent of one another; null: 1000 with the objective "
        "`match`, and none with others (docs/howto/match.md).",
    )
    simulations: Annotated[int, grows("posterior")] = Field(
        200_000, ge=1, le=10**10, description="Simulations for them, at most."
    )


class ValidationSection(Section):
    """The check of the hits by the mechanistic model."""

    limit: int = Field(
        1000, ge=1, description="Simulate every hit of a class up to this many, else a random sample of so many."
    )
    survey: int | None = Field(
        None,
        ge=0,
        le=10**7,
        description="Simulations of a random sample of all screened sets, in strata by their probability, which say "
        "how many are of the target, and how many of these the screen finds; it needs `calibration.count`, and "
        "null is as many as that (docs/explanation/screen.md).",
    )
    robustness: int = Field(
        0,
        ge=0,
        le=1000,
        description="Confirmed hits of which it is seen, by the ensemble, how far each parameter may move alone before "
        "the behaviour is lost, and by 200 simulations whether that is so (docs/explanation/screen.md).",
    )
    confirm: Annotated[Literal["class", "curve"] | dict[str, Annotated[float, Field(gt=0)]], Was({1: "curve"})] = Field(
        "class",
        description="What confirms a hit: `class`: its simulation is of a class that was asked for; `curve`: what was "
        "emulated is within `rmse_limit` of it, as in Wang et al. (2019); features of outputs, each with the relative "
        'error that it may have (`{"period(x)": 0.1}`, docs/howto/conditions.md).',
    )
    rmse_limit: float = Field(
        0.1,
        gt=0,
        description="RMSE between what was emulated and what is simulated up to which a curve counts as met.",
    )

    @field_validator("confirm")
    @classmethod
    def _says_something(cls, confirm: Any) -> Any:
        if confirm == {}:
            raise ValueError("names no feature; say which, or 'class' or 'curve'")
        return confirm
