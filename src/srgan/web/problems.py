"""What goes wrong with a request, as RFC 9457 has it told: application/problem+json."""

from collections.abc import Mapping
from typing import Any

from srgan.errors import ArgumentError, OutputError, PictureError, SrganError, TooLargeError, UnknownKindError

MEDIA_TYPE = "application/problem+json"

TITLES = {
    "not-a-picture": (400, "What was sent is not a picture, or a damaged one"),
    "bad-request": (400, "The request cannot be read"),
    "token": (401, "A token is needed"),
    "origin": (403, "Pages of other origins may not ask for this"),
    "not-found": (404, "There is nothing of this name"),
    "method": (405, "This cannot be done here"),
    "too-slow": (408, "The picture arrives too slowly"),
    "too-large": (413, "Too many bytes or pixels"),
    "unknown-kind": (415, "A kind of picture or of body that is not read"),
    "bad-parameter": (422, "A parameter cannot be right"),
    "busy": (429, "Too many pictures are waiting"),
    "failed": (500, "Something went wrong here"),
    "stopping": (503, "The service is not ready, or stopping"),
    "too-long": (504, "It takes too long"),
}
"""Every problem, with its status and title. The path /problems/NAME stands for it."""


class Problem(Exception):  # noqa: N818  # not an error of the program's
    """A request comes to nothing: one of TITLES, and one line that says what and where."""

    def __init__(self, name: str, detail: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(detail)
        self.name, self.detail, self.headers = name, detail, dict(headers or {})
        self.status, self.title = TITLES[name]

    def as_json(self, request_id: str) -> dict[str, Any]:
        """Return the problem as a document, `request_id` the instance of it."""
        return {
            "type": f"/problems/{self.name}",
            "title": self.title,
            "status": self.status,
            "detail": self.detail,
            "instance": request_id,
        }


def problem_of(error: SrganError) -> Problem:
    """Return the problem that an error of a picture, its parameters or its result is."""
    detail = " ".join(str(error).splitlines())
    if isinstance(error, TooLargeError):
        return Problem("too-large", " ".join(error.told.splitlines()))
    if isinstance(error, UnknownKindError):
        return Problem("unknown-kind", detail)
    if isinstance(error, PictureError):
        return Problem("not-a-picture", detail)
    if isinstance(error, ArgumentError | OutputError):
        return Problem("bad-parameter", detail)
    return Problem("failed", detail)
