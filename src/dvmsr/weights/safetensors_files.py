"""Reading safetensors files."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, deserialize, safe_open

from dvmsr.errors import WeightsError
from dvmsr.weights.stored import StoredTensor

_FLOATS = ("F16", "F32", "F64")
# NumPy has no such type.
_BFLOAT16 = "BF16"


def read_safetensors_file(file: Path) -> tuple[dict[str, StoredTensor], dict[str, str]]:
    """Read what a safetensors file says of its tensors, and its metadata.

    Raises:
        WeightsError: The file is damaged or no safetensors file.
    """
    try:
        with safe_open(file, framework="np") as opened:
            tensors = {}
            for name in opened.keys():  # noqa: SIM118 - it is no mapping
                stored = opened.get_slice(name)
                kind = stored.get_dtype()
                reader = {_BFLOAT16: _read_bfloat16, **dict.fromkeys(_FLOATS, _read)}.get(kind)
                tensors[name] = StoredTensor(
                    tuple(stored.get_shape()), kind, None if reader is None else partial(reader, file, name)
                )
            return tensors, opened.metadata() or {}
    except SafetensorError as error:
        raise WeightsError(
            f"{file}: neither a safetensors file nor a PyTorch file, or damaged ({error})"
        ) from error


def _read(file: Path, name: str) -> NDArray[np.float32]:
    with safe_open(file, framework="np") as opened:
        tensor: NDArray[Any] = opened.get_tensor(name)
        return tensor.astype(np.float32)


def _read_bfloat16(file: Path, name: str) -> NDArray[np.float32]:
    stored = dict(deserialize(file.read_bytes()))[name]  # type: ignore[no-untyped-call]
    upper_halves = np.frombuffer(stored["data"], "<u2").astype(np.uint32)
    return (upper_halves << 16).view(np.float32).reshape(stored["shape"])
