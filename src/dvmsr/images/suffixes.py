"""Which files in a folder are taken for images, and which can be written. Needs no libvips."""

READABLE_SUFFIXES = (
    *(".png", ".jpg", ".jpeg", ".jpe", ".jfif", ".tif", ".tiff", ".webp", ".avif", ".gif"),
    # With the extra dvmsr[heic].
    *(".heic", ".heif", ".bmp", ".pbm", ".pgm", ".pnm", ".ppm", ".jp2"),
)
"""Suffixes of the files in a folder that are taken for images. What a file is, its content says."""

WRITABLE_SUFFIXES = (".png", ".jpg", ".jpeg", ".tif", ".tiff", ".webp", ".avif", ".gif")
"""Suffixes by which a format is chosen to write, in lower case."""

RAW_SUFFIXES = (
    *(".3fr", ".arw", ".cr2", ".cr3", ".dng", ".erf", ".iiq", ".kdc", ".mrw", ".nef", ".nrw", ".orf", ".pef"),
    *(".raf", ".rw2", ".rwl", ".sr2", ".srw", ".x3f"),
)
"""Suffixes of what cameras record, in lower case. The content is mostly that of a TIFF file, whose picture is
a thumbnail."""

RAW_ADVICE = "raw data of a camera: develop it first, for instance to TIFF"
"""What to say of such a file."""
