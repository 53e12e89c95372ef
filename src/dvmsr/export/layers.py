"""The layers that a network's graph is made of."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
from onnx import TensorProto

from dvmsr.export.graph import Graph

# PyTorch's, with which the weights were trained.
_EPSILON = 1e-5


class Layers:
    """Layers in ONNX's operators, with a network's parameters.

    Args:
        parameters: The parameters by their names in ``dvmsr.model.DVMSR``.
        half: Whether matrices and kernels are stored as float16, and linear layers multiply in it.
    """

    def __init__(self, parameters: Mapping[str, NDArray[np.float32]], *, half: bool) -> None:
        self._parameters = parameters
        self._half = half

    def parameter(
        self,
        graph: Graph,
        name: str,
        change: Callable[[NDArray[np.float32]], NDArray[Any]] | None = None,
        part: str = "",
    ) -> str:
        """Return the constant that is a parameter in float32.

        Args:
            graph: The graph that uses it.
            name: The parameter's name.
            change: Makes what is stored of it.
            part: What tells this constant from another of the same parameter.
        """
        array = self._parameters[name]
        array = array if change is None else change(array).astype(np.float32)
        return graph.constants.add(array, name + part)

    def linear(self, graph: Graph, x: str, name: str, *, narrow: bool = True) -> str:
        """Multiply (tokens, in) by the transposed weight (out, in) of a linear layer, without its bias.

        Args:
            graph: The graph that uses it.
            x: The tokens.
            name: The layer's name.
            narrow: Whether it multiplies in float16 where the network does.
        """
        weight = self._parameters[f"{name}.weight"].T
        if not (self._half and narrow):
            return graph.op("MatMul", x, graph.constants.add(weight, f"{name}.weight"))
        short = graph.op("Cast", x, to=TensorProto.FLOAT16)
        product = graph.op("MatMul", short, graph.constants.add(weight.astype(np.float16), f"{name}.weight"))
        return graph.op("Cast", product, to=TensorProto.FLOAT)

    def conv3x3(self, graph: Graph, x: str, name: str) -> str:
        """Convolve (1, in, H, W), with a border of zeros.

        In float32 in any case: within the blocks the sums go beyond float16, and the last one makes pixels.
        """
        weight = self._parameters[f"{name}.weight"]
        kernel = graph.constants.add(weight.astype(np.float16) if self._half else weight, f"{name}.weight")
        if self._half:
            kernel = graph.op("Cast", kernel, to=TensorProto.FLOAT)
        bias = self.parameter(graph, f"{name}.bias")
        return graph.op("Conv", x, kernel, bias, kernel_shape=[3, 3], pads=[1, 1, 1, 1])

    def layer_norm(self, graph: Graph, x: str, name: str) -> str:
        """Normalize the last axis."""
        weight, bias = (self.parameter(graph, f"{name}.{part}") for part in ("weight", "bias"))
        return graph.op("LayerNormalization", x, weight, bias, axis=-1, epsilon=_EPSILON)

    def silu(self, graph: Graph, x: str) -> str:
        """Return x * sigmoid(x)."""
        return graph.op("Mul", x, graph.op("Sigmoid", x))
