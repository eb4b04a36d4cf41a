"""The MYC/E2F model's numbers: its variables, its parameters, and the units that they are in."""

from __future__ import annotations

import numpy as np

from mechscreen.models.outputs import FloatArray

MOLECULES = 602.0
"""Molecules per µM: Avogadro's number times a volume of 1 fl."""
SERUM = 1.0
"""Per cent."""

VARIABLES = {
    "MC": ("MYC", 50.0),
    "EFm": ("E2F mRNA", 80.0),
    "EFp": ("E2F protein", 100.0),
    "CD": ("cyclin D", 20.0),
    "RB": ("RB", 30.0),
    "CE": ("cyclin E", 100.0),
    "RP": ("phospho-RB", 300.0),
    "RE": ("RB–E2F", 300.0),
    "AF": ("ARF", 20.0),
    "MR": ("miRNA", 10.0),
}
"""What each variable is, and where the grid of its density ends (µM)."""

NOMINAL = {
    "kMC": (1.0, "µM/h", "$k_{MC}$", "synthesis of MYC"),
    "kS": (0.05, "µM/h", "$k_S$", "synthesis of E2F mRNA by serum"),
    "kEFm": (0.4, "µM/h", "$k_{EFm}$", "synthesis of E2F mRNA by MYC and E2F"),
    "kb": (0.15, "µM/h", "$k_b$", "synthesis of E2F mRNA by MYC alone"),
    "kEFp": (0.4, "1/h", "$k_{EFp}$", "translation of E2F"),
    "kCD": (0.03, "µM/h", "$k_{CD}$", "synthesis of cyclin D by MYC"),
    "kCDS": (0.5, "µM/h", "$k_{CDS}$", "synthesis of cyclin D by serum"),
    "kCE": (0.35, "µM/h", "$k_{CE}$", "synthesis of cyclin E"),
    "kRB": (0.18, "µM/h", "$k_{RB}$", "synthesis of RB"),
    "kRE": (180.0, "1/(µM h)", "$k_{RE}$", "binding of RB and E2F"),
    "kRBDP": (3.6, "µM/h", "$k_{RBDP}$", "dephosphorylation of RB"),
    "kRBP1": (18.0, "1/h", "$k_{RBP1}$", "phosphorylation of RB by cyclin D"),
    "kRBP2": (18.0, "1/h", "$k_{RBP2}$", "phosphorylation of RB by cyclin E"),
    "kAFb": (0.005, "µM/h", "$k_{AFb}$", "basal synthesis of ARF"),
    "kAFEF": (0.015, "µM/h", "$k_{AFEF}$", "synthesis of ARF by E2F"),
    "kAFMC": (0.01, "µM/h", "$k_{AFMC}$", "synthesis of ARF by MYC"),
    "kMREF": (0.8, "µM/h", "$k_{MREF}$", "synthesis of miRNA by E2F"),
    "kMRMC": (0.2, "µM/h", "$k_{MRMC}$", "synthesis of miRNA by MYC"),
    "KAFMC": (1.0, "µM", "$K_{AFMC}$", "half constant of MYC for ARF"),
    "KAFEF": (0.5, "µM", "$K_{AFEF}$", "half constant of E2F for ARF"),
    "KMRMC": (0.25, "µM", "$K_{MRMC}$", "half constant of MYC for miRNA"),
    "KMREF": (0.25, "µM", "$K_{MREF}$", "half constant of E2F for miRNA"),
    "KMC": (0.15, "µM", "$K_{MC}$", "half constant of MYC for E2F mRNA, with E2F"),
    "KMC1": (2.5, "µM", "$K_{MC1}$", "half constant of MYC for E2F mRNA, alone"),
    "KS": (0.5, "%", "$K_S$", "half constant of serum"),
    "KEF": (0.15, "µM", "$K_{EF}$", "half constant of E2F for its mRNA and cyclin E"),
    "KR": (100.0, "µM", "$K_R$", "half constant of repression by MYC"),
    "KMR": (0.6, "µM", "$K_{MR}$", "half constant of repression by miRNA"),
    "KAFR": (0.01, "1/µM", "$K_{AFR}$", "ARF's share in the decay of E2F"),
    "KRP": (0.01, "µM", "$K_{RP}$", "half constant of dephosphorylation"),
    "KCD": (0.92, "µM", "$K_{CD}$", "half constant of phosphorylation by cyclin D"),
    "KCE": (0.92, "µM", "$K_{CE}$", "half constant of phosphorylation by cyclin E"),
    "KMCCD": (0.15, "µM", "$K_{MCCD}$", "half constant of MYC for cyclin D"),
    "dEFm": (0.25, "1/h", "$d_{EFm}$", "decay of E2F mRNA"),
    "dEFp": (0.35, "1/h", "$d_{EFp}$", "decay of E2F"),
    "dCD": (1.5, "1/h", "$d_{CD}$", "decay of cyclin D"),
    "dCE": (1.5, "1/h", "$d_{CE}$", "decay of cyclin E"),
    "dRB": (0.06, "1/h", "$d_{RB}$", "decay of RB"),
    "dRP": (0.06, "1/h", "$d_{RP}$", "decay of phospho-RB"),
    "dRE": (0.03, "1/h", "$d_{RE}$", "decay of RB–E2F"),
    "dMC": (0.7, "1/h", "$d_{MC}$", "decay of MYC"),
    "dAF": (0.12, "1/h", "$d_{AF}$", "decay of ARF"),
    "dMR": (2.8, "1/h", "$d_{MR}$", "decay of miRNA"),
}
"""Of each parameter its nominal value, unit, symbol and meaning."""
PARAMETERS = tuple(NOMINAL)
"""Names of the 43 parameters, in the order of all arrays."""
CORE = (
    *("kEFm", "kMC", "kCD", "kCDS", "kRB", "kRE", "kb", "KS", "kCE", "dMC", "dEFp", "dCE"),
    *("dCD", "dRB", "dRP", "dRE", "kRBP1", "kRBP2", "kRBDP", "KMC", "KEF", "KCD", "KCE", "KRP"),
)
"""The 24 parameters of the core Rb–E2F model (Yao et al. 2008), which vary by default."""


def molecular(parameters: FloatArray) -> FloatArray:
    """Return parameters (…, 43) in molecules and hours instead of µM and hours; serum stays in per cent."""
    return parameters * _SCALES


_SCALES = np.array(
    [
        {"µM": MOLECULES, "µM/h": MOLECULES, "1/µM": 1 / MOLECULES, "1/(µM h)": 1 / MOLECULES}.get(unit, 1.0)
        for _, unit, _, _ in NOMINAL.values()
    ]
)
