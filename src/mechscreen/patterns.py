"""What there is among many outputs, whatever is looked for: groups of what is alike, and what is unlike all else."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]

MOST_GROUPS = 8
UNUSUAL = 4
CLEAR = 0.25
"""Mean silhouette from which on groups are more than parts of one cloud (Kaufman & Rousseeuw 1990)."""
_LEARNT = 2000
"""Points by which groups are found, and silhouettes are computed."""
_LEARNT_AXES, _MOST_AXES, _VARIANCE = 1000, 30, 0.99
"""Of principal components in which points are compared, and points by which these are found."""
_STARTS = 3
_NEARLY = 0.85
_LEAST = 0.01
"""Share of the points that a group has at least."""


@dataclass(frozen=True)
class Patterns:
    """Groups of points, and points that are unlike all else.

    Attributes
    ----------
    shown
        (groups + unusual,), rows of the points that stand for them: of each group the one nearest to its mean, the
        largest group first; then those that are farthest from all before them.
    groups
        How many of these are groups.
    nearest
        (n,), which of all that is shown each point is nearest to.
    of_group
        (n,), the group of each point.
    silhouette
        Mean silhouette of the groups (Rousseeuw 1987): 1 where they are far apart, 0 where they are not apart at all.
    """

    shown: NDArray[np.intp]
    groups: int
    nearest: NDArray[np.intp]
    of_group: NDArray[np.intp]
    silhouette: float

    @property
    def clear(self) -> bool:
        """Whether the groups are apart."""
        return self.silhouette >= CLEAR


def find_patterns(points: FloatArray, trusted: NDArray[np.bool_], rng: np.random.Generator) -> Patterns:
    """Find groups and what is unusual among n points.

    By k-means in the principal components, with as many groups as are nearly as far apart as the best (by their mean
    silhouette); what is unusual by farthest-first traversal (Gonzalez 1985), so that what is rare is seen, too.

    Parameters
    ----------
    points
        (n, coordinates), of which Euclidean distances say how alike two are.
    trusted
        (n,), by which groups are found, and which may stand for others.
    """
    scores = _principal(np.asarray(points, float))
    may = np.flatnonzero(trusted) if trusted.any() else np.arange(len(scores))
    centres, silhouette = _groups(scores[rng.permutation(may)[:_LEARNT]], rng)
    numbers = np.bincount(np.argmin(_squares(scores, centres), axis=1), minlength=len(centres))
    centres = centres[np.argsort(-numbers, kind="stable")]
    away = _squares(scores, centres)
    of_group = np.argmin(away, axis=1)
    shown = []
    for k in range(len(centres)):
        rows = may[of_group[may] == k]
        shown.append(int(rows[np.argmin(away[rows, k])]))
    distances = _squares(scores, scores[shown])
    for _ in range(UNUSUAL):
        nearest = distances.min(axis=1)
        farthest = int(may[np.argmax(nearest[may])])
        if not nearest[farthest] > 0:
            break
        shown.append(farthest)
        distances = np.column_stack([distances, _squares(scores, scores[[farthest]])[:, 0]])
    return Patterns(np.array(shown), len(centres), np.argmin(distances, axis=1), of_group, silhouette)


def _principal(points: FloatArray) -> FloatArray:
    """Return points in as few principal components as hold nearly all of their variance."""
    centred = points - points.mean(axis=0)
    learnt = centred[:_LEARNT_AXES]
    # By the smaller of the two products, which takes a fraction of the time of a singular value decomposition.
    wide = learnt.shape[1] > len(learnt)
    squares, vectors = np.linalg.eigh(learnt @ learnt.T if wide else learnt.T @ learnt)
    squares, vectors = squares[::-1], vectors[:, ::-1]
    share = np.cumsum(np.maximum(squares, 0))
    if not share[-1] > 0:
        return centred[:, :1]
    kept = min(_MOST_AXES, int(np.searchsorted(share, _VARIANCE * share[-1])) + 1)
    axes = vectors[:, :kept]
    if wide:
        axes = learnt.T @ (axes / np.sqrt(squares[:kept]))
    scores: FloatArray = centred @ axes
    return scores


def _groups(points: FloatArray, rng: np.random.Generator) -> tuple[FloatArray, float]:
    """Return the centres of groups, and how far they are apart: their mean silhouette."""
    from scipy.cluster.vq import kmeans2

    found = [(points.mean(axis=0, keepdims=True), 0.0)]
    least = max(2.0, _LEAST * len(points))
    different = len(np.unique(points, axis=0))
    distances = np.sqrt(_squares(points, points))
    for k in range(2, min(MOST_GROUPS, different - 1) + 1):
        tried: list[tuple[float, int, FloatArray, NDArray[np.intp]]] = []
        for _ in range(_STARTS):
            centres, labels = kmeans2(points, k, minit="++", rng=rng)
            spread = float(np.square(points - centres[labels]).sum())
            # A few that are far from all else are unusual, and no group.
            if np.bincount(labels, minlength=k).min() >= least:
                tried.append((spread, len(tried), centres, labels))
        if not tried:
            continue
        _, _, centres, labels = min(tried, key=lambda one: one[:2])
        found.append((centres, _silhouette(distances, labels, k)))
    best = max(silhouette for _, silhouette in found)
    # The most groups that are nearly as far apart: more is seen.
    return next((centres, silhouette) for centres, silhouette in reversed(found) if silhouette >= _NEARLY * best)


def _silhouette(distances: FloatArray, labels: NDArray[np.intp], k: int) -> float:
    """Return the mean silhouette of points in k groups, none of which is empty; of a group of one it is 0."""
    member = np.eye(k)[labels]
    numbers = member.sum(axis=0)
    sums = distances @ member
    own = numbers[labels]
    rows = np.arange(len(labels))
    within = sums[rows, labels] / np.maximum(own - 1, 1)
    others = sums / numbers
    others[rows, labels] = np.inf
    between = others.min(axis=1)
    larger = np.maximum(within, between)
    each = np.where((own > 1) & (larger > 0), (between - within) / np.where(larger > 0, larger, 1), 0.0)
    return float(each.mean())


def _squares(points: FloatArray, others: FloatArray) -> FloatArray:
    """Return the squared distance of each point from each other one, (n, m)."""
    found = np.square(points).sum(axis=1)[:, None] + np.square(others).sum(axis=1) - 2 * points @ others.T
    return np.maximum(found, 0.0)
