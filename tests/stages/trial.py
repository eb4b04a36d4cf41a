"""A model of the tests of simulate and merge: two quick outputs, some samples that fail in each possible way."""

import os
import time

import numpy as np

from mechscreen import Model, Output, Parameter, ParameterSpace, Solution


class Trial(Model):
    """Two waves; a < 0.02 raises, then 0.02 each: no solution, negative, flat. Tells of its samples in a journal."""

    name = "trial-of-the-tests"
    version = "1"
    space = ParameterSpace(
        [Parameter("a", 0.0, 1.0), Parameter("b", 0.0, 2.0, one=4.0), Parameter("c", 1.0, 3.0, levels=(1.0, 3.0))]
    )
    outputs = (Output("sine", np.linspace(0, 1, 20)), Output("cosine", np.linspace(0, 2, 20)))

    def __init__(self, seconds=0.0):
        self.seconds = seconds

    def solve(self, parameters, seeds):
        a, b, c = parameters.T
        self.tell(seeds)
        time.sleep(self.seconds * len(a))
        if (a < 0.02).any():
            raise ValueError(f"a = {a.min():.3f} is\ntoo small for {object()}")
        noise = 1 + 1e-3 * (seeds >> np.uint64(40)).astype(float)
        wave = b[:, None] * self.outputs[0].grid
        profiles = (c * noise)[:, None, None] * np.stack([1.1 + np.sin(wave), 1.1 + np.cos(wave)], axis=1)
        profiles[(a >= 0.02) & (a < 0.04)] = np.nan
        profiles[(a >= 0.04) & (a < 0.06), 0, 3] = -1
        profiles[(a >= 0.06) & (a < 0.08), 1] = 0
        return Solution(profiles, ["does not converge" if 0.02 <= value < 0.04 else "" for value in a])

    def tell(self, seeds):
        journal = os.environ.get("TRIAL_JOURNAL")
        if journal:
            with open(journal, "a") as stream:  # noqa: PTH123 - one write, so that ranks do not mix
                stream.write("".join(f"{seed}\n" for seed in seeds))
