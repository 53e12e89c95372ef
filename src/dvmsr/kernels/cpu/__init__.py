"""The native kernels as PyTorch operators, forward and backward, for float32 on a CPU.

Inputs of lower precision (as under autocast) are computed in float32, but for the ViMM's products, and
results come back in the type of the first input.
"""

from dvmsr.kernels.cpu.causal_conv import causal_conv1d
from dvmsr.kernels.cpu.conv3x3 import conv3x3
from dvmsr.kernels.cpu.scan import selective_scan
from dvmsr.kernels.cpu.vimm import vimm

__all__ = ["causal_conv1d", "conv3x3", "selective_scan", "vimm"]
