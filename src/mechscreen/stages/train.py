"""Train: a training set and a member's number → a network, its history, and a record of how it came about."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from mechscreen import resumable, storage
from mechscreen.campaign import Campaign, Identity
from mechscreen.emulators.backends.choice import prepare
from mechscreen.emulators.backends.device import DevicePredictor
from mechscreen.errors import InputError, ModelError
from mechscreen.progress import Progress
from mechscreen.ranks import NEVER, Deadline, Interrupted, Ranks
from mechscreen.resumable import Resumable, run
from mechscreen.sampling import sample_seeds
from mechscreen.schemas.emulators import MemberRecord, ParameterRecord, write_history
from mechscreen.stages.merge import Dataset, load_distance, load_split, map_split
from mechscreen.stages.provenance import provenance, record

if TYPE_CHECKING:
    from mechscreen.emulators.samples import Samples
    from mechscreen.emulators.training import Training

log = logging.getLogger(__name__)

CHECKPOINT_KIND = "training checkpoint"
"""Its arrays are the network's and the optimiser's own, so none are declared."""


def train(campaign: Campaign, member: int, deadline: Deadline = NEVER, samples: int | None = None) -> Path:
    """Train one member of the ensemble and write its folder; return the path of its record, ``member.json``.

    Members differ in their seed alone. A checkpoint is written from time to time, and when `deadline` is reached; the
    next attempt continues there and ends with the same weights. A member that is there and whole is left as it is.

    Parameters
    ----------
    samples
        Learn from the first so many training samples, for the study of ``learning.sizes``; from all by default.

    Raises
    ------
    InputError
        If there is no such member or size in the campaign, or the training set is too small.
    FileError
        If the training set is missing, wrong or of another campaign.
    ModelError
        If the training diverges.
    StorageError
        If files cannot be read or written.
    Interrupted
        When `deadline` was reached before the training was complete.
    """
    work = _Training(campaign, member, samples)
    run(work, deadline=deadline)
    return work.path


def train_together(campaign: Campaign, deadline: Deadline = NEVER) -> list[Path]:
    """Train all members of the ensemble at once, by JAX, on one card; return the paths of their records.

    Members that are there and whole are left as they are, and those that were begun, alone or so, go on from their
    checkpoints. All are written once the last one has learnt. Each ends with the weights that it has alone but for
    rounding; errors as for `train`.

    Raises
    ------
    InputError
        Also if Keras runs on another library than JAX.
    """
    prepare(DevicePredictor.name)
    works = [_Training(campaign, member, None) for member in range(campaign.emulators.members)]
    left = [work for work in works if not resumable.is_whole(work)]
    if left:
        _train_together(left, deadline)
    return [work.path for work in works]


def _train_together(works: list[_Training], deadline: Deadline) -> None:
    before = [resumable.begin(work) for work in works]
    from mechscreen.emulators.training import Together

    trainings = Together([work.training for work in works])
    saves = [resumable.Saves(work) for work in works]
    label = f"train {len(works)} members"
    with Progress(sum(work.total for work in works), label, _Training.unit, initial=sum(before)) as progress:
        while not trainings.finished:
            done = sum(work.done for work in works)
            if deadline.reached() or not trainings.run_epoch(deadline.reached):
                break
            progress.advance(sum(work.done for work in works) - done)
            for save in saves:
                save()
    if trainings.finished:
        # All are written before any checkpoint goes: Snakemake takes away what a job that failed has made.
        for work in works:
            work.finish()
        for work in works:
            storage.remove(work.partial_path)
        return
    told = []
    for work, begun in zip(works, before, strict=True):
        if work.training.finished:
            work.save()
        else:
            told.append(resumable.end(work, False, begun, deadline))
    raise Interrupted("\n".join(told))


def read_record(folder: Path, identity: Identity | None = None, samples: int | None = None) -> MemberRecord:
    """Return a member's record, having checked that it belongs there and its network is the one that was recorded.

    Parameters
    ----------
    identity
        What the record must depend on; None accepts anything.
    samples
        How many training samples it must have learnt from; None accepts any.

    Raises
    ------
    InputError
        If a file is missing, wrong, of another campaign, or of another member than the folder's name says.
    """
    path, model = folder / "member.json", folder / "model.keras"
    member = MemberRecord.read(path, identity)
    if folder.name != f"member-{member.member}" or samples not in (None, member.training_samples):
        raise storage.FileError(
            folder,
            f"holds member {member.member}, trained on {member.training_samples} samples",
            "it was moved or copied here: remove it and train this one",
        )
    if not storage.exists(model) or storage.sha256(model) != member.model_sha256:
        remedy = f"remove {folder} and train the member again"
        raise storage.FileError(model, "is missing, or not what was trained", remedy)
    return member


def to_samples(campaign: Campaign, dataset: Dataset) -> Samples:
    """Return a split as networks take it: normalised parameters, single precision."""
    from mechscreen.emulators.samples import Samples

    return Samples(
        campaign.space.normalise(dataset.parameters).astype(np.float32),
        dataset.profiles,
        dataset.log_peaks.astype(np.float32),
        load_distance(campaign),
    )


def _folder(campaign: Campaign, member: int, samples: int | None) -> Path:
    """Return where a member belongs, if the campaign has it."""
    study = campaign.learning
    members = campaign.emulators.members if samples is None else study.members
    if not 0 <= member < members:
        raise InputError(f"no member {member}: the ensemble of '{campaign.name}' has members 0 … {members - 1}")
    if samples is not None and samples not in study.sizes:
        sizes = ", ".join(map(str, study.sizes)) or "none"
        raise InputError(f"no size {samples} in learning.sizes of '{campaign.name}' (there: {sizes})")
    return campaign.paths.member(member, samples)


def _begin(campaign: Campaign, member: int, samples: int | None) -> Training:
    # The training set is looked at before the network library is loaded, which takes seconds.
    dataset, validation = map_split(campaign, "train"), load_split(campaign, "validation")
    if samples is not None and samples > len(dataset):
        raise InputError(
            f"learning.sizes: {samples} samples are more than the {len(dataset)} of the training split; "
            "raise simulations.count or leave this size out"
        )
    from mechscreen.emulators.networks import build_network
    from mechscreen.emulators.training import Training

    settings = campaign.emulators
    schedule = settings.training
    learned = to_samples(campaign, dataset)
    if samples is not None:
        learned = learned.take(np.arange(samples))
    seed = _seed(campaign, member)
    network = build_network(settings.architecture, learned, seed=seed, precision=schedule.precision)
    return Training(network, learned, to_samples(campaign, validation), schedule, seed)


def _seed(campaign: Campaign, member: int) -> int:
    # 63 bits, which every format of integers holds.
    return int(sample_seeds(campaign.seed, member, member + 1, "members")[0] >> np.uint64(1))


class _Training(Resumable):
    """The training of a member, as far as it is."""

    unit = "epochs"

    def __init__(self, campaign: Campaign, member: int, samples: int | None) -> None:
        self._campaign, self._member, self._samples = campaign, member, samples
        self._folder = _folder(campaign, member, samples)
        self.label = f"train {self._folder.name}" if samples is None else f"train member-{member} on {samples} samples"
        self.path = self._folder / "member.json"
        self.partial_path = self._folder / "checkpoint.h5"
        self.training: Training

    @property
    def total(self) -> int:
        """Number of epochs, if none is spared by `patience`."""
        return self._campaign.emulators.training.epochs

    @property
    def done(self) -> int:
        """Number of finished epochs."""
        return self.training.epoch

    def check(self) -> None:
        """Verify the member."""
        read_record(self._folder, self._campaign.identity("emulators"), self._samples)

    def begin(self) -> None:
        """Load the training set and make a network."""
        self.training = _begin(self._campaign, self._member, self._samples)

    def load(self) -> None:
        """Go back to the state of an earlier attempt."""
        file = storage.read(self.partial_path, CHECKPOINT_KIND, self._campaign.identity("emulators"))
        for name, expected in self._identity().items():
            if file.attributes.get(name) != expected:
                raise storage.FileError(file.path, f"is of {name} {file.attributes.get(name)}, not {expected}")
        try:
            self.training.restore(file.arrays)
        except ModelError as error:
            raise storage.FileError(file.path, str(error)) from None

    def work(self, ranks: Ranks, deadline: Deadline, save_when_due: Callable[[], None]) -> bool:
        """Train epoch by epoch; return False if the deadline was reached."""
        with Progress(self.total, self.label, self.unit, initial=self.done) as progress:
            while not self.training.finished:
                if deadline.reached() or not self.training.run_epoch(deadline.reached):
                    return False
                progress.advance()
                save_when_due()
        return True

    def save(self) -> None:
        """Write a checkpoint, and the history for those who look."""
        training = self.training
        attributes = {
            **provenance(self._campaign, "emulators"),
            "kind": CHECKPOINT_KIND,
            **self._identity(),
        }
        storage.write(self.partial_path, training.state(), attributes)
        if training.history:
            write_history(self._folder / "history.csv", training.history)

    def finish(self) -> None:
        """Write the member."""
        training = self.training
        _write_member(self._campaign, self._member, training, self._folder)
        rmse = training.history[training.best_epoch - 1]["validation_rmse"]
        log.info("%s: kept epoch %d of %d, validation RMSE %.4f", self.label, training.best_epoch, self.done, rmse)

    def _identity(self) -> dict[str, storage.Attribute]:
        return {"member": self._member, "training_samples": len(self.training.samples)}


def _write_member(campaign: Campaign, member: int, training: Training, folder: Path) -> None:
    """Write the folder's files; the record last, so that it stands for a whole member."""
    import keras

    from mechscreen.emulators.networks import save_network

    training.use_best_weights()
    with storage.replacing(folder / "model.keras") as temporary:
        save_network(training.network, temporary)
    write_history(folder / "history.csv", training.history)
    MemberRecord(
        **record(campaign, "emulators"),
        member=member,
        member_seed=_seed(campaign, member),
        dataset=campaign.fingerprint("dataset"),
        training_samples=len(training.samples),
        validation_samples=len(training.validation),
        architecture=campaign.emulators.architecture.model_dump(mode="json"),
        training=training.settings.model_dump(mode="json"),
        epochs=training.epoch,
        best_epoch=training.best_epoch,
        validation_rmse=training.history[training.best_epoch - 1]["validation_rmse"],
        seconds=sum(row["seconds"] for row in training.history),
        weights=training.network.count_params(),
        model_sha256=storage.sha256(folder / "model.keras"),
        parameters=[
            ParameterRecord(
                name=p.name,
                low=p.low,
                high=p.high,
                zero=p.zero,
                one=p.one,
                unit=p.unit,
                scale=p.scale,
                categories=list(p.categories),
            )
            for p in campaign.space
        ],
        outputs=[
            {**output.to_record(), "deviation": float(deviation)}
            for output, deviation in zip(campaign.outputs, training.samples.distance.deviations, strict=True)
        ],
        keras_version=keras.__version__,
        backend=keras.backend.backend(),
    ).write(folder / "member.json")
