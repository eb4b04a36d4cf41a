"""The MYC/E2F pathway as a stochastic model: densities of molecule numbers, not one course of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from mechscreen.errors import InputError, nearest
from mechscreen.models.base import Model, Solution
from mechscreen.models.densities import density
from mechscreen.models.myc_e2f_parameters import CORE, MOLECULES, NOMINAL, PARAMETERS, VARIABLES
from mechscreen.models.outputs import FloatArray, Output
from mechscreen.spaces import Parameter, ParameterSpace

_SECONDS = 8e-9
"""Of one step of one trajectory, densities included, on one core of docs/measured/myc-e2f-model.md."""
_LOW, _HIGH = 0.2, 5.0
"""A parameter's range, in nominal values."""
_RANGES = {"kAFb": (0.001, 0.035)}
_MOST = 2**32
"""Trajectories and steps are counted in 32 bits by the random numbers."""


def tapered(steps: int, step: float) -> list[tuple[int, float]]:
    """Return what to take in the place of equal steps, as pairs of a number of steps and their hours.

    What relaxes within a step, such as RB where it is phosphorylated fast, has too small fluctuations after an implicit
    one. Short steps at the end let it have its own: the last ten are replaced by more, which shrink by a tenth each.
    """
    last = min(_TAPER, steps)
    lengths = 0.9 ** np.arange(_SHORT_STEPS)
    lengths *= last * step / lengths.sum()
    return [(steps - last, step), *((1, float(length)) for length in lengths)]


_TAPER = 10
"""Steps that the shrinking ones stand for, …"""
_SHORT_STEPS = 66
"""… which are so many; the last is a thousandth of a step."""


def density_grid(end: float) -> FloatArray:
    """Return the 1000 points (µM) of a density's grid that ends at `end`: 100 fine ones, then 900."""
    fine = min(2.0, end / 10)
    return np.concatenate([fine * np.arange(100) / 100, np.linspace(fine, end, 900)])


def _parameter(name: str, varies: bool) -> Parameter:
    nominal, unit, symbol, meaning = NOMINAL[name]
    low, high = _RANGES.get(name, (_LOW * nominal, _HIGH * nominal))
    at = (low, high) if varies else (nominal, nominal)
    # Zero is zero, so that networks, which take logarithms of normalised values, see those of rates and constants.
    return Parameter(name, *at, unit=unit, symbol=symbol, meaning=meaning, zero=0.0, one=high)


