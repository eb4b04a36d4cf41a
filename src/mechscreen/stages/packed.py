"""Where an ensemble stands: in its own folder, or in what `mechscreen pack` made of a campaign, packed or unpacked."""

from __future__ import annotations

import shutil
import weakref
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from tempfile import mkdtemp
from typing import Any

from mechscreen import storage
from mechscreen.errors import FileError

METADATA = "ro-crate-metadata.json"
"""By what a data package is known: its description as an RO-Crate."""
_REMEDY = "give an archive that mechscreen pack wrote, or the folder of an ensemble"


@dataclass(frozen=True)
class Found:
    """The folder of an ensemble; one that was unpacked goes when this object does."""

    folder: Path


def find_ensemble(path: Path) -> Found:
    """Return the folder of an ensemble; that of a data package is its main entity, and is unpacked.

    Parameters
    ----------
    path
        The folder itself, an archive of `mechscreen pack`, or the folder that one was unpacked into.

    Raises
    ------
    FileError
        If an archive is damaged, holds no ensemble, or files that would leave its folder.
    StorageError
        If the environment does not let it be read or unpacked.
    """
    if not path.is_file():
        description = path / METADATA
        if not storage.exists(description):
            return Found(path)
        return Found(path / _main_entity(description, storage.read_text(description)))
    with storage.open_archive(path) as archive:
        if METADATA not in archive.namelist():
            raise FileError(path, f"is no data package of mechscreen (no {METADATA})", _REMEDY)
        below = _main_entity(path, archive.read(METADATA).decode(errors="replace"))
        folder = Path(mkdtemp(prefix="mechscreen-"))
        found = Found(folder / below)
        weakref.finalize(found, shutil.rmtree, folder, ignore_errors=True)
        storage.unpack(archive, f"{below}/", folder)
    return found


def _main_entity(path: Path, text: str) -> PurePosixPath:
    """Return what the description of a package calls its main entity, a folder in it."""
    entities: Any = storage.parse_json(path, text)
    try:
        (root,) = (entity for entity in entities["@graph"] if entity["@id"] == "./")
        below = PurePosixPath(root["mainEntity"]["@id"])
    except (KeyError, TypeError, ValueError):
        raise FileError(path, "is no data package of mechscreen (it names no ensemble)", _REMEDY) from None
    if below.is_absolute() or ".." in below.parts or not below.parts:
        raise FileError(path, f"its ensemble {str(below)[:100]!r} would leave the package", _REMEDY)
    return below
