"""What tests of several folders need."""

import os
import shutil
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

# Before any test loads TensorFlow, after which it cannot be loaded (`mechscreen.models.sbml_engine`).
with suppress(ImportError):
    import roadrunner  # noqa: F401
import pytest
from hypothesis import settings

from bumps import bumps_file, trained, trained_results  # noqa: F401

# How long an example takes says nothing where other programs run, too.
settings.register_profile("unhurried", deadline=None)
settings.load_profile("unhurried")


@pytest.fixture(scope="session")
def mpiexec():
    """Return a function that starts Python with some arguments on n ranks; its result is a `subprocess.Popen`."""
    beside = Path(sys.executable).with_name("mpiexec")
    launcher = str(beside) if beside.exists() else shutil.which("mpiexec")
    if launcher is None:
        pytest.skip("no mpiexec: pip install 'mechscreen[mpich]', or load an MPI module")

    def start(ranks, *arguments):
        return subprocess.Popen(
            [launcher, "-n", str(ranks), sys.executable, *map(str, arguments)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, "OMP_NUM_THREADS": "1", "NUMBA_NUM_THREADS": "1"},
        )

    return start


@pytest.fixture(scope="session")
def on_jax():
    """Return a function that runs Python in a process in which Keras runs on JAX; what it returns has gone well."""

    def run(*arguments, **environment):
        ran = subprocess.run(
            [sys.executable, *map(str, arguments)],
            env={**os.environ, "KERAS_BACKEND": "jax", **environment},
            cwd=Path(__file__).parents[1],
            capture_output=True,
            text=True,
            check=False,
        )
        assert ran.returncode == 0, ran.stdout + ran.stderr
        return ran

    return run
