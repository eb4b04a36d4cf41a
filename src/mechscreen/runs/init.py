"""A folder for a campaign of one's own: its configuration, the profiles, and a Snakefile that includes the workflow."""

from __future__ import annotations

import os
import shlex
from contextlib import suppress
from pathlib import Path

from mechscreen import shipped, storage
from mechscreen.errors import InputError

_SNAKEFILE = """\
# The workflow that comes with mechscreen; rules of your own may follow.
from mechscreen.shipped import SNAKEFILE


include: SNAKEFILE


# What is made when no target is named.
rule campaign:
    default_target: True
    input:
        rules.all.input,
    localrule: True
"""


def init(folder: Path) -> str:
    """Write a campaign's folder, and return what to do next there, in words.

    Raises
    ------
    InputError
        If a file is there already, or cannot be written; the folder is as it was then.
    """
    texts = _texts()
    there = [name for name in texts if os.path.lexists(folder / name)]
    if there:
        raise InputError(f"{folder}: {', '.join(there)} already there; move away what is, or choose another folder")
    for name in texts:
        storage.check_writable(folder / name)
    made = [path for path in (folder, *(folder / name for name in _FOLDERS)) if not path.exists()]
    try:
        for name, text in texts.items():
            storage.write_text(folder / name, text)
    except BaseException:
        for name in texts:
            with suppress(OSError):
                (folder / name).unlink()
        for path in reversed(made):
            with suppress(OSError):
                path.rmdir()
        raise
    return _NEXT.format(written=", ".join(texts), folder=folder, quoted=shlex.quote(str(folder)))


_PROFILES = ("local", "slurm")
_FOLDERS = ("cluster_profiles", *(f"cluster_profiles/{name}" for name in _PROFILES))

_NEXT = """\
{folder}: {written}
Say in campaign.yaml what to simulate and what to look for; as it is, it takes some minutes. Then:

  cd {quoted}
  mechscreen plan campaign.yaml
  snakemake --workflow-profile cluster_profiles/local --configfile campaign.yaml

On SLURM: put account and partition into cluster_profiles/slurm/config.yaml, and take that profile."""


def _texts() -> dict[str, str]:
    """Return what to write, by path below the folder."""
    copies = {"campaign.yaml": "examples/campaign.yaml"}
    copies |= {name: name for name in (f"cluster_profiles/{profile}/config.yaml" for profile in _PROFILES)}
    return {"Snakefile": _SNAKEFILE} | {
        name: (shipped.FOLDER / source).read_text(encoding="utf-8") for name, source in copies.items()
    }
