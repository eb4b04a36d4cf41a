"""A model whose parameters say nothing of what it does: 30 % of the samples are "high" by the chance of their seeds."""

import numpy as np

from mechscreen import Model, Output, Parameter, ParameterSpace, Solution


class Coin(Model):
    """High or low; no solution for `a` below `fails`."""

    name = "coin-model-of-the-tests"
    version = "1"
    isolated = False
    space = ParameterSpace([Parameter("a", 0.0, 1.0), Parameter("b", 0.0, 1.0)])
    outputs = (Output("y", np.arange(3.0)),)

    def __init__(self, fails=0.0):
        self.fails = fails

    def solve(self, parameters, seeds):
        high = np.array([np.random.default_rng(int(seed)).random() < 0.3 for seed in seeds])
        y = np.where(high[:, None], [[0.2, 0.6, 1.0]], [[1.0, 0.6, 0.2]])
        y[parameters[:, 0] < self.fails] = np.nan
        return Solution(y[:, None, :], ["a is too small" if a < self.fails else "" for a in parameters[:, 0]])


def label(profiles, log_peaks):
    return (profiles[:, 0, 2] > 0.9).astype(int)
