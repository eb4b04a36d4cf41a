"""The typed configuration: everything a campaign fixes, its fingerprints and its paths."""

from __future__ import annotations

import hashlib
import json
import unicodedata
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, Self, get_args, get_origin

import yaml
from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    SerializerFunctionWrapHandler,
    ValidationError,
    field_validator,
    model_serializer,
    model_validator,
)

from mechscreen.emulators.architectures.base import Network
from mechscreen.emulators.prediction import AUTO, check_backend
from mechscreen.emulators.settings import (
    NO_VOTE_OF_TWO,
    Combine,
    DenseSettings,
    NetworkSettings,
    Precision,
    TrainingSettings,
)
from mechscreen.errors import InputError, nearest
from mechscreen.models import Model, ParameterSpace, get_model
from mechscreen.registry import ACQUISITIONS, NETWORKS

if TYPE_CHECKING:
    from mechscreen.objectives import Objective

Stage = Literal["selection", "simulations", "dataset", "emulators", "evaluation", "screen", "validation"]
STAGES: tuple[Stage, ...] = get_args(Stage)[1:]
"""Nouns of the stages of every campaign, in the order their data flows; some have a selection before."""

SPLITS = ("train", "validation", "test")

_OF_THE_WHOLE = ("members", "combine", "precision")
"""Keys of `EmulatorsSection` that say how trained members are used together."""

SAMPLE_TIME_LIMIT = 600.0

NAME = r"^[A-Za-z0-9][A-Za-z0-9._-]*$"

_LONGEST_PART = 200
_DEEPEST = 20
_MOST = 100_000
"""Levels and values of a configuration; far above any campaign's, far below what aliases of YAML can make of a line."""


class Section(BaseModel):
    """A part of a configuration: no unknown keys, unchangeable."""

    model_config = ConfigDict(extra="forbid", frozen=True, protected_namespaces=(), allow_inf_nan=False)


class Configuration(Section):
    """All that a YAML file says."""

    @classmethod
    def from_dict(cls, values: Mapping[str, Any], source: str = "configuration") -> Self:
        """Validate a configuration, with what it names.

        Raises
        ------
        InputError
            One line for each thing that is wrong: path of the key, value, what is allowed, the nearest valid name.
        """
        _check_plain(values, source)
        try:
            configuration = cls.model_validate(values)
        except ValidationError as error:
            lines = [f"{source}: {_describe(item, cls)}" for item in error.errors(include_url=False)]
            raise InputError("\n".join(lines)) from None
        try:
            configuration.check()
        except InputError as error:
            raise InputError(f"{source}: {error}") from None
        return configuration

    @classmethod
    def load(cls, path: str | Path) -> Self:
        """Read and validate a YAML file.

        Raises
        ------
        InputError
            If the file cannot be read, is not YAML, or fails `from_dict`.
        """
        return cls.from_dict(read_mapping(path), source=str(path))

    def check(self) -> None:
        """See that there is what the values name.

        Raises
        ------
        InputError
            If not.
        """

    def to_yaml(self) -> str:
        """Return the resolved configuration, defaults included."""
        return yaml.safe_dump(self.model_dump(mode="json"), sort_keys=False, allow_unicode=True)


