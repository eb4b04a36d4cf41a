"""What every file says about its origin."""

from __future__ import annotations

from typing import Any

from mechscreen.campaign import Campaign, Stage
from mechscreen.storage import FORMAT_VERSION, Attribute
from mechscreen.version import __version__


def provenance(campaign: Campaign, stage: Stage) -> dict[str, Attribute]:
    """Return the attributes of a file: what it depends on, and which campaign, model and seed made it."""
    return {
        **campaign.identity(stage).attributes,
        "campaign_name": campaign.name,
        "model": campaign.model.name,
        "model_version": campaign.about.model.version,
        "seed": campaign.seed,
    }


def record(campaign: Campaign, stage: Stage) -> dict[str, Any]:
    """Return the same for a JSON file (`mechscreen.storage.StageRecord`)."""
    return {
        **provenance(campaign, stage),
        "identity": dict(campaign.identity(stage).values),
        "format_version": FORMAT_VERSION,
        "software_version": __version__,
    }
