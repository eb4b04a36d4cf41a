"""A folder for a campaign of one's own: its configuration, the profiles, and a Snakefile that includes the workflow."""

from __future__ import annotations

import os
import re
import shlex
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from mechscreen import shipped, storage
from mechscreen.errors import InputError

if TYPE_CHECKING:
    from mechscreen.models.sbml_document import Kind
    from mechscreen.spaces import Parameter

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


def init(folder: Path, model: Path | None = None) -> str:
    """Write a campaign's folder, and return what to do next there, in words.

    Parameters
    ----------
    model
        SBML, Antimony or a COMBINE archive, which is copied into the folder, and which the campaign is about.

    Raises
    ------
    InputError
        If a file is there already, or cannot be written, or the model cannot be simulated; the folder is as it was
        then.
    """
    texts: dict[str, str | bytes] = {**_texts()}
    if model is not None:
        texts["campaign.yaml"] = _campaign_on(model)
        texts[model.name] = model.read_bytes()
    there = [name for name in texts if os.path.lexists(folder / name)]
    if there:
        raise InputError(f"{folder}: {', '.join(there)} already there; move away what is, or choose another folder")
    for name in texts:
        storage.check_writable(folder / name)
    made = [path for path in (folder, *(folder / name for name in _FOLDERS)) if not path.exists()]
    try:
        for name, text in texts.items():
            if isinstance(text, str):
                storage.write_text(folder / name, text)
                continue
            with storage.replacing(folder / name) as temporary:
                temporary.write_bytes(text)
    except BaseException:
        for name in texts:
            with suppress(OSError):
                (folder / name).unlink()
        for path in reversed(made):
            with suppress(OSError):
                path.rmdir()
        raise
    return _NEXT.format(written=", ".join(texts), folder=folder, quoted=shlex.quote(str(folder)))


_MOST_OUTPUTS = 10
"""That a new campaign on a model begins with."""
_PROFILES = ("local", "slurm")
_FOLDERS = ("cluster_profiles", *(f"cluster_profiles/{name}" for name in _PROFILES))

_NEXT = """\
{folder}: {written}
Say in campaign.yaml what to simulate and what to look for; as it is, it takes some minutes. Then:

  cd {quoted}
  mechscreen plan campaign.yaml
  snakemake --workflow-profile cluster_profiles/local --configfile campaign.yaml

On SLURM: put account and partition into cluster_profiles/slurm/config.yaml, and take that profile."""


_ON_MODEL = """\
# A campaign on {title}.
#
#   snakemake --workflow-profile cluster_profiles/local --configfile campaign.yaml --dry-run    # what would run
#   snakemake --workflow-profile cluster_profiles/local --configfile campaign.yaml
#
# `mechscreen check campaign.yaml` prints all keys with their defaults; what is said of models from files, of parameters
# and of conditions stands in docs/sbml.md, docs/parameters.md and docs/conditions.md of the project.

# The folder of results: results/<name>.
name: {name}
# All random numbers follow from it.
seed: 1

model:
  name: sbml
  options:
    file: {file}
    # Time series. The model has {found}.
    outputs: [{outputs}]
    # What varies, from … to, in the model's units; of what is above 0, each decade as likely as any other. All else is
    # as the model says.
    vary:
{vary}
    # The series go to this time{time_unit}, and have so many points.
    end: 100
    points: 101

simulations:
  # What the networks learn from. More of them later: what is there stays, and shards are added.
  count: 3000
  # Simulations in one job and file; count is a multiple of it.
  shard_size: 500

emulators:
  # Networks in the ensemble; where they disagree, they are not trusted.
  members: 3
  architecture: {{network: dense, width: 256, blocks: 3}}
  training: {{epochs: 100}}

screen:
  # Parameter sets that the ensemble looks at, and how many in one job.
  count: 200_000
  block_size: 100_000
  objective:
    # What is looked for, by features of the outputs.
    name: conditions
    options:
      classes:
        oscillates: "peaks({first}, prominence=0.2, after=50) >= 3"
    target: [oscillates]

validation:
  # Hits that the model itself simulates, to see how far the networks are right.
  limit: 100
"""


def _campaign_on(path: Path) -> str:
    """Return a campaign on a model from a file, explained line by line."""
    from mechscreen.figures.text import count
    from mechscreen.models.sbml import SBMLModel

    if not re.fullmatch(r"[\w.-]+", path.name) or path.name in ("Snakefile", "campaign.yaml"):
        raise InputError(f"{path}: its name stands in the configuration; rename it to letters, digits, dot, hyphen")
    model = SBMLModel(str(path))
    document = model.document
    plural: dict[Kind, str] = {
        "species": "species",
        "parameter": "parameters",
        "compartment": "compartments",
        "reaction": "reactions",
    }
    found = [count(len(document.of_kind(kind)), kind, many) for kind, many in plural.items()]
    shown = [output.name for output in model.outputs[:_MOST_OUTPUTS]]
    return _ON_MODEL.format(
        title=" ".join(document.name.split()),
        name=re.sub(r"[^A-Za-z0-9._-]", "-", path.stem).strip("-.") or "model",
        file=path.name,
        found=", ".join(found),
        outputs=", ".join(shown),
        vary="\n".join(_line(parameter) for parameter in model.space),
        time_unit=f" [{document.time_unit}]" if document.time_unit else "",
        first=shown[0],
    )


def _line(parameter: Parameter) -> str:
    about = " ".join(f"{parameter.meaning} {f'[{parameter.unit}]' if parameter.unit else ''}".split())
    entry = f"      {parameter.name}: [{parameter.low:.6g}, {parameter.high:.6g}]"
    return f"{entry:40}  # {about}" if about else entry


def _texts() -> dict[str, str]:
    """Return what to write, by path below the folder."""
    copies = {"campaign.yaml": "examples/campaign.yaml"}
    copies |= {name: name for name in (f"cluster_profiles/{profile}/config.yaml" for profile in _PROFILES)}
    return {"Snakefile": _SNAKEFILE} | {
        name: (shipped.FOLDER / source).read_text(encoding="utf-8") for name, source in copies.items()
    }
