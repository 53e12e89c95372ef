"""DVMSR for spandrel, by which chaiNNer, ComfyUI and others load super-resolution networks.

Importing this module registers the architecture; after that ``spandrel.ModelLoader`` knows it::

    import dvmsr.integrations.spandrel
    from spandrel import ModelLoader

    descriptor = ModelLoader().load_from_file("dvmsr_x4.safetensors")

spandrel hands an architecture the tensors of a file and not its metadata. Whether each ViMM has a residual
stands in the metadata alone, so only the weights that dvmsr ships and files of the authors' names can be read
that way; others by :func:`load_from_file`.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

import torch

from dvmsr.errors import MissingExtraError, WeightsError
from dvmsr.model import DVMSR
from dvmsr.weights import Weights, find_shipped, load_weights
from dvmsr.weights.author_names import is_author_file, our_name
from dvmsr.weights.shapes import deduce_config

try:
    from spandrel import (
        MAIN_REGISTRY,
        Architecture,
        ArchSupport,
        ImageModelDescriptor,
        ModelTiling,
        SizeRequirements,
    )
    from spandrel.util import KeyCondition
except ModuleNotFoundError as error:
    if error.name != "spandrel":
        raise
    raise MissingExtraError("spandrel", "spandrel", "dvmsr.integrations.spandrel") from error


def load_from_file(path: str | os.PathLike[str]) -> ImageModelDescriptor[DVMSR]:
    """Load any file of weights that dvmsr reads as spandrel's descriptor.

    Raises:
        WeightsError: The file is missing, damaged or of another network.
    """
    network = DVMSR.from_weights(load_weights(path))
    return _describe(network)


class DVMSRArchitecture(Architecture[DVMSR]):  # type: ignore[misc]  # untyped where it is not installed
    """How spandrel finds out that a file is DVMSR's, and loads it."""

    def __init__(self) -> None:
        super().__init__(
            id="DVMSR",
            detect=KeyCondition.has_any(
                KeyCondition.has_all("shallow.weight", "blocks.0.vimms.0.mamba.A_log", "reconstruct.weight"),
                KeyCondition.has_all(
                    "conv_first.weight", "layers.0.residual_group.blocks.0.mixer.A_log", "upsample.0.weight"
                ),
            ),
        )

    def load(self, state_dict: Mapping[str, Any]) -> ImageModelDescriptor[DVMSR]:
        """Load a state dict of the authors' names, or that of the shipped weights.

        Raises:
            WeightsError: It is another one.
        """
        return _describe(DVMSR.from_weights(_weights_of(state_dict)))


def _weights_of(state_dict: Mapping[str, Any]) -> Weights:
    parameters = {
        our_name(name): tensor.detach().cpu().to(torch.float32).numpy() for name, tensor in state_dict.items()
    }
    config = deduce_config({name: array.shape for name, array in parameters.items()})
    if config is None:
        raise WeightsError("weights of another network: expected those of DVMSR")
    if not is_author_file(state_dict):
        shipped = find_shipped(parameters)
        if shipped is None:
            raise WeightsError(
                "a state dict does not say whether each ViMM has a residual: load the file by"
                " dvmsr.integrations.spandrel.load_from_file"
            )
        config = shipped.config
    return Weights(config, parameters, "a state dict of spandrel's")


def _describe(network: DVMSR) -> ImageModelDescriptor[DVMSR]:
    config = network.config
    return ImageModelDescriptor(
        network,
        # In our names, whatever those of the file are.
        network.state_dict(),
        architecture=_ARCHITECTURE,
        purpose="SR",
        tags=[f"{config.channels}ch", f"{config.blocks}x{config.vimms_per_block} ViMM"],
        # Sums of the 3x3 convolutions go beyond float16 (docs/gpu.md); bfloat16 has float32's range.
        supports_half=False,
        supports_bfloat16=True,
        scale=config.scale,
        input_channels=3,
        output_channels=3,
        size_requirements=SizeRequirements(minimum=1),
        # The scan goes over the whole image, so a tile does not know what lies before it.
        tiling=ModelTiling.DISCOURAGED,
    )


_ARCHITECTURE = DVMSRArchitecture()
MAIN_REGISTRY.add(ArchSupport.from_architecture(_ARCHITECTURE))
