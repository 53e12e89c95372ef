"""Image files as rows of pixels, and MATLAB-style bicubic resizing."""

from dvmsr.images.reading import READABLE_SUFFIXES, ImageReader, open_image, read_image
from dvmsr.images.resize import imresize
from dvmsr.images.writing import WRITABLE_SUFFIXES, write_image

__all__ = [
    "READABLE_SUFFIXES",
    "WRITABLE_SUFFIXES",
    "ImageReader",
    "imresize",
    "open_image",
    "read_image",
    "write_image",
]
