"""Time series, the equations found in them, and where these lead."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from mechscreen.figures import style

Curve = tuple[NDArray[np.float64], NDArray[np.float64]]
"""Times (n,) and values (n, d)."""


def caption(drawn: int, total: int) -> str:
    """Return what is to be seen, of how many trajectories."""
    chosen = f"{drawn} of {total} trajectories, at equal distances in the table. " if drawn < total else ""
    return (
        f"{chosen}Dots: data. Black: the solution of the equations that fits them best, between the samples, too. "
        "Orange, dashed: the equations integrated beyond the data, from the solution's last state. Conditions, where "
        "there are such, have colours instead of black."
    )


@style.styled
def draw(
    names: Sequence[str],
    time_name: str,
    data: Sequence[Curve],
    fits: Sequence[Curve],
    forecasts: Sequence[Curve],
    groups: Sequence[str] = (),
) -> Figure:
    """Draw a panel per variable with some trajectories.

    Parameters
    ----------
    names
        (d,) variables.
    data, fits, forecasts
        Per trajectory; NaN where there is nothing to draw.
    groups
        Condition of each trajectory, whose fits and dots have a colour of their own; none where there are none.
    """
    colours = {label: style.CYCLE[k % len(style.CYCLE)] for k, label in enumerate(dict.fromkeys(groups))}
    figure = Figure(figsize=(style.WIDTH, 0.7 + 1.6 * len(names)))
    axes = figure.subplots(len(names), 1, sharex=True, squeeze=False)[:, 0]
    for k, (ax, name) in enumerate(zip(axes, names, strict=True)):
        for i, ((t, y), (t_fit, x), (t_next, ahead)) in enumerate(zip(data, fits, forecasts, strict=True)):
            first, dots, fit, told = i == 0, style.SKY, dict(style.SIMULATED), "fit" if i == 0 else None
            if groups:
                dots = fit["color"] = colours[groups[i]]
                told = groups[i] if groups.index(groups[i]) == i else None
            ax.plot(t, y[:, k], ".", ms=3, color=dots, alpha=0.6, zorder=1, label="data" if first else None)
            ax.plot(t_fit, x[:, k], zorder=2, label=told, **fit)
            ax.plot(t_next, ahead[:, k], zorder=3, label="forecast" if first else None, **style.EMULATED)
        seen = np.concatenate([y[:, k] for _, y in data] + [x[:, k] for _, x in fits])
        low, high = np.nanmin(seen), np.nanmax(seen)
        # A forecast may run away; what was measured sets the scale.
        margin = 0.25 * (high - low)
        ax.set(ylabel=name, ylim=(low - margin, high + margin))
    axes[-1].set_xlabel(time_name)
    figure.legend(*axes[0].get_legend_handles_labels(), loc="outside upper right", ncols=3)
    return figure
