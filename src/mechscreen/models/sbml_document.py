"""Models as they come: SBML, Antimony and COMBINE archives, read with libSBML; what they hold, and what is refused.

Nothing is simulated here, so that a campaign is checked, planned and reported in a moment; `mechscreen.models.sbml`
compiles and solves.
"""

from __future__ import annotations

import math
import zipfile
from collections.abc import Iterator, Mapping, Set
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal
from xml.etree import ElementTree

from mechscreen.errors import InputError, unreadable

Kind = Literal["parameter", "species", "compartment", "reaction", "observable", "function"]
"""The last two are BioNetGen's (`mechscreen.models.bngl_document`)."""

_DELAY = "http://www.sbml.org/sbml/symbols/delay"
_MOST_BYTES = 2**28
TIME = "http://www.sbml.org/sbml/symbols/time"
"""Time, where it stands among names: no model can call anything so."""
_HARMLESS = ("comp", "fbc", "layout", "render", "groups", "l3v2extendedmath")
"""Packages of SBML that say nothing of dynamics, or that the engine reads."""


@dataclass(frozen=True)
class Quantity:
    """Something of a model that has a value.

    Attributes
    ----------
    name, kind, meaning
        Identifier, what it is, and the model's words for it.
    value
        At the start; NaN where it follows from others.
    unit
        As the model says; "" where it does not.
    in_amounts
        Of a species: whether its symbol means an amount; else it means a concentration.
    settable
        Whether its value at the start is the model's to say, so that another can be set.
    constant
        Whether nothing changes it.
    """

    name: str
    kind: Kind
    meaning: str
    value: float
    unit: str = ""
    in_amounts: bool = False
    settable: bool = True
    constant: bool = False


@dataclass(frozen=True)
class Document:
    """A model: its SBML, of which local parameters became global ones (``reaction_parameter``), and what it holds."""

    name: str
    sbml: str
    time_unit: str
    quantities: dict[str, Quantity]
    by_itself: tuple[str, ...] = ()
    """What changes without a reaction (rate rules, delayed events, what depends on time), which Gillespie's method does
    not see."""

    def of_kind(self, kind: Kind) -> list[Quantity]:
        """Return its quantities of a kind, in the model's order."""
        return [quantity for quantity in self.quantities.values() if quantity.kind == kind]


def read_document(path: Path) -> Document:
    """Read a model from SBML (``.xml``, ``.sbml``), Antimony (``.ant``, ``.txt``) or a COMBINE archive (``.omex``).

    Raises
    ------
    InputError
        If there is none, it is not valid, or has what cannot be simulated, which is named.
    """
    import libsbml

    text = _sbml_of(path)
    document = libsbml.readSBMLFromString(text)
    _refuse_errors(path, document)
    model = document.getModel()
    if model is None:
        raise InputError(f"{path}: holds no SBML model; give a file of SBML, Antimony, or a COMBINE archive of one")
    _refuse_what_cannot_be_solved(path, document, text)
    properties = libsbml.ConversionProperties()
    properties.addOption("promoteLocalParameters", True)
    if document.convert(properties) != libsbml.LIBSBML_OPERATION_SUCCESS:
        raise InputError(f"{path}: its local parameters cannot be made global ones; give them names of their own")
    quantities = {quantity.name: quantity for quantity in _quantities(model)}
    return Document(
        name=model.getName() or model.getId() or path.stem,
        sbml=libsbml.writeSBMLToString(document),
        time_unit=_unit(model.getTimeUnits()) if model.isSetTimeUnits() else _named_unit(model, "time"),
        quantities=quantities,
        by_itself=tuple(_changes_by_itself(model, text)),
    )


@dataclass(frozen=True)
class Prepared:
    """A model for an engine that sets some of its values at the start.

    Attributes
    ----------
    sbml
        With what is held set, and what is to be set free of what the model derives it from.
    at_once
        Whether all that follows from what is set is worked out by the engine when it begins anew; else it has to be
        told of a new model each time, which takes it much longer.
    """

    sbml: str
    at_once: bool


def prepare(document: Document, held: Mapping[str, float], varied: Set[str]) -> Prepared:
    """Return a model in which some values at the start are held at others, and some are to be set."""
    import libsbml

    read = libsbml.readSBMLFromString(document.sbml)
    model = read.getModel()
    for name in [*held, *varied]:
        if (assignment := model.getInitialAssignment(name)) is not None:
            assignment.removeFromParentAndDelete()
        _set(model, document.quantities[name], held.get(name, 1.0 if name in varied else math.nan), name in varied)
    _turn_into_rules(model)
    at_once = not any(document.quantities[name].kind == "compartment" for name in varied)
    # What may happen at the very start happens each time that the engine begins anew, before all values are set.
    triggers = [event.getTrigger() for event in model.getListOfEvents()]
    at_once &= all(trigger is None or trigger.getInitialValue() for trigger in triggers)
    for assignment in model.getListOfInitialAssignments():
        target, depends = assignment.getSymbol(), _reached(model, assignment.getSymbol())
        species = model.getSpecies(target)
        changes = species is not None and not species.getBoundaryCondition() and model.getRule(target) is None
        # Of species, the engine works out anew what follows from parameters, and of nothing else.
        of_parameters = {name for name in varied & depends if document.quantities[name].kind == "parameter"}
        at_once &= (varied & depends) == of_parameters if changes else not varied & depends
    return Prepared(libsbml.writeSBMLToString(read), at_once)


