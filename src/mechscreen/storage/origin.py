"""What every file says of its origin: its kind and format, what made it, and what it depends on."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

from mechscreen.errors import FileError, MechscreenError
from mechscreen.version import __version__

FORMAT_VERSION = 2


class FormatError(MechscreenError):
    """A file of an earlier release, which can be converted."""

    def __init__(self, path: Path, version: int, software: Any) -> None:
        super().__init__(
            f"{path}: has format {version}, written by mechscreen {software}; convert its folder of results, which "
            "loses nothing: mechscreen migrate results/NAME"
        )


class Identity(Protocol):
    """What a file depends on. What it means is the caller's business."""

    @property
    def fingerprint(self) -> str:
        """The file's attribute ``campaign``."""

    def difference(self, recorded: Any) -> str:
        """Return how a file's attribute ``identity`` differs, for people; empty if that cannot be told."""


def check_origin(path: Path, attributes: Mapping[str, Any], kind: str, identity: Identity | None) -> None:
    """See that a file is of a kind, of the format of today, and depends on what it should; None accepts anything.

    Raises
    ------
    FileError, FormatError
        If not.
    """
    version = attributes.get("format_version")
    if not isinstance(version, int) or "kind" not in attributes or "campaign" not in attributes:
        raise FileError(path, "lacks the attributes of a mechscreen file")
    if version > FORMAT_VERSION:
        raise FileError(
            path,
            f"has format {version}, written by mechscreen {attributes.get('software_version')}; "
            f"this is mechscreen {__version__}, which reads up to format {FORMAT_VERSION}",
            "update it",
        )
    if version < FORMAT_VERSION:
        raise FormatError(path, version, attributes.get("software_version", "0.1.0"))
    if attributes["kind"] != kind:
        raise FileError(path, f"holds '{attributes['kind']}' where '{kind}' is expected", "give another file")
    if identity is not None and attributes["campaign"] != identity.fingerprint:
        difference = identity.difference(attributes.get("identity"))
        raise FileError(
            path,
            f"made with {difference}"
            if difference
            else f"written by campaign {attributes['campaign']} (this one is {identity.fingerprint})",
            "remove it or use another results folder",
        )
