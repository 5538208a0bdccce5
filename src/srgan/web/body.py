"""The body of a request: a picture itself, or a form with one in it. Counted while it arrives, and kept in memory."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterator, MutableMapping
from contextlib import contextmanager
from typing import Any, TypeAlias

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header

from srgan.web.problems import Problem

Receive: TypeAlias = Callable[[], Awaitable[MutableMapping[str, Any]]]

GRACE = 10.0
"""Seconds after which what has arrived of a body has to be as much as SLOWEST makes since then."""

SLOWEST = 32_000
"""Bytes a second."""

SILENCE = 10.0
"""Seconds that nothing may arrive of a body, however much has."""

_PATIENCE = 5.0  # seconds that the rest of a refused body is read and dropped, so that its sender sees the answer
_MOST_PARTS = 32
_LONGEST_FIELD = 4_096
_FRAME = 2 * _MOST_PARTS * _LONGEST_FIELD  # bytes of a form beside its picture: fields, and as much for their headers
_FORM = b"multipart/form-data"


class GoneError(Exception):
    """The client has gone away."""


class Body:
    """What has arrived of a request: the picture, and of a form its fields and what it calls the picture."""

    def __init__(self) -> None:
        self.picture = bytearray()
        self.fields: list[tuple[str, str]] = []
        self.name = ""
        self.size = 0  # with all of a form

    def take(self) -> bytes:
        """Return the picture, which the body has no more."""
        picture, self.picture = bytes(self.picture), bytearray()
        return picture


class Inbox:
    """Bodies that arrive or wait, each with a picture of at most `most` bytes, in `seconds`, and all of `together`."""

    def __init__(self, most: int, together: int, seconds: float) -> None:
        self._most, self._together, self._seconds = most, together, seconds
        self.held = 0

    @contextmanager
    def body(self) -> Iterator[Body]:
        """Give a body to fill; its bytes count until the end of the block."""
        body = Body()
        try:
            yield body
        finally:
            self.held -= body.size
            body.picture = bytearray()

    async def fill(self, body: Body, receive: Receive, content_type: str, length: str) -> None:
        """Read the body of a request, whose headers say its type and, if anything, its length.

        Raises Problem where it is too large, too slow, or a form that is not understood, and GoneError.
        """
        kind, options = parse_options_header(content_type)
        most = self._most + (_FRAME if kind == _FORM else 0)
        if length.isdecimal() and int(length) > most:  # so that it need not be sent first
            raise self._too_large()
        if kind.startswith(b"multipart/") and (kind != _FORM or b"boundary" not in options):
            raise Problem("unknown-kind", f"a form is multipart/form-data with a boundary, not {content_type}")
        try:
            form = _Form(options[b"boundary"], body) if kind == _FORM else None
            start, more = time.monotonic(), True
            while more:
                latest = start + min(GRACE + body.size / SLOWEST, self._seconds)
                piece, more = await _piece(receive, min(latest, time.monotonic() + SILENCE), body.size)
                body.size += len(piece)
                self.held += len(piece)
                if body.size > most:
                    raise self._too_large()
                if self.held > self._together:
                    raise Problem("busy", "too many bytes of pictures arrive or wait", {"Retry-After": "5"})
                if form is None:
                    body.picture += piece
                else:
                    form.write(piece)
                    if len(body.picture) > self._most:
                        raise self._too_large()
            if form is not None:
                form.finish()
        except FormParserError as error:
            raise Problem("bad-request", f"the form cannot be read: {error}") from error
        if not body.picture:
            raise Problem("not-a-picture", "the picture is empty" if form is None else "the form has no part 'picture'")

    def _too_large(self) -> Problem:
        return Problem("too-large", f"the picture has more than {self._most:,} bytes, the limit here")


async def drop(receive: Receive) -> None:
    """Read and drop what a refused request still sends, for a while: else its sender may not see the answer."""
    try:
        async with asyncio.timeout(_PATIENCE):
            while (await receive()).get("more_body"):
                pass
    except TimeoutError:
        pass


async def _piece(receive: Receive, latest: float, size: int) -> tuple[bytes, bool]:
    """Return what arrives next, and whether more will. Raises Problem where that is late, GoneError."""
    try:
        async with asyncio.timeout(latest - time.monotonic()):
            message = await receive()
    except TimeoutError as error:
        raise Problem("too-slow", f"the picture arrives too slowly: {size:,} bytes until now") from error
    if message["type"] == "http.disconnect":
        raise GoneError
    return message["body"], bool(message.get("more_body"))


class _Form:
    """A form that arrives in pieces: one part `picture`, and short fields."""

    def __init__(self, boundary: bytes, body: Body) -> None:
        self._body, self._parts = body, 0
        self._header_name, self._header_value = bytearray(), bytearray()
        self._name, self._value = "", bytearray()
        self._pictures, self._ended = 0, False
        self._parser = MultipartParser(
            boundary,
            {
                "on_part_begin": self._begin_part,
                "on_header_field": self._more_header_name,
                "on_header_value": self._more_header_value,
                "on_header_end": self._end_header,
                "on_part_data": self._more,
                "on_part_end": self._end_part,
                "on_end": self._end,
            },
        )

    def write(self, piece: bytes) -> None:
        self._parser.write(piece)

    def finish(self) -> None:
        self._parser.finalize()
        if not self._ended:
            raise Problem("bad-request", "the form ends before its last boundary")

    def _begin_part(self) -> None:
        self._parts += 1
        if self._parts > _MOST_PARTS:
            raise Problem("bad-request", f"the form has more than {_MOST_PARTS} parts")
        self._name, self._value = "", bytearray()

    def _more_header_name(self, data: bytes, start: int, end: int) -> None:
        self._header_name += data[start:end]

    def _more_header_value(self, data: bytes, start: int, end: int) -> None:
        self._header_value += data[start:end]

    def _end_header(self) -> None:
        if self._header_name.lower() == b"content-disposition":
            _, options = parse_options_header(bytes(self._header_value))
            self._name = options.get(b"name", b"").decode(errors="replace")
            if self._name == "picture":
                self._pictures += 1
                if self._pictures > 1:
                    raise Problem("bad-request", "the form has two parts 'picture'")
                self._body.name = options.get(b"filename", b"").decode(errors="replace")
            elif b"filename" in options:
                raise Problem("bad-request", f"a file is the form's part 'picture', not {self._name[:40]!r}")
        self._header_name, self._header_value = bytearray(), bytearray()

    def _more(self, data: bytes, start: int, end: int) -> None:
        if self._name == "picture":
            self._body.picture += data[start:end]
        else:
            self._value += data[start:end]
            if len(self._value) > _LONGEST_FIELD:
                raise Problem("bad-request", f"a field of the form has more than {_LONGEST_FIELD} bytes")

    def _end_part(self) -> None:
        if self._name != "picture":
            try:
                self._body.fields.append((self._name, self._value.decode()))
            except UnicodeDecodeError as error:
                raise Problem("bad-request", "a field of the form is not UTF-8") from error

    def _end(self) -> None:
        self._ended = True
