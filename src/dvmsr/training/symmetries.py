"""The flips and rotations of a square, for arrays with the channels last and for tensors with them first."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

SYMMETRIES = 8
"""How many there are; number 0 changes nothing."""


def apply_symmetry(image: NDArray[Any], symmetry: int) -> NDArray[Any]:
    """Turn an (H, W, channels) image by ``symmetry % 4`` quarters; from 4 on, mirror it after that."""
    turned = np.rot90(image, symmetry % 4)
    return turned[:, ::-1] if symmetry >= 4 else turned


def undo_symmetry(image: NDArray[Any], symmetry: int) -> NDArray[Any]:
    """Take back :func:`apply_symmetry`."""
    return np.rot90(image[:, ::-1] if symmetry >= 4 else image, -(symmetry % 4))


def apply_symmetry_to_tensor(images: Tensor, symmetry: int) -> Tensor:
    """Do as :func:`apply_symmetry` to images of shape (batch, channels, H, W)."""
    turned = torch.rot90(images, symmetry % 4, (2, 3))
    return turned.flip(3) if symmetry >= 4 else turned


def undo_symmetry_of_tensor(images: Tensor, symmetry: int) -> Tensor:
    """Take back :func:`apply_symmetry_to_tensor`."""
    return torch.rot90(images.flip(3) if symmetry >= 4 else images, -(symmetry % 4), (2, 3))
