"""Every error that dvmsr raises on purpose.

    DvmsrError
    ├── ArgumentError        a value of the wrong kind, shape or range (also a ValueError)
    ├── ImageError
    │   ├── ImageReadError   a file that is missing, empty, damaged or no image
    │   └── ImageWriteError  a target that exists, cannot be written, or a full disk
    ├── VideoError           a video that is missing, damaged, or cannot be read or written
    ├── WeightsError         a file of weights that is missing, damaged or of another network
    ├── DatasetError         a folder of images that does not hold what it should
    ├── ExportError          a network that cannot be written for another runtime
    ├── RequestError         a request to the page that is refused
    └── MissingExtraError    an optional dependency that is not installed (also an ImportError)

Each message is one line that says what was expected, what came and what to do.
The command line prints it and exits with code 2. What can be asked for it calls by its option, and whoever
uses the library gets the name of an argument: see :func:`setting`.
"""

from collections.abc import Iterator
from contextlib import contextmanager

# Of the whole process: a run's threads tell what its command line is told.
_on_command_line = False


class DvmsrError(Exception):
    """Base of all errors that dvmsr raises on purpose."""


class ArgumentError(DvmsrError, ValueError):
    """A value of the wrong kind, shape or range."""


class ImageError(DvmsrError):
    """An image file that cannot be read or written."""


class ImageReadError(ImageError):
    """A file that is missing, empty, damaged or no image."""


class ImageWriteError(ImageError):
    """A target that exists, cannot be written, or a full disk."""


class VideoError(DvmsrError):
    """A video that is missing, damaged, or cannot be read or written."""


class WeightsError(DvmsrError):
    """A file of weights that is missing, damaged or of another network."""


class DatasetError(DvmsrError):
    """A folder of images that does not hold what it should."""


class ExportError(DvmsrError):
    """A network that cannot be written for another runtime."""


class RequestError(DvmsrError):
    """A request to the page (``dvmsr web``) that is refused.

    Args:
        status: The HTTP status of the answer, from 400.
        message: A sentence for whoever asked.
    """

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status
        """The HTTP status of the answer."""


class MissingExtraError(DvmsrError, ImportError):
    """An optional dependency that is not installed.

    Args:
        package: The distribution that is missing, e.g. ``"torch"``.
        extra: The extra of dvmsr that brings it, e.g. ``"train"``.
        purpose: What needs it, as the subject of a sentence.
    """

    def __init__(self, package: str, extra: str, purpose: str) -> None:
        super().__init__(f"{purpose} needs {package}: run pip install '.[{extra}]' in dvmsr's source folder")


@contextmanager
def options_named() -> Iterator[None]:
    """While it lasts, let messages name options of the command line."""
    global _on_command_line
    before, _on_command_line = _on_command_line, True
    try:
        yield
    finally:
        _on_command_line = before


def setting(option: str, argument: str) -> str:
    """Return how whoever reads a message can ask for something.

    Args:
        option: On the command line, such as ``"--overwrite"``.
        argument: In Python, such as ``"overwrite=True"``.
    """
    return option if _on_command_line else argument


def is_lack_of_memory(error: BaseException) -> bool:
    """Return whether an error says that memory does not suffice: PyTorch has no type of its own for it."""
    # Of a CPU's memory, and of a GPU's.
    texts = ("allocate memory", "out of memory")
    return isinstance(error, MemoryError) or (
        isinstance(error, RuntimeError) and any(text in str(error) for text in texts)
    )
