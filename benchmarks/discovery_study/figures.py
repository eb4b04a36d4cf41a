"""The figures of Hu et al. (2021), from this package's own discoveries."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from numpy.typing import NDArray

from mechscreen.figures import style

TRUTH: dict[str, Any] = {"color": "black", "linewidth": 1.6}
FOUND: dict[str, Any] = {"color": style.ORANGE, "linewidth": 1.3, "linestyle": (0, (3.5, 1.5))}
DATA: dict[str, Any] = {"ls": "none", "marker": ".", "ms": 2, "color": style.SKY, "alpha": 0.5}

LOTKA_VOLTERRA = (
    "Fig. 2 of Hu et al.: over-damped, spiral and cycle, noise 1 %. Left: data (dots, the first 80 %), exact solution "
    "(black) and the discovered equations' (orange, dashed), integrated beyond the data. Right: the phase plane."
)
NOISE = (
    "Fig. 3 of Hu et al.: the cycle with 10 % noise. Left: true noise (black) and the noise that the methods learned, "
    "over the first samples. Right: learned minus true noise, all samples."
)
LORENZ = (
    "Fig. 4 of Hu et al.: Lorenz, noise 0.5 %. Left: data and the discovered equations' forecast in the x–z plane. "
    "Right: the forecast (orange, dashed) from the last fitted state, and the exact solution (black)."
)
ACTIN = (
    "Fig. 5 of Hu et al.: polymerised actin over time at several total concentrations (dots), and the integrated "
    "equations that were discovered from them (black: the default method; orange, dashed: ODENet)."
)


def _legend(figure: Figure, **entries: Mapping[str, Any]) -> None:
    handles = [Line2D([], [], label=name.replace("_", " "), **look) for name, look in entries.items()]
    figure.legend(handles=handles, loc="outside upper right", ncols=len(handles))


@style.styled
def draw_lotka_volterra(cases: Sequence[Mapping[str, Any]]) -> Figure:
    """Draw each case's series and phase plane.

    Parameters
    ----------
    cases
        Each with name, variables, t (n,), y (n, 2), times (N,), states (N, 2), fit (n, 2), ahead (k,), forecast (k, 2).
    """
    figure = Figure(figsize=(style.WIDTH, 1.9 * len(cases)))
    grid = figure.add_gridspec(len(cases), 2, width_ratios=[2.2, 1])
    for i, case in enumerate(cases):
        series, plane = figure.add_subplot(grid[i, 0]), figure.add_subplot(grid[i, 1])
        for k in range(2):
            series.plot(case["t"], case["y"][:, k], **DATA)
            series.plot(case["times"], case["states"][:, k], **TRUTH)
            series.plot(case["t"], case["fit"][:, k], **FOUND)
            series.plot(case["ahead"], case["forecast"][:, k], **FOUND)
            end = case["states"][-1]
            side = "bottom" if end[k] > end[1 - k] else "top"
            series.annotate(
                f" {case['variables'][k]}", (case["times"][-1], end[k]), va=side, annotation_clip=False
            )  # fmt: skip
        series.axvline(case["t"][-1], color="0.6", lw=0.8, ls=":")
        series.set(title=case["name"], ylabel="state", xlim=(0, case["times"][-1]))
        plane.plot(case["y"][:, 0], case["y"][:, 1], **DATA)
        plane.plot(case["states"][:, 0], case["states"][:, 1], **TRUTH)
        plane.plot(case["fit"][:, 0], case["fit"][:, 1], **FOUND)
        plane.set(xlabel=case["variables"][0], ylabel=case["variables"][1])
    series.set_xlabel("time")
    _legend(figure, data=DATA | {"ms": 6}, exact=TRUTH, discovered=FOUND)
    return figure


@style.styled
def draw_noise(t: NDArray[Any], true: NDArray[Any], learned: Mapping[str, NDArray[Any]], samples: int = 120) -> Figure:
    """Draw learned noise against true noise.

    Parameters
    ----------
    t, true
        (n,), (n, 2).
    learned
        (n, 2) by method.
    samples
        How many of the first samples the left panels show.
    """
    figure = Figure(figsize=(style.WIDTH, 4.2))
    grid = figure.add_gridspec(2, 2, width_ratios=[1.5, 1])
    looks: list[dict[str, Any]] = [FOUND, {"color": style.BLUE, "linewidth": 1.1, "linestyle": ":"}]
    for k, name in enumerate("xy"):
        trace, error = figure.add_subplot(grid[k, 0]), figure.add_subplot(grid[k, 1])
        trace.plot(t[:samples], true[:samples, k], **TRUTH)
        # The more exact method last, on top.
        for look, own in reversed(list(zip(looks, learned.values(), strict=False))):
            trace.plot(t[:samples], own[:samples, k], **look)
            error.plot(t, own[:, k] - true[:, k], color=look["color"], lw=0.8)
        trace.set(ylabel=f"noise of {name}", xlim=(t[0], t[samples - 1]))
        error.set(ylabel=f"learned − true, {name}", xlim=(t[0], t[-1]))
    trace.set_xlabel("time")
    error.set_xlabel("time")
    _legend(figure, true=TRUTH, **dict(zip(learned, looks, strict=False)))
    return figure


@style.styled
def draw_lorenz(case: Mapping[str, Any]) -> Figure:
    """Draw the attractor and the forecast; `case` as in `draw_lotka_volterra`, three variables."""
    figure = Figure(figsize=(style.WIDTH, 3.6))
    grid = figure.add_gridspec(3, 2, width_ratios=[1, 1.4])
    plane = figure.add_subplot(grid[:, 0])
    plane.plot(case["y"][:, 0], case["y"][:, 2], **DATA)
    plane.plot(case["forecast"][:, 0], case["forecast"][:, 2], **(FOUND | {"linewidth": 0.9}))
    plane.set(xlabel="x", ylabel="z")
    for k, name in enumerate(case["variables"]):
        ax = figure.add_subplot(grid[k, 1])
        after = case["times"] >= case["ahead"][0]
        ax.plot(case["times"][after], case["states"][after, k], **TRUTH)
        ax.plot(case["ahead"], case["forecast"][:, k], **FOUND)
        ax.set(ylabel=name, xlim=(case["ahead"][0], case["ahead"][-1]))
        if k < 2:
            ax.tick_params(labelbottom=False)
    ax.set_xlabel("time")
    _legend(figure, data=DATA | {"ms": 6}, exact=TRUTH, discovered=FOUND)
    return figure


@style.styled
def draw_actin(records: Sequence[Mapping[str, Any]]) -> Figure:
    """Draw curves and fits, a row of panels per salt, a column per kind of model.

    Parameters
    ----------
    records
        What `discovery_study.measure.measure_actin` writes.
    """
    kinds = ("data-driven", "physical")
    figure = Figure(figsize=(style.WIDTH, 0.4 + 2.7 * len(records)))
    axes = figure.subplots(len(records), len(kinds), squeeze=False, sharey="row", sharex="row")
    looks = {"collocation": TRUTH | {"linewidth": 1.1}, "odenet": FOUND}
    colours = (style.BLUE, style.VERMILION, style.GREEN, style.ORANGE, style.PURPLE, style.SKY, "0.4")
    for row, record in zip(axes, records, strict=True):
        for ax, kind in zip(row, kinds, strict=True):
            for curve, colour in zip(record["curves"], colours, strict=False):
                ax.plot(curve["t"], curve["polymer"], ".", ms=4, color=colour)
            errors = []
            for model in record["models"]:
                if model["kind"] != kind:
                    continue
                for path in model["paths"]:
                    ax.plot(path["t"], np.array(path["polymer"], dtype=float), **looks[model["method"]])
                error = model["error"]
                errors.append(f"{model['method']} " + ("runs away" if error is None else f"{error:.3f} µM"))
            top = max(max(curve["polymer"]) for curve in record["curves"])
            ax.set(title=f"{record['salt']}, {kind}\n{', '.join(errors)}", ylim=(-0.03 * top, 1.1 * top))
        row[0].set_ylabel("polymer M (µM)")
    for ax in axes[-1]:
        ax.set_xlabel("time (h)")
    figure.legend(
        handles=[Line2D([], [], label=name, **look) for name, look in looks.items()], loc="outside upper right", ncols=2
    )
    return figure
