"""A model with something queer about it, for the tests of check-model."""

import numpy as np

from mechscreen import Model, Output, Parameter, ParameterSpace, Solution

calls = []


class Queer(Model):
    """Waves of a frequency; `how` says what is queer."""

    name = "queer-model-of-the-tests"
    version = "1"
    space = ParameterSpace(
        [Parameter("rate", 1.0, 2.0, unit="1/h", meaning="of the wave"), Parameter("size", 1.0, 9.0)]
    )
    outputs = (
        Output("wave", np.linspace(0, 5, 60), unit="µM"),
        Output("idle", scale="linear"),
        Output("level", scale="linear", unit="mV"),
    )

    def __init__(self, how=""):
        self.how = how

    def solve(self, parameters, seeds):
        rate, size = parameters.T
        n = len(parameters)
        calls.append(n)
        level = size.copy()
        if self.how == "seeds":
            level += [np.random.default_rng(int(seed)).random() for seed in seeds]
        if self.how == "clock":
            level += len(calls)
        if self.how == "rows":
            level += size.mean()
        if self.how == "rounds":
            level *= 1 + 1e-9 * n
        if self.how in ("fails", "mostly fails"):
            level[size > (0 if self.how == "fails" else 3)] = np.nan
        if self.how == "raises" and (size < 3).any():
            raise ValueError(f"size {size.min()} is too small")
        grid = self.outputs[0].grid
        wave = size[:, None] * (1.1 + np.sin(2 * np.pi * rate[:, None] * grid) * (self.how != "flat"))
        return Solution(
            {"wave": wave, "idle": np.zeros(n), "level": level}, ["diverges" if np.isnan(v) else "" for v in level]
        )


def large(outputs):
    return (outputs["level"] > 5).astype(int)
