"""What the tests of isolation call in a process of its own."""

import ctypes
import importlib
import multiprocessing
import os
import signal
import subprocess
import sys
import time
from pathlib import Path


class Callee:
    def __init__(self, start=0.0):
        time.sleep(start)
        self.made_in = os.getcwd()  # noqa: PTH109

    def pid(self):
        return os.getpid()

    def double(self, value, delay=0.0):
        time.sleep(delay)
        return 2 * value

    def fail(self, kind, message):
        raise kind(message)

    def fail_with(self, number):
        raise OSError(number, os.strerror(number))

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

    def folders(self):
        return os.getcwd(), self.made_in, os.environ["MECHSCREEN_FOLDER"], os.listdir()  # noqa: PTH109, PTH208

    def late_import(self, name):
        return importlib.import_module(name).value

    def say(self, text):
        print(text)

    def say_much(self, lines):
        """Print lines of 100 bytes each by Python, and as many by a program."""
        for number in range(lines):
            print(f"{number:099d}")
        sys.stdout.flush()
        subprocess.run(["awk", f'BEGIN {{ for (i = 0; i < {lines}; i++) printf "%099d\\n", i }}'], check=True)

    def say_and_crash(self, text):
        print(text)
        os.abort()

    def leave_a_talker(self, path):
        """Start a program that leaves the process group, and holds on to where it prints."""
        program = subprocess.Popen(["sleep", "1000"], start_new_session=True)
        Path(path).write_text(str(program.pid))

    def leave(self, name):
        Path(name).write_text("")

    def how_children_take(self, number):
        """Return what ends a fork, and a program, that are sent a signal."""
        fork = multiprocessing.get_context("fork").Process(target=time.sleep, args=(30,))
        fork.start()
        program = subprocess.Popen(["sleep", "30"])
        for pid in (fork.pid, program.pid):
            os.kill(pid, number)
        fork.join()
        return fork.exitcode, program.wait()

    def how_newborns_take(self, number, count):
        """Return what ends forks that are sent a signal before they run."""
        context = multiprocessing.get_context("fork")
        forks = [context.Process(target=time.sleep, args=(3,)) for _ in range(count)]
        for fork in forks:
            fork.start()
            os.kill(fork.pid, number)
        for fork in forks:
            fork.join()
        return {fork.exitcode for fork in forks}

    def notice(self, number, then, group=False):
        """Send a notice to this process, or to all of its group while a program runs, and then return or fail."""
        if group:
            program = subprocess.Popen(["sleep", "30"])
            os.killpg(0, number)
            program.wait()
        else:
            os.kill(os.getpid(), number)
        if then == "fail":
            raise OSError("interrupted")
        return then

    def ranks(self):
        from mpi4py import MPI

        return MPI.COMM_WORLD.Get_size()


class Unmakeable:
    def __init__(self):
        raise ValueError("for this test")


class Deadly:
    def __init__(self):
        os.kill(os.getpid(), signal.SIGSEGV)
