"""A campaign on discovered equations: a folder with them as a model, whose coefficients vary."""

from __future__ import annotations

import math
import re
from pathlib import Path
from typing import TYPE_CHECKING

from mechscreen.figures.text import count
from mechscreen.runs.init import ON_MODEL, Site, as_yaml, check_new, texts_for, write_folder

if TYPE_CHECKING:
    from mechscreen.discovery import DiscoveredModel
    from mechscreen.discovery.model_file import Constant, ModelFile


def check(folder: Path, table: Path) -> None:
    """See that a folder for equations from a table can be written, before a search that takes minutes.

    Raises
    ------
    InputError
        If files of it are there, or cannot be written.
    ModuleNotFoundError
        If what writes models is not installed.
    """
    import antimony  # noqa: F401
    import libsbml  # noqa: F401

    check_new(folder, [*texts_for(Site()), *_files(table)])


def init_on_equations(folder: Path, table: Path, model: DiscoveredModel) -> str:
    """Write a campaign's folder on equations that were discovered from a table, and return what to do next, in words.

    Raises
    ------
    InputError
        As of `mechscreen.discovery.model_file.as_model` and `mechscreen.runs.init.init`.
    """
    from mechscreen.discovery.model_file import as_model

    condition = model.groups[0].label if model.groups else None
    written = as_model(model, _name(table), group=condition)
    antimony, sbml = _files(table)
    texts: dict[str, str | bytes] = {
        **texts_for(Site()),
        "campaign.yaml": _campaign(_name(table), written),
        antimony: written.antimony,
        sbml: written.sbml,
    }
    renamed = f"In the model {written.renamed}.\n" if written.renamed else ""
    told = f"The model is that of condition {condition}, the first in the table.\n" if condition is not None else ""
    return told + renamed + write_folder(folder, texts, Site())


def _name(table: Path) -> str:
    return re.sub(r"[^A-Za-z0-9_]+", "-", table.stem).strip("-") or "equations"


def _files(table: Path) -> tuple[str, str]:
    """Return what the model is called, as Antimony and as SBML."""
    return f"{_name(table)}.ant", f"{_name(table)}.xml"


_ABOUT = """
    # Here: the {level:.0f} % intervals of what was found, each for itself. For wide ranges write others, or names
    # alone, as vary: [{example}], which go from a tenth of each value to ten times that."""
_STAY = "    # As in the first trajectory; in all of them these are:"


def _campaign(name: str, model: ModelFile) -> str:
    """Return a campaign on discovered equations, explained line by line."""
    from mechscreen.discovery.model_file import LEVEL

    states = [own for own in model.called.values() if own not in model.inputs]
    named = {own: as_yaml(own) for own in states}
    outputs = [
        f"{told}: {{of: {told}, scale: linear}}" if own in model.negative else f"{told}: {told}"
        for own, told in named.items()
    ]
    varied = [own for own in model.constants if own.low < own.high]
    stay = [
        f"    #   {as_yaml(own)}: [{low:.6g}, {high:.6g}]" for own, (low, high) in model.start.items() if low < high
    ]
    return ON_MODEL.format(
        title=f"equations that were found for {name}",
        name=as_yaml(name),
        model="sbml",
        file=_files(Path(name))[0],
        found=f"{count(len(states), 'variable')}, {count(len(model.constants), 'parameter')}",
        outputs=f"{{{', '.join(outputs)}}}" if model.negative else f"[{', '.join(named.values())}]",
        about=_ABOUT.format(level=100 * LEVEL, example=", ".join(own.name for own in varied[:2])),
        vary="\n".join([*map(_range, varied), *([_STAY, *stay] if stay else [])]),
        time_unit="",
        first=states[0],
        end=f"{model.end:.6g}",
        points=min(max(model.points, 101), 1001),
        after=f"{model.end / 2:.6g}",
    )


def _range(constant: Constant) -> str:
    """Return the line of what varies; its ends have as many digits as their distance needs."""
    width = (constant.high - constant.low) / max(abs(constant.low), abs(constant.high))
    digits = min(3 - math.floor(math.log10(width)), 17)
    low, high, value = (f"{number:.{digits}g}" for number in (constant.low, constant.high, constant.value))
    linear = constant.low > 0 and not constant.log
    ends = f"{{low: {low}, high: {high}, scale: linear}}" if linear else f"[{low}, {high}]"
    return f"{f'      {constant.name}: {ends}':40}  # {value}, {constant.meaning}"
