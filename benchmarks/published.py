"""How far an ensemble of the pattern model is from published simulations, and from the test split of its own campaign.

    python benchmarks/published.py results/reference/emulators/dense TABLE.csv

The table is one of Wang et al. (2019): a row for each simulation, without a head; 13 normalised parameters, 501 values
of the profile, which is divided by its maximum, the natural logarithm of that, and the number of peaks. A table of
theirs is no part of this project; none was learnt from. Of any number of members the mean and the vote are told, each
the mean over all choices of so many; 95 % intervals of the mean error by bootstrap, since a hundredth of the samples
makes half of the squared errors.
"""

from __future__ import annotations

import argparse
from itertools import combinations
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mechscreen.campaign import Campaign
from mechscreen.emulators.ensemble import combine_members
from mechscreen.emulators.metrics import r_squared, rmse
from mechscreen.errors import InputError
from mechscreen.stages.merge import load_split
from mechscreen.stages.predict import TrainedEnsemble, load_ensemble

PARAMETERS, POINTS = 13, 501
_RESAMPLES = 2000

FloatArray = NDArray[np.float64]


def read_table(path: Path) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Return normalised parameters (n, 13), profiles (n, 1, 501) and log peaks (n, 1) of published simulations.

    Raises
    ------
    InputError
        If a row has another number of values.
    """
    rows = np.loadtxt(path, delimiter=",", ndmin=2)
    if rows.shape[1] != PARAMETERS + POINTS + 2:
        raise InputError(f"{path}: rows of {rows.shape[1]} values; {PARAMETERS + POINTS + 2} are expected")
    profiles, log_peaks, _ = np.split(rows[:, PARAMETERS:], [POINTS, POINTS + 1], axis=1)
    return rows[:, :PARAMETERS], profiles[:, None, :], log_peaks


def compare(trained: TrainedEnsemble, parameters: FloatArray, profiles: FloatArray, log_peaks: FloatArray) -> None:
    """Print errors on simulations at normalised parameters."""
    said = trained.ensemble.predict_members(parameters)
    print("| members | combined by | mean RMSE | 95 % interval | median | R² profiles | R² ln peak |")
    print("|---" * 7 + "|")
    for size in range(1, len(said) + 1):
        for combine in ("mean", "vote")[: 1 if size < 3 else 2]:
            # Of all choices of so many members, the errors of each sample are averaged.
            choices = [
                combine_members([said[k] for k in chosen], combine, trained.ensemble.distance)
                for chosen in combinations(range(len(said)), size)
            ]
            errors = np.mean([rmse(profiles, one.profiles) for one in choices], axis=0)
            rng = np.random.default_rng(1)
            means = [errors[rng.integers(0, len(errors), len(errors))].mean() for _ in range(_RESAMPLES)]
            low, high = np.quantile(means, [0.025, 0.975])
            shapes, peaks = (
                np.mean([r_squared(truth, getattr(one, name)) for one in choices])
                for truth, name in ((profiles, "profiles"), (log_peaks, "log_peaks"))
            )
            print(
                f"| {size} | {combine if size > 1 else ''} | {errors.mean():.4f} | {low:.4f} to {high:.4f} | "
                f"{np.median(errors):.4f} | {shapes:.4f} | {peaks:.4f} |"
            )


def main() -> None:
    """Print the errors."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("ensemble", type=Path, help="folder of the members")
    parser.add_argument("tables", type=Path, nargs="*", help="published simulations")
    arguments = parser.parse_args()
    trained = load_ensemble(arguments.ensemble)
    campaign = Campaign.open(arguments.ensemble.parents[1])
    test = load_split(campaign, "test")
    print(f"the campaign's test split: {len(test)} simulations")
    compare(trained, campaign.space.normalise(test.parameters), test.profiles, test.log_peaks)
    for path in arguments.tables:
        parameters, profiles, log_peaks = read_table(path)
        print(f"\n{path.name}: {len(parameters)} simulations")
        compare(trained, parameters, profiles, log_peaks)


if __name__ == "__main__":
    main()
