"""The typed configuration of a discovery study: known systems, how they are observed, and methods to compare."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from mechscreen.campaign import NAME, Configuration, Section
from mechscreen.errors import InputError, nearest

Figure = Literal["lotka-volterra", "noise", "lorenz", "actin"]

RESERVED = ("actin", "coefficients", "figures", "reliability")
"""Names in the study's folder that no table can have."""

RELIABILITY = ("odebench", "truths")
"""Suites whose data sets tell how far a model's confidence can be relied on."""


class RowSection(Section):
    """A case, and how it is observed."""

    case: str = Field(..., description="over-damped, spiral, cycle, lorenz or lorenz-short.")
    noise: float | None = Field(None, ge=0, description="Relative noise; null: the case's own.")
    step: float = Field(0.01, gt=0, description="Time between samples, a multiple of 0.001.")
    keep: float = Field(1.0, gt=0, le=1, description="Share of the samples that is not lost, at random.")
    degree: int = Field(2, ge=1, le=12, description="Degree of the library.")
    published: float | None = Field(None, description="Largest relative error of a coefficient in Hu et al.")

    @property
    def name(self) -> str:
        """Name of the row, for files and tables."""
        changes = [(key, getattr(self, key)) for key in ("noise", "step", "keep", "degree")]
        told = [f"-{key}-{value:g}" for key, value in changes if value != type(self).model_fields[key].default]
        return self.case + "".join(told)

    def options(self) -> dict[str, Any]:
        """Return the keyword arguments of `discovery_study.scoring.measure`."""
        return {"noise": self.noise, "step": self.step, "keep": self.keep, "degree": self.degree}


class TableSection(Section):
    """Rows of one table: cases, systems of the dysts database, or a suite."""

    rows: tuple[RowSection, ...] = Field((), description="Cases.")
    systems: tuple[str, ...] | Literal["all"] = Field((), description="Systems of the dysts database, or all.")
    suite: str | None = Field(
        None, description="odebench, mdbench, truths, rational, slow, documented, odr-bindy or argos."
    )
    select: tuple[str, ...] = Field((), description="Rows of the suite; all unless given.")
    library: str | None = Field(
        None,
        description="Library that our method is given in a suite: degree 3, or a name it knows; null: the suite's.",
    )
    seconds: float = Field(60.0, gt=0, description="What one fit of a suite may take.")
    before: str = Field("673738b", description="Commit that times are compared with (slow, documented).")
    methods: tuple[str, ...] | None = Field(None, description="Instead of the study's.")
    seeds: int | None = Field(None, ge=1, description="Instead of the study's.")

    @model_validator(mode="after")
    def _either(self) -> TableSection:
        if sum(map(bool, (self.rows, self.systems, self.suite))) != 1:
            raise ValueError("give one of rows, systems and suite")
        return self


@dataclass(frozen=True)
class Part:
    """What one job measures: one method on some seeds of a row."""

    table: str
    row: str
    method: str
    first: int
    count: int

    @property
    def name(self) -> str:
        """Path below the study's folder, without suffix."""
        return f"{self.table}/{self.row}/{method_name(self.method)}/seeds-{self.first:05d}"


def method_name(method: str) -> str:
    """Return ``peers-weak`` for ``benchmarks/peers.py:weak``."""
    file, _, function = method.rpartition(":")
    return f"{Path(file).stem}-{function}" if file else function


