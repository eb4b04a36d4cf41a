"""Choice of terms on a quadratic model: add, drop and swap, at a price per term."""

from __future__ import annotations

import numpy as np
from numba import njit

from mechscreen.discovery.library import FloatArray, IntArray


@njit(cache=True)
def _sweep(table, k, sign):  # type: ignore[no-untyped-def]
    """Sweep a symmetric table on row k: sign 1 brings variable k into the regression, −1 takes it out (Beaton 1964).

    With set A swept in, the table holds −A⁻¹ in its block, the regression coefficients beside it, and the Schur
    complement elsewhere.
    """
    n = table.shape[0]
    pivot = table[k, k]
    for i in range(n):
        if i == k:
            continue
        factor = table[i, k] / pivot
        for j in range(n):
            if j != k:
                table[i, j] -= factor * table[k, j]
    for j in range(n):
        if j != k:
            table[k, j] *= sign / pivot
            table[j, k] = table[k, j]
    table[k, k] = -1.0 / pivot


@njit(cache=True)
def _search(gram, moment, chosen, locked, allowed, prices, tolerance, max_moves):  # type: ignore[no-untyped-def]
    p = gram.shape[0]
    table = np.empty((p + 1, p + 1))
    table[:p, :p] = gram
    table[:p, p] = moment
    table[p, :p] = moment
    table[p, p] = 0.0
    active = np.zeros(p, dtype=np.bool_)
    for k in range(p):
        if chosen[k] and table[k, k] > tolerance:
            _sweep(table, k, 1.0)
            active[k] = True
    for _ in range(max_moves):
        best = -1e-9
        add = -1
        drop = -1
        for j in range(p):
            if active[j] or not allowed[j] or table[j, j] <= tolerance:
                continue
            change = prices[j] - table[j, p] ** 2 / table[j, j]
            if change < best:
                best = change
                add = j
                drop = -1
        for i in range(p):
            if not active[i] or locked[i]:
                continue
            inverse = -table[i, i]
            coefficient = table[i, p]
            change = coefficient**2 / inverse - prices[i]
            if change < best:
                best = change
                add = -1
                drop = i
            for j in range(p):
                if active[j] or not allowed[j] or table[j, j] <= tolerance:
                    continue
                cross = table[i, j]
                variance = table[j, j] + cross * cross / inverse
                residual = table[j, p] + cross * coefficient / inverse
                swap = coefficient**2 / inverse - residual * residual / variance + prices[j] - prices[i]
                if swap < best:
                    best = swap
                    add = j
                    drop = i
        if add < 0 and drop < 0:
            break
        if drop >= 0:
            _sweep(table, drop, -1.0)
            active[drop] = False
        if add >= 0:
            _sweep(table, add, 1.0)
            active[add] = True
    return active, table[p, p]


def best_subset(
    hessian: FloatArray,
    target: FloatArray,
    prices: FloatArray | float,
    *,
    starts: list[IntArray],
    locked: IntArray | None = None,
    tolerance: float = 1e-10,
) -> tuple[IntArray, float]:
    """Minimise ``(b − b*)·H·(b − b*) + Σ prices`` over supports, by local search from several supports.

    Parameters
    ----------
    hessian
        H (P, P), positive semidefinite.
    target
        ``H b*`` (P,).
    prices
        (P,), cost of each term, or of any, in the units of the misfit (twice a log likelihood).
    locked
        Columns that must stay.

    Returns
    -------
    support (k,), value
        The value is relative to the empty support.
    """
    p = len(target)
    prices = np.ones(p) * prices
    scale = np.sqrt(np.maximum(np.diag(hessian), 0.0))
    allowed = scale > 1e-150
    safe = np.where(allowed, scale, 1.0)
    gram = hessian / np.outer(safe, safe)
    moment = target / safe
    keep = np.zeros(p, dtype=bool)
    if locked is not None:
        keep[locked] = True
    best: tuple[IntArray, float] | None = None
    for start in starts:
        chosen = keep.copy()
        chosen[start] = True
        active, value = _search(gram, moment, chosen, keep, allowed, prices, tolerance, 4 * p + 20)
        value += prices[active].sum()
        if best is None or value < best[1] - 1e-9:
            best = np.flatnonzero(active), float(value)
    assert best is not None
    return best


def neighbour_costs(
    hessian: FloatArray,
    target: FloatArray,
    support: IntArray,
    prices: FloatArray | float,
    locked: IntArray,
    tolerance: float = 1e-10,
) -> list[tuple[int, int, float]]:
    """Change of the criterion by each move away from `support`, on the quadratic model of `best_subset`.

    Returns triples (column dropped or −1, column added or −1, change), cheapest first.
    """
    p = len(target)
    prices = np.ones(p) * prices
    scale = np.sqrt(np.maximum(np.diag(hessian), 0.0))
    safe = np.where(scale > 1e-150, scale, 1.0)
    table = np.empty((p + 1, p + 1))
    table[:p, :p] = hessian / np.outer(safe, safe)
    table[:p, p] = table[p, :p] = target / safe
    table[p, p] = 0.0
    inside = np.zeros(p, dtype=bool)
    for k in support:
        if table[k, k] > tolerance:
            _sweep(table, int(k), 1.0)
            inside[k] = True
    # A term that the others of the support express can go for nothing.
    spare = [int(k) for k in support if not inside[k] and k not in locked]
    free = np.flatnonzero(inside & ~np.isin(np.arange(p), locked))
    outside = np.flatnonzero(~np.isin(np.arange(p), support) & (np.diag(table)[:p] > tolerance))
    inverse = -np.diag(table)[free]
    loss = table[free, p] ** 2 / inverse
    moves = [(k, -1, -float(prices[k])) for k in spare]
    moves += [(int(i), -1, float(c - prices[i])) for i, c in zip(free, loss, strict=True)]
    gain = table[outside, p] ** 2 / np.diag(table)[outside]
    moves += [(-1, int(j), float(prices[j] - g)) for j, g in zip(outside, gain, strict=True)]
    cross = table[np.ix_(free, outside)]
    variance = np.diag(table)[outside] + cross**2 / inverse[:, None]
    residual = table[outside, p] + cross * (table[free, p] / inverse)[:, None]
    swap = loss[:, None] - residual**2 / variance + prices[outside] - prices[free][:, None]
    moves += [(int(i), int(j), float(swap[a, b])) for a, i in enumerate(free) for b, j in enumerate(outside)]
    return sorted(moves, key=lambda move: move[2])
