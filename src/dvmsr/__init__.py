"""DVMSR super-resolution: enlarge images with a distilled Vision Mamba network (arXiv 2405.03008).

Importing this imports neither PyTorch nor anything of the web.
"""

from dvmsr.config import STUDENT, TEACHER, NetworkConfig
from dvmsr.errors import (
    ArgumentError,
    DatasetError,
    DvmsrError,
    ImageError,
    ImageReadError,
    ImageWriteError,
    MissingExtraError,
    WeightsError,
)
from dvmsr.inference import Upscaler

__all__ = [
    "STUDENT",
    "TEACHER",
    "ArgumentError",
    "DatasetError",
    "DvmsrError",
    "ImageError",
    "ImageReadError",
    "ImageWriteError",
    "MissingExtraError",
    "NetworkConfig",
    "Upscaler",
    "WeightsError",
]
