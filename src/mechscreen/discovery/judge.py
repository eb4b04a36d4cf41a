"""What to think of a fitted model: re-integration, residuals, precision."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from mechscreen.discovery.columns import turning
from mechscreen.discovery.data import Trajectories
from mechscreen.discovery.library import FloatArray, IntArray
from mechscreen.discovery.model import DiscoveredModel, Undetermined
from mechscreen.discovery.noise import correlated
from mechscreen.discovery.residuals import Misfit
from mechscreen.discovery.runge_kutta import rk4_step
from mechscreen.errors import at_most

CHANCE = 0.02
"""Probability of residuals of noise, below which they are said to be none: so many right models get the caveat."""
_NOT_NOISE = "is not noise"
NEGLIGIBLE = 2e-4
"""Residuals that are smaller, in shares of a variable's spread, are rounding and inexact integration."""

BEFORE = 0.01
"""Share of a step before a sample at which the step ends."""

WINDOW_SAMPLES = 10
"""Samples over which the equations are integrated again from the fitted states."""


def reintegrate(model: DiscoveredModel, steps_per_sample: int = 8) -> list[FloatArray]:
    """Integrate from every tenth fitted state over the ten samples that follow.

    Runge–Kutta of order 4, all windows at once; independent of the collocation that produced the states.

    Returns, per trajectory, predictions (n, d) at the sample times; NaN at the windows' starts.
    """
    times, x = np.concatenate(model.t), np.concatenate(model.denoised)
    ends = np.cumsum([len(t) for t in model.t])
    starts = np.concatenate(
        [np.arange(end - len(t), end - 1, WINDOW_SAMPLES) for t, end in zip(model.t, ends, strict=True)]
    )
    own = np.searchsorted(ends, starts, side="right")
    of_trajectories = [model.of_trajectory(i) for i in range(len(model.t))] if model.groups else []

    def rate(x: FloatArray, now: FloatArray) -> FloatArray:
        if model.courses:
            inputs = np.concatenate([model.courses[i](now[own == i]) for i in np.unique(own)])
            x = np.concatenate([x, inputs], axis=1)
        if not model.groups:
            return model.rates(x)
        return np.concatenate([of_trajectories[i].rates(x[own == i]) for i in np.unique(own)])

    predicted = np.full_like(x, np.nan)
    state = x[starts].copy()
    for k in range(WINDOW_SAMPLES):
        alive = starts + k + 1 < ends[own]
        starts, state, own = starts[alive], state[alive], own[alive]
        if len(starts) == 0:
            break
        begin = times[starts + k]
        h = (times[starts + k + 1] - begin) / steps_per_sample
        with np.errstate(all="ignore"):
            for part in range(steps_per_sample):
                now = begin + part * h
                # Inputs that jump at the next sample have not done so yet.
                end = np.minimum(now + h, begin + (steps_per_sample - BEFORE) * h)
                state = rk4_step(rate, state, h[:, None], (now, now + 0.5 * h, end))
        predicted[starts + k + 1] = state
    return np.split(predicted, ends[:-1])


