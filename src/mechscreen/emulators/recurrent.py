"""The layers of the recurrent network."""

from __future__ import annotations

from typing import Any

from mechscreen.emulators.networks import random_seeds
from mechscreen.emulators.quiet_keras import PACKAGE, keras

ops = keras.ops


@keras.saving.register_keras_serializable(package=PACKAGE)
class FeedbackLSTMCell(keras.layers.Layer):
    """One point of a profile: an LSTM step that is fed the embedding and the network's own last outputs.

    Parameters
    ----------
    units
        Units of the LSTM.
    outputs
        Values that each step returns, each passed through a sigmoid.
    feedback
        How many of the last steps' outputs are fed back.
    products
        Precision of the operands of matrix products. All else is in float32, above all the state, which adds up over
        hundreds of points.

    Notes
    -----
    The LSTM is the usual one, with the forget gate's bias at one; the state is (hidden, cell, window of outputs). It is
    run by `keras.layers.RNN`, as one compiled loop.
    """

    def __init__(
        self,
        units: int,
        outputs: int,
        feedback: int,
        seed: int | None = None,
        products: str = "float32",
        **kwargs: Any,
    ) -> None:
        # Keras casts the state of a loop to the precision that its cell computes in.
        super().__init__(**{"dtype": "float32", **kwargs})
        self.units = units
        self.outputs = outputs
        self.feedback = feedback
        self.seed = seed
        self.products = products
        self.state_size = [units, units, feedback * outputs]
        self.output_size = outputs

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        """Create the weights for embeddings of shape (n, embedding)."""
        seeds = random_seeds(self.seed)
        embedding, units = int(input_shape[-1] or 0), self.units
        self.kernel = self.add_weight(
            shape=(embedding + self.feedback * self.outputs, 4 * units),
            initializer=keras.initializers.GlorotUniform(next(seeds)),
            name="kernel",
        )
        self.recurrent_kernel = self.add_weight(
            shape=(units, 4 * units),
            initializer=keras.initializers.Orthogonal(seed=next(seeds)),
            name="recurrent_kernel",
        )
        self.bias = self.add_weight(shape=(4 * units,), initializer="zeros", name="bias")
        self.output_kernel = self.add_weight(
            shape=(units, self.outputs), initializer=keras.initializers.GlorotUniform(next(seeds)), name="output_kernel"
        )
        self.output_bias = self.add_weight(shape=(self.outputs,), initializer="zeros", name="output_bias")

    def get_initial_state(self, batch_size: Any) -> list[Any]:
        """Return zeros for the LSTM and, as the paper has it, 0.5 for the outputs before the first."""
        zeros = ops.zeros((batch_size, self.units))
        return [zeros, zeros, ops.full((batch_size, self.state_size[2]), 0.5)]

    def call(self, inputs: Any, states: list[Any], training: bool = False) -> tuple[Any, list[Any]]:
        """Return the outputs (n, outputs) of one point and the next state."""
        hidden, cell, window = states
        # One product instead of three: the loop is bound by its matrix products.
        kernel = ops.concatenate([self.kernel, self.recurrent_kernel], axis=0)
        gates = self._product(ops.concatenate([inputs, window, hidden], axis=1), kernel) + self.bias
        input_gate, forget_gate, candidate, output_gate = ops.split(gates, 4, axis=1)
        cell = ops.sigmoid(forget_gate + 1.0) * cell + ops.sigmoid(input_gate) * ops.tanh(candidate)
        hidden = ops.sigmoid(output_gate) * ops.tanh(cell)
        output = ops.sigmoid(self._product(hidden, self.output_kernel) + self.output_bias)
        window = ops.concatenate([window[:, self.outputs :], output], axis=1)
        return output, [hidden, cell, window]

    def _product(self, values: Any, kernel: Any) -> Any:
        operands = (ops.cast(operand, self.products) for operand in (values, kernel))
        return ops.cast(ops.matmul(*operands), "float32")

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        own = ("units", "outputs", "feedback", "seed", "products")
        return {**super().get_config(), **{name: getattr(self, name) for name in own}}


@keras.saving.register_keras_serializable(package=PACKAGE)
class EdgeToCentre(keras.layers.Layer):
    """Turn a sequence (n, points, outputs) that runs from edge to centre into profiles (n, outputs, points)."""

    def call(self, inputs: Any) -> Any:
        """Return the profiles, centre first."""
        return ops.transpose(ops.flip(inputs, axis=1), (0, 2, 1))

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        """Return the shape of the profiles."""
        samples, points, outputs = input_shape
        return samples, outputs, points
