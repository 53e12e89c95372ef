"""Compiles every Triton kernel for given GPUs, and prints the bytes of machine code.

A process of its own: where kernels are to be interpreted, they cannot be compiled.
"""

from __future__ import annotations

import json
import sys

from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource, compile

from dvmsr.kernels.gpu import conv_kernels, scan_kernels

TILE = {"BLOCK_D": 32, "BLOCK_N": 16, "GROUP": 4, "ALIGN": 4}
CARRY = {"BLOCK_D": 32, "BLOCK_N": 4, "AHEAD": 8}
CONV = {"TAPS": 4, "BLOCK_T": 64, "BLOCK_D": 32}
KERNELS = [
    (scan_kernels.chunk_ends, TILE, 1),
    (scan_kernels.carry, {**CARRY, "REVERSE": False}, 1),
    (scan_kernels.carry, {**CARRY, "REVERSE": True}, 1),
    (scan_kernels.scan_forward, {**TILE, "SAVE": False, "CHECKPOINT": 16}, 1),
    (scan_kernels.scan_forward, {**TILE, "SAVE": True, "CHECKPOINT": 16}, 1),
    (scan_kernels.chunk_gradients, TILE, 1),
    (scan_kernels.scan_backward, {**TILE, "CHECKPOINT": 16}, 1),
    (conv_kernels.conv_forward, CONV, 4),
    (conv_kernels.conv_backward, CONV, 4),
]
# What is float32 in any precision; of the others, the type is that of the inputs.
FLOAT32 = {"A", "D", "delta_bias", "weight", "bias", "ends", "steps", "entering", "starts", "leaving"}
INTEGERS = {"length", "channels", "states", "chunk_length", "chunks"}


def argument_type(name: str, low: str) -> str:
    """Return Triton's name of an argument's type."""
    if name in INTEGERS or name.endswith(("_batch", "_token")):
        return "i32"
    return "*fp32" if name in FLOAT32 or name.startswith(("parts_", "checkpoints")) else f"*{low}"


def main() -> None:
    """Compile for the architectures and the type of inputs that are named."""
    *architectures, low = sys.argv[1:]
    sizes = []
    for architecture in architectures:
        for kernel, constants, warps in KERNELS:
            signature = {
                name: "constexpr" if name in constants else argument_type(name, low)
                for name in kernel.arg_names
            }
            source = ASTSource(fn=kernel, signature=signature, constexprs=constants)
            target = GPUTarget("cuda", int(architecture), 32)
            compiled = compile(source, target=target, options={"num_warps": warps})
            sizes.append(len(compiled.asm["cubin"]))
    print(json.dumps(sizes))


if __name__ == "__main__":
    main()
