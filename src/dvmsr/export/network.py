"""The whole network as an ONNX model: one graph for images of any height and width.

    H, W   the image's sides; L = H * W tokens in raster order
    C      channels
    T      tokens of a chunk

A ``Scan`` takes the tokens of each Vision Mamba module in chunks, so what it computes in between stays as
small as a chunk, whatever the size of the image.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from importlib.metadata import version

import numpy as np
import onnx
from onnx import defs, helper

from dvmsr.config import RGB_MEAN, NetworkConfig
from dvmsr.errors import ArgumentError
from dvmsr.export.graph import Constants, Graph, value
from dvmsr.export.layers import Layers
from dvmsr.export.vimm import vimm_body
from dvmsr.weights import Weights

INPUT, OUTPUT = "image", "enlarged"
"""What the model calls its input and its output."""

LEAST_OPSET = 17
"""The first operator set that has all operators used here: LayerNormalization came with it."""

# Fewer tokens mean more nodes to start, more of them larger arrays than the second cache holds.
_CHUNK = 64


def build_model(
    weights: Weights,
    *,
    opset: int = LEAST_OPSET,
    half: bool = False,
    metadata: Mapping[str, str] | None = None,
) -> onnx.ModelProto:
    """Build the model: RGB in [0, 1], (1, 3, height, width), to (1, 3, scale * height, scale * width).

    Both are float32, and the output is not clipped. Nothing is traced: each node is put down here.

    Args:
        weights: The network.
        opset: Version of ONNX's operator set, from ``LEAST_OPSET``.
        half: Whether parameters are stored as float16 and the linear layers multiply in it. The convolutions,
            whose sums go beyond float16, LayerNorm and the scan stay float32.
        metadata: Entries for the model's metadata beside those that are written in any case: ``model``,
            ``scale``, ``config`` (as JSON), ``weights``, ``version``.

    Raises:
        ArgumentError: The operator set is too old, or unknown to the ``onnx`` that is installed.
    """
    if not LEAST_OPSET <= opset <= defs.onnx_opset_version():
        raise ArgumentError(f"opset must be {LEAST_OPSET} to {defs.onnx_opset_version()}, got {opset}")
    config = weights.config
    layers = Layers(weights.parameters, half=half)
    graph = Graph(Constants())
    mean = graph.constants.add(np.array(RGB_MEAN, np.float32).reshape(1, 3, 1, 1), "rgb_mean")
    shallow = layers.conv3x3(graph, graph.op("Sub", INPUT, mean), "shallow")
    # (1, H, W, C), whose shape turns tokens into an image again, and (L, C).
    channels_last = graph.op("Transpose", shallow, perm=[0, 2, 3, 1])
    image_shape = graph.op("Shape", channels_last)
    features = graph.op("Reshape", channels_last, [-1, config.channels])
    features = layers.layer_norm(graph, features, "token_norm")
    for block in range(config.blocks):
        tokens = _cut(graph, features, config)
        for vimm in range(config.vimms_per_block):
            tokens = _vimm(layers, graph, tokens, f"blocks.{block}.vimms.{vimm}", config)
        image = _to_image(graph, _join(graph, tokens, features, config), image_shape)
        convolved = layers.conv3x3(graph, image, f"blocks.{block}.conv")
        features = graph.op("Add", features, _to_tokens(graph, convolved, config))
    features = layers.layer_norm(graph, features, "deep_norm")
    deep = layers.conv3x3(graph, _to_image(graph, features, image_shape), "deep")
    pixels = layers.conv3x3(graph, graph.op("Add", shallow, deep), "reconstruct")
    pixels = graph.op("DepthToSpace", pixels, blocksize=config.scale, mode="CRD")
    opsets = [helper.make_opsetid("", opset)]
    model = helper.make_model(
        graph.finish(
            "dvmsr",
            [value(INPUT, (1, 3, "height", "width"))],
            [value(OUTPUT, (1, 3, "enlarged_height", "enlarged_width"))],
            [graph.op("Add", pixels, mean)],
            with_constants=True,
        ),
        opset_imports=opsets,
        # The oldest that has these operators is read by most runtimes.
        ir_version=helper.find_min_ir_version_for(opsets),
        producer_name="dvmsr",
        producer_version=version("dvmsr"),
    )
    told = {
        "model": "DVMSR (arXiv 2405.03008)",
        "scale": str(config.scale),
        "config": json.dumps(asdict(config)),
        "weights": weights.source.rpartition("/")[2],
        "version": version("dvmsr"),
    }
    helper.set_model_props(model, told | dict(metadata or {}))
    return model


def _vimm(layers: Layers, graph: Graph, chunks: str, name: str, config: NetworkConfig) -> str:
    """Apply a ViMM to (chunks, T, C), one chunk after the other."""
    body = vimm_body(layers, Graph(graph.constants, f"{name}/"), name, config, _CHUNK)
    inner = config.inner_channels
    before_first = [
        graph.constants.add(np.zeros(shape, np.float32))
        for shape in ((config.conv_width - 1, inner), (1, 1, config.state_size, inner))
    ]
    return graph.ops("Scan", *before_first, chunks, outputs=3, body=body, num_scan_inputs=1)[2]


def _cut(graph: Graph, tokens: str, config: NetworkConfig) -> str:
    """Cut (L, C) into chunks, (chunks, T, C), the last filled up with zeros: no token sees one behind it."""
    length = graph.op("Shape", tokens, start=0, end=1)
    filling = graph.op("Mod", graph.op("Neg", length), [_CHUNK])
    padded = graph.op("Pad", tokens, graph.op("Concat", [0, 0], filling, [0], axis=0))
    return graph.op("Reshape", padded, [-1, _CHUNK, config.channels])


def _join(graph: Graph, chunks: str, tokens: str, config: NetworkConfig) -> str:
    """Take back ``_cut``: (L, C), as long as ``tokens``."""
    flat = graph.op("Reshape", chunks, [-1, config.channels])
    return graph.op("Slice", flat, [0], graph.op("Shape", tokens, start=0, end=1), [0])


def _to_image(graph: Graph, tokens: str, image_shape: str) -> str:
    """(L, C) to (1, C, H, W)."""
    return graph.op("Transpose", graph.op("Reshape", tokens, image_shape), perm=[0, 3, 1, 2])


def _to_tokens(graph: Graph, image: str, config: NetworkConfig) -> str:
    """(1, C, H, W) to (L, C)."""
    return graph.op("Reshape", graph.op("Transpose", image, perm=[0, 2, 3, 1]), [-1, config.channels])
