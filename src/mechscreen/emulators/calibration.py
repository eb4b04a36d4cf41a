"""Probabilities of classes from what the members of an ensemble say, learnt from simulations that no network has seen.

What a class's probability follows from is told by numbers that any objective gives: how many of the members say it, how
many would if they were further apart than they are (`STRETCH`), and how far apart they are. A multinomial logistic
regression on these ranks the parameter sets; its probabilities are then moved, almost without a change of their order,
to what the simulations say (isotonic regression of bins: Zadrozny & Elkan, KDD 2002).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import brentq, isotonic_regression, minimize
from scipy.special import expit, log_softmax, logit

from mechscreen.arrays import namespace
from mechscreen.models.outputs import Outputs

FloatArray = NDArray[np.float64]
Label = Callable[[Any, Any], Any]
"""Profiles and log peaks → class of each sample, (n,)."""

STRETCH = 3.0
"""How much farther from their mean the members are put, to see which classes are near."""

_LEAST_DISAGREEMENT = 1e-4
_RIDGE, _PSEUDO = 0.05, 0.5
"""Of the regression's coefficients, in units of their features' deviations, and samples of each class that are added at
the mean of all: so a class of which the simulations hold no sample is improbable, and not impossible."""
_FEATURES = 8
"""Of a class, the constant included."""
_BINS, _SAMPLES, _VARIANCE = 10, 50, 2.0
"""Bins in which probabilities are moved, at most; samples of each in the mean, and sum of their p (1 − p), at least."""
_MOVE = 0.5
"""Prior standard deviation of what a bin's log-odds are moved by."""
_ENDS = 1e-9
"""Least distance of a probability from 0 and 1."""


@dataclass(frozen=True)
class Evidence:
    """What the members of an ensemble say of the classes of n parameter sets.

    Attributes
    ----------
    votes
        (n, classes), share of the members that say each.
    stretched
        (n, classes), share that would if each were `STRETCH` times as far from the mean of all.
    disagreement
        (n,), mean distance between two members.
    """

    votes: FloatArray
    stretched: FloatArray
    disagreement: NDArray[np.float32]

    def __len__(self) -> int:
        return len(self.disagreement)

    def take(self, rows: NDArray[np.intp]) -> Evidence:
        """Return some rows."""
        return Evidence(self.votes[rows], self.stretched[rows], self.disagreement[rows])


def evidence(
    said: Sequence[Mapping[str, Any]], disagreement: Any, label: Label, classes: int, outputs: Outputs
) -> Evidence:
    """Return what members say of the classes; arrays of any library.

    Parameters
    ----------
    said
        What each member says (`mechscreen.emulators.ensemble.Ensemble.predict_members`).
    disagreement
        (n,), as `mechscreen.emulators.ensemble.combine_members` returns it.
    """
    xp = namespace(disagreement)
    mean = {name: xp.mean(xp.stack([own[name] for own in said]), axis=0) for name in ("profiles", "log_peaks")}
    # What is divided by its maximum does not change its sign.
    least = np.concatenate(
        [
            np.full(size, 0.0 if output.scale == "peak" else -np.inf)
            for output, size in zip(outputs, outputs.sizes, strict=True)
        ],
        dtype=np.float32,
    ).reshape(said[0]["profiles"].shape[1:])
    marks = np.arange(classes)
    votes = stretched = xp.zeros((len(disagreement), classes))
    for own in said:
        far = {name: mean[name] + np.float32(STRETCH) * (own[name] - mean[name]) for name in mean}
        votes = votes + (label(own["profiles"], own["log_peaks"])[:, None] == marks)
        stretched = stretched + (label(xp.maximum(far["profiles"], least), far["log_peaks"])[:, None] == marks)
    return Evidence(votes / len(said), stretched / len(said), disagreement)


@dataclass(frozen=True)
class Calibration:
    """Probabilities of classes from the evidence.

    Attributes
    ----------
    coefficients
        (classes, features + 1), of the regression; the constants first.
    before, after
        (classes, bins), log-odds of bins of a class's probabilities, and to what they are moved; both ascend, and NaN
        is where there are no more.
    """

    coefficients: FloatArray
    before: FloatArray
    after: FloatArray

    @classmethod
    def even(cls, classes: int) -> Self:
        """Return one by which all classes are equally likely."""
        unmoved = np.zeros((classes, 1))
        return cls(np.zeros((classes, _FEATURES)), unmoved, unmoved)

    def probabilities(self, found: Evidence) -> Any:
        """Return the probability of each class, (n, classes), which add up to one; arrays of any library."""
        xp = namespace(found.disagreement)
        expected = xp.clip(self._expected(found), _ENDS, 1 - _ENDS)
        odds = xp.log(expected) - xp.log1p(-expected)
        moved = [_moved(odds[:, k], *bins) for k, bins in enumerate(zip(self.before, self.after, strict=True))]
        single = 1 / (1 + xp.exp(-xp.stack(moved, axis=1)))
        return single / single.sum(axis=1, keepdims=True)

    def of(self, targets: Sequence[int], found: Evidence) -> tuple[Any, Any]:
        """Return how likely some classes are together, (n,), and which of them is likeliest, (n,)."""
        xp = namespace(found.disagreement)
        likely = self.probabilities(found)[:, np.array(targets)]
        # All classes together may be more than one, by rounding.
        return xp.minimum(likely.sum(axis=1), 1 - _ENDS), xp.asarray(targets)[xp.argmax(likely, axis=1)]

    def _expected(self, found: Evidence) -> Any:
        """Return what the regression says, (n, classes)."""
        xp = namespace(found.disagreement)
        said = xp.einsum("nkf,kf->nk", _features(found), self.coefficients)
        shares = xp.exp(said - said.max(axis=1, keepdims=True))
        return shares / shares.sum(axis=1, keepdims=True)


