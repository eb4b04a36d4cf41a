"""A folder for a campaign of one's own: its configuration, the profiles, and a Snakefile that includes the workflow."""

from __future__ import annotations

import json
import math
import os
import re
import shlex
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import yaml

from mechscreen import shipped, storage
from mechscreen.errors import InputError
from mechscreen.runs import site as slurm

if TYPE_CHECKING:
    from mechscreen.models.petab import PetabModel
    from mechscreen.models.sbml import SBMLModel
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


@dataclass(frozen=True)
class Site:
    """A cluster to write a profile for.

    Attributes
    ----------
    profile
        One of `profiles`: the kind of site that it is.
    account, partition
        Of SLURM; empty where the site needs none.
    """

    profile: str = "slurm"
    account: str = ""
    partition: str = ""

    def filled(self, text: str) -> str:
        """Return the text of the profile with account and partition in it.

        Raises
        ------
        InputError
            If the profile has no place for one that is given.
        """
        for key, value in (("slurm_account", self.account), ("slurm_partition", self.partition)):
            if value and not re.fullmatch(r"[\w.,@+-]+", value):
                raise InputError(f"{key.removeprefix('slurm_')}: {value!r} is no name on SLURM")
            if value:
                # Of all rules: what is set for single ones is indented more.
                text, found = re.subn(rf"^  # {key}: .*$", f"  {key}: {json.dumps(value)}", text, count=1, flags=re.M)
                if not found:
                    raise InputError(
                        f"{self.profile}: chooses each job's partition itself; leave out --partition"
                        if key == "slurm_partition"
                        else f"{self.profile}: is no profile of a cluster; leave out --account"
                    )
        return text


def profiles() -> list[str]:
    """Return the names of the profiles that come with the package."""
    return sorted(path.parent.name for path in (shipped.FOLDER / "cluster_profiles").glob("*/config.yaml"))


def blanks(profile: str) -> dict[str, str]:
    """Return what a profile leaves to be filled in, ``account`` and ``partition``, and what is usual on this cluster.

    Raises
    ------
    InputError
        If there is no such profile.
    """
    text = _profile(profile)
    usual = {
        "account": slurm.default_account,
        "partition": lambda: next((place.name for place in slurm.partitions() if place.is_default), ""),
    }
    return {what: of_site() for what, of_site in usual.items() if f"\n  # slurm_{what}: " in text}


def check_new(folder: Path, names: Sequence[str]) -> None:
    """See that none of some files is in a folder, and that they can be written.

    Raises
    ------
    InputError
        If not.
    """
    there = [name for name in names if os.path.lexists(folder / name)]
    if there:
        raise InputError(f"{folder}: {', '.join(there)} already there; move away what is, or choose another folder")
    for name in names:
        storage.check_writable(folder / name)


def init(folder: Path, model: Path | None = None, petab: Path | None = None, site: Site | None = None) -> str:
    """Write a campaign's folder, and return what to do next there, in words.

    Parameters
    ----------
    site
        Where it is to run; without it, the profiles of one machine and of a plain SLURM are written.
    model
        SBML, Antimony, a COMBINE archive, or BioNetGen's ``.net`` or ``.bngl``, which is copied into the folder, and
        which the campaign is about.
    petab
        YAML of a PEtab problem, which is copied with all its files, and which the campaign is about instead.

    Raises
    ------
    InputError
        If a file is there already, or cannot be written, or the model cannot be simulated; the folder is as it was
        then.
    """
    site = site or Site()
    texts: dict[str, str | bytes] = {**texts_for(site)}
    if model is not None:
        texts["campaign.yaml"] = _campaign_on(model)
        texts[model.name] = model.read_bytes()
    if petab is not None:
        texts |= _campaign_on_problem(petab)
    return write_folder(folder, texts, site)


def write_folder(folder: Path, texts: Mapping[str, str | bytes], site: Site) -> str:
    """Write the files of a campaign's folder, and return what to do next there, in words; see `init`."""
    check_new(folder, list(texts))
    folders = dict.fromkeys(parent for name in texts for parent in reversed(Path(name).parents[:-1]))
    made = [path for path in (folder, *(folder / name for name in folders)) if not path.exists()]
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
    return _NEXT.format(written=", ".join(texts), folder=folder, quoted=shlex.quote(str(folder))) + _on_cluster(site)


_MOST_OUTPUTS = 10
"""That a new campaign on a model begins with."""
_NEXT = """\
{folder}: {written}
Say in campaign.yaml what to simulate and what to look for; as it is, it takes some minutes. Then:

  cd {quoted}
  mechscreen plan campaign.yaml
  snakemake --workflow-profile cluster_profiles/local --configfile campaign.yaml

"""


