"""A graph of ONNX while it is written."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
from numpy.typing import ArrayLike, NDArray
from onnx import helper, numpy_helper

OPSET = 17
"""Version of the operators, of 2022: so that programs of some age read what is written."""
_IR = 8
"""Version of the format that came with it."""


class Graph:
    """Nodes and constants of a graph, in order; values go by names, which are numbered.

    Parameters
    ----------
    prefix
        What all names begin with; the slash is in no name of a parameter or output.
    """

    def __init__(self, prefix: str = "/") -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.constants: list[onnx.TensorProto] = []
        self._prefix = prefix
        self._number = 0

    def new_name(self, kind: str) -> str:
        """Return a name that nothing in the graph has."""
        self._number += 1
        return f"{self._prefix}{kind}_{self._number}"

    def constant(self, values: ArrayLike, dtype: Any = np.float32) -> str:
        """Add a constant; return its name."""
        name = self.new_name("constant")
        array: NDArray[Any] = np.asarray(values, dtype=dtype)
        self.constants.append(numpy_helper.from_array(array, name))
        return name

    def add(self, operator: str, *inputs: str, outputs: int = 1, **attributes: Any) -> list[str]:
        """Add a node; return the names of its results."""
        names = [self.new_name(operator.lower()) for _ in range(outputs)]
        self.nodes.append(helper.make_node(operator, list(inputs), names, **attributes))
        return names

    def __call__(self, operator: str, *inputs: str, **attributes: Any) -> str:
        """Add a node with one result; return its name."""
        return self.add(operator, *inputs, **attributes)[0]

    def integers(self, values: ArrayLike) -> str:
        """Add a constant of whole numbers, as shapes and places are."""
        return self.constant(values, np.int64)

    def slice(self, values: str, start: int, end: int, axis: int = 1) -> str:
        """Add what takes a part along an axis."""
        return self("Slice", values, *(self.integers([n]) for n in (start, end, axis)))

    def rename(self, values: str, name: str) -> None:
        """Give a result a name of its own."""
        self.nodes.append(helper.make_node("Identity", [values], [name]))

    def finish(self, name: str, inputs: list[Any], outputs: list[Any]) -> Any:
        """Return the graph, with the declarations of its inputs and outputs."""
        return helper.make_graph(self.nodes, name, inputs, outputs, self.constants)


def make_model(graph: Any, producer: str, version: str, metadata: dict[str, str]) -> Any:
    """Return a model of a graph, with texts for people and programs by their keys."""
    model = helper.make_model(
        graph,
        opset_imports=[helper.make_opsetid("", OPSET)],
        ir_version=_IR,
        producer_name=producer,
        producer_version=version,
    )
    helper.set_model_props(model, metadata)
    return model
