"""Finding the images behind a URL, by the same rules as in a folder (``find_sources``)."""

from __future__ import annotations

from pathlib import Path

from dvmsr.batch.sources import (
    HIDDEN,
    NO_IMAGE,
    OUTPUT_FOLDER,
    RAW,
    SUBFOLDER,
    Found,
    PassedOver,
    Source,
)
from dvmsr.batch.urls import changed, first_bytes, list_folder
from dvmsr.errors import ImageReadError
from dvmsr.images.signatures import SIGNATURE_BYTES, is_image
from dvmsr.images.suffixes import RAW_SUFFIXES, READABLE_SUFFIXES


def find_url_sources(
    url: Path, *, recursive: bool, output_folder: Path | None, times: dict[Path, float]
) -> Found:
    """Find the images behind a URL.

    Args:
        url: A file or a folder.
        recursive: Whether the folders in a folder are gone through as well.
        output_folder: A folder that is not gone into, as the results go there.
        times: Gets the time of change of each file, in seconds since 1970.

    Raises:
        ImageReadError: It cannot be reached, or there is nothing of this name.
    """
    files, folders = list_folder(url, recursive=recursive)
    if not files and not folders and changed(url) is None:
        raise ImageReadError(f"{url}: there is no such file, folder or bucket")
    times.update(files)
    if list(files) == [url]:
        return Found([Source(url)])
    found = Found()
    results = None if output_folder is None else str(output_folder).rstrip("/") + "/"
    if results is not None and any(str(path).startswith(results) for path in files):
        found.passed_over.append(PassedOver(Path(results), OUTPUT_FOLDER))
    for path in folders:
        found.passed_over.append(PassedOver(path, SUBFOLDER))
    for path in files:
        if results is not None and str(path).startswith(results):
            continue
        suffix = path.suffix.lower()
        if any(part.startswith(".") for part in path.relative_to(url).parts):
            found.passed_over.append(PassedOver(path, HIDDEN))
        elif suffix in RAW_SUFFIXES:
            found.passed_over.append(PassedOver(path, RAW))
        elif suffix in READABLE_SUFFIXES or is_image(first_bytes(path, SIGNATURE_BYTES)):
            found.sources.append(Source(path, url))
        else:
            found.passed_over.append(PassedOver(path, NO_IMAGE))
    return found
