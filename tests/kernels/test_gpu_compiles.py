"""The Triton kernels through the whole compiler, down to machine code, which needs no GPU."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

COMPILER = Path(__file__).with_name("gpu_compiler.py")


@pytest.mark.parametrize(("architecture", "dtype"), [("80", "fp32"), ("90", "bf16")])
def test_every_kernel_compiles(architecture: str, dtype: str, tmp_path: Path) -> None:
    environment = {name: value for name, value in os.environ.items() if name != "TRITON_INTERPRET"}
    environment["TRITON_CACHE_DIR"] = str(tmp_path)
    done = subprocess.run(
        [sys.executable, COMPILER, architecture, dtype],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    kernels = json.loads(done.stdout)
    assert len(kernels) == 9
    assert min(kernel["bytes"] for kernel in kernels) > 1000
    for kernel in kernels:
        # All states of a channel are in one thread's registers: no thread waits for another.
        if kernel["kernel"] in ("chunk_ends", "chunk_gradients", "scan_forward"):
            assert (kernel["shared"], kernel["shuffles"], kernel["barriers"]) == (0, 0, 0), kernel
