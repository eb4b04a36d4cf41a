"""A campaign: everything that one study fixes, what its files depend on, and where they stand."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Set
from contextlib import suppress
from functools import cache, cached_property
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Self

import numpy as np
from pydantic import Field, PrivateAttr, ValidationError, field_validator, model_validator
from pydantic_core import InitErrorDetails

from mechscreen.campaign.configuration import NAME, Configuration, read_mapping
from mechscreen.campaign.description import Code, Description, Table
from mechscreen.campaign.editions import EDITION, with_defaults_of
from mechscreen.campaign.graph import STAGES, Effect, Stage, ancestors, nothing, remakes
from mechscreen.campaign.identity import Identity, counted, defaults_of, flatten
from mechscreen.campaign.paths import Paths
from mechscreen.campaign.sections import (
    CalibrationSection,
    DatasetSection,
    EmulatorsSection,
    EnoughSection,
    LearningSection,
    ModelSection,
    ParameterChange,
    PolishSection,
    PosteriorSection,
    ScreenSection,
    SelectionSection,
    SimulationsSection,
    ValidationSection,
)
from mechscreen.emulators.settings import NO_VOTE_OF_TWO
from mechscreen.errors import FileError, InputError, ModelError, nearest
from mechscreen.models import Model, Outputs
from mechscreen.registry import ACQUISITIONS
from mechscreen.sampling import words_at
from mechscreen.spaces import Parameter, ParameterSpace, allowed_share

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from mechscreen.objectives import Features, Labelling, Objective

_LONGEST_PART = 200
_LISTED_BY_OPTIONS = ("bngl", "command", "sbml", "umbridge")
"""Models whose outputs and parameters are listed by their options."""

_ANOTHER_FOLDER = nothing("another folder")
_MORE_ROUNDS = Effect(note="more rounds leave those that there are; evaluation, screen and after")
_LEARNT = ancestors("evaluation")
"""Stages that each round has of its own."""

NOT_SIMULATED = "simulation failed"
"""Class of the samples that a screen by the model could not simulate; it comes after those of the objective."""

_Name = Annotated[str, Field(pattern=NAME, max_length=64)]


DEFAULT_CONFIDENCE = 0.95
_SEARCHES, _DRAWS = 200, 1000
"""For the best sets, and of the posterior of a campaign on measured data, unless it says otherwise."""
_OF_FEATURES = ("conditions", "maximise")
"""Objectives that speak of features of outputs."""
MOST_ROUNDS = 50


class Campaign(Configuration):
    """One study: a model, its simulations, an ensemble, a screen and its validation.

    Made from a configuration, it loads its model and objective, a user's code too. Made from a folder of results
    (`open`), it knows of them what the latest run wrote down there, and loads nothing unless it is asked for
    `model_instance` or `objective`.
    """

    name: Annotated[_Name, _ANOTHER_FOLDER] = Field(
        ..., description="Names the folder of results, `results/<name>`: letters, digits, dot, hyphen, underscore."
    )
    results: Annotated[str, _ANOTHER_FOLDER] = Field(
        "results",
        min_length=1,
        max_length=1000,
        description="Folder that holds the folders of results; any name without braces.",
    )
    edition: Annotated[int, nothing("defaults of keys that are left out")] = Field(
        EDITION,
        ge=1,
        le=EDITION,
        description="Which defaults the keys have that are left out: those of today, and in a folder of results those "
        "that it began with.",
    )
    base: Annotated[_Name | None, _ANOTHER_FOLDER] = Field(
        None,
        description="Another campaign in the same folder whose simulations, training set and networks this one uses "
        "(all that these depend on must be the same); of its `rounds`, those of the last that this one says.",
    )
    resources_like: Annotated[str | None, nothing("what jobs ask for")] = Field(
        None,
        min_length=1,
        max_length=1000,
        description="Folder of results of a campaign before, such as `results/pilot`: jobs ask for ranks, memory and "
        "time by what its jobs took (docs/howto/cluster.md). Those in this campaign's own folder count in any case.",
    )
    seed: Annotated[int, remakes("model")] = Field(
        ..., ge=0, lt=2**63, description="From it all random numbers follow."
    )
    model: Annotated[ModelSection, remakes("model")] = Field(
        default_factory=ModelSection, description="The mechanistic model."
    )
    rounds: Annotated[int, _MORE_ROUNDS] = Field(
        1,
        ge=1,
        le=MOST_ROUNDS,
        description="Rounds of learning: after the first, the ensemble of each round selects what the next one "
        "simulates (`selection`), and networks learn from all; the last ones screen (docs/howto/active-learning.md).",
    )
    selection: Annotated[SelectionSection | None, remakes("selection")] = Field(
        None,
        description="Let an ensemble select what is simulated, and add it to the training set that it learnt from: "
        "that of the round before, or of another campaign. Validation and test samples stay the random ones that came "
        "first (docs/howto/active-learning.md).",
    )
    simulations: SimulationsSection = Field(
        default_factory=SimulationsSection, description="What emulators learn from."
    )
    dataset: Annotated[DatasetSection, remakes("dataset")] = Field(
        default_factory=DatasetSection, description="The merged training set."
    )
    emulators: EmulatorsSection = Field(default_factory=EmulatorsSection, description="The ensemble of networks.")
    learning: LearningSection = Field(
        default_factory=LearningSection,
        description="Error over training samples, a study of its own (`snakemake learning`).",
    )
    calibration: Annotated[CalibrationSection, remakes("calibration")] = Field(
        default_factory=CalibrationSection,
        description="Probabilities of classes, by simulations that no network has seen.",
    )
    screen: Annotated[ScreenSection, remakes("screen")] = Field(..., description="The search by the ensemble.")
    validation: Annotated[ValidationSection, remakes("validation")] = Field(
        default_factory=ValidationSection, description="The check of the hits by the model."
    )
    polish: Annotated[PolishSection, remakes("polished")] = Field(
        default_factory=PolishSection,
        description="The best sets: they explain measured data, or have the largest values.",
    )
    posterior: Annotated[PosteriorSection, remakes("posterior")] = Field(
        default_factory=PosteriorSection, description="How well measured data determine the parameters."
    )

    _folder: Path | None = PrivateAttr(None)
    _before: Campaign | None = PrivateAttr(None)
    _round: int = PrivateAttr(1)

    @model_validator(mode="after")
    def _study_can_vote(self) -> Campaign:
        if self.learning.sizes and self.learning.members == 2 and self.emulators.combine == "vote":
            raise ValueError(f"learning.members: {NO_VOTE_OF_TWO}")
        return self

    @model_validator(mode="before")
    @classmethod
    def _emulators_learn_from_simulations(cls, values: Any) -> Any:
        def inner(name: str) -> Mapping[str, Any]:
            section = values.get(name)
            return section if isinstance(section, Mapping) else {}

        if not isinstance(values, Mapping) or inner("screen").get("by", "emulators") != "emulators":
            return values
        for keys, given in ((("simulations",), values), (("simulations", "count"), values.get("simulations"))):
            if isinstance(given, Mapping) and keys[-1] not in given:
                missing = InitErrorDetails(type="missing", loc=keys, input=given)
                raise ValidationError.from_exception_data(cls.__name__, [missing])
        if inner("simulations")["count"] == 0:
            none = InitErrorDetails(type="greater_than_equal", loc=("simulations", "count"), input=0, ctx={"ge": 1})
            raise ValidationError.from_exception_data(cls.__name__, [none])
        return values

    @model_validator(mode="before")
    @classmethod
    def _rounds_select(cls, values: Any) -> Any:
        if not isinstance(values, Mapping) or "rounds" not in values:
            return values
        section = values.get("selection")
        if str(values["rounds"]) == "1":
            # There is nothing to select yet: the section is for later rounds.
            return {**values, "selection": None} if _waits(section) else values
        return values if section is not None else {**values, "selection": {}}

    @model_validator(mode="after")
    def _selected_by_a_round_or_a_campaign(self) -> Campaign:
        section = self.selection
        if section is None:
            return self
        if self.rounds == 1:
            if section.campaign is None:
                raise ValueError(
                    "selection: name the campaign whose ensemble selects (selection.campaign), or set rounds"
                )
            if section.count is not None:
                raise ValueError("selection.count is of rounds after the first; with one round set simulations.count")
            if section.enough != EnoughSection():
                raise ValueError(
                    "selection.enough ends rounds; set rounds to the most that there may be, or leave it out"
                )
            return self
        if self.base is not None and section.enough != EnoughSection():
            raise ValueError(
                "selection.enough ends rounds, and a campaign with a base makes none; set rounds to one that the base "
                "has made, and leave selection.enough out"
            )
        if section.campaign is not None:
            raise ValueError(f"rounds: {self.rounds} select by themselves; leave selection.campaign out")
        if section.count is not None and section.count % self.simulations.shard_size:
            size = self.simulations.shard_size
            raise ValueError(f"selection.count {section.count} is not a multiple of simulations.shard_size {size}")
        if self.emulators.members < 2:
            raise ValueError("rounds: one network cannot disagree; they need emulators.members ≥ 2")
        return self

    @model_validator(mode="after")
    def _without_emulators(self) -> Campaign:
        given = {
            "rounds": self.rounds > 1,
            "selection": self.selection,
            "learning.sizes": self.learning.sizes,
            "calibration.count": self.calibration.count,
            "screen.confidence": self.screen.confidence,
            "validation.survey": self.validation.survey,
            "validation.robustness": self.validation.robustness,
            "base": self.base,
        }
        for key, value in given.items():
            if self.by_model and value:
                raise ValueError(f"{key} is about emulators, and screen.by: model has none; leave one of the two out")
        return self

    @model_validator(mode="after")
    def _probabilities_are_calibrated(self) -> Campaign:
        if self.screen.confidence is not None and not self.calibration.count:
            raise ValueError(
                "screen.confidence needs probabilities; set calibration.count (some thousand simulations), or leave it "
                "out"
            )
        if self.selection and self.selection.enough.width and not self.calibration.count:
            raise ValueError("selection.enough.width needs a survey, and probabilities; set calibration.count")
        if self.validation.survey and not self.calibration.count:
            raise ValueError("validation.survey needs probabilities; set calibration.count, or leave it out")
        if self.screen.mode == "cascade" and self.calibration.count:
            raise ValueError(
                "screen.mode: cascade looks at most sets with one member, and probabilities (calibration.count) follow "
                "from all; take mode: full, or leave the calibration out"
            )
        return self

    @model_validator(mode="after")
    def _fits_measured_data(self) -> Campaign:
        if self.searches and not (self.matches or self.maximises):
            raise ValueError(
                "polish.count searches for sets that explain measured data, or have the largest values; look for them "
                "(screen.objective: {name: match}, or maximise), or leave it out"
            )
        if self.polish.by == "emulators" and self.by_model:
            raise ValueError("polish.by: emulators: there are none with screen.by: model; leave one of the two out")
        if self.drawn and not self.matches:
            raise ValueError(
                "posterior.draws are about measured data; look for them (screen.objective: {name: match}), or leave "
                "them out"
            )
        if self.drawn and not self.searches:
            raise ValueError("posterior.draws begin at what was polished; set polish.count, too, or posterior.draws: 0")
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

    @classmethod
    def from_dict(cls, values: Mapping[str, Any], source: str = "configuration") -> Self:
        """Validate a configuration, with what it names; keys that are left out have the defaults of its edition.

        Raises
        ------
        InputError
            One line for each thing that is wrong: path of the key, value, what is allowed, the nearest valid name.
        """
        return super().from_dict(_with_edition(cls, values), source)

    @classmethod
    def open(cls, folder: str | Path) -> Self:
        """Open a folder of results, wherever it is; runs no code of a user's.

        Its paths are below that very folder, and another campaign that it stands on is looked for beside it.

        Raises
        ------
        InputError
            If the folder holds no campaign, one of an earlier format, or one whose files contradict one another.
        """
        from mechscreen.storage import exists

        root = Path(folder)
        resolved = root / "campaign.yaml"
        if not exists(resolved):
            raise InputError(f"{root}: holds no campaign (no campaign.yaml); give a folder such as results/demo")
        values = read_mapping(resolved)
        _refuse_format_1(root, values)
        # What was written down stands in the place of what would be found by loading.
        return cls._in(root, values, Description.read(root / "model.json"))

    @classmethod
    def load_in(cls, folder: Path, values: Mapping[str, Any]) -> Self:
        """Validate the configuration of a folder of results, wherever that is, with the code that it names.

        Raises
        ------
        InputError
            As for `from_dict`.
        """
        return cls._in(folder, values, None)

    @classmethod
    def _in(cls, root: Path, values: Mapping[str, Any], about: Description | None) -> Self:
        source = str(root / "campaign.yaml")
        # The first releases wrote no edition, and had the defaults of the first.
        campaign = cls.parse(_with_edition(cls, {"edition": 1, **values}), source)
        campaign._folder = root
        if about is not None:
            campaign.__dict__["about"] = about
        return campaign._checked(source)

    def record(self) -> None:
        """Write the resolved configuration, and what model and objective are, into the campaign's folder.

        Raises
        ------
        InputError
            If the folder holds results of an earlier format, or cannot be written to.
        """
        self.refuse_old_results()
        self.write_description()

    def write_description(self) -> None:
        """Write what `record` writes, whatever is there."""
        from mechscreen.storage import update_text

        self.about.write(self.paths.description)
        update_text(self.paths.campaign, self.to_yaml())

    def refuse_old_results(self) -> None:
        """See that the campaign's folder, if there is one, holds no results of an earlier format.

        Raises
        ------
        InputError
            If it does, with the way on.
        """
        from mechscreen.storage import exists

        if exists(self.paths.campaign):
            _refuse_format_1(self.paths.root, read_mapping(self.paths.campaign))

    def check(self) -> None:
        """See that model, parameter changes and objective are there."""
        for needed, package, key in (
            (self.drawn, "emcee", "posterior.draws"),
            (self.maximises and self.searches, "cma", "polish.count"),
        ):
            if needed and "about" not in self.__dict__ and find_spec(package) is None:
                section = key.partition(".")[0]
                raise InputError(f"'{section}': needs {package}; pip install 'mechscreen[fit]', or set {key}: 0")
        if not self.space.varied:
            raise InputError("'model': every parameter is held fixed; let at least one vary")
        _ = self.selector
        if not self.screen_space.varied:
            raise InputError("'screen': every parameter is held fixed; let at least one vary")
        for key, space in (("model", self.space), ("screen", self.screen_space)):
            try:
                allowed_share(space, levels=key == "model")
            except InputError as error:
                raise InputError(f"'{key}': {error}") from None
        _ = self.targets
        if not isinstance(confirm := self.validation.confirm, str):
            from mechscreen.objectives import Features

            Features(list(confirm), self.outputs, "validation.confirm")
        _ = self.features
        if self.matches and self.searches:
            self._check_fit()
        if self.by_model:
            if NOT_SIMULATED in self.class_names:
                raise InputError(
                    f"'screen.objective': '{NOT_SIMULATED}' names the samples that the model fails for; give the class "
                    "another name"
                )
            return
        try:
            self.emulators.architecture.check_outputs(self.outputs)
        except ValueError as error:
            raise InputError(f"'emulators.architecture': {error}") from None

    @cached_property
    def model_instance(self) -> Model:
        """The model with the campaign's options, under its conditions; loads it."""
        return self.model.setup.make()

    @cached_property
    def objective(self) -> Labelling:
        """What labels the outputs that the screen looks through; loads it."""
        return self._label(self.outputs)

    def _check_fit(self) -> None:
        """See that measured data can be compared with the model."""
        if not self.about.model.compares and "observations" not in self.screen.objective.options:
            raise InputError(
                "'polish': needs what was measured (screen.objective.options.observations), since the model does not "
                "compare itself; or set polish.count: 0"
            )
        if self.about.model.stochastic:
            raise InputError(
                "'polish': the model is stochastic, so that the likelihood of its outputs is a random number; set "
                "polish.count: 0"
            )

    def _label(self, outputs: Outputs) -> Labelling:
        from mechscreen.objectives import Labelling

        try:
            return Labelling(self._objective, outputs)
        except InputError as error:
            raise InputError(f"'screen.objective': {error}") from None

    @cached_property
    def _objective(self) -> Objective:
        from mechscreen.objectives import get_objective

        try:
            return get_objective(self.screen.objective.name, **self.screen.objective.options)
        except InputError as error:
            raise InputError(f"'screen.objective': {error}") from None

    @cached_property
    def features(self) -> Features:
        """The numbers that are told of hits beside their class."""
        from mechscreen.objectives import Conditions, Features, Maximise

        given = self.screen.features
        if given is None:
            bound = self.objective.objective if self.screen.objective.name in _OF_FEATURES else None
            given = bound.features if isinstance(bound, Conditions | Maximise) else ()
        return Features(given, self.outputs, "screen.features")

    @cached_property
    def about(self) -> Description:
        """What model and objective are: as they are loaded or, of an opened folder, as they were written down."""
        looked_for = self.screen.objective
        if self.selection is not None:
            try:
                ACQUISITIONS.get(self.selection.acquisition)
            except (InputError, ModelError) as error:
                raise type(error)(f"'selection.acquisition': {error}") from None
        found = Description.of(
            self.model_instance,
            self.model.name,
            self.model.options,
            self._objective,
            looked_for.name,
            looked_for.options,
            None if self.selection is None else self.selection.acquisition,
            self.simulations.imported,
        )
        self._label(found.outputs)
        return found

    @property
    def outputs(self) -> Outputs:
        """The model's outputs."""
        return self.about.outputs

    @property
    def class_names(self) -> tuple[str, ...]:
        """Name of each class of the objective."""
        return self.about.objective.class_names

    @property
    def by_model(self) -> bool:
        """Whether the screen simulates each parameter set itself, without emulators."""
        return self.screen.by == "model"

    @property
    def screens_all(self) -> bool:
        """Whether the screen goes through all of the space that is simulated, and not a part of it."""
        return self.screen.vary is None and not self.screen.parameters

    @property
    def asks_probabilities(self) -> bool:
        """Whether hits are kept by how probable they are."""
        return self.calibration.count > 0

    @property
    def confidence(self) -> float:
        """Mean probability of hits, where they are kept by it."""
        return DEFAULT_CONFIDENCE if self.screen.confidence is None else self.screen.confidence

    @property
    def surveyed(self) -> int:
        """Simulations of a sample of all screened sets."""
        asked = self.validation.survey
        return self.calibration.count if asked is None else asked

    @property
    def matches(self) -> bool:
        """Whether it is measured data that are looked for."""
        return self.screen.objective.name == "match"

    @property
    def maximises(self) -> bool:
        """Whether it is the largest values of something that are looked for."""
        return self.screen.objective.name == "maximise"

    @property
    def searches(self) -> int:
        """Searches for the best sets: those that explain measured data, or have the largest values."""
        asked = self.polish.count
        return (_SEARCHES if self.matches or self.maximises else 0) if asked is None else asked

    @property
    def polishes_by_model(self) -> bool:
        """Whether searches look with the model, and not with the emulators."""
        return self.polish.by == "model" or self.by_model or (self.polish.by is None and self.matches)

    @property
    def drawn(self) -> int:
        """Draws of the posterior that are to be independent."""
        asked = self.posterior.draws
        return (_DRAWS if self.searches and self.matches else 0) if asked is None else asked

    @property
    def screen_classes(self) -> tuple[str, ...]:
        """Name of each class that the screen counts: those of the objective, and of what the model fails for."""
        return (*self.class_names, NOT_SIMULATED) if self.by_model else self.class_names

    @property
    def stages(self) -> tuple[Stage, ...]:
        """Stages that leave files with an identity, in the order their data flows."""
        return ("screen", "validation") if self.by_model else STAGES

    @cached_property
    def space(self) -> ParameterSpace:
        """The model's parameters with the campaign's changes."""
        try:
            return self._space()
        except InputError as error:
            # What is looked for is made with the model, and names its own key.
            own = str(error).startswith(("'screen.", "'selection."))
            raise InputError(str(error) if own else f"'model': {error}") from None

    def _space(self) -> ParameterSpace:
        of_model, section = self.about.space, self.model
        for name in section.derived:
            _ = of_model[name]
            if name in section.parameters:
                raise InputError(f"parameters.{name}: follows from others (derived); leave one of the two out")
        for name in section.parameters:
            settings = section.conditions.values()
            if name not in of_model.names and settings and all(name in condition for condition in settings):
                raise InputError(f"parameters.{name}: every condition sets it (conditions); leave one of the two out")
        own = {name: change for name, change in section.parameters.items() if name not in of_model.names}
        spoken = set(re.findall(r"\w+", " ".join([*section.derived.values(), *section.constraints])))
        slips = [name for name in own if name not in spoken]
        for name in slips:
            if not {"low", "high"} <= own[name].fields().keys():
                _ = of_model[name]
        drawn = of_model.restrict({k: v.fields() for k, v in section.parameters.items() if k not in own})
        parameters = [p for p in drawn if p.name not in section.derived] + [
            _own_parameter(name, change) for name, change in own.items()
        ]
        constraints = [*of_model.constraints, *section.constraints]
        space = ParameterSpace(parameters, derived=section.derived, constraints=constraints)
        for name in slips:
            _ = of_model[name]
        return space

    def simulated(self, parameters: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return what the model is given for n parameter sets of this campaign's space, (n, d of the model)."""
        return self.space.values_for(self.about.space.names, parameters)

    @property
    def own_rounds(self) -> int:
        """Rounds that it makes; of a campaign with a base one, whose networks are there."""
        return 1 if self.base is not None else self.rounds

    @property
    def earlier_rounds(self) -> list[Campaign]:
        """The rounds before this one, if it is one of several; the latest first."""
        before = self._before if self.rounds == 1 else self.learnt._before
        return [] if before is None else [before, *before.earlier_rounds]

    def of_round(self, number: int) -> Campaign:
        """Return the campaign as it is in one of its rounds: what it simulates, learns and evaluates there.

        The first is a campaign without rounds, in the same folder; later ones stand below it (``round-2``), with random
        numbers of their own. A campaign with a base has one, which learns what the base did in the last of the rounds.

        Raises
        ------
        InputError
            If there is no such round, or no such base.
        """
        if not 1 <= number <= self.own_rounds:
            raise InputError(f"no round {number}: '{self.name}' has rounds 1 … {self.own_rounds}")
        if self.rounds == 1:
            return self
        if number not in self._rounds:
            self._rounds[number] = self._make_round(self.rounds if self.base is not None else number)
        return self._rounds[number]

    @property
    def in_rounds(self) -> list[Campaign]:
        """The campaign as it is in each of its rounds, in their order."""
        return [self.of_round(number) for number in range(1, self.own_rounds + 1)]

    def _make_round(self, number: int) -> Campaign:
        assert self.selection is not None
        # What was loaded serves all rounds.
        _ = self.about
        changes: dict[str, Any] = {"rounds": 1, "selection": None}
        if number > 1:
            count = self.selection.count or self.simulations.count
            seed = int(words_at(self.seed, "rounds", np.array([number], np.uint64), 1)[0, 0] >> np.uint64(1))
            changes = {
                "name": f"{self.name}, round {number}" if self.base is None else self.name,
                "seed": seed,
                "rounds": 1,
                "selection": self.selection.model_copy(update={"count": None, "enough": EnoughSection()}),
                "simulations": self.simulations.model_copy(update={"count": count, "imported": ()}),
            }
        view = self.model_copy(update=changes)
        view._round = number
        if self.base is not None:
            view._before = self._open_base(self.base, number).of_round(number - 1)
        elif number > 1:
            view._folder = self._root / f"round-{number}"
            view._before = self.of_round(number - 1)
        return view

    @cached_property
    def _rounds(self) -> dict[int, Campaign]:
        return {}

    def until_round(self, number: int) -> Campaign:
        """Return the campaign with no more rounds than these."""
        selection = self.selection if number > 1 else None
        return self.model_copy(update={"rounds": number, "selection": selection})

    @property
    def simulated_in_all(self) -> int:
        """Simulations of all rounds."""
        return sum(view.simulations.count for view in self.in_rounds)

    @property
    def learnt(self) -> Campaign:
        """The campaign as it is in its last round, whose ensemble screens."""
        return self.of_round(self.own_rounds)

    @cached_property
    def selector(self) -> Campaign | None:
        """Whose ensemble selects the simulations: the round before, or another campaign; None where nothing does."""
        if self.rounds > 1:
            return self.learnt.selector
        if self._before is not None:
            return self._before
        if self.selection is None:
            return None
        key, name = "'selection.campaign'", self.selection.campaign
        assert name is not None
        before = [self.name]
        link: Any = name
        while link is not None:
            if link in before:
                raise InputError(f"{key}: {' → '.join([*before, link])} is a circle; name a campaign that came before")
            before.append(link)
            link = (read_mapping(self._beside(link, key) / "campaign.yaml").get("selection") or {}).get("campaign")
        other = Campaign.open(self._beside(name, key))
        if difference := self._of_the_model.difference(other._of_the_model.values):
            raise InputError(f"{key}: the model of '{name}' differs: {difference}; the two must be of one model")
        if other.seed == self.seed:
            raise InputError(f"{key}: '{name}' has the seed {self.seed} too; choose another, for other random numbers")
        if other.emulators.members < 2:
            raise InputError(f"{key}: '{name}' has one network, which cannot disagree; it needs emulators.members ≥ 2")
        return other

    @cached_property
    def screen_space(self) -> ParameterSpace:
        """What of that space is screened."""
        screen = self.screen
        changes = {name: change.fields() for name, change in screen.parameters.items()}
        try:
            narrowed = self.space.restrict(changes)
            if screen.vary is None:
                return narrowed
            varied = {narrowed[name].name for name in screen.vary}
            if fixed := sorted(name for name in varied if narrowed[name].fixed):
                raise InputError(f"vary: {', '.join(fixed)}: held fixed by the model or 'model.parameters'")
        except InputError as error:
            raise InputError(f"'screen': {error}") from None
        middle = {p.name: p.middle for p in narrowed if p.name not in varied}
        return narrowed.restrict({name: ParameterChange(value=value).fields() for name, value in middle.items()})

    @cached_property
    def targets(self) -> tuple[int, ...]:
        """Labels that count as hits, ascending."""
        names = self.class_names
        for name in self.screen.objective.target:
            if name not in names:
                raise InputError(
                    f"'screen.objective.target': no class '{name}'{nearest(name, names)} (valid: {', '.join(names)})"
                )
        return tuple(sorted({names.index(name) for name in self.screen.objective.target}))

    @cached_property
    def paths(self) -> Paths:
        """Where the campaign's files stand."""
        network = self.emulators.architecture.network
        if self.own_rounds > 1:
            last = self.learnt.paths.root
            return Paths(self._root, last, network, last)
        if self.rounds > 1:
            return self.learnt.paths
        base = self._root if self.base is None else self._base_folder(self.base)
        return Paths(self._root, base, network)

    def identity(self, stage: Stage) -> Identity:
        """Return what the files of a stage depend on.

        Counts of shards, members and blocks are left out where a campaign may grow without remaking what it has.
        """
        if stage not in self._identities:
            stages = ancestors(stage, self.by_model) - ({"selection"} if self.selection is None else set())
            values: dict[str, Any] = {}
            if self.rounds > 1:
                # What the last round made, and what is made of that.
                last = max(stages & _LEARNT, key=lambda name: len(ancestors(name)))
                values = {**self.learnt.identity(last).values}
                stages = stages - _LEARNT
            self._identities[stage] = Identity(values | dict(self._counted(stages)), _defaults())
        return self._identities[stage]

    def fingerprint(self, stage: Stage) -> str:
        """Return 12 hexadecimal digits that identify what the files of a stage depend on."""
        return self.identity(stage).fingerprint

    @cached_property
    def _identities(self) -> dict[Stage, Identity]:
        return {}

    def model_copy(self, *, update: Mapping[str, Any] | None = None, deep: bool = False) -> Self:
        """Return a copy, with some fields changed; its identities and rounds are its own."""
        copy = super().model_copy(update=update, deep=deep)
        for cached in ("_identities", "_rounds", "paths", "selector"):
            copy.__dict__.pop(cached, None)
        return copy

    def _counted(self, stages: Set[Stage]) -> Iterator[tuple[str, Any]]:
        """Yield what counts for some stages."""
        codes: dict[str, Code] = {"model": self.about.model, "screen.objective": self.about.objective}
        for leaf, value in flatten(self):
            if leaf.effect is None or not leaf.effect.counts_for(stages):
                continue
            section, _, name = leaf.key.rpartition(".")
            if section == "calibration" and not self.calibration.count:
                continue
            if leaf.key == "polish.count":
                # What is left out stands for a number where best sets are looked for.
                if self.searches:
                    yield leaf.key, self.searches
            elif leaf.key == "selection.campaign":
                assert self.selector is not None
                for key, of_other in self.selector.identity("ensemble").values.items():
                    yield f"{leaf.key}.{key}", of_other
            elif leaf.key == "selection.acquisition":
                assert self.about.acquisition is not None
                yield from counted(leaf, self.about.acquisition.name)
                yield from ((f"{leaf.key}.source.{file}", sha) for file, sha in self.about.acquisition.source.items())
            elif leaf.key == "simulations.imported":
                # Of a table, what it holds counts, and not where it is.
                yield from counted(leaf, [f"sha256:{self._imported(text).sha256}" for text in value])
            elif section in codes and name == "name":
                code = codes[section]
                yield from counted(leaf, code.name)
                # An objective had no version at first: "1" is the default that it was introduced with.
                if (section, code.version) != ("screen.objective", "1"):
                    yield f"{section}.version", code.version
                yield from ((f"{section}.source.{file}", digest) for file, digest in code.source.items())
            elif section in codes and name == "options":
                files = codes[section].files
                # Of a file, what it holds counts, and not where it is.
                yield from counted(leaf, _replaced(value, {text: f"sha256:{sha}" for text, sha in files.items()}))
                if section == "model" and self.model.name in _LISTED_BY_OPTIONS:
                    yield from _orders(value)
            elif leaf.key in ("model.conditions", "model.emulate") and isinstance(value, Mapping) and value:
                # The outputs stand in their order.
                yield leaf.key, list(value)
                yield from counted(leaf, value)
            else:
                yield from counted(leaf, value)

        if not {"evaluation", "screen"}.isdisjoint(stages) and any(p.levels and p.discrete for p in self.space):
            # Earlier releases looked between the levels that a model says, whatever that meant.
            yield "screen.levels", "kept to"

    def _imported(self, text: str) -> Table:
        if text not in self.about.imported:
            path = self.paths.description
            raise FileError(path, f"says nothing of '{text}', which campaign.yaml imports", "start Snakemake once more")
        return self.about.imported[text]

    @property
    def _of_the_model(self) -> Identity:
        """The part of an identity that says what the model is."""
        found = {key: value for key, value in self._counted({"model"}) if key.startswith("model.")}
        return Identity(found, _defaults())

    @property
    def _root(self) -> Path:
        return Path(self.results) / self.name if self._folder is None else self._folder

    def _beside(self, name: str, key: str) -> Path:
        """Return the folder of another campaign, named at a key, which stands beside this one's."""
        from mechscreen.storage import exists

        if self._folder is None:
            folder = Path(self.results) / name
        else:
            folder = self._folder.parent / name if self._folder.name else self._folder.absolute().parent / name
        path = folder / "campaign.yaml"
        if not exists(path):
            raise InputError(f"{key}: no campaign '{name}' in {folder.parent} ({path} is missing); run it first")
        return folder

    def _base_folder(self, name: str) -> Path:
        """Return the folder of the campaign's base, or of its round, which is there and has the same networks."""
        base = self._open_base(name, self._round).of_round(self._round)
        file = self._beside(name, "'base'") / "campaign.yaml"
        for stage in STAGES[: STAGES.index("emulators") + 1]:
            if difference := self.identity(stage).difference(base.identity(stage).values):
                raise InputError(
                    f"'base': {stage} of '{name}' ({file}) would differ from those of "
                    f"'{self.name}': {difference}; copy its seed and its sections model to emulators, or leave 'base' "
                    "out"
                )
        return base.paths.root

    def _open_base(self, name: str, number: int) -> Campaign:
        """Return the campaign's base, which is there and has such a round."""
        folder = self._beside(name, "'base'")
        base = Campaign.open(folder)
        if number > base.own_rounds:
            raise InputError(
                f"'base': '{name}' ({folder / 'campaign.yaml'}) has no round {number}, only 1 … {base.own_rounds}; set "
                "rounds to one of these"
            )
        return base


def _waits(section: Any) -> bool:
    """Return whether a section `selection` is one for rounds that are yet to come; what is wrong with it is not."""
    try:
        return section is not None and SelectionSection.model_validate(section).campaign is None
    except ValidationError:
        return False


def json_schema() -> str:
    """Return the JSON Schema of a campaign, as kept in ``workflow/schemas/campaign.schema.json``."""
    schema = {"$schema": "https://json-schema.org/draft/2020-12/schema", **Campaign.model_json_schema()}
    return json.dumps(schema, indent=2, ensure_ascii=False) + "\n"


@cache
def _defaults() -> dict[str, Any]:
    return defaults_of(Campaign)


def _orders(options: Mapping[str, Any]) -> Iterator[tuple[str, list[str]]]:
    """Yield the orders in which options list what stands in that order in arrays."""
    for option in ("outputs", "parameters", "vary"):
        named = options.get(option)
        if isinstance(named, Mapping) and len(named) > 1:
            yield f"model.options.{option} in this order", [str(name) for name in named]


def _replaced(value: Any, texts: Mapping[str, str]) -> Any:
    if isinstance(value, str):
        return texts.get(value, value)
    if isinstance(value, Mapping):
        return {key: _replaced(inner, texts) for key, inner in value.items()}
    return [_replaced(inner, texts) for inner in value] if isinstance(value, list) else value


def _own_parameter(name: str, change: ParameterChange) -> Parameter:
    """Return a parameter that the model does not have, from which others follow."""
    fields = change.fields()
    if not {"low", "high"} <= fields.keys():
        raise InputError(f"parameters.{name}: is none of the model's, so it needs low and high, or a value")
    if not name.isidentifier():
        raise InputError(f"parameters.{name}: give it a name of letters, digits and underscores")
    if any(isinstance(value, str) for value in (fields["low"], fields["high"], *(fields.get("levels") or ()))):
        raise InputError(f"parameters.{name}: takes numbers alone")
    return Parameter(name, **fields)


def _with_edition(cls: type[Campaign], values: Mapping[str, Any]) -> dict[str, Any]:
    """Return a configuration with its edition, which an existing folder of results decides, and the defaults of it."""
    edition = values.get("edition", _recorded_edition(values))
    if not isinstance(edition, int) or not 1 <= edition <= EDITION:
        return dict(values)  # for the validation to say
    return with_defaults_of(edition, cls, {**values, "edition": edition})


def _recorded_edition(values: Mapping[str, Any]) -> int:
    name, results = values.get("name"), values.get("results", "results")
    if not isinstance(name, str) or not isinstance(results, str):
        return EDITION
    root = Path(results) / name
    with suppress(InputError, ValueError):
        recorded = read_mapping(root / "campaign.yaml").get("edition", 1)
        return recorded if isinstance(recorded, int) else EDITION
    # A scratch file system may have removed it, and left what the latest run wrote.
    with suppress(OSError, ValueError, RecursionError):
        planned = json.loads((root / "plan.json").read_text(encoding="utf-8"))
        recorded = planned.get("edition") if isinstance(planned, dict) else None
        return recorded if isinstance(recorded, int) else EDITION
    return EDITION


def _refuse_format_1(root: Path, values: Mapping[str, Any]) -> None:
    # The first releases wrote no edition.
    if "edition" not in values:
        raise InputError(
            f"{root}: holds results of before mechscreen 0.1.0 (format 1); convert them, which loses nothing: "
            f"mechscreen migrate {root}"
        )
