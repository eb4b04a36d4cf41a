"""Discovered equations as a model in a file: Antimony and SBML, with a parameter for each number that was found."""

from __future__ import annotations

import ast
import itertools
import math
import re
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from mechscreen import expressions
from mechscreen.discovery.inputs import Course
from mechscreen.discovery.library import FloatArray, Library, monomial_name
from mechscreen.discovery.model import DiscoveredModel
from mechscreen.discovery.shapes import Shape
from mechscreen.errors import InputError
from mechscreen.models.sbml_document import sbml_of_antimony

LEVEL = 0.95
"""Of the intervals that parameters vary in."""

FACTOR = 10.0
"""Without an interval, a parameter varies between its value divided by it, and its value times it."""

MOST_PIECES = 1000
"""Of the course of an input; with so many, an engine takes a second for a solution."""

_SAME = 1e-12
"""Relative difference of coefficients in a known proportion, by rounding."""


@dataclass(frozen=True)
class Constant:
    """A number of a model.

    Attributes
    ----------
    name, meaning
        In the file, and in words.
    value
        In the data's units.
    low, high
        Between which it varies; alike where it is known.
    log
        Whether on a logarithmic scale.
    """

    name: str
    meaning: str
    value: float
    low: float
    high: float
    log: bool


@dataclass(frozen=True)
class ModelFile:
    """Equations as a model.

    Attributes
    ----------
    antimony, sbml
        The same model; each number has all its digits.
    constants
        Coefficients, and unknowns inside of terms.
    called
        Variables and inputs → what the file calls them, since not every name can stand there.
    inputs
        What the file calls inputs.
    start
        What stays as it was in the first trajectory unless it is varied, too, by its name in the file: initial values
        of variables, and inputs that do not change; with the smallest and the largest of all trajectories.
    negative
        Names in the file of variables that are negative somewhere.
    end, points
        Of the longest trajectory: its duration, and its number of samples.
    """

    antimony: str
    sbml: str
    constants: tuple[Constant, ...]
    called: Mapping[str, str]
    inputs: frozenset[str]
    start: Mapping[str, tuple[float, float]]
    negative: frozenset[str]
    end: float
    points: int

    @property
    def renamed(self) -> str:
        """What is called otherwise, in words; "" where nothing is."""
        return ", ".join(f"{own} for '{name}'" for name, own in self.called.items() if own != name)


def as_model(model: DiscoveredModel, name: str = "equations", *, group: str | None = None) -> ModelFile:
    """Return discovered equations as a model in Antimony and SBML; time 0 is the first one of the first trajectory.

    Each coefficient is a parameter ``k_<variable>_<number>``: its size, with the sign in the equation, unless its
    interval contains zero. Coefficients in a known proportion share one. An unknown inside of a term is a parameter of
    its name and a number. What is fixed beforehand does not vary. Where coefficients vary by condition, `group` says
    which one's they are.

    Raises
    ------
    InputError
        If it is not said under which condition, a term is a function that was not given as an expression, an input has
        too many pieces, or a state has no finite value.
    """
    model = model if group is None else model.of_group(group)
    model.check_single("as a model")
    names = _Names()
    library = model.library
    called = {own: names.new(own) for own in (*library.states, *library.inputs)}
    compartment = names.new("cell")
    if not np.isfinite(model.initial).all():
        raise InputError("as a model: the fitted states are not finite")
    terms = _Terms(model, called, names)
    rates = list(_rates(model, terms, called, names))
    constants = (*(constant for _, _, own in rates for constant in own), *terms.constants)
    inputs, start = _inputs(model, called, names)
    lines = [
        "// Found by mechscreen discover:",
        *(f"//   {' '.join(line.split())}" for line in model.equations()),
        *([f"// Time 0 is {float(model.t[0][0])!r} of the data."] if model.t[0][0] else []),
        f"model {names.new(name)}",
        f"  compartment {compartment} = 1;",
        f"  species {', '.join(f'{called[own]} in {compartment}' for own in library.states)};",
        *(f"  {called[own]} = {_number(value)};" for own, value in zip(library.states, model.initial[0], strict=True)),
        *(f'  {own} is "{_quoted(label)}";' for label, own in called.items() if own != label),
        "",
        *(f"  {own.name} = {_number(own.value)};" for own in constants),
        *(f'  {own.name} is "{_quoted(own.meaning)}";' for own in constants),
        *inputs,
        *terms.floors,
        "",
        *(f"  {called[own]}' = {rate};" for own, rate, _ in rates),
        "end",
        "",
    ]
    text = "\n".join(lines)
    values = dict(zip((called[own] for own in library.states), model.initial[0].tolist(), strict=True))
    values |= {own.name: own.value for own in constants}
    longest = max(model.t, key=lambda t: float(t[-1] - t[0]))
    ends = np.stack([model.initial.min(axis=0), model.initial.max(axis=0)], axis=1).tolist()
    return ModelFile(
        antimony=text,
        sbml=_with_all_digits(sbml_of_antimony("as a model", text), values),
        constants=constants,
        called=called,
        inputs=frozenset(called[own] for own in library.inputs),
        start={called[own]: (low, high) for own, (low, high) in zip(library.states, ends, strict=True)} | start,
        negative=frozenset(
            called[own] for k, own in enumerate(library.states) if any((x[:, k] < 0).any() for x in model.denoised)
        ),
        end=float(longest[-1] - longest[0]),
        points=len(longest),
    )


