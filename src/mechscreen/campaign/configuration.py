"""What configurations have in common: plain values in YAML, checked, with messages for people."""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

import yaml
from pydantic import BaseModel, ConfigDict, ValidationError

from mechscreen.campaign.messages import describe
from mechscreen.errors import InputError, ModelError, unreadable

NAME = r"^[A-Za-z0-9][A-Za-z0-9._-]*$"

_DEEPEST = 20
_MOST = 100_000
"""Levels and values of a configuration; far above any campaign's, far below what aliases of YAML can make of a line."""


class Section(BaseModel):
    """A part of a configuration: no unknown keys, unchangeable."""

    model_config = ConfigDict(extra="forbid", frozen=True, protected_namespaces=(), allow_inf_nan=False)


class Configuration(Section):
    """All that a YAML file says."""

    @classmethod
    def from_dict(cls, values: Mapping[str, Any], source: str = "configuration") -> Self:
        """Validate a configuration, with what it names.

        Raises
        ------
        InputError
            One line for each thing that is wrong: path of the key, value, what is allowed, the nearest valid name.
        """
        return cls.parse(values, source)._checked(source)

    @classmethod
    def parse(cls, values: Mapping[str, Any], source: str) -> Self:
        """Validate the values alone, and not what they name; errors as for `from_dict`."""
        _check_plain(values, source)
        try:
            return cls.model_validate(values)
        except ValidationError as error:
            lines = [f"{source}: {line}" for line in describe(error.errors(include_url=False), cls)]
            raise InputError("\n".join(lines)) from None

    @classmethod
    def load(cls, path: str | Path) -> Self:
        """Read and validate a YAML file.

        Raises
        ------
        InputError
            If the file cannot be read, is not YAML, or fails `from_dict`.
        """
        return cls.from_dict(read_mapping(path), source=str(path))

    def _checked(self, source: str) -> Self:
        try:
            self.check()
        except (InputError, ModelError) as error:
            raise type(error)(f"{source}: {error}") from None
        return self

    def check(self) -> None:
        """See that there is what the values name.

        Raises
        ------
        InputError
            If not.
        """

    def to_yaml(self) -> str:
        """Return the resolved configuration, defaults included."""
        return yaml.safe_dump(self.model_dump(mode="json"), sort_keys=False, allow_unicode=True)


def read_mapping(path: str | Path) -> dict[str, Any]:
    """Read a YAML file that holds a mapping.

    Raises
    ------
    InputError
        If the file cannot be read, is not YAML, or holds something else.
    """
    try:
        text = Path(path).read_text(encoding="utf-8")
    except OSError as error:
        raise unreadable(Path(path), error, "give a YAML file") from None
    except UnicodeDecodeError:
        raise InputError(f"{path}: cannot be read (not UTF-8 text); give a YAML file") from None
    try:
        values = yaml.safe_load(text)
    except RecursionError:
        raise InputError(f"{path}: is nested too deeply") from None
    except Exception as error:
        # Not only YAMLError: dates and numbers that are none raise whatever their constructors do.
        raise InputError(f"{path}: not valid YAML: {' '.join(str(error).split())}") from None
    if not isinstance(values, dict):
        raise InputError(f"{path}: expected a mapping of keys such as 'name'")
    return values


def _check_plain(values: Any, source: str) -> None:
    """Refuse what no campaign needs, and libraries stumble over: all but numbers, text, lists and mappings of them."""
    waiting: list[tuple[tuple[Any, ...], Any]] = [((), values)]
    count = 0
    while waiting:
        keys, value = waiting.pop()
        count += 1
        problem = ""
        if len(keys) > _DEEPEST or count > _MOST:
            problem = f"is nested too deeply, or holds more than {_MOST} values"
        elif isinstance(value, Mapping):
            waiting += [((*keys, key), inner) for key, inner in value.items()]
            strange = [key for key in value if not isinstance(key, str) or not _is_line(key)]
            if strange:
                problem = f"has the key {strange[0]!r}; keys are text of one line, in quotes if need be"
        elif isinstance(value, list | tuple):
            waiting += [((*keys, place), inner) for place, inner in enumerate(value)]
        elif isinstance(value, str):
            problem = "" if _is_line(value) else f"is {value!r}, which holds a control character"
        elif isinstance(value, int):
            problem = "" if abs(value) < 2**64 else "is too large a number"
        elif not (value is None or isinstance(value, float)):
            problem = f"is of type {type(value).__name__}; give a number, or text in quotes"
        if problem:
            path = ".".join(str(key) for key in keys) or "(top level)"
            raise InputError(f"{source}: '{path}' {problem}")


def _is_line(text: str) -> bool:
    """Return whether there is no control character in a text, and no half of a surrogate pair."""
    return not any(unicodedata.category(character) in ("Cc", "Cs") for character in text)
