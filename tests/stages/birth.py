"""Births and deaths that balance: molecules by chance, of which there are k / d on the average."""

import numpy as np

from mechscreen import Model, Output, Parameter, ParameterSpace, Solution


class Birth(Model):
    name, version = "birth-of-the-tests", "1"
    space = ParameterSpace([Parameter("k", 20.0, 80.0, unit="1/min"), Parameter("d", 1.0, 2.0, unit="1/min")])
    outputs = (Output("molecules"), Output("average"))

    def solve(self, parameters, seeds):
        average = parameters[:, 0] / parameters[:, 1]
        if (average > 10_000).any():
            raise ValueError("too many")
        drawn = [np.random.default_rng(int(seed)).poisson(mean) for mean, seed in zip(average, seeds, strict=True)]
        return Solution({"molecules": np.array(drawn, float), "average": average})
