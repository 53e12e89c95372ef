"""The network of one scale as the beginning of one of another: the same trunk, another last convolution."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from dvmsr.weights.arrays import Weights


def rescale_weights(weights: Weights, scale: int) -> Weights:
    """Make of a network one that gives its output reduced or enlarged to another scale, pixel by area.

    That is a beginning to train from: the LR images of another scale are sharper or softer than the network
    is used to.

    Args:
        weights: The network.
        scale: Enlargement of the new network, 2, 3 or 4.

    Returns:
        Weights that differ in ``reconstruct.weight`` and ``reconstruct.bias`` alone.

    Raises:
        ArgumentError: There is no such scale.
    """
    before = weights.config.scale
    config = replace(weights.config, scale=scale)
    shares = _shares(before, scale)
    parameters = dict(weights.parameters)
    for name in ("reconstruct.weight", "reconstruct.bias"):
        array = parameters[name]
        # The pixel shuffle's channels are (colour, row, column).
        phases = array.reshape(3, before, before, -1)
        mixed = np.einsum("ri,cj,kijx->krcx", shares, shares, phases.astype(np.float64))
        parameters[name] = mixed.reshape(-1, *array.shape[1:]).astype(np.float32)
    return Weights(config, parameters, weights.source)


def _shares(before: int, after: int) -> NDArray[np.float64]:
    """Of each of ``after`` equal parts of a pixel, how much each of ``before`` parts covers."""
    ends_before, ends_after = np.arange(before + 1) / before, np.arange(after + 1) / after
    first = np.maximum(ends_after[:-1, None], ends_before[None, :-1])
    last = np.minimum(ends_after[1:, None], ends_before[None, 1:])
    shares: NDArray[np.float64] = np.maximum(last - first, 0) * after
    return shares