def _on_cluster(site: Site) -> str:
    profile = f"cluster_profiles/{site.profile}"
    steps = []
    if not (site.account or site.partition):
        steps.append(f"put account and partition into {profile}/config.yaml")
    if "partitions.yaml" in _profile(site.profile):
        steps.append(f"mechscreen doctor --profile {profile} --write-partitions partitions.yaml")
    steps.append(f"mechscreen doctor campaign.yaml --profile {profile}")
    return f"On SLURM: {', then '.join(steps)}; then run with that profile."


ON_MODEL = """\
# A campaign on {title}.
#
#   snakemake --workflow-profile cluster_profiles/local --configfile campaign.yaml --dry-run    # what would run
#   snakemake --workflow-profile cluster_profiles/local --configfile campaign.yaml
#
# `mechscreen check campaign.yaml` prints all keys with their defaults; what is said of models from files, of parameters
# and of conditions stands in docs/{model}.md, docs/howto/parameters.md and docs/howto/conditions.md of the project.

# The folder of results: results/<name>.
name: {name}
# All random numbers follow from it.
seed: 1

model:
  name: {model}
  options:
    file: {file}
    # Time series. The model has {found}.
    outputs: {outputs}
    # What varies, from … to, in the model's units; of what is above 0, each decade as likely as any other. All else is
    # as the model says.{about}
    vary:
{vary}
    # The series go to this time{time_unit}, and have so many points.
    end: {end}
    points: {points}

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
        oscillates: "peaks({first}, prominence=0.2, after={after}) >= 3"
    target: [oscillates]

validation:
  # Hits that the model itself simulates, to see how far the networks are right.
  limit: 100
"""


def _campaign_on(path: Path) -> str:
    """Return a campaign on a model from a file, explained line by line."""
    from mechscreen.figures.text import count

    _check_name(path)
    model = _model_in(path)
    document = model.document
    plural: dict[Kind, str] = {
        "species": "species",
        "parameter": "parameters",
        "compartment": "compartments",
        "reaction": "reactions",
        "observable": "observables",
        "function": "functions",
    }
    found = [count(len(of_kind), kind, many) for kind, many in plural.items() if (of_kind := document.of_kind(kind))]
    shown = [output.name for output in model.outputs[:_MOST_OUTPUTS]]
    names = [name if name.isidentifier() else f"s{k}" for k, name in enumerate(shown, 1)]
    return ON_MODEL.format(
        title=" ".join(document.name.split()),
        name=as_yaml(re.sub(r"[^A-Za-z0-9._-]", "-", path.stem).strip("-.") or "model"),
        model=model.name,
        file=path.name,
        found=", ".join(found),
        outputs=_outputs(names, shown),
        vary="\n".join(_line(parameter) for parameter in model.space),
        time_unit=f" [{document.time_unit}]" if document.time_unit else "",
        first=names[0],
        about="",
        end="100",
        points=101,
        after="50",
    )


def as_yaml(text: str) -> str:
    """Return text as YAML: in quotes where it would be read as something else, as ``no`` and ``2021`` are."""
    return text if yaml.safe_load(text) == text else json.dumps(text)


def _model_in(path: Path) -> SBMLModel:
    if path.suffix.lower() in (".net", ".bngl"):
        from mechscreen.models.bngl import BNGLModel

        return BNGLModel(str(path))
    from mechscreen.models.sbml import SBMLModel

    return SBMLModel(str(path))


def _outputs(names: list[str], shown: list[str]) -> str:
    """Return the outputs as YAML: a list, or names that conditions can tell and what they are."""
    if names == shown:
        return f"[{', '.join(map(as_yaml, shown))}]"
    return f"{{{', '.join(f'{as_yaml(name)}: {json.dumps(of)}' for name, of in zip(names, shown, strict=True))}}}"


_ON_PROBLEM = """\
# A campaign on the problem of parameter estimation {file} (PEtab).
#
#   snakemake --workflow-profile cluster_profiles/local --configfile campaign.yaml --dry-run    # what would run
#   snakemake --workflow-profile cluster_profiles/local --configfile campaign.yaml
#
# `mechscreen check campaign.yaml` prints all keys with their defaults; what is read of a problem and what is not stands
# in docs/howto/petab.md of the project.

# The folder of results: results/<name>.
name: {name}
# All random numbers follow from it.
seed: 1

model:
  name: petab
  # What varies is what the problem estimates: {varied}, within the table's bounds.
  # Outputs: {outputs_told}.
  options: {{file: {file}, outputs: [{outputs}]}}

# What the networks learn from, and how much of it in one job and file. More of them later: what is there stays.
simulations: {{count: 3000, shard_size: 500}}
# Networks in the ensemble; where they disagree, they are not trusted.
emulators: {{members: 3, architecture: {{network: dense, width: 256, blocks: 3}}, training: {{epochs: 100}}}}

screen:
  # Parameter sets that the ensemble looks at, and how many in one job.
  count: 200_000
  block_size: 100_000
  objective:
    # What is looked for. {bound_told}
    name: match
    options: {{limit: {limit}}}
    target: [fits]

# Hits that the model itself simulates, to see how far the networks are right.
validation: {{limit: 100}}

# Then the model itself searches for the best sets and samples the posterior: what is left out here stands for
# polish: {{count: 200}} and posterior: {{draws: 1000, simulations: 200_000}}
"""


