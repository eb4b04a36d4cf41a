"""Models whose posteriors are known: a straight line, and predators and prey."""

import numpy as np

from mechscreen.models import Model, Output, Solution
from mechscreen.spaces import Parameter, ParameterSpace

TIMES = np.linspace(0, 10, 21)


class Line(Model):
    """``y = intercept + slope · t``, and its value at the end as a number."""

    name = "line"
    version = "1"
    isolated = False
    seconds = 1e-5
    stochastic = False
    space = ParameterSpace([Parameter("intercept", -10.0, 10.0), Parameter("slope", -5.0, 5.0)])
    outputs = (Output("y", TIMES, grid_name="time", scale="linear"), Output("last", scale="linear"))

    def solve(self, parameters, seeds):
        """Draw the lines."""
        y = parameters[:, :1] + parameters[:, 1:2] * TIMES
        return Solution({"y": y, "last": y[:, -1]})


class Predators(Model):
    """Lotka and Volterra, by Runge and Kutta: growth and death vary, and how far the predator eats."""

    name = "predators"
    version = "1"
    isolated = False
    seconds = 1e-4
    stochastic = False
    space = ParameterSpace(
        [
            Parameter("growth", 0.1, 3.0, scale="log"),
            Parameter("eating", 0.1, 3.0, scale="log"),
            Parameter("death", 0.1, 3.0, scale="log"),
        ]
    )
    outputs = (Output("prey", TIMES, grid_name="time"), Output("predator", TIMES, grid_name="time"))

    def solve(self, parameters, seeds):
        """Go from point to point in ten steps each."""
        growth, eating, death = parameters.T
        state = np.ones((2, len(parameters)))
        path = [state]

        def rate(of):
            prey, predator = of
            return np.array([prey * (growth - eating * predator), predator * (0.8 * eating * prey - death)])

        step = (TIMES[1] - TIMES[0]) / 10
        for _ in TIMES[1:]:
            for _ in range(10):
                a = rate(state)
                b = rate(state + step / 2 * a)
                c = rate(state + step / 2 * b)
                d = rate(state + step * c)
                state = state + step / 6 * (a + 2 * b + 2 * c + d)
            path.append(state)
        prey, predator = np.array(path).transpose(1, 2, 0)
        return Solution({"prey": prey, "predator": predator})
