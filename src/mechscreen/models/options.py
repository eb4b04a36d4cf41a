"""What people write of a model's parameters and outputs where these are its options."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from mechscreen.errors import InputError, check_keys
from mechscreen.models.outputs import FloatArray
from mechscreen.spaces import Parameter, Prior

_FIELDS = ("low", "high", "scale", "integer", "levels", "categories", "prior", "unit", "symbol", "meaning")


def mapping_of(where: str, what: str, given: Any, example: str) -> Mapping[str, Any]:
    """Return an option that is a mapping with something in it.

    Raises
    ------
    InputError
        If it is none; the message begins with `where` and ends with the example.
    """
    if not isinstance(given, Mapping) or not given:
        raise InputError(f"{where}: its option '{what}' is missing, such as {example}")
    return given


def parameter_of(where: str, name: Any, given: Any) -> Parameter:
    """Return a parameter, ``[low, high]`` or a mapping to fields of `mechscreen.Parameter`.

    Raises
    ------
    InputError
        If it is none; the message begins with `where`.
    """
    where = f"{where}, parameter '{name}'"
    if not str(name).isidentifier():
        raise InputError(f"{where}: names have letters, digits and underscores")
    if isinstance(given, Sequence) and not isinstance(given, str) and len(given) == 2:
        given = {"low": given[0], "high": given[1]}
    if not isinstance(given, Mapping):
        raise InputError(f"{where}: {given!r} is no range; give [low, high]")
    check_keys(where, given, _FIELDS)
    fields = dict(given)
    if categories := fields.get("categories"):
        fields = {"low": 0, "high": len(categories) - 1, **fields, "categories": tuple(map(str, categories))}
    elif levels := fields.get("levels"):
        fields = {"low": min(levels), "high": max(levels), **fields}
    for key in ("low", "high"):
        if isinstance(fields.get(key), bool) or not isinstance(fields.get(key), int | float):
            raise InputError(f"{where}: {key} is {fields.get(key)!r}; give a number")
        fields[key] = float(fields[key])
    if "levels" in fields:
        fields["levels"] = tuple(map(float, fields["levels"]))
    if isinstance(fields.get("prior"), str):
        fields["prior"] = Prior(fields["prior"])
    elif isinstance(fields.get("prior"), Mapping):
        fields["prior"] = Prior(**fields["prior"])
    return Parameter(str(name), **fields)


def points_of(where: str, given: Any) -> FloatArray | None:
    """Return the points that people write: a list of them, or ``{start, end, points}``; None for nothing.

    Raises
    ------
    InputError
        If it is neither; the message begins with `where`.
    """
    if given is None:
        return None
    if isinstance(given, Mapping):
        if set(given) != {"start", "end", "points"}:
            raise InputError(f"{where}: a grid has start, end and points, or is a list of its points")
        return np.linspace(float(given["start"]), float(given["end"]), int(given["points"]))
    try:
        return np.asarray(given, dtype=float)
    except (TypeError, ValueError):
        raise InputError(f"{where}: grid {given!r} is no list of numbers") from None
