"""The pattern-forming circuit of Wang et al. (2019): engineered bacteria that grow into rings."""

from __future__ import annotations

from typing import ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from mechscreen.errors import InputError
from mechscreen.models.base import Model, Solution
from mechscreen.models.outputs import FloatArray, Output
from mechscreen.spaces import Parameter, ParameterSpace

LENGTH = 80.0
"""Radius of the disc L, dimensionless."""
OUTPUT_POINTS = 501
REFERENCE_POINTS = 2001
"""Grid points of the published discretisation."""
MOST_POINTS = 4001
"""Beyond this, some profiles are wrong (docs/measured/pattern-model.md)."""

# Constants that no study varies (Wang et al. 2019, Supplementary Table 1).
_LAWN = 0.18898  # L_pam, unit of length in the diffusion group
_LYSOZYME_DECAY = 0.0144  # dL
_T7RNAP_DECAY = 0.3  # dT
_BINDING = 0.037  # kD
_NUTRIENT_HALF = 0.3  # G2

Groups = FloatArray
"""(n, 16): G1 … G12, α, β, Kφ and the exponent of φ, per sample."""


def _divided(name: str, divisor: float, low: float, **about: object) -> Parameter:
    return Parameter(name, low, divisor, zero=0.0, one=divisor, **about)  # type: ignore[arg-type]


def _space() -> ParameterSpace:
    return ParameterSpace(
        [
            _divided("G4", 10.0, 1e-4, symbol=r"$\alpha_A$", meaning="AHL synthesis rate"),
            _divided("alpha", 5.0, 0.0, symbol=r"$\alpha$", meaning="metabolic burden of T7 RNA polymerase"),
            _divided("beta", 2000.0, 0.0, symbol=r"$\beta$", meaning="metabolic burden of lysozyme"),
            _divided("Kphi", 10.0, 1e-4, symbol=r"$K_\varphi$", meaning="half-activation distance of gene expression"),
            _divided("exp_phi", 5.0, 0.0, symbol="$n$", meaning="Hill exponent of gene expression over distance"),
            _divided("alpha_c", 5.0, 0.2, symbol=r"$\alpha_C$", meaning="cell growth rate on agar"),
            _divided("alpha_T", 8000.0, 80.0, symbol=r"$\alpha_T$", meaning="T7 RNA polymerase synthesis rate"),
            _divided("alpha_L", 9000.0, 90.0, symbol=r"$\alpha_L$", meaning="lysozyme synthesis rate"),
            _divided("KC", 0.005, 0.001, symbol="$K_C$", meaning="cell diffusivity"),
            _divided("KT", 5000.0, 50.0, symbol="$K_T$", meaning="half-activation constant of T7 RNA polymerase"),
            _divided("KP", 5000.0, 50.0, symbol="$K_P$", meaning="half-inhibition constant of the complex"),
            _divided("d_A", 2.0, 0.05, symbol="$d_A$", meaning="AHL degradation rate"),
            _divided(
                "domainR",
                3.0,
                1.0,
                symbol="$D$",
                meaning="domain radius",
                levels=(1.0, 1.4, 1.8, 2.2, 2.6, 3.0),
                between=True,
            ),
        ]
    )


_POSITIVE = ("Kphi", "alpha_c", "alpha_T", "alpha_L", "KC", "KT", "KP", "domainR")
_NOT_NEGATIVE = ("G4", "alpha", "beta", "exp_phi", "d_A")


