"""Python files of people's own, which belong to no installed package: each is a module that can import its neighbours.

``mine/pools.py`` becomes the module ``mechscreen.own.pools_1a2b3c4d``, so that files of one name in two folders are two
modules. What it imports is looked for in its own folder first, as ``python mine/pools.py`` does, and what it finds
there becomes such a module too. All this holds for the files of that folder alone: a neighbour that is called like an
installed package takes its place for nobody else.

Processes that this one starts, such as `multiprocessing`'s, can import these modules by their names; an environment
variable tells them where the file lies.
"""

from __future__ import annotations

import builtins
import importlib
import importlib.util
import os
import re
import sys
import zlib
from collections.abc import Mapping, Sequence
from functools import partial
from importlib.abc import MetaPathFinder
from importlib.machinery import EXTENSION_SUFFIXES, ModuleSpec, PathFinder, SourceFileLoader
from pathlib import Path
from types import ModuleType
from typing import Any

__path__: list[str] = []
"""Marks this module as one that has others in it."""

_VARIABLE = "MECHSCREEN_OWN_"
"""Environment variable, followed by the last part of a module's name: its file, or the folder of a package."""


def load(path: Path) -> ModuleType:
    """Return the module of a file, given by its absolute path; its code runs once in a process."""
    name = name_of(path)
    os.environ[_VARIABLE + name.rpartition(".")[2]] = str(path)
    return importlib.import_module(name)


def name_of(path: Path) -> str:
    """Return the name of the module that a file, or the folder of a package, is."""
    stem = re.sub(r"\W", "_", path.stem)
    return f"{__name__}.{stem}_{zlib.crc32(os.fsencode(path)):08x}"


class _Finder(MetaPathFinder):
    """Finds the modules in this one."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Return the specification of ``mechscreen.own.…``, or None for all else."""
        before, _, last = fullname.partition(f"{__name__}.")
        if before or not last:
            return None
        top, _, inner = last.partition(".")
        place = os.environ.get(_VARIABLE + top)
        if place is None:
            return None
        if inner:
            spec = PathFinder.find_spec(fullname, path)
        elif Path(place).is_dir():
            first = Path(place, "__init__.py")
            if not first.exists():
                spec = ModuleSpec(fullname, None, is_package=True)
                spec.submodule_search_locations = [place]
                return spec
            spec = importlib.util.spec_from_file_location(fullname, first, submodule_search_locations=[place])
        else:
            spec = importlib.util.spec_from_file_location(fullname, place)
        if spec is not None and isinstance(spec.loader, SourceFileLoader):
            spec.loader = _Loader(fullname, spec.loader.path, Path(place).parent)
        return spec


class _Loader(SourceFileLoader):
    """Runs the code of a file so that what it imports is looked for in a folder first."""

    def __init__(self, fullname: str, path: str, folder: Path) -> None:
        super().__init__(fullname, path)
        self._folder = folder

    def exec_module(self, module: ModuleType) -> None:
        """Run the code of the module's file."""
        # Where a module has builtins of its own, its import statements call the `__import__` that stands there.
        module.__dict__["__builtins__"] = {**vars(builtins), "__import__": partial(_import, self._folder)}
        super().exec_module(module)


def _import(
    folder: Path,
    name: str,
    globals: Mapping[str, Any] | None = None,
    locals: Mapping[str, Any] | None = None,
    fromlist: Sequence[str] | None = (),
    level: int = 0,
) -> ModuleType:
    """Do what `builtins.__import__` does, for a file of this folder."""
    top, _, inner = name.partition(".")
    place = None if level else _neighbour(folder, top)
    if place is None:
        return builtins.__import__(name, globals, locals, fromlist or (), level)
    if place.name.endswith(tuple(EXTENSION_SUFFIXES)):
        return _compiled(top, place)
    module = load(place)
    inside = importlib.import_module(f"{module.__name__}.{inner}") if inner else module
    if not fromlist:
        return module
    # The names may be those of modules in a package.
    return builtins.__import__(inside.__name__, None, None, fromlist)


def _neighbour(folder: Path, name: str) -> Path | None:
    """Return the file, or the folder of a package, that a name stands for in a folder, if it is not found anyhow."""
    if name == "mechscreen":
        return None
    here = PathFinder.find_spec(name, [str(folder)])
    if here is None:
        return None
    known = sys.modules.get(name)
    there = known.__spec__ if known is not None else importlib.util.find_spec(name)
    if here.loader is None:  # a folder without __init__.py counts only where there is nothing else
        return None if there is not None else folder / name
    assert here.origin is not None
    file = getattr(known, "__file__", None) if there is None else there.origin
    if file is not None and os.path.realpath(file) == os.path.realpath(here.origin):
        return None
    return Path(here.origin).parent if here.submodule_search_locations is not None else Path(here.origin)


def _compiled(name: str, path: Path) -> ModuleType:
    """Return a compiled module, which cannot be called by another name than its own."""
    own = name_of(path)
    if own not in sys.modules:
        spec = importlib.util.spec_from_file_location(name, path)
        assert spec is not None
        assert spec.loader is not None
        before = sys.modules.get(name)
        module = importlib.util.module_from_spec(spec)
        sys.modules[own] = module
        spec.loader.exec_module(module)
        # Some enter themselves under their own name.
        if before is not None:
            sys.modules[name] = before
        else:
            sys.modules.pop(name, None)
    return sys.modules[own]


# Before the usual one, which would find the modules of a package, too.
sys.meta_path.insert(0, _Finder())
