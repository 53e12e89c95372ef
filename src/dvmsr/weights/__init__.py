"""Files of weights: reading, checking and writing them, and the ones that dvmsr ships.

The shipped file is ``dvmsr_x4.safetensors``; its card, ``dvmsr_x4.md``, says how it was trained.
"""

from dvmsr.weights.arrays import Weights, check_weights
from dvmsr.weights.files import load_weights, save_weights, shipped_weights
from dvmsr.weights.rescaling import rescale_weights
from dvmsr.weights.shapes import parameter_shapes

__all__ = [
    "Weights",
    "check_weights",
    "load_weights",
    "parameter_shapes",
    "rescale_weights",
    "save_weights",
    "shipped_weights",
]
