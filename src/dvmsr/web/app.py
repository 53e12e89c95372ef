"""The page and its API as an ASGI application."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import anyio
from anyio import to_thread
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Mount
from starlette.staticfiles import StaticFiles

from dvmsr.errors import DvmsrError, RequestError
from dvmsr.web.api import Api
from dvmsr.web.faults import Faults
from dvmsr.web.guard import Guard, Password
from dvmsr.web.limits import Limits
from dvmsr.web.networks import Networks
from dvmsr.web.queue import WorkQueue
from dvmsr.web.sessions import Sessions
from dvmsr.web.viewing import Views

_STATIC = Path(__file__).parent / "static"
_SECONDS_BETWEEN_LOOKS = 15.0


def make_app(
    networks: Networks,
    folder: Path,
    limits: Limits,
    *,
    password: Password | None = None,
    hosts: list[str] | None = None,
    cookie: str = "dvmsr",
    debug: bool = False,
) -> Starlette:
    """Make the application.

    Args:
        networks: What enlarges.
        folder: An empty folder for people's files.
        limits: How much is taken.
        password: What is asked for; None lets everybody in.
        hosts: See ``Guard``.
        cookie: The name of the cookie that tells whose a request is.
        debug: Whether what goes wrong unforeseen is told with its traceback, on standard error.
    """
    sessions = Sessions(folder, limits)
    queue = WorkQueue(networks, sessions, limits, debug=debug)
    views = Views(networks, sessions, queue, limits)

    @asynccontextmanager
    async def while_running(_: Starlette) -> AsyncIterator[None]:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(_close_idle, sessions, limits)
            yield
            tasks.cancel_scope.cancel()
        queue.close()

    api = Api(networks, sessions, queue, views, limits, cookie)
    return Starlette(
        routes=[*api.routes(), Mount("/", StaticFiles(directory=_STATIC, html=True))],
        middleware=[Middleware(Faults, debug=debug), Middleware(Guard, password, hosts)],
        exception_handlers={DvmsrError: _tell, ClientDisconnect: _tell_nobody, HTTPException: _tell_refused},
        lifespan=while_running,
    )


async def _close_idle(sessions: Sessions, limits: Limits) -> None:
    while True:
        await anyio.sleep(min(_SECONDS_BETWEEN_LOOKS, limits.idle_seconds / 2))
        await to_thread.run_sync(sessions.close_idle)


def _tell(_: Request, error: Exception) -> Response:
    status = error.status if isinstance(error, RequestError) else 400
    # What cannot be written in UTF-8 came from whoever asked.
    sentence = str(error).encode(errors="backslashreplace").decode()
    return JSONResponse({"error": sentence}, status)


def _tell_nobody(_: Request, __: Exception) -> Response:
    # Who asked has gone.
    return Response(status_code=499)


def _tell_refused(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    path = request.url.path
    sentence = {
        404: f"there is nothing at {path}",
        405: f"{path} cannot be asked for by {request.method}",
    }.get(error.status_code, error.detail)
    return JSONResponse({"error": sentence}, error.status_code, error.headers)
