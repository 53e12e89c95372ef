"""Tests of ``dvmsr.integrations.spandrel``, run by an interpreter that has spandrel and torchvision.

They cannot be installed beside the CPU build of PyTorch that the other tests use, so this is a program of its
own::

    python -m venv spandrel-env
    spandrel-env/bin/pip install torch torchvision spandrel .
    spandrel-env/bin/python tests/integrations/spandrel_program.py

``.ci/run`` runs it where DVMSR_SPANDREL_PYTHON names such an interpreter.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import numpy as np
import torch
from spandrel import ImageModelDescriptor, ModelLoader

import dvmsr.integrations.spandrel as integration
from dvmsr import NetworkConfig, WeightsError
from dvmsr.model import DVMSR
from dvmsr.weights import load_weights, save_weights, shipped_weights

SHARED = Path(__file__).resolve().parents[3] / "shared" / "weights"


def check_descriptor(descriptor: ImageModelDescriptor[DVMSR], path: Path) -> None:
    assert isinstance(descriptor.model, DVMSR)
    assert (descriptor.architecture.id, descriptor.purpose, descriptor.scale) == ("DVMSR", "SR", 4)
    assert (descriptor.input_channels, descriptor.output_channels) == (3, 3)
    assert (descriptor.supports_half, descriptor.supports_bfloat16) == (False, True)
    image = torch.from_numpy(np.random.default_rng(0).random((1, 3, 13, 9), np.float32))
    network = DVMSR.from_weights(load_weights(path)).eval()
    with torch.no_grad():
        expected = network(image).clamp(0, 1)
        output = descriptor(image)
    difference = (output - expected).abs().max().item()
    print(f"{path.name}: differs from the model by up to {difference:.1e}")
    assert difference == 0


def test_loader() -> None:
    files = [shipped_weights(), *sorted(SHARED.glob("dvmsr-x4-author-*"))]
    for file in files:
        if file.suffix in (".safetensors", ".pth"):
            check_descriptor(ModelLoader().load_from_file(file), file)
    print(f"{len(files)} files loaded by ModelLoader")


def test_weights_without_a_trace_are_refused() -> None:
    weights = load_weights()
    changed = {name: array * np.float32(0.5) for name, array in weights.parameters.items()}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "own.safetensors")
        save_weights(path, changed, weights.config)
        refusal = ""
        try:
            ModelLoader().load_from_file(path)
        except WeightsError as error:
            refusal = str(error)
        assert "load_from_file" in refusal, "a network was guessed"
        descriptor = integration.load_from_file(path)
        assert descriptor.model.config == weights.config == NetworkConfig(vimm_residual=True)
    print("weights that do not say themselves are refused, and loaded by load_from_file")


if __name__ == "__main__":
    tests = [test_loader, test_weights_without_a_trace_are_refused]
    for test in tests:
        test()
    print(f"{len(tests)} passed, 0 failed")
    sys.exit(0)
