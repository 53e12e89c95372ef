"""Running the page: where it listens, and what that needs."""

from __future__ import annotations

import contextlib
import ipaddress
import os
import socket
import sys
import threading
import webbrowser
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from dvmsr.errors import ArgumentError, MissingExtraError
from dvmsr.web.folders import default_root, server_folder
from dvmsr.web.limits import Limits
from dvmsr.web.networks import Networks

DEFAULT_PORT = 8765
_PORTS_TRIED = 20
# What stands for all addresses of the machine, and one of them.
_FOR_ALL = {"0.0.0.0": "127.0.0.1", "::": "::1"}
# So long a request may go on that was under way when the page was told to end.
_GRACE_SECONDS = 1


@dataclass(frozen=True)
class Address:
    """Where the page listens, and for whom."""

    host: str = "127.0.0.1"
    """A name or address of this machine's."""

    port: int | None = None
    """A port; 0 for any that is free; None for the usual one, or one of those after it."""

    user: str | None = None
    """The name that is asked for."""

    password: str | None = None
    """The password that is asked for."""

    no_password: bool = False
    """Whether other machines may come in without one."""

    def check(self) -> None:
        """Check that nobody is let in who was not meant to be.

        Raises:
            ArgumentError: The address can be reached from elsewhere and has no password, or is unknown.
        """
        if bool(self.user) != bool(self.password):
            raise ArgumentError("expected both --user and --password, or neither")
        if self.user and ":" in self.user:
            raise ArgumentError("expected a --user without a colon, which ends the name in a request")
        if not self.is_local and not self.password and not self.no_password:
            raise ArgumentError(
                f"{self.host} can be reached from other machines: give --user and --password; or "
                "--no-password, if whoever can reach it may use it"
            )

    @property
    def is_local(self) -> bool:
        """Whether only programs on this machine can reach it."""
        return all(ipaddress.ip_address(found[4][0]).is_loopback for found in self._resolved())

    def bind(self) -> socket.socket:
        """Begin to listen.

        Raises:
            ArgumentError: The port is taken, or may not be listened on.
        """
        family, *_, place = self._resolved()[0]
        ports = [self.port] if self.port is not None else range(DEFAULT_PORT, DEFAULT_PORT + _PORTS_TRIED)
        for port in ports:
            listener = socket.socket(family, socket.SOCK_STREAM)
            # Else the port of a page that has just ended stays taken for a minute.
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                listener.bind((place[0], port, *place[2:]))
                listener.listen(128)
            except OSError as error:
                listener.close()
                reason = error.strerror
            else:
                return listener
        raise ArgumentError(f"{self.host}: cannot listen on port {port}: {reason}; choose another (--port)")

    def _resolved(self) -> list[tuple[socket.AddressFamily, int, int, str, tuple[str, ...]]]:
        try:
            return socket.getaddrinfo(self.host, None, type=socket.SOCK_STREAM)  # type: ignore[return-value]
        except OSError as error:
            raise ArgumentError(
                f"{self.host}: is no name or address of this machine: {error.strerror}; expected one such as "
                "127.0.0.1"
            ) from error


def serve(
    networks: Callable[[], Networks],
    address: Address,
    limits: Limits,
    *,
    root: Path | None = None,
    open_browser: bool = True,
    on_ready: Callable[[str], object] = print,
    debug: bool = False,
) -> None:
    """Show the page until a signal ends it.

    Args:
        networks: Makes what enlarges, once the address is known to be good.
        address: Where it listens.
        limits: How much it takes.
        root: Where pictures lie while they are worked on; None for this user's cache.
        open_browser: Whether to open a browser on it, where there is a screen.
        on_ready: Called with the page's address when it can be opened.
        debug: Whether what goes wrong unforeseen is told with its traceback.

    Raises:
        ArgumentError: It cannot listen there, or not without a password, or not write into ``root``.
        MissingExtraError: The libraries are not installed.
        DvmsrError: As of ``networks``.
    """
    try:
        import uvicorn

        from dvmsr.web.app import make_app
        from dvmsr.web.guard import Password
    except ModuleNotFoundError as error:
        raise MissingExtraError(error.name or "starlette", "web", "the page") from error

    address.check()
    with contextlib.ExitStack() as stack:
        listener = stack.enter_context(contextlib.closing(address.bind()))
        port = listener.getsockname()[1]
        folder = stack.enter_context(server_folder(root or default_root()))
        app = make_app(
            networks(),
            folder,
            limits,
            password=Password(address.user, address.password) if address.user and address.password else None,
            # With a password there may be any name before it, as of a proxy.
            hosts=["localhost", "127.0.0.1", "::1", address.host] if address.is_local else None,
            # Cookies do not know ports.
            cookie=f"dvmsr_{port}",
            debug=debug,
        )
        url = f"http://{_shown(address.host)}:{port}/"
        server = uvicorn.Server(
            uvicorn.Config(
                app,
                log_level="warning",
                access_log=False,
                server_header=False,
                timeout_graceful_shutdown=_GRACE_SECONDS,
            )
        )
        on_ready(url)
        if open_browser and _has_screen():
            # It may take seconds to come up; the page answers as soon as it asks.
            threading.Thread(target=webbrowser.open, args=(url,), daemon=True).start()
        server.run(sockets=[listener])


def _shown(host: str) -> str:
    """The name by which a browser on this machine finds a host."""
    host = _FOR_ALL.get(host, host)
    return f"[{host}]" if ":" in host else host


def _has_screen() -> bool:
    """Whether a browser would open a window; without a screen it would take the terminal."""
    return sys.platform == "darwin" or bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))
