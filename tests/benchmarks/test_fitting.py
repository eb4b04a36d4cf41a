"""Fits in processes of their own: what they return, and what crashes and a lack of time become."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from discovery_study import fitting
from discovery_study.fitting import Data
from discovery_study.formula import Dynamics
from mechscreen.discovery import Polynomial

T = np.linspace(0, 5, 60)
DECAY = Data(("x",), [T], [2 * np.exp(-T)[:, None] + 0.002 * np.random.default_rng(0).standard_normal((60, 1))])


def test_a_fit_says_what_was_found_and_what_the_judge_says():
    row = fitting.fit(DECAY, "degree 2", lambda model: {"rate": float(model.coefficients[0, 1])}, limit=60)
    assert row["terms"] == 1
    assert row["rate"] == pytest.approx(-1, abs=0.02)
    assert row["equations"][0].startswith("dx/dt = -")
    assert 0.5 < row["confidence"] <= 1
    assert 0 < row["seconds"] < 60


def test_a_method_that_refuses_is_a_failure_that_was_said():
    noise = Data(("x",), [T], [np.random.default_rng(0).standard_normal((60, 1))])
    row = fitting.fit(noise, "degree 2", lambda model: {}, limit=60)
    assert row["refused"]
    assert row["failed"].startswith("refused: discover: ")


def _raise():
    raise ZeroDivisionError("of nothing")


def _spin():
    while True:
        pass


@pytest.mark.parametrize(
    ("work", "reason"),
    [
        (_raise, "crashed: ZeroDivisionError: of nothing (test_fitting.py, line "),
        (_spin, "took longer than 1 s"),
        (lambda: os.kill(os.getpid(), signal.SIGTERM), "crashed: the process ended with -15"),
    ],
)
def test_what_does_not_return_is_a_failure_with_its_reason(work, reason):
    row = fitting.within(1.0, work)
    assert row["failed"].startswith(reason)
    assert not row["refused"]


def test_a_process_that_waits_is_ended_by_the_clock(monkeypatch):
    monkeypatch.setattr(fitting, "PATIENCE", 1)
    began = time.monotonic()
    assert fitting.within(1.0, lambda: time.sleep(30) or {})["failed"] == "took longer than 1 s"
    assert time.monotonic() - began < 15


def test_the_library_is_monomials_or_a_name_that_discover_knows():
    assert fitting.library_of("degree 3") == Polynomial(3)
    assert fitting.library_of("rational") == Polynomial(2, forms=["rational"])
    assert (fitting.degree_of("degree 3"), fitting.degree_of("auto")) == (3, None)


def test_another_method_is_judged_like_ours(tmp_path):
    (tmp_path / "mine.py").write_text(
        "import numpy as np\n\ndef decay(t, y, names, degree, truth):\n    return np.array([[0.0, -1.0, 0.0]])\n"
    )
    method = f"{tmp_path / 'mine.py'}:decay"
    row = fitting.fit(DECAY, "degree 2", lambda model: {"path": model.simulate([2.0], T)}, limit=60, method=method)
    assert row["path"][-1, 0] == pytest.approx(2 * np.exp(-5), rel=1e-6)


def test_another_method_may_give_formulas(tmp_path):
    (tmp_path / "mine.py").write_text("def slow(t, y, names, degree, truth):\n    return [f'-x*{degree}/(2 + x)']\n")
    model = fitting.find(DECAY, "rational", f"{tmp_path / 'mine.py'}:slow")
    assert model.equations() == ["dx/dt = -x*3/(2 + x)"]
    np.testing.assert_allclose(model.rates(np.array([[1.0]])), [[-1.0]])
    assert model.simulate([1.0], T)[-1, 0] < 0.05
    assert np.count_nonzero(model.coefficients) == 1


SINDY_PI = """
import numpy as np
import peers
from discovery_study.formula import Dynamics

t = np.linspace(0, 4, 400)
x = Dynamics(("x",), ("-1.5*x/(0.6 + x)",)).solve([3.0], t)
print(*peers.sindy_pi([t], [x], ("x",), 2, None))
"""


def test_sindy_pi_gives_fractions():
    """In a process of its own: beside some other libraries, its solver crashes."""
    pytest.importorskip("cvxpy")
    folder = Path(fitting.__file__).parents[1]
    done = subprocess.run([sys.executable, "-c", SINDY_PI], cwd=folder, capture_output=True, text=True)
    text = done.stdout.strip().splitlines()[-1]
    x = np.linspace(0.05, 3.0, 50)[:, None]
    found, true = Dynamics(("x",), (text,)).rates(x), Dynamics(("x",), ("-1.5*x/(0.6 + x)",)).rates(x)
    assert np.sqrt(np.mean((found - true) ** 2)) < 0.3 * true.std()


@pytest.mark.parametrize(
    ("caveats", "misfit"),
    [
        ([], False),
        (["the support is information-limited: the chosen one has 65 % against its neighbours"], False),
        (["the coefficient of x in dx/dt is known to 40 % only"], False),
        (["the residuals of x are correlated (0.9 from sample to sample)"], True),
        (["the coefficient of x in dx/dt is known to 40 % only", "the fit did not converge"], True),
    ],
)
def test_caveats_of_few_data_are_told_from_those_of_misfit(caveats, misfit):
    assert fitting.says_misfit({"caveats": caveats}) is misfit
    assert fitting.is_silent({"caveats": caveats}) is (not caveats)


def test_the_commit_is_that_of_the_package():
    assert fitting.commit() == "" or 7 <= len(fitting.commit().rstrip("+")) <= 40