class ParameterChange(Section):
    """How a campaign departs from a parameter's own range."""

    low: float | None = Field(None, description="New lower bound, within the model's range.")
    high: float | None = Field(None, description="New upper bound, within the model's range.")
    levels: tuple[float, ...] | None = Field(None, description="The only values that simulations take; null: all.")
    value: float | None = Field(None, description="Hold the parameter at this value.")

    @model_validator(mode="after")
    def _value_stands_alone(self) -> ParameterChange:
        if self.value is not None and len(self.model_fields_set) > 1:
            raise ValueError("'value' fixes the parameter, so low, high and levels cannot stand beside it")
        return self

    @model_serializer(mode="wrap")
    def _only_what_was_given(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        # `levels: null` says something, no `levels` says nothing.
        return {key: value for key, value in handler(self).items() if key in self.model_fields_set}

    def fields(self) -> dict[str, Any]:
        """Return the changed fields of `mechscreen.models.Parameter`."""
        if self.value is not None:
            return {"low": self.value, "high": self.value, "levels": None}
        bounds = {name: bound for name, bound in (("low", self.low), ("high", self.high)) if bound is not None}
        return bounds | ({"levels": self.levels} if "levels" in self.model_fields_set else {})


class ModelSection(Section):
    """The mechanistic model."""

    name: str = Field("pattern", description="Registered name, package.module:Class, or path/to/file.py:Class.")
    options: dict[str, Any] = Field(default_factory=dict, description="Options of the model's constructor.")
    parameters: dict[str, ParameterChange] = Field(
        default_factory=dict, description="Departures from the model's parameter ranges, by parameter name."
    )


class SimulationsSection(Section):
    """The simulations that emulators learn from."""

    count: int = Field(..., ge=1, le=10**9, description="How many; a whole number of shards.")
    shard_size: int = Field(1000, ge=1, le=10**6, description="Samples in one file, made by one MPI job.")
    sampling: Literal["uniform", "sobol"] = Field("uniform", description="How parameter sets are drawn.")
    sample_time_limit: float = Field(
        SAMPLE_TIME_LIMIT,
        gt=0,
        le=10**7,
        description="Seconds after which a sample of a model that runs in a process of its own is given up.",
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

    train: float = Field(0.8, gt=0, lt=1)
    validation: float = Field(0.1, gt=0, lt=1)
    test: float = Field(0.1, gt=0, lt=1)

    @model_validator(mode="after")
    def _adds_up(self) -> SplitSection:
        total = self.train + self.validation + self.test
        if abs(total - 1) > 1e-9:
            raise ValueError(f"train, validation and test add up to {total:g}, not 1")
        return self


class SelectionSection(Section):
    """Simulations that another campaign's ensemble selects, to add them to that campaign's training set."""

    campaign: Annotated[str, Field(pattern=NAME, max_length=64)] = Field(
        ..., description="The other campaign, in the same folder, with the same model and trained networks."
    )
    candidates: int = Field(100, ge=2, le=10**6, description="Parameter sets that it looks at for each one selected.")
    acquisition: str = Field(
        "committee",
        description="What chooses among them: a name, package.module:function or path/to/file.py:function.",
    )


class DatasetSection(Section):
    """The merged training set."""

    split: SplitSection = Field(default_factory=SplitSection, description="Shares of train, validation and test.")
    shard_size: int = Field(10_000, ge=1, le=10**6, description="Rows in one file of the training set.")


class EmulatorsSection(Section):
    """The ensemble of neural networks."""

    members: int = Field(4, ge=1, le=64, description="Networks in the ensemble; they differ in their seed only.")
    architecture: NetworkSettings = Field(default_factory=DenseSettings, description="The network of a member.")
    training: TrainingSettings = Field(default_factory=TrainingSettings, description="How a member is trained.")
    combine: Combine = Field(
        "vote",
        description="Prediction of the ensemble: its most agreeing member of three or more (the paper), or the mean.",
    )
    precision: Precision = Field(
        "float32",
        description="Of predictions on processors; bfloat16 takes half to a quarter of the time, where there are "
        "instructions for it.",
    )
    backend: str = Field(
        AUTO, description="What computes predictions: openvino, keras, an installed one; auto: the fastest here."
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

    sizes: tuple[Annotated[int, Field(ge=1)], ...] = Field(
        (), description="Numbers of training samples, the first ones of the training split; none: no study."
    )
    members: int = Field(3, ge=1, le=64, description="Networks for each size.")

    @model_validator(mode="after")
    def _ascending(self) -> LearningSection:
        if list(self.sizes) != sorted(set(self.sizes)):
            raise ValueError(f"sizes {list(self.sizes)} must ascend, each once")
        return self


class ObjectiveSection(Section):
    """What the screen looks for: a labelling of profiles, and the labels wanted."""

    name: str = Field("rings", description="Built-in name, package.module:function, or path/to/file.py:function.")
    options: dict[str, Any] = Field(default_factory=dict, description="Keyword arguments of the objective.")
    target: tuple[str, ...] = Field(("3",), min_length=1, description="Names of the classes that count as hits.")


class ScreenSection(Section):
    """The search through many more parameter sets than can be simulated."""

    count: int = Field(..., ge=1, le=10**12, description="How many parameter sets; a whole number of blocks.")
    block_size: int = Field(1_000_000, ge=1, le=10**9, description="Parameter sets in one file, made by one MPI job.")
    sampling: Literal["uniform", "sobol"] = Field("uniform", description="How parameter sets are drawn.")
    mode: Literal["full", "cascade"] = Field(
        "full",
        description="Who looks: the whole ensemble at all samples, or the first member at all and the whole ensemble "
        "at those near the target and at one in a hundred of the rest, which tell what is missed.",
    )
    vary: tuple[str, ...] | None = Field(
        None, min_length=1, description="The parameters that vary, the others are held; null: all of them vary."
    )
    parameters: dict[str, ParameterChange] = Field(
        default_factory=dict,
        description="Narrower ranges or values, by parameter name; what is held without a value here stands in the "
        "middle of its range.",
    )
    objective: ObjectiveSection = Field(default_factory=ObjectiveSection, description="What counts as a hit.")
    disagreement_limit: float = Field(
        0.1, gt=0, description="Discard a prediction whose members disagree by more (RMSE of profiles)."
    )
    hits_per_block: int = Field(
        10_000,
        ge=1,
        le=10**6,
        description="Hits kept of each class of the target in a block, at random if there are more; counts stay exact.",
    )
    bins: int = Field(40, ge=2, le=1000, description="Bins along each axis of the parameter planes.")

    @model_validator(mode="after")
    def _varied_or_held(self) -> ScreenSection:
        for name, change in self.parameters.items():
            if change.levels is not None:
                raise ValueError(f"parameters.{name}: levels are for simulations; a screen takes low, high or value")
            if name in (self.vary or ()) and change.value is not None:
                raise ValueError(f"'{name}' stands in vary, and parameters.{name} holds it at {change.value:g}")
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


class ValidationSection(Section):
    """The check of the hits by the mechanistic model."""

    limit: int = Field(
        1000, ge=1, description="Simulate every hit of a class up to this many, else a random sample of so many."
    )
    rmse_limit: float = Field(0.1, gt=0, description="A hit is confirmed up to this RMSE between the profiles.")


class Paths:
    """Where the files of a campaign stand, below ``<results>/<name>/``; up to the networks below its base's folder."""

    def __init__(self, root: Path, base: Path, network: str) -> None:
        self.root = root
        self.campaign = root / "campaign.yaml"
        self.selection = base / "selection"
        self.simulations = base / "simulations"
        self.dataset = base / "dataset"
        self.manifest = self.dataset / "manifest.json"
        self.emulators = base / "emulators" / network
        self.learning = root / "learning" / network
        self.learning_summary = self.learning / "learning.json"
        self.learning_figure = self.learning / "learning.png"
        self.evaluation = root / "evaluation"
        self.metrics = self.evaluation / "metrics.json"
        self.predictions = self.evaluation / "predictions.h5"
        self.screen = root / "screen"
        self.screen_summary = self.screen / "summary.h5"
        self.screen_hits = self.screen / "hits.h5"
        self.validation = root / "validation"
        self.validation_hits = self.validation / "hits.h5"
        self.validation_table = self.validation / "hits.csv"
        self.validation_summary = self.validation / "summary.json"
        self.figures = root / "figures"
        self.report = root / "report.html"
        self.summary = root / "summary.txt"

    def selected(self, shard: int) -> Path:
        """Parameter sets that were selected for a shard of simulations."""
        return self.selection / f"shard-{shard:05d}.h5"

    def shard(self, number: int) -> Path:
        """Shard of simulations."""
        return self.simulations / f"shard-{number:05d}.h5"

    def dataset_shard(self, split: str, number: int) -> Path:
        """File of the training set."""
        return self.dataset / f"{split}-{number:05d}.h5"

    def member(self, number: int, samples: int | None = None) -> Path:
        """Folder of an ensemble's member; with `samples`, of one that learns from so many in the study ``learning``."""
        ensemble = self.emulators if samples is None else self.learning / f"samples-{samples}"
        return ensemble / f"member-{number}"

    def block(self, number: int) -> Path:
        """File of a block of the screen."""
        return self.screen / f"block-{number:05d}.h5"

    def figure(self, name: str) -> Path:
        """Picture of the report."""
        return self.figures / f"{name}.png"


class Campaign(Configuration):
    """One study: a model, its simulations, an ensemble, a screen and its validation."""

    name: Annotated[str, Field(pattern=NAME, max_length=64)] = Field(
        ..., description="Names the folder of results: letters, digits, dot, hyphen, underscore."
    )
    results: str = Field(
        "results", min_length=1, max_length=1000, description="Folder that holds the folders of results."
    )
    base: Annotated[str, Field(pattern=NAME, max_length=64)] | None = Field(
        None,
        description="Another campaign whose simulations, training set and networks this one uses; all that these "
        "depend on must be the same in both.",
    )
    seed: int = Field(..., ge=0, lt=2**63, description="From it all random numbers follow.")
    model: ModelSection = Field(default_factory=ModelSection)
    selection: SelectionSection | None = Field(
        None, description="Simulate what another campaign's ensemble is unsure of, and add it to its training set."
    )
    simulations: SimulationsSection
    dataset: DatasetSection = Field(default_factory=DatasetSection)
    emulators: EmulatorsSection = Field(default_factory=EmulatorsSection)
    learning: LearningSection = Field(default_factory=LearningSection)
    screen: ScreenSection
    validation: ValidationSection = Field(default_factory=ValidationSection)

    @model_validator(mode="after")
    def _study_can_vote(self) -> Campaign:
        if self.learning.sizes and self.learning.members == 2 and self.emulators.combine == "vote":
            raise ValueError(f"learning.members: {NO_VOTE_OF_TWO}")
        return self

    @field_validator("results")
    @classmethod
    def _names_a_folder(cls, results: str) -> str:
        if "{" in results or "}" in results:
            raise ValueError("braces are wildcards of Snakemake; choose another name")
        if results.startswith("-"):
            raise ValueError("it looks like an option; write ./ before it")
        if any(len(part.encode()) > _LONGEST_PART for part in Path(results).parts):
            raise ValueError(f"a part of it is longer than {_LONGEST_PART} bytes")
        return results

    def check(self) -> None:
        """See that model, parameter changes and objective are there."""
        if not self.space.varied:
            raise InputError("'model': every parameter is held fixed; let at least one vary")
        _ = self.selector
        if not self.screen_space.varied:
            raise InputError("'screen': every parameter is held fixed; let at least one vary")
        _ = self.targets
        outputs = [output.name for output in self.model_instance.outputs]
        looked_at = getattr(self.objective, "output", 0)
        if looked_at >= len(outputs):
            raise InputError(
                f"'screen.objective.options': no output {looked_at}; the model's are "
                f"{', '.join(f'{number} ({name})' for number, name in enumerate(outputs))}"
            )

    @cached_property
    def model_instance(self) -> Model:
        """The model with the campaign's options."""
        return get_model(self.model.name, **self.model.options)

    @cached_property
    def space(self) -> ParameterSpace:
        """The model's parameters with the campaign's changes."""
        return self.model_instance.space.restrict({k: v.fields() for k, v in self.model.parameters.items()})

    @cached_property
    def selector(self) -> Campaign | None:
        """The campaign whose ensemble selects this one's simulations; None without a section ``selection``."""
        if self.selection is None:
            return None
        try:
            ACQUISITIONS.get(self.selection.acquisition)
        except InputError as error:
            raise InputError(f"'selection.acquisition': {error}") from None
        key, name = "'selection.campaign'", self.selection.campaign
        before = [self.name]
        link: Any = name
        while link is not None:
            if link in before:
                raise InputError(f"{key}: {' → '.join([*before, link])} is a circle; name a campaign that came before")
            before.append(link)
            link = (read_mapping(self._resolved(link, key)).get("selection") or {}).get("campaign")
        resolved = self._resolved(name, key)
        other = Campaign.from_dict({**read_mapping(resolved), "results": self.results}, source=str(resolved))
        if other.model != self.model:
            raise InputError(f"{key}: the section 'model' of '{name}' differs; the two must be of one model")
        if other.seed == self.seed:
            raise InputError(f"{key}: '{name}' has the seed {self.seed} too; choose another, for other random numbers")
        if other.emulators.members < 2:
            raise InputError(f"{key}: '{name}' has one network, which cannot disagree; it needs emulators.members ≥ 2")
        return other

    @cached_property
    def screen_space(self) -> ParameterSpace:
        """What of that space is screened."""
        screen = self.screen
        changes = {name: change.fields() | {"levels": None} for name, change in screen.parameters.items()}
        try:
            narrowed = self.space.restrict(changes)
            if screen.vary is None:
                return narrowed
            varied = {narrowed[name].name for name in screen.vary}
            if fixed := sorted(name for name in varied if narrowed[name].fixed):
                raise InputError(f"vary: {', '.join(fixed)}: held fixed by the model or 'model.parameters'")
        except InputError as error:
            raise InputError(f"'screen': {error}") from None
        middle = {p.name: (p.low + p.high) / 2 for p in narrowed if p.name not in varied}
        return narrowed.restrict({name: ParameterChange(value=value).fields() for name, value in middle.items()})

    @cached_property
    def objective(self) -> Objective:
        """The labelling of profiles that the screen looks through."""
        from mechscreen.objectives import get_objective

        return get_objective(self.screen.objective.name, **self.screen.objective.options)

    @property
    def evaluated_by(self) -> str:
        """What an evaluation takes from the section ``screen``, as JSON: labelling and limit of disagreement."""
        screen = self.screen
        labelling = screen.objective.model_dump(mode="json", exclude={"target"})
        return json.dumps({**labelling, "disagreement_limit": screen.disagreement_limit}, sort_keys=True)

    @cached_property
    def targets(self) -> tuple[int, ...]:
        """Labels that count as hits, ascending."""
        names = self.objective.class_names
        for name in self.screen.objective.target:
            if name not in names:
                raise InputError(
                    f"'screen.objective.target': no class '{name}'{nearest(name, names)} (valid: {', '.join(names)})"
                )
        return tuple(sorted({names.index(name) for name in self.screen.objective.target}))

    @cached_property
    def paths(self) -> Paths:
        """Where the campaign's files stand."""
        root = Path(self.results) / self.name
        base = root if self.base is None else self._base_folder(self.base)
        return Paths(root, base, self.emulators.architecture.network)

    def _resolved(self, name: str, key: str) -> Path:
        """Return the resolved configuration of another campaign, named at a key, that is in the same folder."""
        path = Path(self.results) / name / "campaign.yaml"
        if not path.is_file():
            raise InputError(f"{key}: no campaign '{name}' in {self.results} ({path} is missing); run it first")
        return path

    def _base_folder(self, name: str) -> Path:
        """Return the folder of the campaign's base, which is there and has the same networks."""
        other = self._resolved(name, "'base'")
        base = Campaign.load(other)
        for stage in STAGES[: STAGES.index("emulators") + 1]:
            if base.fingerprint(stage) != self.fingerprint(stage):
                raise InputError(
                    f"'base': {stage} of '{name}' ({other}) would differ from those of '{self.name}'; copy its "
                    f"seed and its sections model to emulators, or leave 'base' out"
                )
        return other.parent

    def fingerprint(self, stage: Stage) -> str:
        """Return 12 hexadecimal digits that identify what the files of a stage depend on.

        Counts of shards, members and blocks are left out where a campaign may grow without remaking what it has.
        """
        return hashlib.sha256(json.dumps(self._identity(stage), sort_keys=True).encode()).hexdigest()[:12]

    def _identity(self, stage: Stage) -> dict[str, Any]:
        if stage == "selection":
            assert self.selector is not None
            assert self.selection is not None
            return {
                "seed": self.seed,
                "selector": self.selector.fingerprint("evaluation"),
                "candidates": self.selection.candidates,
                **_departures(self.selection, "acquisition"),
                "objective": self.screen.objective.model_dump(mode="json"),
                "simulations": self.simulations.model_dump(mode="json", include={"shard_size", "sampling"}),
            }
        if stage == "simulations":
            model = self.model.model_dump(mode="json") | {"version": self.model_instance.version}
            selected = {} if self.selection is None else {"selection": self._identity("selection")}
            return {
                "seed": self.seed,
                "model": model,
                "simulations": {
                    **self.simulations.model_dump(mode="json", exclude={"count", "sample_time_limit"}),
                    "sensitivity": False,  # as in the fingerprints of earlier releases
                },
                **selected,
            }
        own: dict[Stage, dict[str, Any]] = {
            "dataset": {"count": self.simulations.count, **self.dataset.model_dump(mode="json")},
            "emulators": self.emulators.model_dump(mode="json", exclude={*_OF_THE_WHOLE, "backend"}),
            "evaluation": self.emulators.model_dump(mode="json", include=set(_OF_THE_WHOLE))
            | _departures(self.emulators, "backend"),
            "screen": self.screen.model_dump(mode="json", exclude={"count"}),
            "validation": {"count": self.screen.count, **self.validation.model_dump(mode="json")},
        }
        before = STAGES[STAGES.index(stage) - 1]
        return {"before": self._identity(before), stage: own[stage]}


def _departures(section: Section, key: str) -> dict[str, Any]:
    """Return a key whose value is not the default it was introduced with, which no older file says."""
    value = getattr(section, key)
    return {} if value == type(section).model_fields[key].default else {key: value}


def read_mapping(path: str | Path) -> dict[str, Any]:
    """Read a YAML file that holds a mapping.

    Raises
    ------
    InputError
        If the file cannot be read, is not YAML, or holds something else.
    """
    try:
        text = Path(path).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not UTF-8 text"
        raise InputError(f"{path}: cannot be read ({reason}); give a YAML file") from None
    try:
        values = yaml.safe_load(text)
    except RecursionError:
        raise InputError(f"{path}: is nested too deeply") from None
    except Exception as error:
        # Not only YAMLError: dates and numbers that are none raise whatever their constructors do.
        raise InputError(f"{path}: not valid YAML: {' '.join(str(error).split())}") from None
    if not isinstance(values, dict):
        raise InputError(f"{path}: expected a mapping of keys such as 'name'")
    return values


def json_schema() -> str:
    """Return the JSON Schema of a campaign, as kept in ``workflow/schemas/campaign.schema.json``."""
    schema = {"$schema": "https://json-schema.org/draft/2020-12/schema", **Campaign.model_json_schema()}
    return json.dumps(schema, indent=2, ensure_ascii=False) + "\n"


def _check_plain(values: Any, source: str) -> None:
    """Refuse what no campaign needs, and libraries stumble over: all but numbers, text, lists and mappings of them."""
    waiting: list[tuple[tuple[Any, ...], Any]] = [((), values)]
    count = 0
    while waiting:
        keys, value = waiting.pop()
        count += 1
        problem = ""
        if len(keys) > _DEEPEST or count > _MOST:
            problem = f"is nested too deeply, or holds more than {_MOST} values"
        elif isinstance(value, Mapping):
            waiting += [((*keys, key), inner) for key, inner in value.items()]
            strange = [key for key in value if not isinstance(key, str) or not _is_line(key)]
            if strange:
                problem = f"has the key {strange[0]!r}; keys are text of one line, in quotes if need be"
        elif isinstance(value, list | tuple):
            waiting += [((*keys, place), inner) for place, inner in enumerate(value)]
        elif isinstance(value, str):
            problem = "" if _is_line(value) else f"is {value!r}, which holds a control character"
        elif isinstance(value, int):
            problem = "" if abs(value) < 2**64 else "is too large a number"
        elif not (value is None or isinstance(value, float)):
            problem = f"is of type {type(value).__name__}; give a number, or text in quotes"
        if problem:
            path = ".".join(str(key) for key in keys) or "(top level)"
            raise InputError(f"{source}: '{path}' {problem}")


def _is_line(text: str) -> bool:
    """Return whether there is no control character in a text, and no half of a surrogate pair."""
    return not any(unicodedata.category(character) in ("Cc", "Cs") for character in text)


def _describe(item: Mapping[str, Any], root: type[BaseModel]) -> str:
    """Turn one of pydantic's errors about `root` into a line for people."""
    model, keys = _locate(item["loc"], root)
    path = ".".join(str(key) for key in keys) or "(top level)"
    kind, value = item["type"], item.get("input")
    if kind == "extra_forbidden":
        valid = list(model.model_fields) if model else []
        return f"unknown key '{path}'{nearest(str(keys[-1]), valid)} (valid here: {', '.join(valid)})"
    if kind == "missing":
        return f"key '{path}' is missing{_allowed(model, keys)}"
    if kind == "union_tag_invalid":
        tags = item["ctx"]["expected_tags"].replace("'", "").split(", ")
        tag = str(item["ctx"]["tag"])
        return f"'{path}': no network '{tag}'{nearest(tag, tags)} (valid: {', '.join(tags)})"
    message = item["msg"].removeprefix("Value error, ")
    if kind == "value_error" and isinstance(value, Mapping):
        return f"'{path}': {message}"
    return f"'{path}' is {value!r}: {message[0].lower() + message[1:]}{_allowed(model, keys)}"


def _allowed(model: type[BaseModel] | None, keys: list[str | int]) -> str:
    """Return the description of the field that `keys` ends in, in brackets."""
    field = model.model_fields.get(str(keys[-1])) if model and keys else None
    return f" ({field.description})" if field is not None and field.description else ""


def _locate(loc: tuple[str | int, ...], root: type[BaseModel]) -> tuple[type[BaseModel] | None, list[str | int]]:
    """Return the model that an error's last key belongs to, and the keys without pydantic's union tags."""
    here: Any = root
    owner: type[BaseModel] | None = None
    keys: list[str | int] = []
    for part in loc:
        if here is Network:
            here = NETWORKS.get(str(part))
            continue
        owner = here if _is_model(here) else None
        keys.append(part)
        if owner is not None:
            field = owner.model_fields.get(str(part))
            here = field.annotation if field else None
        else:
            here = get_args(here)[1 if get_origin(here) is dict else 0] if get_origin(here) in (dict, tuple) else None
    return owner, keys


def _is_model(annotation: Any) -> bool:
    return isinstance(annotation, type) and issubclass(annotation, BaseModel)
