"""Writing enlarged images: complete under their name, or not at all."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyvips
from numpy.typing import NDArray

from dvmsr.atomic import publish, unfinished_file
from dvmsr.errors import ArgumentError, ImageWriteError
from dvmsr.images.decoding import reason
from dvmsr.images.encoding import DEFAULT_ENCODING, FORMATS, Encoding, EncodingError, encode
from dvmsr.images.metadata.tiff import append_picture
from dvmsr.images.reading import ImageReader
from dvmsr.targets import check_target, exists_error

_FULL_DISK_BYTES = 1 << 20


@dataclass(frozen=True)
class Page:
    """An enlarged image that becomes a page of a file."""

    source: ImageReader
    """The image that was enlarged."""

    blocks: Iterable[NDArray[Any]]
    """Its rows, as of :func:`write_image`."""

    width: int
    """Columns of the enlarged image."""

    height: int
    """Rows of the enlarged image."""


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

    From the source come its greyness, and its metadata as far as the format can hold it; what it cannot is
    added to the source's notes. The orientation is upright. Of an animation come the delays. JPEG and WebP
    have 8 bits, so 16 bits are rounded to them; JPEG has no alpha and gets a white background. PNG and TIFF
    are written without loss, TIFF in tiles of 256x256 and as BigTIFF beyond 4 GB of pixels, JPEG with quality
    95 and full colour resolution, WebP with 95, AVIF with 90, unless ``encoding`` asks otherwise.

    The file has the source's time of change, and appears under its name only when it is complete. Unless it
    may be overwritten, a file that takes the name in the meantime is kept, and writing fails. Whatever goes
    wrong, an error raised by ``blocks`` and Ctrl-C included, nothing is left behind. Memory grows with the
    width and the block only, except for WebP and AVIF, whose encoders hold the whole image.

    Args:
        path: The file to write.
        blocks: (rows, width, 3) arrays of the source's type, (rows, width, 4) where that has alpha; in all
            ``height`` rows, of each frame of an animation after the other. Grey is the mean of the colours.
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
    with new_file(Path(path), source, width, height, overwrite) as partial:
        encode(_checked(blocks, source, width, height), source, width, height, encoding, partial)


def write_pages(
    path: str | os.PathLike[str],
    pages: Sequence[Page],
    *,
    encoding: Encoding = DEFAULT_ENCODING,
    overwrite: bool = False,
) -> None:
    """Write enlarged images as the pages of a TIFF file, each with its own size, kind of pixels and metadata.

    For the rest see :func:`write_image`. Beside the file another is written, of the page in the making.

    Args:
        path: The file to write.
        pages: At least one; their rows are asked for one page after the other.
        encoding: How they are compressed.
        overwrite: Whether a file of that name is replaced. The source itself never is.

    Raises:
        ArgumentError: Blocks are of another shape or type.
        ImageWriteError: As of :func:`write_image`; or the suffix is none of TIFF.
        ImageReadError: The source cannot be read again for its metadata.
    """
    first, path = pages[0], Path(path)
    # Each page by itself might be small enough for a classic TIFF file.
    file_bytes = sum(page.height * page.width * 4 * page.source.dtype.itemsize for page in pages)
    with new_file(path, first.source, first.width, first.height, overwrite) as partial, ExitStack() as stack:
        for page in pages:
            unfinished = partial
            if page is not first:
                unfinished = stack.enter_context(unfinished_file(partial.parent, partial.suffix))
            rows = _checked(page.blocks, page.source, page.width, page.height)
            encode(rows, page.source, page.width, page.height, encoding, unfinished, file_bytes=file_bytes)
            if page is not first:
                append_picture(partial, unfinished)
                stack.close()


@contextmanager
def new_file(path: Path, source: ImageReader, width: int, height: int, overwrite: bool) -> Iterator[Path]:
    """Give the path of an unfinished file, which then appears under its name if nothing went wrong."""
    try:
        check_format(path, width, height)
        check_target(path, ImageWriteError, overwrite=overwrite, source=source.path)
        # Through a symbolic link, not over it.
        target = path.resolve()
    except OSError as error:
        raise ImageWriteError(f"{path}: cannot be written: {error.strerror}") from error
    except RuntimeError as error:  # before Python 3.13
        raise ImageWriteError(f"{path}: a symbolic link that leads to itself; choose another name") from error
    with ExitStack() as stack:
        try:
            partial = stack.enter_context(unfinished_file(target.parent, target.suffix))
        except OSError as error:
            raise ImageWriteError(f"{path}: cannot be written: {error.strerror}") from error
        try:
            yield partial
        except (pyvips.Error, EncodingError) as error:
            raise _encoding_error(path, error) from error
        try:
            # So that a later run sees whether it is of this source, as it is then.
            times = source.path.stat()
            os.utime(partial, ns=(times.st_atime_ns, times.st_mtime_ns))
            publish(partial, target, overwrite=overwrite)
        except FileExistsError as error:
            raise exists_error(path, ImageWriteError) from error
        except OSError as error:
            raise ImageWriteError(f"{path}: cannot be written: {error.strerror}") from error


def check_pictures(path: Path, sources: Sequence[ImageReader]) -> None:
    """Check that the format that a name's suffix chooses can hold so many pages or frames.

    Raises:
        ImageWriteError: It cannot.
    """
    frames = sources[0].frames
    if frames > 1 and not FORMATS[path.suffix.lower()].frames:
        raise ImageWriteError(f"{path}: expected a WebP or GIF file for an animation of {frames} frames")
    if len(sources) > 1 and not FORMATS[path.suffix.lower()].pages:
        raise ImageWriteError(f"{path}: expected a TIFF file for {len(sources)} pages")


def check_format(path: Path, width: int, height: int, encoding: Encoding = DEFAULT_ENCODING) -> None:
    """Check that the format that a name's suffix chooses can hold an enlarged image.

    Args:
        path: The file to write; it is not looked at.
        width: Columns of the enlarged image.
        height: Rows of the enlarged image.
        encoding: How it is to be compressed.

    Raises:
        ImageWriteError: The suffix names no format, or one that cannot hold so large an image or be written
            without loss, or with the quality, as asked.
    """
    file_format = FORMATS.get(path.suffix.lower())
    if file_format is None:
        raise ImageWriteError(
            f"{path}: expected a name that ends in {', '.join(FORMATS)}; got {path.suffix or 'no suffix'}"
        )
    if encoding.lossless and file_format.lossless is None:
        raise ImageWriteError(f"{path}: {file_format.name} loses some detail; write PNG, TIFF, WebP or AVIF")
    if encoding.quality is not None and not file_format.has_quality:
        raise ImageWriteError(
            f"{path}: {file_format.name} has no quality to choose; leave it out, or write JPEG, WebP or AVIF"
        )
    if file_format.largest_side is not None and max(width, height) > file_format.largest_side:
        raise ImageWriteError(
            f"{path}: {file_format.name} holds up to {file_format.largest_side} pixels on a side, "
            f"this image would have {width}x{height}; write a PNG or TIFF file"
        )


def _encoding_error(path: Path, error: Exception) -> ImageWriteError:
    if shutil.disk_usage(path.resolve().parent).free < _FULL_DISK_BYTES:
        return ImageWriteError(f"{path}: cannot be written: the disk is full; free some space on it")
    if "out of memory" in str(error):
        return ImageWriteError(f"{path}: too little memory to write it ({reason(error)}); free some")
    return ImageWriteError(f"{path}: cannot be written ({reason(error)}); check the disk")


def _checked(
    blocks: Iterable[NDArray[Any]], source: ImageReader, width: int, height: int
) -> Iterator[NDArray[Any]]:
    channels = 3 + source.has_alpha
    height *= source.frames
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
