"""The service on a socket: bound, served with uvicorn, and stopped so that what began is finished."""

import asyncio
import errno
import json
import logging
import os
import socket
from contextlib import suppress
from functools import partial
from http import HTTPStatus
from types import FrameType
from typing import Any

import h11
import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from srgan.errors import ServeError
from srgan.memory import give_back_memory
from srgan.web.app import Service, make_app
from srgan.web.body import GoneError
from srgan.web.problems import MEDIA_TYPE, Problem

HEAD_SECONDS = 10.0
"""In which the head of a connection's first request has to arrive."""

STUCK_SECONDS = 20.0
"""After which a connection is cut whose client takes nothing of what it is sent."""

UNSENT_BYTES = 65_536
"""Of an answer that the system may hold unsent: with megabytes, as else, it takes more only after a third of them."""

LINGER_SECONDS = 1.0
"""For which a connection is read on after a complaint: closed with bytes unread, it would be reset under the answer."""

MOST_CONNECTIONS = 500

log = logging.getLogger("srgan.web")


def bind(host: str, port: int) -> socket.socket:
    """Return a socket that listens at a host's address and a port, 0 for any that is free. Raises ServeError."""
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except (OSError, UnicodeError) as error:
        raise ServeError(f"{host}: no address of this machine") from error
    family, kind, protocol, _, address = found[0]
    bound = socket.socket(family, kind, protocol)
    try:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if hasattr(socket, "TCP_NOTSENT_LOWAT"):
            bound.setsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT, UNSENT_BYTES)  # connections inherit it
        bound.bind(address)
        bound.listen(128)
    except OSError as error:
        bound.close()
        reasons = {
            errno.EADDRINUSE: f"port {port} of {host} is in use: --port chooses another, 0 one that is free",
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
    """Finishes what began when it is told to stop, answering 503 to what is new; told so twice, it ends at once.

    When it has nothing to do it gives memory back.
    """

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
        self._service, self._tidied = service, 0

    def serve_on(self, bound: socket.socket) -> None:
        """Serve on a socket until told to stop. Raises what kept the default network from being loaded."""
        self.run(sockets=[bound])
        if self._service.failure is not None:
            raise self._service.failure

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:  # noqa: ARG002
        """Be told to stop, by a signal."""
        traffic = self._service.traffic
        if traffic.stopping:
            os._exit(128 + sig)
        traffic.stopping = True
        log.info("stopping: %d under way; once more ends at once", traffic.open)

    async def on_tick(self, counter: int) -> bool:
        """Look, ten times a second, whether it is time to end, or to tidy up."""
        traffic = self._service.traffic
        if counter % 10 == 0 and traffic.open == 0 and self._tidied != traffic.answered:
            self._tidied = traffic.answered
            await asyncio.to_thread(give_back_memory)
        if self._service.failure is not None or (traffic.stopping and traffic.open == 0):
            self.should_exit = True
        return await super().on_tick(counter)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """End; a connection that has just been accepted, and that uvicorn does not see yet, is not waited for."""
        for listening in self.servers:
            listening.close()
        await asyncio.sleep(0.05)
        await super().shutdown(sockets)


class _Protocol(H11Protocol):
    """HTTP/1.1 with an eye on the time, whose own complaints are problems like all others."""

    _stuck: asyncio.TimerHandle | None = None
    _complained = False

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        if len(self.connections) > MOST_CONNECTIONS:
            self._complain(Problem("stopping", "too many connections are open", {"Retry-After": "5"}))
        else:
            self.timeout_keep_alive_task = self.loop.call_later(HEAD_SECONDS, self._late)
        self.app = partial(_answer, self.app, transport)

    def data_received(self, data: bytes) -> None:
        if self._complained:
            return
        self.conn.receive_data(data)  # the time goes on until the head is complete
        self.handle_events()

    def send_400_response(self, msg: str) -> None:
        self._complain(Problem("bad-request", msg))

    def _should_upgrade(self) -> bool:
        return False  # to HTTP/2, say, which Java's client offers with every request: uvicorn would log two warnings

    def pause_writing(self) -> None:
        super().pause_writing()
        self._stuck = self.loop.call_later(STUCK_SECONDS, self.transport.abort)

    def resume_writing(self) -> None:
        super().resume_writing()
        self._move()

    def connection_lost(self, exc: Exception | None) -> None:
        self._move()
        self._unset_keepalive_if_required()
        super().connection_lost(exc)

    def _move(self) -> None:
        if self._stuck is not None:
            self._stuck.cancel()
            self._stuck = None

    def _late(self) -> None:
        self._complain(Problem("too-slow", "no request has arrived"))

    def _complain(self, problem: Problem) -> None:
        """Answer with a problem what is no request, and close the connection when the client does, or soon."""
        body = json.dumps(problem.as_json("")).encode()
        headers = [("content-type", MEDIA_TYPE), ("content-length", str(len(body))), ("connection", "close")]
        headers += problem.headers.items()
        reason = HTTPStatus(problem.status).phrase
        try:
            for event in (
                h11.Response(status_code=problem.status, headers=headers, reason=reason),
                h11.Data(data=body),
                h11.EndOfMessage(),
            ):
                self.transport.write(self.conn.send(event))
        except h11.LocalProtocolError:  # in the middle of another answer
            self.transport.abort()
        else:
            self._complained = True
            with suppress(OSError):  # of a client that has gone already
                self.transport.write_eof()
            self.loop.call_later(LINGER_SECONDS, self.transport.close)


async def _answer(app: Any, transport: asyncio.Transport, *request: Any) -> None:
    """Have the application answer a request, and cut the connection of a client that it has left."""
    try:
        await app(*request)
    except GoneError:
        transport.abort()
        await asyncio.sleep(0)  # in which uvicorn takes note of it
