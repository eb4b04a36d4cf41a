"""Predict: an ensemble's folder, or a data package, and parameter sets → profiles. No campaign is needed."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from pydantic import ValidationError

from mechscreen import storage
from mechscreen.campaign import Campaign, Identity
from mechscreen.emulators.backends.base import AUTO
from mechscreen.emulators.backends.choice import prepare
from mechscreen.emulators.conformal import LEVEL
from mechscreen.emulators.settings import Combine, Precision
from mechscreen.errors import InputError
from mechscreen.models import Outputs
from mechscreen.models.distances import Distance
from mechscreen.schemas.emulators import EnsembleBands, EnsembleRecord, MemberRecord, PredictedTable
from mechscreen.schemas.model import ModelArrays
from mechscreen.spaces import ParameterSpace
from mechscreen.stages.bands import Around, around
from mechscreen.stages.packed import Found, find_ensemble
from mechscreen.stages.train import read_record
from mechscreen.tables import read_parameters

if TYPE_CHECKING:
    from mechscreen.emulators.ensemble import Ensemble, Prediction

log = logging.getLogger(__name__)


class TrainedEnsemble:
    """An ensemble with the parameters and outputs of the model that it emulates; made by `load_ensemble`.

    Attributes
    ----------
    space
        The parameters, in the ranges that the ensemble was trained on.
    outputs
        What the model returns; ``outputs.by_name(said.profiles, said.log_peaks)`` has what `predict` said in its
        units.
    """

    def __init__(self, ensemble: Ensemble, space: ParameterSpace, outputs: Outputs, found: Found) -> None:
        self.ensemble = ensemble
        self.space = space
        self.outputs = outputs
        self._found = found

    def predict(self, parameters: ArrayLike, *, normalised: bool = False) -> Prediction:
        """Predict n parameter sets.

        Parameters
        ----------
        parameters
            (n, d), physical units, or normalised values with `normalised`.

        Returns
        -------
        An object with ``profiles`` (n, outputs, points), or (n, values) where outputs differ in shape, ``log_peaks``
        (n, outputs) and ``disagreement`` (n,).

        Raises
        ------
        InputError
            If the array has another shape or holds a value that is not finite.
        """
        return self.ensemble.predict(self._check(parameters, normalised))

    def predict_bands(
        self, parameters: ArrayLike, level: float = LEVEL, *, normalised: bool = False
    ) -> tuple[Prediction, Around]:
        """Predict n parameter sets, and bands that hold what the model would say as often as `level` says.

        Of parameter sets drawn as the simulations were, a share `level` of all values lies in the bands of values, and
        of a share `level` of the sets all values of an output lie in the band of the whole (split-conformal prediction
        on the campaign's test split; ``docs/measured/emulators.md`` has what was measured).

        Parameters
        ----------
        parameters, normalised
            As for `predict`.
        level
            0.5, 0.8, 0.9 or 0.95.

        Raises
        ------
        InputError
            As `predict` does; if there are no bands of that level, or the ensemble was not evaluated as it is.
        """
        # Before the members predict, which takes longer.
        bands = _bands_of(self._found.folder, self.ensemble.combine)
        from mechscreen.emulators.ensemble import combine_members

        members = self.ensemble.predict_members(self._check(parameters, normalised))
        said = combine_members(members, self.ensemble.combine, self.ensemble.distance)
        return said, around(self.outputs, bands, said, members, level)

    def _check(self, parameters: ArrayLike, normalised: bool) -> NDArray[np.float64]:
        """Return normalised parameter sets; say it where some were never tested."""
        values = self.space.check(parameters)
        if normalised:
            values = self.space.denormalise(values)
        outside = self.space.outside(values)
        if outside:
            log.warning(
                "%d of %d parameter sets lie outside the ranges that the ensemble was trained on; it was never tested "
                "there",
                outside,
                len(values),
            )
        return self.space.normalise(values)


def load_ensemble(directory: str | Path, *, combine: Combine | None = None) -> TrainedEnsemble:
    """Load all members of an ensemble from its folder, such as ``results/demo/emulators/dense``, or a data package.

    Parameters
    ----------
    directory
        The folder; or what ``mechscreen pack`` wrote, the archive or the folder that it was unpacked into.
    combine
        ``vote``: predict what the most agreeing member says (the paper). ``mean``: predict the mean of all. Unless
        given, what the campaign was evaluated with; before that the mean of two members, and the vote of more.

    Raises
    ------
    InputError
        If there is no whole member, a file is damaged or holds code, or the members are of different campaigns.
    """
    return _load_found(find_ensemble(Path(directory)), combine)


def _load_found(found: Found, combine: Combine | None) -> TrainedEnsemble:
    folders = _member_folders(found.folder)
    records = [read_record(folder) for folder in folders]
    for folder, record in zip(folders, records, strict=True):
        if record.campaign != records[0].campaign:
            difference = Identity(records[0].identity).difference(record.identity)
            difference = difference or f"{record.campaign}, not {records[0].campaign}"
            raise InputError(
                f"{folder}: trained by another campaign than {folders[0].name} ({difference}); an ensemble is of one "
                "campaign: remove the members of the other"
            )
    settings = _evaluated_with(found.folder, folders, records)
    distance = records[0].distance
    combine = combine or settings.combine
    ensemble = _load_members(folders, distance, combine, settings.precision, settings.backend)
    return TrainedEnsemble(ensemble, records[0].space, distance.outputs, found)


def write_ensemble_record(campaign: Campaign) -> list[str]:
    """Write ``ensemble.json``; return the checksums of the networks.

    Not where the networks are those of the campaign's base, whose evaluation it tells of: then none are returned.
    """
    if campaign.base is not None:
        return []
    folders = [campaign.paths.member(number) for number in range(campaign.emulators.members)]
    members = _hashes(folders, [read_record(folder) for folder in folders])
    EnsembleRecord(
        members=members,
        combine=campaign.emulators.combine,
        precision=campaign.emulators.precision,
        backend=campaign.emulators.backend,
    ).write(campaign.paths.ensemble)
    return [*members.values()]


def read_evaluated(path: Path) -> EnsembleRecord:
    """Return how an ensemble was evaluated.

    Raises
    ------
    FileError
        If the file says something else.
    """
    try:
        return EnsembleRecord.model_validate_json(storage.read_text(path))
    except ValidationError as error:
        problem = f"does not hold what evaluate writes ({storage.first_problem(error)})"
        raise storage.FileError(path, problem, "evaluate the ensemble again") from None


def _evaluated_with(directory: Path, folders: Sequence[Path], records: Sequence[MemberRecord]) -> EnsembleRecord:
    """Return how the members were evaluated; where they were not, what suits their number, and tell so."""
    path = _record_path(directory)
    members = _hashes(folders, records)
    reason = "was not evaluated yet"
    if storage.exists(path):
        record = read_evaluated(path)
        if record.members == members:
            return record
        reason = f"has other members than those that were evaluated ({path.name})"
    combine: Combine = "mean" if len(members) == 2 else "vote"
    log.warning("%s: the ensemble %s; taking combine: %s, precision: float32", directory, reason, combine)
    return EnsembleRecord(members=members, combine=combine, precision="float32", backend=AUTO)


def _bands_of(directory: Path, combine: Combine) -> EnsembleBands:
    """Return the bands of an ensemble that is combined in some way."""
    path, remedy = directory / "bands.h5", "evaluate the ensemble (mechscreen evaluate, or run the workflow)"
    if not storage.exists(path):
        raise storage.FileError(path, "does not exist: there are no bands", remedy)
    bands = EnsembleBands.read(path)
    folders = _member_folders(directory)
    networks = [*_hashes(folders, [read_record(folder) for folder in folders]).values()]
    if bands.networks.tolist() != networks:
        raise storage.FileError(path, "is of other members than those that are there", remedy)
    if bands.combine != combine:
        raise storage.FileError(
            path, f"is of members combined by {bands.combine}, and these are by {combine}", f"take {bands.combine}"
        )
    return bands


def _record_path(directory: Path) -> Path:
    return directory / "ensemble.json"


def _hashes(folders: Sequence[Path], records: Sequence[MemberRecord]) -> dict[str, str]:
    return {folder.name: record.model_sha256 for folder, record in zip(folders, records, strict=True)}


def load_campaign_ensemble(campaign: Campaign) -> Ensemble:
    """Load the members that a campaign asks for; the ensemble takes normalised values.

    Raises
    ------
    InputError
        If a member is missing, damaged or of another campaign.
    """
    return _load_checked(campaign, campaign.emulators.members)


class Said(NamedTuple):
    """What an ensemble says of some parameter sets: which of them, each member, and all together."""

    part: slice
    members: list[dict[str, NDArray[np.float32]]]
    together: Prediction


def in_batches(campaign: Campaign, ensemble: Ensemble, physical: NDArray[np.float64]) -> Iterator[Said]:
    """Yield what an ensemble says of parameter sets, (n, d), a batch at a time: all may be more than memory holds."""
    from mechscreen.emulators.ensemble import combine_members

    for start in range(0, len(physical), ensemble.batch_size):
        part = slice(start, start + ensemble.batch_size)
        members = ensemble.predict_members(campaign.space.normalise(physical[part]))
        yield Said(part, members, combine_members(members, ensemble.combine, ensemble.distance))


def load_sized_ensemble(campaign: Campaign, samples: int) -> Ensemble:
    """Load the networks of the study ``learning`` that learnt from so many samples; errors as above."""
    return _load_checked(campaign, campaign.learning.members, samples)


def _load_checked(campaign: Campaign, members: int, samples: int | None = None) -> Ensemble:
    folders = [campaign.paths.member(number, samples) for number in range(members)]
    records = [read_record(folder, campaign.identity("emulators"), samples) for folder in folders]
    emulators = campaign.emulators
    distance = Distance.of(campaign.outputs, records[0].deviations)
    return _load_members(folders, distance, emulators.combine, emulators.precision, emulators.backend)


def predict_table(
    directory: Path,
    table: Path,
    out: Path,
    *,
    normalised: bool = False,
    combine: Combine | None = None,
    level: float | None = None,
) -> Path:
    """Predict the parameter sets of a table (see `mechscreen.tables`) and write them; return `out`.

    Without `combine`, members are combined as in `load_ensemble`. With `level`, there are bands, too
    (`TrainedEnsemble.predict_bands`).

    Raises
    ------
    InputError
        If the ensemble or the table is wrong, or `out` exists and is something else.
    """
    found = find_ensemble(directory)
    folders = _member_folders(found.folder)
    record = read_record(folders[0])
    # The table is read before the networks, whose library takes seconds to load.
    parameters = read_parameters(table, record.space, normalised=normalised)
    if storage.exists(out):
        try:
            PredictedTable.verify(out)
        except storage.FileError as error:
            raise InputError(f"{error} (it would be overwritten; choose another --out)") from None
    trained = _load_found(found, combine)
    if level is None:
        said, ends = trained.predict(parameters), {}
    else:
        said, bands = trained.predict_bands(parameters, level)
        ends = asdict(bands)
    PredictedTable(
        members=len(folders),
        combine=trained.ensemble.combine,
        backend=trained.ensemble.backend,
        parameters=parameters,
        profiles=said.profiles,
        log_peaks=said.log_peaks,
        disagreement=said.disagreement,
        level=level,
        **ends,
        about=ModelArrays.of(trained),
    ).write(
        out,
        {
            **Identity(record.identity).attributes,
            "campaign": record.campaign,
            "campaign_name": record.campaign_name,
            "model": record.model,
            "model_version": record.model_version,
            "seed": record.seed,
        },
    )
    log.info("predict: %d parameter sets → %s", len(parameters), out)
    return out


def _member_folders(directory: Path) -> list[Path]:
    """Return the folders of the whole members, by number."""
    numbered = {
        int(match.group(1)): folder
        for folder in storage.listing(directory)
        if (match := re.fullmatch(r"member-(\d+)", folder.name))
    }
    for number, folder in sorted(numbered.items()):
        if not storage.exists(folder / "member.json"):
            log.warning("%s: has no member.json, so it is not trained to the end; left out", folder)
            del numbered[number]
    if not numbered:
        raise InputError(
            f"{directory}: holds no trained member (member-0/member.json, …); give the folder of an ensemble, such as "
            "results/demo/emulators/dense"
        )
    return [numbered[number] for number in sorted(numbered)]


def _load_members(
    folders: Sequence[Path], distance: Distance, combine: Combine, precision: Precision, backend: str
) -> Ensemble:
    prepare(backend)
    from mechscreen.emulators.ensemble import Ensemble
    from mechscreen.emulators.networks import load_network

    networks = [load_network(folder / "model.keras") for folder in folders]
    return Ensemble(networks, combine=combine, precision=precision, backend=backend, distance=distance)
