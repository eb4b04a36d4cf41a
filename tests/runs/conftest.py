"""A campaign whose files are only named, for what looks at them from outside; a file system without locks."""

import errno
import fcntl
import os

import pytest

from mechscreen.campaign import Campaign
from mechscreen.runs.folder import write_plan
from mechscreen.runs.forecast import forecast


@pytest.fixture
def campaign(tmp_path):
    values = {
        "name": "looked-at",
        "results": str(tmp_path / "results"),
        "seed": 1,
        "simulations": {"count": 300, "shard_size": 100},
        "emulators": {"members": 2, "combine": "mean", "training": {"epochs": 10}},
        "screen": {"count": 2000, "block_size": 1000},
    }
    campaign = Campaign.from_dict(values)
    campaign.record()
    write_plan(campaign, forecast(campaign))
    return campaign


@pytest.fixture
def no_locks(monkeypatch):
    """A file system that knows no locks, as some network file systems are mounted."""

    def flock(stream, operation):
        raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS))

    monkeypatch.setattr(fcntl, "flock", flock)
