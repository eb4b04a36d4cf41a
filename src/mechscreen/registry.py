"""What can be added from outside, by name: one registry of each kind.

A registry knows what is built in, what installed packages add by entry points, and, where it is so said,
``package.module:Name`` and ``path/to/file.py:Name``. Nothing is imported for its name alone.
"""

from __future__ import annotations

import importlib
import importlib.metadata
import inspect
import logging
import os
import sys
from collections.abc import Callable, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any, Generic, TypeVar

from mechscreen.errors import InputError, MechscreenError, ModelError, nearest

log = logging.getLogger(__name__)

Item = TypeVar("Item")


class Registry(Generic[Item]):
    """Classes or functions of one kind, by name.

    Parameters
    ----------
    what
        The kind, in messages ("model").
    built_in
        Where each of ours stands, ``module:Name``.
    base
        ``module:Class`` that each must derive from; "" for functions.
    own
        How people give one of their own, in messages; "" where they cannot.
    """

    def __init__(self, what: str, built_in: Mapping[str, str], *, base: str = "", own: str = "") -> None:
        self.what = what
        self.group = f"mechscreen.{what}s"
        self.built_in = dict(built_in)
        self._base = base
        self._own = own
        self._defined: dict[str, Item] = {}

    def names(self) -> list[str]:
        """Return all names: those built in, those of installed packages, those defined in this process."""
        return list(dict.fromkeys([*self.built_in, *sorted(self._installed()), *sorted(self._defined)]))

    def get(self, spec: str) -> Item:
        """Return what a name, or ``package.module:Name`` or ``path/to/file.py:Name``, stands for.

        Raises
        ------
        InputError
            If there is nothing of that name (the message has the nearest one), it cannot be imported, two installed
            packages have it, or it is of another kind.
        """
        if self._own and ":" in spec:
            found = load_object(spec, self.what)
        elif spec in self.built_in:
            module, _, attribute = self.built_in[spec].partition(":")
            return getattr(importlib.import_module(module), attribute)
        elif points := self._installed().get(spec, []):
            found = self._load(points)
        elif spec in self._defined:
            return self._defined[spec]
        else:
            names = self.names()
            own = f"; your own: {self._own}" if self._own else ""
            raise InputError(f"no {self.what} '{spec}'{nearest(spec, names)} (valid: {', '.join(names)}{own})")
        self._check(spec, found)
        return found

    def check(self, name: str) -> None:
        """See that there is something of a name, importing nothing that is built in; errors as for `get`."""
        if name not in self.built_in:
            self.get(name)

    def origin(self, name: str) -> dict[str, str]:
        """Return version by name of the distribution that adds something; {} for what is built in or defined here."""
        points = [] if name in self.built_in else self._installed().get(name, [])
        return {point.dist.name: point.dist.version for point in points if point.dist is not None}

    def define(self, name: str, item: Item) -> None:
        """Enter a class that this process defines; again, where its file is run again.

        Raises
        ------
        InputError
            If the name belongs to another class.
        """
        known = self._defined.get(name)
        other = self.built_in.get(name, "").replace(":", ".") if known is None else _address(known)
        same_file = known is not None and _source(item) is not None and _source(known) == _source(item)
        if other and other != _address(item) and not same_file:
            raise InputError(
                f"{self.what} '{name}' is already registered by {other}; give {_address(item)} another name"
            )
        self._defined[name] = item

    def _installed(self) -> dict[str, list[importlib.metadata.EntryPoint]]:
        """Return the entry points of installed packages, by name; more than one where they clash."""
        return _entry_points(self.group, tuple(sys.path))

    def _load(self, points: list[importlib.metadata.EntryPoint]) -> Any:
        whose = [f"{point.dist.name} {point.dist.version}" if point.dist else point.value for point in points]
        point = points[0]
        if len(points) > 1:
            raise InputError(f"{self.what} '{point.name}' is of {' and '.join(whose)}; uninstall all but one of them")
        if point.module not in sys.modules:
            log.info("%s '%s': running the code of the module %s (%s)", self.what, point.name, point.module, whose[0])
        try:
            return point.load()
        except (Exception, SystemExit) as error:
            raise ModelError(
                f"{self.what} '{point.name}' of {whose[0]}: importing {point.value} failed: "
                f"{type(error).__name__}: {error}"
            ) from error

    def _check(self, spec: str, found: Any) -> None:
        if not self._base:
            if not callable(found):
                raise ModelError(f"{self.what} '{spec}': {found!r} is not a function")
            return
        module, _, name = self._base.partition(":")
        base = getattr(importlib.import_module(module), name)
        if not (isinstance(found, type) and issubclass(found, base)):
            raise ModelError(f"{self.what} '{spec}': {found!r} is not a subclass of {module}.{name}")


