"""Write benchmarks/discovery_study/dysts.json: the polynomial systems of the dysts database (Gilpin 2021, MIT licence).

    pip install dysts; python benchmarks/export_dysts.py

The coefficients are found by evaluating each system's right-hand side at random states: they are exact, and a system
that a library of degree 4 does not hold would show by its residual.
"""

import json
from pathlib import Path

import numpy as np
from dysts import flows

from mechscreen.discovery import Polynomial

OUT = Path(__file__).with_name("discovery_study") / "dysts.json"

# fmt: off
SYSTEMS = [
    "Aizawa", "Bouali2", "BurkeShaw", "Chen", "ChenLee", "Dadras", "DequanLi", "Finance", "GenesioTesi",
    "GuckenheimerHolmes", "Hadley", "Halvorsen", "HenonHeiles", "HyperBao", "HyperCai", "HyperJha", "HyperLorenz",
    "HyperLu", "HyperPang", "HyperQi", "HyperRossler", "HyperWang", "HyperXu", "HyperYan", "HyperYangChen",
    "KawczynskiStrizhak", "Laser", "Lorenz", "LorenzBounded", "LorenzStenflo", "LuChen", "LuChenCheng",
    "MooreSpiegel", "NewtonLiepnik", "NoseHoover", "NuclearQuadrupole", "PehlivanWei", "Qi", "QiChen",
    "RabinovichFabrikant", "RayleighBenard", "RikitakeDynamo", "Rossler", "Rucklidge", "Sakarya",
    "ShimizuMorioka", "SprottA", "SprottB", "SprottC", "SprottD", "SprottE", "SprottF", "SprottG", "SprottH",
    "SprottI", "SprottJ", "SprottJerk", "SprottK", "SprottL", "SprottM", "SprottN", "SprottO", "SprottP",
    "SprottQ", "SprottR", "SprottS", "SprottTorus", "VallisElNino", "WangSun", "ZhouChen",
]
# fmt: on
"""The 70 systems of Kaptanoglu et al. (2023), Nonlinear Dynamics 111:13143."""


def equations(system) -> dict[str, dict[str, float]]:
    """Coefficients of each equation by term."""
    names = ("x", "y", "z", "w")[: len(system.ic)]
    library = Polynomial(4).bind(names)
    size = np.maximum(np.abs(system.std) + np.abs(system.mean), 1e-3)
    states = np.random.default_rng(0).uniform(-1, 1, (400, len(names))) * size
    rates = np.array([system.rhs(x, 0.0) for x in states])
    values, _ = library.evaluate(states)
    scale = np.abs(values).max(axis=0)
    theta = np.linalg.lstsq(values / scale, rates, rcond=1e-13)[0].T
    theta[np.abs(theta) < 1e-10 * np.abs(rates).max(axis=0)[:, None]] = 0.0
    residual = np.abs(values / scale @ theta.T - rates).max(axis=0) / np.abs(rates).max(axis=0)
    assert residual.max() < 1e-12, f"{system.name} is no polynomial of degree 4"
    theta /= scale
    return {
        name: {library.names[m]: float(f"{theta[k, m]:.12g}") for m in np.flatnonzero(theta[k])}
        for k, name in enumerate(names)
    }


def main() -> None:
    lines = []
    for name in sorted(SYSTEMS):
        system = getattr(flows, name)()
        record = {
            "equations": equations(system), "start": [float(x) for x in system.ic], "period": float(system.period)
        }  # fmt: skip
        lines.append(f" {json.dumps(name)}: {json.dumps(record)}")
    OUT.write_text("{\n" + ",\n".join(lines) + "\n}\n")


if __name__ == "__main__":
    main()
