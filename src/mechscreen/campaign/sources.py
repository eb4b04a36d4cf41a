"""What code and which files a user's model or objective is made of.

Imports are found in the text of the source (every ``import`` in it, wherever it stands), and not among the modules that
are loaded: what else this process imported from the same folder must not count. A module that is imported by a name
made while the program runs is not found.
"""

from __future__ import annotations

import ast
import hashlib
import json
import sys
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from importlib import metadata
from pathlib import Path
from typing import Any


def neutral_name(spec: str) -> str:
    """Return a spec without the place of its file: ``stripe.py:Stripe`` for ``/home/me/stripe.py:Stripe``."""
    location, colon, attribute = spec.rpartition(":")
    return f"{Path(location).name}:{attribute}" if colon and location.endswith(".py") else spec


def source_of(spec: str, files: Iterable[str | Path] = ()) -> dict[str, str]:
    """Return what the code of a loaded object is, by name; of one that comes with mechscreen, the given files.

    Parameters
    ----------
    spec
        ``path/to/file.py:name``: SHA-256 of the file, and of the modules that it imports from its own folder or below,
        by path relative to that folder. ``package.module:name``: version of the installed distribution; the same as of
        a file where there is none, or it is installed to be edited.
    files
        What else it says it is made of; those outside the folder go by their name alone. With those of what comes with
        mechscreen, modules beside a Python program that it imports.
    """
    location, colon, _ = spec.rpartition(":")
    if not colon:
        return {name: of_it for path in files for name, of_it in _program(Path(path)).items()}
    if location.endswith(".py"):
        path = Path(location).resolve()
        root = path.parent
    else:
        package = location.partition(".")[0]
        distribution = _distribution(package)
        if distribution is not None:
            return {distribution.name: distribution.version}
        file = getattr(sys.modules.get(location), "__file__", None)
        if file is None:
            return {}
        path = Path(file).resolve()
        root = path.parents[location.count(".") + (path.name == "__init__.py")]
    found = {name.relative_to(root).as_posix(): sha256(name) for name in _with_imports(path, root)}
    for other in map(Path, files):
        whole = other.resolve() if other.is_absolute() else (root / other).resolve()
        found[whole.relative_to(root).as_posix() if whole.is_relative_to(root) else whole.name] = sha256(whole)
    return found


def _program(path: Path) -> dict[str, str]:
    """Return the SHA-256 of a file, and of the modules beside it that it imports, if it is Python."""
    if path.suffix != ".py":
        return {path.name: sha256(path)}
    root = path.resolve().parent
    return {part.relative_to(root).as_posix(): sha256(part) for part in _with_imports(path.resolve(), root)}


def files_of(options: Mapping[str, Any]) -> dict[str, str]:
    """Return the SHA-256 of each file that options name, by what stands there."""
    return {text: sha256(Path(text)) for text in _texts(options) if _names_file(text)}


def digest_of(path: Path) -> tuple[str, int]:
    """Return the SHA-256 of a file of any size, and its bytes."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest(), stream.tell()


def sha256(path: Path) -> str:
    """Return the SHA-256 of a small file; `mechscreen.storage` has this too, and loads HDF5."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for inner in value.values():
            yield from _texts(inner)
    elif isinstance(value, list | tuple):
        for inner in value:
            yield from _texts(inner)


def _names_file(text: str) -> bool:
    # A mere word is an option's value, even where a file is called so; some texts can be no file's name.
    with suppress(ValueError):
        return ("/" in text or Path(text).suffix != "") and _is_file(Path(text))
    return False


def _is_file(path: Path) -> bool:
    """Tell whether there is a file; if it cannot be told, neither can what a model is made of (`StorageError`)."""
    from mechscreen.storage import exists

    return exists(path) and path.is_file()


def _distribution(package: str) -> metadata.Distribution | None:
    """Return the distribution that a package was installed from, unless it can be edited where it is."""
    for name in metadata.packages_distributions().get(package, []):
        distribution = metadata.distribution(name)
        origin = json.loads(distribution.read_text("direct_url.json") or "{}")
        if not origin.get("dir_info", {}).get("editable"):
            return distribution
    return None


def _with_imports(path: Path, root: Path) -> list[Path]:
    """Return a source file and those below `root` that it imports, directly or not."""
    found: list[Path] = []
    waiting = [path]
    while waiting:
        file = waiting.pop()
        if file in found:
            continue
        found.append(file)
        if file.suffix == ".py":
            with suppress(SyntaxError, ValueError):  # of another Python, which is not to be loaded here
                waiting += _imported(file, root)
    return sorted(found)


def _imported(file: Path, root: Path) -> Iterator[Path]:
    for node in ast.walk(ast.parse(file.read_bytes(), str(file))):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield from _resolve(alias.name, [root])
        elif isinstance(node, ast.ImportFrom):
            folders = [root] if node.level == 0 else file.parents[node.level - 1 : node.level]
            base = node.module or ""
            for name in (base, *(f"{base}.{alias.name}".strip(".") for alias in node.names)):
                yield from _resolve(name, folders)


def _resolve(name: str, folders: Iterable[Path]) -> Iterator[Path]:
    """Yield the files that importing a module by its dotted name runs, of those in some folders."""
    parts = name.split(".") if name else []
    for folder in folders:
        for end in range(len(parts) + 1):
            place = folder.joinpath(*parts[:end])
            for candidate in (place / "__init__.py", place.with_name(f"{place.name}.py") if end else None):
                if candidate is not None and _is_file(candidate):
                    yield candidate.resolve()
