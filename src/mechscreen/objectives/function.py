"""A function of one's own as an objective."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import numpy as np

from mechscreen.arrays import namespace
from mechscreen.errors import InputError, ModelError
from mechscreen.objectives.base import UNDECIDED, IntArray, is_numpy
from mechscreen.registry import check_options


class UserObjective:
    """A user's function with its class names and options; what it returns is checked on every call."""

    def __init__(self, spec: str, function: Callable[..., Any], options: Mapping[str, Any]) -> None:
        where = f"objective '{spec}'"
        parameters = {"classes": inspect.Parameter("classes", inspect.Parameter.KEYWORD_ONLY), **_options_of(function)}
        check_options(parameters, options, where)
        if "classes" not in options:
            raise InputError(f"{where} needs the option 'classes', a list of class names, one per label")
        missing = [name for name, parameter in parameters.items() if _is_needed(parameter) and name not in options]
        if missing:
            raise InputError(f"{where} needs the option '{missing[0]}', which has no default")
        classes = options["classes"]
        names = [str(name) for name in classes] if isinstance(classes, list | tuple) else []
        if not names or len(set(names)) != len(names) or not all(isinstance(name, str | int) for name in classes):
            raise InputError(f"{where}: classes {classes!r} must be a list of different names")
        self.spec = spec
        self.function = partial(function, **{name: value for name, value in options.items() if name != "classes"})
        self.class_names = tuple(names)
        self.version = str(getattr(function, "version", "1"))
        """The function's own attribute, if it has one."""

    def __call__(self, *arrays: Any) -> IntArray:
        """Return the function's labels, (n,).

        Raises
        ------
        ModelError
            If they are not n integers that `class_names` has names for.
        """
        first = arrays[0]
        first = next(iter(first.values())) if isinstance(first, Mapping) else first
        n = len(first)
        if not is_numpy(first):
            return self._compiled(n, *arrays)
        if n == 0:  # of nothing, many ways to write a function return an array of another type
            return np.empty(0, np.int64)
        labels = np.asarray(self.function(*arrays))
        if labels.shape != (n,) or not np.issubdtype(labels.dtype, np.integer):
            raise ModelError(
                f"objective '{self.spec}' returned {labels.dtype} values of shape {labels.shape} for {n} samples; "
                f"it must return integers of shape ({n},)"
            )
        outside = np.flatnonzero((labels < 0) | (labels >= len(self.class_names)))
        if outside.size:
            raise ModelError(
                f"objective '{self.spec}' returned label {labels[outside[0]]} for sample {outside[0]}; labels are "
                f"0 … {len(self.class_names) - 1}, one per name in 'classes' ({', '.join(self.class_names)})"
            )
        return labels.astype(np.int64)

    def _compiled(self, n: int, *arrays: Any) -> IntArray:
        """Return the labels of a program that JAX compiles; those that are no label are told when NumPy has them."""
        labels = self.function(*arrays)
        xp = namespace(labels)
        if labels.shape != (n,) or not np.issubdtype(labels.dtype, np.integer):
            raise TypeError(f"returns {labels.dtype} values of shape {labels.shape} for {n} samples")
        known = (labels >= 0) & (labels < len(self.class_names))
        return xp.where(known, labels, UNDECIDED).astype(np.int64)


def takes_names(objective: Callable[..., Any]) -> bool:
    """Return whether an objective takes the outputs by name: one argument, beside those that are options."""
    try:
        parameters = list(inspect.signature(objective).parameters.values())
    except (TypeError, ValueError):  # functions that are not written in Python need not say
        return False
    positional = [p for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    needed = [p for p in positional if p.default is p.empty]
    several = any(p.kind is p.VAR_POSITIONAL for p in parameters)
    return len(needed) == 1 and not several and "log_peaks" not in [p.name for p in positional]


def _options_of(function: Callable[..., Any]) -> dict[str, inspect.Parameter]:
    """Return the parameters of a function after the arrays."""
    try:
        parameters = list(inspect.signature(function).parameters.values())[1 if takes_names(function) else 2 :]
    except (TypeError, ValueError):  # functions that are not written in Python need not say
        return {}
    return {parameter.name: parameter for parameter in parameters if parameter.kind is not parameter.VAR_POSITIONAL}


def _is_needed(parameter: inspect.Parameter) -> bool:
    return (
        parameter.name != "classes"
        and parameter.default is parameter.empty
        and parameter.kind is not parameter.VAR_KEYWORD
    )
