"""Expressions that people write into configurations: parsed and checked once, computed on arrays, never evaluated.

The one place that reads them: terms of discovery, derived parameters, constraints, objectives. Nothing but numbers,
names, operators and the functions that the caller lists is allowed.
"""

from __future__ import annotations

import ast
import sys
import unicodedata
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from mechscreen.arrays import namespace
from mechscreen.errors import InputError, nearest

Kind = str
"""What a part of an expression is: `NUMBER`, `TRUTH`, or what the caller calls its own (``curve``)."""
NUMBER: Kind = "number"
TRUTH: Kind = "condition"

_Compute = Callable[[Mapping[str, Any]], Any]

_DEEPEST = 100
"""Levels of an expression."""


def _named(name: str) -> Callable[..., Any]:
    """Return a function of arrays, as the library of those that it is given calls it."""
    of_numpy = getattr(np, name)

    def compute(*values: Any) -> Any:
        xp = namespace(*values)
        return (of_numpy if xp is np else getattr(xp, name))(*values)

    return compute


_SIGNS = {ast.UAdd: _named("positive"), ast.USub: _named("negative")}
_ARITHMETIC = {
    ast.Add: _named("add"), ast.Sub: _named("subtract"), ast.Mult: _named("multiply"), ast.Div: _named("divide"),
    ast.Pow: _named("power"),
}  # fmt: skip
_COMPARISONS = {
    ast.Lt: _named("less"), ast.LtE: _named("less_equal"), ast.Gt: _named("greater"),
    ast.GtE: _named("greater_equal"), ast.Eq: _named("equal"), ast.NotEq: _named("not_equal"),
}  # fmt: skip
_NOT = _named("logical_not")
_JOINTS = {ast.And: _named("logical_and"), ast.Or: _named("logical_or")}


@dataclass(frozen=True)
class Function:
    """A function that may be called.

    Attributes
    ----------
    compute
        What is called with the values of the arguments.
    takes
        Kind of each argument.
    gives
        Kind of what it returns.
    more
        Whether further arguments of the last kind may follow.
    options
        Names of numbers that may be given by name (``peaks(x, prominence=0.1)``); constants, not expressions.
    """

    compute: Callable[..., Any]
    takes: tuple[Kind, ...] = (NUMBER,)
    gives: Kind = NUMBER
    more: bool = False
    options: tuple[str, ...] = ()


def _joined(join: Callable[[Any, Any], Any]) -> Callable[..., Any]:
    def joined(*values: Any) -> Any:
        found = values[0]
        for value in values[1:]:
            found = join(found, value)
        return found

    return joined


SMOOTH: Mapping[str, Function] = {
    name: Function(_named(name)) for name in ("sin", "cos", "tan", "exp", "log", "sqrt", "tanh", "sinh", "cosh")
}
"""Functions that have a derivative wherever they have a value."""

FUNCTIONS: Mapping[str, Function] = {
    **SMOOTH,
    **{
        name: Function(_named(name)) for name in ("log2", "log10", "abs", "floor", "ceil", "arcsin", "arccos", "arctan")
    },
    "min": Function(_joined(_named("minimum")), (NUMBER, NUMBER), more=True),
    "max": Function(_joined(_named("maximum")), (NUMBER, NUMBER), more=True),
}
"""Functions of numbers."""


@dataclass(frozen=True)
class Expression:
    """An expression that was checked.

    Attributes
    ----------
    text
        As it was written.
    kind
        What it is.
    names
        Those that stand in it, in the order in which they first do.
    calls
        The functions that it calls.
    """

    text: str
    kind: Kind
    names: tuple[str, ...]
    calls: tuple[str, ...]
    _compute: _Compute = field(repr=False, compare=False)

    def __call__(self, values: Mapping[str, Any]) -> Any:
        """Return its value for those of the names, arrays of one shape; a constant stays a single number."""
        return self._compute(values)


