"""A Vision Mamba module on one chunk of tokens: the body of an ONNX ``Scan``.

    T   tokens of a chunk, a power of two
    C   channels
    D   inner_channels
    N   state_size
    K   conv_width

What a chunk leaves for the next: the last K - 1 inputs of the causal convolution, and the scan's state.

The scan of a chunk is a tree over pairs (decay, step), which stand for h -> decay * h + step. On the way up,
the pairs of two neighbours become one; on the way down, the state after a pair's second token is known, and
gives the state after its first. That is log2(T) steps each way, on arrays that halve. Decays are only ever
multiplied, and lie in [0, 1]: there is no quotient and no logarithm of a sum that could overflow, and a
product that underflows is a state that has faded.
"""

from __future__ import annotations

from functools import partial

import numpy as np
import onnx
from numpy.typing import NDArray

from dvmsr.config import NetworkConfig
from dvmsr.export.graph import Graph, value
from dvmsr.export.layers import Layers


def vimm_body(layers: Layers, graph: Graph, name: str, config: NetworkConfig, chunk: int) -> onnx.GraphProto:
    """Build the body: the two parts of the state and a chunk in, the same out.

    Args:
        layers: The network's layers.
        graph: An empty graph.
        name: The module's name in the parameters.
        config: The network's shape.
        chunk: Tokens of a chunk, a power of two.
    """
    inner, rank, states = config.inner_channels, config.dt_rank, config.state_size
    reach = config.conv_width - 1
    tokens, state, x = (f"{name}.{part}" for part in ("tokens", "state", "x"))

    mamba = f"{name}.mamba"
    uz = layers.linear(graph, layers.layer_norm(graph, x, f"{name}.norm"), f"{mamba}.in_proj")
    u, z = graph.ops("Split", uz, [inner, inner], outputs=2, axis=-1)
    rows = graph.op("Concat", tokens, u, axis=0)
    tokens_after = graph.op("Slice", rows, [chunk], [chunk + reach], [0])
    u = layers.silu(graph, _causal_conv(layers, graph, rows, f"{mamba}.conv1d", config, chunk))

    projected = layers.linear(graph, u, f"{mamba}.x_proj")
    delta, B, C = graph.ops("Split", projected, [rank, states, states], outputs=3, axis=-1)
    bias = layers.parameter(graph, f"{mamba}.dt_proj.bias")
    delta = layers.linear(graph, delta, f"{mamba}.dt_proj", narrow=False)
    delta = graph.op("Softplus", graph.op("Add", delta, bias))
    A = layers.parameter(graph, f"{mamba}.A_log", _decay_rates)
    # (T, 1, N, D): the axis of 1 becomes that of the pairs' first and second tokens.
    decay = graph.op("Exp", graph.op("Mul", graph.op("Unsqueeze", delta, [1, 2]), A))
    step = graph.op("Unsqueeze", graph.op("Mul", delta, u), [1, 2])
    step = graph.op("Mul", graph.op("Unsqueeze", B, [1, 3]), step)
    h, state_after = _scan(graph, decay, step, state, chunk, config)

    y = graph.op("Squeeze", graph.op("MatMul", graph.op("Unsqueeze", C, [1, 2]), h), [1, 2])
    y = graph.op("Add", y, graph.op("Mul", u, layers.parameter(graph, f"{mamba}.D")))
    y = layers.linear(graph, graph.op("Mul", y, layers.silu(graph, z)), f"{mamba}.out_proj")
    if config.vimm_residual:
        y = graph.op("Add", x, y)

    carried = [(reach, inner), (1, 1, states, inner)]
    inputs = [value(tokens, carried[0]), value(state, carried[1]), value(x, (chunk, config.channels))]
    outputs = [
        value(f"{name}.tokens_after", carried[0]),
        value(f"{name}.state_after", carried[1]),
        value(f"{name}.y", (chunk, config.channels)),
    ]
    return graph.finish(name, inputs, outputs, [tokens_after, state_after, y])


def _causal_conv(
    layers: Layers, graph: Graph, rows: str, name: str, config: NetworkConfig, chunk: int
) -> str:
    """Convolve each channel of (K - 1 + T, D) along the tokens: (T, D)."""
    total = layers.parameter(graph, f"{name}.bias")
    for tap in range(config.conv_width):
        weight = layers.parameter(graph, f"{name}.weight", partial(_tap, tap), part=f".{tap}")
        shifted = graph.op("Slice", rows, [tap], [tap + chunk], [0])
        total = graph.op("Add", total, graph.op("Mul", shifted, weight))
    return total


def _tap(tap: int, weight: NDArray[np.float32]) -> NDArray[np.float32]:
    """One tap of each channel, (D,) of (D, 1, K)."""
    return weight[:, 0, tap]


def _decay_rates(A_log: NDArray[np.float32]) -> NDArray[np.float64]:
    """A of A_log, (1, N, D) of (D, N)."""
    return -np.exp(A_log.astype(np.float64)).T[None]


def _scan(
    graph: Graph, decay: str, step: str, before: str, length: int, config: NetworkConfig
) -> tuple[str, str]:
    """Scan (length, 1, N, D) from the state (1, 1, N, D): the states after each token, and after the last."""
    states, inner = config.state_size, config.inner_channels
    if length == 1:
        after = graph.op("Add", graph.op("Mul", decay, before), step)
        return after, after
    pairs = [length // 2, 2, states, inner]
    decay_1, decay_2 = graph.ops("Split", graph.op("Reshape", decay, pairs), [1, 1], outputs=2, axis=1)
    step_1, step_2 = graph.ops("Split", graph.op("Reshape", step, pairs), [1, 1], outputs=2, axis=1)
    both_decay = graph.op("Mul", decay_1, decay_2)
    both_step = graph.op("Add", graph.op("Mul", decay_2, step_1), step_2)
    second, last = _scan(graph, both_decay, both_step, before, length // 2, config)
    earlier = graph.op("Concat", before, graph.op("Slice", second, [0], [-1], [0]), axis=0)
    first = graph.op("Add", graph.op("Mul", decay_1, earlier), step_1)
    return graph.op("Reshape", graph.op("Concat", first, second, axis=1), [length, 1, states, inner]), last
