"""How the error falls with the number of training samples."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from mechscreen.figures import style


@style.styled
def draw(samples: NDArray[Any], ensemble: NDArray[Any], members: NDArray[Any]) -> Figure:
    """Draw mean RMSE of the test profiles over training samples.

    Parameters
    ----------
    samples
        (sizes,), numbers of training samples.
    ensemble
        (sizes,), mean RMSE of the ensemble.
    members
        (sizes, members), mean RMSE of each network.
    """
    figure = Figure(figsize=(0.65 * style.WIDTH, 3.4))
    axes = figure.add_subplot()
    count = members.shape[1]
    axes.plot(np.repeat(samples, count), members.ravel(), "o" if count > 1 else "o-", ms=4, mfc="white",
              color=style.VERMILION, label="single network")  # fmt: skip
    if count > 1:
        axes.plot(samples, ensemble, "s-", color=style.BLUE, label=f"ensemble of {count}")
    axes.set(xscale="log", yscale="log", xlabel="training samples", ylabel="mean RMSE of the test profiles")
    for axis in (axes.xaxis, axes.yaxis):
        style.log_axis(axis)
    axes.legend()
    return figure


def caption(samples: NDArray[Any], ensemble: NDArray[Any]) -> str:
    """Return the numbers of this run; arguments as for `draw`."""
    text = f"Mean RMSE {ensemble[0]:.4f} with {samples[0]:,} samples, {ensemble[-1]:.4f} with {samples[-1]:,}"
    if len(samples) < 2:
        return f"{text}."
    slope = np.polyfit(np.log(samples), np.log(ensemble), 1)[0]
    return f"{text}; it falls as the number of samples to the power {slope:.2f}."
