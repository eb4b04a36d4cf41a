import math

import pytest

from mechscreen.runs.site import NONE, Limits, read_gpus, read_limits, read_minutes, read_partitions


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


NODES = """\
standard*|up|infinite|3|64|256000|gpu:a100:4(S:0-1),gpu:v100:2(S:0)|avx,fast|1-infinite
standard*|up|infinite|1|128|512000+|(null)|avx|1-infinite
short|up|30:00|2|32|128000|gpu:2|(null)|1-2
old|down|1-00:00:00|1|8|16000|(null)|(null)|1-infinite
"""
DETAILS = """\
PartitionName=standard AllowGroups=ALL AllowAccounts=ALL MaxMemPerCPU=4000 MaxTime=UNLIMITED
PartitionName=short AllowGroups=ALL AllowAccounts=lab,guests MaxMemPerCPU=UNLIMITED
"""


def test_partitions_hold_the_largest_of_their_nodes():
    standard, short, old = read_partitions(NODES, DETAILS)
    assert (standard.is_default, standard.nodes, standard.cores, standard.megabytes) == (True, 4, 128, 512000)
    assert standard.gpus == {"a100": 4, "v100": 2}
    assert standard.features == ("avx", "fast")
    assert standard.megabytes_per_core == 4000
    assert math.isinf(standard.minutes)
    assert (short.minutes, short.most_nodes, short.gpus, short.accounts) == (30, 2, {"gpu": 2}, ("lab", "guests"))
    assert not short.features
    assert not old.up
    assert str(short) == "short: up to 30 min; 2 nodes of up to 32 cores, 128,000 MB, 2 GPUs"


@pytest.mark.parametrize(
    ("gres", "gpus"),
    [
        ("(null)", {}),
        ("gpu:2", {"gpu": 2}),
        ("gpu", {"gpu": 1}),
        ("gpu:a100", {"a100": 1}),
        ("gpu:a100:4(S:0-1)", {"a100": 4}),
        ("fpga:1,gpu:tesla:2(IDX:0,1),gpu:1", {"tesla": 2, "gpu": 1}),
    ],
)
def test_gpus_are_read_from_generic_resources(gres, gpus):
    assert read_gpus(gres) == gpus
