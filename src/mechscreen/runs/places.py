"""Folders that programs write to unasked, scratch and caches: whether they take files, on each machine."""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path

LEAST_SCRATCH = 1e9
"""Bytes: libraries and launchers write a little to scratch."""

_PIECE = 2**16
"""Bytes written to see whether a folder takes any."""


def scratch() -> Path:
    """Return the folder that programs are told to use for temporary files; Python itself silently takes another."""
    return Path(next((os.environ[name] for name in ("TMPDIR", "TEMP", "TMP") if os.environ.get(name)), "/tmp"))


def caches() -> Path:
    """Return the folder of caches, Snakemake's among them."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path(os.environ.get("HOME") or "/") / ".cache")


def trouble() -> list[str]:
    """Return what is wrong with scratch, home and caches on this machine, and what to do, a line each."""
    found = []
    problem = refusal(scratch())
    if problem:
        found.append(f"scratch: {scratch()}: {problem}; set TMPDIR to a folder that takes files")
    elif (free := shutil.disk_usage(scratch()).free) < LEAST_SCRATCH:
        found.append(f"scratch: {scratch()}: {free / 1e9:.1f} GB free; set TMPDIR to a folder with more")
    problem = refusal(caches())
    if problem:
        found.append(f"caches: {caches()}: {problem}; set XDG_CACHE_HOME to a folder that takes files")
    return found


def refusal(folder: Path) -> str:
    """Return why no file can be written to a folder, made if it is not there; empty if one can."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=folder, prefix=".mechscreen-") as file:
            file.write(bytes(_PIECE))
            file.flush()
    except OSError as error:
        return (error.strerror or str(error)).lower()
    return ""
