"""The service as an ASGI application: what is answered to which request."""

import asyncio
import hmac
import json
import time
from collections import OrderedDict
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response, StreamingResponse
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp, Receive, Scope, Send

from srgan.errors import SrganError
from srgan.image.picture import Limits
from srgan.image.reading import PICTURE_SUFFIXES
from srgan.image.writing import FORMATS
from srgan.web import metrics, problems
from srgan.web.body import GRACE, SLOWEST, Body, GoneError, Inbox
from srgan.web.frame import REQUEST_ID, Frame, Traffic
from srgan.web.metrics import Metrics
from srgan.web.networks import Networks
from srgan.web.openapi import RESULT_HEADERS, document
from srgan.web.parameters import Order, read_order
from srgan.web.problems import Problem
from srgan.web.work import EndedError, Made, Work, Workshop

PAGE = Path(__file__).parent / "page"

MEDIA_TYPES = {name: f"image/{name}" for name in FORMATS}
"""Of the formats that results are written in."""

_REMEMBERED = 256
_PIECE = 262_144
_UNSEEN = 10.0  # seconds that a request may come after its progress was asked for
_SILENCE = 15.0  # seconds after which a comment says that somebody is there

LIMITS = Limits(16_000_000, 256_000_000)
"""On the pixels of pictures and results."""


@dataclass(frozen=True)
class Rules:
    """What the service lets others ask of it.

    bytes    of a picture's file
    limits   on pixels, in and out
    waiting  pictures that wait for the network, beside the one that it is at
    seconds  that a picture may take from its arrival to its result
    token    that has to be said, None for none
    origins  other than its own whose pages may ask, * for all
    """

    bytes: int = 50_000_000
    limits: Limits = LIMITS
    waiting: int = 16
    seconds: float = 300.0
    token: str | None = None
    origins: tuple[str, ...] = ()


