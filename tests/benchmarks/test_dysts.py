"""Systems of the dysts database."""

import numpy as np
import pytest

from discovery_study.dysts import Attractor, get_attractor, systems
from discovery_study.scoring import measure_attractor
from mechscreen import InputError


def test_the_published_study_has_seventy_systems_of_degree_four_at_most():
    assert len(systems()) == 70
    assert {len(s.variables) for s in systems().values()} == {3, 4}
    assert max(s.degree for s in systems().values()) == 4
    assert systems()["Lorenz"].equations["y"] == {"x": 28.0, "y": -1.0, "x*z": -1.0}


def test_trajectories_solve_the_equations_and_start_apart():
    system = get_attractor("SprottB")
    t, paths = system.trajectories(3)
    assert [p.shape for p in paths] == [(1000, 3)] * 5
    assert t[100] == pytest.approx(system.period)
    rate = system.rate()
    for path in paths[:2]:
        slope = np.gradient(path, t, axis=0, edge_order=2)
        rates = np.array([rate(x) for x in path])
        assert np.abs(slope - rates)[2:-2].max() < 0.06 * np.abs(rates).max()
    assert np.linalg.norm(paths[0][0] - paths[1][0]) > 0.1
    assert not np.allclose(system.trajectories(4)[1][0][0], paths[0][0])


def test_all_variables_of_a_trajectory_have_the_same_noise(monkeypatch):
    t = np.linspace(0, 30, 1000)
    exact = [np.stack([size * np.sin(t), 20 + np.cos(t), 1e-3 * t], axis=1) for size in (1.0, 10.0)]
    monkeypatch.setattr(Attractor, "trajectories", lambda *_: (t, exact))
    _, y = get_attractor("Lorenz").observe(0, noise=0.05)
    for own, x in zip(y, exact, strict=True):
        level = 0.05 * np.sqrt((x**2).mean(axis=0)).mean()
        np.testing.assert_allclose((own - x).std(axis=0), level, rtol=0.15)


def test_a_system_is_identified_from_its_noisy_trajectories():
    row = measure_attractor("SprottC", 0)
    assert row["exact"]
    assert row["distance"] < 0.005
    assert row["error"] < 0.005


def test_an_unknown_system_is_refused():
    with pytest.raises(InputError, match="did you mean 'Lorenz'"):
        get_attractor("Lorentz")
