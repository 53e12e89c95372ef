"""Writing enlarged images: complete under their name, or not at all."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
import pyvips
from numpy.typing import NDArray

from dvmsr.atomic import unfinished_file
from dvmsr.errors import ArgumentError, ImageWriteError
from dvmsr.images.decoding import reason
from dvmsr.images.encoding import DEFAULT_ENCODING, FORMATS, Encoding, EncodingError, encode_stream
from dvmsr.images.reading import ImageReader

_FULL_DISK_BYTES = 1 << 20


def write_image(
    path: str | os.PathLike[str],
    blocks: Iterable[NDArray[Any]],
    *,
    source: ImageReader,
    width: int,
    height: int,
    encoding: Encoding = DEFAULT_ENCODING,
    overwrite: bool = False,
) -> None:
    """Write an enlarged image while its rows arrive, in the format that the suffix names.

    From the source come its greyness, ICC profile,
    EXIF, XMP, IPTC and resolution, as far as libvips can write them to the format; the orientation is
    upright. JPEG and WebP have 8 bits, so 16 bits are rounded to them; JPEG has no alpha and gets a white
    background. PNG and TIFF are written without loss, TIFF in tiles of 256x256 and as BigTIFF beyond 4 GB
    of pixels, JPEG with quality 95 and full colour resolution, WebP with 95, AVIF with 90, unless
    ``encoding`` asks otherwise.

    The file has the source's time of change, and appears under its name only when it is complete. Unless it
    may be overwritten, a file that takes the name in the meantime is kept, and writing fails. Whatever goes
    wrong, an error raised by ``blocks`` and Ctrl-C included, nothing is left behind. Memory grows with the
    width and the block only, except for WebP and AVIF, whose encoders hold the whole image.

    Args:
        path: The file to write.
        blocks: (rows, width, 3) arrays of the source's type, (rows, width, 4) where that has alpha; in all
            ``height`` rows. Grey is the mean of the colours.
        source: The image that was enlarged.
        width: Columns of the enlarged image.
        height: Rows of the enlarged image.
        encoding: How it is compressed.
        overwrite: Whether a file of that name is replaced. The source itself never is.

    Raises:
        ArgumentError: The blocks are of another shape or type.
        ImageWriteError: The target exists, has a suffix or size that cannot be written, is in a folder that
            is missing or read-only, or the disk is full.
        ImageReadError: The source cannot be read again for its metadata.
    """
    path = Path(path)
    try:
        _check_target(path, source, width, height, overwrite)
        # Through a symbolic link, not over it.
        target = path.resolve()
    except OSError as error:
        raise ImageWriteError(f"{path}: cannot be written: {error.strerror}") from error
    rows = _checked(blocks, source, width, height)
    with ExitStack() as stack:
        try:
            partial = stack.enter_context(unfinished_file(target.parent, target.suffix))
        except OSError as error:
            raise ImageWriteError(f"{path}: cannot be written: {error.strerror}") from error
        try:
            encode_stream(rows, source, width, height, encoding, partial)
        except (pyvips.Error, EncodingError) as error:
            raise _encoding_error(path, error) from error
        try:
            # So that a later run sees whether it is of this source, as it is then.
            times = source.path.stat()
            os.utime(partial, ns=(times.st_atime_ns, times.st_mtime_ns))
            _publish(partial, target, overwrite)
        except FileExistsError as error:
            raise _exists(path) from error
        except OSError as error:
            raise ImageWriteError(f"{path}: cannot be written: {error.strerror}") from error


def _publish(partial: Path, target: Path, overwrite: bool) -> None:
    if not overwrite:
        try:
            # Unlike renaming, fails where the target has come to exist.
            os.link(partial, target)
            return
        except FileExistsError:
            raise
        except OSError as error:
            # A file system without hard links: whoever takes the name between these two lines loses it.
            if target.exists():
                raise FileExistsError(target) from error
    partial.replace(target)


def _exists(path: Path) -> ImageWriteError:
    return ImageWriteError(
        f"{path}: exists already; choose another name or ask for overwriting (--overwrite)"
    )


def check_format(path: Path, width: int, height: int, encoding: Encoding = DEFAULT_ENCODING) -> None:
    """Check that the format that a name's suffix chooses can hold an enlarged image.

    Args:
        path: The file to write; it is not looked at.
        width: Columns of the enlarged image.
        height: Rows of the enlarged image.
        encoding: How it is to be compressed.

    Raises:
        ImageWriteError: The suffix names no format, or one that cannot hold so large an image or be written
            without loss as asked.
    """
    file_format = FORMATS.get(path.suffix.lower())
    if file_format is None:
        raise ImageWriteError(
            f"{path}: expected a name that ends in {', '.join(FORMATS)}; got {path.suffix or 'no suffix'}"
        )
    if encoding.lossless and file_format.lossless is None:
        raise ImageWriteError(f"{path}: {file_format.name} loses some detail; write PNG, TIFF, WebP or AVIF")
    if file_format.largest_side is not None and max(width, height) > file_format.largest_side:
        raise ImageWriteError(
            f"{path}: {file_format.name} holds up to {file_format.largest_side} pixels on a side, "
            f"this image would have {width}x{height}; write a PNG or TIFF file"
        )


def _check_target(path: Path, source: ImageReader, width: int, height: int, overwrite: bool) -> None:
    """Find out what would stop the writing before hours of work."""
    check_format(path, width, height)
    if path.exists():
        if path.samefile(source.path):
            raise ImageWriteError(f"{path}: is the input file itself; choose another name")
        if not path.is_file():
            raise ImageWriteError(f"{path}: is no regular file; choose another name")
        if not overwrite:
            raise _exists(path)
    folder = path.resolve().parent
    if not folder.is_dir():
        raise ImageWriteError(f"{path}: there is no folder {folder}; create it first")
    if not os.access(folder, os.W_OK | os.X_OK):
        raise ImageWriteError(f"{path}: the folder {folder} cannot be written to; choose another")


def _encoding_error(path: Path, error: Exception) -> ImageWriteError:
    if shutil.disk_usage(path.resolve().parent).free < _FULL_DISK_BYTES:
        return ImageWriteError(f"{path}: cannot be written: the disk is full; free some space on it")
    return ImageWriteError(f"{path}: cannot be written ({reason(error)}); check the disk")


def _checked(
    blocks: Iterable[NDArray[Any]], source: ImageReader, width: int, height: int
) -> Iterator[NDArray[Any]]:
    channels = 3 + source.has_alpha
    missing = height
    for block in blocks:
        missing -= len(block)
        if block.shape[1:] != (width, channels) or block.dtype != source.dtype or missing < 0:
            raise ArgumentError(
                f"blocks must be (rows, {width}, {channels}) of {source.dtype} with {height} rows in all, "
                f"got {block.shape} of {block.dtype} with {missing + len(block)} rows to go"
            )
        yield _grey(block) if source.grey else block
    if missing:
        raise ArgumentError(f"blocks must have {height} rows in all, got {height - missing}")


def _grey(block: NDArray[Any]) -> NDArray[Any]:
    """Replace the three colours by their rounded mean: (rows, W, 3) to (rows, W, 1), with alpha 4 to 2."""
    total = block[..., :3].sum(axis=2, dtype=np.uint32, keepdims=True)
    mean: NDArray[Any] = ((total + 1) // 3).astype(block.dtype)
    return np.concatenate([mean, block[..., 3:]], axis=2)
