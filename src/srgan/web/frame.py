"""What is around every request, whatever answers it: its name, its headers, its problems, and its line in the log."""

import json
import logging
import re
import secrets
import time
from dataclasses import dataclass
from typing import Any

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from srgan.web import problems
from srgan.web.body import GoneError, drop
from srgan.web.metrics import Metrics
from srgan.web.problems import Problem

SECURITY = {
    "Content-Security-Policy": "default-src 'self'; img-src 'self' blob: data:; style-src 'self'; connect-src 'self';"
    " frame-ancestors 'none'; base-uri 'none'; form-action 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
}
"""Headers of every answer."""

REQUEST_ID = re.compile(r"[A-Za-z0-9_-]{8,64}", re.ASCII)
"""What a request may call itself."""

_GONE = 499  # not sent to anybody: the status in logs and counts of a client that went away

log = logging.getLogger("srgan.web")


@dataclass
class Traffic:
    """Requests for a picture: those under way, and how many have been answered.

    stopping  whether the service stops, for which it waits for no request that comes now
    """

    open: int = 0
    answered: int = 0
    stopping: bool = False


class Frame:
    """Around every request: its id, the headers of every answer, problems in their form, a line in the log."""

    def __init__(self, app: ASGIApp, traffic: Traffic, counts: Metrics) -> None:
        self._app, self._traffic, self._counts = app, traffic, counts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let the application answer, and say and count what came of it. Raises GoneError."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        start, status = time.monotonic(), 0
        request = Request(scope)
        asked = request.headers.get("x-request-id", "")
        request.state.id = asked if REQUEST_ID.fullmatch(asked) else secrets.token_urlsafe(12)
        counted = scope["path"] == "/v1/upscale" and scope["method"] == "POST"
        said: dict[bytes, bytes] = {}

        async def answer(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                ours = SECURITY | {"X-Request-ID": request.state.id}
                message["headers"] = [
                    *message.get("headers", []),
                    *((name.lower().encode(), value.encode()) for name, value in ours.items()),
                ]
                said.update(message["headers"])
            await send(message)

        body = _Incoming(receive, waits=request.headers.get("expect", "").lower() == "100-continue")
        begun = counted and not self._traffic.stopping
        self._traffic.open += begun
        request.state.problem = None
        try:
            await self._answered(request, body, answer)
        except GoneError:
            status = _GONE
            raise
        finally:
            self._traffic.open -= begun
            self._traffic.answered += counted
            seconds = time.monotonic() - start
            if counted:
                self._counts.requests.labels(str(status or _GONE)).inc()
                self._counts.seconds.observe(seconds)
            problem = request.state.problem
            if counted or (problem is not None and problem.name == "failed"):
                _note(request, status or _GONE, said, seconds)

    async def _answered(self, request: Request, body: "_Incoming", answer: Send) -> None:
        """Answer a request; its state has the problem that it came to, if any."""
        problem = None
        try:
            await self._app(request.scope, body, answer)
        except GoneError:
            raise
        except Problem as error:
            problem = error
        except HTTPException as error:
            name = {404: "not-found", 405: "method"}.get(error.status_code, "bad-request")
            problem = Problem(name, str(error.detail), error.headers)
        except Exception as error:
            problem = Problem("failed", "the cause is in the service's log")
            problem.__cause__ = error
        if problem is None:
            return
        request.state.problem = problem
        if body.comes and problem.name != "too-slow":
            await drop(body)
        response = JSONResponse(
            problem.as_json(request.state.id), problem.status, problem.headers, media_type=problems.MEDIA_TYPE
        )
        await response(request.scope, body, answer)


class _Incoming:
    """A request's messages, and whether there is more of its body to come.

    waits  for the first message to be asked for before it sends any: Expect: 100-continue
    """

    def __init__(self, receive: Receive, *, waits: bool) -> None:
        self._receive = receive
        self.comes = not waits

    async def __call__(self) -> Message:
        message = await self._receive()
        self.comes = bool(message.get("more_body"))
        return message


def _note(request: Request, status: int, said: dict[bytes, bytes], seconds: float) -> None:
    """Write a request's line of the log, and behind it what made it fail where that is the service's own fault."""
    line: dict[str, Any] = {"id": request.state.id, "status": status, "seconds": round(seconds, 3)}
    text = f"{request.state.id} {status} {seconds:.3f} s"
    if b"srgan-width" in said:
        parts = (b"srgan-input-width", b"srgan-input-height", b"srgan-width", b"srgan-height")
        numbers = [int(said[part]) for part in parts]
        line |= {"model": said[b"srgan-model"].decode(), "from": numbers[:2], "to": numbers[2:]}
        text += " {model} {from[0]}x{from[1]} to {to[0]}x{to[1]}".format_map(line)
    problem: Problem | None = request.state.problem
    if problem is not None:
        detail = " ".join(problem.detail.split())
        line |= {"problem": problem.name, "detail": detail}
        text += f" {problem.name}: {detail}"
    failed = problem is not None and problem.name == "failed"
    log.log(logging.ERROR if failed else logging.INFO, text, extra={"line": line}, exc_info=problem if failed else None)


class JsonLines(logging.Formatter):
    """Lines of the log as JSON: time, level, and what a request came to, or the message."""

    def format(self, record: logging.LogRecord) -> str:
        """Return a record as a line of JSON."""
        line = {"time": round(record.created, 3), "level": record.levelname.lower()}
        line |= record.__dict__.get("line", {"message": record.getMessage()})
        if record.exc_info:
            line["traceback"] = self.formatException(record.exc_info)
        return json.dumps(line)
