"""Writing an ONNX graph down node by node."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper


class Constants:
    """The constants of a model. Those of the same content are stored once, whichever graph uses them."""

    def __init__(self) -> None:
        self._names: dict[tuple[str, tuple[int, ...], bytes], str] = {}
        self.tensors: list[TensorProto] = []
        """All of them, for the main graph; the graphs inside it see them by name."""

    def add(self, value: NDArray[Any], name: str | None = None) -> str:
        """Return the name of a constant.

        Args:
            value: Its values.
            name: What to call it if it is a new one.
        """
        # Not by ascontiguousarray, which gives a scalar an axis.
        value = np.array(value, order="C")
        key = (value.dtype.str, value.shape, value.tobytes())
        if key not in self._names:
            self._names[key] = name or f"constant_{len(self.tensors)}"
            self.tensors.append(numpy_helper.from_array(value, self._names[key]))
        return self._names[key]


class Graph:
    """One graph in the making: the model's, or the body of a ``Scan`` in it.

    Args:
        constants: Where the model's constants are kept.
        prefix: What the names of its values begin with; no two graphs of a model share it.
    """

    def __init__(self, constants: Constants, prefix: str = "") -> None:
        self.constants = constants
        self._prefix = prefix
        self._nodes: list[onnx.NodeProto] = []
        self._count = 0

    def op(self, kind: str, *inputs: str | int | Sequence[int], **attributes: Any) -> str:
        """Add a node of one output.

        Args:
            kind: An operator of ONNX.
            *inputs: Names of values; whole numbers and sequences of them become int64 constants.
            **attributes: The operator's attributes.

        Returns:
            The name of the output.
        """
        return self.ops(kind, *inputs, outputs=1, **attributes)[0]

    def ops(
        self, kind: str, *inputs: str | int | Sequence[int], outputs: int, **attributes: Any
    ) -> list[str]:
        """Add a node of several outputs; see :meth:`op`."""
        names = [x if isinstance(x, str) else self.constants.add(np.array(x, np.int64)) for x in inputs]
        made = [f"{self._prefix}{kind}_{self._count + i}" for i in range(outputs)]
        self._count += outputs
        self._nodes.append(helper.make_node(kind, names, made, name=made[0], **attributes))
        return made

    def finish(
        self,
        name: str,
        inputs: Sequence[onnx.ValueInfoProto],
        outputs: Sequence[onnx.ValueInfoProto],
        values: Sequence[str],
        *,
        with_constants: bool = False,
    ) -> onnx.GraphProto:
        """Return the graph.

        Args:
            name: Its name.
            inputs: Its inputs.
            outputs: What its outputs are called, and their types and shapes.
            values: The value that each output is.
            with_constants: Whether it is the main graph, which holds the constants.
        """
        for value, output in zip(values, outputs, strict=True):
            self._nodes.append(helper.make_node("Identity", [value], [output.name], name=output.name))
        tensors = self.constants.tensors if with_constants else []
        return helper.make_graph(self._nodes, name, list(inputs), list(outputs), initializer=tensors)


def value(name: str, shape: Sequence[int | str]) -> onnx.ValueInfoProto:
    """Describe a float32 input or output; a text in the shape names a length that is not fixed."""
    return helper.make_tensor_value_info(name, TensorProto.FLOAT, list(shape))
