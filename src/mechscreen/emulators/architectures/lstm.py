"""The recurrent network of Wang et al. (2019)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import Field

from mechscreen.emulators.architectures.base import Network, need_profiles

if TYPE_CHECKING:
    from mechscreen.emulators.samples import Samples
    from mechscreen.emulators.settings import Precision, TrainingSettings
    from mechscreen.models import Outputs


class LSTMSettings(Network):
    """The recurrent network of Wang et al. (2019); the defaults are the paper's sizes."""

    # Loops take a quarter less (docs/measured/emulators.md, "Speed").
    worth_compiling: ClassVar[bool] = True
    recurrent: ClassVar[bool] = True
    layers: ClassVar[tuple[str, ...]] = ("mechscreen.emulators.recurrent",)

    network: Literal["lstm"] = Field("lstm", description="The paper's recurrent network.")
    embedding: int = Field(64, ge=1, le=16384, description="Neurons of the layer that embeds the parameters.")
    units: int = Field(256, ge=1, le=16384, description="Units of the LSTM.")
    feedback: int = Field(16, ge=1, le=1024, description="How many of the last outputs each step is fed.")

    def weights(self, dimensions: int, outputs: int, points: int) -> int:
        """Return how many numbers the matrices of the network hold, biases aside."""
        return self.embedding * (dimensions + outputs) + self._cell(outputs)

    def multiplications(self, dimensions: int, outputs: int, points: int) -> int:
        """Return how many multiplications a prediction takes: one pass of the cell for every point."""
        return self.embedding * (dimensions + outputs) + points * self._cell(outputs)

    def _cell(self, outputs: int) -> int:
        into = self.embedding + self.feedback * outputs + self.units
        return 4 * self.units * into + self.units * outputs

    def check(self, training: TrainingSettings, precision: Precision) -> None:
        """See that the network can predict in this precision; errors as for `Network.check`."""
        if precision == "bfloat16":
            raise ValueError("precision: the lstm network predicts in the precision of its training; leave this out")

    def check_outputs(self, outputs: Outputs) -> None:
        """See that the outputs are profiles of equally many points; errors as for `Network.check_outputs`."""
        need_profiles(self.network, outputs)

    def outputs(self, inputs: Any, samples: Samples, seeds: Iterator[int], precision: str) -> dict[str, Any]:
        """Return profiles and log peaks: an embedding, and an LSTM over the points from the edge to the centre."""
        from mechscreen.emulators import networks
        from mechscreen.emulators.recurrent import EdgeToCentre, FeedbackLSTMCell

        keras, layers = networks.keras, networks.layers
        _, outputs, points = samples.profiles.shape
        with networks.policy(precision):
            initial = keras.initializers.HeNormal(next(seeds))
            embedding = layers.Dense(self.embedding, "elu", kernel_initializer=initial, name="embedding")(inputs)
            cell = FeedbackLSTMCell(
                self.units,
                outputs,
                self.feedback,
                seed=next(seeds),
                products=keras.config.dtype_policy().compute_dtype,
                name="cell",
            )
            repeated = layers.RepeatVector(points, name="repeated")(embedding)
            sequence = layers.RNN(cell, return_sequences=True, dtype="float32", name="points")(repeated)
            profiles = EdgeToCentre(dtype="float32", name="profiles")(sequence)
        log_peaks = networks.in_units_of(samples.log_peaks, "log_peaks", embedding, seeds)
        return {"profiles": profiles, "log_peaks": log_peaks}
