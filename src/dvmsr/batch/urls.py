"""Images behind URLs, such as ``s3://bucket/photos``: what fsspec and its file systems can reach.

A URL is a ``upath.UPath``, which has pathlib's face; where only names matter, it goes through the same code
as a path. A result appears whole or not at all: object stores show no upload before it is complete, and
elsewhere it is moved to its name. fsspec and its kin are imported when somebody names a URL.
"""

from __future__ import annotations

import os
import re
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import datetime, timezone
from pathlib import Path
from typing import Any, cast

from dvmsr.errors import ArgumentError, ImageReadError, ImageWriteError, MissingExtraError

_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+://")
# An object is there when its upload is complete.
_OBJECT_STORES = ("s3", "s3a", "gs", "gcs", "az", "abfs", "abfss", "adl", "oci", "oss", "r2")


def is_url(path: object) -> bool:
    """Return whether a path of a task is a URL."""
    return not isinstance(path, Path)


def as_path(name: str | os.PathLike[str]) -> Path:
    """Return what was named as a path: of this machine, or a URL with a path's face.

    Raises:
        ArgumentError: fsspec knows no such URL, its package for that is missing, or it cannot be reached.
        MissingExtraError: What an extra brings is not installed: fsspec, upath or s3fs.
    """
    if isinstance(name, Path) or is_a_upath(name):
        return cast(Path, name)
    text = os.fspath(name)
    if not _URL.match(text):
        return Path(text)
    if text.startswith("file://"):
        return Path(text.removeprefix("file://"))
    try:
        from upath import UPath
    except ModuleNotFoundError as error:
        raise MissingExtraError("universal_pathlib", "cluster", text) from error
    try:
        path = UPath(text)
        # Here, rather than in the middle of the work.
        path.fs  # noqa: B018
    except ImportError as error:
        if text.startswith(("s3://", "s3a://")):
            raise MissingExtraError("s3fs", "s3", text) from error
        raise ArgumentError(f"{text}: cannot be reached: {_reason(error)}") from error
    except ValueError as error:
        raise ArgumentError(
            f"{text}: expected a path, or a URL that fsspec knows, such as s3://bucket/photos ({error})"
        ) from error
    except Exception as error:
        # Some connect at once, and each has errors of its own.
        raise ArgumentError(f"{text}: cannot be reached: {_reason(error)}") from error
    return cast(Path, path)


def is_a_upath(name: object) -> bool:
    """Return whether something is a URL as this module makes them."""
    return hasattr(name, "protocol") and hasattr(name, "fs")


def is_folder(path: Path) -> bool:
    """Return whether there is a folder of a name, of this machine or behind a URL.

    Raises:
        ImageReadError: The URL cannot be reached.
    """
    if not is_url(path):
        return path.is_dir()
    with _told(path, ImageReadError):
        return bool(_fs(path).isdir(_key(path)))


def check_bucket(url: Path) -> None:
    """Find out before the work whether the bucket is there that results go to.

    Raises:
        ImageWriteError: There is none.
    """
    bucket, _, _ = _key(url).lstrip("/").partition("/")
    if url.protocol not in _OBJECT_STORES:  # type: ignore[attr-defined]
        return
    try:
        _fs(url).info(bucket)
    except FileNotFoundError as error:
        raise ImageWriteError(f"{url}: there is no bucket {bucket}; create it first") from error
    except Exception:
        # Not everybody who may write into it may ask.
        return


def list_folder(url: Path, *, recursive: bool = True) -> tuple[dict[Path, float], list[Path]]:
    """Find what is behind a URL.

    Args:
        url: A file or a folder; of an object store, what names begin with.
        recursive: Whether the folders in it are gone through as well.

    Returns:
        The files by name, each with its time of change in seconds since 1970: itself, or those in the folder;
        and the folders in it that were not gone through. Both are empty where there is nothing.

    Raises:
        ImageReadError: It cannot be reached.
    """
    from upath import UPath

    fs = _fs(url)
    with _told(url, ImageReadError):
        depth = {} if recursive else {"maxdepth": 1, "withdirs": True}
        found: dict[str, dict[str, Any]] = fs.find(_key(url), detail=True, **depth)
    files: dict[Path, float] = {}
    folders = []
    for name, facts in sorted(found.items()):
        path = cast(Path, UPath(fs.unstrip_protocol(name)))
        if facts["type"] == "file":
            files[path] = _changed(facts)
        elif path != url:
            folders.append(path)
    return files, folders


def first_bytes(url: Path, count: int) -> bytes:
    """Read the beginning of a file.

    Raises:
        ImageReadError: It cannot be reached.
    """
    with _told(url, ImageReadError):
        return bytes(_fs(url).cat_file(_key(url), start=0, end=count))


def changed(url: Path) -> float | None:
    """Return the time of change in seconds since 1970; None where there is no such file.

    Raises:
        ImageReadError: It cannot be reached.
    """
    with _told(url, ImageReadError):
        try:
            return _changed(_fs(url).info(_key(url)))
        except FileNotFoundError:
            return None


def fetch(url: Path, copy: Path) -> None:
    """Copy a file to this machine, with its time of change.

    Raises:
        ImageReadError: It cannot be reached.
    """
    copy.parent.mkdir(parents=True, exist_ok=True)
    with _told(url, ImageReadError):
        fs = _fs(url)
        changed = _changed(fs.info(_key(url)))
        fs.get_file(_key(url), str(copy))
    os.utime(copy, (changed, changed))


def deliver(copy: Path, url: Path) -> None:
    """Copy a file of this machine to a URL, where it appears whole or not at all.

    Raises:
        ImageWriteError: It cannot be written there.
    """
    fs, key = _fs(url), _key(url)
    with _told(url, ImageWriteError):
        if url.protocol in _OBJECT_STORES:  # type: ignore[attr-defined]
            fs.put_file(str(copy), key)
            return
        folder, _, _ = key.rpartition("/")
        fs.makedirs(folder, exist_ok=True)
        unfinished = f"{folder}/.dvmsr-{secrets.token_hex(8)}"
        try:
            fs.put_file(str(copy), unfinished)
            fs.mv(unfinished, key)
        except BaseException:
            with suppress(OSError):
                fs.rm_file(unfinished)
            raise


@contextmanager
def _told(url: Path, error_type: type[ImageReadError] | type[ImageWriteError]) -> Iterator[None]:
    """Tell in one line what a file system raises, whichever it is."""
    try:
        yield
    except FileNotFoundError as error:
        raise error_type(f"{url}: there is no such file, folder or bucket") from error
    except Exception as error:
        # Each file system's libraries have errors of their own, of no common kind.
        raise error_type(f"{url}: cannot be reached: {_reason(error)}") from error


def _reason(error: Exception) -> str:
    return str(error).partition("\n")[0] or type(error).__name__


def _fs(url: Path) -> Any:
    return url.fs  # type: ignore[attr-defined]


def _key(url: Path) -> str:
    return str(url.path)  # type: ignore[attr-defined]


def _changed(facts: dict[str, Any]) -> float:
    """Return the time of change; every file system has a name of its own for it."""
    for name in ("LastModified", "mtime", "last_modified", "updated", "modified", "created"):
        value = facts.get(name)
        if isinstance(value, str):
            value = datetime.fromisoformat(value.replace("Z", "+00:00"))
        if isinstance(value, datetime):
            return (value if value.tzinfo else value.replace(tzinfo=timezone.utc)).timestamp()
        if isinstance(value, (int, float)):
            return float(value)
    return 0.0