def parse(
    text: str,
    names: Mapping[str, Kind],
    where: str,
    *,
    wanted: Kind = NUMBER,
    functions: Mapping[str, Function] = FUNCTIONS,
) -> Expression:
    """Return an expression, checked.

    A name before parentheses is a function's, any other one of `names`, so that a parameter may be called ``exp``.
    ``^`` and ``**`` are powers.

    Parameters
    ----------
    names
        Those that may stand in it, dotted ones too (``mutant.x``), and what each is. A name may be a call, as
        `normalised` writes it: what is known of ``period(x)`` need not be computed from x.
    where
        Begins every message.
    wanted
        What it has to be.
    functions
        Those that may be called.

    Raises
    ------
    InputError
        Saying where, what is wrong, and what is allowed.
    """
    try:
        tree = ast.parse(text.strip().replace("^", "**"), mode="eval")
        reader = _Reader(names, functions, where)
        kind, compute = reader.read(tree.body, 0)
    except SyntaxError as error:
        raise InputError(f"{where}: not an expression ({error.msg})") from None
    except InputError:
        raise
    except ValueError as error:
        raise InputError(f"{where}: not an expression ({error})") from None
    except (RecursionError, MemoryError):
        raise InputError(f"{where[:60]} …: nested too deep") from None
    if kind != wanted:
        example = "such as a < b" if wanted == TRUTH else "and no comparison" if kind == TRUTH else ""
        raise InputError(f"{where}: is a {kind}; it must be a {wanted}{', ' if example else ''}{example}")
    return Expression(text, kind, tuple(reader.used), tuple(reader.called), compute)


def normalised(text: str) -> str:
    """Return an expression with blanks and brackets as Python writes them: one text for each way to write it."""
    return ast.unparse(ast.parse(text.strip().replace("^", "**"), mode="eval"))


def parts(text: str) -> Iterator[str]:
    """Yield the names and calls in an expression that can be read, the outermost first, as `normalised` writes them."""
    for node in ast.walk(ast.parse(normalised(text), mode="eval")):
        if isinstance(node, ast.Call | ast.Name | ast.Attribute):
            yield ast.unparse(node)


