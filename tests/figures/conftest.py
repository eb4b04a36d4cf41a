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


@pytest.fixture
def assert_nothing_is_cut():
    """Return a function that draws a figure as a PNG, and sees that all of its texts are inside."""

    def check(figure):
        from io import BytesIO

        from matplotlib.text import Text
        from PIL import Image

        from mechscreen.figures import style

        with Image.open(BytesIO(style.to_png(figure, {}))) as picture:
            pixels = np.asarray(picture.convert("L"))
        edges = (pixels[0], pixels[-1], pixels[:, 0], pixels[:, -1])
        assert min(edge.min() for edge in edges) == 255, "something goes on beyond the edge of the picture"
        # What stands out of the figure is in the picture all the same, which is that much larger: a little, no more.
        width, height = figure.get_size_inches() * style.DPI
        assert pixels.shape[0] <= 1.35 * height
        assert pixels.shape[1] <= 1.35 * width
        figure.draw_without_rendering()
        texts = [text for text in figure.findobj(Text) if text.get_visible() and text.get_text()]
        boxes = [text.get_window_extent() for text in texts if text.axes is None or text.axes.get_visible()]
        assert boxes
        wide, high = pixels.shape[1] / style.DPI, pixels.shape[0] / style.DPI
        assert max(box.width for box in boxes) <= wide * figure.dpi
        assert max(box.height for box in boxes) <= high * figure.dpi

    return check
