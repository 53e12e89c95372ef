"""Weights as the Hugging Face Hub keeps them: a folder with model.safetensors, config.json and README.md.

Needs no PyTorch, and ``huggingface_hub`` only to download.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dvmsr.atomic import write_atomically
from dvmsr.config import NetworkConfig
from dvmsr.errors import MissingExtraError, WeightsError
from dvmsr.targets import check_target
from dvmsr.weights.arrays import Weights
from dvmsr.weights.files import load_weights, save_weights
from dvmsr.weights.mixing import find_shipped

WEIGHTS_FILE = "model.safetensors"
"""The file that holds the parameters."""

_CONFIG_FILE = "config.json"
_CARD_FILE = "README.md"
_FRONT_MATTER = """\
---
library_name: dvmsr
pipeline_tag: image-to-image
tags:
- super-resolution
- dvmsr
{more}---
"""
_CARD = """
# DVMSR, {scale}x

{blocks} RSSBs of {vimms_per_block} ViMMs, {channels} channels, {state_size} states. How it was trained, on
what, and what it scores is not told here yet.
"""
_USE = """
## Use

```python
import dvmsr

upscaler = dvmsr.Upscaler.from_pretrained("USER/NAME")  # without PyTorch
large = upscaler.upscale(pixels)  # (H, W, 3), uint8
```
"""


def load_pretrained(
    name: str | os.PathLike[str],
    *,
    revision: str | None = None,
    cache_dir: str | os.PathLike[str] | None = None,
    force_download: bool = False,
    local_files_only: bool = False,
    token: str | bool | None = None,
) -> Weights:
    """Read the weights of a model on the Hub, or of a folder like one.

    Args:
        name: ``"USER/NAME"``, or a folder that holds model.safetensors.
        revision: Branch, tag or commit on the Hub; None takes the main branch.
        cache_dir: Where downloads are kept; None takes huggingface_hub's own place.
        force_download: Whether to download what is kept already.
        local_files_only: Whether to take only what is kept already.
        token: For models that are not public; None takes the one that is logged in.

    Raises:
        WeightsError: There is no such model, it cannot be downloaded, or its file is damaged or of another
            network.
        MissingExtraError: ``name`` is no folder, and huggingface_hub is not installed.
    """
    if Path(name).is_dir():
        return load_weights(Path(name) / WEIGHTS_FILE)
    try:
        from huggingface_hub import hf_hub_download
    except ModuleNotFoundError as error:
        if error.name != "huggingface_hub":
            raise
        raise MissingExtraError("huggingface_hub", "hub", f"{name}: no folder, and the Hub") from error
    with hub_errors_told(name):
        file = hf_hub_download(
            os.fspath(name),
            WEIGHTS_FILE,
            revision=revision,
            cache_dir=None if cache_dir is None else Path(cache_dir),
            force_download=force_download,
            local_files_only=local_files_only,
            token=token,
        )
    return load_weights(file)


@contextmanager
def hub_errors_told(name: str | os.PathLike[str]) -> Iterator[None]:
    """Tell in one line what huggingface_hub raises when it downloads.

    Args:
        name: What was asked for.

    Raises:
        WeightsError: In the place of its errors.
    """
    try:
        yield
    except (OSError, ValueError) as error:
        from huggingface_hub.errors import HFValidationError

        if isinstance(error, HFValidationError):
            raise WeightsError(f"{name}: no folder, and no name on the Hub; expected USER/NAME") from error
        if not isinstance(error, OSError):  # an answer of the Hub, no connection, a full disk
            raise
        reason = " ".join(str(error).split()).partition(". ")[0]
        raise WeightsError(f"{name}: cannot be had from the Hub ({reason})") from error


def save_pretrained(
    folder: str | os.PathLike[str], parameters: Mapping[str, NDArray[Any]], config: NetworkConfig
) -> None:
    """Write a folder as the Hub keeps a model; files of these names are replaced, but for a README.md.

    The parameters come back bit by bit: they are stored as float16 where that holds each of them, else as
    float32. The card is that of the shipped weights where they are these.

    Args:
        folder: The folder; made if missing.
        parameters: Every parameter by its name in ``dvmsr.model.DVMSR``.
        config: The network's shape.

    Raises:
        ArgumentError: The parameters do not fit the configuration.
        WeightsError: The folder cannot be made, or a file in it not written.
    """
    folder = Path(folder)
    check_pretrained_folder(folder)
    with np.errstate(over="ignore"):
        fits = all(np.array_equal(array, array.astype(np.float16)) for array in parameters.values())
    try:
        save_weights(folder / WEIGHTS_FILE, parameters, config, dtype=np.float16 if fits else np.float32)
        _write(folder / _CONFIG_FILE, json.dumps(asdict(config), indent=2) + "\n")
        if not (folder / _CARD_FILE).exists():
            _write(folder / _CARD_FILE, _card(parameters, config))
    except OSError as error:
        raise WeightsError(f"{folder}: cannot be written: {error.strerror}") from error


def check_pretrained_folder(folder: Path) -> None:
    """Make a folder for :func:`save_pretrained`, and check that its files may be written there.

    Raises:
        WeightsError: They may not.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise WeightsError(f"{folder}: cannot be made: {error.strerror}; choose another folder") from error
    for name in (WEIGHTS_FILE, _CONFIG_FILE, _CARD_FILE):
        check_target(folder / name, WeightsError, overwrite=True)


def _card(parameters: Mapping[str, NDArray[Any]], config: NetworkConfig) -> str:
    shipped = find_shipped(parameters)
    if shipped is not None and config == shipped.config:
        text = Path(shipped.source).with_suffix(".md").read_text(encoding="utf-8")
        return _FRONT_MATTER.format(more="license: mit\n") + "\n" + text + _USE
    return _FRONT_MATTER.format(more="") + _CARD.format(**asdict(config)) + _USE


def _write(path: Path, text: str) -> None:
    with write_atomically(path) as file:
        file.write(text.encode())
