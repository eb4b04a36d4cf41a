"""How mechscreen 0.1.0 told what its files depend on; for `mechscreen.runs.migrate` alone."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

_LINE = ("simulations", "dataset", "emulators", "evaluation", "screen", "validation")
_OF_THE_WHOLE = ("members", "combine", "precision")

Values = Mapping[str, Any]
"""Of a resolved ``campaign.yaml``."""


def fingerprint(stage: str, values: Values, model_version: str, selector: Values | None) -> str:
    """Return the attribute ``campaign`` of a stage's files.

    Parameters
    ----------
    selector
        Values of the campaign that selected the simulations; None if none did.
    """
    identity = _identity(stage, values, model_version, selector)
    return hashlib.sha256(json.dumps(identity, sort_keys=True).encode()).hexdigest()[:12]


def evaluated_by(values: Values) -> str:
    """Return the attribute ``evaluated_by`` of an evaluation's files."""
    screen = values["screen"]
    labelling = _without(screen["objective"], "target")
    return json.dumps({**labelling, "disagreement_limit": screen["disagreement_limit"]}, sort_keys=True)


def _identity(stage: str, values: Values, version: str, selector: Values | None) -> dict[str, Any]:
    simulations, emulators, screen = values["simulations"], values["emulators"], values["screen"]
    if stage == "selection":
        assert selector is not None
        return {
            "seed": values["seed"],
            # A campaign that selects was itself never selected for, or its own selector is not known here.
            "selector": fingerprint("evaluation", selector, version, None),
            "candidates": values["selection"]["candidates"],
            "objective": screen["objective"],
            "simulations": {key: simulations[key] for key in ("shard_size", "sampling")},
        }
    if stage == "simulations":
        selected = {"selection": _identity("selection", values, version, selector)} if selector else {}
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
    return {"before": _identity(before, values, version, selector), stage: own[stage]}


def _without(section: Values, *keys: str) -> dict[str, Any]:
    return {key: value for key, value in section.items() if key not in keys}