class _Names:
    """Hands out names that a file can hold, each once."""

    def __init__(self) -> None:
        self._taken: set[str] = set()

    def new(self, wanted: str) -> str:
        """Return a name like one that is wanted."""
        name = _identifier(wanted)
        while name in self._taken or not _is_name(name):
            name += "_"
        self._taken.add(name)
        return name


def _identifier(text: str) -> str:
    """Return letters, digits and ``_`` of ASCII alone."""
    plain = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode()
    name = re.sub(r"\W+", "_", plain).strip("_") if not re.fullmatch(r"\w+", plain) else plain
    return name if re.match(r"[A-Za-z_]", name) else f"v{name}"


@lru_cache(maxsize=1024)
def _is_name(name: str) -> bool:
    """Return whether Antimony reads it as a name: not as a keyword, a function, or a number such as pi."""
    import libsbml

    try:
        text = sbml_of_antimony("", f"model m_\n  compartment c_;\n  species {name} in c_;\n  {name}' = 2*{name};\nend")
    except InputError:
        return False
    model = libsbml.readSBMLFromString(text).getModel()
    rule = model.getRateRule(name)
    return rule is not None and libsbml.formulaToL3String(rule.getMath()) == f"2 * {name}"


class _Terms:
    """Terms of a model as formulas; the numbers inside become parameters when a term is first asked for.

    Attributes
    ----------
    constants
        Unknowns inside of the terms that were asked for.
    floors
        Lines that define what variables are taken to be, at least, in terms that negative ones do not have.
    """

    def __init__(self, model: DiscoveredModel, called: Mapping[str, str], names: _Names) -> None:
        self.constants: list[Constant] = []
        self.floors: list[str] = []
        self._model, self._called, self._names = model, called, names
        self._shapes = 0
        there = set(np.flatnonzero(model.support.any(axis=0)).tolist())
        places = [m for m, _ in model.library.unknowns if m in there]
        self._intervals = {(m, own): ends for m, (_, own, _, *ends) in zip(places, model.unknowns(LEVEL), strict=True)}
        self._formulas: dict[int, str] = {}
        self._floored: dict[tuple[str, float], str] = {}

    def formula(self, m: int) -> str:
        """Return a term, in brackets where it is a sum."""
        if m not in self._formulas:
            library = self._model.library
            function = library.functions[m - len(library.exponents)] if m >= len(library.exponents) else None
            if function is None:
                variables = [self._called[own] for own in (*library.states, *library.inputs)]
                text = monomial_name(library.exponents[m].tolist(), variables)
            elif isinstance(function, Shape):
                text = self._of_shape(m, function)
            else:
                _check_expression(self._model, m)
                text = _formula(library.names[m], self._called)
            self._formulas[m] = text
        return self._formulas[m]

    def _of_shape(self, m: int, shape: Shape) -> str:
        names = dict(self._called)
        for own, floor in zip(shape.variables, shape.floors or (-math.inf,) * len(shape.variables), strict=True):
            if own in shape.expression.names and math.isfinite(floor):
                names[own] = self._at_least(own, floor)
        term = self._model.library.names[m]
        self._shapes += bool(shape.unknowns)
        for unknown, value in zip(shape.unknowns, map(float, shape.values), strict=True):
            low, high = self._intervals[m, unknown.name]
            names[unknown.name] = self._names.new(f"{unknown.name}_{self._shapes}")
            if not (math.isfinite(low) and math.isfinite(high)):
                low, high = sorted((value / FACTOR, value * FACTOR))
            meaning = f"{unknown.name} of {term}"
            self.constants.append(Constant(names[unknown.name], meaning, value, low, high, unknown.log))
        return _formula(shape.text, names)

    def _at_least(self, variable: str, floor: float) -> str:
        """Return the name of a variable that is taken to be at least so large."""
        if (variable, floor) not in self._floored:
            own = self._called[variable]
            name = self._floored[variable, floor] = self._names.new(f"{own}_positive")
            self.floors.append(f"  {name} := piecewise({own}, {own} > {floor!r}, {floor!r});")
        return self._floored[variable, floor]


