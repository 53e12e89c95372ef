"""Image files as rows of pixels, and MATLAB-style bicubic resizing."""

from dvmsr.images.resize import imresize
from dvmsr.images.suffixes import READABLE_SUFFIXES

try:
    from dvmsr.images.reading import ImageReader, open_image, read_image
    from dvmsr.images.writing import WRITABLE_SUFFIXES, write_image
except (ImportError, OSError):
    # Without libvips a machine cannot upscale files, but it can train.
    from dvmsr.images.pillow_reading import read_image

__all__ = [
    "READABLE_SUFFIXES",
    "WRITABLE_SUFFIXES",
    "ImageReader",
    "imresize",
    "open_image",
    "read_image",
    "write_image",
]
