import numpy as np

from mechscreen import Model, Output, Parameter, ParameterSpace, Solution


class Waves(Model):
    """Oscillates above a threshold of its drive; the period is known."""

    name = "waves-of-the-stages"
    version = "1"
    isolated = False
    seconds = 1e-4
    space = ParameterSpace([Parameter("drive", 0.0, 1.0), Parameter("frequency", 0.5, 2.0)])
    outputs = (Output("x", np.linspace(0, 40, 401), unit="nM", grid_name="time", grid_unit="h", scale="linear"),)

    def solve(self, parameters, seeds):
        drive, frequency = parameters.T[:, :, None]
        size = np.sqrt(np.maximum(drive - 0.4, 0))
        return Solution((size * np.sin(frequency * self.outputs[0].grid))[:, None, :])
