"""How well discovery does on systems with known equations."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any, cast

import numpy as np
from scipy.stats import binomtest

from discovery_study.cases import Case, System, get_case
from discovery_study.dysts import DEGREE, get_attractor
from mechscreen.discovery.library import FloatArray, Polynomial
from mechscreen.discovery.model import DiscoveredModel, Undetermined
from mechscreen.discovery.pipeline import METHODS, discover
from mechscreen.errors import InputError, nearest
from mechscreen.registry import load_object

Row = dict[str, Any]

VALID_DISTANCE = 0.4
"""A forecast is valid until it is this far from the truth, in units of the states' spread."""


Peer = Callable[[list[FloatArray], list[FloatArray], tuple[str, ...], int, FloatArray], FloatArray | list[str]]
"""Another method: times and values of all trajectories, names, degree and, for oracles alone, the true coefficients
(d, n_terms); gives coefficients (d, n_terms) in the order of `Polynomial`, or, for suites, right-hand sides as text."""


def check_method(name: str) -> None:
    """Refuse a name that is neither one of our methods nor of the form ``path/to/file.py:function``.

    Raises
    ------
    InputError
        With the valid names.
    """
    if name not in METHODS and ":" not in name:
        raise InputError(
            f"no method '{name}'{nearest(name, METHODS)} (valid: {', '.join(METHODS)}, or path/to/file.py:function)"
        )


def get_method(name: str) -> Peer | None:
    """Return a method by name: None for our own, or what ``path/to/file.py:function`` stands for.

    Raises
    ------
    InputError
        If there is none.
    """
    check_method(name)
    if name in METHODS:
        return None
    return cast(Peer, load_object(name, "method"))


def measure(
    name: str,
    seed: int,
    *,
    noise: float | None = None,
    step: float = 0.01,
    keep: float = 1.0,
    degree: int = 2,
    method: str = "collocation",
) -> Row:
    """Discover the equations of a case from one noisy data set, and compare with the truth.

    Returns
    -------
    ``exact``, ``false_positives``, ``false_negatives``, ``error`` (largest relative error of a coefficient),
    ``distance`` (of all coefficients, relative), ``seconds`` (process time, which is wall time on one idle core),
    ``confidence``, ``ratios`` (errors over the Cramér–Rao bound), ``bound`` (largest relative bound), ``covered`` and
    ``coefficients`` (how many 95 % intervals hold the truth, and of how many), ``forecast_error``, ``valid_time``; or
    ``refused`` with the reason.
    """
    case = get_case(name)
    t, y = case.observe(seed, noise=noise, step=step, keep=keep)
    row, model = _attempt(case, [t], [y], degree, method)
    if model is None:
        return row
    truth = case.coefficients(degree)
    used = truth != 0
    levels = case.noise_levels(case.solution(step)[1], noise)
    bound = _bound(name, t.tobytes(), levels.tobytes())
    bound = bound[bound > 0]
    row |= {
        "ratios": ((model.coefficients - truth)[used] / bound).tolist(),
        "bound": float((bound / np.abs(truth[used])).max()),
    }
    intervals = model.intervals()[used]
    if np.isfinite(intervals).all():
        covered = (intervals[:, 0] <= truth[used]) & (truth[used] <= intervals[:, 1])
        row |= {"covered": int(covered.sum()), "coefficients": int(used.sum())}
    return row | forecast(case, step, model.simulate)


def measure_attractor(
    name: str, seed: int, *, noise: float = 0.01, degree: int = DEGREE, method: str = "collocation"
) -> Row:
    """As `measure`, for a system of the dysts database."""
    system = get_attractor(name)
    t, y = system.observe(seed, noise=noise)
    return _attempt(system, t, y, degree, method)[0]


def _attempt(
    system: System, t: list[FloatArray], y: list[FloatArray], degree: int, method: str
) -> tuple[Row, DiscoveredModel | None]:
    """Discover by a method and compare; no model if it refused or failed."""
    truth = system.coefficients(degree)
    peer = get_method(method)
    began = time.process_time()
    try:
        if peer is None:
            model = discover(t, y, Polynomial(degree), names=system.variables, method=method)
        else:
            coefficients = np.asarray(peer(t, y, system.variables, degree, truth), dtype=float)
    except (Undetermined, np.linalg.LinAlgError) as error:
        return {"exact": False, "refused": str(error), "seconds": time.process_time() - began}, None
    row: Row = {"seconds": time.process_time() - began}
    if peer is None:
        row["confidence"] = model.confidence
    else:
        model = as_model(system.variables, t, y, degree, coefficients)
    return row | compare(system, degree, model.coefficients), model


