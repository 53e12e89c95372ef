"""What a file is by its first bytes. Needs no libvips."""

from __future__ import annotations

SIGNATURE_BYTES = 16
"""How many bytes from a file's start :func:`is_image` looks at."""

_STARTS = (
    b"\x89PNG\r\n\x1a\n",
    b"\xff\xd8\xff",  # JPEG
    b"GIF87a",
    b"GIF89a",
    b"II*\0",  # TIFF, and BigTIFF
    b"MM\0*",
    b"II+\0",
    b"MM\0+",
    b"\xff\x0a",  # JPEG XL, bare and in a box
    b"\0\0\0\x0cJXL \r\n\x87\n",
    b"\0\0\0\x0cjP  \r\n\x87\n",  # JPEG 2000, in a box and bare
    b"\xff\x4f\xff\x51",
    b"qoif",
)
# The major brands of the ISO base media files that hold a picture (ISO/IEC 14496-12, 23008-12): AVIF and
# HEIF.
_BRANDS = (b"avif", b"avis", b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1")
_NETPBM = (b"P1", b"P2", b"P3", b"P4", b"P5", b"P6", b"P7", b"PF", b"Pf")


def is_image(start: bytes) -> bool:
    """Return whether a file begins as image files do, those that cannot be read here included.

    Args:
        start: Its first :data:`SIGNATURE_BYTES` bytes, or all it has.
    """
    if start.startswith(_STARTS):
        return True
    if start[:4] == b"RIFF":
        return start[8:12] == b"WEBP"
    if start[4:8] == b"ftyp":
        return start[8:12] in _BRANDS
    if start[:2] == b"BM":  # BMP: short, so the reserved zeros after the size count as well
        return start[6:10] == bytes(4)
    return start[:2] in _NETPBM and start[2:3].isspace()
