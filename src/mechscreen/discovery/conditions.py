"""Experiments under several conditions: the same terms, and other values of some coefficients.

A coefficient that varies is one more column for each further condition: its term times an input that is 1 there and 0
elsewhere. These columns enter and leave together, and never without the first condition's.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from mechscreen.discovery.collocation import Columns
from mechscreen.discovery.inputs import Course, constant
from mechscreen.discovery.knowledge import Entry, Structure
from mechscreen.discovery.library import IntArray, Library, TermFunction
from mechscreen.discovery.selection import Blocks
from mechscreen.discovery.shapes import Shape
from mechscreen.errors import InputError, nearest


@dataclass(frozen=True)
class Conditions:
    """Which condition each trajectory has, and which coefficients vary.

    Attributes
    ----------
    labels
        (G,) in the order in which trajectories first have them.
    of
        (n_trajectories,) indices of these.
    varies
        Coefficients that have a value for each condition; None where that is to be found out.
    """

    labels: tuple[str, ...]
    of: IntArray
    varies: tuple[Entry, ...] | None

    def of_equation(self, name: str) -> Conditions | None:
        """Return what concerns one equation; None where no coefficient of it varies."""
        if self.varies is None:
            return self
        own = tuple(entry for entry in self.varies if entry[0] == name)
        return replace(self, varies=own) if own else None

    def describe(self) -> list[str]:
        """Return lines for reports."""
        return [f"coefficient of {term} in d{equation}/dt varies by condition" for equation, term in self.varies or ()]


def check_conditions(
    groups: Sequence[Hashable] | None, varies: Sequence[Entry] | None, n_trajectories: int, kept: Sequence[int]
) -> Conditions | None:
    """Check the labels of trajectories' conditions; None where none are given.

    Labels are of all trajectories that were given; only those that are `kept` have conditions.

    Raises
    ------
    InputError
        If they are too few, or alike, or nothing can vary by them.
    """
    if groups is None:
        if varies is not None:
            raise InputError("discover: coefficients vary by condition; say which one each trajectory has (groups)")
        return None
    every = [str(label) for label in groups]
    if len(every) != n_trajectories:
        raise InputError(f"discover: {len(every)} groups for {n_trajectories} trajectories; give one label for each")
    labels = [every[i] for i in kept]
    if "" in labels:
        raise InputError(f"discover: the group of trajectory {kept[labels.index('')] + 1} has no name; give one")
    unlike = tuple(dict.fromkeys(labels))
    if len(unlike) < 2:
        which = "all trajectories" if len(kept) == n_trajectories else f"all {len(kept)} trajectories that can be used"
        raise InputError(
            f"discover: {which} are of one group, '{unlike[0]}'; nothing can vary: leave the groups out, or give "
            "trajectories of another one"
        )
    of = np.array([unlike.index(label) for label in labels], dtype=np.int64)
    return Conditions(unlike, of, None if varies is None else tuple((str(k), str(m)) for k, m in varies))


@dataclass(frozen=True)
class Extended:
    """Terms and columns of several conditions.

    Attributes
    ----------
    library
        Given terms, and each that may vary times an input that is 1 in a further condition.
    base, group
        (M',) number of each term in the given library, and of its condition, 0 for the given terms.
    structure
        Columns over it, and which of these go together.
    """

    library: Library
    base: IntArray
    group: IntArray
    structure: Structure

    def columns(self, g: int) -> Columns:
        """Return what a condition has of the columns, over the given library."""
        columns = self.structure.columns
        own = np.isin(self.group[columns.term], (0, g))
        return Columns(
            columns.column[own],
            columns.equation[own],
            self.base[columns.term[own]],
            columns.weight[own],
            columns.count,
            columns.offset[:, self.group == 0],
        )


def extend(conditions: Conditions, library: Library, structure: Structure) -> Extended:
    """Return terms and columns with a value of each coefficient that may vary for each condition.

    Raises
    ------
    InputError
        If a coefficient that is to vary is no free one.
    """
    columns = structure.columns
    varying = np.arange(columns.count) if conditions.varies is None else _named(conditions, library, structure)
    terms = np.unique(columns.term[np.isin(columns.column, varying)])
    further = np.arange(1, len(conditions.labels))
    own, base, group = _terms(library, conditions.labels, terms)
    place = {(int(m), int(g)): at for at, (m, g) in enumerate(zip(base, group, strict=True))}
    parts = [(columns.column, columns.equation, np.array([place[int(m), 0] for m in columns.term]), columns.weight)]
    count = columns.count
    of = [*range(count)]
    needs = [-1] * count
    for p in varying:
        entries = columns.column == p
        block = int(p)
        if conditions.varies is None:
            block = len(needs)
            needs.append(int(p))
        for g in further:
            at = np.array([place[int(m), int(g)] for m in columns.term[entries]])
            parts.append((np.full(len(at), count), columns.equation[entries], at, columns.weight[entries]))
            of.append(block)
            count += 1
    offset = np.zeros((columns.offset.shape[0], len(own)))
    offset[:, group == 0] = columns.offset
    column, equation, term, weight = (np.concatenate(part) for part in zip(*parts, strict=True))
    blocks = Blocks(np.array(of), np.array(needs), np.arange(count) >= columns.count)
    extended = Structure(
        Columns(column, equation, term, weight, count, offset), blocks.closed(structure.locked), blocks
    )
    return Extended(own, base, group, extended)


def courses(conditions: Conditions, known: Sequence[Course]) -> list[Course]:
    """Return what inputs do in each trajectory, and after them, for each further condition, whether it is this one."""
    further = np.arange(1, len(conditions.labels))
    own = [constant((further == g).astype(float)) for g in conditions.of]
    return [one.beside(other) for one, other in zip(known, own, strict=True)] if known else own


def _named(conditions: Conditions, library: Library, structure: Structure) -> IntArray:
    """Return the columns of the coefficients that are said to vary."""
    columns = structure.columns
    found = []
    for name, term in conditions.varies or ():
        if name not in library.states:
            raise InputError(
                f"varies: no variable '{name}'{nearest(name, library.states)} (variables: {', '.join(library.states)})"
            )
        try:
            m = library.index(term)
        except InputError as error:
            raise InputError(f"varies: {error}") from None
        own = columns.column[(columns.equation == library.states.index(name)) & (columns.term == m)]
        if len(own) == 0:
            raise InputError(
                f"varies: the coefficient of {term} in d{name}/dt is known or excluded beforehand; it cannot vary"
            )
        found.append(own[0])
    return np.unique(np.array(found, dtype=np.int64))


def _terms(library: Library, labels: Sequence[str], terms: IntArray) -> tuple[Library, IntArray, IntArray]:
    """Return given terms and some of them for further conditions, which given one each is, and its condition."""
    n, further = len(library.exponents), range(1, len(labels))
    marks = tuple(f"condition_{g}_" for g in further)
    variables = (*library.states, *library.inputs)
    wide = np.pad(library.exponents, ((0, 0), (0, len(marks))))
    exponents, functions = [wide], [_widened(function, marks) for function in library.functions]
    base, group = [*range(n)], [0] * n
    for m in terms[terms < n]:
        for g in further:
            own = wide[[m]].copy()
            own[0, len(variables) + g - 1] = 1
            exponents.append(own)
            base.append(int(m))
            group.append(g)
    base += range(n, len(library))
    group += [0] * len(library.functions)
    for m in terms[terms >= n]:
        for g in further:
            functions.append(_times(library.functions[m - n], variables, marks, g))
            base.append(int(m))
            group.append(g)
    names = tuple(
        library.names[m] if g == 0 else f"{library.names[m]} ({labels[g]})" for m, g in zip(base, group, strict=True)
    )
    extended = Library(library.states, (*library.inputs, *marks), np.concatenate(exponents), tuple(functions), names)
    return extended, np.array(base), np.array(group)


def _widened(function: TermFunction, marks: tuple[str, ...]) -> TermFunction:
    """Return a function that is called with further columns, which it does not use."""
    if isinstance(function, Shape):
        floors = (*function.floors, *(-np.inf for _ in marks)) if function.floors else ()
        return replace(function, variables=(*function.variables, *marks), floors=floors)
    return lambda *values: function(*values[: -len(marks)])


def _times(function: TermFunction, variables: Sequence[str], marks: tuple[str, ...], g: int) -> TermFunction:
    """Return a function times the input that tells a further condition."""
    wide = _widened(function, marks)
    if isinstance(wide, Shape):
        return Shape.of(f"({wide.text})*{marks[g - 1]}", (*variables, *marks), [], [], wide.floors)
    return lambda *values: wide(*values) * values[len(variables) + g - 1]
