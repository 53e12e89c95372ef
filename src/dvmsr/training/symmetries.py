"""The flips and rotations of :mod:`dvmsr.inference.symmetries`, for tensors with the channels first."""

from __future__ import annotations

import torch
from torch import Tensor


def apply_symmetry_to_tensor(images: Tensor, symmetry: int) -> Tensor:
    """Do as ``apply_symmetry`` to images of shape (batch, channels, H, W)."""
    turned = torch.rot90(images, symmetry % 4, (2, 3))
    return turned.flip(3) if symmetry >= 4 else turned


def undo_symmetry_of_tensor(images: Tensor, symmetry: int) -> Tensor:
    """Take back :func:`apply_symmetry_to_tensor`."""
    return torch.rot90(images.flip(3) if symmetry >= 4 else images, -(symmetry % 4), (2, 3))
