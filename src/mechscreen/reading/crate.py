"""What is told of a data package: its files, the emulator, the model and the software, as an RO-Crate 1.1.

https://www.researchobject.org/ro-crate/specification/1.1/ says what stands where, https://schema.org what words mean.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import PurePosixPath
from typing import Any
from urllib.parse import quote

from mechscreen.campaign import Campaign
from mechscreen.models import Output
from mechscreen.schemas.emulators import MemberRecord
from mechscreen.spaces import Parameter
from mechscreen.stages.packed import METADATA

Entity = dict[str, Any]

_SPECIFICATION = "https://w3id.org/ro/crate/1.1"
_SHA256 = {"sha256": "http://schema.org/sha256"}
"""A word of schema.org that the context of RO-Crate 1.1 does not have."""
_FORMATS = {
    ".csv": "text/csv",
    ".h5": "application/x-hdf5",
    ".html": "text/html",
    ".json": "application/json",
    ".keras": "application/zip",
    ".md": "text/markdown",
    ".png": "image/png",
    ".svg": "image/svg+xml",
    ".txt": "text/plain",
    ".yaml": "application/yaml",
}
_METHOD = "https://doi.org/10.1038/s41467-019-12342-y"
_SPDX = re.compile(r"[A-Za-z0-9.+-]+")


@dataclass(frozen=True)
class Packed:
    """A file of a package: what it is, its size in bytes, its SHA-256, and when it was written (POSIX time)."""

    what: str
    size: int
    sha256: str
    written: float


def describe(
    campaign: Campaign,
    members: Sequence[MemberRecord],
    emulators: str,
    files: Mapping[str, Packed],
    licence: str | None,
) -> Entity:
    """Return the content of ``ro-crate-metadata.json``.

    Parameters
    ----------
    members
        Of the ensemble.
    emulators
        Its folder in the package.
    files
        What stands in the package, by name.
    licence
        An identifier of SPDX such as ``CC-BY-4.0``, or an address; None if it is not known.
    """
    parameters = [_of_parameter(k, parameter) for k, parameter in enumerate(members[0].space)]
    outputs = [_of_output(k, output) for k, output in enumerate(members[0].distance.outputs)]
    software = _software(members)
    newest = max(file.written for file in files.values())
    root: Entity = {
        "@id": "./",
        "@type": "Dataset",
        "name": f"{campaign.name}: an emulator of the {campaign.about.model.title} model",
        "description": (
            f"The campaign {campaign.name} of mechscreen: configuration, trained networks, how good they are, and the "
            "parameter sets that a screen with them found."
        ),
        "datePublished": _date(newest),
        "mainEntity": {"@id": f"{emulators}/"},
        "about": {"@id": "#model"},
        "hasPart": [{"@id": f"{emulators}/"}, *_refer(_ids(files, outside=emulators))],
        "license": _licence(licence),
        "mentions": {"@id": "#run"},
    }
    ensemble: Entity = {
        "@id": f"{emulators}/",
        "@type": "Dataset",
        "name": f"{len(members)} {campaign.emulators.architecture.network} networks",
        "description": "Networks that predict the model's outputs from its parameters: mechscreen.load_ensemble",
        "dateCreated": _date(max(file.written for name, file in files.items() if name.startswith(f"{emulators}/"))),
        "hasPart": _refer(_ids(files, inside=emulators)),
        "variableMeasured": _refer(entity["@id"] for entity in (*parameters, *outputs)),
    }
    run: Entity = {
        "@id": "#run",
        "@type": "CreateAction",
        "name": "Simulation, training, screen and validation",
        "instrument": _refer(entity["@id"] for entity in software),
        "object": [{"@id": "campaign.yaml"}, {"@id": "#model"}],
        "result": root["hasPart"],
        "endTime": _date(newest),
    }
    graph = [
        {
            "@id": METADATA,
            "@type": "CreativeWork",
            "conformsTo": {"@id": _SPECIFICATION},
            "about": {"@id": "./"},
        },
        root,
        ensemble,
        *(_of_file(name, file) for name, file in files.items()),
        *parameters,
        *outputs,
        _model(campaign),
        run,
        *software,
        *_literature(root),
    ]
    return {"@context": [f"{_SPECIFICATION}/context", _SHA256], "@graph": graph}


def _licence(given: str | None) -> Any:
    """Return the licence as an entity that is referred to, or the text that RO-Crate allows in its place."""
    if given is None:
        return "No licence was given: ask who made this what you may do with it."
    return {"@id": f"https://spdx.org/licenses/{given}" if _SPDX.fullmatch(given) else given}


def _refer(ids: Any) -> list[Entity]:
    return [{"@id": name} for name in ids]


def _ids(files: Mapping[str, Packed], *, inside: str = "", outside: str = "") -> Iterator[str]:
    for name in files:
        if name.startswith(f"{inside}/") if inside else not name.startswith(f"{outside}/"):
            yield quote(name)


def _date(time: float) -> str:
    return datetime.fromtimestamp(int(time), UTC).isoformat()


def _of_file(name: str, file: Packed) -> Entity:
    return {
        "@id": quote(name),
        "@type": "File",
        "name": name,
        "description": file.what,
        "encodingFormat": _FORMATS[PurePosixPath(name).suffix],
        "contentSize": str(file.size),
        "dateCreated": _date(file.written),
        "sha256": file.sha256,
    }


def _of_parameter(place: int, parameter: Parameter) -> Entity:
    scale = "on a scale of logarithms" if parameter.scale == "log" else "on a linear scale"
    said = [parameter.meaning, f"Parameter {place + 1} of the emulator, {scale}, in the range that it learnt."]
    if parameter.categories:
        said.append("Categories by number: " + ", ".join(f"{k} {text}" for k, text in enumerate(parameter.categories)))
    return {
        "@id": f"#parameter-{place}",
        "@type": "PropertyValue",
        "propertyID": parameter.name,
        "name": parameter.name,
        "description": " ".join(filter(None, said)),
        "minValue": parameter.low,
        "maxValue": parameter.high,
        **_unit(parameter.unit),
    }


def _of_output(place: int, output: Output) -> Entity:
    axes = [f"{axis}, {points} points" for axis, points in zip(output.axes, output.shape, strict=True)]
    return {
        "@id": f"#output-{place}",
        "@type": "PropertyValue",
        "propertyID": output.name,
        "name": output.name,
        "description": f"Output {place + 1} of the emulator: {' × '.join(axes) or 'a number'}.",
        **_unit(output.unit),
    }


def _unit(unit: str) -> Entity:
    return {"unitText": unit} if unit else {}


def _model(campaign: Campaign) -> Entity:
    model = campaign.about.model
    sources = [f"{file} {digest}" for file, digest in {**model.source, **model.files}.items()]
    return {
        "@id": "#model",
        "@type": "SoftwareSourceCode",
        "name": model.title,
        "description": f"The mechanistic model that the networks emulate, in campaigns called {model.name}.",
        "version": model.version,
        **({"identifier": sources[0] if len(sources) == 1 else sources} if sources else {}),
        "subjectOf": {"@id": "model.json"},
    }


def _software(members: Sequence[MemberRecord]) -> list[Entity]:
    """Return the programs that made the networks, by the versions that their records tell."""
    used = {("mechscreen", member.software_version) for member in members}
    used |= {("keras", member.keras_version) for member in members}
    return [
        {
            "@id": f"#{name}-{version}",
            "@type": "SoftwareApplication",
            "name": name,
            "version": version,
            "softwareVersion": version,
            **({"citation": {"@id": _METHOD}} if name == "mechscreen" else {}),
        }
        for name, version in sorted(used, reverse=True)
    ]


def _literature(root: Entity) -> Iterator[Entity]:
    yield {
        "@id": _METHOD,
        "@type": "ScholarlyArticle",
        "name": "Massive computational acceleration by using neural networks to emulate mechanism-based biological "
        "models (Wang et al. 2019, Nature Communications 10, 4354)",
    }
    if isinstance(root["license"], dict):
        address = root["license"]["@id"]
        name = address.rstrip("/").rpartition("/")[2]
        yield {
            "@id": address,
            "@type": "CreativeWork",
            "name": name,
            "description": f"The licence {name}.",
            "url": address,
        }
