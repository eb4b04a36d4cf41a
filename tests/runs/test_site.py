import math

import pytest

from mechscreen.runs.site import NONE, Limits, read_limits, read_minutes


@pytest.mark.parametrize(
    ("text", "minutes"),
    [("infinite", math.inf), ("30:00", 30), ("1:30:00", 90), ("2-12:00:00", 3600), ("0:30", 0.5)],
)
def test_times_are_read_as_sinfo_writes_them(text, minutes):
    assert read_minutes(text) == minutes


def test_the_largest_node_and_the_longest_partition_count():
    assert read_limits("4000|30:00\n192000+|2-00:00:00\n") == Limits(192000, 2880)


@pytest.mark.parametrize("said", ["", "what?\n", "4000|soon\n"])
def test_what_cannot_be_read_limits_nothing(said):
    assert read_limits(said) == NONE


def test_what_grows_stays_within_the_limits_and_never_falls_below_what_was_asked_at_first():
    limits = Limits(5000, 60)
    assert limits.memory(2000, 2) == 4000
    assert limits.memory(2000, 3) == 5000
    assert limits.memory(8000, 2) == 8000
    assert limits.time(40, 3) == 60
    assert NONE.memory(2000, 3) == 6000