class Study(Configuration):
    """A study of discovery: tables of exactness, errors and times, and the figures of Hu et al. (2021)."""

    name: Annotated[str, Field(pattern=NAME, max_length=64)] = Field(..., description="Names the folder of results.")
    results: str = Field("results", description="Folder that holds the folders of results.")
    seeds: int = Field(100, ge=1, le=10**5, description="Noisy data sets for each row.")
    method_seeds: dict[str, Annotated[int, Field(ge=1)]] = Field(
        default_factory=dict, description="Instead of `seeds`, by method: fewer for slow ones."
    )
    seeds_per_job: int = Field(10, ge=1, description="Data sets that one job measures.")
    methods: tuple[str, ...] = Field(
        ("collocation",), min_length=1, description="collocation, odenet, or path/to/file.py:function."
    )
    tables: dict[Annotated[str, Field(pattern=NAME)], TableSection] = Field(
        ..., min_length=1, description="Tables by name."
    )
    odebench: str = Field(
        "../shared/data/odebench.json", description="File of ODEBench's systems; none there: left out."
    )
    actin: dict[Annotated[str, Field(pattern=NAME)], str] = Field(
        default_factory=dict,
        description="CSV files of actin's aggregation (m_tot_uM, t_hours, M_uM) by salt; none: synthetic curves.",
    )

    def check(self) -> None:
        """See that cases, systems and methods are there."""
        from discovery_study.cases import get_case
        from discovery_study.dysts import get_attractor
        from discovery_study.odebench import TRUTH
        from discovery_study.scoring import check_method

        for name, table in self.tables.items():
            if name in RESERVED:
                raise InputError(f"a table cannot be called '{name}': the study writes its own results there")
            for method in self.methods_of(name):
                if not (method == TRUTH and table.suite == "odebench"):
                    check_method(method)
            if table.suite is not None:
                self._check_suite(table)
            for row in table.rows:
                get_case(row.case)
            if table.systems != "all":
                for system in table.systems:
                    get_attractor(system)

    @staticmethod
    def _check_suite(table: TableSection) -> None:
        """See that a table's suite and rows are there."""
        from discovery_study.suites import SUITES

        suite = str(table.suite)
        if suite not in SUITES:
            raise InputError(f"no suite '{suite}'{nearest(suite, SUITES)} (valid: {', '.join(SUITES)})")
        for row in table.select:
            if row not in SUITES[suite].rows:
                raise InputError(f"suite '{suite}' has no row '{row}'{nearest(row, SUITES[suite].rows)}")

    def is_left_out(self, table: str) -> bool:
        """Whether a table cannot be measured, for the file of ODEBench's systems is not there."""
        from discovery_study.suites import SUITES

        suite = self.tables[table].suite
        return suite is not None and SUITES[suite].needs_odebench and not Path(self.odebench).is_file()

    @property
    def root(self) -> Path:
        """The study's folder."""
        return Path(self.results) / self.name

    @property
    def folder(self) -> Path:
        """Where parts, tables and figures stand."""
        return self.root / "discovery"

    @property
    def table_names(self) -> tuple[str, ...]:
        """Names of all tables that the study writes."""
        published = any(row.published is not None for table in self.tables.values() for row in table.rows)
        reliable = any(table.suite in RELIABILITY for table in self.tables.values())
        return (
            *self.tables,
            *(("coefficients",) if published else ()),
            *(("reliability",) if reliable else ()),
            "actin",
        )

    @property
    def salts(self) -> tuple[str, ...]:
        """What the actin curves are called."""
        return tuple(self.actin) or ("synthetic",)

    def rows(self, table: str) -> tuple[str, ...]:
        """Names of a table's rows."""
        section = self.tables[table]
        if section.rows:
            return tuple(row.name for row in section.rows)
        if section.suite is not None:
            from discovery_study.suites import SUITES

            return section.select or SUITES[section.suite].rows
        from discovery_study.dysts import systems

        return tuple(systems()) if section.systems == "all" else section.systems

    def methods_of(self, table: str) -> tuple[str, ...]:
        """Methods of a table."""
        return self.tables[table].methods or self.methods

    def parts(self, table: str) -> Iterator[Part]:
        """Yield all parts of a table."""
        own = self.tables[table].seeds
        if self.is_left_out(table):
            return
        for row in self.rows(table):
            for method in self.methods_of(table):
                seeds = own or self.method_seeds.get(method, self.seeds)
                for first in range(0, seeds, self.seeds_per_job):
                    yield Part(table, row, method, first, min(self.seeds_per_job, seeds - first))

    def part(self, name: str) -> Part:
        """Return a part by name.

        Raises
        ------
        InputError
            If the study has none of that name.
        """
        parts = {part.name: part for table in self.tables for part in self.parts(table)}
        if name not in parts:
            raise InputError(f"study '{self.name}': no part '{name}'{nearest(name, parts)}")
        return parts[name]
