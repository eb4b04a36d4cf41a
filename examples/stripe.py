"""A model and an objective of one's own: the stripe of a French-flag circuit.

A morphogen decays exponentially from its source at x = 0. A gene is switched on by it at a low threshold and off at
a high one (an incoherent feed-forward loop), so that it is expressed in a stripe between the two.

Sources: Wolpert 1969, J. Theor. Biol. 25:1–47 (the French flag); Cotterell & Sharpe 2010, Mol. Syst. Biol. 6:425
(the circuits).
"""

import numpy as np

from mechscreen import Model, Output, Parameter, ParameterSpace, Solution


class Stripe(Model):
    r"""Steady state of a gene under an exponential morphogen gradient.

    .. math::

        c(x) = c_0 e^{-x/\lambda}, \qquad
        y(x) = \frac{c^n}{K_a^n + c^n} \, \frac{K_r^n}{K_r^n + c^n}
    """

    name = "stripe"
    version = "1"
    space = ParameterSpace(
        [
            Parameter("c0", 1.0, 100.0, unit="nM", symbol="$c_0$", meaning="morphogen at the source"),
            Parameter("decay_length", 20.0, 200.0, unit="µm", symbol=r"$\lambda$", meaning="decay length"),
            Parameter("K_on", 0.1, 10.0, unit="nM", symbol="$K_a$", meaning="activation threshold"),
            Parameter("K_off", 1.0, 100.0, unit="nM", symbol="$K_r$", meaning="repression threshold"),
            Parameter("hill", 1.0, 4.0, symbol="$n$", meaning="Hill exponent"),
        ]
    )
    outputs = (Output("gene", np.linspace(0.0, 400.0, 101), grid_name="position", grid_unit="µm"),)

    def solve(self, parameters, seeds):
        """Evaluate y(x); the model is deterministic, so `seeds` goes unused."""
        c0, decay_length, K_on, K_off, hill = parameters.T[:, :, None]
        c = c0 * np.exp(-self.outputs[0].grid / decay_length)
        y = c**hill / (K_on**hill + c**hill) * K_off**hill / (K_off**hill + c**hill)
        return Solution(y[:, None, :])


def stripe_position(profiles, log_peaks):
    """Label a profile by where its maximum lies: 0 at the source, 1 in the first half of the tissue, 2 beyond."""
    peak = profiles[:, 0, :].argmax(axis=1)
    return np.where(peak == 0, 0, np.where(peak <= 50, 1, 2))
