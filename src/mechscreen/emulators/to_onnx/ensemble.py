"""A whole ensemble as a graph of ONNX: units in, networks, how they are combined, units out."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations
from typing import Any, NamedTuple

import numpy as np
from onnx import TensorProto, helper

from mechscreen.emulators.ensemble import Ensemble
from mechscreen.emulators.to_onnx.graph import Graph
from mechscreen.emulators.to_onnx.layers import add_network
from mechscreen.models import Output, Outputs
from mechscreen.models.outputs import HALF
from mechscreen.spaces import Parameter, ParameterSpace

PARAMETERS, DISAGREEMENT = "parameters", "disagreement"
"""Names of the input, and of an output beside those of the model."""
MEMBERS = "_of_members"
"""What the name of an output ends with that has what each member says."""


class _Said(NamedTuple):
    """What one network, or all together, say: values (n, values) and logarithms of peaks (n, outputs)."""

    values: str
    log_peaks: str


def ensemble_graph(ensemble: Ensemble, space: ParameterSpace, names: Sequence[str]) -> Any:
    """Return the graph of an ensemble.

    Its input are ``parameters`` (n, d), in double precision and the model's units. Its outputs are in the model's units
    and single precision: each by its name what the ensemble says (n, *shape), and with `MEMBERS` what each member says
    (members, n, *shape); ``disagreement`` (n,). They are NaN where a sample has no value of an output.

    Parameters
    ----------
    space
        The parameters.
    names
        What the outputs are called in the graph: letters, digits and underscores.

    Raises
    ------
    InputError
        If a network has a layer that cannot be written so.
    """
    graph, outputs = Graph(), ensemble.distance.outputs
    normalised = _normalised(graph, space)
    members = []
    for network in ensemble.members:
        said = add_network(graph, network, normalised)
        flat = graph("Reshape", said["profiles"], graph.integers([-1, sum(outputs.sizes)]))
        members.append(_Said(flat, said["log_peaks"]))
    combination = _Combination(graph, ensemble, members)
    together = combination.together()
    for k, name in enumerate(names):
        graph.rename(_in_units(graph, outputs, together, k), name)
        each = [_in_units(graph, outputs, own, k) for own in members]
        stacked = [graph("Unsqueeze", own, graph.integers([0])) for own in each]
        graph.rename(graph("Concat", *stacked, axis=0), name + MEMBERS)
    graph.rename(combination.disagreement(), DISAGREEMENT)
    declared = [_declared(PARAMETERS, "n", len(space), kind=TensorProto.DOUBLE)]
    returned = [_declared(name, "n", *output.shape) for name, output in zip(names, outputs, strict=True)]
    returned += [
        _declared(name + MEMBERS, len(members), "n", *output.shape) for name, output in zip(names, outputs, strict=True)
    ]
    return graph.finish("ensemble", declared, [*returned, _declared(DISAGREEMENT, "n")])


def _declared(name: str, *shape: int | str, kind: int = TensorProto.FLOAT) -> Any:
    return helper.make_tensor_value_info(name, kind, shape)


def _normalised(graph: Graph, space: ParameterSpace) -> str:
    """Add what `ParameterSpace.normalise` does, in double precision; return what networks are told, in single."""
    columns = [_normalised_column(graph, parameter, k) for k, parameter in enumerate(space)]
    return graph("Cast", graph("Concat", *columns, axis=1), to=TensorProto.FLOAT)


def _normalised_column(graph: Graph, parameter: Parameter, k: int) -> str:
    def number(value: Any) -> str:
        return graph.constant(value, np.float64)

    values = graph.slice(PARAMETERS, k, k + 1)
    if parameter.inputs > 1:
        return graph("Cast", graph("Equal", values, number([range(parameter.inputs)])), to=TensorProto.DOUBLE)
    zero, one = np.array([parameter.zero, parameter.one])
    if parameter.scale == "log":
        values, (zero, one) = graph("Log", values), np.log([zero, one])
    return graph("Div", graph("Sub", values, number(zero)), number(one - zero))


def _part(graph: Graph, outputs: Outputs, said: _Said, k: int) -> str:
    """Add what takes the values of output k, (n, size)."""
    return graph.slice(said.values, int(outputs.starts[k]), int(outputs.starts[k + 1]))


def _has_value(graph: Graph, outputs: Outputs, said: _Said, k: int) -> str:
    """Add whether there is a value of output k, which another output says, (n, 1)."""
    return graph("GreaterOrEqual", _part(graph, outputs, said, int(outputs.givens[k])), graph.constant(HALF))


def _in_units(graph: Graph, outputs: Outputs, said: _Said, k: int) -> str:
    """Add what `Outputs.in_units` does."""
    output: Output = outputs[k]
    values = _part(graph, outputs, said, k)
    if output.scale == "log":
        values = graph("Exp", values)
    elif output.scale == "peak":
        values = graph("Mul", values, graph("Exp", graph.slice(said.log_peaks, k, k + 1)))
    if output.given:
        values = graph("Where", _has_value(graph, outputs, said, k), values, graph.constant(np.nan))
    return graph("Reshape", values, graph.integers([-1, *output.shape]))


class _Combination:
    """What members say, as `mechscreen.emulators.ensemble_kernel.combine` makes one prediction of it."""

    def __init__(self, graph: Graph, ensemble: Ensemble, members: Sequence[_Said]) -> None:
        self.graph, self.members = graph, members
        self.distance, self.vote = ensemble.distance, ensemble.combine == "vote"
        self._scores = self._score()

    def disagreement(self) -> str:
        """Add the mean distance between two members, (n,)."""
        mean = self.graph("ReduceMean", self._scores, axes=[1], keepdims=0)
        return self.graph("Div", mean, self.graph.constant(max(len(self.members) - 1, 1)))

    def together(self) -> _Said:
        """Add what all say together."""
        if len(self.members) == 1:
            return self.members[0]
        values, log_peaks = (self._stacked(which) for which in _Said._fields)
        if self.vote:
            best = self.graph("ArgMin", self._scores, axis=1, keepdims=1)
            return _Said(*(self.graph("GatherND", all_, best, batch_dims=1) for all_ in (values, log_peaks)))
        mean = [self.graph("ReduceMean", all_, axes=[1], keepdims=0) for all_ in (values, log_peaks)]
        return _Said(self._of_those_with_a_value(mean[0]), mean[1])

    def _stacked(self, which: str) -> str:
        """Add what all members say of something, (n, members, …)."""
        each = [self.graph("Unsqueeze", getattr(own, which), self.graph.integers([1])) for own in self.members]
        return self.graph("Concat", *each, axis=1)

    def _of_those_with_a_value(self, mean: str) -> str:
        """Add the mean of numbers that not every sample has: over those members that say that there is one."""
        graph, outputs = self.graph, self.distance.outputs
        if (outputs.givens < 0).all():
            return mean
        parts = []
        for k, output in enumerate(outputs):
            part = _part(graph, outputs, _Said(mean, ""), k)
            if output.given:
                said = [graph("Cast", _has_value(graph, outputs, own, k), to=TensorProto.FLOAT) for own in self.members]
                counted = [
                    graph("Mul", says, _part(graph, outputs, own, k))
                    for says, own in zip(said, self.members, strict=True)
                ]
                number = graph("Max", graph("Sum", *said), graph.constant(1.0))
                part = graph("Div", graph("Sum", *counted), number)
            parts.append(part)
        return graph("Concat", *parts, axis=1)

    def _score(self) -> str:
        """Add the sum of each member's distances to the others, (n, members)."""
        graph, members = self.graph, self.members
        distances: dict[int, list[str]] = {a: [] for a in range(len(members))}
        for a, b in combinations(range(len(members)), 2):
            both = self._distance(members[a], members[b])
            distances[a].append(both)
            distances[b].append(both)
        if len(members) == 1:
            first = graph.slice(members[0].log_peaks, 0, 1)
            return graph("Sub", first, first)
        return graph("Concat", *(graph("Sum", *own) for own in distances.values()), axis=1)

    def _distance(self, one: _Said, other: _Said) -> str:
        """Add the distance of what two members say, (n, 1)."""
        graph, outputs = self.graph, self.distance.outputs
        parts = [
            graph("Div", self._of_output(k, one, other), graph.constant(self.distance.units[k] * len(outputs)))
            for k in np.flatnonzero(self.distance.counts).tolist()
        ]
        return graph("Sum", *parts)

    def _of_output(self, k: int, one: _Said, other: _Said) -> str:
        """Add the root mean square difference of output k, as it is compared, (n, 1)."""
        graph, outputs = self.graph, self.distance.outputs
        values = [_part(graph, outputs, own, k) for own in (one, other)]
        if self.distance.of_peaks[k]:
            peaks = [graph.slice(own.log_peaks, k, k + 1) for own in (one, other)]
            largest = graph("Max", *peaks)
            shares = [graph("Exp", graph("Sub", peak, largest)) for peak in peaks]
            values = [graph("Mul", own, share) for own, share in zip(values, shares, strict=True)]
        difference = graph("Sub", *values)
        squares = graph("ReduceMean", graph("Mul", difference, difference), axes=[1], keepdims=1)
        distance = graph("Sqrt", squares)
        if not outputs[k].given:
            return distance
        both = graph("And", *(_has_value(graph, outputs, own, k) for own in (one, other)))
        return graph("Where", both, distance, graph.constant(0.0))
