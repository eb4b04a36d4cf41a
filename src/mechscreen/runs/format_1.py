"""How mechscreen before 0.1.0 told what its files depend on; for `mechscreen.runs.migrate` alone."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

_LINE = ("simulations", "dataset", "emulators", "evaluation", "screen", "validation")
_OF_THE_WHOLE = ("members", "combine", "precision")
_GONE = "sensitivity"
"""Key of ``simulations`` that is none any more."""
_LATER, _LATER_OF_SIMULATIONS = ("backend", "together"), ("imported",)
_LATER_OF_MODEL = ("derived", "constraints", "conditions", "replicates", "emulate")
"""Keys of ``emulators``, of ``simulations`` and of ``model`` that came later."""

Values = Mapping[str, Any]
"""Of a resolved ``campaign.yaml``."""


def fingerprint(stage: str, values: Values, model_version: str, selectors: Sequence[Values]) -> str:
    """Return the attribute ``campaign`` of a stage's files.

    Parameters
    ----------
    selectors
        Values of the campaign that selected the simulations, of the one that selected that one's, and so on; none if
        none did.
    """
    identity = _identity(stage, values, model_version, selectors)
    return hashlib.sha256(json.dumps(identity, sort_keys=True).encode()).hexdigest()[:12]


def without_gone_keys(values: Values) -> Values:
    """Return the values without the key that is none any more."""
    simulations = values.get("simulations")
    if not isinstance(simulations, Mapping):
        return values  # for the validation to say
    return {**values, "simulations": _without(simulations, _GONE)}


def as_written(values: Values) -> Iterator[Values]:
    """Yield what format 1 may have written of a campaign that is converted: with each value of the key that is gone."""
    emulators = _without(values["emulators"], *_LATER)
    model = _without(values["model"], *_LATER_OF_MODEL)
    own = _without(values["simulations"], *_LATER_OF_SIMULATIONS)
    for value in (False, True):
        simulations = {**own, _GONE: value}
        yield {**values, "model": model, "simulations": simulations, "emulators": emulators}


def evaluated_by(values: Values) -> str:
    """Return the attribute ``evaluated_by`` of an evaluation's files."""
    screen = values["screen"]
    labelling = _without(screen["objective"], "target")
    return json.dumps({**labelling, "disagreement_limit": screen["disagreement_limit"]}, sort_keys=True)


def _identity(stage: str, values: Values, version: str, selectors: Sequence[Values]) -> dict[str, Any]:
    simulations, emulators, screen = values["simulations"], values["emulators"], values["screen"]
    if stage == "selection":
        return {
            "seed": values["seed"],
            "selector": fingerprint("evaluation", selectors[0], version, selectors[1:]),
            "candidates": values["selection"]["candidates"],
            "objective": screen["objective"],
            "simulations": {key: simulations[key] for key in ("shard_size", "sampling")},
        }
    if stage == "simulations":
        selected = {"selection": _identity("selection", values, version, selectors)} if selectors else {}
        return {
            "seed": values["seed"],
            "model": {**values["model"], "version": version},
            "simulations": _without(simulations, "count", "sample_time_limit"),
            **selected,
        }
    own: dict[str, dict[str, Any]] = {
        "dataset": {"count": simulations["count"], **values["dataset"]},
        "emulators": _without(emulators, *_OF_THE_WHOLE),
        "evaluation": {key: emulators[key] for key in _OF_THE_WHOLE},
        "screen": _without(screen, "count"),
        "validation": {"count": screen["count"], **values["validation"]},
    }
    before = _LINE[_LINE.index(stage) - 1]
    return {"before": _identity(before, values, version, selectors), stage: own[stage]}


def _without(section: Values, *keys: str) -> dict[str, Any]:
    return {key: value for key, value in section.items() if key not in keys}
