"""A model that ails in every way a model can, at chosen samples."""

import ctypes
import errno
import os
import signal
import time

import numpy as np

from mechscreen import Model, Output, Parameter, ParameterSpace, Solution


def loop_for_ever():
    while True:
        pass


def read_a_table(number):
    """Fail as a file system does, unless it has been mended."""
    if os.environ.get("FILE_SYSTEM_OF_THE_TESTS") != "mended":
        raise OSError(number, os.strerror(number), "/data/table.csv")


AILMENTS = {
    "raises": lambda: 1 / 0,
    "loops": loop_for_ever,
    "sleeps": lambda: time.sleep(1e6),
    "aborts": os.abort,
    "dereferences null": lambda: ctypes.string_at(0),
    "exits": lambda: os._exit(7),
    "is killed": lambda: os.kill(os.getpid(), signal.SIGKILL),
    "has no memory": lambda: bytearray(2**62),
    "loses a file": lambda: read_a_table(errno.ESTALE),
    "finds no space": lambda: read_a_table(errno.ENOSPC),
    "has too many files": lambda: read_a_table(errno.EMFILE),
    "misses a file": lambda: read_a_table(errno.ENOENT),
    "may not read": lambda: read_a_table(errno.EACCES),
    "is not finite": lambda: None,
}


class Ailing(Model):
    """A wave; `ailments` names those of AILMENTS that befall the samples of k = 1, 2, …"""

    name = "ailing-model-of-the-tests"
    version = "1"
    space = ParameterSpace([Parameter("k", 0.0, 99.0), Parameter("frequency", 1.0, 9.0)])
    outputs = (Output("wave", np.linspace(0, 1, 20)),)

    def __init__(self, ailments=tuple(AILMENTS)):
        self.ailments = ailments

    def solve(self, parameters, seeds):
        k, frequency = parameters.T
        profiles = 1.1 + np.sin(frequency[:, None] * self.outputs[0].grid) + (seeds % np.uint64(7))[:, None]
        for i in range(len(parameters)):
            if 1 <= k[i] <= len(self.ailments):
                ailment = self.ailments[int(k[i]) - 1]
                AILMENTS[ailment]()
                profiles[i] = np.nan
        return Solution(profiles[:, None, :])