def as_model(
    names: tuple[str, ...], t: list[FloatArray], y: list[FloatArray], degree: int, coefficients: FloatArray
) -> DiscoveredModel:
    """Return a peer's coefficients as a model, so that all are judged alike."""
    n = coefficients.size
    return DiscoveredModel(
        library=Polynomial(degree).bind(names),
        coefficients=coefficients,
        covariance=np.full((n, n), np.nan),
        noise=np.full(len(names), np.nan),
        t=tuple(t),
        denoised=tuple(y),
        initial=np.stack([own[0] for own in y]),
        method="peer",
        freedom=1,
    )


@lru_cache(maxsize=4)
def _bound(name: str, t: bytes, noise: bytes) -> FloatArray:
    """Return the bound, which is the same for all seeds of a case unless samples are lost."""
    return get_case(name).bound(np.frombuffer(t), np.frombuffer(noise))


def compare(system: System, degree: int, coefficients: FloatArray) -> Row:
    """Compare coefficients (d, n_terms) with the truth."""
    truth = system.coefficients(degree)
    used, found = truth != 0, coefficients != 0
    return {
        "exact": bool(np.array_equal(found, used)),
        "false_positives": int((found & ~used).sum()),
        "false_negatives": int((used & ~found).sum()),
        "error": float(np.abs((coefficients - truth)[used] / truth[used]).max()),
        # Spectral norm, as in Kaptanoglu et al. (2023).
        "distance": float(np.linalg.norm(coefficients - truth, 2) / np.linalg.norm(truth, 2)),
    }


def forecast(case: Case, step: float, simulate: Callable[[FloatArray, FloatArray], FloatArray]) -> Row:
    """Integrate from the true state at the end of the training data and compare with the truth over the rest.

    Distances are relative to the root mean square of the states about their mean.
    """
    t, states = case.solution(step)
    n = int(case.training_share * len(t))
    if n >= len(t) - 1:
        return {}
    path = simulate(states[n], t[n:])
    spread = np.sqrt(((states - states.mean(axis=0)) ** 2).sum(axis=1).mean())
    distance = np.nan_to_num(np.sqrt(((path - states[n:]) ** 2).sum(axis=1)) / spread, nan=np.inf)
    beyond = np.flatnonzero(distance > VALID_DISTANCE)
    end = int(beyond[0]) if len(beyond) else len(distance) - 1
    return {"forecast_error": float(min(np.median(distance), 1e6)), "valid_time": float(t[n + end] - t[n])}


def wilson(hits: int, n: int) -> tuple[float, float]:
    """Return the 95 % Wilson interval of a proportion."""
    interval = binomtest(hits, n).proportion_ci(0.95, method="wilson")
    return float(interval.low), float(interval.high)


def summarise(rows: Sequence[Row]) -> Row:
    """Summarise the rows of one case; errors, bounds and coverage are those of the exact ones.

    ``error_over_bound`` is the root mean square of all coefficients' errors over their bounds.
    """
    good = [row for row in rows if row["exact"]]
    low, high = wilson(len(good), len(rows))
    summary: Row = {"exact": len(good), "runs": len(rows), "exact_low": low, "exact_high": high}
    summary["seconds"] = float(np.median([row["seconds"] for row in rows]))
    scored = [row for row in rows if "error" in row]
    for key in ("false_positives", "false_negatives"):
        summary[key] = float(np.mean([row[key] for row in scored])) if scored else math.nan
    for key in ("forecast_error", "valid_time", "distance"):
        values = [row[key] for row in scored if key in row]
        summary[key] = float(np.median(values)) if values else math.nan
    if good:
        summary["error_median"] = float(np.median([row["error"] for row in good]))
        summary["error_worst"] = max(row["error"] for row in good)
    if good and "ratios" in good[0]:
        ratios = np.concatenate([row["ratios"] for row in good])
        summary["bound"] = float(np.median([row["bound"] for row in good]))
        summary["error_over_bound"] = float(np.sqrt((ratios**2).mean()))
    if good and "covered" in good[0]:
        summary["coverage"] = sum(row["covered"] for row in good) / sum(row["coefficients"] for row in good)
    return summary
