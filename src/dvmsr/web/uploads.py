"""Taking in a picture's file."""

from __future__ import annotations

import shutil
from collections.abc import AsyncIterator

from anyio import fail_after, open_file, to_thread

from dvmsr.errors import DvmsrError, RequestError
from dvmsr.images import open_image
from dvmsr.web.limits import Limits
from dvmsr.web.pictures import Picture, safe_name
from dvmsr.web.sessions import Session, Sessions, mebi

# So long an upload may send nothing.
_SILENT_SECONDS = 60.0
# So much comes between two looks at the room that is left: other uploads come at the same time.
_BYTES_BETWEEN_LOOKS = 8 << 20


async def take_in(
    sessions: Sessions,
    session: Session,
    limits: Limits,
    *,
    name: str,
    announced: int | None,
    chunks: AsyncIterator[bytes],
) -> Picture:
    """Store a file as it comes, and look whether it is a picture.

    Args:
        sessions: All sessions.
        session: Whose it is.
        limits: How large it may be.
        name: What it is called.
        announced: How many bytes it has, where that is said before.
        chunks: Its bytes.

    Returns:
        The picture, which belongs to the session now.

    Raises:
        RequestError: It is too large, no picture, or there is no room for it; or its bytes do not come.
            Nothing of it is kept.
    """
    picture = Picture(session, safe_name(name))
    sessions.check_count(session)
    room = await to_thread.run_sync(sessions.room, session)
    try:
        _check_bytes(picture, announced or 0, limits, room)
        picture.source.parent.mkdir(parents=True)
        count = looked = 0
        async with await open_file(picture.source, "xb") as file:
            async for chunk in _in_time(picture, chunks):
                count += len(chunk)
                _check_bytes(picture, count, limits, room)
                await file.write(chunk)
                if count - looked >= _BYTES_BETWEEN_LOOKS:
                    looked, room = count, count + await to_thread.run_sync(sessions.room, session)
        _check_bytes(picture, count, limits, count + await to_thread.run_sync(sessions.room, session))
        await to_thread.run_sync(_look_at, picture, limits)
        sessions.add(picture)
    except BaseException:
        shutil.rmtree(picture.folder, ignore_errors=True)
        raise
    return picture


async def _in_time(picture: Picture, chunks: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """Give what comes, unless nothing does, or the session has ended meanwhile."""
    while True:
        try:
            with fail_after(_SILENT_SECONDS):
                chunk = await anext(chunks)
        except StopAsyncIteration:
            return
        except TimeoutError:
            raise RequestError(
                408,
                f"nothing more of {picture.name} came for {_SILENT_SECONDS:g} seconds; send it again",
            ) from None
        if picture.session.closed:
            raise RequestError(410, "the pictures on this page were removed meanwhile; add it again")
        yield chunk


def _check_bytes(picture: Picture, count: int, limits: Limits, room: int) -> None:
    if count > limits.file_bytes:
        raise RequestError(
            413,
            f"{picture.name} is larger than the {mebi(limits.file_bytes)} MiB that a file may have here; "
            "take a smaller file",
        )
    if count > room:
        raise RequestError(
            507,
            f"there is no room for {picture.name} any more; download what is done, and remove it",
        )


def _look_at(picture: Picture, limits: Limits) -> None:
    try:
        # The pixels have a sentence of their own.
        reader = open_image(picture.source, max_pixels=1 << 62)
    except DvmsrError as error:
        raise RequestError(422, picture.tell(error)) from error
    if reader.width * reader.height > limits.pixels:
        raise RequestError(
            422,
            f"{picture.name} has {reader.width}x{reader.height} pixels, and a picture may have "
            f"{limits.pixels / 1e6:g} million here; make it smaller first",
        )
    picture.width, picture.height = reader.width, reader.height
    picture.has_alpha, picture.has_more = reader.has_alpha, reader.has_more
