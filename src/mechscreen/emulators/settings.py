"""What a campaign can set about networks and their training. Imports nothing heavy."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

Combine = Literal["vote", "mean"]
"""What an ensemble predicts: what its most agreeing member says, or the mean of all."""
Precision = Literal["float32", "bfloat16"]
"""Of the matrix products of a prediction."""

NO_VOTE_OF_TWO = "of two members neither agrees more with the other; take combine: mean, or three members"


class _Settings(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class _ArchitectureSettings(_Settings):
    def values_read(self, outputs: int, points: int) -> tuple[int, int]:
        """Return how many values are read off curves, in a training sample and in a prediction."""
        return 0, 0


class DenseSettings(_ArchitectureSettings):
    """A feed-forward network of residual blocks: fast, and the one to screen with."""

    network: Literal["dense"] = Field("dense", description="Residual feed-forward network.")
    width: int = Field(512, ge=1, le=16384, description="Neurons of every hidden layer.")
    blocks: int = Field(4, ge=0, le=64, description="Residual blocks after the first layer.")

    def weights(self, dimensions: int, outputs: int, points: int) -> int:
        """Return how many numbers the matrices of the network hold, biases aside."""
        # Values and their logarithms in, two layers a block, profiles and peaks out.
        return self.width * (2 * dimensions + 2 * self.blocks * self.width + outputs * points + outputs)

    def multiplications(self, dimensions: int, outputs: int, points: int) -> int:
        """Return how many multiplications a prediction takes."""
        return self.weights(dimensions, outputs, points)


class LSTMSettings(_ArchitectureSettings):
    """The recurrent network of Wang et al. (2019); the defaults are the paper's sizes."""

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


class AlignedSettings(_ArchitectureSettings):
    """A dense network for profiles that are narrow beside their grid and move along it, such as densities."""

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

    def multiplications(self, dimensions: int, outputs: int, points: int) -> int:
        """Return how many multiplications a prediction takes, beside the values that it reads off curves."""
        return self.weights(dimensions, outputs, points)

    def values_read(self, outputs: int, points: int) -> tuple[int, int]:
        """Return how many values are read off curves: at the nodes in training, at all points in a prediction."""
        return outputs * self.nodes, outputs * points


NetworkSettings = Annotated[DenseSettings | LSTMSettings | AlignedSettings, Field(discriminator="network")]


class TrainingSettings(_Settings):
    """How one member of an ensemble is trained (AdamW); the defaults suit the dense network."""

    epochs: int = Field(200, ge=1, description="Passes over the training samples.")
    batch_size: int = Field(256, ge=1, description="Samples per optimiser step.")
    learning_rate: float = Field(4e-3, gt=0, le=1, description="Adam's rate (its peak, where the schedule varies it).")
    schedule: Literal["constant", "cosine"] = Field(
        "cosine", description="constant; or cosine: a short linear warm-up, then down to zero at the last step."
    )
    beta_1: float = Field(0.9, ge=0, lt=1, description="Adam's decay of the mean gradient (0.5 in the paper).")
    weight_decay: float = Field(
        0.1, ge=0, lt=1000, description="Share of a weight, times the rate, that each step takes away (AdamW; 0: Adam)."
    )
    clip_norm: float = Field(5.0, gt=0, description="Gradients are scaled down to this global norm.")
    loss: Literal["rmse", "mse", "cross_entropy"] = Field(
        "rmse",
        description="rmse: root mean square error of a profile, plus 0.02 times the error of its log peak; mse or "
        "cross_entropy: as in the paper, summed over the points of a profile, plus the squared error of its log peak; "
        "the aligned network takes rmse.",
    )
    patience: int | None = Field(
        None, ge=1, description="Stop after so many epochs without a better validation error; null: never."
    )
    precision: Literal["float32", "mixed_bfloat16"] = Field("float32", description="Arithmetic of the layers.")
