"""ZIP archives: written whole or not at all, the same files as the same bytes; read with distrust."""

from __future__ import annotations

import shutil
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path, PurePosixPath

from mechscreen.errors import FileError, MechscreenError
from mechscreen.storage.files import explaining, reading, replacing

_NO_DATE = (1980, 1, 1, 0, 0, 0)
"""The first that ZIP archives know."""
_PACKED = {".h5", ".keras", ".png"}
"""Endings of files that compression makes hardly smaller."""
REMEDY = "get the archive once more from where it comes"


def write_archive(path: Path, files: Mapping[str, Path | bytes]) -> None:
    """Write a ZIP archive, atomically: in this order, without dates and owners.

    Parameters
    ----------
    files
        What is to stand under each name: bytes, or the file that has them; nothing under that of a folder (``x/``).

    Raises
    ------
    InputError, FileError, StorageError
        As `replacing`; as `mechscreen.storage.read_text` where a file cannot be read.
    """
    with replacing(path) as temporary, zipfile.ZipFile(temporary, "w") as archive:
        for name, content in files.items():
            entry = zipfile.ZipInfo(name, _NO_DATE)
            entry.create_system, entry.external_attr = 3, 0o644 << 16
            entry.compress_type = zipfile.ZIP_STORED if Path(name).suffix in _PACKED else zipfile.ZIP_DEFLATED
            if isinstance(content, bytes):
                archive.writestr(entry, content)
                continue
            with reading(content), content.open("rb") as source:
                entry.file_size = content.stat().st_size
                with archive.open(entry, "w") as target:
                    shutil.copyfileobj(source, target)


@contextmanager
def open_archive(path: Path) -> Iterator[zipfile.ZipFile]:
    """Open a ZIP archive, whatever its name, all of whose files would stay in the folder that they are put into.

    Raises
    ------
    FileError
        If it is none, or damaged, also where that shows later; if the name of a file leaves the folder.
    StorageError
        If the environment does not let it be read.
    """
    with reading(path), path.open("rb") as stream:
        try:
            with zipfile.ZipFile(stream) as archive:
                names = archive.namelist()
                for name in names:
                    if _leaves(name):
                        raise FileError(path, f"holds a file {name[:100]!r}, which would leave its folder", REMEDY)
                if len(set(names)) < len(names):
                    raise FileError(path, "holds two files of one name", REMEDY)
                yield archive
        except MechscreenError:
            raise
        except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, ValueError) as error:
            raise FileError(path, f"is no whole ZIP archive ({error})", REMEDY) from None
        except RuntimeError as error:
            # So Python tells of a password.
            raise FileError(path, f"cannot be unpacked ({error})", REMEDY) from None


def _leaves(name: str) -> bool:
    return (
        not name
        or "\\" in name
        or ":" in name
        or PurePosixPath(name).is_absolute()
        or ".." in PurePosixPath(name).parts
    )


def unpack(archive: zipfile.ZipFile, below: str, folder: Path) -> None:
    """Write the files of an open archive whose names begin with `below` into a folder."""
    for entry in archive.infolist():
        if entry.filename.startswith(below) and not entry.is_dir():
            target = folder / entry.filename
            with explaining(target):
                target.parent.mkdir(parents=True, exist_ok=True)
                with archive.open(entry) as source, target.open("xb") as sink:
                    shutil.copyfileobj(source, sink)
