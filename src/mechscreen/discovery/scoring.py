"""How well discovery does on systems with known equations."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any

import numpy as np

from mechscreen.discovery.cases import Case, get_case
from mechscreen.discovery.library import FloatArray, Polynomial
from mechscreen.discovery.model import Undetermined
from mechscreen.discovery.pipeline import discover

Row = dict[str, Any]

VALID_DISTANCE = 0.4
"""A forecast is valid until it is this far from the truth, in units of the states' spread."""


def measure(
    name: str, seed: int, *, noise: float | None = None, step: float = 0.01, keep: float = 1.0, degree: int = 2
) -> Row:
    """Discover the equations of a case from one noisy data set, and compare with the truth.

    Returns
    -------
    ``exact``, ``false_positives``, ``false_negatives``, ``error`` (largest relative error of a coefficient),
    ``seconds`` (process time), ``confidence``, ``ratios`` (errors over the Cramér–Rao bound), ``bound`` (largest
    relative bound), ``covered`` and ``coefficients`` (how many 95 % intervals hold the truth, and of how many),
    ``forecast_error``, ``valid_time``; or ``refused`` with the reason.
    """
    case = get_case(name)
    t, y = case.observe(seed, noise=noise, step=step, keep=keep)
    began = time.process_time()
    try:
        model = discover(t, y, Polynomial(degree))
    except Undetermined as error:
        return {"exact": False, "refused": str(error), "seconds": time.process_time() - began}
    row: Row = {"seconds": time.process_time() - began, "confidence": model.confidence}
    row |= compare(case, degree, model.coefficients)
    truth = case.coefficients(degree)
    used = truth != 0
    levels = case.noise_levels(case.solution(step)[1], noise)
    bound = _bound(name, t.tobytes(), levels.tobytes())
    bound = bound[bound > 0]
    intervals = model.intervals()[used]
    covered = (intervals[:, 0] <= truth[used]) & (truth[used] <= intervals[:, 1])
    row |= {
        "ratios": ((model.coefficients - truth)[used] / bound).tolist(),
        "bound": float((bound / np.abs(truth[used])).max()),
        "covered": int(covered.sum()),
        "coefficients": int(used.sum()),
    }
    return row | forecast(case, step, model.simulate)


@lru_cache(maxsize=4)
def _bound(name: str, t: bytes, noise: bytes) -> FloatArray:
    """Return the bound, which is the same for all seeds of a case unless samples are lost."""
    return get_case(name).bound(np.frombuffer(t), np.frombuffer(noise))


def compare(case: Case, degree: int, coefficients: FloatArray) -> Row:
    """Compare coefficients (d, n_terms) with the truth."""
    truth = case.coefficients(degree)
    used, found = truth != 0, coefficients != 0
    return {
        "exact": bool(np.array_equal(found, used)),
        "false_positives": int((found & ~used).sum()),
        "false_negatives": int((used & ~found).sum()),
        "error": float(np.abs((coefficients - truth)[used] / truth[used]).max()),
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
    z = 1.959964
    centre = (hits + z * z / 2) / (n + z * z)
    half = z * math.sqrt(hits * (n - hits) / n + z * z / 4) / (n + z * z)
    return centre - half, centre + half


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
    for key in ("forecast_error", "valid_time"):
        values = [row[key] for row in scored if key in row]
        summary[key] = float(np.median(values)) if values else math.nan
    if good:
        summary["error_median"] = float(np.median([row["error"] for row in good]))
        summary["error_worst"] = max(row["error"] for row in good)
    if good and "ratios" in good[0]:
        ratios = np.concatenate([row["ratios"] for row in good])
        summary["bound"] = float(np.median([row["bound"] for row in good]))
        summary["error_over_bound"] = float(np.sqrt((ratios**2).mean()))
        summary["coverage"] = sum(row["covered"] for row in good) / sum(row["coefficients"] for row in good)
    return summary
