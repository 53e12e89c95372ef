"""The names and shapes of the network's parameters, without PyTorch.

The names are those of ``dvmsr.model.DVMSR``; a test holds the two together.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

from dvmsr.config import NetworkConfig

Shape = tuple[int, ...]


def parameter_shapes(config: NetworkConfig) -> dict[str, Shape]:
    """Return the shape of every parameter of the network, in the order of its layers."""
    width, inner = config.channels, config.inner_channels
    shapes: dict[str, Shape] = {}

    def add(name: str, weight: Shape, *, bias: bool = True) -> None:
        shapes[f"{name}.weight"] = weight
        if bias:
            shapes[f"{name}.bias"] = weight[:1]

    add("shallow", (width, 3, 3, 3))
    add("token_norm", (width,))
    for block in range(config.blocks):
        for vimm in range(config.vimms_per_block):
            prefix = f"blocks.{block}.vimms.{vimm}"
            add(f"{prefix}.norm", (width,))
            shapes[f"{prefix}.mamba.A_log"] = (inner, config.state_size)
            shapes[f"{prefix}.mamba.D"] = (inner,)
            add(f"{prefix}.mamba.in_proj", (2 * inner, width), bias=False)
            add(f"{prefix}.mamba.conv1d", (inner, 1, config.conv_width))
            add(f"{prefix}.mamba.x_proj", (config.dt_rank + 2 * config.state_size, inner), bias=False)
            add(f"{prefix}.mamba.dt_proj", (inner, config.dt_rank))
            add(f"{prefix}.mamba.out_proj", (width, inner), bias=False)
        add(f"blocks.{block}.conv", (width, width, 3, 3))
    add("deep_norm", (width,))
    add("deep", (width, width, 3, 3))
    add("reconstruct", (3 * config.scale**2, width, 3, 3))
    return shapes


def deduce_config(shapes: Mapping[str, Shape]) -> NetworkConfig | None:
    """Return the configuration that these shapes suggest, or None where they suggest none.

    ``vimm_residual`` leaves no trace in the shapes; it comes back as in the released weights, off.
    The result still has to be checked against ``parameter_shapes``.
    """
    first = "blocks.0.vimms.0.mamba"
    # Different indices are counted, so that a single parameter that is missing hides no block.
    blocks = {name.split(".")[1] for name in shapes if name.startswith("blocks.")}
    vimms = {name.split(".")[3] for name in shapes if name.startswith("blocks.0.vimms.")}
    try:
        width = shapes["shallow.weight"][0]
        inner, state_size = shapes[f"{first}.A_log"]
        return NetworkConfig(
            scale=math.isqrt(shapes["reconstruct.weight"][0] // 3),
            channels=width,
            blocks=len(blocks),
            vimms_per_block=len(vimms),
            state_size=state_size,
            expansion=inner // width,
            conv_width=shapes[f"{first}.conv1d.weight"][-1],
        )
    except (KeyError, IndexError, ValueError, ZeroDivisionError):
        return None


def mismatches(got: Mapping[str, Shape], want: Mapping[str, Shape]) -> list[str]:
    """Say, a phrase each, which names are missing, unexpected or of another shape."""
    found = [f"{name} is missing" for name in want if name not in got]
    found += [f"{name} is unexpected" for name in got if name not in want]
    found += [
        f"{name} is {'x'.join(map(str, got[name]))}, expected {'x'.join(map(str, shape))}"
        for name, shape in want.items()
        if name in got and got[name] != shape
    ]
    return found
