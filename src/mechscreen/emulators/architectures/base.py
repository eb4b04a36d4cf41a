"""What a network is: settings, and what follows from them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

from pydantic import BaseModel, ConfigDict

if TYPE_CHECKING:
    from mechscreen.emulators.samples import Samples
    from mechscreen.emulators.settings import Precision, TrainingSettings
    from mechscreen.models import Outputs


class Fit(NamedTuple):
    """What training fits to what, and how far off it counts as being.

    Attributes
    ----------
    network
        The network that is trained, or the part of it that is compared.
    targets
        What it should say of the training set, by the names of its outputs; arrays that rows can be taken from.
    losses, weights
        Of each output.
    """

    network: Any
    targets: dict[str, Any]
    losses: dict[str, Any]
    weights: dict[str, float]


def need_profiles(network: str, outputs: Outputs) -> None:
    """See that outputs are profiles of equally many points, scaled by their peaks.

    Raises
    ------
    ValueError
        If not.
    """
    for output in outputs:
        if output.scale != "peak" or len(output.grids) != 1 or output.size < 2 or not outputs.uniform:
            raise ValueError(
                f"the {network} network says profiles of equally many points that are scaled by their peaks, and "
                f"'{output.name}' has the shape {output.shape} and the scale {output.scale}; take network: dense"
            )


class Network(BaseModel, ABC):
    """A kind of network: its fields are what a campaign can set about it.

    Subclass it, give it a field ``network: Literal["name"] = "name"`` and its settings, and write `weights` and
    `outputs`. An installed package adds it by an entry point of that name in the group ``mechscreen.networks``. Its
    module must not import Keras, which takes seconds, outside the methods that need it.

    Attributes
    ----------
    worth_compiling
        Whether XLA makes it faster on a processor.
    recurrent
        Whether it runs a loop over the points, which not every backend can.
    layers
        Modules that register its own layers with Keras, by which a saved network is read.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    worth_compiling: ClassVar[bool] = False
    recurrent: ClassVar[bool] = False
    layers: ClassVar[tuple[str, ...]] = ()

    network: str

    @abstractmethod
    def weights(self, dimensions: int, outputs: int, points: int) -> int:
        """Return how many numbers the matrices of the network hold, biases aside."""

    def multiplications(self, dimensions: int, outputs: int, points: int) -> int:
        """Return how many multiplications a prediction takes, beside the values that it reads off curves."""
        return self.weights(dimensions, outputs, points)

    def values_read(self, outputs: int, points: int) -> tuple[int, int]:
        """Return how many values are read off curves, in a training sample and in a prediction."""
        return 0, 0

    def check(self, training: TrainingSettings, precision: Precision) -> None:
        """See that the network can be trained so, and predict in this precision.

        Raises
        ------
        ValueError
            If not; the message begins with the key.
        """

    def check_outputs(self, outputs: Outputs) -> None:
        """See that the network can say such outputs.

        Raises
        ------
        ValueError
            If not; the message says what it can.
        """

    @abstractmethod
    def outputs(self, inputs: Any, samples: Samples, seeds: Iterator[int], precision: str) -> dict[str, Any]:
        """Return ``{"profiles": (n, *samples.profiles.shape[1:]), "log_peaks": (n, outputs)}`` as Keras tensors.

        Parameters
        ----------
        inputs
            Normalised parameters, a Keras tensor (n, d).
        samples
            The training set, from which the network takes its shape and units.
        seeds
            A seed for each weight that is drawn at random.
        precision
            Keras's name of a dtype policy for the layers (`mechscreen.emulators.networks.policy`).
        """

    @classmethod
    def fit(cls, network: Any, samples: Samples, training: TrainingSettings) -> Fit:
        """Return how `network`, a Keras model of this kind, is fitted to `samples`: profiles and peaks as they are."""
        from mechscreen.emulators.losses import fit_profiles

        return fit_profiles(network, samples, training)