def _campaign_on_problem(path: Path) -> dict[str, str | bytes]:
    """Return a campaign on a PEtab problem and the problem's files, by name."""
    from mechscreen.figures.text import count
    from mechscreen.models.petab import PetabModel
    from mechscreen.models.petab_problem import files_of

    _check_name(path)
    model = PetabModel(str(path))
    # Tables of figures come along where they are.
    named = [name for _, name in files_of(path)]
    names = [name for name in named if name in model.problem.files or (path.parent / name).is_file()]
    for name in names:
        if Path(name).name != name:
            raise InputError(f"{path}: its file {name} stands in another folder; put all files beside the problem's")
        _check_name(path.parent / name)
    by_chi2 = _is_chi2_enough(model)
    outputs = ["observables", "chi2", *([] if by_chi2 else ["noise"])]
    bound_told, limit = _bound(model)
    series = count(len(model.problem.series), "observable of a condition", "observables of conditions")
    campaign = _ON_PROBLEM.format(
        file=path.name,
        name=re.sub(r"[^A-Za-z0-9._-]", "-", path.stem).strip("-.") or "problem",
        varied=count(len(model.space), "parameter"),
        outputs=", ".join(outputs),
        outputs_told=f"{series}, χ²{'' if by_chi2 else ', and noise, the rest of −2 ln L'}",
        bound_told=bound_told,
        limit=limit,
    )
    files = {name: (path.parent / name).read_bytes() for name in (path.name, *names)}
    return {"campaign.yaml": campaign, **files}


def _is_chi2_enough(model: PetabModel) -> bool:
    """Return whether −2 ln L is χ², but for a constant."""
    normal = all(group.distribution == "normal" for group in model.problem.measurements)
    return normal and model.problem.knows_noise


def _bound(model: PetabModel) -> tuple[str, str]:
    """Return from where a new campaign looks for parameter sets that fit, in words, and as its limit."""
    problem = model.problem
    measured = sum(len(group.values) for group in problem.measurements)
    if _is_chi2_enough(model):
        # Mean and three standard deviations of χ².
        bound = measured + 3 * math.sqrt(2 * measured)
        return f"χ² of the true values is {measured} ± {math.sqrt(2 * measured):.0f}.", f"{bound:.0f}"
    misfit = "misfit" if any(output.name == "misfit" for output in model.outputs) else "chi2"
    nominal = [problem.parameters[name].nominal for name in model.space.names]
    _, found, _ = model.compare(np.array([nominal]))
    best = -2 * float(found.llh[0])
    if not math.isfinite(best):
        return f"There are {measured} measurements; the limit is of {misfit} + noise.", f"{3 * measured}"
    return (
        f"With the nominal values, −2 ln L = {misfit} + noise is {best:.4g}; here up to one more per measurement.",
        f"{best + measured:.4g}",
    )


def _check_name(path: Path) -> None:
    if not re.fullmatch(r"[\w.-]+", path.name) or path.name in ("Snakefile", "campaign.yaml"):
        raise InputError(f"{path}: its name stands in the configuration; rename it to letters, digits, dot, hyphen")


def _line(parameter: Parameter) -> str:
    about = " ".join(f"{parameter.meaning} {f'[{parameter.unit}]' if parameter.unit else ''}".split())
    entry = f"      {as_yaml(parameter.name)}: [{parameter.low:.6g}, {parameter.high:.6g}]"
    return f"{entry:40}  # {about}" if about else entry


def texts_for(site: Site) -> dict[str, str]:
    """Return what stands in each campaign's folder, by path below it."""
    return {
        "Snakefile": _SNAKEFILE,
        "campaign.yaml": (shipped.FOLDER / "examples/campaign.yaml").read_text(encoding="utf-8"),
        "cluster_profiles/local/config.yaml": _profile("local"),
        f"cluster_profiles/{site.profile}/config.yaml": site.filled(_profile(site.profile)),
    }


def _profile(name: str) -> str:
    if name not in profiles():
        raise InputError(f"--profile: there is no '{name}'; take one of {', '.join(profiles())}")
    return (shipped.FOLDER / "cluster_profiles" / name / "config.yaml").read_text(encoding="utf-8")
