"""DVMSR super-resolution: enlarge images with a distilled Vision Mamba network (arXiv 2405.03008).

Importing this imports neither PyTorch nor anything of the web, and NumPy and the native engine only
when something that computes is asked for.
"""

from typing import TYPE_CHECKING

from dvmsr.config import STUDENT, TEACHER, NetworkConfig
from dvmsr.errors import (
    ArgumentError,
    DatasetError,
    DvmsrError,
    ExportError,
    ImageError,
    ImageReadError,
    ImageWriteError,
    MissingExtraError,
    WeightsError,
)

__all__ = [
    "STUDENT",
    "TEACHER",
    "ArgumentError",
    "DatasetError",
    "DvmsrError",
    "ExportError",
    "ImageError",
    "ImageReadError",
    "ImageWriteError",
    "MissingExtraError",
    "NetworkConfig",
    "Upscaler",
    "WeightsError",
    "upscale",
]

# Type checkers see plain imports; at run time they wait until somebody wants one.
if TYPE_CHECKING:
    from dvmsr.inference import Upscaler, upscale
else:

    def __getattr__(name: str) -> object:
        if name not in ("Upscaler", "upscale"):
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        from dvmsr import inference

        value = globals()[name] = getattr(inference, name)
        return value

    def __dir__() -> list[str]:
        return sorted({*globals(), *__all__})
