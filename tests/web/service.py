"""The service in a thread, on a port of its own, and a client that says just what it is told to."""

import http.client
import json
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

from srgan.web.app import Rules, Service
from srgan.web.metrics import Metrics
from srgan.web.networks import Networks
from srgan.web.server import Server, bind


class Answer(NamedTuple):
    status: int
    headers: http.client.HTTPMessage
    body: bytes

    @property
    def problem(self) -> dict[str, Any]:
        assert self.headers["content-type"] == "application/problem+json"
        said: dict[str, Any] = json.loads(self.body)
        assert said["status"] == self.status
        assert said["type"].startswith("/problems/")
        assert said["instance"] == self.headers["x-request-id"]
        assert "\n" not in said["detail"]
        return said


class Running:
    """A service that runs, at a port of 127.0.0.1; `service` where it is in this process."""

    service: Service

    def __init__(self, port: int, token: str | None = None) -> None:
        self.port, self._token = port, token

    def ask(self, method: str, path: str, body: bytes | None = None, headers: dict[str, str] | None = None) -> Answer:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        try:
            connection.request(method, path, body, headers or {})
            answer = connection.getresponse()
            return Answer(answer.status, answer.headers, answer.read())
        finally:
            connection.close()

    def upscale(self, picture: bytes, query: str = "", **headers: str) -> Answer:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return self.ask("POST", f"/v1/upscale?{query}" if query else "/v1/upscale", picture, named)

    def connect(self, buffer: int | None = None) -> socket.socket:
        connection = socket.socket()
        if buffer is not None:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer)
        connection.settimeout(30)
        connection.connect(("127.0.0.1", self.port))
        return connection

    def count(self, name: str) -> float:
        """Return a value of /metrics."""
        headers = None if self._token is None else {"Authorization": f"Bearer {self._token}"}
        for line in self.ask("GET", "/metrics", headers=headers).body.decode().splitlines():
            if line.startswith(f"{name} "):
                return float(line.split()[-1])
        return 0.0

    def wait_for(self, name: str, value: float) -> None:
        """Wait until a value of /metrics is what it should be."""
        until = time.monotonic() + 20
        while (found := self.count(name)) != value:
            assert time.monotonic() < until, f"{name} is {found}, not {value}"
            time.sleep(0.02)


@contextmanager
def serving(rules: Rules | None = None, *, send_buffer: int | None = None) -> Iterator[Running]:
    """Run a service; at the end it stops and has finished what it began."""
    counts = Metrics()
    service = Service(Networks(on_load=counts.networks.set), rules or Rules(), counts)
    bound = bind("127.0.0.1", 0)
    if send_buffer is not None:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, send_buffer)  # connections inherit it
    server = Server(service)
    thread = threading.Thread(target=server.serve_on, args=[bound])
    thread.start()
    try:
        running = Running(bound.getsockname()[1], service.rules.token)
        running.service = service
        until = time.monotonic() + 30
        while running.ask("GET", "/readyz").status != 200:
            assert time.monotonic() < until
            time.sleep(0.02)
        yield running
    finally:
        service.traffic.stopping = True
        thread.join(30)
        bound.close()
        assert not thread.is_alive()
