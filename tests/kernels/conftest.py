"""Where each form of the kernels is tested: the Triton kernels on a GPU, else in Triton's interpreter."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Any

import pytest
import torch

HAS_CUDA = torch.cuda.is_available()
if not HAS_CUDA:
    # Read when the kernels are imported.
    os.environ["TRITON_INTERPRET"] = "1"


@dataclass(frozen=True)
class Form:
    """A form of the kernels, and the device that it runs on."""

    kernels: Any
    """The module: it has ``selective_scan`` and ``causal_conv1d``."""

    device: str
    """The device of its inputs and outputs."""


@pytest.fixture
def kernels(request: pytest.FixtureRequest) -> Form:
    """The form that a test's parameter names: reference, cpu or gpu."""
    if request.param == "gpu":
        from dvmsr.kernels import gpu

        return Form(gpu, "cuda" if HAS_CUDA else "cpu")
    if request.param == "cpu":
        # A machine with a GPU may have the source tree alone.
        return Form(pytest.importorskip("dvmsr.kernels.cpu"), "cpu")
    from dvmsr.kernels import reference

    return Form(reference, "cpu")


@pytest.fixture
def needs_cuda() -> None:
    """Skip the test without a GPU."""
    if not HAS_CUDA:
        pytest.skip("this processor lacks a CUDA GPU beside it")
