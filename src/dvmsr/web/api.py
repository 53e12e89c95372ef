"""What the page and programs can ask for. Described in docs/web.md."""

from __future__ import annotations

import json
import secrets
from collections.abc import Callable
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from typing import Any

import anyio
from anyio import to_thread
from starlette.background import BackgroundTask
from starlette.requests import ClientDisconnect, Request
from starlette.responses import FileResponse, JSONResponse, Response
from starlette.routing import Route

from dvmsr.errors import ArgumentError, DvmsrError, RequestError
from dvmsr.inference.parts import Box
from dvmsr.inference.sizes import LARGEST_SCALE
from dvmsr.web.archive import write_archive
from dvmsr.web.guard import HEALTH_PATH
from dvmsr.web.limits import Limits
from dvmsr.web.networks import Networks
from dvmsr.web.pictures import Picture, State
from dvmsr.web.queue import WorkQueue
from dvmsr.web.sessions import Session, Sessions
from dvmsr.web.settings import AUTO, FORMATS, Settings
from dvmsr.web.uploads import take_in
from dvmsr.web.viewing import Views
from dvmsr.weights import SHIPPED_SCALES

_DOWNLOAD = "application/octet-stream"
_SIDES = ("left", "top", "width", "height")
_JSON_BYTES = 1 << 16
# A browser may keep what never changes under its address.
_KEPT = {"Cache-Control": "private, max-age=3600, immutable"}


