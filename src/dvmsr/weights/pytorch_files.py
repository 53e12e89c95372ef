"""Reading the files that PyTorch saves: the one module here that needs it, and only when it is called."""

from __future__ import annotations

import pickle
import warnings
import zipfile
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from dvmsr.errors import MissingExtraError, WeightsError
from dvmsr.weights.stored import StoredTensor
from dvmsr.weights.wrappings import unpack

if TYPE_CHECKING:
    from torch import Tensor

# What the file begins with: PyTorch's files are zip archives, or pickles in its old form.
_ARCHIVE_START = b"PK\x03\x04"
PYTORCH_STARTS = (_ARCHIVE_START, b"\x80\x02")

_FLOATS = ("float16", "bfloat16", "float32", "float64")


def read_pytorch_file(file: Path) -> dict[str, StoredTensor]:
    """Read a state dict, bare or inside the containers that training scripts save.

    Nothing but tensors and plain containers is loaded, so that a file cannot run code, and no tensor takes
    more memory than its numbers take in the file.

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
        check_archive(file)
        with warnings.catch_warnings():
            # Of kinds of tensors that are refused here.
            warnings.simplefilter("ignore")
            content = unpack(torch.load(file, map_location="cpu", weights_only=True))
    except pickle.UnpicklingError as error:
        # PyTorch's own message runs over many lines and tells how to load the file none the less.
        raise WeightsError(
            f"{file}: damaged, or holds more than tensors, which is not loaded because it can run code;"
            " expected a state dict"
        ) from error
    except MemoryError:
        raise
    except Exception as error:  # torch.load raises nearly anything on a damaged file
        raise WeightsError(f"{file}: damaged PyTorch file ({first_sentence(error)})") from error
    if not isinstance(content, dict) or not all(
        isinstance(name, str) and isinstance(tensor, torch.Tensor) for name, tensor in content.items()
    ):
        raise WeightsError(
            f"{file}: expected a state dict of tensors, or one under a key such as params_ema, params or"
            " state_dict"
        )
    return {name: _stored(file, name, tensor) for name, tensor in content.items()}


def check_archive(file: Path) -> None:
    """Check that a file of PyTorch's newer form is whole, which PyTorch itself does not.

    Raises:
        ValueError: Its members would take more room than the file has, as PyTorch writes none.
        zipfile.BadZipFile: It is no archive, or a member's checksum is of other bytes.
        OSError: It cannot be read.
    """
    with file.open("rb") as stream:
        if stream.read(len(_ARCHIVE_START)) != _ARCHIVE_START:
            return
    with zipfile.ZipFile(file) as archive:
        # Before any of it is unpacked.
        if sum(member.file_size for member in archive.infolist()) > file.stat().st_size:
            raise ValueError("members larger than the file")
        if broken := archive.testzip():
            raise zipfile.BadZipFile(f"the checksum of {broken} is wrong")


def first_sentence(error: Exception) -> str:
    """The first sentence of an error's first line, or its type."""
    return str(error).partition("\n")[0].partition(". ")[0] or type(error).__name__


def _stored(file: Path, name: str, tensor: Tensor) -> StoredTensor:
    import torch

    kind = str(tensor.dtype).removeprefix("torch.")
    if tensor.layout != torch.strided or tensor.is_nested or tensor.device.type != "cpu":
        raise WeightsError(
            f"{file}: expected a state dict of dense tensors with their numbers, got another kind as {name}"
        )
    # A file of one number can say that it is a matrix of any size.
    if tensor.numel() * tensor.element_size() > tensor.untyped_storage().nbytes():
        raise WeightsError(f"{file}: {name} has more numbers than the file holds of it")
    return StoredTensor(tuple(tensor.shape), kind, partial(_read, tensor) if kind in _FLOATS else None)


def _read(tensor: Tensor) -> NDArray[np.float32]:
    array: NDArray[Any] = tensor.detach().float().resolve_neg().contiguous().numpy()
    return array
