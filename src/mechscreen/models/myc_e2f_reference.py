"""The MYC/E2F model in NumPy, reaction by reaction: readable, slow, and the yardstick of the compiled simulator.

Every reaction has a noise of its own here, which `mechscreen.models.myc_e2f_kernel` adds up where no sum can tell. All
numbers are double precision, in molecules and hours.
"""

from __future__ import annotations

from collections.abc import Sequence
from types import SimpleNamespace
from typing import NamedTuple

import numpy as np

from mechscreen.models.myc_e2f_parameters import PARAMETERS, SERUM, VARIABLES, molecular
from mechscreen.models.outputs import FloatArray

SPECIES = tuple(VARIABLES)


class Reaction(NamedTuple):
    """One reaction: by how much it changes each species, and its propensity, (n,) per hour."""

    change: dict[str, int]
    propensity: FloatArray


def name_parameters(parameters: FloatArray) -> SimpleNamespace:
    """Return parameters (43,) in µM as attributes, in molecules; serum's own are dimensionless."""
    return SimpleNamespace(**dict(zip(PARAMETERS, molecular(np.asarray(parameters, dtype=float)), strict=True)))


def reactions(state: FloatArray, p: SimpleNamespace) -> dict[str, Reaction]:
    """Return all reactions of n cells; `state` are molecule numbers, (10, n)."""
    MC, EFm, EFp, CD, RB, CE, RP, RE, AF, MR = state
    same = np.ones_like(MC)
    serum = SERUM / (p.KS + SERUM)
    repressed = p.KR / (p.KR + MC)
    return {
        "MYC by serum": Reaction({"MC": 1}, p.kMC * serum * same),
        "E2F mRNA by serum": Reaction({"EFm": 1}, p.kS * serum * repressed),
        "E2F mRNA by MYC and E2F": Reaction({"EFm": 1}, p.kEFm * MC / (p.KMC + MC) * EFp / (p.KEF + EFp) * repressed),
        "E2F mRNA by MYC": Reaction({"EFm": 1}, p.kb * MC / (p.KMC1 + MC) * repressed),
        "translation of E2F": Reaction({"EFp": 1}, p.kEFp * EFm * p.KMR / (p.KMR + MR)),
        "cyclin D by MYC": Reaction({"CD": 1}, p.kCD * MC / (p.KMCCD + MC)),
        "cyclin D by serum": Reaction({"CD": 1}, p.kCDS * serum * same),
        "RB": Reaction({"RB": 1}, p.kRB * same),
        "cyclin E by E2F": Reaction({"CE": 1}, p.kCE * EFp / (p.KEF + EFp)),
        "ARF": Reaction({"AF": 1}, p.kAFb * same),
        "ARF by E2F": Reaction({"AF": 1}, p.kAFEF * EFp / (p.KAFEF + EFp)),
        "ARF by MYC": Reaction({"AF": 1}, p.kAFMC * MC / (p.KAFMC + MC)),
        "miRNA by MYC": Reaction({"MR": 1}, p.kMRMC * MC / (p.KMRMC + MC)),
        "miRNA by E2F": Reaction({"MR": 1}, p.kMREF * EFp / (p.KMREF + EFp)),
        "binding": Reaction({"RB": -1, "EFp": -1, "RE": 1}, p.kRE * RB * EFp),
        "RB–E2F by cyclin D": Reaction({"RE": -1, "RP": 1, "EFp": 1}, p.kRBP1 * CD * RE / (p.KCD + RE)),
        "RB–E2F by cyclin E": Reaction({"RE": -1, "RP": 1, "EFp": 1}, p.kRBP2 * CE * RE / (p.KCE + RE)),
        "RB by cyclin D": Reaction({"RB": -1, "RP": 1}, p.kRBP1 * CD * RB / (p.KCD + RB)),
        "RB by cyclin E": Reaction({"RB": -1, "RP": 1}, p.kRBP2 * CE * RB / (p.KCE + RB)),
        "dephosphorylation": Reaction({"RP": -1, "RB": 1}, p.kRBDP * RP / (p.KRP + RP)),
        "decay of MYC": Reaction({"MC": -1}, p.dMC * MC),
        "decay of E2F mRNA": Reaction({"EFm": -1}, p.dEFm * EFm),
        "decay of E2F": Reaction({"EFp": -1}, p.dEFp * EFp),
        "decay of E2F by ARF": Reaction({"EFp": -1}, p.KAFR * AF * p.dEFp * EFp),
        "decay of cyclin D": Reaction({"CD": -1}, p.dCD * CD),
        "decay of RB": Reaction({"RB": -1}, p.dRB * RB),
        "decay of cyclin E": Reaction({"CE": -1}, p.dCE * CE),
        "decay of phospho-RB": Reaction({"RP": -1}, p.dRP * RP),
        "decay of RB–E2F": Reaction({"RE": -1}, p.dRE * RE),
        "decay of ARF": Reaction({"AF": -1}, p.dAF * AF),
        "decay of miRNA": Reaction({"MR": -1}, p.dMR * MR),
    }


def stoichiometry(found: dict[str, Reaction]) -> FloatArray:
    """Return by how much each reaction changes each species, (10, reactions)."""
    return np.array([[reaction.change.get(name, 0) for reaction in found.values()] for name in SPECIES], dtype=float)


def slopes(state: FloatArray, p: SimpleNamespace) -> FloatArray:
    """Return the right-hand sides without noise, (10, n)."""
    found = reactions(state, p)
    return stoichiometry(found) @ np.array([reaction.propensity for reaction in found.values()])


