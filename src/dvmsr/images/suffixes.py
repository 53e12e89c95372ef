"""Which files in a folder are taken for images, and which can be written. Needs no libvips."""

READABLE_SUFFIXES = (
    *(".png", ".jpg", ".jpeg", ".jpe", ".jfif", ".tif", ".tiff", ".webp", ".avif", ".gif"),
    # With the extra dvmsr[heic].
    *(".heic", ".heif", ".bmp", ".pbm", ".pgm", ".pnm", ".ppm", ".jp2"),
)
"""Suffixes of the files in a folder that are taken for images. What a file is, its content says."""

WRITABLE_SUFFIXES = (".png", ".jpg", ".jpeg", ".tif", ".tiff", ".webp", ".avif")
"""Suffixes by which a format is chosen to write, in lower case."""
