"""What a campaign's model and objective are, written down when a run begins, so that results are read without them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from pydantic import Field, ValidationError

from mechscreen.campaign.configuration import Section
from mechscreen.campaign.sources import digest_of, files_of, neutral_name, source_of
from mechscreen.errors import unreadable
from mechscreen.models import Model, Output, Outputs
from mechscreen.registry import ACQUISITIONS, MODELS, OBJECTIVES
from mechscreen.spaces import Parameter, ParameterSpace

if TYPE_CHECKING:
    from mechscreen.objectives import Objective


class Code(Section):
    """Where a model, an objective or an acquisition comes from.

    Attributes
    ----------
    name
        As configured, without the place of its file.
    version
        As it says itself.
    source
        Its code: SHA-256 by file, or version by distribution (`mechscreen.campaign.sources`).
    files
        SHA-256 of the files that its options name, by what the options say.
    """

    name: str
    version: str
    source: dict[str, str] = Field(default_factory=dict)
    files: dict[str, str] = Field(default_factory=dict)


class ModelCode(Code):
    """A model: its origin, what a simulation takes, its parameters and its outputs."""

    seconds: float
    isolated: bool
    title: str
    """What the model calls itself."""
    parameters: tuple[dict[str, Any], ...]
    outputs: tuple[dict[str, Any], ...]
    constraints: tuple[str, ...] = ()
    stochastic: bool | None = None
    compares: bool = False
    """Whether it compares itself with measurements (`Model.to_fit`)."""


class ObjectiveCode(Code):
    """An objective: its origin, its classes, and the place of the output that it looks at first."""

    class_names: tuple[str, ...]
    output: int = 0


class Table(Section):
    """A file of simulations that a campaign imports: what it holds, and how much."""

    sha256: str
    bytes: int


class Description(Section):
    """What is to be known of a campaign's model and objective without importing them."""

    model: ModelCode
    objective: ObjectiveCode
    acquisition: Code | None = None
    """What selects, where the campaign has a section ``selection``."""
    imported: dict[str, Table] = Field(default_factory=dict)
    """Files of ``simulations.imported``, by what stands there."""

    @classmethod
    def of(
        cls,
        model: Model,
        model_spec: str,
        model_options: Mapping[str, Any],
        objective: Objective,
        objective_spec: str,
        objective_options: Mapping[str, Any],
        acquisition_spec: str | None = None,
        imported: Sequence[str] = (),
    ) -> Self:
        """Describe a model and an objective that are loaded, and tables that are there."""
        return cls(
            model=ModelCode(
                name=neutral_name(model_spec),
                version=str(model.version),
                source=source_of(model_spec, getattr(model, "files", ())) or MODELS.origin(model_spec),
                files=files_of(model_options),
                seconds=float(model.seconds),
                isolated=bool(model.isolated),
                title=model.name,
                parameters=tuple(parameter.to_record() for parameter in model.space),
                outputs=tuple(output.to_record() for output in model.outputs),
                constraints=model.space.constraints,
                stochastic=model.stochastic,
                compares=model.to_fit is not None,
            ),
            objective=ObjectiveCode(
                name=neutral_name(objective_spec),
                version=objective.version,
                source=source_of(objective_spec) or OBJECTIVES.origin(objective_spec),
                files=files_of(objective_options),
                class_names=objective.class_names,
                output=getattr(objective, "output", 0),
            ),
            acquisition=None
            if acquisition_spec is None
            else Code(
                name=neutral_name(acquisition_spec),
                version="1",
                source=source_of(acquisition_spec) or ACQUISITIONS.origin(acquisition_spec),
            ),
            imported={text: _table(Path(text)) for text in imported},
        )

    @classmethod
    def read(cls, path: Path) -> Self:
        """Read what `write` wrote.

        Raises
        ------
        InputError
            If the file is missing or holds something else.
        """
        from mechscreen import storage

        values = storage.read_json(path)
        try:
            return cls.model_validate(values)
        except ValidationError as error:
            raise storage.FileError(path, f"does not describe a model ({storage.first_problem(error)})") from None

    def write(self, path: Path) -> None:
        """Write it as JSON, unless the file says the same."""
        from mechscreen import storage

        storage.update_text(path, self.model_dump_json(indent=2) + "\n")

    @cached_property
    def space(self) -> ParameterSpace:
        """The model's parameters."""
        parameters = [Parameter.from_record(record) for record in self.model.parameters]
        return ParameterSpace(parameters, constraints=self.model.constraints)

    @cached_property
    def outputs(self) -> Outputs:
        """The model's outputs."""
        return Outputs(map(Output.from_record, self.model.outputs))


def _table(path: Path) -> Table:
    try:
        digest, size = digest_of(path)
    except OSError as error:
        raise unreadable(path, error, "'simulations.imported' names CSV, NPZ or HDF5 files") from None
    return Table(sha256=digest, bytes=size)
