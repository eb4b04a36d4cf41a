"""The dense network: residual blocks, and a linear map from the last features to all values."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field

from mechscreen.emulators.architectures.base import Network

if TYPE_CHECKING:
    from mechscreen.emulators.samples import Samples


class DenseSettings(Network):
    """A feed-forward network of residual blocks: fast, for outputs of any shape, and the one to screen with."""

    network: Literal["dense"] = Field("dense", description="Residual feed-forward network.")
    width: int = Field(512, ge=1, le=16384, description="Neurons of every hidden layer.")
    blocks: int = Field(4, ge=0, le=64, description="Residual blocks after the first layer.")

    def weights(self, dimensions: int, outputs: int, points: int) -> int:
        """Return how many numbers the matrices of the network hold, biases aside."""
        # Values and their logarithms in, two layers a block, profiles and peaks out.
        return self.width * (2 * dimensions + 2 * self.blocks * self.width + outputs * points + outputs)

    def outputs(self, inputs: Any, samples: Samples, seeds: Iterator[int], precision: str) -> dict[str, Any]:
        """Return profiles and log peaks."""
        from mechscreen.emulators import networks

        with networks.policy(precision):
            features = networks.residual_features(self.width, self.blocks, inputs, samples, seeds)
            profiles = networks.values_of(samples, features, seeds)
        log_peaks = networks.log_peaks_of(samples, features, seeds)
        return {"profiles": profiles, "log_peaks": log_peaks}
