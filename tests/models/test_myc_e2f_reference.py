"""The readable MYC/E2F model against the published equations."""

from __future__ import annotations

import numpy as np

from mechscreen.models import myc_e2f_reference as reference
from mechscreen.models.myc_e2f import MycE2FModel
from mechscreen.models.myc_e2f_parameters import MOLECULES, PARAMETERS
from mechscreen.sampling import sample_unit


def parameters(count: int) -> np.ndarray:
    return MycE2FModel(vary="all").space.physical(sample_unit("uniform", 5, 0, count, len(PARAMETERS), "reference"))


def published_slopes(x: np.ndarray, row: np.ndarray) -> np.ndarray:
    """Return the published right-hand sides, in µM/h, for concentrations in µM."""
    MC, EFm, EFp, CD, RB, CE, RP, RE, AF, MR = x
    k = dict(zip(PARAMETERS, row, strict=True))
    s = 1.0 / (k["KS"] + 1.0)
    bind = k["kRE"] * RB * EFp
    p_RB = k["kRBP1"] * CD * RB / (k["KCD"] + RB) + k["kRBP2"] * CE * RB / (k["KCE"] + RB)
    p_RE = k["kRBP1"] * CD * RE / (k["KCD"] + RE) + k["kRBP2"] * CE * RE / (k["KCE"] + RE)
    back = k["kRBDP"] * RP / (k["KRP"] + RP)
    by_both = k["kEFm"] * MC / (k["KMC"] + MC) * EFp / (k["KEF"] + EFp)
    by_E2F, by_MYC = k["kAFEF"] * EFp / (k["KAFEF"] + EFp), k["kAFMC"] * MC / (k["KAFMC"] + MC)
    return np.array(
        [
            k["kMC"] * s - k["dMC"] * MC,
            (k["kS"] * s + by_both + k["kb"] * MC / (k["KMC1"] + MC)) * k["KR"] / (k["KR"] + MC) - k["dEFm"] * EFm,
            k["kEFp"] * EFm * k["KMR"] / (k["KMR"] + MR) + p_RE - bind - (1 + k["KAFR"] * AF) * k["dEFp"] * EFp,
            k["kCD"] * MC / (k["KMCCD"] + MC) + k["kCDS"] * s - k["dCD"] * CD,
            k["kRB"] + back - bind - p_RB - k["dRB"] * RB,
            k["kCE"] * EFp / (k["KEF"] + EFp) - k["dCE"] * CE,
            p_RB - back + p_RE - k["dRP"] * RP,
            bind - p_RE - k["dRE"] * RE,
            k["kAFb"] + by_E2F + by_MYC - k["dAF"] * AF,
            k["kMRMC"] * MC / (k["KMRMC"] + MC) + k["kMREF"] * EFp / (k["KMREF"] + EFp) - k["dMR"] * MR,
        ]
    )


def test_reactions_add_up_to_the_published_equations():
    rng = np.random.default_rng(0)
    for row in parameters(20):
        x = np.exp(rng.uniform(-4, 3, (10, 5)))
        found = reference.slopes(MOLECULES * x, reference.name_parameters(row)) / MOLECULES
        np.testing.assert_allclose(found, published_slopes(x, row), rtol=1e-9, atol=1e-9)


def test_only_conversions_change_several_species_and_they_conserve_rb_and_e2f():
    found = reference.reactions(np.ones((10, 1)), reference.name_parameters(parameters(1)[0]))
    changes = reference.stoichiometry(found)
    several = np.abs(changes).sum(axis=0) > 1
    assert several.sum() == 6
    rb = np.isin(reference.SPECIES, ["RB", "RP", "RE"]).astype(float)
    e2f = np.isin(reference.SPECIES, ["EFp", "RE"]).astype(float)
    np.testing.assert_array_equal(rb @ changes[:, several], 0)
    np.testing.assert_array_equal(e2f @ changes[:, several], 0)


def test_the_closed_form_solves_the_implicit_equations_without_negative_numbers():
    rng = np.random.default_rng(1)
    old = np.exp(rng.uniform(-3, 9, (4, 2000))) * (rng.random((4, 2000)) > 0.1)
    binding, of_RB, of_RE, back, decay, dRB, dRP, dRE = np.exp(rng.uniform(-9, 4, (8, 2000)))
    EFp, RB, RP, RE = new = reference.convert_implicitly(*old, binding, of_RB, of_RE, back, decay, dRB, dRP, dRE)
    bound = binding * RB * EFp
    change = [
        of_RE * RE - bound - decay * EFp,
        back * RP - of_RB * RB - bound - dRB * RB,
        of_RB * RB + of_RE * RE - back * RP - dRP * RP,
        bound - of_RE * RE - dRE * RE,
    ]
    scale = old.sum(axis=0) * (1 + of_RB + of_RE + back)
    assert (np.abs(np.array(new) - old - change) / scale).max() < 1e-9
    assert np.min(new) > -1e-9
