"""Numbers as outputs, one of them negative and one that no parameter determines: a cell's membrane at rest.

Sources: Hodgkin & Katz 1949, J. Physiol. 108:37–77 (the resting potential); Hille, Ion Channels of Excitable Membranes
(2001), chapter 1 (the values).
"""

import numpy as np

from mechscreen import Model, Output, Parameter, ParameterSpace, Solution

K_IN, NA_IN, NA_OUT = 140.0, 12.0, 145.0
"""Concentrations, mM."""


class Membrane(Model):
    r"""Resting potential, conductance and time constant of a membrane that lets potassium and sodium through.

    .. math::

        V = \frac{RT}{F} \ln \frac{[K]_o + p [Na]_o}{[K]_i + p [Na]_i}, \qquad
        g = g_K \left(1 + p \sqrt{[K]_o / K_{ref}}\right), \qquad \tau = C / g

    K_ref is 5 mM. Its fourth output is the voltage that an amplifier reads at one moment without a cell: noise, which
    no parameter determines.
    """

    name = "membrane"
    version = "1"
    isolated = False
    seconds = 1e-5
    space = ParameterSpace(
        [
            Parameter("potassium", 1.0, 40.0, unit="mM", symbol="$[K]_o$", meaning="potassium outside"),
            Parameter("permeability", 0.005, 0.5, symbol="$p$", meaning="of sodium, relative to potassium"),
            Parameter("conductance", 0.5, 50.0, unit="nS", symbol="$g_K$", meaning="of potassium channels"),
            Parameter("capacitance", 5.0, 100.0, unit="pF", symbol="$C$", meaning="of the membrane"),
        ]
    )
    outputs = (
        Output("potential", unit="mV"),
        Output("conductance", unit="nS", scale="log"),
        Output("time constant", unit="ms", scale="log"),
        Output("noise", unit="mV"),
    )

    def solve(self, parameters, seeds):
        """Evaluate the four numbers of each parameter set; the noise depends on its seed alone."""
        potassium, p, g, capacitance = parameters.T
        conductance = g * (1 + p * np.sqrt(potassium / 5))
        return Solution(
            {
                "potential": 25.7 * np.log((potassium + p * NA_OUT) / (K_IN + p * NA_IN)),
                "conductance": conductance,
                "time constant": capacitance / conductance,
                "noise": [np.random.default_rng(int(seed)).normal() for seed in seeds],
            }
        )


def excitable(outputs, threshold=-55.0):
    """Label a membrane by whether it is quick and rests below the threshold of spikes: 1, else 0."""
    return ((outputs["potential"] < threshold) & (outputs["time constant"] < 2)).astype(int)
