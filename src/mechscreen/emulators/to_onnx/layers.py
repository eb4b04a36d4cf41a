"""The layers of the networks as nodes of a graph of ONNX, in float32."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper

from mechscreen.emulators.aligned import Aligned
from mechscreen.emulators.networks import ValuesAndLogarithms
from mechscreen.emulators.quiet_keras import keras
from mechscreen.emulators.recurrent import EdgeToCentre, FeedbackLSTMCell
from mechscreen.emulators.to_onnx.graph import Graph
from mechscreen.errors import InputError

_ROWS = -1
"""For ONNX, the number of rows, whatever it is."""


def add_network(graph: Graph, network: Any, inputs: str) -> dict[str, str]:
    """Add a network; return the names of its outputs: ``profiles`` and ``log_peaks``.

    Parameters
    ----------
    network
        A Keras model of `mechscreen.emulators.networks`.
    inputs
        Name of the normalised parameters, (n, d) in float32.

    Raises
    ------
    InputError
        If it has a layer, or an activation, that cannot be told in ONNX.
    """
    named: dict[int, str] = {id(network.inputs[0]): inputs}
    # In order: what a layer is given has been made before.
    for layer in network.layers:
        for node in layer._inbound_nodes:
            if node.input_tensors and all(id(tensor) in named for tensor in node.input_tensors):
                results = _add_layer(graph, network.name, layer, [named[id(tensor)] for tensor in node.input_tensors])
                named.update({id(tensor): result for tensor, result in zip(node.outputs, results, strict=True)})
    return {name: named[id(network.output[name])] for name in ("profiles", "log_peaks")}


def _add_layer(graph: Graph, network: str, layer: Any, inputs: list[str]) -> list[str]:
    for kind, add in _LAYERS.items():
        if type(layer) is kind:
            return add(graph, layer, inputs)
    raise InputError(
        f"the network '{network}' has a layer '{layer.name}' ({type(layer).__name__}), which cannot be told in ONNX; "
        f"those that can are {', '.join(kind.__name__ for kind in _LAYERS)}"
    )


def _array(weight: Any) -> Any:
    return keras.ops.convert_to_numpy(weight).astype(np.float32)


def _activated(graph: Graph, layer: Any, values: str) -> str:
    called = layer.activation.__name__
    if called == "linear":
        return values
    if called == "gelu":
        # x (1 + erf(x / √2)) / 2, since the operator Gelu is younger than what is written here.
        share = graph("Erf", graph("Mul", values, graph.constant(math.sqrt(0.5))))
        half = graph("Mul", values, graph.constant(0.5))
        return graph("Mul", half, graph("Add", share, graph.constant(1.0)))
    operators = {"sigmoid": "Sigmoid", "elu": "Elu", "tanh": "Tanh", "relu": "Relu"}
    if called not in operators:
        raise InputError(f"the activation '{called}' of the layer '{layer.name}' cannot be told in ONNX")
    return graph(operators[called], values)


def _dense(graph: Graph, layer: Any, inputs: list[str]) -> list[str]:
    product = graph("MatMul", inputs[0], graph.constant(_array(layer.kernel)))
    return [_activated(graph, layer, graph("Add", product, graph.constant(_array(layer.bias))))]


def _activation(graph: Graph, layer: Any, inputs: list[str]) -> list[str]:
    return [_activated(graph, layer, inputs[0])]


def _values_and_logarithms(graph: Graph, layer: Any, inputs: list[str]) -> list[str]:
    least = graph("Max", inputs[0], graph.constant(0.0))
    logarithms = graph("Log", graph("Add", least, graph.constant(layer.LEAST)))
    return [graph("Concat", inputs[0], logarithms, axis=-1)]


def _normalization(graph: Graph, layer: Any, inputs: list[str]) -> list[str]:
    deviation = np.maximum(np.sqrt(_array(layer.variance)), np.float32(keras.config.epsilon()))
    moved = graph("Sub", inputs[0], graph.constant(_array(layer.mean)))
    return [graph("Div", moved, graph.constant(deviation))]


def _rescaling(graph: Graph, layer: Any, inputs: list[str]) -> list[str]:
    scaled = graph("Mul", inputs[0], graph.constant(layer.scale))
    return [graph("Add", scaled, graph.constant(layer.offset))]


def _reshape(graph: Graph, layer: Any, inputs: list[str]) -> list[str]:
    return [graph("Reshape", inputs[0], graph.integers([_ROWS, *layer.target_shape]))]


def _repeated(graph: Graph, layer: Any, inputs: list[str]) -> list[str]:
    # The loop over the points, which follows, is given the same at each of them.
    return inputs


def _recurrent(graph: Graph, layer: Any, inputs: list[str]) -> list[str]:
    """Add the loop of the recurrent network: embeddings (n, embedding) to outputs (points, n, outputs)."""
    cell, points = layer.cell, layer.input.shape[1]
    if type(cell) is not FeedbackLSTMCell:
        raise InputError(f"the loop '{layer.name}' of {type(cell).__name__} cannot be told in ONNX")
    rows = graph("Slice", graph("Shape", inputs[0]), *(graph.integers([n]) for n in (0, 1)))
    states = []
    for size, value in zip(cell.state_size, (0.0, 0.0, 0.5), strict=True):
        shape = graph("Concat", rows, graph.integers([size]), axis=0)
        states.append(
            graph("ConstantOfShape", shape, value=helper.make_tensor("value", TensorProto.FLOAT, [1], [value]))
        )
    trips, go_on = graph.constant(points, np.int64), graph.constant(True, np.bool_)
    *_, sequence = graph.add("Loop", trips, go_on, *states, outputs=4, body=_point(graph, cell, inputs[0]))
    return [sequence]


def _point(outer: Graph, cell: Any, embedding: str) -> Any:
    """Return the body of the loop: one point of `FeedbackLSTMCell.call`, of an embedding outside of it."""
    graph = Graph(prefix=f"{outer.new_name('point')}_")
    hidden, cell_state, window, step, go_on = map(graph.new_name, ("hidden", "cell", "window", "step", "condition"))
    kernel = np.concatenate([_array(cell.kernel), _array(cell.recurrent_kernel)])
    product = graph("MatMul", graph("Concat", embedding, window, hidden, axis=1), graph.constant(kernel))
    gates = graph("Add", product, graph.constant(_array(cell.bias)))
    into, forget, candidate, out = (graph.slice(gates, k * cell.units, (k + 1) * cell.units) for k in range(4))
    kept = graph("Mul", graph("Sigmoid", graph("Add", forget, graph.constant(1.0))), cell_state)
    new_state = graph("Add", kept, graph("Mul", graph("Sigmoid", into), graph("Tanh", candidate)))
    new_hidden = graph("Mul", graph("Sigmoid", out), graph("Tanh", new_state))
    said = graph("MatMul", new_hidden, graph.constant(_array(cell.output_kernel)))
    said = graph("Sigmoid", graph("Add", said, graph.constant(_array(cell.output_bias))))
    later = graph.slice(window, cell.outputs, cell.feedback * cell.outputs)
    new_window = graph("Concat", later, said, axis=1)
    still = graph("Identity", go_on)
    scanned = graph("Identity", said)

    def declared(name: str, kind: int = TensorProto.FLOAT, shape: Any = None) -> onnx.ValueInfoProto:
        return helper.make_tensor_value_info(name, kind, shape)

    inputs = [declared(step, TensorProto.INT64, []), declared(go_on, TensorProto.BOOL, [])]
    inputs += [declared(name) for name in (hidden, cell_state, window)]
    outputs = [declared(still, TensorProto.BOOL, [])]
    outputs += [declared(name) for name in (new_hidden, new_state, new_window, scanned)]
    return graph.finish("point", inputs, outputs)


def _edge_to_centre(graph: Graph, layer: Any, inputs: list[str]) -> list[str]:
    """Add what turns (points, n, outputs) of the loop into profiles (n, outputs, points), the last point first."""
    backwards = (graph.integers([n]) for n in (-1, np.iinfo(np.int64).min, 0, -1))
    return [graph("Transpose", graph("Slice", inputs[0], *backwards), perm=[1, 2, 0])]


def _aligned(graph: Graph, layer: Any, inputs: list[str]) -> list[str]:
    """Add `Aligned.call`: moments and shapes to profiles (n, outputs, points) and logarithms of their areas."""
    grids, steps, mean, deviation = (_array(v) for v in (layer.grids, layer.steps, layer.mean, layer.deviation))
    limits = graph.constant(-layer.LIMIT), graph.constant(layer.LIMIT)
    standard = graph("Clip", inputs[0], *limits)
    logs = graph("Add", graph.constant(mean), graph("Mul", graph.constant(deviation), standard))
    from_start, spread = (graph("Exp", graph.slice(logs, k, k + 1, axis=2)) for k in (0, 1))
    place = graph("Add", graph.constant(grids[:, :1] - steps[:, :1]), from_start)
    place = graph("Min", graph("Max", place, graph.constant(grids[:, :1])), graph.constant(grids[:, -1:]))
    own = graph("Div", graph("Sub", graph.constant(grids), place), spread)
    values = _interpolated(graph, layer, own, inputs[1])
    largest = graph("Max", graph("ReduceMax", values, axes=[-1], keepdims=1), graph.constant(1e-6))
    profiles = graph("Div", values, largest)
    areas = graph("ReduceSum", graph("Mul", profiles, graph.constant(steps)), graph.integers([-1]), keepdims=0)
    return [profiles, graph("Log", graph("Max", areas, graph.constant(steps.min(axis=1))))]


def _interpolated(graph: Graph, layer: Any, own: str, shapes: str) -> str:
    """Add `Aligned._values`: shapes at points that are given in spreads from their places."""
    low, high = layer.REACH
    scale = graph.constant((layer.nodes - 1) / (high - low))
    at = graph("Mul", graph("Sub", own, graph.constant(low)), scale)
    at = graph("Clip", at, graph.constant(0.0), graph.constant(layer.nodes - 1.001))
    left = graph("Floor", at)
    place = graph("Cast", left, to=TensorProto.INT64)
    before, after = (graph("GatherElements", shapes, graph("Add", place, graph.integers(i)), axis=2) for i in (0, 1))
    between = graph("Add", before, graph("Mul", graph("Sub", at, left), graph("Sub", after, before)))
    above = graph("GreaterOrEqual", own, graph.constant(low))
    inside = graph("And", above, graph("LessOrEqual", own, graph.constant(high)))
    return graph("Where", inside, between, graph.constant(0.0))


_LAYERS: Mapping[Any, Callable[[Graph, Any, list[str]], list[str]]] = {
    keras.layers.Dense: _dense,
    keras.layers.Activation: _activation,
    keras.layers.Normalization: _normalization,
    keras.layers.Rescaling: _rescaling,
    keras.layers.Reshape: _reshape,
    keras.layers.RepeatVector: _repeated,
    keras.layers.RNN: _recurrent,
    keras.layers.Add: lambda graph, _, inputs: [graph("Add", *inputs)],
    keras.layers.Subtract: lambda graph, _, inputs: [graph("Sub", *inputs)],
    keras.layers.Concatenate: lambda graph, layer, inputs: [graph("Concat", *inputs, axis=layer.axis)],
    ValuesAndLogarithms: _values_and_logarithms,
    EdgeToCentre: _edge_to_centre,
    Aligned: _aligned,
}
"""How each kind of layer is added; its results, of the names of its inputs."""
