import copy

import pytest

from campaigns import STRIPE, run_stages
from mechscreen.campaign import Campaign


def _made(folder, **changes):
    values = copy.deepcopy(STRIPE)
    values |= {"results": str(folder / "results")}
    values["screen"] |= {"disagreement_limit": 0.5, "hits_per_block": 300}
    return Campaign.from_dict({**values, **changes})


@pytest.fixture
def made():
    """Return a function that makes the small stripe campaign in a folder, without running it."""
    return _made


@pytest.fixture(scope="session")
def stripe(tmp_path_factory):
    """The small stripe campaign, run from its simulations to its validation."""
    campaign = _made(tmp_path_factory.mktemp("stripe"))
    campaign.record()
    run_stages(campaign)
    return campaign
