"""The aligned network: residual blocks, and linear maps to places, spreads and shapes of profiles, and to integrals."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import Field

from mechscreen.emulators.architectures.base import Fit, Network, need_profiles

if TYPE_CHECKING:
    from mechscreen.emulators.samples import Samples
    from mechscreen.emulators.settings import Precision, TrainingSettings
    from mechscreen.models import Outputs


class AlignedSettings(Network):
    """A dense network for profiles that are narrow beside their grid and move along it, such as densities."""

    # Nearly four times in prediction and 1.7 times in training (docs/measured/emulators.md, "Speed").
    worth_compiling: ClassVar[bool] = True
    layers: ClassVar[tuple[str, ...]] = ("mechscreen.emulators.aligned",)

    network: Literal["aligned"] = Field(
        "aligned", description="As dense, for narrow profiles that move along their grid, such as densities."
    )
    width: int = Field(384, ge=1, le=16384, description="Neurons of every hidden layer.")
    blocks: int = Field(3, ge=0, le=64, description="Residual blocks after the first layer.")
    nodes: int = Field(64, ge=8, le=1024, description="Points of a profile's shape, in its own place and spread.")

    def weights(self, dimensions: int, outputs: int, points: int) -> int:
        """Return how many numbers the matrices of the network hold, biases aside."""
        # As the dense network, but for what comes out: shape, place, spread and integral of each profile.
        return self.width * (2 * dimensions + 2 * self.blocks * self.width + outputs * (self.nodes + 3))

    def values_read(self, outputs: int, points: int) -> tuple[int, int]:
        """Return how many values are read off curves: at the nodes in training, at all points in a prediction."""
        return outputs * self.nodes, outputs * points

    def check(self, training: TrainingSettings, precision: Precision) -> None:
        """See that the network can be trained so, and predict in this precision; errors as for `Network.check`."""
        if training.loss != "rmse":
            raise ValueError("training.loss: mse and cross_entropy compare points; the aligned network takes rmse")
        if precision == "bfloat16":
            raise ValueError("precision: bfloat16 rounds the place of a peak; the aligned network takes float32")

    def check_outputs(self, outputs: Outputs) -> None:
        """See that the outputs are profiles of equally many points; errors as for `Network.check_outputs`."""
        need_profiles(self.network, outputs)

    def outputs(self, inputs: Any, samples: Samples, seeds: Iterator[int], precision: str) -> dict[str, Any]:
        """Return profiles and log peaks.

        The peak of a profile is its integral over its area, so that the network need only know the former: for a
        density, what of it lies on the grid.
        """
        from mechscreen.emulators import networks
        from mechscreen.emulators.aligned import Aligned

        layers = networks.layers
        _, outputs, points = samples.profiles.shape
        with networks.policy(precision):
            features = networks.residual_features(self.width, self.blocks, inputs, samples, seeds)
        parts = []
        for name, width, activation in (("moments", 2, None), ("shapes", self.nodes, "sigmoid")):
            flat = networks.layer(outputs * width, f"flat_{name}", seeds, activation, dtype="float32")(features)
            parts.append(layers.Reshape((outputs, width), dtype="float32", name=name)(flat))
        aligned = Aligned(self.nodes, points, dtype="float32", name="aligned")
        profiles, log_areas = aligned(parts)
        log_integrals = networks.in_units_of(aligned.adapt(samples), "log_integrals", features, seeds)
        log_peaks = layers.Subtract(dtype="float32", name="log_peaks")([log_integrals, log_areas])
        return {"profiles": profiles, "log_peaks": log_peaks}

    @classmethod
    def fit(cls, network: Any, samples: Samples, training: TrainingSettings) -> Fit:
        """Return how `network` is fitted to `samples`: by the curves of its profiles, and their integrals."""
        from mechscreen.emulators.aligned import fit_curves

        return fit_curves(network, samples)
