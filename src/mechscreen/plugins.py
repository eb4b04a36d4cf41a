"""Loading a model or objective, a user's own too, by name and with options."""

from __future__ import annotations

import importlib
import importlib.util
import inspect
import logging
import sys
import zlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from mechscreen.errors import InputError, MechscreenError, ModelError, nearest

log = logging.getLogger(__name__)


def load_object(spec: str, what: str) -> Any:
    """Import the object that ``package.module:name`` or ``path/to/file.py:name`` stands for.

    `what` names it in messages ("model", "objective"). Importing runs the code of that file, which the log tells.
    """
    location, _, attribute = spec.rpartition(":")
    try:
        if location.endswith(".py"):
            path = Path(location).resolve()
            # Files of one name in two folders are two modules.
            module_name = f"mechscreen_user_{path.stem}_{zlib.crc32(str(path).encode(errors='replace')):08x}"
            if module_name in sys.modules:
                module = sys.modules[module_name]
            else:
                module_spec = importlib.util.spec_from_file_location(module_name, path)
                if module_spec is None or module_spec.loader is None or not path.is_file():
                    raise InputError(f"{what} '{spec}': no file {path}")
                log.info("%s '%s': running the code of %s", what, spec, path)
                module = importlib.util.module_from_spec(module_spec)
                sys.modules[module_name] = module
                try:
                    module_spec.loader.exec_module(module)
                except BaseException:
                    del sys.modules[module_name]
                    raise
        else:
            if location not in sys.modules:
                log.info("%s '%s': running the code of the module %s", what, spec, location)
            module = importlib.import_module(location)
    except MechscreenError:
        raise
    except (Exception, SystemExit) as error:
        raise ModelError(f"{what} '{spec}': importing {location} failed: {type(error).__name__}: {error}") from error
    try:
        return getattr(module, attribute)
    except AttributeError:
        names = [name for name in vars(module) if not name.startswith("_")]
        raise InputError(f"{what} '{spec}': {location} has no '{attribute}'{nearest(attribute, names)}") from None


def construct(function: Callable[..., Any], options: Mapping[str, Any], where: str) -> Any:
    """Return ``function(**options)``; `where` names it in messages ("model 'pattern'").

    Raises
    ------
    InputError
        If an option is unknown, is declared as a number and is none, or is refused.
    """
    parameters = inspect.signature(function).parameters
    takes_any = any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters.values())
    for name, value in options.items():
        if name not in parameters:
            if takes_any:
                continue
            raise InputError(
                f"{where} has no option '{name}'{nearest(name, parameters)} (valid: {', '.join(parameters) or 'none'})"
            )
        wants_number = parameters[name].annotation in (int, float, "int", "float")
        if wants_number and (isinstance(value, bool) or not isinstance(value, int | float)):
            raise InputError(f"{where}: {name} is {value!r}; it must be a number{_without_quotes(value)}")
    try:
        return function(**options)
    except MechscreenError:
        raise
    except Exception as error:
        raise InputError(f"{where}, options {dict(options)}: {error}") from error


def _without_quotes(value: object) -> str:
    """Return how to write a number that YAML took for text, as it does with 1e-3; empty if it is no number."""
    try:
        return f", such as {float(value)!r} without quotes" if isinstance(value, str) else ""
    except ValueError:
        return ""
