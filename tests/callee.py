"""What the tests of isolation call in a process of its own."""

import ctypes
import os
import signal
import subprocess
import sys
import time
from pathlib import Path


class Callee:
    def __init__(self, start=0.0):
        time.sleep(start)

    def pid(self):
        return os.getpid()

    def double(self, value, delay=0.0):
        time.sleep(delay)
        return 2 * value

    def fail(self, kind, message):
        raise kind(message)

    def hold_the_interpreter(self):
        ctypes.PyDLL(None).sleep(1000)

    def start_another(self, path):
        process = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(1000)"])
        Path(path).write_text(str(process.pid))
        process.wait()

    def end_by(self, number):
        os.kill(os.getpid(), number)
        time.sleep(1000)

    def dereference_null(self):
        ctypes.string_at(0)

    def exit_at_once(self, code):
        os._exit(code)

    def unpicklable(self):
        return lambda: None

    def ranks(self):
        from mpi4py import MPI

        return MPI.COMM_WORLD.Get_size()


class Unmakeable:
    def __init__(self):
        raise ValueError("for this test")


class Deadly:
    def __init__(self):
        os.kill(os.getpid(), signal.SIGSEGV)
