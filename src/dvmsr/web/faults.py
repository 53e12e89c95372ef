"""What goes wrong unforeseen in a request: a sentence for whoever asked, a line for the owner."""

from __future__ import annotations

import errno
import sys
import traceback

from starlette.responses import JSONResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


class Faults:
    """Answers where the page fails.

    Args:
        app: The page.
        debug: Whether the traceback is told as well, on standard error.
    """

    def __init__(self, app: ASGIApp, *, debug: bool = False) -> None:
        self._app = app
        self._debug = debug

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        begun = False

        async def noticing(message: Message) -> None:
            nonlocal begun
            begun = True
            await send(message)

        try:
            await self._app(scope, receive, noticing)
        except Exception as error:
            self._tell_owner(scope, error)
            # Of an answer that has begun the connection is closed, so that it is not taken for whole.
            if not begun:
                await _answer(error)(scope, receive, send)

    def _tell_owner(self, scope: Scope, error: Exception) -> None:
        if self._debug:
            traceback.print_exc(file=sys.stderr)
        what = f"{type(error).__name__}: {error}".partition("\n")[0][:200]
        print(f"dvmsr: error: {scope['method']} {scope['path'][:80]!a}: {what}", file=sys.stderr)


def _answer(error: Exception) -> Response:
    if isinstance(error, OSError) and error.errno in _FULL:
        sentence = "the disk is full; download what is done and remove it, or free some space"
        return JSONResponse({"error": sentence}, 507)
    sentence = f"something went wrong inside ({type(error).__name__}); see where the page was started"
    return JSONResponse({"error": sentence}, 500)