class Service:
    """The service behind the application."""

    def __init__(self, networks: Networks, rules: Rules, counts: Metrics) -> None:
        self.networks, self.rules, self.metrics = networks, rules, counts
        self.workshop = Workshop(networks, rules.limits, counts)
        self.inbox = Inbox(rules.bytes, 4 * rules.bytes, rules.seconds)
        self.ready = False
        self.failure: SrganError | None = None  # for which it never becomes ready
        self.traffic = Traffic()
        self._seen: OrderedDict[str, Work] = OrderedDict()
        self._arriving: set[str] = set()  # names of requests whose pictures are on their way
        self._tasks: set[asyncio.Task[Any]] = set()

    async def load(self) -> None:
        """Load the network that most will ask for, and be ready."""
        try:
            await self.workshop.warm_up()
            self.ready = True
        except SrganError as error:
            self.failure = error

    async def upscale(self, request: Request) -> Response:
        """Answer POST /v1/upscale."""
        self._require_token(request)
        self._require_origin(request)
        self._require_ready()
        self._require_place()
        if request.headers.get("content-encoding", "identity").lower() != "identity":
            raise Problem("unknown-kind", f"the picture is sent as it is, not by {request.headers['content-encoding']}")
        with self._arrival(request.state.id), ExitStack() as stack:
            body, said = stack.enter_context(self.inbox.body()), request.headers
            await self.inbox.fill(body, request.receive, said.get("content-type", ""), said.get("content-length", ""))
            order = self._order(request, body)
            self._require_place()
            work = Work(request.state.id, order, body.take(), self.rules.seconds, stack.pop_all().close)
        self._seen[work.id] = work
        while len(self._seen) > _REMEMBERED:
            self._seen.popitem(last=False)
        made = await self._made(work, request)
        headers = {
            "Content-Disposition": _disposition(order.file_name),
            "Content-Length": str(len(made.content)),
            "Srgan-Width": str(made.size_out[0]),
            "Srgan-Height": str(made.size_out[1]),
            "Srgan-Input-Width": str(made.size_in[0]),
            "Srgan-Input-Height": str(made.size_in[1]),
            "Srgan-Seconds": f"{made.seconds:.3f}",
            "Srgan-Model": made.model,
        }
        if made.repair is not None:
            headers["Srgan-Repair"] = f"{made.repair:g}"
        coding, noise, blur = made.condition
        if coding is not None:
            headers |= {"Srgan-Codec": coding.codec, "Srgan-Codec-Quality": str(coding.quality)}
        if noise is not None:
            headers["Srgan-Noise"] = f"{noise:.1f}"
        if blur is not None:
            headers["Srgan-Blur"] = f"{blur:.2f}"
        return _Result(made, headers, MEDIA_TYPES[order.options.format or "png"])

    @contextmanager
    def _arrival(self, name: str) -> Iterator[None]:
        """Have a request's progress waited for to the end of the block, and forget one of its name that has ended."""
        if name in self._seen and self._seen[name].ended:
            del self._seen[name]
        self._arriving.add(name)
        try:
            yield
        finally:
            self._arriving.discard(name)

    def _order(self, request: Request, body: Body) -> Order:
        given = [*request.query_params.multi_items(), *body.fields]
        if body.name and not any(name == "name" for name, _ in given):
            given.append(("name", body.name))
        return read_order(given, self.networks.names, self.networks.default)

    async def _made(self, work: Work, request: Request) -> Made:
        """Wait for a result, for as long as its client does and as it may take."""
        making, leaving = asyncio.create_task(self.workshop.make(work)), asyncio.create_task(_left(request.receive))
        self._tasks.add(making)
        making.add_done_callback(self._tasks.discard)
        try:
            left = work.deadline - time.monotonic()
            await asyncio.wait((making, leaving), timeout=left, return_when=asyncio.FIRST_COMPLETED)
            if making.done():
                return await making
        except EndedError:
            pass
        except Problem as problem:
            work.detail = problem.detail
            raise
        except Exception:
            work.detail = "the cause is in the service's log"
            raise
        finally:
            leaving.cancel()
            finished = making.done() and not making.cancelled() and making.exception() is None
            work.state = "done" if finished else "failed"
            work.end()
            if not finished:
                making.add_done_callback(_forgotten)
        if leaving.done():
            work.detail = "the client has gone away"
            raise GoneError
        work.detail = f"it takes longer than {self.rules.seconds:g} s, the limit here"
        raise Problem("too-long", work.detail)

    def _require_ready(self) -> None:
        if self.traffic.stopping or not self.ready:
            what = "the service is stopping" if self.traffic.stopping else "the network is being loaded"
            raise Problem("stopping", what, {"Retry-After": "5"})

    def _require_place(self) -> None:
        waiting = self.workshop.count("waiting")
        if waiting >= self.rules.waiting:
            raise Problem(
                "busy", f"{waiting} pictures are waiting already", {"Retry-After": str(self.workshop.patience)}
            )

    def _require_origin(self, request: Request) -> None:
        """Refuse pages of other origins, which browsers let ask, though not see the answer."""
        allowed, origin = self.rules.origins, request.headers.get("origin", "")
        site = request.headers.get("sec-fetch-site")  # which browsers tell https and localhost alone
        if site is None:
            own = not origin or origin.partition("://")[2] == request.headers.get("host", "")
        else:
            own = site not in ("cross-site", "same-site")
        if not own and "*" not in allowed and origin not in allowed:
            raise Problem("origin", f"pages of {origin or 'other origins'} may not ask for pictures here")

    def _require_token(self, request: Request) -> None:
        """Raise Problem unless the request says the token, where there is one."""
        if self.rules.token is None:
            return
        kind, _, said = request.headers.get("authorization", "").partition(" ")
        if kind.lower() != "bearer" or not hmac.compare_digest(
            said.strip().encode("latin-1"), self.rules.token.encode()
        ):
            raise Problem("token", "this needs the header Authorization: Bearer TOKEN", {"WWW-Authenticate": "Bearer"})

    async def progress(self, request: Request) -> Response:
        """Answer GET /v1/progress/ID, and HEAD, which waits for nothing."""
        self._require_token(request)
        name, waits = request.path_params["id"], request.method == "GET"
        until = time.monotonic() + (_UNSEEN if waits and REQUEST_ID.fullmatch(name) else 0)
        while name in self._arriving or name not in self._seen:
            if name not in self._arriving:
                if self.traffic.stopping:
                    self._require_ready()
                if time.monotonic() > until:
                    raise Problem("not-found", "no request of this name")
            elif not waits:
                break
            await asyncio.sleep(0.05)
        events: AsyncIterator[str] | tuple[()] = self._events(self._seen[name]) if waits else ()
        return StreamingResponse(events, media_type="text/event-stream", headers={"Cache-Control": "no-store"})

    async def _events(self, work: Work) -> AsyncIterator[str]:
        last, spoke = None, time.monotonic()
        while last is None or last["state"] not in ("done", "failed"):
            now = self.workshop.told(work)
            if now != last:
                last, spoke = now, time.monotonic()
                yield f"data: {json.dumps(now)}\n\n"
            elif time.monotonic() - spoke > _SILENCE:
                spoke = time.monotonic()
                yield ": still there\n\n"
            await asyncio.sleep(0.1)

    async def models(self, _: Request) -> Response:
        """Answer GET /v1/models."""
        rules = self.rules
        return JSONResponse(
            {
                "models": self.networks.describe(),
                "default": self.networks.default,
                "formats": [
                    {
                        "name": name,
                        "media_type": MEDIA_TYPES[name],
                        "suffix": result.suffixes[0],
                        "quality": result.quality is not None,
                    }
                    for name, result in FORMATS.items()
                ],
                "reads": sorted(PICTURE_SUFFIXES),
                "limits": {
                    "bytes": rules.bytes,
                    "input_pixels": rules.limits.input_pixels,
                    "output_pixels": rules.limits.output_pixels,
                    "seconds": rules.seconds,
                    "waiting": rules.waiting,
                },
                "token": rules.token is not None,
            }
        )

    async def document(self, _: Request) -> Response:
        """Answer GET /openapi.json."""
        return JSONResponse(document(self.networks.names, token=self.rules.token is not None))

    async def problem(self, request: Request) -> Response:
        """Answer GET /problems/NAME."""
        name = request.path_params["name"]
        if name not in problems.TITLES:
            raise Problem("not-found", "no problem of this name")
        status, title = problems.TITLES[name]
        return PlainTextResponse(f"{status}: {title}\n")

    async def healthy(self, _: Request) -> Response:
        """Answer GET /healthz."""
        return PlainTextResponse("ok\n")

    async def is_ready(self, _: Request) -> Response:
        """Answer GET /readyz."""
        self._require_ready()
        return PlainTextResponse("ok\n")

    async def counts(self, request: Request) -> Response:
        """Answer GET /metrics."""
        self._require_token(request)
        self.metrics.waiting.set(self.workshop.count("waiting"))
        self.metrics.working.set(self.workshop.count("working"))
        self.metrics.held.set(self.inbox.held)
        return Response(self.metrics.text(), media_type=metrics.MEDIA_TYPE)


