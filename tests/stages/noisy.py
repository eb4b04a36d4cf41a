"""A quick model that draws from its seeds, and fails for some samples in several ways."""

import numpy as np

from mechscreen import Model, Output, Parameter, ParameterSpace, Solution


class Noisy(Model):
    """A line whose end is high by the chance of its seed; for small `a` it fails."""

    name = "noisy-model-of-the-tests"
    version = "1"
    space = ParameterSpace([Parameter("a", 0.0, 1.0), Parameter("b", 0.0, 2.0), Parameter("held", 3.0, 3.0)])
    outputs = (Output("line", np.linspace(0, 1, 5)),)

    def __init__(self, noise=1.0, mistake=False):
        self.noise = noise
        self.mistake = mistake

    def solve(self, parameters, seeds):
        if self.mistake:
            return parameters
        a, b, _ = parameters.T
        if (a < 0.01).any():
            raise ValueError(f"a = {a.min():.4f} is too small")
        chance = np.array([np.random.default_rng(int(seed)).random() for seed in seeds])
        end = 0.5 + b + self.noise * chance
        profiles = 1 + (end - 1)[:, None] * self.outputs[0].grid
        profiles[(a >= 0.01) & (a < 0.1)] = np.nan
        return Solution(profiles[:, None, :], ["does not converge" if value < 0.1 else "" for value in a])


def rises(profiles, log_peaks):
    """Label 0 where the line falls, 1 where it rises, 2 where it rises far."""
    return np.where(profiles[:, 0, 0] < 0.5, 2, (profiles[:, 0, 0] < 1).astype(int))
