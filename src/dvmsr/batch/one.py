"""Doing one task, wherever its files lie."""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from dvmsr.batch.events import Done, Failed
from dvmsr.batch.plan import FileTask
from dvmsr.batch.urls import changed, deliver, fetch, is_url
from dvmsr.errors import DvmsrError, ImageWriteError, setting
from dvmsr.inference.files import FileOptions, upscale_file

if TYPE_CHECKING:
    from dvmsr.engine import Profile
    from dvmsr.inference.upscaler import Upscaler


def do_task(
    upscaler: Upscaler,
    task: FileTask,
    options: FileOptions,
    *,
    progress: Callable[[int, int], object] | None = None,
    profile: bool = False,
    hashes: bool = False,
) -> Done | Failed:
    """Enlarge one image of a plan. What is behind a URL goes through a temporary file on this machine.

    Args:
        upscaler: The network.
        task: The image.
        options: How it is enlarged.
        progress: Called with the number of finished pixels of the source, and of all; what it raises passes.
        profile: Whether to count where the engine's time goes.
        hashes: Whether to take the SHA-256 of the files.

    Returns:
        What became of it; nothing half is left.
    """
    try:
        if progress is not None:
            progress(0, 0)
        if is_url(task.source) or is_url(task.target):
            return _through_copies(upscaler, task, options, progress, profile, hashes)
        return _enlarge(upscaler, task, task.source, task.target, options, progress, profile, hashes)
    except (DvmsrError, OSError) as error:
        return Failed(task, error)
    except MemoryError as error:
        # The next image may be smaller.
        lack = DvmsrError(f"{task.source}: not enough memory to enlarge it; free some")
        lack.__cause__ = error
        return Failed(task, lack)


def _enlarge(
    upscaler: Upscaler,
    task: FileTask,
    source: Path,
    target: Path,
    options: FileOptions,
    progress: Callable[[int, int], object] | None,
    profile: bool,
    hashes: bool,
) -> Done:
    profiles: list[Profile] = []
    file = upscale_file(
        upscaler,
        source,
        target,
        options,
        progress=progress,
        on_profile=profiles.append if profile else None,
    )
    digests = (_sha256(source), _sha256(target)) if hashes else (None, None)
    return Done(task, file, profiles[-1] if profiles else None, *digests)


def _through_copies(
    upscaler: Upscaler,
    task: FileTask,
    options: FileOptions,
    progress: Callable[[int, int], object] | None,
    profile: bool,
    hashes: bool,
) -> Done:
    with tempfile.TemporaryDirectory(prefix="dvmsr-") as name:
        source, target = task.source, task.target
        if is_url(task.source):
            source = Path(name) / "in" / task.source.name
            fetch(task.source, source)
        if is_url(task.target):
            target = Path(name) / "out" / task.target.name
        try:
            done = _enlarge(upscaler, task, source, target, options, progress, profile, hashes)
            comparison = done.file.comparison
            if is_url(task.target):
                results = {target: task.target}
                if comparison is not None:
                    results[comparison] = comparison = task.target.with_name(comparison.name)
                for copy, url in results.items():
                    if not options.overwrite and changed(url) is not None:
                        raise ImageWriteError(
                            f"{url}: exists already; choose another name, or have it replaced "
                            f"({setting('--overwrite', 'overwrite=True')})"
                        )
                    deliver(copy, url)
        except DvmsrError as error:
            # The copies are nothing that anybody has heard of.
            raise renamed(error, {source: task.source, target: task.target}) from error
        file = replace(done.file, source=task.source, target=task.target, comparison=comparison)
        return replace(done, file=file)


def renamed(error: DvmsrError, names: Mapping[Path, Path]) -> DvmsrError:
    """Return an error that names files otherwise.

    Args:
        error: Any; of those that are not made of a text alone, the text is all that is kept.
        names: What its text calls files, and what it shall.
    """
    text = str(error)
    for before, after in names.items():
        text = text.replace(str(before), str(after))
    try:
        return type(error)(text)
    except TypeError:
        return DvmsrError(text)


def _sha256(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while part := file.read(1 << 20):
            digest.update(part)
    return digest.hexdigest()
