"""What every file says about its origin."""

from __future__ import annotations

from mechscreen.campaign import Campaign, Stage


def provenance(campaign: Campaign, stage: Stage, kind: str) -> dict[str, str | int | float]:
    """Return the attributes of a file: what it holds, which campaign, model and seed made it."""
    return {
        "kind": kind,
        "campaign": campaign.fingerprint(stage),
        "campaign_name": campaign.name,
        "model": campaign.model.name,
        "model_version": campaign.model_instance.version,
        "seed": campaign.seed,
    }
