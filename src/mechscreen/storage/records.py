"""Kinds of JSON files, declared as pydantic models."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Self

from pydantic import BaseModel, ConfigDict, ValidationError

from mechscreen.errors import FileError
from mechscreen.storage.files import parse_json, read_text, write_json
from mechscreen.storage.origin import Identity, check_origin


class Record(BaseModel):
    """What a JSON file says: of the types that are declared, unchangeable; keys of later versions are passed over."""

    model_config = ConfigDict(frozen=True, strict=True, extra="ignore", allow_inf_nan=False)

    def write(self, path: Path) -> None:
        """Write the file, atomically.

        Raises
        ------
        InputError, StorageError
            As `mechscreen.storage.replacing`.
        """
        write_json(path, self.model_dump(mode="json"))


class StageRecord(Record):
    """A record that a stage of a campaign writes, and that says what made it, as HDF5 files do.

    Subclasses declare `kind` as the one value that it has.

    Attributes
    ----------
    kind
        What the file holds.
    campaign, identity
        Fingerprint of what it depends on, and what that is.
    campaign_name, model, model_version, seed
        The campaign that made it.
    format_version, software_version
        Of the software that did.
    """

    kind: str
    campaign: str
    identity: dict[str, Any]
    campaign_name: str
    model: str
    model_version: str
    seed: int
    format_version: int
    software_version: str

    @classmethod
    def read(cls, path: Path, identity: Identity | None = None) -> Self:
        """Read a file of this kind and check where it comes from.

        Parameters
        ----------
        identity
            What the file must depend on; None accepts anything.

        Raises
        ------
        FileError
            If it is missing, says something else, or is of another origin.
        FormatError
            If it is of an earlier release, and can be converted.
        StorageError
            If the environment does not let it be read.
        """
        text, kind = read_text(path), cls.model_fields["kind"].default
        values = parse_json(path, text)
        if not isinstance(values, dict) or values.get("kind") != kind:
            raise FileError(path, f"is no record of '{kind}'")
        # Those of format 1 did not say so.
        check_origin(path, {"format_version": 1, **values}, kind, identity)
        try:
            # Lists stand for tuples in JSON alone.
            return cls.model_validate_json(text)
        except ValidationError as error:
            raise FileError(path, f"is no whole record of '{kind}' ({first_problem(error)})") from None


def first_problem(error: ValidationError) -> str:
    """Return where in a record the first problem is, and what it is."""
    first = error.errors(include_url=False, include_input=False, include_context=False)[0]
    place = ".".join(str(key) for key in first["loc"])
    return f"{place[:100]}: {first['msg'][:200]}" if place else first["msg"][:200]
