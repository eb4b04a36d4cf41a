"""Prior knowledge about the equations: stated by the user, never assumed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from mechscreen.discovery.collocation import Columns
from mechscreen.discovery.library import FloatArray, Library
from mechscreen.discovery.selection import Blocks
from mechscreen.errors import InputError, nearest

Entry = tuple[str, str]
"""A coefficient: the variable whose equation it stands in, and the term it multiplies."""


@dataclass(frozen=True)
class Knowledge:
    """What is known about the coefficients before the data are seen.

    Parameters
    ----------
    only
        The terms that an equation may have; all of the library's unless given: ``{"x": ["x", "x*y"]}``.
    exclude
        Coefficients that are zero: ``[("x", "1")]``.
    fixed
        Coefficients that are known: ``{("x", "x"): 1.0}``.
    required
        Coefficients that stay in the model whatever the data say.
    tied
        Groups of coefficients in known proportion, which share one unknown: ``[{("P", "m^2"): 1, ("M", "m^2"): 2}]``.
    mirrored
        Equations that are a multiple of another: ``{"m": ("M", -1.0)}`` says dm/dt = −dM/dt, which conserves m + M.
    """

    only: Mapping[str, Sequence[str]] = field(default_factory=dict)
    exclude: Sequence[Entry] = ()
    fixed: Mapping[Entry, float] = field(default_factory=dict)
    required: Sequence[Entry] = ()
    tied: Sequence[Mapping[Entry, float]] = ()
    mirrored: Mapping[str, tuple[str, float]] = field(default_factory=dict)

    def bind(self, library: Library, units: FloatArray) -> Structure:
        """Turn the statements into columns of free coefficients.

        Parameters
        ----------
        units
            (d, M); a dimensionless coefficient is the physical one times its unit.

        Raises
        ------
        InputError
            For a name that does not exist, a coefficient stated twice, or statements that leave nothing to find.
        """
        d, n_terms = len(library.states), len(library)

        def locate(entry: Entry) -> tuple[int, int]:
            equation, term = entry
            return _variable(equation, library), library.index(term)

        allowed = np.ones((d, n_terms), dtype=bool)
        for equation, terms in self.only.items():
            k = _variable(equation, library)
            allowed[k] = False
            allowed[k, [library.index(term) for term in terms]] = True
        for entry in self.exclude:
            allowed[locate(entry)] = False
        offset = np.zeros((d, n_terms))
        for entry, value in self.fixed.items():
            if not np.isfinite(value):
                raise InputError(f"knowledge: the fixed coefficient {entry} is {value}; give a finite number")
            k, m = locate(entry)
            offset[k, m] = value * units[k, m]
            allowed[k, m] = False
        mirrors = {}
        for equation, (source, factor) in self.mirrored.items():
            k, origin = _variable(equation, library), _variable(source, library)
            if k == origin or source in self.mirrored:
                raise InputError(f"knowledge: equation '{equation}' cannot mirror '{source}', itself no free equation")
            mirrors[k] = (origin, factor)
            allowed[k] = False
            offset[k] = factor * offset[origin] * units[k] / units[origin]
        groups: list[list[tuple[int, int, float]]] = []
        grouped = np.zeros((d, n_terms), dtype=bool)
        for group in self.tied:
            entries = [(*locate(entry), float(weight)) for entry, weight in group.items()]
            for (k, m, weight), entry in zip(entries, group, strict=True):
                if not allowed[k, m] or grouped[k, m] or weight == 0.0:
                    raise InputError(
                        f"knowledge: the tied coefficient {entry} is excluded, fixed, tied twice or has weight 0"
                    )
                grouped[k, m] = True
            groups.append(entries)
        groups += [[(int(k), int(m), 1.0)] for k, m in np.argwhere(allowed & ~grouped)]
        # Free coefficients in the order of equation and term, so that results read like the equations.
        groups.sort(key=lambda entries: entries[0][:2])
        if not groups:
            raise InputError("knowledge: no coefficient is left to find")
        column, equation_index, term_index, weights = [], [], [], []
        for p, entries in enumerate(groups):
            mirrored = [
                (k, m, factor * weight)
                for k, (origin, factor) in mirrors.items()
                for own, m, weight in entries
                if own == origin
            ]
            first = units[entries[0][0], entries[0][1]]
            for k, m, weight in entries + mirrored:
                column.append(p)
                equation_index.append(k)
                term_index.append(m)
                weights.append(weight * units[k, m] / first)
        columns = Columns(
            np.array(column), np.array(equation_index), np.array(term_index), np.array(weights), len(groups), offset
        )
        locked = []
        for entry in self.required:
            place = locate(entry)
            owners = [p for p, entries in enumerate(groups) if any(e[:2] == place for e in entries)]
            if not owners:
                raise InputError(f"knowledge: the required coefficient {entry} is excluded, fixed or mirrored")
            locked.append(owners[0])
        return Structure(columns, np.array(sorted(set(locked)), dtype=np.int64))

    def describe(self) -> list[str]:
        """Return one line per statement, for reports."""
        lines = [f"d{k}/dt has only: {', '.join(terms)}" for k, terms in self.only.items()]
        lines += [f"d{k}/dt has no {m}" for k, m in self.exclude]
        lines += [f"d{k}/dt: coefficient of {m} is {value:g}" for (k, m), value in self.fixed.items()]
        lines += [f"d{k}/dt must have {m}" for k, m in self.required]
        lines += [
            "in proportion: " + ", ".join(f"{w:g} × {m} in d{k}/dt" for (k, m), w in group.items())
            for group in self.tied
        ]
        lines += [f"d{k}/dt = {factor:g} × d{source}/dt" for k, (source, factor) in self.mirrored.items()]
        return lines


@dataclass(frozen=True)
class Structure:
    """Columns of free coefficients, those that must stay, and those that go together, unless each is for itself."""

    columns: Columns
    locked: np.ndarray
    blocks: Blocks | None = None


def _variable(name: str, library: Library) -> int:
    try:
        return library.states.index(name)
    except ValueError:
        raise InputError(
            f"knowledge: no variable '{name}'{nearest(name, library.states)} (variables: {', '.join(library.states)})"
        ) from None