class MycE2FModel(Model):
    r"""The decision of a cell to divide, as chemical Langevin equations of ten variables.

    Serum induces MYC, and MYC with E2F switches on E2F, which RB binds until the cyclins phosphorylate it; ARF and a
    miRNA hold E2F back. In molecule numbers (concentrations times 602), with S the serum (1 %):

    ::

        dMC  = kMC S/(KS+S) − dMC MC
        dEFm = (kS S/(KS+S) + kEFm MC/(KMC+MC) EFp/(KEF+EFp) + kb MC/(KMC1+MC)) KR/(KR+MC) − dEFm EFm
        dEFp = kEFp EFm KMR/(KMR+MR) + φ_RE − kRE RB EFp − (1 + KAFR AF) dEFp EFp
        dCD  = kCD MC/(KMCCD+MC) + kCDS S/(KS+S) − dCD CD
        dRB  = kRB + kRBDP RP/(KRP+RP) − φ_RB − kRE RB EFp − dRB RB
        dCE  = kCE EFp/(KEF+EFp) − dCE CE
        dRP  = φ_RB + φ_RE − kRBDP RP/(KRP+RP) − dRP RP
        dRE  = kRE RB EFp − φ_RE − dRE RE
        dAF  = kAFb + kAFEF EFp/(KAFEF+EFp) + kAFMC MC/(KAFMC+MC) − dAF AF
        dMR  = kMRMC MC/(KMRMC+MC) + kMREF EFp/(KMREF+EFp) − dMR MR
        φ_X  = (kRBP1 CD/(KCD+X) + kRBP2 CE/(KCE+X)) X        phosphorylation of X = RB, RE

    each per hour. To these each reaction (each term) of propensity a adds √a Γ with one white noise Γ, which the
    species that it converts share with opposite sign, and each species its own white noise ω. All starts at zero, and
    numbers stay at zero or above. The outputs are the densities of the ten concentrations (µM) at the end: Gaussian
    kernels with the normal-reference bandwidth, at 1000 points each.

    Parameters
    ----------
    vary
        "core": the 24 parameters of the core Rb–E2F model (`CORE`) vary; "all": all 43; or a list of names. The others
        stay at their nominal values.
    scheme
        "implicit": conversions and decay of RB and E2F are implicit, so that the step is stable and conserves both.
        "reference": the published step, Euler–Maruyama and clipping at zero; it is unstable where
        binding or phosphorylation is fast, and then makes RB and E2F from nothing.
    trajectories
        For one parameter set.
    step, end_time
        In hours. The default step is the published one; RB and RB–E2F need shorter ones to converge (docs).
    intrinsic, extrinsic
        Variances of Γ and of ω, per hour.

    Notes
    -----
    `mechscreen.models.myc_e2f_reference` is the same in NumPy, reaction by reaction;
    `mechscreen.models.myc_e2f_kernel` the compiled simulator used here. docs/measured/myc-e2f-model.md compares them.

    A variable with the same value in all trajectories, or beyond its grid in most, has no density: it is returned as
    zero everywhere with a reason, so that the sample's status is FLAT.

    References
    ----------
    Wang et al. 2019, Nat. Commun. 10:4354, doi:10.1038/s41467-019-12342-y. Yao et al. 2008, Nat. Cell Biol. 10:476,
    doi:10.1038/ncb1711 (Rb–E2F). Lee et al. 2010, PLoS Biol. 8:e1000488, doi:10.1371/journal.pbio.1000488 (its noise).
    """

    name: ClassVar[str] = "myc_e2f"
    version: ClassVar[str] = "1"
    isolated: ClassVar[bool] = False
    stochastic = True
    outputs = tuple(
        Output(
            f"p({name})",
            density_grid(end),
            unit="1/µM",
            grid_name=label,
            grid_unit="µM",
            crop=True,
            compare="shape",
            view="density",
        )
        for name, (label, end) in VARIABLES.items()
    )

    def __init__(
        self,
        vary: Literal["core", "all"] | Sequence[str] = "core",
        scheme: Literal["implicit", "reference"] = "implicit",
        trajectories: int = 10_000,
        step: float = 0.01,
        end_time: float = 50.0,
        intrinsic: float = 5.0,
        extrinsic: float = 50.0,
    ) -> None:
        varied = _varied(vary)
        if scheme not in ("implicit", "reference"):
            raise InputError(f"myc_e2f model: scheme is '{scheme}'; it must be 'implicit' or 'reference'")
        if not (isinstance(trajectories, int) and 2 <= trajectories < _MOST):
            raise InputError(
                f"myc_e2f model: trajectories is {trajectories}; it must be a whole number from 2 to 2^32 − 1"
            )
        for name, value in (("step", step), ("end_time", end_time)):
            if not 0 < value < np.inf:
                raise InputError(f"myc_e2f model: {name} is {value}; it must be a positive number of hours")
        if end_time / step >= _MOST:
            raise InputError(f"myc_e2f model: end_time {end_time} is more than 2^32 − 1 steps of {step} h")
        steps = round(end_time / step)
        if steps < 1 or abs(steps * step - end_time) > 1e-9 * end_time:
            raise InputError(f"myc_e2f model: end_time {end_time} is not a whole number of steps of {step} h")
        for name, value in (("intrinsic", intrinsic), ("extrinsic", extrinsic)):
            if not 0 <= value < np.inf:
                raise InputError(f"myc_e2f model: {name} is {value}; a variance is zero or more")
        self.space = ParameterSpace([_parameter(name, name in varied) for name in PARAMETERS])
        self.scheme = scheme
        self.trajectories = trajectories
        self.phases = [(steps, float(step))] if scheme == "reference" else tapered(steps, float(step))
        self.seconds = _SECONDS * trajectories * sum(count for count, _ in self.phases)
        self.intrinsic = float(intrinsic)
        self.extrinsic = float(extrinsic)

    def concentrations(self, parameters: FloatArray, seed: int) -> FloatArray:
        """Return what all trajectories of one parameter set (43,) end with, (10, trajectories), in µM."""
        # Numba is imported where something is computed.
        from mechscreen.models import myc_e2f_kernel

        return (
            myc_e2f_kernel.simulate(
                parameters,
                seed,
                self.trajectories,
                self.phases,
                implicit=self.scheme == "implicit",
                intrinsic=self.intrinsic,
                extrinsic=self.extrinsic,
            ).astype(np.float64)
            / MOLECULES
        )

    def solve(self, parameters: FloatArray, seeds: NDArray[np.uint64]) -> Solution:
        """Simulate all trajectories of each parameter set and estimate the densities of what they end with."""
        profiles = np.full((len(parameters), len(self.outputs), len(self.outputs[0].grid)), np.nan)
        reasons = []
        for row, (values, seed) in enumerate(zip(parameters, seeds, strict=True)):
            reason = self._without_meaning(values)
            if not reason:
                ends = self.concentrations(values, int(seed))
                found = [
                    density(name, x, out.grid, "µM") for name, x, out in zip(VARIABLES, ends, self.outputs, strict=True)
                ]
                profiles[row] = [estimate for estimate, _ in found]
                reason = "; ".join(why for _, why in found if why)
            reasons.append(reason)
        return Solution(profiles, reasons)

    def _without_meaning(self, values: FloatArray) -> str:
        """Say which parameter has no physical meaning; "" where all have."""
        for name, value in zip(PARAMETERS, values, strict=True):
            # Half constants divide.
            positive = name.startswith("K") and name != "KAFR"
            if value < 0 or (value == 0 and positive):
                return f"{name} = {value:g} must be {'positive' if positive else 'zero or more'}"
        return ""


def _varied(vary: Literal["core", "all"] | Sequence[str]) -> tuple[str, ...]:
    """Return the names of the parameters that vary."""
    named = {"core": CORE, "all": PARAMETERS}
    if isinstance(vary, str) and vary in named:
        return named[vary]
    if not isinstance(vary, list | tuple):
        raise InputError(f"myc_e2f model: vary is {vary!r}; it must be 'core', 'all' or a list of parameters")
    for name in vary:
        if name not in PARAMETERS:
            raise InputError(
                f"myc_e2f model: vary: no parameter '{name}'{nearest(str(name), PARAMETERS)} (valid: "
                f"{', '.join(PARAMETERS)})"
            )
    return tuple(vary)
