"""The kernels in Triton, forward and backward, for GPUs.

Inputs are float32, bfloat16 or float16, states and sums float32. Results come back in the type of the
first input. The algorithm is told in docs/gpu.md.
"""

import triton

from dvmsr.errors import DvmsrError

# The kernels keep tuples of values, which older compilers do not know.
if tuple(int(part) for part in triton.__version__.split(".")[:2]) < (3, 3):
    raise DvmsrError(
        f"the GPU kernels need Triton 3.3 or later, got {triton.__version__}: install PyTorch 2.7 or later"
    )

from dvmsr.kernels.gpu.causal_conv import causal_conv1d
from dvmsr.kernels.gpu.scan import selective_scan
from dvmsr.kernels.gpu.vimm import vimm
from dvmsr.kernels.reference import conv3x3

__all__ = ["causal_conv1d", "conv3x3", "selective_scan", "vimm"]
