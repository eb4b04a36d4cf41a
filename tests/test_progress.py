import io
import re

import pytest

from mechscreen import progress
from mechscreen.progress import Progress, format_duration


class Clock:
    """A clock that a test sets."""

    def __init__(self):
        self.now = 1000.0

    def monotonic(self):
        return self.now


@pytest.fixture
def clock(monkeypatch):
    clock = Clock()
    monkeypatch.setattr(progress, "time", clock)
    return clock


class Terminal(io.StringIO):
    def isatty(self):
        return True


def test_a_log_gets_a_line_at_most_every_ten_seconds_and_one_at_the_end(clock):
    log = io.StringIO()
    with Progress(250, "shard-00003", "samples", stream=log) as shown:
        for _ in range(100):
            clock.now += 0.25
            shown.advance()
    assert log.getvalue().splitlines() == [
        "shard-00003: 40/250 samples, 4/s, 52 s left",
        "shard-00003: 80/250 samples, 4/s, 42 s left",
        "shard-00003: 100/250 samples, 4/s, 38 s left",
    ]


def test_work_of_unknown_length_shows_what_was_done_once_it_is_long(clock):
    log = io.StringIO()
    with Progress(None, "discover", "models fitted", stream=log) as shown:
        for _ in range(11):
            clock.now += 1.0
            shown.advance()
    assert log.getvalue().splitlines() == ["discover: 10 models fitted, 10 s", "discover: 11 models fitted, 11 s"]


def test_short_work_of_unknown_length_shows_nothing(clock):
    log = io.StringIO()
    with Progress(None, "discover", "models fitted", stream=log) as shown:
        clock.now += 1.0
        shown.advance()
    assert log.getvalue() == ""


def test_the_rate_counts_only_what_this_attempt_did(clock):
    log = io.StringIO()
    with Progress(1000, "shard-00003", "samples", initial=500, stream=log) as shown:
        clock.now += 4
        shown.advance(500)
    assert log.getvalue() == "shard-00003: 1000/1000 samples, 125/s, took 4.0 s\n"


def test_nothing_to_do_is_one_line(clock):
    log = io.StringIO()
    with Progress(0, "validate", "hits", stream=log):
        pass
    assert log.getvalue() == "validate: 0/0 hits\n"


def test_the_last_line_is_not_repeated(clock):
    log = io.StringIO()
    with Progress(2, "a", "b", stream=log) as shown:
        clock.now += 20
        shown.advance(2)
    assert len(log.getvalue().splitlines()) == 1


def test_a_terminal_gets_a_bar_with_rate_and_time_left():
    terminal = Terminal()
    with Progress(10, "shard-00003", "samples", initial=2, stream=terminal) as shown:
        for _ in range(8):
            shown.advance()
    last = terminal.getvalue().split("\r")[-1]
    assert re.search(r"shard-00003: 100%\|.*\| 10/10 \[\d\d:\d\d<\d\d:\d\d, .*samples/s\]", last)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0.0 s"), (9.94, "9.9 s"), (59.4, "59 s"), (200, "3 min 20 s"), (3599.7, "1 h 0 min"), (18_720, "5 h 12 min")],
)
def test_durations_read_well(seconds, text):
    assert format_duration(seconds) == text
