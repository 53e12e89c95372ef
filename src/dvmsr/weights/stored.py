"""A tensor in a file, told of before it is read."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class StoredTensor:
    """A tensor in a file. What a file says of its tensors is checked before any of them takes memory."""

    shape: tuple[int, ...]
    """Its sides."""

    kind: str
    """The type of its numbers, as the file calls it."""

    read: Callable[[], NDArray[np.float32]] | None
    """Reads it as float32; None where its numbers are no floats, which no network has."""