def make_app(service: Service) -> ASGIApp:
    """Return the application, which loads the default network when it starts."""

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        loading = asyncio.create_task(service.load())
        yield
        loading.cancel()
        service.workshop.close()

    files = _Page(directory=PAGE, check_dir=False)

    async def page(request: Request) -> Response:
        return await files.get_response("index.html", request.scope)

    routes = [
        Route("/v1/upscale", service.upscale, methods=["POST"]),
        Route("/v1/models", service.models),
        Route("/v1/progress/{id}", service.progress),
        Route("/problems/{name}", service.problem),
        Route("/openapi.json", service.document),
        Route("/healthz", service.healthy),
        Route("/readyz", service.is_ready),
        Route("/metrics", service.counts),
        Route("/", page),
        Mount("/page", files),
    ]
    starlette = Starlette(routes=routes, lifespan=lifespan, exception_handlers=_PASSED_ON)
    starlette.router.redirect_slashes = False  # to addresses that are made of what a request says of its host
    app: ASGIApp = Frame(starlette, service.traffic, service.metrics)
    if service.rules.origins:
        app = CORSMiddleware(
            app,
            allow_origins=service.rules.origins,
            allow_methods=["GET", "POST"],
            allow_headers=["Authorization", "X-Request-ID", "Content-Type"],
            expose_headers=[*RESULT_HEADERS, "Retry-After"],
        )
    return app


class _Page(StaticFiles):
    """The page's files, asked for anew each time, and whole: they are small."""

    async def get_response(self, path: str, scope: Scope) -> Response:
        scope["headers"] = [(name, value) for name, value in scope["headers"] if name != b"range"]
        return await super().get_response(path, scope)

    def file_response(self, *args: Any, **how: Any) -> Response:
        response = super().file_response(*args, **how)
        response.headers["Cache-Control"], response.headers["Accept-Ranges"] = "no-cache", "none"
        return response


async def _pass_on(_: Request, error: Exception) -> Response:
    raise error


_PASSED_ON: dict[Any, Any] = {HTTPException: _pass_on, Exception: _pass_on}


async def _left(receive: Receive) -> None:
    """Return when the client has gone away."""
    while (await receive())["type"] != "http.disconnect":
        pass


def _forgotten(task: "asyncio.Task[Made]") -> None:
    """Take note of how a task ended that nobody waits for any more, and release what it made."""
    if not task.cancelled() and task.exception() is None:
        task.result().release()


class _Result(Response):
    """A result, sent in pieces; one who reads them too slowly gets no more."""

    def __init__(self, made: Made, headers: dict[str, str], media_type: str) -> None:
        super().__init__(None, headers=headers, media_type=media_type)
        self._made = made

    async def __call__(self, _: Scope, receive: Receive, send: Send) -> None:
        content, start = memoryview(self._made.content), time.monotonic()
        leaving = asyncio.create_task(_left(receive))
        try:
            await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
            for place in (*range(0, len(content), _PIECE), len(content)):  # at last nothing, once all before has left
                end = min(place + _PIECE, len(content))
                left = start + GRACE + end / SLOWEST - time.monotonic()
                async with asyncio.timeout(left):
                    await send({"type": "http.response.body", "body": content[place:end], "more_body": True})
                if leaving.done():
                    raise GoneError
            await send({"type": "http.response.body"})
        except TimeoutError as error:
            raise GoneError from error
        finally:
            leaving.cancel()
            self._made.release()


def _disposition(name: str) -> str:
    """Return the header that names a result, by RFC 6266."""
    if name.isascii() and '"' not in name:
        return f'attachment; filename="{name}"'
    plain = "".join(character if character.isascii() else "_" for character in name)
    return f"attachment; filename=\"{plain}\"; filename*=UTF-8''{quote(name)}"