def calibrate(found: Evidence, labels: NDArray[np.int64], weights: ArrayLike | None = None) -> Calibration:
    """Return the calibration that simulations say.

    Parameters
    ----------
    found, labels
        Of n simulations that no network has seen: what the members say, and the class of each, (n,).
    weights
        (n,), how many parameter sets each stands for, where they were not chosen evenly: by what `found` says, and
        nothing else. The regression needs none, since the chance of a class depends on that alone; the bins do.
    """
    n, classes = found.votes.shape
    weights = np.ones(n) if weights is None else np.asarray(weights, dtype=float)
    unmoved = np.full((classes, 1), 0.0)
    regression = Calibration(_regress(_features(found), labels), unmoved, unmoved)
    expected = regression._expected(found)
    bins = [_bins(expected[:, k], labels == k, weights) for k in range(classes)]
    return Calibration(regression.coefficients, *(np.stack(ends) for ends in zip(*bins, strict=True)))


def _features(found: Evidence) -> Any:
    """Return what the regression is on, (n, classes, features + 1): a one first."""
    xp, v, u = namespace(found.disagreement), found.votes, found.stretched
    apart = xp.log10(xp.astype(found.disagreement, xp.float64) + _LEAST_DISAGREEMENT)[:, None] * xp.ones_like(v)
    # Members that agree are right the more often the nearer they are to one another, whether they say yes or no.
    return xp.stack([xp.ones_like(v), v, v * v, (2 * v - 1) * apart, apart, u, u * u, u * apart], axis=2)


def _regress(features: FloatArray, labels: NDArray[np.int64]) -> FloatArray:
    """Return the coefficients of a multinomial logistic regression, (classes, features + 1)."""
    n, classes, _ = features.shape
    mean, deviation = features[..., 1:].mean(axis=0), features[..., 1:].std(axis=0)
    deviation = np.where(deviation > 0, deviation, 1.0)
    x = np.concatenate([features[..., :1], (features[..., 1:] - mean) / deviation], axis=2)
    true = np.eye(classes)[labels]

    def loss(flat: FloatArray) -> tuple[float, FloatArray]:
        w = flat.reshape(classes, -1)
        log_p, at_mean = log_softmax(np.einsum("nkf,kf->nk", x, w), axis=1), log_softmax(w[:, 0])
        slopes = w.copy()
        slopes[:, 0] = 0
        gradient = np.einsum("nk,nkf->kf", np.exp(log_p) - true, x) + 2 * _RIDGE * slopes
        gradient[:, 0] += _PSEUDO * (classes * np.exp(at_mean) - 1)
        value = -log_p[np.arange(n), labels].sum() - _PSEUDO * at_mean.sum() + _RIDGE * (slopes**2).sum()
        return float(value), gradient.ravel()

    start = np.zeros(x.shape[1:])
    start[:, 0] = np.log((true.sum(axis=0) + _PSEUDO) / (n + classes * _PSEUDO))
    w = minimize(loss, start.ravel(), jac=True, method="L-BFGS-B", options={"maxiter": 2000}).x.reshape(classes, -1)
    found = np.concatenate([w[:, :1], w[:, 1:] / deviation], axis=1)
    found[:, 0] -= (found[:, 1:] * mean).sum(axis=1)
    return found


def _bins(p: FloatArray, true: NDArray[np.bool_], weights: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return log-odds of bins of probabilities, and what their samples have; both (bins,), ascending."""
    order = np.argsort(p, kind="stable")
    p, true, weights = p[order], true[order], weights[order]
    # Where nothing is expected, and where all is, there is nothing to tell: bins of equal variance.
    information = np.cumsum(p * (1 - p))
    number = max(1, min(_BINS, len(p) // _SAMPLES, int(information[-1] / _VARIANCE)))
    edges = np.searchsorted(information, information[-1] * np.arange(1, number) / number)
    parts = np.split(np.arange(len(p)), np.unique(edges[(edges > 0) & (edges < len(p))]))
    before, after, counts = np.empty((3, len(parts)))
    for place, part in enumerate(parts):
        share = weights[part] / weights[part].sum()
        # As many samples of equal weight.
        counts[place] = 1 / (share @ share)
        before[place] = logit(np.clip(share @ p[part], _ENDS, 1 - _ENDS))
        after[place] = before[place] + _shift(before[place], counts[place], float(share @ true[part]))
    after = isotonic_regression(after, weights=counts).x
    padded = np.full((2, _BINS), np.nan)
    padded[:, : len(parts)] = before, after
    return padded[0], padded[1]


def _shift(odds: float, n: float, share: float) -> float:
    """Return by how much log-odds are to be moved, of which n samples have a share: the mode, with a normal prior.

    Where hardly any find is expected, none says little.
    """

    def slope(shift: float) -> float:
        return float(n * (share - expit(odds + shift)) - shift / _MOVE**2)

    most = n * _MOVE**2 + 1
    return float(brentq(slope, -most, most))


def _moved(odds: Any, before: FloatArray, after: FloatArray) -> Any:
    """Return log-odds moved as bins are, (n,): by their differences, between them by parts, beyond them by the last."""
    known = ~np.isnan(before)
    shifts = after[known] - before[known]
    return odds + namespace(odds).interp(odds, before[known], shifts)
