"""Compiles every Triton kernel as a launch would, and prints what is in the machine code.

A process of its own: where kernels are to be interpreted, they cannot be compiled.
"""

from __future__ import annotations

import json
import re
import sys

from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource, compile

from dvmsr.kernels.gpu import conv_kernels, scan_kernels

TILE = {"BLOCK_D": 32, "BLOCK_N": 16, "GROUP": 4, "ALIGN": 4}
CARRY = {"BLOCK_D": 32, "AHEAD": 32}
CONV = {"TAPS": 4, "BLOCK_T": 32, "BLOCK_D": 32}
KERNELS = [
    (scan_kernels.chunk_ends, TILE, 1),
    (scan_kernels.carry, {**CARRY, "REVERSE": False}, 1),
    (scan_kernels.carry, {**CARRY, "REVERSE": True}, 1),
    (scan_kernels.scan_forward, {**TILE, "SAVE": False, "CHECKPOINT": 16}, 1),
    (scan_kernels.scan_forward, {**TILE, "SAVE": True, "CHECKPOINT": 16}, 1),
    (scan_kernels.chunk_gradients, TILE, 1),
    (scan_kernels.scan_backward, {**TILE, "CHECKPOINT": 16, "UNIT": 8}, 1),
    (conv_kernels.conv_forward, CONV, 4),
    (conv_kernels.conv_backward, CONV, 4),
]
# What is float32 in any precision; of the others, the type is that of the inputs.
FLOAT32 = {"A", "D", "delta_bias", "weight", "bias", "ends", "steps", "entering", "starts", "leaving"}
INTEGERS = {"length", "channels", "states", "chunk_length", "chunks"}
# Those that are multiples of 16 in the student's launches; of pointers all are. Triton compiles for that.
DIVISIBLE = {"length", "states", "chunk_length", "u_batch", "delta_batch", "B_batch", "C_batch", "x_batch"}
DIVISIBLE |= {"z_batch", "z_token", "x_token"}


def argument_type(name: str, low: str) -> str:
    """Return Triton's name of an argument's type."""
    if name in INTEGERS or name.endswith(("_batch", "_token")):
        return "i32"
    return "*fp32" if name in FLOAT32 or name.startswith(("parts_", "checkpoints")) else f"*{low}"


def main() -> None:
    """Compile for the architecture and the type of inputs that are named."""
    architecture, low = sys.argv[1:]
    found = []
    for kernel, constants, warps in KERNELS:
        names = kernel.arg_names
        types = {name: "constexpr" if name in constants else argument_type(name, low) for name in names}
        divisible = {
            (i,): [["tt.divisibility", 16]]
            for i, name in enumerate(names)
            if name in DIVISIBLE or types[name].startswith("*")
        }
        source = ASTSource(fn=kernel, signature=types, constexprs=constants, attrs=divisible)
        target = GPUTarget("cuda", int(architecture), 32)
        compiled = compile(source, target=target, options={"num_warps": warps})
        code = compiled.asm["ptx"]
        found.append(
            {
                "kernel": kernel.__name__,
                "bytes": len(compiled.asm["cubin"]),
                "shared": compiled.metadata.shared,
                "shuffles": len(re.findall(r"\bshfl\.", code)),
                "barriers": len(re.findall(r"\bbar\.", code)),
            }
        )
    print(json.dumps(found))


if __name__ == "__main__":
    main()
