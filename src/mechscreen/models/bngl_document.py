"""BioNetGen's networks (``.net``), and rules in its language (``.bngl``), of which BNG2.pl makes a network.

Read by bngsim; what they hold, and what is refused. `mechscreen.models.bngl` solves.
"""

from __future__ import annotations

import math
import re
import tempfile
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mechscreen.errors import InputError, unreadable
from mechscreen.models.sbml_document import Document, Quantity

_WANTED = "BioNetGen's .net, or .bngl"
_MOST_BYTES = 2**28
_READ = ("parameters", "functions", "species", "reactions", "groups")
_NEEDED = ("species", "reactions")
_ABOUT = ("molecule types", "observables", "compartments", "reaction rules", "population maps", "energy patterns")
"""Blocks that BioNetGen writes beside those that are read; they say where the network comes from."""
_STATEMENTS = ("setOption", "setModelName", "substanceUnits", "version")
"""What may stand between blocks; anything else is an action."""
_BY_TIME = re.compile(r"\b(?:time|tfun)\b")
_TABLE = re.compile(r"""\btfun\(\s*['"]([^'"]+)['"]""")
_MADE_BY = re.compile(r"# Created by BioNetGen (\S+)")
_UNNAMED = re.compile(r"__.*|_rateLaw\d+")
"""Names by BioNetGen and the engine of what nobody named."""


@dataclass(frozen=True)
class Network:
    """A network as the engine has it, and what it holds.

    Attributes
    ----------
    document
        Its quantities; it has no SBML.
    model
        ``bngsim.Model``.
    counted
        Parameters that are the initial number of a species.
    tables
        Files that its functions follow.
    made_by
        The version of BioNetGen that made it of rules just now; "" where it was given.
    """

    document: Document
    model: Any
    counted: frozenset[str]
    tables: tuple[str, ...]
    made_by: str = ""


def read_network(path: Path) -> Network:
    """Read a network, or rules, of which one is made.

    Raises
    ------
    InputError
        If there is none, it is cut off, or has what cannot be simulated, which is named.
    """
    text, made_by = _text_of(path), ""
    if path.suffix.lower() == ".bngl":
        model, text = _generated(path)
        made_by = found[1] if (found := _MADE_BY.search(text)) else ""
        blocks = _blocks(path, text)
    else:
        blocks = _blocks(path, text)
        model = _loaded(path)
    laws = [*blocks["functions"], *blocks["reactions"]]
    document = Document(
        name=path.stem,
        sbml="",
        time_unit="",
        quantities={quantity.name: quantity for quantity in _quantities(model)},
        by_itself=("functions that depend on time",) if any(map(_BY_TIME.search, laws)) else (),
    )
    return Network(
        document,
        model,
        counted=frozenset(line.split()[-1] for line in blocks["species"]) & set(model.param_names),
        tables=tuple(str(path.parent / name) for line in laws for name in _TABLE.findall(line)),
        made_by=made_by,
    )


def _text_of(path: Path) -> str:
    try:
        if path.stat().st_size > _MOST_BYTES:
            raise InputError(f"{path}: is larger than {_MOST_BYTES // 2**20} MiB; that is no network")
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise unreadable(path, error, f"give {_WANTED}") from None
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: not UTF-8 text (byte {error.start}); give {_WANTED}") from None
    if text.lstrip().startswith("<"):
        raise InputError(f"{path}: is none of BioNetGen's files; SBML is read by the model 'sbml'")
    return text


def _loaded(path: Path) -> Any:
    import bngsim

    try:
        with warnings.catch_warnings():
            # Of the laws Sat and Hill, which it writes in other words.
            warnings.simplefilter("ignore", UserWarning)
            return bngsim.Model.from_net(path)
    except bngsim.BngsimError as error:
        raise InputError(f"{path}: the engine (bngsim) cannot read it ({_short(error)})") from None


def _generated(path: Path) -> tuple[Any, str]:
    """Return the network that BNG2.pl makes of rules, and its text."""
    import bngsim

    if not bngsim.capabilities()["features"]["bngl"]:
        raise InputError(
            f"{path}: BNG2.pl, which makes a network of rules, is not found, or perl is not; set BNGPATH to the folder "
            "of BioNetGen, or give the .net file that it wrote"
        )
    with tempfile.TemporaryDirectory() as folder:
        net = Path(folder) / "network.net"
        try:
            return bngsim.Model.from_bngl(path, net_out=net), net.read_text(encoding="utf-8")
        except bngsim.BngsimError as error:
            raise InputError(f"{path}: BNG2.pl makes no network of it ({_short(error)})") from None


def _blocks(path: Path, text: str) -> dict[str, list[str]]:
    """Return the lines of each block that is read.

    A file that was cut off would be read as a smaller network, and an action or a block that the engine passes over
    would change nothing: both are refused.
    """
    found: dict[str, list[str]] = {}
    block = ""
    for number, line in enumerate(text.splitlines(), 1):
        words = line.partition("#")[0].split()
        name = " ".join(words[1:])
        if not words:
            continue
        if words[0] == "begin" and not block:
            if name not in (*_READ, *_ABOUT):
                raise InputError(f"{path}, line {number}: has '{name}', which the engine (bngsim) does not read")
            block = name
            found.setdefault(block, [])
        elif words[0] == "end" and name == block:
            block = ""
        elif block:
            found[block].append(" ".join(words))
        elif not words[0].startswith(_STATEMENTS):
            told = " ".join(words)[:40]
            raise InputError(f"{path}, line {number}: '{told}' is no part of a network, nor carried out; remove it")
    if block:
        raise InputError(f"{path}: ends within its {block}; get it whole")
    if missing := [name for name in _NEEDED if not found.get(name)]:
        raise InputError(f"{path}: has no {' and no '.join(missing)}; give {_WANTED}")
    return {name: found.get(name, []) for name in _READ}


def _quantities(model: Any) -> Iterator[Quantity]:
    """Yield what has a value; of one name, the last is it."""
    flags = zip(model.param_names, model.param_is_expression, model.param_is_internal, strict=True)
    for name, follows, internal in flags:
        if not internal and not _UNNAMED.fullmatch(name):
            yield Quantity(name, "parameter", "", model.get_param(name), settable=not follows, constant=True)
    for name in model.observable_names:
        if not _UNNAMED.fullmatch(name):
            yield Quantity(name, "observable", "", math.nan, settable=False)
    for name in model.species_names:
        yield Quantity(name, "species", "", model.get_concentration(name), in_amounts=True)
    for name in model.function_names:
        if not _UNNAMED.fullmatch(name):
            yield Quantity(name, "function", "", math.nan, settable=False)


def _short(error: Exception) -> str:
    return " ".join(str(error).split()).rpartition("Failed to load .net file: ")[2][:300]
