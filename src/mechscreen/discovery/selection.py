"""Choice of terms on a quadratic model: add, drop and swap, at a price per term."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numba import njit

from mechscreen.discovery.library import FloatArray, IntArray

_DEPENDENT = 1e-10
"""Share of a column outside of the others' span, below which it cannot enter."""
_LEAST_APART = 1e-6
"""Share of a column outside of another's span that counts at least: of what is less, rounding is a part."""
_GAIN = 1e-6
"""By which a pair must be better."""

Move = tuple[tuple[int, ...], tuple[int, ...], float]
"""Columns dropped and added by a move away from a support, and by how much it changes the criterion."""


@dataclass(frozen=True)
class Blocks:
    """Columns that enter and leave together.

    Attributes
    ----------
    of
        (P,) block of each column: its own number, unless it is a further value.
    needs
        (B,) the block without which another is not there, −1 where there is none.
    further
        (P,) True for columns that are further values of a coefficient, by condition.
    """

    of: IntArray
    needs: IntArray
    further: np.ndarray

    @cached_property
    def _columns(self) -> list[tuple[int, ...]]:
        return [tuple(np.flatnonzero(self.of == b).tolist()) for b in range(len(self.needs))]

    def closed(self, support: IntArray) -> IntArray:
        """Return the columns (k,) of all blocks that a support has some of, and of those that these need."""
        there = np.unique(self.of[support])
        needed = self.needs[there]
        return np.flatnonzero(np.isin(self.of, np.union1d(there, needed[needed >= 0])))

    def moves(self, active: np.ndarray, locked: np.ndarray) -> Iterator[tuple[tuple[int, ...], tuple[int, ...]]]:
        """Yield what may be dropped and added, columns each: a block, or one for another; (P,) True for columns."""
        columns, needs = self._columns, self.needs.tolist()
        inside = [bool(active[own[0]]) for own in columns]
        needing = {b: other for other, b in enumerate(needs) if b >= 0 and inside[other]}
        drops = [
            (b, (*own, *(columns[needing[b]] if b in needing else ())))
            for b, own in enumerate(columns)
            if inside[b] and not any(locked[list(own)])
        ]
        adds = [
            (b, needs[b], (*(columns[needs[b]] if needs[b] >= 0 and not inside[needs[b]] else ()), *own))
            for b, own in enumerate(columns)
            if not inside[b]
        ]
        yield from (((), own) for _, _, own in adds)
        for dropped, gone in drops:
            yield gone, ()
            yield from ((gone, own) for _, needed, own in adds if needed != dropped)


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
def _corner(table, columns, n_dropped, tolerance):  # type: ignore[no-untyped-def]
    """Return the last entry of a table after some rows are swept, of which the first leave; infinite if one cannot."""
    q = len(columns)
    last = table.shape[0] - 1
    own = np.empty((q + 1, q + 1))
    for i in range(q + 1):
        a = columns[i] if i < q else last
        for j in range(q + 1):
            b = columns[j] if j < q else last
            own[i, j] = table[a, b]
    for i in range(q):
        if i >= n_dropped and own[i, i] <= tolerance:
            return np.inf
        # The pivot of a column that leaves is negative, but for rounding where columns are nearly dependent.
        if i < n_dropped and not own[i, i] < 0.0:
            return np.inf
        _sweep(own, i, -1.0 if i < n_dropped else 1.0)
    return own[q, q]


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
    blocks: Blocks | None = None,
    groups: IntArray | None = None,
    tolerance: float = _DEPENDENT,
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
    blocks
        Which columns enter and leave together; each for itself unless given. The starts are closed under them.
    groups
        (P,) equation of each column: where no column need be added, dropped or swapped, those of one equation are
        exchanged for the two that do best there. No such moves unless given.

    Returns
    -------
    support (k,), value
        The value is relative to the empty support.
    """
    p = len(target)
    prices = np.ones(p) * prices
    allowed, gram, moment = _scaled(hessian, target)
    keep = np.zeros(p, dtype=bool)
    if locked is not None:
        keep[locked] = True

    def near(start: IntArray) -> tuple[IntArray, float]:
        chosen = keep.copy()
        chosen[start] = True
        if blocks is None:
            active, value = _search(gram, moment, chosen, keep, allowed, prices, tolerance, 4 * p + 20)
        else:
            active, value = _search_blocks(gram, moment, chosen, keep, prices, blocks, tolerance)
        return np.flatnonzero(active), float(value + prices[active].sum())

    best, *others = map(near, starts)
    for other in others:
        best = other if other[1] < best[1] - 1e-9 else best
    while groups is not None:
        exchanged = _with_pairs(gram, moment, prices, best[0], keep, groups, tolerance)
        other = best if exchanged is None else near(exchanged)
        if other[1] >= best[1] - 1e-9:
            break
        best = other
    return best


def _with_pairs(
    gram: FloatArray,
    moment: FloatArray,
    prices: FloatArray,
    support: IntArray,
    locked: np.ndarray,
    groups: IntArray,
    tolerance: float,
) -> IntArray | None:
    """Return a support with the columns of each group exchanged for two others where that is better; None if never."""
    found = support
    for group in np.unique(groups[support]):
        own = np.flatnonzero((groups == group) & ~locked)
        rest = found[~np.isin(found, own)]
        # What the columns of the group explain beside the others.
        beside = np.linalg.lstsq(
            gram[np.ix_(rest, rest)], np.column_stack([gram[np.ix_(rest, own)], moment[rest]]), rcond=tolerance
        )[0]
        left = gram[np.ix_(own, own)] - gram[np.ix_(own, rest)] @ beside[:, :-1]
        moments = moment[own] - gram[np.ix_(own, rest)] @ beside[:, -1]
        usable = np.flatnonzero(np.diag(left) > tolerance)
        if len(usable) < 2:
            continue
        pairs, explained = explained_by_pairs(left[np.ix_(usable, usable)], moments[usable])
        pairs = own[usable[pairs]]
        costs = prices[pairs].sum(axis=1) - explained
        now = np.flatnonzero(np.isin(own, found))
        there = np.linalg.lstsq(left[np.ix_(now, now)], moments[now], rcond=tolerance)[0]
        best = int(np.argmin(costs))
        if costs[best] < prices[own[now]].sum() - float(moments[now] @ there) - _GAIN:
            found = np.union1d(rest, pairs[best])
    return None if found is support else found


def explained_by_pairs(gram: FloatArray, moment: FloatArray) -> tuple[IntArray, FloatArray]:
    """Return the pairs (n, 2) of columns (P,), and which part (n,) of a sum of squares each explains by itself."""
    size = np.sqrt(np.maximum(np.diag(gram), 1e-300))
    moments, cosine = moment / size, gram / np.outer(size, size)
    i, j = np.triu_indices(len(moment), 1)
    apart = np.maximum(1 - cosine[i, j] ** 2, _LEAST_APART)
    explained = (moments[i] ** 2 + moments[j] ** 2 - 2 * cosine[i, j] * moments[i] * moments[j]) / apart
    return np.column_stack([i, j]), explained


def _scaled(hessian: FloatArray, target: FloatArray) -> tuple[np.ndarray, FloatArray, FloatArray]:
    """Return which columns have a size, and Gram matrix and moments of all columns scaled to size 1."""
    scale = np.sqrt(np.maximum(np.diag(hessian), 0.0))
    allowed = scale > 1e-150
    safe = np.where(allowed, scale, 1.0)
    return allowed, hessian / np.outer(safe, safe), target / safe


def _table(gram: FloatArray, moment: FloatArray) -> FloatArray:
    """Return the table that is swept, (P + 1, P + 1)."""
    return np.block([[gram, moment[:, None]], [moment[None], np.zeros((1, 1))]])


def _search_blocks(
    gram: FloatArray,
    moment: FloatArray,
    chosen: np.ndarray,
    locked: np.ndarray,
    prices: FloatArray,
    blocks: Blocks,
    tolerance: float,
) -> tuple[np.ndarray, float]:
    """Return the best support (P,) near the chosen one, and its misfit, by moves of whole blocks."""
    table, active = _swept(gram, moment, chosen, blocks, tolerance)
    for _ in range(4 * len(blocks.needs) + 20):
        best, move = -1e-9, None
        for dropped, added in blocks.moves(active, locked):
            change = _change(table, dropped, added, prices, tolerance)
            if change < best:
                best, move = change, (dropped, added)
        if move is None:
            break
        active[list(move[0])], active[list(move[1])] = False, True
        # Anew, since errors of rounding add up from sweep to sweep.
        table, active = _swept(gram, moment, active, blocks, tolerance)
    return active, float(table[-1, -1])


def _swept(
    gram: FloatArray, moment: FloatArray, chosen: np.ndarray, blocks: Blocks, tolerance: float
) -> tuple[FloatArray, np.ndarray]:
    """Return the table with the chosen columns swept in, and which are: no block of which a column cannot enter."""
    table, active = _table(gram, moment), np.zeros(len(moment), dtype=bool)
    for b, needed in sorted(enumerate(blocks.needs.tolist()), key=lambda one: one[1] >= 0):
        columns = np.flatnonzero((blocks.of == b) & chosen)
        there = needed < 0 or active[blocks.of == needed].any()
        if len(columns) and there and np.isfinite(_corner(table, columns, 0, tolerance)):
            for k in columns:
                _sweep(table, int(k), 1.0)
            active[columns] = True
    return table, active


def _change(
    table: FloatArray, dropped: tuple[int, ...], added: tuple[int, ...], prices: FloatArray, tolerance: float
) -> float:
    """Return by how much a move changes the criterion."""
    corner = _corner(table, np.array(dropped + added, dtype=np.int64), len(dropped), tolerance)
    paid = sum(prices[k] for k in added) - sum(prices[k] for k in dropped)
    return float(corner - table[-1, -1] + paid)


def neighbours_by_blocks(
    hessian: FloatArray,
    target: FloatArray,
    support: IntArray,
    prices: FloatArray,
    locked: IntArray,
    blocks: Blocks,
) -> list[Move]:
    """Change of the criterion by each move of blocks away from `support`, as `neighbour_costs`, cheapest first."""
    _, gram, moment = _scaled(hessian, target)
    chosen, keep = np.zeros(len(target), dtype=bool), np.zeros(len(target), dtype=bool)
    chosen[support], keep[locked] = True, True
    table, active = _swept(gram, moment, chosen, blocks, _DEPENDENT)
    # What the others of the support express can go for nothing.
    spare = [b for b in range(len(blocks.needs)) if (chosen & ~active & ~keep)[blocks.of == b].any()]
    moves: list[Move] = []
    for b in spare:
        columns = np.flatnonzero(blocks.of == b)
        moves.append((tuple(columns.tolist()), (), -float(prices[columns].sum())))
    for dropped, added in blocks.moves(active, keep):
        if not chosen[list(added)].any():
            moves.append((dropped, added, _change(table, dropped, added, prices, _DEPENDENT)))
    return sorted((move for move in moves if np.isfinite(move[2])), key=lambda move: move[2])


def neighbour_costs(
    hessian: FloatArray,
    target: FloatArray,
    support: IntArray,
    prices: FloatArray | float,
    locked: IntArray,
    tolerance: float = _DEPENDENT,
) -> list[Move]:
    """Change of the criterion by each move away from `support`, on the quadratic model of `best_subset`.

    Returns moves, cheapest first.
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
    moves: list[Move] = [((k,), (), -float(prices[k])) for k in spare]
    moves += [((int(i),), (), float(c - prices[i])) for i, c in zip(free, loss, strict=True)]
    gain = table[outside, p] ** 2 / np.diag(table)[outside]
    moves += [((), (int(j),), float(prices[j] - g)) for j, g in zip(outside, gain, strict=True)]
    cross = table[np.ix_(free, outside)]
    variance = np.diag(table)[outside] + cross**2 / inverse[:, None]
    residual = table[outside, p] + cross * (table[free, p] / inverse)[:, None]
    swap = loss[:, None] - residual**2 / variance + prices[outside] - prices[free][:, None]
    moves += [((int(i),), (int(j),), float(swap[a, b])) for a, i in enumerate(free) for b, j in enumerate(outside)]
    return sorted(moves, key=lambda move: move[2])
