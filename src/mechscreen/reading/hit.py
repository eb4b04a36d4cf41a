"""One hit as the model's own tools take it: SBML with its values, a shell script, or its parameters as YAML."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from numpy.typing import NDArray

from mechscreen import storage
from mechscreen.campaign import Campaign
from mechscreen.campaign.sources import files_of, source_of
from mechscreen.errors import InputError
from mechscreen.models import Model, get_model
from mechscreen.models.command import CommandModel
from mechscreen.models.sbml import SBMLModel
from mechscreen.reading.folder import Results
from mechscreen.schemas.screen import HitColumns, ScreenHits
from mechscreen.schemas.validation import ValidatedHits
from mechscreen.stages.search import seeds_of

_SBML, _SCRIPT, _YAML = (".xml", ".sbml"), (".sh",), (".yaml", ".yml")


@dataclass(frozen=True)
class Hit:
    """A hit: its number in the screen, its parameters in the campaign's space, (d,), and what is known of it."""

    sample: int
    parameters: NDArray[np.float64]
    about: Mapping[str, Any]


def export_hit(results: Results, number: int | None, sample: int | None, to: Path | None) -> str:
    """Write a hit into a file and return what is to be said about it; without a file, return its text.

    Raises
    ------
    InputError
        As `find_hit` and `hit_as_text`; if there is a file already.
    """
    if to is not None:
        storage.check_new(to)
    hit = find_hit(results, number, sample)
    text = hit_as_text(results, hit, to)
    if to is None:
        return text
    storage.write_text(to, text)
    return f"{to}: sample {hit.sample} of the screen of {results.campaign.name}"


def find_hit(results: Results, number: int | None, sample: int | None) -> Hit:
    """Return a hit.

    Parameters
    ----------
    number
        Of a validated hit, from 1: those to trust most come first, as `mechscreen hits` lists them.
    sample
        Its number in the screen; whether it was validated or not.

    Raises
    ------
    InputError
        If there is no such hit, or none yet.
    """
    campaign = results.campaign
    if (number is None) == (sample is None):
        raise InputError("a hit goes by its number among the validated ones (--number) or in the screen (--sample)")
    if storage.exists(campaign.paths.validation_hits):
        table = ValidatedHits.read(campaign.paths.validation_hits, campaign.identity("validation"))
        if number is not None:
            if not 1 <= number <= len(table):
                raise InputError(f"{campaign.paths.validation_hits}: no hit {number} (there are {len(table):,})")
            return _validated(campaign, table, int(table.by_trust[number - 1]))
        if (rows := np.flatnonzero(table.index == sample)).size:
            return _validated(campaign, table, int(rows[0]))
    elif number is not None:
        results.need("validated", "validation")
    with ScreenHits.open(results.need("hits", "screen"), campaign.identity("hits"), d=len(campaign.space)) as file:
        columns: HitColumns = file.hits
        found = np.flatnonzero(columns.index[:] == sample)
        if not found.size:
            raise InputError(f"{campaign.paths.screen_hits}: no hit with the sample number {sample}")
        row = int(found[0])
        label = campaign.class_names[int(columns.labels[row])]
        return Hit(int(columns.index[row]), columns.parameters[row], {"emulated class": label})


def _validated(campaign: Campaign, table: ValidatedHits, row: int) -> Hit:
    names = campaign.class_names
    label = int(table.labels[row])
    about = {
        "emulated class": names[table.emulated_labels[row]],
        "simulated class": names[label] if label >= 0 else f"failed: {table.reasons[row]}",
        "confirmed": bool(table.confirmed[row]),
    }
    return Hit(int(table.index[row]), table.parameters[row], about)


def hit_as_text(results: Results, hit: Hit, to: Path | None) -> str:
    """Return a hit as text: SBML (``.xml``), a shell script (``.sh``) or YAML (``.yaml``), by the name of its file.

    Without a file, what suits the model: SBML, a script of models that are called by a command line, else YAML, for
    which the model is not loaded.

    Raises
    ------
    InputError
        If there is no such kind of file, or none of this model; if the model's files are others than when the hit was
        found.
    """
    campaign = results.campaign
    # Under several conditions there is no one set of values.
    kinds = () if campaign.model.conditions else {"sbml": _SBML, "command": _SCRIPT}.get(campaign.model.name, ())
    suffix = (*kinds, *_YAML)[0] if to is None else to.suffix.lower()
    if suffix in _YAML:
        return _as_yaml(campaign, hit)
    if suffix not in kinds:
        valid = ", ".join((*kinds, *_YAML))
        raise InputError(f"{to}: no kind of file '{suffix}' of the model '{campaign.model.name}' (valid: {valid})")
    model = _model_of(campaign)
    values = campaign.simulated(hit.parameters[None])[0]
    if isinstance(model, CommandModel):
        return model.script(values, int(seeds_of(campaign, np.array([hit.sample]))[0]))
    assert isinstance(model, SBMLModel)
    return model.sbml_of(values)


def _model_of(campaign: Campaign) -> Model:
    """Return the model, loaded, if it is what it was when the results were made.

    It is without what is done around it: replicates, and features of its outputs.
    """
    model, about = get_model(campaign.model.name, **campaign.model.options), campaign.about.model
    now = {**files_of(campaign.model.options), **source_of(campaign.model.name, getattr(model, "files", ()))}
    then = {**about.files, **about.source}
    if changed := sorted(name for name in now.keys() | then.keys() if now.get(name) != then.get(name)):
        raise InputError(
            f"{changed[0]}: is not what it was when these results were made; restore it, or export the hit as .yaml"
        )
    return model


def _as_yaml(campaign: Campaign, hit: Hit) -> str:
    columns = campaign.space.columns(hit.parameters[None])
    categories = {p.name: p.categories for p in campaign.space if p.categories}
    parameters = {
        name: categories[name][round(float(column[0]))] if name in categories else float(column[0])
        for name, column in columns.items()
    }
    about = campaign.about.model
    values = {
        "campaign": campaign.name,
        "model": about.name,
        "model version": about.version,
        "sample": hit.sample,
        **hit.about,
        "parameters": parameters,
        "units": {p.name: p.unit for p in campaign.space if p.unit},
    }
    return yaml.safe_dump(values, sort_keys=False, allow_unicode=True)