def _formula(text: str, names: Mapping[str, str]) -> str:
    """Return an expression as Antimony writes it, with other names, in brackets where it is a sum."""
    tree = _Renamed(names).visit(ast.parse(text.replace("^", "**"), mode="eval")).body
    infix = ast.unparse(tree).replace(" ** ", "^").replace(" * ", "*").replace(" / ", "/")
    is_sum = isinstance(tree, ast.BinOp) and isinstance(tree.op, ast.Add | ast.Sub)
    return f"({infix})" if is_sum or isinstance(tree, ast.UnaryOp) else infix


class _Renamed(ast.NodeTransformer):
    """Gives variables and unknowns their names in a file; functions keep theirs, but for the natural logarithm's."""

    def __init__(self, names: Mapping[str, str]) -> None:
        # As Python reads names.
        self._names = {unicodedata.normalize("NFKC", name): own for name, own in names.items()}

    def visit_Name(self, node: ast.Name) -> ast.Name:
        return ast.Name(self._names.get(node.id, node.id), node.ctx)

    def visit_Call(self, node: ast.Call) -> ast.Call:
        assert isinstance(node.func, ast.Name)
        # There, log may be the decadic one.
        name = {"log": "ln"}.get(node.func.id, node.func.id)
        return ast.Call(ast.Name(name, ast.Load()), [self.visit(argument) for argument in node.args], [])


def _check_expression(model: DiscoveredModel, m: int) -> None:
    """See that a function is what its name says, as an expression in the variables."""
    library = model.library
    name, function = library.names[m], library.functions[m - len(library.exponents)]
    variables = (*library.states, *library.inputs)
    columns = dict(zip(variables, _along(model).T, strict=True))
    try:
        kinds = dict.fromkeys(variables, expressions.NUMBER)
        said = expressions.parse(name, kinds, "", functions=expressions.SMOOTH)(columns)
        with np.errstate(all="ignore"):
            same = np.allclose(said, function(*columns.values()), rtol=1e-9, equal_nan=True)
    except InputError:
        same = False
    if not same:
        raise InputError(
            f"as a model: the term '{name}' is a function of Python that no expression tells; give the library its "
            "functions as expressions (functions=['sin(x)'])"
        )


def _along(model: DiscoveredModel) -> FloatArray:
    """Return fitted states and inputs of all samples, (n, d + q)."""
    states = np.concatenate(model.denoised)
    if not model.courses:
        return states
    inputs = np.concatenate([course(t) for course, t in zip(model.courses, model.t, strict=True)])
    return np.concatenate([states, inputs], axis=1)


