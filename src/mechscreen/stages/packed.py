"""Where an ensemble stands: in its own folder, or in what `mechscreen pack` made of a campaign, packed or unpacked."""

from __future__ import annotations

from pathlib import Path, PurePosixPath
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

from mechscreen import storage
from mechscreen.errors import FileError

METADATA = "ro-crate-metadata.json"
"""By what a data package is known: its description as an RO-Crate."""
_REMEDY = "give an archive that mechscreen pack wrote, or the folder of an ensemble"


class Found(NamedTuple):
    """The folder of an ensemble, which is there as long as `kept` is."""

    folder: Path
    kept: TemporaryDirectory[str] | None = None


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
    kept = TemporaryDirectory(prefix="mechscreen-")
    folder = Path(kept.name)
    with storage.open_archive(path) as archive:
        if METADATA not in archive.namelist():
            raise FileError(path, f"is no data package of mechscreen (no {METADATA})", _REMEDY)
        below = _main_entity(path, archive.read(METADATA).decode(errors="replace"))
        storage.unpack(archive, f"{below}/", folder)
    return Found(folder / below, kept)


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
