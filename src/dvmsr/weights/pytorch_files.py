"""Reading the files that PyTorch saves: the one module here that needs it, and only when it is called."""

from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from dvmsr.errors import MissingExtraError, WeightsError

# What the file begins with: PyTorch's files are zip archives, or pickles in its old form.
PYTORCH_STARTS = (b"PK\x03\x04", b"\x80\x02")


def read_pytorch_file(file: Path) -> dict[str, NDArray[np.float32]]:
    """Read a state dict, or the one that lies under ``params_ema`` or else ``params``.

    Nothing but tensors and plain containers is loaded, so that a file cannot run code.

    Args:
        file: The file.

    Returns:
        The tensors by their names in the file.

    Raises:
        MissingExtraError: PyTorch is not installed.
        WeightsError: The file is damaged or holds something else.
    """
    try:
        import torch
    except ImportError as error:
        raise MissingExtraError("torch", "train", f"{file}: reading a PyTorch file") from error
    try:
        content = torch.load(file, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        # PyTorch's own message runs over many lines and tells how to load the file none the less.
        raise WeightsError(
            f"{file}: damaged, or holds more than tensors, which is not loaded because it can run code;"
            " expected a state dict"
        ) from error
    except Exception as error:  # torch.load raises nearly anything on a damaged file
        reason = str(error).partition("\n")[0].partition(". ")[0] or type(error).__name__
        raise WeightsError(f"{file}: damaged PyTorch file ({reason})") from error
    if isinstance(content, dict):
        content = content.get("params_ema", content.get("params", content))
    if not isinstance(content, dict) or not all(
        isinstance(name, str) and isinstance(tensor, torch.Tensor) and tensor.layout == torch.strided
        for name, tensor in content.items()
    ):
        raise WeightsError(f"{file}: expected a state dict of tensors, or one under params_ema or params")
    return {name: tensor.detach().float().numpy() for name, tensor in content.items()}
