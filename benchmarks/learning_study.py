"""The study of config/learning.yaml, of one network or several, beside Wang et al. 2019: a table and a figure.

    snakemake learning --workflow-profile cluster_profiles/local --configfile config/learning.yaml
    python benchmarks/learning_study.py results/learning/learning --epochs-of 5000 --figure docs/images/learning.png

The folder holds one folder for each network. The figure: error of the test profiles over training samples; and the
validation error after each epoch of the networks trained on so many samples (`--epochs-of`), over time.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from mechscreen import storage
from mechscreen.figures import style
from mechscreen.schemas.emulators import read_history

PAPER_SAMPLES, PAPER_SINGLE, PAPER_ENSEMBLE = 100_000, 0.0118, 0.0066
"""Wang et al. 2019: simulations; mean test RMSE of one LSTM and of four."""

COLOURS = {"dense": style.BLUE, "lstm": style.VERMILION, "aligned": style.GREEN}


@style.styled
def draw(studies: dict[str, dict], histories: dict[str, dict[str, np.ndarray]], samples: int) -> Figure:
    """Draw both panels; of each network the study and the columns of a history."""
    figure = Figure(figsize=(style.WIDTH, 3.2))
    left, right = figure.subplots(1, 2, sharey=True)
    for name, study in studies.items():
        sizes = [row["training_samples"] for row in study["sizes"]]
        members = np.array([row["member_rmse"] for row in study["sizes"]])
        colour = COLOURS[name]
        left.plot(sizes, members.mean(axis=1), "o-", ms=4, mfc="white", color=colour, label=f"{name}, one network")
        if members.shape[1] > 1:
            together = [row["ensemble"]["rmse"] for row in study["sizes"]]
            label = f"{name}, {study['combine']} of {members.shape[1]}"
            left.plot(sizes, together, "s--", ms=4, color=colour, label=label)
        history = histories[name]
        minutes = np.cumsum(history["seconds"]) / 60
        right.plot(minutes, history["validation_rmse"], ".-", ms=3, lw=1, color=colour,
                   label=f"{name}, {len(minutes)} epochs")  # fmt: skip
    for error, marker, label in ((PAPER_SINGLE, "^", "paper, one LSTM"), (PAPER_ENSEMBLE, "v", "paper, four")):
        left.plot(PAPER_SAMPLES, error, marker, color="black", label=label)
    left.set(xscale="log", yscale="log", xlabel="training samples", ylabel="mean RMSE of profiles")
    left.set_title("test split", loc="left")
    right.set(xscale="log", xlabel="minutes of training")
    right.set_title(f"validation split, {samples:,} training samples", loc="left")
    style.log_axis(left.yaxis)
    for axes in (left, right):
        axes.legend()
    return figure


def main() -> None:
    """Read, print, draw."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--epochs-of", type=int, default=5000, metavar="SAMPLES")
    parser.add_argument("--figure", type=Path)
    arguments = parser.parse_args()
    studies = {path.parent.name: storage.read_json(path) for path in sorted(arguments.folder.glob("*/learning.json"))}
    if not studies:
        parser.error(f"no learning.json below {arguments.folder}: run snakemake learning first")
    for name, study in studies.items():
        sizes = [row["training_samples"] for row in study["sizes"]]
        if arguments.epochs_of not in sizes:
            parser.error(f"--epochs-of {arguments.epochs_of}: sizes of {name} are {', '.join(map(str, sizes))}")
    print("| network | training samples | one network | together | R² profiles | R² ln peak | RMSE above 0.3 |")
    print("|---" * 7 + "|")
    for name, study in studies.items():
        for row in study["sizes"]:
            said = row["ensemble"]
            print(
                f"| {name} | {row['training_samples']:,} | {np.mean(row['member_rmse']):.4f} | {said['rmse']:.4f} | "
                f"{said['r2_shape']:.4f} | {said['r2_peak']:.4f} | {row['wrong']:.2%} |"
            )
    histories = {
        name: read_history(arguments.folder / name / f"samples-{arguments.epochs_of}/member-0/history.csv")
        for name in studies
    }
    for name, history in histories.items():
        after = history["validation_rmse"]
        shown = sorted({round(epoch) for epoch in np.geomspace(1, len(after), 8)})
        errors = ", ".join(f"{after[epoch - 1]:.4f} ({epoch})" for epoch in shown)
        print(f"{name}, {arguments.epochs_of} samples, validation RMSE (after epoch): {errors}")
    if arguments.figure:
        figure = draw(studies, histories, arguments.epochs_of)
        arguments.figure.write_bytes(style.to_png(figure, {"Title": "Error over samples and over time of training"}))


if __name__ == "__main__":
    main()
