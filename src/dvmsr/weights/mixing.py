"""The networks that come with the package, and what lies between two of them."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from dvmsr.errors import ArgumentError
from dvmsr.weights.arrays import Weights
from dvmsr.weights.files import load_weights, shipped_weights

SHIPPED_SCALES = {"clean": (2, 4), "photo": (4,)}
"""The networks that are shipped, and the scales of each: for images that lost nothing but size, and for
photographs as people have them, with the traces of JPEG, noise and blur."""


def load_model(model: str = "clean", strength: float = 1.0, scale: int = 4) -> Weights:
    """Read weights that come with the package.

    Args:
        model: "clean" or "photo".
        strength: How far from the clean network to the photo network, from 0 to 1; only for "photo". The
            photo network was trained on from a clean one, so what lies between is a network, too; 0 is the
            clean one, and 1 the photo network, both to the bit.
        scale: Enlargement, one of ``SHIPPED_SCALES``.

    Raises:
        ArgumentError: There is no such model or none of this scale, or the strength is another number.
        WeightsError: A file is damaged.
    """
    if model not in SHIPPED_SCALES:
        raise ArgumentError(f'model must be "clean" or "photo", got {model!r}')
    if isinstance(strength, bool) or not isinstance(strength, (int, float)) or not 0 <= strength <= 1:
        raise ArgumentError(f"strength must be a number from 0 to 1, got {strength!r}")
    if model == "clean" and strength != 1:
        raise ArgumentError('strength is of the model "photo": the clean one has none')
    if strength == 0:
        model = "clean"
    if isinstance(scale, bool) or scale not in SHIPPED_SCALES[model]:
        expected = " or ".join(map(str, SHIPPED_SCALES[model]))
        raise ArgumentError(f'scale of the model "{model}" must be {expected}, got {scale!r}')
    clean, photo = (shipped_weights(name, scale) for name in ("clean", "photo"))
    if model == "clean":
        return load_weights(clean)
    return (
        load_weights(photo)
        if strength == 1
        else mix_weights(load_weights(clean), load_weights(photo), strength)
    )


def find_shipped(parameters: Mapping[str, NDArray[np.float32]]) -> Weights | None:
    """Return the weights that come with the package and have just these parameters; None where none have.

    Args:
        parameters: Parameters by their names in ``dvmsr.model.DVMSR``.
    """
    for model, scales in SHIPPED_SCALES.items():
        for scale in scales:
            shipped = load_model(model, scale=scale)
            if parameters.keys() == shipped.parameters.keys() and all(
                np.array_equal(array, parameters[name]) for name, array in shipped.parameters.items()
            ):
                return shipped
    return None


def mix_weights(first: Weights, second: Weights, share: float) -> Weights:
    """Return the network on the straight way between two, each of its parameters.

    Args:
        first: What a share of 0 stands for.
        second: What a share of 1 stands for; trained on from ``first``, or from what that came from.
        share: From 0 to 1.

    Raises:
        ArgumentError: They are networks of different shapes.
    """
    if first.config != second.config:
        raise ArgumentError(
            f"{first.source} and {second.source} are networks of different shapes, which have no way between"
        )
    to_second, to_first = np.float32(share), np.float32(1 - share)
    parameters = {
        name: to_first * array + to_second * second.parameters[name]
        for name, array in first.parameters.items()
    }
    return Weights(first.config, parameters, f"{second.source} at strength {share:g}")
