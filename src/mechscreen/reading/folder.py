"""A folder of results, opened to be read."""

from __future__ import annotations

import logging
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from mechscreen import storage
from mechscreen.campaign import Campaign, Stage
from mechscreen.errors import InputError
from mechscreen.labels import distinct
from mechscreen.reading.files import Files
from mechscreen.schemas.evaluation import PatternsFile, Predictions
from mechscreen.schemas.fits import Largest, Polished, Posterior
from mechscreen.schemas.screen import HitColumns, ScreenHits, ScreenSummary
from mechscreen.schemas.simulations import SimulationFile
from mechscreen.schemas.validation import ValidatedHits
from mechscreen.spaces import ParameterSpace
from mechscreen.storage.arrays import Size

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr

    from mechscreen.stages.predict import TrainedEnsemble

log = logging.getLogger(__name__)

PREDICTED = {
    "simulated_class": "labels",
    "emulated_class": "predicted_labels",
    "disagreement": "disagreement",
    "error": "error",
}
"""Columns of `Results.predictions` → arrays of `mechscreen.schemas.evaluation.Predictions`."""
VALIDATED = {
    "simulated_class": "labels",
    "emulated_class": "emulated_labels",
    "disagreement": "disagreement",
    "rmse": "rmse",
    "confirmed": "confirmed",
    "same_class": "same_class",
    "nearest_distance": "nearest_distance",
    "nearest_sample": "nearest_index",
    "log_peak_error": "log_peak_error",
    "sensitivity": "sensitivity",
}
"""Columns of `Results.validated` → arrays of `mechscreen.schemas.validation.ValidatedHits`."""


_CALLED = {"validated": "validated hits", "polished": "polished sets", "posterior": "draws of a posterior"}


def open_results(folder: str | Path) -> Results:
    """Open a folder of results, such as ``results/demo``, wherever it is; runs no code of a user's.

    Nothing is read before it is asked for, and nothing is written, so that a campaign that runs is not disturbed.

    Raises
    ------
    InputError
        If the folder holds no campaign, or one of an earlier format.
    """
    return Results(Campaign.open(folder))