class PatternModel(Model):
    r"""A colony whose cells make T7 RNA polymerase, AHL and lysozyme, and show lysozyme as mCherry rings.

    Cells C spread over a disc and use up the nutrient N. T7 RNA polymerase T activates its own gene and the gene of
    LuxI, which makes AHL (A, well mixed); AHL induces lysozyme Λ, which binds T into the inactive complex P. mCherry
    R is made with lysozyme. All is radially symmetric and dimensionless, on 0 ≤ r ≤ L = 80, for 0 ≤ t ≤ 150:

    ::

        μ     = (1 − C) · N/(G2 + N) / (1 + α T + β Λ)                 metabolic capacity
        φ(r)  = Kφ^n / (Kφ^n + max(r_f − r, 0)^n)                      gene-expression capacity; 1 while t ≤ 10
        ∂C/∂t = G1 ∇²C + μ C
        ∂X/∂t = G1/(C + 1e-5) · ∂C/∂r · ∂X/∂r − μ X + S_X              for X in Λ, T, P, R: carried with the cells
        S_Λ   = −G6 Λ + G7 φ h(T) · A²/(1 + A²)                        h(T) = T/(1 + T)
        S_T   = −G8 T + G9 φ h(T)/(1 + P)
        S_P   = 0
        S_R   = φ h(T) · A²/(1 + A²)
        dN/dt = −G3 · 2π ∫ μ C r dr
        dA/dt =  G4 · 2π ∫ C φ h(T)/(1 + P) r dr − G5 A

    The front r_f is where C first falls below 0.9 of its maximum. Λ, T and P are in binding equilibrium,
    Λ · G10 T = G11 · G12 P, and U = Λ + G12 P and W = G10 T + G12 P obey the equations above with no binding in them;
    so (C, U, W, R) is what the solver carries, and Λ, T, P follow from

    ::

        Λ = (b + √(b² + 4 G11 U)) / 2,    b = U − W − G11
        G12 P = U − Λ,    G10 T = W − G12 P

    which are never negative. Where U is less than about 1e-16 G11 the sum for Λ cancels to zero in double precision.
    The published procedure has that rounding error, and the pattern can depend on it: see `binding` below and
    docs/explanation/pattern-model.md. Initially C = 0.2 exp(−x²/0.005) with x = π r/L, T = C/10, N = 1, and all else
    is zero. The one output is the fluorescence y = C · R at the end.

    Parameters
    ----------
    front
        "reference": r_f is the grid point that the published procedure takes, which moves in jumps of one spacing.
        "subgrid": r_f is interpolated between grid points.
    binding
        "reference": Λ is computed as published, rounding errors included. "exact": by a formula that does not cancel,
        which is what the equations say; one parameter set in six then has another pattern.
    points
        Grid points; 500 k + 1, for the 501 output points are taken from the grid, and 4001 at most.
    end_time
        Time at which the profile is taken.
    tolerance
        Bound of the relative error estimate of one time step.

    Notes
    -----
    `mechscreen.models.pattern_reference` is the published procedure, readable and slow;
    `mechscreen.models.pattern_kernel` the compiled solver used here. docs/measured/pattern-model.md compares them.

    References
    ----------
    Wang et al. 2019, Nat. Commun. 10:4354, doi:10.1038/s41467-019-12342-y.
    """

    name: ClassVar[str] = "pattern"
    version: ClassVar[str] = "4"
    isolated: ClassVar[bool] = False
    stochastic = False
    seconds = 0.015
    space = _space()
    outputs = (
        Output("mCherry", np.linspace(0.0, LENGTH, OUTPUT_POINTS), grid_name="radius", compare="shape", view="disc"),
    )

    def __init__(
        self,
        front: Literal["reference", "subgrid"] = "reference",
        binding: Literal["reference", "exact"] = "reference",
        points: int = REFERENCE_POINTS,
        end_time: float = 150.0,
        tolerance: float = 1e-5,
    ) -> None:
        if front not in ("reference", "subgrid"):
            raise InputError(f"pattern model: front is '{front}'; it must be 'reference' or 'subgrid'")
        if binding not in ("reference", "exact"):
            raise InputError(f"pattern model: binding is '{binding}'; it must be 'reference' or 'exact'")
        if points < OUTPUT_POINTS or (points - 1) % (OUTPUT_POINTS - 1):
            raise InputError(f"pattern model: points is {points}; it must be a multiple of 500, plus 1 (501, 1001, …)")
        if points > MOST_POINTS:
            raise InputError(
                f"pattern model: points is {points}; it must be {MOST_POINTS} at most, since the solver is not "
                "reliable on finer grids"
            )
        if not 0 < end_time < np.inf:
            raise InputError(f"pattern model: end_time is {end_time}; it must be a positive number")
        if not 0 < tolerance <= 0.1:
            raise InputError(f"pattern model: tolerance is {tolerance}; it must lie between 0 and 0.1")
        self.front = front
        self.binding = binding
        self.points = int(points)
        self.end_time = float(end_time)
        self.tolerance = float(tolerance)

    def solve(self, parameters: FloatArray, seeds: NDArray[np.uint64]) -> Solution:
        """Solve with the compiled kernel; `seeds` are not used."""
        # Numba is imported where something is computed.
        from mechscreen.models import pattern_kernel

        profiles = np.full((len(parameters), 1, OUTPUT_POINTS), np.nan)
        reasons = self._reasons(parameters)
        valid = np.array([not reason for reason in reasons], dtype=bool)
        solved = pattern_kernel.solve(
            groups(parameters[valid]),
            output_points=OUTPUT_POINTS,
            points=self.points,
            length=LENGTH,
            end_time=self.end_time,
            subgrid=self.front == "subgrid",
            exact=self.binding == "exact",
            tolerance=self.tolerance,
        )
        profiles[valid, 0] = solved.profiles
        for row, failure in zip(np.flatnonzero(valid), solved.reasons, strict=True):
            reasons[row] = failure
        return Solution(profiles, reasons)

    def _reasons(self, parameters: FloatArray) -> list[str]:
        """Say of each sample which parameter has no physical meaning; "" where all have."""
        reasons = [""] * len(parameters)
        for name, allowed in [*((n, "positive") for n in _POSITIVE), *((n, "zero or more") for n in _NOT_NEGATIVE)]:
            values = parameters[:, self.space.names.index(name)]
            wrong = values <= 0 if allowed == "positive" else values < 0
            for row in np.flatnonzero(wrong):
                reasons[row] = reasons[row] or f"{name} = {values[row]:g} must be {allowed}"
        return reasons


def groups(parameters: FloatArray) -> Groups:
    """Return the dimensionless groups of physical parameters (n, 13), shape (n, 16).

    The divisors αc of G3 and G4 are inferred from the published simulations.
    """
    G4, alpha, beta, Kphi, exp_phi, alpha_c, alpha_T, alpha_L, KC, KT, KP, d_A, domain = parameters.T
    return np.stack(
        [
            KC / _LAWN**2 / alpha_c,
            np.full_like(KC, _NUTRIENT_HALF),
            0.0145 / np.pi / domain**2 / alpha_c,
            G4 / domain**2 / alpha_c,
            d_A / alpha_c,
            _LYSOZYME_DECAY / alpha_c,
            _LYSOZYME_DECAY / alpha_c,
            _T7RNAP_DECAY / alpha_c,
            alpha_T / (alpha_c * KT),
            KT * _LYSOZYME_DECAY / alpha_L,
            _LYSOZYME_DECAY / (alpha_L * _BINDING),
            KP * _LYSOZYME_DECAY / alpha_L,
            alpha,
            beta,
            Kphi,
            exp_phi,
        ],
        axis=1,
    )