def with_values(document: Document, values: Mapping[str, float]) -> str:
    """Return the SBML of a model in which some values at the start are others; what derived them is taken out."""
    import libsbml

    read = libsbml.readSBMLFromString(document.sbml)
    model = read.getModel()
    # Sizes of compartments first: concentrations are in them.
    for name in sorted(values, key=lambda name: document.quantities[name].kind == "species"):
        if (assignment := model.getInitialAssignment(name)) is not None:
            assignment.removeFromParentAndDelete()
        _set(model, document.quantities[name], values[name], varied=False)
    return str(libsbml.writeSBMLToString(read))


def _set(model: Any, quantity: Quantity, value: float, varied: bool) -> None:
    """Set a value at the start; of what is varied only where there is none."""
    item = model.getElementBySId(quantity.name)
    if quantity.kind == "species":
        if not varied or not (item.isSetInitialAmount() or item.isSetInitialConcentration()):
            (item.setInitialAmount if quantity.in_amounts else item.setInitialConcentration)(value)
    elif quantity.kind == "compartment":
        if not varied or not item.isSetSize():
            item.setSize(value)
    elif not varied or not item.isSetValue():
        item.setValue(value)


def _turn_into_rules(model: Any) -> None:
    """Let constant parameters follow from constant ones by a rule, which says the same and is always worked out."""

    def is_constant(name: str) -> bool:
        parameter = model.getParameter(name)
        return parameter is not None and (parameter.getConstant() or name in turned)

    turned: set[str] = set()
    found = True
    while found:
        found = False
        for assignment in list(model.getListOfInitialAssignments()):
            name = assignment.getSymbol()
            if is_constant(name) and all(map(is_constant, _names_in(assignment.getMath()))):
                rule = model.createAssignmentRule()
                rule.setVariable(name)
                rule.setMath(assignment.getMath())
                model.getParameter(name).setConstant(False)
                assignment.removeFromParentAndDelete()
                turned.add(name)
                found = True


def _reached(model: Any, name: str) -> set[str]:
    """Return all names that a symbol's value at the start follows from."""
    found: set[str] = set()
    left = [name]
    while left:
        symbol = left.pop()
        for definition in (model.getInitialAssignment(symbol), model.getAssignmentRule(symbol)):
            if definition is not None and definition.getMath() is not None:
                new = set(_names_in(definition.getMath())) - found
                found |= new
                left += new
    return found


def decisive(document: Document, names: Set[str]) -> set[str]:
    """Return all names on whose course that of some names depends, these included, and `TIME` where that is one."""
    import libsbml

    model = libsbml.readSBMLFromString(document.sbml).getModel()
    follows: dict[str, set[str]] = {}

    def add(name: str, *formulas: Any) -> None:
        found = follows.setdefault(name, set())
        found.update(other for formula in formulas if formula is not None for other in _names_in(formula))

    for rule in model.getListOfRules():
        add(rule.getVariable(), rule.getMath())
    for species in model.getListOfSpecies():
        follows.setdefault(species.getId(), set()).add(species.getCompartment())
    for reaction in model.getListOfReactions():
        law = reaction.getKineticLaw()
        add(reaction.getId(), law.getMath() if law is not None else None)
        for reference in [*reaction.getListOfReactants(), *reaction.getListOfProducts()]:
            species = model.getSpecies(reference.getSpecies())
            if species is None or species.getBoundaryCondition() or species.getConstant():
                continue
            follows[species.getId()] |= {reaction.getId(), reference.getId()} - {""}
            if reference.isSetStoichiometryMath():
                add(species.getId(), reference.getStoichiometryMath().getMath())
    for event in model.getListOfEvents():
        parts = [event.getTrigger(), event.getDelay(), event.getPriority()]
        for assignment in event.getListOfEventAssignments():
            of_all = [part.getMath() for part in parts if part is not None]
            add(assignment.getVariable(), assignment.getMath(), *of_all)
    found: set[str] = set()
    left = list(names)
    while left:
        name = left.pop()
        if name not in found:
            found.add(name)
            left += follows.get(name, ())
    return found


