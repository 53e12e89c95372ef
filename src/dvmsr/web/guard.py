"""Who may ask the page for anything, and what a browser may do with its answers."""

from __future__ import annotations

import base64
import binascii
import secrets
from collections.abc import Iterable
from dataclasses import dataclass
from urllib.parse import urlsplit

import anyio
from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import JSONResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

HEALTH_PATH = "/health"
"""What may be asked without a password."""

_HEADERS = {
    # Nothing from elsewhere, and nothing to elsewhere.
    "Content-Security-Policy": "default-src 'self'; img-src 'self' blob: data:; frame-ancestors 'none'; "
    "form-action 'self'; base-uri 'none'",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}
_SECONDS_AFTER_A_WRONG_PASSWORD = 0.5


@dataclass(frozen=True)
class Password:
    """What is asked for."""

    user: str
    """The name."""

    password: str
    """The password."""

    def fits(self, authorization: str | None) -> bool:
        """Whether a request's ``Authorization`` header (RFC 7617) holds them."""
        scheme, _, encoded = (authorization or "").partition(" ")
        if scheme.lower() != "basic":
            return False
        try:
            given = base64.b64decode(encoded, validate=True)
        except (binascii.Error, ValueError):
            return False
        return secrets.compare_digest(given, f"{self.user}:{self.password}".encode())


class Guard:
    """Lets requests through to the page.

    Another site, open in the same browser, could send requests here, or lead its own name here to read the
    answers (DNS rebinding). So the name that was asked for must be one of ours, and what changes something
    must come from our own page or from no page.

    Args:
        app: The page.
        password: What is asked for; None lets everybody in.
        hosts: The names that the page may be asked for by, without port; None for any.
    """

    def __init__(self, app: ASGIApp, password: Password | None, hosts: Iterable[str] | None) -> None:
        self._app = app
        self._password = password
        self._hosts = None if hosts is None else frozenset(hosts)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, or let the page do it."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in _HEADERS.items():
                    headers[name] = value
                headers.setdefault("Cache-Control", "no-store")
            await send(message)

        refusal = await self._refuse(scope, Headers(scope=scope))
        await (refusal or self._app)(scope, receive, send_with_headers)

    async def _refuse(self, scope: Scope, headers: Headers) -> Response | None:
        host = headers.get("host", "")
        if self._hosts is not None and _name_of(host) not in self._hosts:
            return _refusal(
                403, f"this page has another address than {host[:80]!r}; open the one it was started on"
            )
        origin = headers.get("origin")
        if scope["method"] not in ("GET", "HEAD") and origin is not None and _host_of(origin) != host:
            return _refusal(403, "this request comes from another site's page; open the page itself")
        if scope["path"] == HEALTH_PATH or self._password is None:
            return None
        if self._password.fits(headers.get("authorization")):
            return None
        if "authorization" in headers:
            await anyio.sleep(_SECONDS_AFTER_A_WRONG_PASSWORD)
        response = _refusal(401, "expected the user and the password that the page was started with")
        response.headers["WWW-Authenticate"] = 'Basic realm="dvmsr", charset="UTF-8"'
        return response


def _host_of(origin: str) -> str:
    """The host and port of an ``Origin`` header, as a ``Host`` header has them."""
    return origin.partition("://")[2]


def _name_of(host: str) -> str:
    try:
        return (urlsplit(f"//{host}").hostname or "").rstrip(".")
    except ValueError:
        return ""


def _refusal(status: int, message: str) -> Response:
    return JSONResponse({"error": message}, status)
