"""Validation error of one dense network of a campaign for one choice of settings, to compare choices:

    python benchmarks/explore_network.py config/demo.yaml --rate 4e-3 --deviation 0.25 --epochs 25

The campaign's training set must be there (`mechscreen merge`, or the whole workflow). One thread, one seed.
"""

import argparse
import os

os.environ.setdefault("OMP_NUM_THREADS", "1")

from mechscreen.campaign import Campaign
from mechscreen.emulators import networks
from mechscreen.emulators.training import Training
from mechscreen.stages.merge import load_split
from mechscreen.stages.train import to_samples


def main() -> None:
    """Train and print a line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("config")
    parser.add_argument("--rate", type=float, default=4e-3, help="Adam's peak rate")
    parser.add_argument("--deviation", type=float, default=networks.FEATURE_DEVIATION, help="of the scaled features")
    parser.add_argument("--epochs", type=int, default=25)
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    campaign = Campaign.load(arguments.config)
    networks.FEATURE_DEVIATION = arguments.deviation
    samples, validation = (to_samples(campaign, load_split(campaign, split)) for split in ("train", "validation"))
    settings = campaign.emulators.training.model_copy(
        update={"epochs": arguments.epochs, "learning_rate": arguments.rate}
    )
    network = networks.build_network(campaign.emulators.architecture, samples, seed=arguments.seed)
    training = Training(network, samples, validation, settings, arguments.seed)
    while not training.finished:
        training.run_epoch()
    best = training.history[training.best_epoch - 1]
    print(
        f"rate {arguments.rate:g}, deviation {arguments.deviation:g}, {arguments.epochs} epochs: validation RMSE "
        f"{best['validation_rmse']:.4f}, ln peak {best['validation_log_peak_rmse']:.4f}, "
        f"{sum(row['seconds'] for row in training.history):.0f} s"
    )


if __name__ == "__main__":
    main()
