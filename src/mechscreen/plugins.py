"""Loading a user's own model or objective by name."""

from __future__ import annotations

import importlib
import importlib.util
import logging
import sys
import zlib
from pathlib import Path
from typing import Any

from mechscreen.errors import InputError, nearest

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
    except InputError:
        raise
    except (Exception, SystemExit) as error:
        raise InputError(f"{what} '{spec}': importing {location} failed: {type(error).__name__}: {error}") from error
    try:
        return getattr(module, attribute)
    except AttributeError:
        names = [name for name in vars(module) if not name.startswith("_")]
        raise InputError(f"{what} '{spec}': {location} has no '{attribute}'{nearest(attribute, names)}") from None