def _names_in(node: Any) -> Iterator[str]:
    """Yield the names in a formula, `TIME` for time; of a function that the model defines, those of its arguments."""
    import libsbml

    if node.isName():
        yield TIME if node.getType() == libsbml.AST_NAME_TIME else node.getName()
    for k in range(node.getNumChildren()):
        yield from _names_in(node.getChild(k))


def _sbml_of(path: Path) -> str:
    """Return the SBML of a file of any kind."""
    try:
        if path.stat().st_size > _MOST_BYTES:
            raise InputError(f"{path}: is larger than {_MOST_BYTES // 2**20} MiB; that is no model")
        content = path.read_bytes()
    except OSError as error:
        raise unreadable(path, error, "give a file of SBML, Antimony, or a COMBINE archive of one") from None
    if zipfile.is_zipfile(path):
        content = _in_archive(path)
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: not UTF-8 text (byte {error.start}); give SBML or Antimony") from None
    return text if text.lstrip().startswith("<") else sbml_of_antimony(path, text)


def sbml_of_antimony(where: Path | str, text: str) -> str:
    """Return the SBML of a model in Antimony.

    Raises
    ------
    InputError
        That begins with `where`, if it is none.
    """
    import antimony

    antimony.clearPreviousLoads()
    if antimony.loadAntimonyString(text) < 0:
        raise InputError(f"{where}: neither SBML nor Antimony ({' '.join(antimony.getLastError().split())})")
    return str(antimony.getSBMLString(antimony.getMainModuleName()))


def _in_archive(path: Path) -> bytes:
    """Return the SBML that a COMBINE archive holds (Bergmann et al. 2014): its master, or the only one."""
    try:
        with zipfile.ZipFile(path) as archive:
            manifest = ElementTree.fromstring(_extracted(path, archive, "manifest.xml"))
            entries = [dict(entry.attrib) for entry in manifest]
            models = [entry for entry in entries if "sbml" in entry.get("format", "").lower()]
            masters = [entry for entry in models if entry.get("master", "").lower() in ("true", "1")]
            chosen = masters or models
            if len(chosen) != 1:
                names = ", ".join(entry.get("location", "?") for entry in models) or "none"
                raise InputError(f"{path}: holds {len(models)} SBML models ({names}); extract one and give it")
            return _extracted(path, archive, chosen[0].get("location", "").removeprefix("./"))
    except (zipfile.BadZipFile, ElementTree.ParseError, NotImplementedError, RuntimeError) as error:
        raise InputError(f"{path}: is no COMBINE archive ({error})") from None


def _extracted(path: Path, archive: zipfile.ZipFile, name: str) -> bytes:
    try:
        if archive.getinfo(name).file_size > _MOST_BYTES:
            raise InputError(f"{path}: its '{name}' is larger than {_MOST_BYTES // 2**20} MiB; that is no model")
    except KeyError:
        raise InputError(f"{path}: is no COMBINE archive (it lacks {name or 'a location'})") from None
    return archive.read(name)


def _refuse_errors(path: Path, document: Any) -> None:
    import libsbml

    for k in range(document.getNumErrors()):
        error = document.getError(k)
        if error.getSeverity() >= libsbml.LIBSBML_SEV_ERROR:
            words = " ".join(error.getMessage().split())
            raise InputError(f"{path}, line {error.getLine()}: not valid SBML ({words[:300]})")


def _refuse_what_cannot_be_solved(path: Path, document: Any, text: str) -> None:
    model = document.getModel()
    found = []
    if any(rule.isAlgebraic() for rule in model.getListOfRules()):
        found.append("algebraic rules")
    if _DELAY in text:
        found.append("the delay function")
    if fast := [reaction.getId() for reaction in model.getListOfReactions() if reaction.getFast()]:
        found.append(f"fast reactions ({', '.join(fast)})")
    packages = [document.getPlugin(k).getPackageName() for k in range(document.getNumPlugins())]
    found += [f"the package '{name}'" for name in packages if name not in _HARMLESS]
    if found:
        raise InputError(f"{path}: has {' and '.join(found)}, which the engine (libroadrunner) cannot solve")


def _changes_by_itself(model: Any, text: str) -> Iterator[str]:
    if any(rule.isRate() for rule in model.getListOfRules()):
        yield "rate rules"
    if TIME in text:
        yield "what depends on time"
    if any(event.isSetDelay() for event in model.getListOfEvents()):
        yield "delayed events"


