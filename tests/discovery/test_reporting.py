"""What is said of coefficients that the data do not tell apart, and of noise where starts are many."""

import numpy as np

from mechscreen.discovery import Polynomial, discover
from mechscreen.discovery.collocation import Columns
from mechscreen.discovery.knowledge import Structure
from mechscreen.discovery.reporting import _degenerate_directions


def _structure(d, terms):
    places = [(k, m) for k in range(d) for m in range(terms)]
    count = len(places)
    columns = Columns(
        np.arange(count), np.array([k for k, _ in places]), np.array([m for _, m in places]), np.ones(count), count,
        np.zeros((d, terms)),
    )  # fmt: skip
    return Structure(columns, np.zeros(0, dtype=np.int64))


def test_of_two_coefficients_the_combination_that_is_determined_is_named():
    """Where b = 2 a, changes of a's coefficient are made up for by half of that, the other way, of b's."""
    library = Polynomial(1).bind(("a", "b"))
    row = np.array([1.0, 2.0])
    lines = _degenerate_directions(np.outer(row, row), np.array([1, 2]), _structure(2, 3), library, np.ones(6))
    assert lines == [
        "nearly degenerate: a in da/dt and b in da/dt can change together without changing the fit; the data determine "
        "only (a in da/dt) + 2 (b in da/dt)"
    ]
    sizes = 1 / np.array([1.0, 4.0, 1.0] * 2)
    (line,) = _degenerate_directions(np.outer(row, row), np.array([1, 2]), _structure(2, 3), library, sizes)
    assert line.endswith("(a in da/dt) + 0.5 (b in da/dt)")


def test_many_degenerate_directions_take_three_lines():
    library = Polynomial(2).bind(("a", "b", "c"))
    lines = _degenerate_directions(np.ones((30, 30)), np.arange(30), _structure(3, 10), library, np.ones(30))
    assert len(lines) == 3
    assert lines[-1] == "… and 27 more nearly degenerate combinations"


def test_a_sine_beside_predators_and_prey_ends_in_a_model():
    """An exact sine has no noise: sizes of what its equation explains are far from those of the others."""
    t = np.linspace(0, 10, 101)
    x = np.empty((101, 2))
    x[0] = 1.5, 0.8
    for i in range(100):
        state = x[i]
        for _ in range(100):
            half = state + 0.0005 * np.array([state[0] - state[0] * state[1], state[0] * state[1] - state[1]])
            state = state + 0.001 * np.array([half[0] - half[0] * half[1], half[0] * half[1] - half[1]])
        x[i + 1] = state
    model = discover(t, np.column_stack([x, np.sin(t)]), Polynomial(2))
    assert np.isfinite(model.coefficients).all()
    assert sum("nearly degenerate" in caveat for caveat in model.caveats) <= 3


def _short(seed, noise):
    """Logistic growth from 100 random starts, four rows each."""
    rng = np.random.default_rng(seed)
    t, start = np.arange(4) * 2.0, np.exp(rng.uniform(np.log(0.05), np.log(1.5), 100))
    exact = start[:, None] * np.exp(t) / (1 + start[:, None] * (np.exp(t) - 1))
    size = noise * np.sqrt(np.mean(exact**2))
    return [t] * 100, list((exact + size * rng.standard_normal(exact.shape))[:, :, None]), size


def test_many_short_trajectories_give_coefficients_within_their_intervals():
    """As many starts as a quarter of the samples: neither they nor how closely the fit follows are taken for noise."""
    errors, noises = [], []
    for seed in range(6):
        t, y, size = _short(seed, 0.05)
        model = discover(t, y)
        assert model.equations()[0].count("x") == 3
        assert model.noise_kinds == ("constant",)
        errors += [(model.coefficients[0, m] - true) / model.standard_errors[0, m] for m, true in ((1, 1), (2, -1))]
        noises.append(model.noise[0] / size)
    assert np.abs(np.reshape(errors, (6, 2)).mean(axis=0)).max() < 1.2
    assert np.abs(errors).max() < 3.2
    assert 0.9 < np.mean(noises) < 1.1
