"""Files of weights: reading, checking and writing them, and the ones that dvmsr ships.

The shipped files are ``dvmsr_x2.safetensors``, ``dvmsr_x4.safetensors`` and ``dvmsr_x4_photo.safetensors``;
the card beside each, with the suffix ``.md``, says how it was trained.
"""

from dvmsr.weights.arrays import Weights, check_weights
from dvmsr.weights.files import load_weights, save_weights, shipped_weights
from dvmsr.weights.mixing import SHIPPED_SCALES, find_shipped, load_model, mix_weights
from dvmsr.weights.rescaling import rescale_weights
from dvmsr.weights.shapes import parameter_shapes

__all__ = [
    "SHIPPED_SCALES",
    "Weights",
    "check_weights",
    "find_shipped",
    "load_model",
    "load_weights",
    "mix_weights",
    "parameter_shapes",
    "rescale_weights",
    "save_weights",
    "shipped_weights",
]
