"""A Turing pattern on a field of two dimensions, solved with py-pde: spots, stripes and holes of the Brusselator.

    pip install py-pde

Sources: Prigogine & Lefever 1968, J. Chem. Phys. 48:1695 (the reactions); Peña & Pérez-García 2001, Phys. Rev. E
64:056213 (which pattern is stable where); Zwicker 2020, J. Open Source Softw. 5:2158 (py-pde).
"""

from functools import cache

import numpy as np
from pde import CartesianGrid, EulerSolver, FieldCollection, PDEBase, ScalarField

from mechscreen import Model, Output, Parameter, ParameterSpace, Solution

SIDE, END, STEP = 32, 60.0, 0.01
"""Points and length of either axis, when the field is looked at, and a step. Diffusion of 20 allows 0.0125."""
SHARES = np.linspace(0.0, 1.0, 41)
GRID = CartesianGrid([[0, SIDE], [0, SIDE]], [SIDE, SIDE], periodic=True)


@cache
def laplace():
    """Return the operator on `GRID`, which py-pde compiles: once in a process, since that takes seconds."""
    return GRID.make_operator("laplace", "periodic")


class Brusselator(PDEBase):
    """Two species that react and diffuse on `GRID`; parameters are those of `Turing`."""

    def __init__(self, feed, conversion, slow, fast):
        super().__init__()
        self.parameters = feed, conversion, slow, fast

    def evolution_rate(self, state, t=0):
        """Return what both species gain in a unit of time."""
        feed, conversion, slow, fast = self.parameters
        u, v = state.data
        reacted = u * (u * v - conversion)
        rate = state.copy()
        rate.data[0] = slow * laplace()(u) + feed - u + reacted
        rate.data[1] = fast * laplace()(v) - reacted
        return rate


def field(feed, conversion, slow, fast):
    """Return u, (32, 32), at the end.

    The start is the steady state with noise of 2 %, the same for all parameter sets: another one moves the pattern.
    """
    noise = 1 + 0.02 * np.random.default_rng(0).standard_normal((SIDE, SIDE))
    start = [ScalarField(GRID, feed * noise), ScalarField(GRID, conversion / feed)]
    equations = Brusselator(feed, conversion, slow, fast)
    state = FieldCollection(start)
    EulerSolver(equations, backend="numpy").make_stepper(state, dt=STEP)(state, 0, END)
    return state.data[0]


class Turing(Model):
    r"""The Brusselator on a square with periodic edges, in units of its own.

    .. math::

        \partial_t u = D_u \nabla^2 u + A - (B + 1) u + u^2 v, \qquad
        \partial_t v = D_v \nabla^2 v + B u - u^2 v

    Patterns grow where :math:`B > (1 + A \sqrt{D_u / D_v})^2`. Where spots lie is up to the noise at the start; a small
    change of a parameter may move all of them, and no network can learn that point by point. How u is distributed does
    not depend on places: the output is the value below which u is on a share of the square, for shares from 0 to 1.
    """

    name = "turing"
    version = "1"
    seconds = 0.3
    space = ParameterSpace(
        [
            Parameter("feed", 2.5, 4.0, symbol="$A$", meaning="supply of u"),
            Parameter("conversion", 3.0, 7.0, symbol="$B$", meaning="conversion of u to v"),
            Parameter("slow", 1.0, 3.0, symbol="$D_u$", meaning="diffusion of u"),
            Parameter("fast", 12.0, 20.0, symbol="$D_v$", meaning="diffusion of v"),
        ]
    )
    outputs = (Output("u", SHARES, scale="linear", grid_name="share of the area with less"),)

    def solve(self, parameters, seeds):
        """Solve each parameter set; the start is fixed, so `seeds` go unused."""
        return Solution({"u": [np.quantile(field(*row), SHARES) for row in parameters]})


def pattern(outputs, amplitude=0.2, skew=0.3):
    """Label how u is distributed: 0 uniform, 1 spots, 2 stripes and mazes, 3 holes.

    Uniform is where the highest and the lowest value differ by less than `amplitude` of the mean. Spots are few high
    values in much low ground and holes the reverse: a skewness of more than `skew`, or of less than minus that.
    """
    values = outputs["u"]
    # Of n equally likely values, the mean of each two neighbours.
    values = (values[:, 1:] + values[:, :-1]) / 2
    mean = values.mean(axis=1, keepdims=True)
    uneven = np.ptp(values, axis=1) > amplitude * mean[:, 0]
    deviation = values - mean
    skewness = (deviation**3).mean(axis=1) / np.maximum((deviation**2).mean(axis=1), 1e-12) ** 1.5
    return np.where(uneven, np.where(skewness > skew, 1, np.where(skewness < -skew, 3, 2)), 0)