def judge(
    model: DiscoveredModel,
    data: Trajectories,
    *,
    smoothed: FloatArray,
    converged: bool,
    gain: float,
    misfit: Misfit | None = None,
) -> list[str]:
    """Return what limits the model, in words.

    Parameters
    ----------
    smoothed
        (d,) noise as smoothing found it, without any equation.
    gain
        How much better its criterion is than that of constants.
    misfit
        Of the residuals, where it was found out.

    Raises
    ------
    Undetermined
        If the model says nothing: it has no terms, or gains nothing.
    """
    names = model.names
    seen = np.flatnonzero(np.isfinite(model.noise))
    pooled = data.pooled
    residuals = [y - x for y, x in zip(data.y, model.denoised, strict=True)]
    spread = np.array([np.nanstd(pooled[:, k]) for k in seen])
    rms = np.array([np.sqrt(np.nanmean(np.concatenate([r[:, k] for r in residuals]) ** 2)) for k in seen])
    unexplained = (rms / spread) ** 2
    unusual = dict(_unusual(misfit, rms / spread, seen))
    alone = len(names) == 1 and not model.inputs
    turned = list(turning(data, smoothed)) if alone and (unusual or misfit is None) else []
    if not model.support.any():
        raise Undetermined(_why_no_term(names, turned, unusual))
    if gain <= 0:
        raise Undetermined(
            f"discover: {_turns(turned[0])}"
            if turned
            else "discover: no model explains the data better than constants do, for what its terms cost; "
            "the library may miss the terms that matter, or the data are too few or too noisy"
        )
    caveats = []
    if not converged:
        caveats.append("the fit did not converge; treat the coefficients as rough")
    for k, share in zip(seen, unexplained, strict=True):
        if share > 0.5 and not model.support[k].any() and k not in unusual and misfit is not None:
            caveats.append(f"{names[k]} does not change but for noise, and may as well be left out")
        elif share > 0.5:
            caveats.append(f"the model explains {100 * (1 - share):.0f} % of the variance of {names[k]}")
    gaps = np.concatenate(reintegrate(model)) - np.concatenate(model.denoised)
    for k in seen:
        off = np.abs(gaps[:, k])
        off = off[np.isfinite(off)]
        if len(off) == 0 or np.quantile(off, 0.99) > model.noise[k]:
            caveats.append(f"integrating the equations again leaves the fitted {names[k]} by more than its noise")
    caveats += [
        f"what the equations leave of {names[k]} {_NOT_NOISE} (probability {probability:.2g}): the library misses a "
        "term, an input or a variable, or the noise is not white"
        for k, probability in unusual.items()
    ]
    caveats += [_turns(name) for name in turned]
    for k in seen:
        correlation, pairs = correlated([r[:, k] for r in residuals])
        if misfit is None and correlation * np.sqrt(max(pairs, 1)) > 5 and correlation > 0.2:
            caveats.append(
                f"the residuals of {names[k]} are correlated ({correlation:.2f} from sample to sample): the library "
                "misses something, or the noise is not white"
            )
    rough = []
    for equation, m, label, one in model.each_coefficient():
        ratio = one.standard_errors[equation, m] / abs(one.coefficients[equation, m])
        if ratio > 0.5:
            where = f"d{names[equation]}/dt ({label})" if label else f"d{names[equation]}/dt"
            rough.append(f"the coefficient of {model.term_names[m]} in {where} is known to {100 * ratio:.0f} % only")
    return [*caveats, *at_most(rough, what=" coefficients, each of which is known to 50 % only or worse")]


def _turns(name: str) -> str:
    """Return what is to be said of a single variable that turns."""
    return (
        f"{name} rises and falls, which no equation d{name}/dt = f({name}) says: where it comes by again, it would go "
        "on as before; a further variable is missing, or an input"
    )


def _why_no_term(names: Sequence[str], turned: Sequence[str], unusual: Mapping[int, float]) -> str:
    """Return why no term was found: there is nothing to be explained, or nothing that these variables explain."""
    if turned:
        return f"discover: {_turns(turned[0])}"
    if unusual:
        moving = " and ".join(names[k] for k in unusual)
        return (
            f"discover: no term is significant, but what {moving} does is not noise around a constant: terms, an input "
            "or a variable are missing, or the samples are too few for what their terms cost"
        )
    return (
        "discover: no term is significant: the data look like noise around a constant state; measure a transient, more "
        "often or more precisely"
    )


def _unusual(misfit: Misfit | None, size: FloatArray, seen: IntArray) -> list[tuple[int, float]]:
    """Return the variables whose residuals are not noise, and how probable these would be.

    Parameters
    ----------
    size
        Of the residuals of the variables `seen`, in shares of their spread.
    """
    if misfit is None:
        return []
    probability = misfit.probability
    return [
        (int(k), float(probability[k]))
        for k, share in zip(seen, size, strict=True)
        if probability[k] < CHANCE and share > NEGLIGIBLE
    ]


def fits(model: DiscoveredModel) -> bool:
    """Return whether what a model leaves was judged to be noise."""
    return not any(_NOT_NOISE in caveat for caveat in model.caveats)
