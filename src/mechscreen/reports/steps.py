"""What somebody would do next with a campaign, by what it found: each step with the key or the command that does it."""

from __future__ import annotations

import numpy as np

from mechscreen.figures.planes import marginals
from mechscreen.figures.text import count, percent
from mechscreen.reports.results import Results

_FEW = 50
"""Training samples of the target from which networks learn it badly."""
_SURE = 0.9
"""Share of the hits, as the lower end of its interval says, above which they can be used as they are."""
_DROPPED = 0.05
_PILED = 1.5
"""Times as frequent as on the whole, at an end of a parameter's range, from which the target seems to go on beyond."""
_EDGE = 0.1
_MOST_NAMED = 4


def after(results: Results) -> list[str]:
    """Return the steps, those that matter most first."""
    found = [*_of_networks(results), *_of_hits(results), *_of_failures(results), *_of_ranges(results)]
    return [*found, *_always(results)]


def _of_networks(results: Results) -> list[str]:
    if results.campaign.by_model:
        return []
    steps = []
    if results.useless:
        steps.append(
            f"Do not build on {', '.join(results.useless[:_MOST_NAMED])}, which the networks do not know: leave it "
            "out, let them learn features of it (model.emulate), or simulate more (simulations.count)."
        )
    few = results.validation.training_target
    if few < _FEW:
        steps.append(
            f"Only {count(few, 'training simulation')} {'is' if few == 1 else 'are'} of the target: let rounds look "
            "for more of them (rounds: 3, with selection.near: 0.5), or widen the condition or the ranges."
        )
    return steps


def _of_hits(results: Results) -> list[str]:
    campaign, totals, validation = results.campaign, results.screen.totals, results.validation
    steps = []
    if not totals.hits_found and totals.hits_discarded:
        steps.append(
            f"No hit was kept, and {totals.hits_discarded:,} were discarded for disagreement: raise "
            "screen.disagreement_limit (the same networks screen again), and see what the model makes of them."
        )
    elif not totals.hits_found:
        steps.append("There is no hit: screen more sets (screen.count), or ask for less (screen.objective).")
    if campaign.by_model:
        return steps
    low, _ = validation.confirmed.interval or (None, None)
    if validation.validated and low is not None and low < _SURE:
        steps.append(
            f"Simulate a hit before it is used: by those that were, the confirmed share may be as low as "
            f"{percent(low)}. More simulations to learn from raise it (simulations.count, or rounds)."
        )
    if totals.hits_found > validation.validated > 0:
        steps.append(
            f"{totals.hits_found - validation.validated:,} hits are predictions alone; a larger validation.limit "
            "simulates more of them."
        )
    if totals.hits_found and validation.population is None:
        steps.append(
            "To know how many are missed, add calibration.count: 1000 and validation.survey: 1000; the networks "
            "stay, and sets are screened again."
        )
    return steps


def _of_failures(results: Results) -> list[str]:
    if results.campaign.by_model:
        failed, total = int(results.screen.classes[-1]), results.screen.samples
    else:
        failed, total = results.manifest.dropped.count, results.manifest.simulations
    if failed <= _DROPPED * total:
        return []
    return [
        f"{failed:,} of {total:,} simulations failed ({percent(failed / total)}); the table under “Where it fails” "
        "says why: narrow the ranges there, or state constraints (model.constraints)."
    ]


def _of_ranges(results: Results) -> list[str]:
    """Return a step where the target is commonest at an end of a parameter's range."""
    target, total = results.target_planes
    if not len(target) or target[0].sum() < _FEW:
        return []
    ends = []
    for parameter, curve in zip(results.varied, marginals(target, total, len(results.varied)), strict=True):
        edge = max(1, round(_EDGE * len(curve)))
        if parameter.marks:
            continue
        for name, outer in (("lower", curve[:edge]), ("upper", curve[-edge:])):
            if outer.mean() > _PILED and np.isclose(outer.max(), curve.max()):
                ends.append(f"{parameter.name} ({name} end)")
    if not ends:
        return []
    more = f" and {len(ends) - _MOST_NAMED} more" if len(ends) > _MOST_NAMED else ""
    return [
        f"The target is commonest at an end of the range of {', '.join(ends[:_MOST_NAMED])}{more}: it may go on "
        "beyond, where nothing was screened. Widen the range, if the model allows (model.parameters)."
    ]


def _always(results: Results) -> list[str]:
    root = results.campaign.paths.root
    if not len(results.hits):
        return []
    return [
        f"Take a hit into a program of your own: mechscreen hits {root} lists those to trust most, and mechscreen "
        f"export hit {root} --number 1 --to hit.yaml writes one. All that were simulated are in validation/hits.csv."
    ]
