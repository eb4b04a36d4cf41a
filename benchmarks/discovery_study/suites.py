"""Suites of the study: systems and conditions that other studies, or this one, measure as a whole, and their tables."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from discovery_study import grids, odebench, rational, reports, speed, truths
from discovery_study.scoring import Row


@dataclass(frozen=True)
class Asked:
    """What a table says of its suite.

    Attributes
    ----------
    library
        Library that our method is given; None: the suite's own.
    limit
        Seconds that one fit may take.
    odebench
        The file of ODEBench's systems.
    before
        Commit that times are compared with.
    """

    library: str | None
    limit: float
    odebench: Path
    before: str


Measure = Callable[[Asked, str, int, str], list[Row]]
"""What is asked, row, seed and method → a row for each data set."""


@dataclass(frozen=True)
class Suite:
    """A suite.

    Attributes
    ----------
    rows
        Names of all its rows.
    measure
        Measures one row with one seed.
    report
        Makes the table as Markdown from all data sets' rows.
    needs_odebench
        Whether it needs the file of ODEBench's systems.
    """

    rows: tuple[str, ...]
    measure: Measure
    report: Callable[[Sequence[Row]], str]
    needs_odebench: bool = False


def _odebench(asked: Asked, row: str, seed: int, method: str) -> list[Row]:
    systems = odebench.read_systems(asked.odebench)
    library = asked.library or "degree 3"
    return odebench.measure(systems, row, seed, method=method, library=library, limit=asked.limit)


def _mdbench(asked: Asked, row: str, seed: int, method: str) -> list[Row]:
    systems = odebench.read_systems(asked.odebench)
    library = asked.library or "degree 3"
    return odebench.measure_mdbench(systems, row, seed, method=method, library=library, limit=asked.limit)


def _truths(asked: Asked, row: str, seed: int, method: str) -> list[Row]:
    return [truths.measure(row, seed, method=method, library=asked.library, limit=asked.limit)]


def _rational(asked: Asked, row: str, seed: int, method: str) -> list[Row]:
    return [rational.measure(row, seed, method=method, library=asked.library or "rational", limit=asked.limit)]


def _speed(asked: Asked, row: str, seed: int, method: str) -> list[Row]:
    del method
    return [speed.measure(row, seed, limit=asked.limit, before=asked.before)]


def _grids(asked: Asked, row: str, seed: int, method: str) -> list[Row]:
    return grids.measure(row, seed, method=method, library=asked.library, limit=asked.limit)


SUITES: Mapping[str, Suite] = {
    "odebench": Suite(odebench.rows(), _odebench, reports.odebench, needs_odebench=True),
    "mdbench": Suite(odebench.mdbench_rows(), _mdbench, reports.mdbench, needs_odebench=True),
    "truths": Suite(tuple(truths.FAMILIES), _truths, reports.truths),
    "rational": Suite(tuple(rational.SYSTEMS), _rational, reports.rational),
    "slow": Suite(tuple(speed.SLOW), _speed, reports.speed),
    "documented": Suite(tuple(speed.DOCUMENTED), _speed, reports.speed),
    "odr-bindy": Suite(grids.odr_bindy_rows(), _grids, reports.grids),
    "argos": Suite(grids.argos_rows(), _grids, reports.grids),
}
"""The suites by name."""