class _Reader:
    """Reads the tree of an expression; notes which names it comes by."""

    def __init__(self, names: Mapping[str, Kind], functions: Mapping[str, Function], where: str) -> None:
        self._names = names
        # Python reads µM with another letter, that looks the same.
        self._written = {unicodedata.normalize("NFKC", name): name for name in names}
        self._functions = functions
        self._where = where
        self.used: dict[str, None] = {}
        self.called: dict[str, None] = {}

    def read(self, node: ast.expr, depth: int) -> tuple[Kind, _Compute]:
        """Return what a part is, and what computes it."""
        if depth > _DEEPEST:
            raise RecursionError
        depth += 1
        match node:
            case ast.Constant(value=int() | float() as value) if not isinstance(value, bool):
                return NUMBER, self._constant(value)
            case ast.Name() | ast.Attribute():
                return self._name(node)
            case ast.UnaryOp(op=operator, operand=operand) if type(operator) in _SIGNS:
                sign, inner = _SIGNS[type(operator)], self._part(operand, depth, NUMBER)
                return NUMBER, lambda values: sign(inner(values))
            case ast.UnaryOp(op=ast.Not(), operand=operand):
                truth = self._part(operand, depth, TRUTH)
                return TRUTH, lambda values: _NOT(truth(values))
            case ast.BinOp(left=left, op=operator, right=right) if type(operator) in _ARITHMETIC:
                join = _ARITHMETIC[type(operator)]
                first, second = self._part(left, depth, NUMBER), self._part(right, depth, NUMBER)
                return NUMBER, lambda values: join(first(values), second(values))
            case ast.BoolOp(op=operator, values=operands):
                both = _joined(_JOINTS[type(operator)])
                parts = [self._part(operand, depth, TRUTH) for operand in operands]
                return TRUTH, lambda values: both(*(part(values) for part in parts))
            case ast.Compare(left=left, ops=operators, comparators=others) if all(
                type(operator) in _COMPARISONS for operator in operators
            ):
                return TRUTH, self._comparison([left, *others], operators, depth)
            case ast.Call() if ast.unparse(node) in self._names:
                return self._name(node)
            case ast.Call(func=ast.Name(id=name)):
                return self._call(name, node, depth)
        raise self._refused(node)

    def _part(self, node: ast.expr, depth: int, wanted: Kind) -> _Compute:
        kind, compute = self.read(node, depth)
        if kind != wanted:
            raise InputError(f"{self._where}: '{ast.unparse(node)}' is a {kind} where a {wanted} should be")
        return compute

    def _constant(self, value: float) -> _Compute:
        # Of whole numbers, Python would work out 9^9^9^9.
        constant = np.float64(value) if abs(value) <= sys.float_info.max else np.float64(np.inf)
        if not np.isfinite(constant):
            raise InputError(f"{self._where}: a number of it is too large")
        return lambda values: constant

    def _name(self, node: ast.Name | ast.Attribute | ast.Call) -> tuple[Kind, _Compute]:
        name = ast.unparse(node)
        name = self._written.get(name, name)
        if name not in self._names:
            if isinstance(node, ast.Attribute) and not any("." in known for known in self._names):
                raise self._refused(node)
            raise self._unknown(name)
        self.used.setdefault(name)
        return self._names[name], lambda values: values[name]

    def _comparison(self, sides: list[ast.expr], operators: list[ast.cmpop], depth: int) -> _Compute:
        parts = [self._part(side, depth, NUMBER) for side in sides]
        compare = [_COMPARISONS[type(operator)] for operator in operators]
        both = _joined(_JOINTS[ast.And])

        def compute(values: Mapping[str, Any]) -> Any:
            found = [part(values) for part in parts]
            return both(*(test(a, b) for test, a, b in zip(compare, found[:-1], found[1:], strict=True)))

        return compute

    def _call(self, name: str, node: ast.Call, depth: int) -> tuple[Kind, _Compute]:
        if name not in self._functions:
            raise self._unknown(name)
        self.called.setdefault(name)
        function, arguments = self._functions[name], node.args
        fits = len(arguments) == len(function.takes) or (function.more and len(arguments) > len(function.takes))
        named = {keyword.arg: keyword.value for keyword in node.keywords}
        if not fits or not named.keys() <= set(function.options) or any(isinstance(a, ast.Starred) for a in arguments):
            raise InputError(f"{self._where}: '{ast.unparse(node)}' is not allowed; {_usage(name, function)}")
        kinds = [function.takes[min(k, len(function.takes) - 1)] for k in range(len(arguments))]
        parts = [self._part(argument, depth, kind) for argument, kind in zip(arguments, kinds, strict=True)]
        options = {str(option): self._number(value) for option, value in named.items()}
        return function.gives, lambda values: function.compute(*(part(values) for part in parts), **options)

    def _number(self, node: ast.expr) -> float:
        try:
            value = ast.literal_eval(node)
        except ValueError:
            value = None
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise InputError(f"{self._where}: '{ast.unparse(node)}' is no number, which an option has to be")
        return float(self._constant(value)({}))

    def _unknown(self, name: str) -> InputError:
        return InputError(f"{self._where}: unknown name '{name}'{nearest(name, [*self._names, *self._functions])}")

    def _refused(self, node: ast.expr) -> InputError:
        return InputError(
            f"{self._where}: '{ast.unparse(node)}' is not allowed; use + - * / ^ and {', '.join(self._functions)}"
        )


def _usage(name: str, function: Function) -> str:
    """Return ``log takes one argument, as in log(x)``."""
    count = {1: "one argument", 2: "two arguments"}.get(len(function.takes), f"{len(function.takes)} arguments")
    inside = [*"xyzuvw"[: len(function.takes)], *(["…"] if function.more else [])]
    named = [f"{option}=1" for option in function.options]
    return f"{name} takes {count}{' or more' if function.more else ''}, as in {name}({', '.join([*inside, *named])})"