class Api:
    """Answers requests.

    Args:
        networks: What enlarges.
        sessions: Who is there.
        queue: What waits.
        views: What is shown.
        limits: How much is taken.
        cookie: The name of the cookie that tells whose a request is.
    """

    def __init__(
        self,
        networks: Networks,
        sessions: Sessions,
        queue: WorkQueue,
        views: Views,
        limits: Limits,
        cookie: str,
    ) -> None:
        self._networks = networks
        self._sessions = sessions
        self._queue = queue
        self._views = views
        self._limits = limits
        self._cookie = cookie

    def routes(self) -> list[Route]:
        """Return what is answered."""
        one = "/api/pictures/{picture}"

        def route(path: str, answer: Callable[..., Any], method: str = "GET") -> Route:
            return Route(path, answer, methods=[method])

        return [
            route(HEALTH_PATH, self.health),
            route("/api/about", self.about),
            route("/api/pictures", self.pictures),
            route("/api/pictures", self.upload, "POST"),
            route("/api/pictures", self.forget, "DELETE"),
            route("/api/plan", self.plan, "POST"),
            route("/api/results.zip", self.archive),
            route("/api/enlarge", self.enlarge_at_once, "POST"),
            route(one, self.remove, "DELETE"),
            route(f"{one}/enlarge", self.enlarge, "POST"),
            route(f"{one}/cancel", self.cancel, "POST"),
            route(f"{one}/result", self.result),
            route(f"{one}/thumbnail", self.thumbnail),
            route(f"{one}/views/{{which}}", self.view),
            route(f"{one}/tiles/{{name}}/{{level}}/{{column}}/{{row}}", self.tile),
            route(f"{one}/parts", self.try_part, "POST"),
            route(f"{one}/parts/{{part}}/{{which}}", self.part),
        ]

    def health(self, _: Request) -> Response:
        """Tell whether pictures are being enlarged: 200, or 503 where they are not."""
        alive = self._queue.alive
        told = {"status": "ok" if alive else "the queue has stopped", "waiting": len(self._queue)}
        return JSONResponse({**told, "version": version("dvmsr")}, 200 if alive else 503)

    def about(self, _: Request) -> Response:
        """Tell what can be asked for, and how much is taken."""
        limits = {**asdict(self._limits), "part_pixels": self._views.part_pixels()}
        return JSONResponse(
            {
                "scale": self._networks.scale,
                "largest_scale": LARGEST_SCALE,
                "models": [AUTO, *SHIPPED_SCALES] if self._networks.has_models else [],
                "formats": FORMATS,
                "limits": limits,
            }
        )

    def pictures(self, request: Request) -> Response:
        """List the pictures of whoever asks."""
        session = self._session(request)
        if session is None:
            return JSONResponse({"pictures": [], "waiting": len(self._queue)})
        with self._sessions.lock:
            left = self._queue.seconds_left(session)
            told = [self._described(picture, left) for picture in session.pictures.values()]
        return JSONResponse({"pictures": told, "waiting": len(self._queue)})

    async def upload(self, request: Request) -> Response:
        """Take a picture's file in: the request's body, its name as ``?name=``."""
        session = await to_thread.run_sync(self._session, request)
        is_new = session is None
        if session is None:
            session = await to_thread.run_sync(self._sessions.open)
        try:
            picture = await self._take_in(request, session)
        except BaseException:
            if is_new:
                self._sessions.close(session)
            raise
        response = JSONResponse(self._described(picture, {}), 201)
        if is_new:
            # Of the browser's own session, so that it is gone with that; and never sent by another site.
            secure = request.url.scheme == "https"
            response.set_cookie(self._cookie, session.token, httponly=True, samesite="strict", secure=secure)
        return response

    def forget(self, request: Request) -> Response:
        """Stop all work of whoever asks, and remove all of their files."""
        session = self._session(request)
        if session is not None:
            self._sessions.close(session)
        response = Response(status_code=204)
        response.delete_cookie(self._cookie, httponly=True, samesite="strict")
        return response

    async def plan(self, request: Request) -> Response:
        """Tell what some settings would make of each picture."""
        settings = Settings.parse(await _json_object(request))
        session = await to_thread.run_sync(self._session, request)
        pictures = list(session.pictures.values()) if session is not None else []
        return JSONResponse(
            await to_thread.run_sync(lambda: {each.id: self._planned(each, settings) for each in pictures})
        )

    def _planned(self, picture: Picture, settings: Settings) -> dict[str, Any]:
        try:
            task, told = self._queue.plan(picture, settings)
        except DvmsrError as error:
            return {"problem": picture.tell(error)}
        return {
            "width": task.target_width,
            "height": task.target_height,
            "pictures": task.pictures,
            "seconds": told.seconds,
            "settings": settings.described(self._networks.scale),
        }

    async def enlarge(self, request: Request) -> Response:
        """Let a picture wait for its turn, by the settings in the body."""
        picture = self._picture(request)
        settings = Settings.parse(await _json_object(request))
        await to_thread.run_sync(self._queue.add, picture, settings)
        return JSONResponse(self._described(picture, {}), 202)

    def cancel(self, request: Request) -> Response:
        """Take a picture out of the queue, or stop the work on it."""
        picture = self._picture(request)
        self._queue.cancel(picture)
        return JSONResponse(self._described(picture, {}))

    def remove(self, request: Request) -> Response:
        """Remove a picture and all that was made of it."""
        self._sessions.remove(self._picture(request))
        return Response(status_code=204)

    def result(self, request: Request) -> Response:
        """Hand out the enlarged file."""
        return _file(self._result_of(self._picture(request)))

    def archive(self, request: Request) -> Response:
        """Hand out all enlarged files in a zip file."""
        session = self._session(request)
        pictures = list(session.pictures.values()) if session is not None else []
        files = [each.result.target for each in pictures if each.result is not None]
        if session is None or not files:
            raise RequestError(404, "no picture is enlarged yet; enlarge some first")
        needed = sum(path.stat().st_size for path in files)
        self._sessions.check_room(session, needed, "the zip file")
        target = session.folder / f"{secrets.token_hex(8)}.zip"
        write_archive(files, target)
        return _file(target, "dvmsr.zip", background=BackgroundTask(target.unlink, missing_ok=True))

    def thumbnail(self, request: Request) -> Response:
        """Hand out a small picture."""
        return FileResponse(self._views.thumbnail(self._picture(request)), headers=_KEPT)

    def view(self, request: Request) -> Response:
        """Tell in which tiles a picture can be had, before or after."""
        view = self._views.view(self._picture(request), request.path_params["which"])
        return JSONResponse(view.as_json())

    def tile(self, request: Request) -> Response:
        """Hand out a tile."""
        place = (request.path_params[name] for name in ("name", "level", "column", "row"))
        return FileResponse(self._views.tile(self._picture(request), *place), headers=_KEPT)

    async def try_part(self, request: Request) -> Response:
        """Enlarge a part at once: ``box`` and ``settings`` in the body."""
        picture = self._picture(request)
        asked = await _json_object(request)
        box, settings = asked.get("box"), asked.get("settings") or {}
        # No bool either, which is an int.
        sides = [box[side] for side in _SIDES if type(box.get(side)) is int] if isinstance(box, dict) else []
        if len(sides) < len(_SIDES):
            raise ArgumentError("expected a box of left, top, width and height in whole pixels")
        if not isinstance(settings, dict):
            raise ArgumentError("expected settings as an object")
        wanted = Settings.parse(settings)
        return JSONResponse(await to_thread.run_sync(self._views.try_part, picture, Box(*sides), wanted), 201)

    def part(self, request: Request) -> Response:
        """Hand out a part that was tried, before or after."""
        names = request.path_params
        return FileResponse(
            self._views.part(self._picture(request), names["part"], names["which"]), headers=_KEPT
        )

    async def enlarge_at_once(self, request: Request) -> Response:
        """Enlarge the body and answer with the result: for programs. The settings are in the address."""
        values = {name: value for name, value in request.query_params.items() if name != "name"}
        settings = Settings.parse(values)
        session = await to_thread.run_sync(self._sessions.open)
        try:
            picture = await self._take_in(request, session)
            await to_thread.run_sync(self._queue.add, picture, settings)
            while picture.at_work:
                self._sessions.find(session.token)
                if await request.is_disconnected():
                    raise ClientDisconnect
                await anyio.sleep(0.05)
            if picture.state is State.FAILED:
                raise RequestError(422, picture.error)
            notes = json.dumps(
                [picture.tell(note) for note in picture.result.notes] if picture.result else []
            )
            response = _file(
                self._result_of(picture), background=BackgroundTask(self._sessions.close, session)
            )
            response.headers["Dvmsr-Notes"] = notes
            return response
        except BaseException:
            self._sessions.close(session)
            raise

    async def _take_in(self, request: Request, session: Session) -> Picture:
        if request.headers.get("content-type", "").startswith("multipart/"):
            raise RequestError(
                415, "expected a file as the request's body, and not within a form; see curl's --data-binary"
            )
        announced = request.headers.get("content-length", "")
        return await take_in(
            self._sessions,
            session,
            self._limits,
            name=request.query_params.get("name", ""),
            announced=int(announced) if announced.isdigit() else None,
            chunks=request.stream(),
        )

    def _session(self, request: Request) -> Session | None:
        return self._sessions.find(request.cookies.get(self._cookie))

    def _picture(self, request: Request) -> Picture:
        return self._sessions.picture(self._session(request), request.path_params["picture"])

    def _result_of(self, picture: Picture) -> Path:
        if picture.result is None or not picture.result.target.is_file():
            raise RequestError(404, f"{picture.name} is not enlarged; enlarge it first")
        return picture.result.target

    def _described(self, picture: Picture, left: dict[Picture, float | None]) -> dict[str, Any]:
        told: dict[str, Any] = {
            "id": picture.id,
            "name": picture.name,
            "width": picture.width,
            "height": picture.height,
            "has_alpha": picture.has_alpha,
            "has_more": picture.has_more,
            "state": picture.state.value,
            "stopping": picture.at_work and picture.stop.is_set(),
            "progress": round(picture.part_done, 4),
            "seconds_left": left.get(picture),
            "error": picture.error,
            "run": picture.run,
        }
        if picture.settings is not None:
            told["settings"] = picture.settings.described(self._networks.scale)
        file = picture.result
        if file is not None and picture.state is State.DONE:
            told["result"] = {
                "name": file.target.name,
                "width": file.target_width,
                "height": file.target_height,
                "bytes": file.target.stat().st_size if file.target.exists() else 0,
                "seconds": round(file.seconds, 2),
                "notes": [picture.tell(note) for note in file.notes],
                "choice": asdict(file.choice) if file.choice is not None else None,
            }
        return told


async def _json_object(request: Request) -> dict[str, Any]:
    """Read the body as an object; an empty one says nothing.

    Raises:
        ArgumentError: It is something else.
    """
    body = b""
    async for chunk in request.stream():
        body += chunk
        if len(body) > _JSON_BYTES:
            raise RequestError(413, f"expected at most {_JSON_BYTES:,} bytes of JSON")
    try:
        value = json.loads(body) if body else {}
    except (ValueError, RecursionError):
        value = None
    if not isinstance(value, dict):
        raise ArgumentError("expected a body of JSON with an object in it")
    return value


def _file(path: Path, name: str | None = None, background: BackgroundTask | None = None) -> FileResponse:
    # By no type of its own: a browser is to save it, and not to open it.
    return FileResponse(path, media_type=_DOWNLOAD, filename=name or path.name, background=background)
