"""Models that start programs and processes, and models whose code is wrong."""

import multiprocessing
import os
import subprocess
from pathlib import Path

import numpy as np
from companions import curve

from mechscreen import Model, Output, Parameter, ParameterSpace, Solution


class FixedFiles(Model):
    """y = k, by a program that reads and writes files of fixed names."""

    name, version = "fixed-files-of-the-tests", "1"
    space = ParameterSpace([Parameter("k", 0.1, 2.0)])
    outputs = (Output("y", np.arange(2.0)),)

    def solve(self, parameters, seeds):
        y = []
        for (k,) in parameters:
            Path("in.txt").write_text(f"{k}\n")
            subprocess.run("sleep 0.01; cp in.txt out.txt", shell=True, check=True)
            y.append([float(Path("out.txt").read_text())] * 2)
        return Solution(np.array(y)[:, None, :])


class Pools(Model):
    """y = exp(−k x), in processes of `multiprocessing`; `y0` is held fixed."""

    name, version = "pools-of-the-tests", "1"
    space = ParameterSpace([Parameter("k", 0.1, 2.0), Parameter("y0", 2.0, 2.0)])
    outputs = (Output("y", np.arange(5.0)),)

    def __init__(self, how="fork"):
        self.how = how

    def solve(self, parameters, seeds):
        with multiprocessing.get_context(self.how).Pool(2) as pool:
            return Solution(np.array(pool.map(mine, parameters[:, 0]))[:, None, :])


def mine(k):
    return curve(k)


class Talkative(Model):
    """y = k, with twenty megabytes of lines for each sample."""

    name, version = "talkative-model-of-the-tests", "1"
    space = ParameterSpace([Parameter("k", 0.1, 2.0)])
    outputs = (Output("y", np.arange(2.0)),)

    def solve(self, parameters, seeds):
        for (k,) in parameters:
            print(f"sample {k:.2f}: converging\n" * 800_000, end="")
        return Solution(np.repeat(parameters, 2, axis=1)[:, None, :])


class Mistaken(Model):
    """Wrong in a way of one's choice, for k above `limit`."""

    name, version = "mistaken-model-of-the-tests", "1"
    space = ParameterSpace([Parameter("k", 0.0, 100.0)])
    outputs = (Output("y", np.arange(3.0)),)

    def __init__(self, how, limit=-1.0):
        self.how = how
        self.limit = limit

    def solve(self, parameters, seeds):
        right = np.ones((len(parameters), 1, 3))
        if (parameters <= self.limit).all():
            return Solution(right)
        if self.how == "array":
            return right
        if self.how == "shape":
            return Solution(right[:, 0])
        if self.how == "broadcast":
            return Solution(right + np.ones(2))
        if self.how == "file":
            return Solution(np.loadtxt("data.txt") * right)
        if self.how == "folder":
            return Solution(np.loadtxt(Path(os.environ["MECHSCREEN_FOLDER"], "data.txt")) * right)
        if self.how == "import":
            import no_module_of_the_tests  # noqa: F401
        raise {"name": NameError("name 'x' is not defined"), "value": ValueError("diverges")}[self.how]