@lru_cache
def _entry_points(group: str, path: tuple[str, ...]) -> dict[str, list[importlib.metadata.EntryPoint]]:
    """Return the entry points of a group, by name, in the packages that lie on `path`, which is `sys.path`."""
    found: dict[str, dict[str, importlib.metadata.EntryPoint]] = {}
    for point in importlib.metadata.entry_points(group=group):
        found.setdefault(point.name, {})[point.value] = point
    return {name: list(points.values()) for name, points in found.items()}


def _address(item: Any) -> str:
    return f"{item.__module__}.{item.__qualname__}"


def _source(item: Any) -> tuple[str, str] | None:
    """Return the file in which a class is defined, and its name there; None where there is no file."""
    file = getattr(sys.modules.get(item.__module__), "__file__", None)
    return (os.path.realpath(file), item.__qualname__) if file else None


def load_object(spec: str, what: str) -> Any:
    """Import the object that ``package.module:name`` or ``path/to/file.py:name`` stands for.

    `what` names it in messages ("model", "objective"). Importing runs the code of that file, which the log tells. A
    file may import its neighbours (`mechscreen.own`).

    Raises
    ------
    InputError
        If there is no such file or name.
    ModelError
        If it cannot be imported.
    """
    location, _, attribute = spec.rpartition(":")
    try:
        if location.endswith(".py"):
            from mechscreen import own

            path = Path(location).resolve()
            if not path.is_file():
                raise InputError(f"{what} '{spec}': no file {path}")
            if own.name_of(path) not in sys.modules:
                log.info("%s '%s': running the code of %s", what, spec, path)
            module = own.load(path)
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
    check_options(inspect.signature(function).parameters, options, where)
    try:
        return function(**options)
    except MechscreenError:
        raise
    except Exception as error:
        raise InputError(f"{where}, options {dict(options)}: {error}") from error


def check_options(parameters: Mapping[str, inspect.Parameter], options: Mapping[str, Any], where: str) -> None:
    """See that options are among the parameters of a function, and numbers where these are declared to be.

    Raises
    ------
    InputError
        If one is not.
    """
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


def _without_quotes(value: object) -> str:
    """Return how to write a number that YAML took for text, as it does with 1e-3; empty if it is no number."""
    try:
        return f", such as {float(value)!r} without quotes" if isinstance(value, str) else ""
    except ValueError:
        return ""


MODELS: Registry[Any] = Registry(
    "model",
    {
        "bngl": "mechscreen.models.bngl:BNGLModel",
        "command": "mechscreen.models.command:CommandModel",
        "myc_e2f": "mechscreen.models.myc_e2f:MycE2FModel",
        "pattern": "mechscreen.models.pattern:PatternModel",
        "petab": "mechscreen.models.petab:PetabModel",
        "sbml": "mechscreen.models.sbml:SBMLModel",
        "umbridge": "mechscreen.models.umbridge:UMBridgeModel",
    },
    base="mechscreen.models.base:Model",
    own="package.module:Class or path/to/file.py:Class",
)
OBJECTIVES: Registry[Any] = Registry(
    "objective",
    {
        "conditions": "mechscreen.objectives.conditions:Conditions",
        "match": "mechscreen.objectives.match:Match",
        "maximise": "mechscreen.objectives.maximise:Maximise",
        "modes": "mechscreen.objectives.modes:Modes",
        "rings": "mechscreen.objectives.rings:Rings",
    },
    own="package.module:function or path/to/file.py:function",
)
NETWORKS: Registry[Any] = Registry(
    "network",
    {
        "dense": "mechscreen.emulators.architectures.dense:DenseSettings",
        "lstm": "mechscreen.emulators.architectures.lstm:LSTMSettings",
        "aligned": "mechscreen.emulators.architectures.aligned:AlignedSettings",
    },
    base="mechscreen.emulators.architectures.base:Network",
)
BACKENDS: Registry[Any] = Registry(
    "backend",
    {
        "device": "mechscreen.emulators.backends.device:DevicePredictor",
        "keras": "mechscreen.emulators.backends.keras:KerasPredictor",
        "openvino": "mechscreen.emulators.backends.openvino:OpenVINOPredictor",
    },
    base="mechscreen.emulators.backends.base:Predictor",
)
ACQUISITIONS: Registry[Any] = Registry(
    "acquisition",
    {name: f"mechscreen.acquisitions:{name}" for name in ("committee", "disagreement", "target", "sensitivity", "mix")},
    own="package.module:function or path/to/file.py:function",
)
FIGURES: Registry[Any] = Registry(
    "figure",
    {
        name: f"mechscreen.figures.catalogue:{name.title().replace('_', '')}"
        for name in (
            "fits",
            "largest",
            "parameters",
            "hits",
            "again",
            "corner",
            "planes",
            "plane",
            "marginals",
            "patterns",
            "features",
            "feature_accuracy",
            "accuracy",
            "profiles",
            "disagreement",
            "calibration",
            "confidence",
            "robustness",
            "novelty",
            "training",
            "rounds",
        )
    },
    base="mechscreen.figures:CampaignFigure",
)
