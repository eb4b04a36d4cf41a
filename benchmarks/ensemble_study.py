"""How an ensemble's error and disagreement depend on its size: tables and figure of docs/measured/emulators.md.

    python benchmarks/ensemble_study.py config/active.yaml --figure docs/images/ensemble-size.png

Of a trained campaign; it may have more members than it asks for. All subsets of the members in
``results/<name>/emulators/<network>`` are evaluated on the test split.
"""

from __future__ import annotations

import argparse
import itertools
from pathlib import Path
from typing import Any, get_args

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator
from numpy.typing import NDArray

from mechscreen.campaign import Campaign
from mechscreen.emulators.ensemble import combine_members
from mechscreen.emulators.metrics import confusion, disagreement_curve, r_squared, rmse, summarise
from mechscreen.emulators.settings import Combine
from mechscreen.figures import style
from mechscreen.stages.merge import load_split
from mechscreen.stages.predict import load_ensemble
from mechscreen.stages.train import to_samples

SHOWN = (3, 4, 5)
Array = NDArray[Any]


def main() -> None:
    """Predict once, combine every subset, print, draw."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("config")
    parser.add_argument("--figure", type=Path, help="draws error over disagreement, of the first 3, 4 and 5 by vote")
    arguments = parser.parse_args()
    campaign = Campaign.load(arguments.config)
    test = to_samples(campaign, load_split(campaign, "test"))
    members = load_ensemble(campaign.paths.emulators).ensemble.predict_members(test.parameters)
    limit = campaign.screen.disagreement_limit
    print(f"{campaign.name}: {len(members)} members, {len(test)} test samples")
    print("Means over all choices of so many members; of the discarded, over the choices that discard any.\n")
    print("| members | combined by | mean RMSE | median | 99 % | R² profiles | R² ln peak | Pearson | Spearman "
          "| discarded | RMSE kept | RMSE discarded |")  # fmt: skip
    print("|---" * 12 + "|")
    curves = {}
    for size in range(1, len(members) + 1):
        # Of two members neither agrees more; one has nothing to combine.
        for way in get_args(Combine) if size > 2 else ("mean",):
            rows = []
            for number, subset in enumerate(itertools.combinations(members, size)):
                prediction = combine_members(subset, way)
                error, disagreement = rmse(test.profiles, prediction.profiles), prediction.disagreement
                curve = disagreement_curve(disagreement, error)
                kept = disagreement <= limit
                rows.append(
                    [
                        error.mean(),
                        np.median(error),
                        np.quantile(error, 0.99),
                        r_squared(test.profiles, prediction.profiles),
                        r_squared(test.log_peaks, prediction.log_peaks),
                        curve.pearson,
                        curve.spearman,
                        np.count_nonzero(~kept),
                        error[kept].mean(),
                        error[~kept].mean() if not kept.all() else np.nan,
                    ]
                )
                if way == "vote" and number == 0:
                    curves[size] = curve
            mean = [np.nanmean(column) if np.isfinite(column).any() else np.nan for column in np.transpose(rows)]
            values = " | ".join(f"{value:.4f}" for value in mean)
            print(f"| {size} | {way if size > 1 else '–'} | {values} |")

    print("\nAll members, by vote, by class:\n")
    prediction = combine_members(members, "vote")
    labels = campaign.objective(test.profiles, test.log_peaks)
    predicted = campaign.objective(prediction.profiles, prediction.log_peaks)
    names = campaign.objective.class_names
    columns = ("rmse", "l2_norm", "ks_distance", "kl_divergence", "log_peak_rmse", "r2_shape")
    print("| class | samples | RMSE | L2 norm | KS distance | KL divergence | RMSE ln peak | R² profiles |")
    print("|---" * 8 + "|")
    for label, name in enumerate(names):
        of_class = labels == label
        if of_class.any():
            measures = summarise(
                test.profiles[of_class],
                prediction.profiles[of_class],
                test.log_peaks[of_class],
                prediction.log_peaks[of_class],
            )
            print(f"| {name} | {of_class.sum()} | {' | '.join(f'{measures[column]:.4f}' for column in columns)} |")
    print(f"\nsame class: {np.mean(labels == predicted):.2%}; confusion (rows: simulated):")
    print(confusion(labels, predicted, len(names)))

    shown = {size: curves[size] for size in SHOWN if size in curves}
    if arguments.figure is not None and shown:
        arguments.figure.write_bytes(style.to_png(draw(shown), {"Title": "Error over disagreement"}))


@style.styled
def draw(curves: dict[int, Any]) -> Figure:
    """Mean error over disagreement in 15 bins, a panel for each size of the ensemble (Fig. S6 of the paper)."""
    figure = Figure(figsize=(style.WIDTH, 2.8))
    for axes, (size, curve) in zip(
        np.atleast_1d(figure.subplots(1, len(curves), sharey=True)), curves.items(), strict=True
    ):
        axes.errorbar(curve.disagreement, curve.error, curve.standard_error, fmt="o-", ms=4, color=style.BLUE)
        ends = [curve.disagreement.min(), curve.disagreement.max()]
        axes.plot(ends, ends, color="grey", lw=0.8)
        axes.set(xscale="log", yscale="log", xlabel="disagreement (RMSE)", title=f"{size} members")
        style.log_axis(axes.xaxis)
        style.log_axis(axes.yaxis)
        axes.xaxis.set_major_locator(LogLocator())
        axes.text(0.05, 0.9, f"Pearson {curve.pearson:.2f}", transform=axes.transAxes)
    figure.axes[0].set_ylabel("error (RMSE to the simulation)")
    return figure


if __name__ == "__main__":
    main()
