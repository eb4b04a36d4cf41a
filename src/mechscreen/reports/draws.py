"""Draws of a posterior as a table for other programs."""

from __future__ import annotations

import io

import numpy as np

from mechscreen.campaign import Campaign
from mechscreen.schemas.fits import Posterior


def to_csv(campaign: Campaign, draws: Posterior) -> str:
    """Return a row for each draw: its parameters, in their units, and −2 ln L."""
    stream = io.StringIO()
    heads = [*(parameter.head for parameter in campaign.space), "minus_two_log_likelihood"]
    stream.write(",".join(heads) + "\n")
    np.savetxt(stream, np.column_stack([draws.parameters, draws.deviance]), fmt="%.9g", delimiter=",")
    return stream.getvalue()