class Results:
    """A campaign's results. Each property is there when its stage is done, and says so until then.

    Arrays are `xarray.Dataset`, with values in the model's units, and are read from the files as they are used
    (``dataset.isel(sample=slice(100))``); each file is verified when it is first read. Tables are `pandas.DataFrame`.

    Attributes
    ----------
    campaign
        The configuration, with parameters (``campaign.space``), outputs and paths.
    """

    def __init__(self, campaign: Campaign) -> None:
        self.campaign = campaign

    def __repr__(self) -> str:
        done = [name for name, path in self._files.items() if storage.exists(path)]
        return f"<results of {self.campaign.name} in {self.campaign.paths.root}: {', '.join(done) or 'nothing yet'}>"

    def round(self, number: int) -> Results:
        """Return what one of the campaign's rounds simulated, learnt and evaluated.

        Raises
        ------
        InputError
            If there is no such round.
        """
        return Results(self.campaign.of_round(number))

    @property
    def simulations(self) -> xr.Dataset:
        """The campaign's own simulations, by sample; of a campaign that runs, the shards that are whole.

        Of a campaign with rounds, those of the first; the others are told by `round`.

        ``parameters`` (sample, parameter), and each output by its name (sample, *its axes), NaN where ``status`` is not
        OK. An output whose name is taken by one of these has an underscore.

        Raises
        ------
        InputError
            If there is no shard yet.
        FileError
            If a shard is damaged, or another campaign's; when values of it are asked for.
        """
        from mechscreen.reading import labelled

        campaign = self.campaign.of_round(1)
        section, outputs = campaign.simulations, campaign.outputs
        paths = [campaign.paths.shard(number) for number in range(section.shards)]
        there = [path for path, _ in self.shards]
        files = Files(
            SimulationFile,
            dict.fromkeys(there, section.shard_size),
            campaign.identity("simulations"),
            {"d": len(campaign.space), "shape": outputs.shape, "outputs": len(outputs)},
        )
        found = labelled.simulations(campaign, files)
        if len(there) < len(paths):
            starts = [paths.index(path) * section.shard_size for path in there]
            found = found.assign_coords(
                sample=np.concatenate([start + np.arange(section.shard_size) for start in starts])
            )
        selector = campaign.selector
        drawn = "by the campaign's priors" if selector is None else f"selected by the ensemble of {selector.name}"
        return found.assign_attrs(drawn=drawn, shards=f"{len(there)} of {len(paths)}")

    @property
    def shards(self) -> list[tuple[Path, storage.Identity]]:
        """The files of `simulations` that are there, and what they depend on.

        Raises
        ------
        InputError
            If there is none yet.
        """
        campaign = self.campaign.of_round(1)
        paths = [campaign.paths.shard(number) for number in range(campaign.simulations.shards)]
        there = [path for path in paths if storage.exists(path)]
        if not there:
            raise self._not_yet("simulations", "simulations", paths[0])
        if len(there) < len(paths):
            log.warning("%s: %d of %d shards of simulations are there", campaign.paths.root, len(there), len(paths))
        return [(path, campaign.identity("simulations")) for path in there]

    @property
    def predictions(self) -> xr.Dataset:
        """The test split as simulated and as emulated (``of="simulation"``, ``of="emulator"``), from the evaluation.

        Raises
        ------
        InputError, FileError
            As for `simulations`.
        """
        pairs = {
            "simulation": ("profiles", "log_peaks"),
            "emulator": ("predicted_profiles", "predicted_log_peaks"),
        }
        files = self._alone(Predictions, self.need("predictions", "evaluation"), "evaluation")
        from mechscreen.reading import labelled

        return labelled.both_ways(self.campaign, files, pairs, PREDICTED, failures=False)

    def predict(self, parameters: Any) -> xr.Dataset:
        """Return what the ensemble says of n parameter sets: each output, and the members' ``disagreement``.

        Parameters
        ----------
        parameters
            (n, d), in the order of ``campaign.space``; or a table, or a mapping, with a column for each parameter that
            varies, by its name.

        Raises
        ------
        InputError
            If the ensemble is not trained, or the parameters are not as they should be.
        """
        trained = self._ensemble
        values = _in_order(parameters, trained.space)
        said = trained.predict(values)
        from mechscreen.reading import labelled

        return labelled.predicted(self.campaign, trained.space, values, said)

    @cached_property
    def _ensemble(self) -> TrainedEnsemble:
        from mechscreen.stages.predict import load_ensemble

        return load_ensemble(self.campaign.paths.emulators)

    @property
    def hits(self) -> pd.DataFrame:
        """The hits that the screen kept, by sample: class, disagreement, where it is known probability, and parameters.

        Parameters that follow from others come last. ``hits.attrs["units"]`` has units by column.

        Raises
        ------
        InputError, FileError
            As for `simulations`.
        """
        path = self.need("hits", "screen")
        campaign = self.campaign
        with ScreenHits.open(path, campaign.identity("hits"), d=len(campaign.space)) as file:
            found: HitColumns = file.hits
            names = np.array(campaign.class_names)
            columns = {"class": names[found.labels[:]], "disagreement": found.disagreement[:]}
            if found.probability is not None:
                columns["probability"] = found.probability[:]
            return self._table(found.index[:], found.parameters[:], columns)

    @property
    def validated(self) -> xr.Dataset:
        """The hits that the model was asked about, as simulated and as emulated, and what came of each.

        ``confirmed`` and ``same_class`` say what the model makes of a hit, ``rmse`` how far the two are apart.

        Raises
        ------
        InputError, FileError
            As for `simulations`.
        """
        pairs = {"simulation": ("profiles", "log_peaks"), "emulator": ("emulated_profiles", "emulated_log_peaks")}
        files = self._alone(ValidatedHits, self.need("validated", "validation"), "validation")
        from mechscreen.reading import labelled

        likely = {"probability": "probability"} if self.campaign.calibration.count else {}
        return labelled.both_ways(self.campaign, files, pairs, VALIDATED | likely, failures=True)

    @property
    def planes(self) -> xr.Dataset:
        """How many of the screen's samples fell into each cell of each plane of two parameters, by class.

        ``counts`` (class, plane, first_bin, second_bin), of the parameters that ``first`` and ``second`` name for each
        plane; ``edge`` (parameter, bin_edge) has the bins' edges in the parameters' units.

        Raises
        ------
        InputError, FileError
            As for `simulations`.
        """
        path = self.need("planes", "screen")
        summary = ScreenSummary.read(path, self.campaign.identity("hits"))
        from mechscreen.reading import labelled

        return labelled.planes(self.campaign, summary)

    @property
    def patterns(self) -> pd.DataFrame:
        """Parameter sets that stand for what outputs there are, as the ensemble predicts, whatever is looked for.

        In the middle of each group of what is alike, and unusual ones (``group`` is False); ``share`` is of the whole
        space.

        Raises
        ------
        InputError, FileError
            As for `simulations`.
        """
        path = self.need("patterns", "evaluate")
        found = PatternsFile.read(path, self.campaign.identity("evaluation"))
        columns = {
            "group": np.arange(len(found)) < found.groups,
            "share": found.share,
            "class": np.array(self.campaign.class_names)[found.labels],
            "disagreement": found.disagreement,
        }
        return self._table(np.arange(len(found)), found.parameters, columns, "pattern")

    @property
    def polished(self) -> pd.DataFrame:
        """The best parameter sets, the best first, one for each search.

        ``from_hit`` says where the search began, and ``done`` whether it came to its end. Of measured data ``deviance``
        is −2 ln L, and ``from_search`` says whether the search began near where another had ended; of largest values
        there is each expression as the model's simulation has it, and as what valued sets in the search had it
        (``found …``).

        Raises
        ------
        InputError, FileError
            As for `simulations`.
        """
        path = self.need("polished", "polish")
        identity = self.campaign.identity("polished")
        if self.campaign.maximises:
            largest = Largest.read(path, identity)
            order = np.argsort(-largest.simulated[:, 0], kind="stable")
            values = {
                way + name: told[order, k]
                for k, name in enumerate(largest.expressions.tolist())
                for way, told in (("", largest.simulated), ("found ", largest.emulated))
            }
            columns = values | {name: getattr(largest, name)[order] for name in ("from_hit", "done", "looked")}
            return self._table(np.arange(len(largest)), largest.parameters[order], columns, "search")
        found = Polished.read(path, identity)
        columns = {name: getattr(found, name) for name in ("deviance", "from_hit", "from_search", "done", "looked")}
        return self._table(np.arange(len(found)), found.parameters, columns, "search")

    @property
    def posterior(self) -> pd.DataFrame:
        """Draws of the posterior, given measured data; ``deviance`` is −2 ln L.

        Raises
        ------
        InputError, FileError
            As for `simulations`.
        """
        path = self.need("posterior", "infer")
        found = Posterior.read(path, self.campaign.identity("posterior"))
        return self._table(np.arange(len(found)), found.parameters, {"deviance": found.deviance}, "draw")

    def _table(
        self, index: NDArray[np.int64], parameters: NDArray[np.float64], columns: dict[str, Any], by: str = "sample"
    ) -> pd.DataFrame:
        """Return a table by number, of some columns and of the parameters, categories by their names."""
        import pandas as pd

        space = self.campaign.space
        told = {
            p.name: np.array(p.categories)[space.columns(parameters)[p.name].astype(int)] for p in space if p.categories
        }
        values = {**space.columns(parameters), **told}
        renamed = distinct([by, *columns], values)
        table = pd.DataFrame(
            {**dict(zip(renamed[1:], columns.values(), strict=True)), **values}, index=pd.Index(index, name=renamed[0])
        )
        table.attrs = {
            "campaign": self.campaign.name,
            "units": {parameter.name: parameter.unit for parameter in space if parameter.unit},
        }
        return table

    def _alone(self, kind: type[storage.ArrayFile], path: Path, stage: Stage) -> Files:
        campaign = self.campaign
        # What it holds is verified when it is read.
        with kind.open_again(path, campaign.identity(stage)) as file:
            n = len(file.index)  # type: ignore[attr-defined]
        outputs = campaign.outputs
        sizes: dict[str, Size] = {"d": len(campaign.space), "shape": outputs.shape, "outputs": len(outputs)}
        return Files(kind, {path: n}, campaign.identity(stage), sizes)

    @property
    def _files(self) -> dict[str, Path]:
        paths = self.campaign.paths
        return {
            "simulations": paths.simulations,
            "predictions": paths.predictions,
            "hits": paths.screen_hits,
            "planes": paths.screen_summary,
            "validated": paths.validation_hits,
            "patterns": paths.patterns,
            "polished": paths.polished,
            "posterior": paths.posterior,
        }

    def need(self, what: str, stage: str) -> Path:
        """Return the file of some results; raise `InputError` if it is not there yet."""
        path = self._files[what]
        if not storage.exists(path):
            raise self._not_yet(what, stage, path)
        return path

    def _not_yet(self, what: str, stage: str, path: Path) -> InputError:
        root = self.campaign.paths.root
        return InputError(
            f"{root}: there are no {_CALLED.get(what, what)} yet ({path} is missing); they come with the stage "
            f"'{stage}' (mechscreen status {root} says how far it is)"
        )


def _in_order(parameters: Any, space: ParameterSpace) -> NDArray[np.float64]:
    """Return parameter sets, (n, d), of an array or of columns by name."""
    if not hasattr(parameters, "keys") or not hasattr(parameters, "__getitem__"):
        return space.check(parameters)
    named = list(parameters.keys())
    missing = [p.name for p in space if p.name not in named and not p.fixed]
    if missing:
        raise InputError(f"parameters: no column for {', '.join(missing)}; give every parameter that varies")
    columns = []
    n = len(parameters[named[0]])
    for p in space:
        values = np.asarray(parameters[p.name]) if p.name in named else np.full(n, p.low)
        if values.dtype.kind in "OUST" and p.categories:
            if strange := sorted({str(value) for value in values} - set(p.categories)):
                raise InputError(f"parameters: '{p.name}' is {strange[0]!r} (valid: {', '.join(p.categories)})")
            values = np.array([p.categories.index(str(value)) for value in values])
        columns.append(values.astype(float))
    return space.check(np.column_stack(columns))
