"""The service on a socket: bound, served with uvicorn, and stopped so that what began is finished."""

import asyncio
import errno
import logging
import os
import socket
from types import FrameType

import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from srgan.errors import ServeError
from srgan.web.app import Service, make_app

log = logging.getLogger("srgan.web")

HEAD_SECONDS = 10.0
"""For the head of the first request of a connection to arrive."""


def bind(host: str, port: int) -> socket.socket:
    """Return a socket bound to a host's address and a port, 0 for any that is free. Raises ServeError."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
    except (socket.gaierror, OverflowError) as error:
        raise ServeError(f"{host}: no address of this machine: {error}") from error
    bound = socket.socket(family, kind, protocol)
    try:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.bind(address)
    except OSError as error:
        bound.close()
        reasons = {
            errno.EADDRINUSE: f"port {port} of {host} is in use: --port chooses another, 0 any that is free",
            errno.EACCES: f"no permission for port {port}: --port chooses another, 1024 or more",
            errno.EADDRNOTAVAIL: f"{host}: no address of this machine",
        }
        raise ServeError(reasons.get(error.errno or 0, f"{host}, port {port}: {error.strerror}")) from error
    return bound


def url_of(bound: socket.socket) -> str:
    """Return where a browser on this machine finds what is served on a socket."""
    host, port = bound.getsockname()[:2]
    if host in ("0.0.0.0", "::"):
        host = "localhost"
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


class Server(uvicorn.Server):
    """Finishes what began when it is told to stop, answering 503 to what is new; told so twice, it ends at once."""

    def __init__(self, service: Service) -> None:
        super().__init__(
            uvicorn.Config(
                make_app(service),
                http=_Protocol,
                ws="none",
                loop="asyncio",
                lifespan="on",
                log_config=None,
                access_log=False,
                server_header=False,
                timeout_graceful_shutdown=5,
            )
        )
        self._service = service

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:  # noqa: ARG002
        """Be told to stop, by a signal."""
        if self._service.stopping:
            os._exit(128 + sig)
        self._service.stopping = True
        log.info("stopping: %d under way; once more ends at once", self._service.open)

    async def on_tick(self, counter: int) -> bool:
        """Look, ten times a second, whether it is time to end."""
        self.should_exit = self.should_exit or (self._service.stopping and self._service.open == 0)
        return await super().on_tick(counter)


class _Protocol(H11Protocol):
    """HTTP/1.1 whose first request has to come soon, and whose complaints are problems like all others."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self.timeout_keep_alive_task = self.loop.call_later(HEAD_SECONDS, self.timeout_keep_alive_handler)
