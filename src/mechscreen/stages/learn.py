"""Learn: networks trained on more and more samples → how their error on the test split falls."""

from __future__ import annotations

import logging
from pathlib import Path

import numpy as np

from mechscreen import storage
from mechscreen.campaign import Campaign
from mechscreen.errors import InputError
from mechscreen.schemas.evaluation import LearningCurve, Measures, SizeMeasures
from mechscreen.stages.merge import load_split
from mechscreen.stages.predict import load_sized_ensemble
from mechscreen.stages.provenance import record
from mechscreen.stages.train import to_samples

log = logging.getLogger(__name__)

ERROR_LIMIT = 0.3
"""RMSE of a profile beyond which Wang et al. (2019), Fig. 2c, count a prediction as wrong."""


def learn(campaign: Campaign) -> Path:
    """Evaluate the networks of each of ``learning.sizes`` on the test split.

    Writes ``learning.json`` and the figure ``learning.png``; returns the former's path.

    Raises
    ------
    InputError
        If the campaign has no such study, or a network or the test split is missing, wrong or of another campaign.
    """
    sizes = campaign.learning.sizes
    if not sizes:
        raise InputError(f"'{campaign.name}' has no learning.sizes; give the numbers of samples to learn from")
    test_set = load_split(campaign, "test")
    from mechscreen.emulators.ensemble import combine_members
    from mechscreen.emulators.metrics import summarise
    from mechscreen.figures import learning
    from mechscreen.figures.style import to_png

    test = to_samples(campaign, test_set)
    truth, distance = (test.profiles, test.log_peaks), test.distance
    rows: list[SizeMeasures] = []
    for size in sizes:
        ensemble = load_sized_ensemble(campaign, size)
        members = ensemble.predict_members(test.parameters)
        said = combine_members(members, ensemble.combine, distance)
        error = distance(*truth, said.profiles, said.log_peaks)
        rows.append(
            SizeMeasures(
                training_samples=size,
                ensemble=Measures(**summarise(test.profiles, said.profiles, test.log_peaks, said.log_peaks, distance)),
                wrong=float(np.mean(error > ERROR_LIMIT)),
                member_rmse=[float(distance(*truth, own["profiles"], own["log_peaks"]).mean()) for own in members],
            )
        )
        log.info("learn: %d samples, mean RMSE %.4f", size, error.mean())
    LearningCurve(
        **record(campaign, "learning"),
        network=campaign.emulators.architecture.network,
        combine=campaign.emulators.combine,
        test_samples=len(test),
        error_limit=ERROR_LIMIT,
        sizes=rows,
    ).write(campaign.paths.learning_summary)
    errors = np.array([row.ensemble.rmse for row in rows])
    figure = learning.draw(np.array(sizes), errors, np.array([row.member_rmse for row in rows]))
    metadata = {"Title": "Error over training samples", "Description": learning.caption(np.array(sizes), errors)}
    with storage.replacing(campaign.paths.learning_figure) as temporary:
        temporary.write_bytes(to_png(figure, metadata))
    return campaign.paths.learning_summary