def _rates(
    model: DiscoveredModel, terms: _Terms, called: Mapping[str, str], names: _Names
) -> Iterator[tuple[str, str, list[Constant]]]:
    """Yield each variable, the formula of its rate, and the coefficients that are first met there."""
    intervals, errors = model.intervals(LEVEL), model.standard_errors
    shared = _proportions(model)
    known: dict[tuple[int, int], Constant] = {}
    for k, variable in enumerate(model.names):
        parts, own = [], []
        for number, m in enumerate(np.flatnonzero(model.support[k]).tolist(), 1):
            first, ratio = shared.get((k, m), ((k, m), 1.0))
            if first not in known:
                name = names.new(f"k_{called[variable]}_{number}")
                entries = [entry for entry, (of, _) in shared.items() if of == first]
                meaning = _meaning(model.library, [first, *entries])
                value, ends = float(model.coefficients[first]), intervals[first].tolist()
                known[first] = _constant(name, meaning, value, ends, float(errors[first]))
                own.append(known[first])
            constant = known[first]
            # The sign of a parameter that is a size stands here.
            factor = ratio * math.copysign(1.0, float(model.coefficients[first]) * constant.value)
            parts.append(("-" if factor < 0 else "+", _product(abs(factor), constant.name, terms.formula(m))))
        text = " ".join(f"{sign} {part}" for sign, part in parts).removeprefix("+ ")
        yield variable, re.sub(r"^- ", "-", text) or "0", own


def _product(factor: float, name: str, term: str) -> str:
    return "*".join([*([] if factor == 1 else [repr(factor)]), name, *([] if term == "1" else [term])])


def _meaning(library: Library, entries: Sequence[tuple[int, int]]) -> str:
    """Return ``coefficient of x*y in dx/dt, and in proportion of x*y in dy/dt``."""
    told = [f"of {library.names[m]} in d{library.states[k]}/dt" for k, m in entries]
    return f"coefficient {', and in proportion '.join(told)}"


def _constant(name: str, meaning: str, value: float, ends: Sequence[float], error: float) -> Constant:
    """Return a coefficient as a parameter: its size, unless zero is within its interval."""
    low, high = ends
    if math.isnan(error):
        low, high = sorted((value / FACTOR, value * FACTOR))
    if low <= 0 <= high and low < high:
        return Constant(name, meaning, value, low, high, log=False)
    low, high = sorted((abs(low), abs(high)))
    return Constant(name, meaning, abs(value), low, high, log=True)


def _proportions(model: DiscoveredModel) -> dict[tuple[int, int], tuple[tuple[int, int], float]]:
    """Return coefficients in a known proportion to an earlier one, that one, and the proportion.

    What is known so has errors in the same proportion, and nothing else by chance does.
    """
    entries = [(int(k), int(m)) for k, m in np.argwhere(model.support)]
    places = [k * len(model.library) + m for k, m in entries]
    found: dict[tuple[int, int], tuple[tuple[int, int], float]] = {}
    for at, entry in enumerate(entries):
        for before in range(at):
            first = entries[before]
            variance, shared = model.covariance[places[before], [places[before], places[at]]].tolist()
            own = float(model.covariance[places[at], places[at]])
            if first in found or not (variance > 0 and own > 0):
                continue
            ratio = shared / variance
            value = float(model.coefficients[entry] / model.coefficients[first])
            if math.isclose(ratio, value, rel_tol=_SAME) and math.isclose(ratio**2, own / variance, rel_tol=_SAME):
                found[entry] = first, float(f"{value:.14g}")
                break
    return found


