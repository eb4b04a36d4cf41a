"""Loading a user's own model or objective by name."""

from __future__ import annotations

import importlib
import importlib.util
import sys
from pathlib import Path
from typing import Any

from mechscreen.errors import InputError, nearest


def load_object(spec: str, what: str) -> Any:
    """Import the object that ``package.module:name`` or ``path/to/file.py:name`` stands for.

    `what` names it in messages ("model", "objective").
    """
    location, _, attribute = spec.rpartition(":")
    try:
        if location.endswith(".py"):
            path = Path(location).resolve()
            module_name = f"mechscreen_user_{path.stem}"
            if module_name in sys.modules:
                module = sys.modules[module_name]
            else:
                module_spec = importlib.util.spec_from_file_location(module_name, path)
                if module_spec is None or module_spec.loader is None or not path.is_file():
                    raise InputError(f"{what} '{spec}': no file {path}")
                module = importlib.util.module_from_spec(module_spec)
                sys.modules[module_name] = module
                try:
                    module_spec.loader.exec_module(module)
                except BaseException:
                    del sys.modules[module_name]
                    raise
        else:
            module = importlib.import_module(location)
    except InputError:
        raise
    except Exception as error:
        raise InputError(f"{what} '{spec}': importing {location} failed: {type(error).__name__}: {error}") from error
    try:
        return getattr(module, attribute)
    except AttributeError:
        names = [name for name in vars(module) if not name.startswith("_")]
        raise InputError(f"{what} '{spec}': {location} has no '{attribute}'{nearest(attribute, names)}") from None
