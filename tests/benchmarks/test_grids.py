"""Published grids of noise and length: their data are as published."""

import numpy as np
import pytest

from discovery_study import grids


def test_the_grids_are_those_of_the_scripts():
    assert len(grids.odr_bindy_rows()) == 3 * 16
    assert "lorenz-noise-0.3" in grids.odr_bindy_rows()
    assert set(grids.argos_rows()) == {f"{name}-{what}" for name in grids.ARGOS for what in ("ratios", "samples")}


@pytest.mark.parametrize("name", grids.ODR_BINDY)
def test_libraries_hold_the_systems_of_odr_bindy(name):
    grid = grids.ODR_BINDY[name]
    assert grid.dynamics.degree == grid.degree


@pytest.mark.parametrize("name", grids.ARGOS)
def test_libraries_hold_the_systems_of_bayesian_argos(name):
    equations, box = grids.ARGOS[name]
    assert 2 <= grids.Dynamics(("x", "y", "z"), equations).degree <= grids.ARGOS_DEGREE
    assert all(low < high for low, high in box)


def test_a_row_has_all_lengths_and_says_what_is_right(monkeypatch):
    seen = []

    def fit(dynamics, data, library, method, limit):
        seen.append((len(data.t[0]), data.t[0][0], data.y[0], library))
        return {"right": True}

    monkeypatch.setattr(grids, "_fit", fit)
    rows = grids.measure("lorenz-noise-0.1", 0, method="collocation", library=None, limit=60)
    assert [row["length"] for row in rows] == [4, 5, 6, 7, 8, 9, 10]
    assert [n for n, *_ in seen] == [400, 500, 600, 700, 800, 900, 1000]
    assert {(first, library) for _, first, _, library in seen} == {(0.01, "degree 2")}
    exact = grids._solution("lorenz")[1]
    np.testing.assert_allclose((seen[-1][2] - exact).std(axis=0), 0.1 * exact.std(), rtol=0.1)


def test_ratios_of_signal_to_noise_are_of_each_variable(monkeypatch):
    seen = []
    monkeypatch.setattr(grids, "_fit", lambda dynamics, data, *_: seen.append(data.y[0]) or {"right": False})
    monkeypatch.setattr(grids, "SAMPLES_OF_RATIOS", 500)
    rows = grids.measure("halvorsen-ratios", 0, method="collocation", library=None, limit=60)
    assert [row["noise"] for row in rows] == ["1", "13", "25", "37", "49", "61", "inf"]
    noise = (seen[2] - seen[-1]).std(axis=0) / seen[-1].std(axis=0)
    np.testing.assert_allclose(noise, 10 ** (-25 / 20), rtol=0.1)


def test_one_cell_is_found():
    (row, *_) = grids.measure("van-der-pol-noise-0.025", 0, method="collocation", library=None, limit=60)
    assert row["right"]