def _inputs(
    model: DiscoveredModel, called: Mapping[str, str], names: _Names
) -> tuple[list[str], dict[str, tuple[float, float]]]:
    """Return lines that say what inputs do in the first trajectory, and the range of those that stay as they are."""
    lines, start = [], {}
    for j, own in enumerate(model.inputs):
        name = called[own]
        origin = float(model.t[0][0])
        pieces = _pieces(model.courses[0], j, origin)
        if len(pieces) > MOST_PIECES:
            raise InputError(
                f"as a model: the input '{own}' goes in {len(pieces):,} pieces in the first trajectory, and a file "
                f"holds {MOST_PIECES:,}; give it in steps, or at fewer times"
            )
        if len(pieces) == 1:
            lines.append(f"  {name} = {_number(pieces[0][1][0])};")
            levels = [float(course(t[:1])[0, j]) for course, t in zip(model.courses, model.t, strict=True)]
            start[name] = min(levels), max(levels)
        elif all(not any(piece[1:]) for _, piece in pieces):
            lines.append(f"  {name} = {_number(pieces[0][1][0])};")
            lines += [f"  at time >= {begin!r}: {name} = {_number(piece[0])};" for begin, piece in pieces[1:]]
        else:
            lines += _smooth(name, pieces, names)
    return (["", *lines] if lines else []), start


def _smooth(name: str, pieces: Sequence[tuple[float, list[float]]], names: _Names) -> list[str]:
    """Return lines for a course of cubic pieces, which events change: no step of an engine passes them by."""
    begun, *powers = (names.new(f"{name}_{part}") for part in ("begun", "0", "1", "2", "3"))
    since = f"(time - {begun})"
    a, b, c, d = powers
    lines = [f"  {name} := {a} + {since}*({b} + {since}*({c} + {since}*{d}));"]
    for number, (begin, piece) in enumerate(pieces):
        values = [f"{own} = {_number(value)}" for own, value in zip((begun, *powers), (begin, *piece), strict=True)]
        lines.append(f"  {'; '.join(values)};" if number == 0 else f"  at time >= {begin!r}: {', '.join(values)};")
    return lines


def _pieces(course: Course, j: int, origin: float) -> list[tuple[float, list[float]]]:
    """Return when each piece of an input begins, since an origin, and its powers of the time since then, (4,).

    A jump, which a course has as a short ramp, is at the middle of it.
    """
    knots = (course.knots - origin).tolist()
    values, slopes = course.values[:, j].tolist(), course.slopes[:, j].tolist()
    jumps = {float(end - origin) for end in course.jumps}
    found = [(-math.inf, [values[0], 0.0, 0.0, 0.0])]
    for k, (begin, end) in enumerate(itertools.pairwise(knots)):
        if end in jumps and values[k] != values[k + 1] and not slopes[k] and not slopes[k + 1]:
            found.append(((begin + end) / 2, [values[k + 1], 0.0, 0.0, 0.0]))
            continue
        h, step = end - begin, values[k + 1] - values[k]
        bend = (3 * step / h - 2 * slopes[k] - slopes[k + 1]) / h
        twist = (slopes[k] + slopes[k + 1] - 2 * step / h) / h**2
        found.append((begin, [values[k], slopes[k], bend, twist]))
    found.append((knots[-1], [values[-1], 0.0, 0.0, 0.0]))
    pieces = [found[0]]
    for begin, piece in found[1:]:
        if any(piece[1:]) or piece != pieces[-1][1]:
            pieces.append((begin, piece))
    now = max(k for k, (begin, _) in enumerate(pieces) if begin <= 0)
    begin, piece = pieces[now]
    return [(0.0 if math.isinf(begin) else begin, piece), *pieces[now + 1 :]]


def _with_all_digits(sbml: str, values: Mapping[str, float]) -> str:
    """Return SBML, which libSBML writes with 15 digits, with all digits of the values of some names."""

    def exact(found: re.Match[str]) -> str:
        value = values.get(found[1])
        return found[0] if value is None else f'id="{found[1]}"{found[2]} {found[3]}="{value!r}"'

    return re.sub(r'\bid="(\w+)"([^<>]*?) (value|initialConcentration)="[^"]*"', exact, sbml)


def _number(value: float) -> str:
    """Return all digits of a number."""
    return repr(float(value))


def _quoted(text: str) -> str:
    return " ".join(text.replace('"', "'").split())
