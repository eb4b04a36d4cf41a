"""A campaign as a data package: one archive from which its emulator can be used elsewhere, and what it was and found.

It is a ZIP archive with the metadata of an RO-Crate (`mechscreen.reading.crate`). Its files stand as in the campaign's
folder.
"""

from __future__ import annotations

import hashlib
import io
import json
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from mechscreen import storage
from mechscreen.campaign import Campaign
from mechscreen.errors import InputError
from mechscreen.figures import figure_names
from mechscreen.reading.crate import Packed, describe
from mechscreen.reading.folder import Results
from mechscreen.schemas.emulators import MemberRecord
from mechscreen.stages.packed import METADATA
from mechscreen.stages.predict import read_evaluated
from mechscreen.stages.train import read_record

_LICENCE = re.compile(r"[A-Za-z0-9.+-]+|https?://\S+")

_README = """# {title}

The emulator of a campaign of [mechscreen](https://pypi.org/project/mechscreen) {version}, a program that screens models
with neural networks. `ro-crate-metadata.json` tells what each file is (RO-Crate 1.1).

The networks predict what the model would say. They need `pip install 'mechscreen[emulators]'`, and not the model:

    import mechscreen

    ensemble = mechscreen.load_ensemble("{archive}")  # or the folder that it was unpacked into
    said = ensemble.predict([{values}])
    ensemble.outputs.by_name(said.profiles, said.log_peaks)  # in the model's units

Parameters, in this order, in the ranges that the networks learnt:

{parameters}
"""


def pack(campaign: Campaign, to: Path | None, *, dataset: bool = False, licence: str | None = None) -> str:
    """Write a campaign's data package; return what is to be said about it. The same results give the same bytes.

    Parameters
    ----------
    campaign
        Of an opened folder of results.
    to
        The archive; the campaign's name in the current folder unless given.
    dataset
        Whether the training set is put in, too.
    licence
        By which others may use it: an identifier of SPDX (``CC-BY-4.0``) or an address.

    Raises
    ------
    InputError
        If there is no emulator yet, or none at all; if there is an archive already, or `licence` is neither.
    FileError, StorageError
        If a file is missing or wrong, or cannot be read or written.
    """
    to = Path(f"{campaign.name}.zip") if to is None else to
    if to.suffix != ".zip":
        raise InputError(f"{to}: a data package is a ZIP archive; give a name that ends with .zip")
    storage.check_new(to)
    if licence is not None and not _LICENCE.fullmatch(licence):
        raise InputError(f"licence {licence[:100]!r}: give an identifier of SPDX such as CC-BY-4.0, or an address")
    if campaign.by_model:
        raise InputError(f"{campaign.paths.root}: has no emulator to pack, since it screens by the model")
    storage.check_writable(to)
    members = [
        read_record(campaign.paths.member(number), campaign.identity("emulators"))
        for number in range(campaign.emulators.members)
    ]
    files: dict[str, tuple[Path | bytes, str]] = {}
    for path, what in _files(campaign, members, dataset):
        files[_name(campaign, path)] = path, what
    files["README.md"] = _readme(campaign, members[0], to).encode(), "What this is, and how it is used."
    if storage.exists(campaign.paths.screen_hits):
        files["screen/hits.csv"] = _hits(campaign), "Hits of the screen, by sample, with parameters in their units."
    content = {name: source for name, (source, _) in files.items()}
    latest = max(path.stat().st_mtime for path in content.values() if isinstance(path, Path))
    packed = {name: _look(source, what, latest) for name, (source, what) in files.items()}
    emulators = _name(campaign, campaign.paths.emulators)
    metadata = json.dumps(describe(campaign, members, emulators, packed, licence), indent=2, ensure_ascii=False)
    # The folder, too, which the metadata tell of.
    storage.write_archive(to, {METADATA: f"{metadata}\n".encode(), f"{emulators}/": b"", **content})
    size = sum(file.size for file in packed.values())
    unsaid = "" if licence else "; nobody is told what they may do with it (--license)"
    return f"{to}: {len(packed)} files, {size / 1e6:.1f} MB{unsaid}"


