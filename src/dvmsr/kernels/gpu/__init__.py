"""The kernels in Triton, forward and backward, for GPUs.

Inputs are float32, bfloat16 or float16, states and sums float32. Results come back in the type of the
first input. The algorithm is told in docs/gpu.md.
"""

from dvmsr.kernels.gpu.causal_conv import causal_conv1d
from dvmsr.kernels.gpu.scan import selective_scan

__all__ = ["causal_conv1d", "selective_scan"]
