"""Arrays like those of a campaign, without one."""

from dataclasses import dataclass

import numpy as np
import pytest

from mechscreen.figures.pairs import pairs
from mechscreen.models import Output

POINTS = 101


@dataclass(frozen=True)
class Samples:
    simulated: np.ndarray
    emulated: np.ndarray
    simulated_peaks: np.ndarray
    emulated_peaks: np.ndarray
    outputs: tuple[Output, ...]

    @property
    def pairs(self):
        """The outputs as figures take them."""
        both = ((self.simulated, self.simulated_peaks), (self.emulated, self.emulated_peaks))
        return pairs(self.outputs, *both)

    @property
    def errors(self):
        """RMSE of each output, (n, outputs)."""
        return np.sqrt(np.mean((self.simulated - self.emulated) ** 2, axis=2))


@pytest.fixture
def samples():
    """Return a function that makes n samples with some outputs, emulated with a little error."""

    def make(n=40, outputs=1, seed=0):
        rng = np.random.default_rng(seed)
        x = np.linspace(0, 1, POINTS)
        place = rng.uniform(0.2, 0.8, (n, outputs, 1))
        simulated = np.exp(-(((x - place) / 0.1) ** 2))
        shift = rng.normal(0, 0.02, (n, outputs, 1))
        peaks = rng.normal(0, 2, (n, outputs))
        described = [
            Output(
                f"gene {k}",
                10 * x,
                unit="nM",
                grid_name="radius" if k == 0 else "depth",
                grid_unit="mm",
                compare="shape",
                view="disc" if k == 0 else "line",
            )
            for k in range(outputs)
        ]
        return Samples(
            simulated,
            np.exp(-(((x - place - shift) / 0.1) ** 2)),
            peaks,
            peaks + rng.normal(0, 0.1, peaks.shape),
            tuple(described),
        )

    return make


@pytest.fixture
def shown():
    """Return a function that draws a figure and returns all texts in it."""

    def texts(figure):
        from io import BytesIO

        from matplotlib.text import Text

        figure.savefig(BytesIO(), format="png", dpi=40)
        return "\n".join(text.get_text() for text in figure.findobj(Text) if text.get_visible())

    return texts
