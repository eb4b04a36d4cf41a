"""Aggregation of actin (Wegner & Savko 1982): curves of polymer over time, and the two models of Hu et al. (2021)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.integrate import solve_ivp

from mechscreen.discovery.knowledge import Knowledge
from mechscreen.discovery.library import FloatArray, Polynomial
from mechscreen.discovery.model import DiscoveredModel
from mechscreen.discovery.pipeline import discover

DATA_DRIVEN = Knowledge(mirrored={"m": ("M", -1.0)})
"""dM/dt in all terms up to degree 2 of polymer M and monomer m; what becomes polymer was monomer."""

PHYSICAL = Knowledge(
    only={
        "P": ["1", "m", "m^2", "m*M", "P", "M", "P^2", "P*M"],
        "M": ["1", "m", "m^2", "m*M", "M", "m*P", "P"],
    },
    tied=[
        {("P", "1"): 1.0, ("M", "1"): 1.0},
        {("P", "m"): 1.0, ("M", "m"): 1.0},
        {("P", "m^2"): 1.0, ("M", "m^2"): 2.0},
        {("P", "m*M"): 1.0, ("M", "m*M"): 1.0},
    ],
    mirrored={"m": ("M", -1.0)},
)
"""Numbers of filaments P, never measured, and polymer M: nucleation counts in both, elongation in M alone."""

PHYSICAL_TERMS = {
    "α0": ("P", "1"), "α1": ("P", "m"), "α2": ("P", "m^2"), "α3": ("P", "m*M"), "α4": ("P", "P"), "α5": ("P", "M"),
    "α6": ("P", "P^2"), "α7": ("P", "P*M"), "α8": ("M", "M"), "α9": ("M", "m*P"), "α10": ("M", "P"),
}  # fmt: skip
"""Where the paper's coefficients of the physical model stand."""

DATA_DRIVEN_TERMS = {
    "α0": ("M", "1"), "α1": ("M", "M"), "α2": ("M", "m"), "α3": ("M", "M^2"), "α4": ("M", "m*M"), "α5": ("M", "m^2"),
}  # fmt: skip

PUBLISHED_KCL = {"α1": -5.12e-2, "α2": 7.98e-3, "α3": 1.16e-2, "α4": -0.533, "α9": 0.739, "α10": -0.882}
"""The physical model for KCl (Hu et al., Table 5), in µM and h."""

PUBLISHED_ERRORS = {
    ("KCl", "data-driven"): 0.424, ("MgCl2", "data-driven"): 0.559, ("KCl", "physical"): 0.578,
    ("MgCl2", "physical"): 2.98,
}  # fmt: skip
"""Mean absolute errors in µM; the physical ones follow from the coefficients as printed."""


@dataclass(frozen=True)
class Curve:
    """Polymer over time at one total concentration.

    Attributes
    ----------
    total
        Actin in all, µM.
    t
        (n,) hours since the start, where all of it is monomer; the first is later than 0.
    polymer
        (n,) µM.
    """

    total: float
    t: FloatArray
    polymer: FloatArray


def discover_data_driven(curves: Sequence[Curve], method: str = "collocation") -> DiscoveredModel:
    """Find dM/dt for all curves at once, each from its first datum."""
    y = [np.full((len(c.t), 2), np.nan) for c in curves]
    for values, c in zip(y, curves, strict=True):
        values[:, 0] = c.polymer
        values[0, 1] = c.total - c.polymer[0]
    return discover(
        [c.t for c in curves], y, Polynomial(2), names=["M", "m"], hidden=["m"], exact_start=True,
        knowledge=DATA_DRIVEN, method=method, noise="constant",
    )  # fmt: skip


def discover_physical(curves: Sequence[Curve], method: str = "collocation") -> DiscoveredModel:
    """Find dP/dt and dM/dt for all curves at once, each from P = M = 0 at time 0."""
    y = [np.full((len(c.t) + 1, 3), np.nan) for c in curves]
    for values, c in zip(y, curves, strict=True):
        values[0] = 0.0, 0.0, c.total
        values[1:, 1] = c.polymer
    return discover(
        [np.append(0.0, c.t) for c in curves], y, Polynomial(2), names=["P", "M", "m"], hidden=["P", "m"],
        exact_start=True, knowledge=PHYSICAL, method=method, noise="constant",
    )  # fmt: skip


def predict(model: DiscoveredModel, curve: Curve, t: FloatArray | None = None) -> FloatArray:
    """Polymer (n,) at the curve's times, or at others, by integration from where the model's kind starts."""
    if model.names == ("M", "m"):
        first, start = curve.t[0], [curve.polymer[0], curve.total - curve.polymer[0]]
    else:
        first, start = 0.0, [0.0, 0.0, curve.total]
    times = curve.t if t is None else t
    path = model.simulate(start, np.append(first, times[times > first]))[:, model.names.index("M")]
    return path if times[0] == first else path[1:]


def mean_absolute_error(model: DiscoveredModel, curves: Sequence[Curve]) -> float:
    """Mean over all samples of all curves of the distance from the integrated equations, in µM."""
    return float(np.concatenate([np.abs(predict(model, c) - c.polymer) for c in curves]).mean())


def synthetic_curves(seed: int = 0, noise: float = 0.2) -> list[Curve]:
    """Curves made from the published model for KCl, which stand in where the measured ones are not at hand."""
    a = PUBLISHED_KCL
    rng = np.random.default_rng(seed)

    def rate(_: float, state: FloatArray, total: float) -> list[float]:
        p, polymer = state
        m = total - polymer
        nucleation = a["α1"] * m + a["α3"] * m * polymer
        return [
            nucleation + a["α2"] * m**2 + a["α4"] * p,
            nucleation + 2 * a["α2"] * m**2 + a["α9"] * m * p + a["α10"] * p,
        ]

    curves = []
    for total in (20.5, 18.4, 16.2, 14.2, 12.4, 9.6, 7.4):
        t = np.linspace(0.2, 9.0, 45)
        exact = solve_ivp(rate, (0, t[-1]), [0.0, 0.0], args=(total,), t_eval=t, rtol=1e-9, atol=1e-9).y[1]
        curves.append(Curve(total, t, exact + noise * rng.standard_normal(len(t))))
    return curves
