"""A field as output: a morphogen that spreads from two sources in a sheet of tissue.

Source: Wartlick, Kicheva & González-Gaitán 2009, Cold Spring Harb. Perspect. Biol. 1:a001255 (gradients by diffusion
and decay).
"""

import numpy as np
from scipy.fft import dctn, idctn

from mechscreen import Model, Output, Parameter, ParameterSpace, Solution

POINTS, SIDE = 64, 320.0
"""Points and length (µm) of either axis."""


class Morphogens(Model):
    r"""Steady state of diffusion and decay, with no flux through the edges, by a cosine transform.

    .. math::

        c - \lambda^2 \nabla^2 c = \sum_i s_i \exp\left(-\frac{|x - x_i|^2}{2 \cdot (15\,µm)^2}\right)
    """

    name = "morphogens"
    version = "1"
    isolated = False
    seconds = 1e-3
    space = ParameterSpace(
        [
            Parameter("decay_length", 15.0, 80.0, unit="µm", symbol=r"$\lambda$", meaning="decay length"),
            Parameter("left", 40.0, 150.0, unit="µm", symbol="$x_1$", meaning="place of the first source"),
            Parameter("right", 170.0, 280.0, unit="µm", symbol="$x_2$", meaning="place of the second source"),
            Parameter("ratio", 0.2, 2.0, symbol="$s_2/s_1$", meaning="strength of the second source"),
        ]
    )
    outputs = (
        Output(
            "morphogen",
            (np.linspace(0.0, SIDE, POINTS), np.linspace(0.0, SIDE, POINTS)),
            unit="nM",
            grid_name=("y", "x"),
            grid_unit="µm",
        ),
    )

    def solve(self, parameters, seeds):
        """Solve each parameter set; `seeds` goes unused."""
        length, left, right, ratio = parameters.T[:, :, None, None]
        y, x = self.outputs[0].grids
        # The second source lies higher up.
        source = 10 * np.exp(-((x - left) ** 2 + (y[:, None] - 110) ** 2) / (2 * 15**2))
        source = source + 10 * ratio * np.exp(-((x - right) ** 2 + (y[:, None] - 210) ** 2) / (2 * 15**2))
        # The cosine transform's modes, of the differences between neighbouring points.
        h = SIDE / (POINTS - 1)
        modes = 2 * (1 - np.cos(np.pi * np.arange(POINTS) / POINTS)) / h**2
        spectrum = dctn(source, axes=(1, 2)) / (1 + length**2 * (modes[:, None] + modes))
        return Solution({"morphogen": np.maximum(idctn(spectrum, axes=(1, 2)), 0)})


def spread(outputs, threshold=0.5):
    """Label a tissue by its share above a threshold (nM): 0 less than a tenth, 1 up to a fifth, 2 more."""
    share = (outputs["morphogen"] >= threshold).mean(axis=(1, 2))
    return np.digitize(share, [0.1, 0.2])
