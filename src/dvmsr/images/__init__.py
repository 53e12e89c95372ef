"""Image files as rows of pixels, and MATLAB-style bicubic resizing."""

from typing import TYPE_CHECKING

from dvmsr.images.resize import imresize, make_pair
from dvmsr.images.suffixes import WRITABLE_SUFFIXES
from dvmsr.images.transparency import neighbourhoods, spread_colours

__all__ = [
    "WRITABLE_SUFFIXES",
    "Encoding",
    "ImageReader",
    "Page",
    "Tiles",
    "check_comparison",
    "check_format",
    "check_pictures",
    "comparison_path",
    "comparison_size",
    "encoding_bytes",
    "imresize",
    "make_pair",
    "neighbourhoods",
    "open_image",
    "open_pictures",
    "read_image",
    "spread_colours",
    "write_comparison",
    "write_image",
    "write_pages",
    "write_thumbnail",
    "write_tiles",
]

try:
    import pyvips as _pyvips  # noqa: F401 - whether it can be loaded

    _cause: BaseException | None = None
except (ImportError, OSError) as _error:
    _cause = _error

if TYPE_CHECKING or _cause is None:
    from dvmsr.images.comparison import (
        check_comparison,
        comparison_path,
        comparison_size,
        write_comparison,
    )
    from dvmsr.images.encoding import Encoding, encoding_bytes
    from dvmsr.images.reading import ImageReader, open_image, open_pictures, read_image
    from dvmsr.images.tiles import Tiles, write_thumbnail, write_tiles
    from dvmsr.images.writing import Page, check_format, check_pictures, write_image, write_pages
else:
    # Without libvips a machine cannot upscale files, but it can train.
    from dvmsr.errors import ImageError
    from dvmsr.images.pillow_reading import read_image

    def __getattr__(name: str) -> object:
        if name not in __all__:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        reason = " ".join(str(_cause).split())
        raise ImageError(
            f"reading and writing image files needs libvips, which cannot be loaded ({reason}); "
            "run pip install 'pyvips[binary]'"
        ) from _cause