def _quantities(model: Any) -> Iterator[Quantity]:
    """Yield what has a value: species, parameters, compartments, reactions."""
    rules = {rule.getVariable(): rule for rule in model.getListOfRules()}
    assigned = {name for name, rule in rules.items() if rule.isAssignment()}
    initial = {item.getSymbol() for item in model.getListOfInitialAssignments()}

    def value_of(item: Any, value: float) -> float:
        return math.nan if item.getId() in initial or item.getId() in assigned else value

    for species in model.getListOfSpecies():
        amounts = bool(species.getHasOnlySubstanceUnits())
        yield Quantity(
            name=species.getId(),
            kind="species",
            meaning=species.getName(),
            value=value_of(species, _start(model, species, amounts, initial | rules.keys())),
            unit=_species_unit(model, species, amounts),
            in_amounts=amounts,
            settable=species.getId() not in assigned,
            constant=bool(species.getConstant()),
        )
    others: list[tuple[Kind, Any, float]] = [
        *(("parameter", p, p.getValue() if p.isSetValue() else math.nan) for p in model.getListOfParameters()),
        *(("compartment", c, c.getSize() if c.isSetSize() else math.nan) for c in model.getListOfCompartments()),
    ]
    for kind, item, value in others:
        yield Quantity(
            name=item.getId(),
            kind=kind,
            meaning=item.getName(),
            value=value_of(item, value),
            unit=_unit(item.getUnits(), model),
            settable=item.getId() not in assigned,
            constant=bool(item.getConstant()),
        )
    for reaction in model.getListOfReactions():
        yield Quantity(reaction.getId(), "reaction", reaction.getName(), math.nan, settable=False)


def _start(model: Any, species: Any, amounts: bool, following: Set[str]) -> float:
    """Return what a species' symbol means at the start: an amount, or a concentration.

    NaN where that takes the size of a compartment that is one of those `following` from others, or not given.
    """
    compartment = model.getCompartment(species.getCompartment())
    known = compartment is not None and compartment.isSetSize() and compartment.getId() not in following
    size = compartment.getSize() if known else math.nan
    if species.isSetInitialAmount():
        amount = float(species.getInitialAmount())
        return amount if amounts else amount / size if size else math.nan
    if species.isSetInitialConcentration():
        concentration = float(species.getInitialConcentration())
        return concentration * size if amounts else concentration
    return math.nan


def _species_unit(model: Any, species: Any, amounts: bool) -> str:
    substance = _unit(species.getSubstanceUnits() or model.getSubstanceUnits(), model) or _named_unit(
        model, "substance"
    )
    if amounts or not substance:
        return substance
    compartment = model.getCompartment(species.getCompartment())
    volume = _unit(compartment.getUnits(), model) if compartment is not None else ""
    volume = volume or _named_unit(model, "volume")
    return f"{substance}/{volume}" if volume else ""


def _named_unit(model: Any, name: str) -> str:
    """Return a unit that a model redefines under one of the names of SBML Level 2; "" where it does not."""
    return _unit(name, model) if model.getUnitDefinition(name) is not None else ""


_PREFIXES = {-15: "f", -12: "p", -9: "n", -6: "µ", -3: "m", 0: "", 3: "k", 6: "M"}
_SYMBOLS = {
    "second": "s", "mole": "mol", "litre": "l", "liter": "l", "metre": "m", "meter": "m", "gram": "g", "kilogram": "kg",
    "item": "item", "dimensionless": "", "joule": "J", "volt": "V", "ampere": "A", "kelvin": "K", "newton": "N",
    "pascal": "Pa", "hertz": "Hz", "coulomb": "C", "watt": "W", "farad": "F", "siemens": "S", "ohm": "Ω",
}  # fmt: skip
_SECONDS = {60.0: "min", 3600.0: "h", 86400.0: "d"}


def _unit(name: str, model: Any = None) -> str:
    """Return a unit in symbols, ``nmol/l``; its own name where that is not ours to write."""
    definition = model.getUnitDefinition(name) if model is not None and name else None
    if definition is None:
        return _SYMBOLS.get(name, name)
    above: list[str] = []
    below: list[str] = []
    for unit in definition.getListOfUnits():
        symbol = _symbol(unit)
        if symbol is None:
            return definition.getName() or name
        exponent = unit.getExponentAsDouble()
        if symbol and exponent:
            power = "" if abs(exponent) == 1 else f"^{abs(exponent):g}"
            (above if exponent > 0 else below).append(f"{symbol}{power}")
    if not below:
        return "·".join(above)
    return f"{'·'.join(above) or '1'}/{'/'.join(below)}"


def _symbol(unit: Any) -> str | None:
    """Return a base unit with its prefix; None where no prefix says its factor."""
    import libsbml

    kind = libsbml.UnitKind_toString(unit.getKind())
    factor = unit.getMultiplier() * 10.0 ** unit.getScale()
    if kind == "second" and factor in _SECONDS:
        return _SECONDS[factor]
    if kind == "dimensionless":
        return "" if factor == 1 else None
    exponent = round(math.log10(factor)) if factor > 0 else 99
    if kind not in _SYMBOLS or exponent not in _PREFIXES or not math.isclose(factor, 10.0**exponent, rel_tol=1e-9):
        return None
    return _PREFIXES[exponent] + _SYMBOLS[kind]
