"""Where the files of a campaign stand."""

from __future__ import annotations

from pathlib import Path


class Paths:
    """Where the files of a campaign stand, below ``<results>/<name>/``.

    Parameters
    ----------
    root
        The campaign's folder.
    base
        Folder of what the ensemble comes from: the campaign's own, that of another one, or of a round.
    network
        Of the members.
    evaluated
        Where the ensemble is evaluated; the campaign's folder, unless given.
    """

    def __init__(self, root: Path, base: Path, network: str, evaluated: Path | None = None) -> None:
        self.root = root
        self.campaign = root / "campaign.yaml"
        self.description = root / "model.json"
        self.selection = base / "selection"
        self.simulations = base / "simulations"
        self.dataset = base / "dataset"
        self.manifest = self.dataset / "manifest.json"
        self.emulators = base / "emulators" / network
        self.ensemble = self.emulators / "ensemble.json"
        self.bands = self.emulators / "bands.h5"
        self.learning = root / "learning" / network
        self.learning_summary = self.learning / "learning.json"
        self.learning_figure = self.learning / "learning.png"
        self.evaluation = (evaluated or root) / "evaluation"
        self.metrics = self.evaluation / "metrics.json"
        self.predictions = self.evaluation / "predictions.h5"
        self.patterns = self.evaluation / "patterns.h5"
        self.calibration = root / "calibration"
        self.calibrated = self.calibration / "calibration.h5"
        self.screen = root / "screen"
        self.screen_summary = self.screen / "summary.h5"
        self.screen_hits = self.screen / "hits.h5"
        self.validation = root / "validation"
        self.survey = self.validation / "survey.h5"
        self.robustness = self.validation / "robustness.h5"
        self.answers = self.validation / "answers"
        self.validation_hits = self.validation / "hits.h5"
        self.validation_table = self.validation / "hits.csv"
        self.validation_summary = self.validation / "summary.json"
        self.polished = root / "polished" / "polished.h5"
        self.chain = root / "posterior" / "chain.h5"
        self.posterior = self.chain.with_name("posterior.h5")
        self.posterior_table = self.chain.with_name("draws.csv")
        self.posterior_summary = self.chain.with_name("summary.json")
        self.figures = root / "figures"
        self.report = root / "report.html"
        self.summary = root / "summary.txt"

    def selected(self, shard: int) -> Path:
        """Parameter sets that were selected for a shard of simulations."""
        return self.selection / f"shard-{shard:05d}.h5"

    def shard(self, number: int) -> Path:
        """Shard of simulations."""
        return self.simulations / f"shard-{number:05d}.h5"

    def dataset_shard(self, split: str, number: int) -> Path:
        """File of the training set."""
        return self.dataset / f"{split}-{number:05d}.h5"

    def member(self, number: int, samples: int | None = None) -> Path:
        """Folder of an ensemble's member; with `samples`, of one that learns from so many in the study ``learning``."""
        ensemble = self.emulators if samples is None else self.learning / f"samples-{samples}"
        return ensemble / f"member-{number}"

    def block(self, number: int) -> Path:
        """File of a block of the screen."""
        return self.screen / f"block-{number:05d}.h5"

    def figure(self, name: str, kind: str = "png") -> Path:
        """Picture of the report; as `kind` ``svg``, or what it draws as ``csv``."""
        return self.figures / f"{name}.{kind}"

    def comparison(self, other: str) -> Path:
        """Page on this campaign beside another one."""
        return self.report.with_name(f"compared-with-{other}.html")
