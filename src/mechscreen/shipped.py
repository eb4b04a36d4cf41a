"""What comes with the package and is no Python: the workflow, the profiles of machines, examples."""

from __future__ import annotations

from pathlib import Path

_PACKAGED = Path(__file__).with_name("_shipped")

FOLDER = _PACKAGED if _PACKAGED.is_dir() else _PACKAGED.parents[2]
"""Folder that holds it; a wheel brings copies, a checkout (an editable installation too) has it at its top."""

SNAKEFILE = FOLDER / "Snakefile"
"""The workflow of a campaign, for Snakefiles that include it."""
