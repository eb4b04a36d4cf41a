"""Noise with a memory: how residuals go together from sample to sample, and what that takes from what samples tell.

Of noise that is correlated by ρ from sample to sample (AR(1)), the mean of n samples is as uncertain as that of
``n (1 − ρ)/(1 + ρ)`` samples of white noise; so is whatever else varies slowly beside the memory.
"""

from __future__ import annotations

import numpy as np

from mechscreen.discovery.data import Trajectories
from mechscreen.discovery.hermite import FloatArray
from mechscreen.discovery.judge import NEGLIGIBLE
from mechscreen.discovery.model import DiscoveredModel
from mechscreen.discovery.noise import Spread, correlated

_FEWEST = 40
"""Pairs of neighbours that tell a memory."""
_CLEAR = 3.0
"""Standard errors by which a correlation is more than none."""
_MOST = 0.9
"""Correlation above which residuals are no noise."""
_SMALL = 0.3
"""Share of a variable's spread up to which what is left may be noise with a memory."""


def memory(model: DiscoveredModel, data: Trajectories) -> FloatArray:
    """Return how many samples of each variable tell as much as one of white noise would, (d,); 1 where not clear."""
    found = np.ones(len(data.names))
    for k in np.flatnonzero(~data.hidden):
        left = [y[:, k] - x[:, k] for y, x in zip(data.y, model.denoised, strict=True)]
        if model.noise_kinds and model.noise_kinds[k] != "given":
            values = np.concatenate([x[:, k] for x in model.denoised])
            size, spread = float(np.sqrt(np.mean(values**2))), Spread(model.noise_kinds[k], 0.0)
            left = [own / spread.at(x[:, k], size) for own, x in zip(left, model.denoised, strict=True)]
        correlation, pairs = correlated(left)
        spread_of = float(np.nanstd(data.pooled[:, k]))
        is_noise = NEGLIGIBLE * spread_of < model.noise[k] < _SMALL * spread_of
        if pairs >= _FEWEST and is_noise and _CLEAR / np.sqrt(pairs) < correlation < _MOST:
            found[k] = (1 + correlation) / (1 - correlation)
    return found


def remembers(name: str, times: float) -> str:
    """Return what is to be said of a variable of which that many samples tell as much as one; "" of white noise."""
    if times == 1:
        return ""
    correlation = (times - 1) / (times + 1)
    return (
        f"the residuals of {name} are correlated, {correlation:.2f} from sample to sample: intervals and probabilities "
        f"allow for noise with such a memory ({times:.2g} samples tell as much as one), not for a term that is missing"
    )