def _files(campaign: Campaign, members: Sequence[MemberRecord], dataset: bool) -> Iterator[tuple[Path, str]]:
    """Yield the files of a campaign that are there, and what each is."""
    paths = campaign.paths
    yield paths.campaign, "The configuration, with all defaults."
    yield paths.description, "The model: its origin, parameters and outputs."
    if not storage.exists(paths.ensemble):
        raise InputError(
            f"{paths.root}: the ensemble was not evaluated yet ({paths.ensemble} is missing): nobody could tell how "
            f"good it is; mechscreen status {paths.root} says how far the campaign is"
        )
    evaluated = read_evaluated(paths.ensemble).members
    if evaluated != {f"member-{member.member}": member.model_sha256 for member in members}:
        problem = "is of other networks than those that are there"
        raise storage.FileError(paths.ensemble, problem, "evaluate the ensemble again")
    yield paths.ensemble, "How the networks are used together."
    for number in range(campaign.emulators.members):
        folder = paths.member(number)
        yield folder / "member.json", f"Network {number}: parameters, outputs, settings and training."
        yield folder / "model.keras", f"Network {number}: weights and configuration, for Keras 3."
    further = {
        paths.bands: "Bands around predictions (split-conformal).",
        paths.metrics: "How good the networks are on samples that they never saw.",
        paths.calibrated: "Probabilities of classes, by simulations that no network has seen.",
        paths.validation_table: "Hits as the model simulates them, those to trust most first.",
        paths.validation_summary: "How many hits the model confirms.",
        paths.report: "The report, for people.",
        paths.summary: "The report in a few lines.",
        **{
            paths.figure(name, kind): f"Figure {name} of the report{', its data' if kind == 'csv' else ''}."
            for name in figure_names(campaign)
            for kind in ("png", "svg", "csv")
        },
    }
    yield from ((path, what) for path, what in further.items() if storage.exists(path))
    if dataset:
        if not storage.exists(paths.manifest):
            raise InputError(f"{paths.root}: has no training set ({paths.manifest} is missing); leave --dataset out")
        yield paths.manifest, "What the training set is."
        yield from ((path, "A part of the training set.") for path in storage.listing(paths.dataset) if _is_part(path))


def _is_part(path: Path) -> bool:
    return path.suffix == ".h5" and not storage.is_temporary(path)


def _name(campaign: Campaign, path: Path) -> str:
    """Return what a file is called in the package: as in the campaign's folder, or in that of its base."""
    root = campaign.paths.root
    if not path.is_relative_to(root):
        # Networks and training set of another campaign, or of one of its rounds.
        root = campaign.paths.dataset.parent
    return path.relative_to(root).as_posix()


def _readme(campaign: Campaign, member: MemberRecord, archive: Path) -> str:
    lines = [
        f"- `{p.name}`: {p.told(p.low)} … {p.told(p.high)}{f' {p.unit}' if p.unit else ''}"
        f"{f' ({p.meaning})' if p.meaning else ''}"
        for p in member.space
    ]
    return _README.format(
        title=f"{campaign.name}: an emulator of the {campaign.about.model.title} model",
        version=member.software_version,
        archive=archive.name,
        values=[float(f"{p.middle:.6g}") for p in member.space],
        parameters="\n".join(lines),
    )


def _hits(campaign: Campaign) -> bytes:
    stream = io.StringIO()
    Results(campaign).hits.to_csv(stream, lineterminator="\n")
    return stream.getvalue().encode()


def _look(source: Path | bytes, what: str, latest: float) -> Packed:
    """Return what is told of a file; what is written for the package is as old as the latest file in it."""
    if isinstance(source, bytes):
        return Packed(what, len(source), hashlib.sha256(source).hexdigest(), latest)
    with storage.reading(source):
        about = source.stat()
    return Packed(what, about.st_size, storage.sha256(source), about.st_mtime)
