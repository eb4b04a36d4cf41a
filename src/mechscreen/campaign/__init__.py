"""The typed configuration: everything a campaign fixes, what a change remakes, and where its files stand."""

from mechscreen.campaign.campaign import NOT_SIMULATED, Campaign, json_schema
from mechscreen.campaign.configuration import NAME, Configuration, Section, read_mapping
from mechscreen.campaign.graph import STAGES, Stage
from mechscreen.campaign.identity import Identity
from mechscreen.campaign.paths import Paths
from mechscreen.campaign.sections import SAMPLE_TIME_LIMIT, SPLITS, ModelSection

__all__ = [
    "NAME",
    "NOT_SIMULATED",
    "SAMPLE_TIME_LIMIT",
    "SPLITS",
    "STAGES",
    "Campaign",
    "Configuration",
    "Identity",
    "ModelSection",
    "Paths",
    "Section",
    "Stage",
    "json_schema",
    "read_mapping",
]
