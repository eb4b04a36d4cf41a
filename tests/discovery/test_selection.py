"""The support search on quadratic models against exhaustive enumeration."""

import itertools

import numpy as np
import pytest

from mechscreen.discovery.selection import best_subset, neighbour_costs

PRICE = 4.0
NONE = np.zeros(0, dtype=np.int64)


def _problem(seed, p=8):
    rng = np.random.default_rng(seed)
    design = rng.normal(size=(40, p)) * 10.0 ** rng.uniform(-3, 3, size=p)
    truth = np.where(rng.random(p) < 0.4, rng.normal(size=p) * 3, 0) / design.std(axis=0)
    y = design @ truth + rng.normal(size=40)
    return design.T @ design, design.T @ y


def _value(hessian, target, support):
    support = list(support)
    if not support:
        return 0.0
    block = hessian[np.ix_(support, support)]
    return float(-target[support] @ np.linalg.solve(block, target[support])) + PRICE * len(support)


@pytest.mark.parametrize("seed", range(20))
def test_local_search_from_two_starts_finds_the_best_of_all_subsets(seed):
    hessian, target = _problem(seed)
    every = itertools.chain.from_iterable(itertools.combinations(range(8), k) for k in range(9))
    best = min(every, key=lambda s: _value(hessian, target, s))
    support, value = best_subset(hessian, target, PRICE, starts=[np.arange(8), NONE])
    assert tuple(support) == best
    assert value == pytest.approx(_value(hessian, target, best), rel=1e-6)


def test_two_columns_of_an_equation_are_exchanged_for_two_others_at_once():
    rng = np.random.default_rng(0)
    signal, first, second, own, other, noise = 8 * np.linalg.qr(rng.normal(size=(60, 6)))[0].T
    # Each pair tells the signal by its difference, and either column alone hides it; the second pair less well.
    design = np.column_stack(
        [9 * first + signal, 9 * first - signal, 9 * second + signal + 0.2 * own, 9 * second - signal, other]
    )
    y = signal + 0.05 * noise
    hessian, target = design.T @ design / 0.05**2, design.T @ y / 0.05**2
    worse = np.array([2, 3])
    stuck, value = best_subset(hessian, target, PRICE, starts=[worse])
    assert list(stuck) == [2, 3]
    support, better = best_subset(hessian, target, PRICE, starts=[worse], groups=np.zeros(5, dtype=np.int64))
    assert list(support) == [0, 1]
    assert better == pytest.approx(_value(hessian, target, (0, 1)), rel=1e-6)
    assert better < value
    # Of another equation, one of them is no candidate.
    apart, _ = best_subset(hessian, target, PRICE, starts=[worse], groups=np.array([1, 0, 0, 0, 0]))
    assert list(apart) == [2, 3]


def test_locked_columns_stay():
    hessian, target = _problem(3)
    target = target.copy()
    target[5] = 0.0
    support, _ = best_subset(hessian, target, 1e9, starts=[NONE], locked=np.array([5]))
    assert list(support) == [5]


def test_a_duplicate_column_is_not_added_twice():
    hessian = np.array([[2.0, 2.0, 0.0], [2.0, 2.0, 0.0], [0.0, 0.0, 1.0]])
    support, _ = best_subset(hessian, np.array([20.0, 20.0, 9.0]), PRICE, starts=[NONE])
    assert len(support) == 2


@pytest.mark.parametrize("seed", range(5))
def test_costs_of_all_neighbours_equal_their_direct_values(seed):
    hessian, target = _problem(seed)
    support, _ = best_subset(hessian, target, PRICE, starts=[NONE])
    base = _value(hessian, target, support)
    moves = neighbour_costs(hessian, target, support, PRICE, NONE)
    inside, outside = len(support), 8 - len(support)
    assert len(moves) == inside + outside + inside * outside
    assert [m[2] for m in moves] == sorted(m[2] for m in moves)
    assert moves[0][2] >= -1e-6
    for dropped, added, change in moves:
        other = (set(support.tolist()) - set(dropped)) | set(added)
        assert base + change == pytest.approx(_value(hessian, target, sorted(other)), rel=1e-6, abs=1e-6)
