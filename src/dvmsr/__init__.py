"""DVMSR super-resolution: enlarge images with a distilled Vision Mamba network (arXiv 2405.03008).

Importing this imports neither PyTorch nor anything of the web, and NumPy and the native engine only
when something that computes is asked for.
"""

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
    "VideoError",
    "WeightsError",
    "upscale",
    "upscale_files",
]

# Type checkers see plain imports; at run time each waits until somebody wants it. A command has to have begun
# to listen for signals before it imports anything that takes time.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from dvmsr.batch import upscale_files
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
        VideoError,
        WeightsError,
    )
    from dvmsr.inference import Upscaler, upscale
else:
    _ROOMS = {
        "config": ("STUDENT", "TEACHER", "NetworkConfig"),
        "inference": ("Upscaler", "upscale"),
        "batch": ("upscale_files",),
    }
    _ROOM_OF = {name: room for room, names in _ROOMS.items() for name in names}

    def __getattr__(name: str) -> object:
        if name not in __all__:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        from importlib import import_module

        room = import_module(f"dvmsr.{_ROOM_OF.get(name, 'errors')}")
        value = globals()[name] = getattr(room, name)
        return value

    def __dir__() -> list[str]:
        return sorted({*globals(), *__all__})