def simulate(
    parameters: FloatArray,
    count: int,
    phases: Sequence[tuple[int, float]],
    *,
    implicit: bool,
    intrinsic: float,
    extrinsic: float,
    seed: int = 0,
) -> FloatArray:
    """Simulate trajectories of one parameter set; arguments and result as for the compiled simulator."""
    p = name_parameters(parameters)
    rng = np.random.default_rng(seed)
    advance = advance_implicitly if implicit else advance_explicitly
    state = np.zeros((len(SPECIES), count))
    for steps, step in phases:
        for _ in range(steps):
            found = reactions(state, p)
            noise = {
                name: np.sqrt(intrinsic * step * reaction.propensity) * rng.standard_normal(count)
                for name, reaction in found.items()
            }
            own = np.sqrt(extrinsic * step) * rng.standard_normal(state.shape)
            state = advance(state, p, found, noise, own, step)
    return state


def advance_explicitly(
    state: FloatArray,
    p: SimpleNamespace,
    found: dict[str, Reaction],
    noise: dict[str, FloatArray],
    own: FloatArray,
    step: float,
) -> FloatArray:
    """Take the published step: Euler–Maruyama, then clipping at zero."""
    extents = np.array([step * reaction.propensity + noise[name] for name, reaction in found.items()])
    return np.maximum(state + stoichiometry(found) @ extents + own, 0.0)


def advance_implicitly(
    state: FloatArray,
    p: SimpleNamespace,
    found: dict[str, Reaction],
    noise: dict[str, FloatArray],
    own: FloatArray,
    step: float,
) -> FloatArray:
    """Take a step whose conversions and decay of RB and E2F are implicit.

    First the noise of conversions, which takes no more than there is; then synthesis, the other noise and, for all but
    E2F and the three forms of RB, decay, explicitly, and clipping at zero; then conversion and decay of those four.
    """
    new = dict(zip(SPECIES, state, strict=True))

    def convert(extent: FloatArray, names: Sequence[str]) -> None:
        change = found[names[0]].change
        most = np.min([new[name] for name, by in change.items() if by < 0], axis=0)
        least = -np.min([new[name] for name, by in change.items() if by > 0], axis=0)
        extent = np.clip(extent, least, most)
        for name, by in change.items():
            new[name] = new[name] + by * extent

    for names, backward in (
        (["binding"], []),
        (["RB–E2F by cyclin D", "RB–E2F by cyclin E"], []),
        (["RB by cyclin D", "RB by cyclin E"], ["dephosphorylation"]),
    ):
        convert(np.sum([noise[name] for name in names], axis=0) - sum(noise[name] for name in backward), names)

    core = ("EFp", "RB", "RP", "RE")
    for name, reaction in found.items():
        if len(reaction.change) == 1:
            ((species, by),) = reaction.change.items()
            implicit = species in core and by < 0
            new[species] = new[species] + by * ((0.0 if implicit else step * reaction.propensity) + noise[name])
    for row, species in enumerate(SPECIES):
        new[species] = np.maximum(new[species] + own[row], 0.0)

    before = dict(zip(SPECIES, state, strict=True))
    by_D, by_E = p.kRBP1 * before["CD"], p.kRBP2 * before["CE"]
    of_RB = step * (by_D / (p.KCD + before["RB"]) + by_E / (p.KCE + before["RB"]))
    of_RE = step * (by_D / (p.KCD + before["RE"]) + by_E / (p.KCE + before["RE"]))
    back = step * p.kRBDP / (p.KRP + before["RP"])
    binding = step * p.kRE
    decay = step * (1 + p.KAFR * before["AF"]) * p.dEFp
    new["EFp"], new["RB"], new["RP"], new["RE"] = convert_implicitly(
        new["EFp"], new["RB"], new["RP"], new["RE"], binding, of_RB, of_RE, back, decay, step * p.dRB, step * p.dRP,
        step * p.dRE,
    )  # fmt: skip
    return np.array([new[name] for name in SPECIES])


def convert_implicitly(
    EFp: FloatArray,
    RB: FloatArray,
    RP: FloatArray,
    RE: FloatArray,
    binding: float,
    of_RB: FloatArray,
    of_RE: FloatArray,
    back: FloatArray,
    decay: FloatArray,
    dRB: float,
    dRP: float,
    dRE: float,
) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray]:
    """Solve the four implicit equations for E2F, RB, RP and RE after the step; all coefficients are per step.

    ::

        EFp' = EFp + of_RE RE' − binding RB' EFp' − decay EFp'
        RB'  = RB + back RP' − of_RB RB' − binding RB' EFp' − dRB RB'
        RP'  = RP + of_RB RB' + of_RE RE' − back RP' − dRP RP'
        RE'  = RE + binding RB' EFp' − of_RE RE' − dRE RE'

    For a given binding ξ = binding RB' EFp' they are linear, with solutions RB' = A − B ξ and EFp' = F − G ξ, both of
    which fall; so that ξ is the one root of a quadratic at which neither is negative.
    """
    kept = 1 / (1 + of_RE + dRE)
    determinant = (1 + of_RB + dRB) * (1 + back + dRP) - of_RB * back
    A = ((1 + back + dRP) * RB + back * (RP + of_RE * kept * RE)) / determinant
    B = (1 + back + dRP - back * of_RE * kept) / determinant
    F = (EFp + of_RE * kept * RE) / (1 + decay)
    G = (1 - of_RE * kept) / (1 + decay)
    half = 0.5 * (1 + binding * (A * G + B * F))
    bound = binding * A * F / (half + np.sqrt(half**2 - binding**2 * A * B * F * G))
    new_RE = (RE + bound) * kept
    new_RB = A - B * bound
    new_RP = (RP + of_RB * new_RB + of_RE * new_RE) / (1 + back + dRP)
    return F - G * bound, new_RB, new_RP, new_RE
