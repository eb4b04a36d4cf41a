"""A screen of two parameters beside the model itself, on a grid over the plane.

    python benchmarks/plane_check.py results/plane-KT-alpha_c/campaign.yaml --grid 60

Simulates the centres of grid × grid cells and prints the confusion of classes, emulated and simulated, and the RMSE of
the profiles.
"""

from __future__ import annotations

import argparse

import numpy as np

from mechscreen.campaign import Campaign
from mechscreen.emulators.metrics import confusion, rmse
from mechscreen.models import Status
from mechscreen.stages.predict import load_campaign_ensemble


def main() -> None:
    """Emulate, simulate, compare."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("campaign")
    parser.add_argument("--grid", type=int, default=60)
    arguments = parser.parse_args()
    campaign = Campaign.load(arguments.campaign)
    space, objective = campaign.screen_space, campaign.objective
    varied = list(space.varied)
    if len(varied) != 2:
        parser.error(f"'{campaign.name}' varies {len(varied)} parameters; give a screen of two")
    centres = (np.arange(arguments.grid) + 0.5) / arguments.grid
    unit = np.full((arguments.grid**2, len(space)), 0.5)
    unit[:, varied] = np.stack(np.meshgrid(centres, centres, indexing="ij"), axis=-1).reshape(-1, 2)
    parameters = space.physical(unit)
    simulated = campaign.model_instance.simulate(parameters, seeds=np.arange(len(parameters)))
    said = load_campaign_ensemble(campaign).predict(campaign.space.normalise(parameters))
    ok = simulated.status == Status.OK
    truth = objective(simulated.profiles[ok], simulated.log_peaks[ok])
    emulated = objective(said.profiles[ok], said.log_peaks[ok])
    error = rmse(simulated.profiles[ok], said.profiles[ok])
    print(f"{campaign.name}: {len(unit)} points, {np.count_nonzero(~ok)} without a solution")
    print(f"of the same class {np.mean(truth == emulated):.2%}")
    print(f"RMSE of the profiles: mean {error.mean():.4f}, above 0.1 {np.mean(error > 0.1):.2%}")
    for name, row in zip(objective.class_names, confusion(truth, emulated, len(objective.class_names)), strict=True):
        if row.any():
            print(f"simulated {name}: emulated {dict(zip(objective.class_names, row.tolist(), strict=True))}")


if __name__ == "__main__":
    main()
