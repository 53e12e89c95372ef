"""Checkpoints: written whole or not at all, and read only if they are."""

from __future__ import annotations

import io
import pickle
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from lightning.fabric.plugins import TorchCheckpointIO

from dvmsr.atomic import write_atomically
from dvmsr.config import NetworkConfig
from dvmsr.errors import ArgumentError, is_lack_of_memory
from dvmsr.training.checkpoint_content import check_content
from dvmsr.weights.pytorch_files import check_archive

_PREFIX = "step-"
_SUFFIX = ".ckpt"


class DamagedCheckpointError(ArgumentError):
    """A checkpoint whose content came to harm."""


class AtomicCheckpointIO(TorchCheckpointIO):
    """Writes a checkpoint beside its place and moves it there.

    Lightning's own begins the file in the system's folder for temporary files, and a move from there to
    another disk can be interrupted.
    """

    def save_checkpoint(
        self,
        checkpoint: dict[str, Any],
        path: str | Path,
        storage_options: Any | None = None,  # noqa: ARG002 - Lightning's name
    ) -> None:
        """Write a checkpoint.

        Raises:
            ArgumentError: It cannot be written; those before it are as they were.
        """
        content = io.BytesIO()
        torch.save(checkpoint, content)
        try:
            Path(path).parent.mkdir(parents=True, exist_ok=True)
            with write_atomically(Path(path)) as file:
                file.write(content.getbuffer())
        except OSError as error:
            raise ArgumentError(
                f"{path}: cannot be written: {error.strerror}; make room and go on with --resume"
            ) from error


def checkpoint_path(folder: Path, step: int) -> Path:
    """Return the path of the checkpoint after ``step`` steps."""
    return folder / f"{_PREFIX}{step:08d}{_SUFFIX}"


def list_checkpoints(folder: Path) -> list[Path]:
    """Return the checkpoints in a folder, the newest first; not those known as damaged."""
    return sorted(folder.glob(f"{_PREFIX}*{_SUFFIX}"), reverse=True)


def remove_old_checkpoints(folder: Path, keep: int) -> None:
    """Remove all checkpoints but the newest."""
    for path in list_checkpoints(folder)[keep:]:
        path.unlink(missing_ok=True)


def newest_checkpoint(
    folder: Path, network: NetworkConfig, warn: Callable[[str], object], *, set_aside: bool
) -> tuple[Path, dict[str, Any]]:
    """Return the newest checkpoint that is whole, and its content.

    Args:
        folder: The run's checkpoints.
        network: The run's network.
        warn: Gets a line of text for each damaged one.
        set_aside: Whether to give a damaged one another suffix, so that it is not met again.

    Raises:
        ArgumentError: There is none, or one cannot be read, which says nothing of its content.
    """
    for path in list_checkpoints(folder):
        try:
            return path, read_checkpoint(path, network)
        except DamagedCheckpointError as error:
            warn(f"{error}; taking the one before it")
            if set_aside:
                _set_aside(path)
        except ArgumentError as error:
            # Another process of the run was faster to set it aside, or to remove it as an old one.
            if not isinstance(error.__cause__, FileNotFoundError):
                raise
    raise ArgumentError(f"{folder}: no checkpoint that is whole: the run must begin anew, in another folder")


def read_checkpoint(path: Path, network: NetworkConfig) -> dict[str, Any]:
    """Read a checkpoint into the CPU's memory.

    Nothing in it can run code, and nothing of it is used unless all of it is what a run writes.

    Args:
        path: The file.
        network: The run's network.

    Raises:
        DamagedCheckpointError: Its content came to harm, or is none of this program.
        ArgumentError: It cannot be read.
    """
    try:
        check_archive(path)
        with warnings.catch_warnings():
            # Of kinds of tensors that are refused next.
            warnings.simplefilter("ignore")
            content: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
        check_content(content, network)
    except OSError as error:
        raise ArgumentError(f"{path}: cannot be read: {error.strerror or error}") from error
    except Exception as error:  # a damaged file can raise nearly anything
        if is_lack_of_memory(error):
            raise
        raise DamagedCheckpointError(f"{path}: damaged checkpoint ({_first_line(error)})") from error
    return content


def _set_aside(path: Path) -> None:
    target = path.with_suffix(".damaged")
    try:
        path.replace(target)
    except FileNotFoundError:  # another process of the run was faster
        pass
    except OSError as error:
        raise ArgumentError(f"{path}: cannot be renamed to {target.name}: {error.strerror}") from error


def _first_line(error: Exception) -> str:
    if isinstance(error, pickle.UnpicklingError):
        # PyTorch's own message tells how to load it none the less.
        return "more than tensors and numbers, which is not loaded because it can run code"
    return str(error).splitlines()[0] if str(error) else type(error).__name__
