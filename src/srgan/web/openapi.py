"""The service in OpenAPI's words, made from the tables that it works by."""

import json
from typing import Any

from srgan import __version__
from srgan.image.writing import FORMATS
from srgan.web.parameters import PARAMETERS, Parameter
from srgan.web.problems import MEDIA_TYPE, TITLES

_UPSCALE = tuple(name for name in TITLES if name not in ("not-found", "method"))

_REQUEST_ID = {
    "name": "X-Request-ID",
    "in": "header",
    "schema": {"type": "string", "pattern": "^[A-Za-z0-9_-]{8,64}$"},
    "description": "Names the request, for /v1/progress; every answer says it. Another one is made for what is none.",
    "example": "holiday-0001",
}

RESULT_HEADERS = {
    "Srgan-Width": "Pixels of the result.",
    "Srgan-Height": "Pixels of the result.",
    "Srgan-Input-Width": "Pixels of what was enlarged.",
    "Srgan-Input-Height": "Pixels of what was enlarged.",
    "Srgan-Seconds": "From the picture's arrival to its result.",
    "Srgan-Model": "What made it.",
    "Srgan-Repair": "How far its weights were on the way of `repair`, where they were between two networks'.",
    "Srgan-Codec": "JPEG, WebP or AVIF, where that has rounded the picture, by its file or, for auto, its pixels.",
    "Srgan-Codec-Quality": "0 to 100, at which libjpeg, libwebp or libavif is about as coarse.",
    "Srgan-Noise": "The picture's, in levels of 255, where auto has looked and a side has 32 pixels.",
    "Srgan-Blur": "The picture's, in pixels, likewise.",
    "Content-Disposition": "The result's name, photo_x4.png.",
    "X-Request-ID": "The request's name.",
}


def document(models: list[str], *, token: bool) -> dict[str, Any]:
    """Return the document for a service that offers these models, and asks for a token or does not."""
    paths: dict[str, Any] = {
        "/v1/upscale": {"post": _upscale(models)},
        "/v1/models": {"get": _get("What there is to choose from, and the limits.", "models", _MODELS)},
        "/v1/progress/{id}": {"get": _progress()},
        "/healthz": {"get": _plain("Whether the process answers.")},
        "/readyz": {
            "get": _plain(
                "Whether pictures are taken: 503 before the network is loaded, and while stopping.", "stopping"
            )
        },
        "/metrics": {"get": _plain("Counts, for Prometheus.", *(["token"] if token else []))},
    }
    whole: dict[str, Any] = {
        "openapi": "3.1.0",
        "info": {
            "title": "srgan",
            "version": __version__,
            "summary": "Pictures in, photo-realistic ones of four times the size out.",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "paths": paths,
        "components": {"schemas": {"Problem": _PROBLEM}},
    }
    if token:
        whole["components"]["securitySchemes"] = {"token": {"type": "http", "scheme": "bearer"}}
        for path in ("/v1/upscale", "/v1/progress/{id}", "/metrics"):
            for operation in paths[path].values():
                operation["security"] = [{"token": []}]
    return whole


def _upscale(models: list[str]) -> dict[str, Any]:
    schemas = {parameter.name: dict(parameter.schema) for parameter in PARAMETERS}
    schemas["model"]["enum"] = models
    binary = {"schema": {"type": "string", "format": "binary"}}
    form = {"picture": {"type": "string", "format": "binary", "description": "The picture's file."}}
    for parameter in PARAMETERS:
        form[parameter.name] = schemas[parameter.name] | {"description": parameter.about}
    return {
        "operationId": "upscale",
        "summary": "Enlarge a picture.",
        "description": "Parameters are said in the query or, in a form, as fields; one of scale, width and height, and"
        " none twice. Going away ends the work.",
        "parameters": [
            *(_parameter(parameter, schemas[parameter.name]) for parameter in PARAMETERS),
            _REQUEST_ID,
        ],
        "requestBody": {
            "required": True,
            "description": "The picture's file itself, whatever its Content-Type says, or a form with it.",
            "content": {
                "image/png": binary,
                "image/jpeg": binary,
                "application/octet-stream": binary,
                "multipart/form-data": {"schema": {"type": "object", "properties": form, "required": ["picture"]}},
            },
        },
        "responses": {
            "200": {
                "description": "The result: the bytes that `srgan upscale` writes with the same options.",
                "headers": {
                    name: {"description": text, "schema": {"type": "string"}} for name, text in RESULT_HEADERS.items()
                },
                "content": {f"image/{name}": binary for name in FORMATS},
            },
            **_problems(*_UPSCALE),
        },
    }


def _parameter(parameter: Parameter, schema: dict[str, Any]) -> dict[str, Any]:
    described = {"name": parameter.name, "in": "query", "description": parameter.about, "schema": schema}
    if parameter.name not in _INSTEAD:
        plain = schema["type"] == "string"
        described["example"] = parameter.example if plain else json.loads(parameter.example)
    return described


_INSTEAD = ("width", "height")
"""Parameters that stand in the place of scale: an example of all the others at once has none of them."""


def _progress() -> dict[str, Any]:
    return {
        "operationId": "progress",
        "summary": "Watch a request, from before it is made or while it is.",
        "parameters": [
            {
                "name": "id",
                "in": "path",
                "required": True,
                "schema": {"type": "string", "pattern": "^[A-Za-z0-9_-]{8,64}$"},
                "description": "The request's X-Request-ID.",
            }
        ],
        "responses": {
            "200": {
                "description": "Events until the request is done or has failed.",
                "content": {
                    "text/event-stream": {
                        "schema": _EVENT,
                        "example": 'data: {"state": "waiting", "before": 2}\n\n',
                    }
                },
            },
            **_problems("token", "not-found", "stopping"),
        },
    }


def _get(summary: str, name: str, schema: dict[str, Any]) -> dict[str, Any]:
    content = {"application/json": {"schema": schema}}
    return {"operationId": name, "summary": summary, "responses": {"200": {"description": summary, "content": content}}}


def _plain(summary: str, *problems: str) -> dict[str, Any]:
    content = {"text/plain": {"schema": {"type": "string"}}}
    return {
        "summary": summary,
        "responses": {"200": {"description": "Yes.", "content": content}, **_problems(*problems)},
    }


def _problems(*names: str) -> dict[str, Any]:
    """Return the answers with the problems' statuses."""
    by_status: dict[int, list[str]] = {}
    for name in names:
        by_status.setdefault(TITLES[name][0], []).append(name)
    return {str(status): _answer(*by_status[status]) for status in sorted(by_status)}


def _answer(*names: str) -> dict[str, Any]:
    status, _ = TITLES[names[0]]
    example = {
        "type": f"/problems/{names[0]}",
        "title": TITLES[names[0]][1],
        "status": status,
        "detail": _DETAILS.get(names[0], TITLES[names[0]][1]),
        "instance": "holiday-0001",
    }
    answer: dict[str, Any] = {
        "description": ". ".join(TITLES[name][1] for name in names) + ".",
        "content": {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}, "example": example}},
    }
    if status in (429, 503):
        answer["headers"] = {
            "Retry-After": {"description": "Seconds after which there may be room.", "schema": {"type": "integer"}}
        }
    return answer


_DETAILS = {
    "not-a-picture": "photo.jpg: not a picture, or not of a kind that can be read",
    "bad-parameter": "no format 'gif': png, jpeg, webp, avif, tiff, same",
    "busy": "16 pictures are waiting already",
    "too-large": "the picture has more than 50,000,000 bytes, the limit here",
}

_TEXT, _COUNT, _YES_NO = {"type": "string"}, {"type": "integer", "minimum": 0}, {"type": "boolean"}


def _object(**properties: Any) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "required": list(properties)}


_PROBLEM = _object(type=_TEXT, title=_TEXT, status={"type": "integer"}, detail=_TEXT, instance=_TEXT) | {
    "description": "RFC 9457"
}

_EVENT = _object(data=_TEXT) | {
    "description": "An event, whose data are JSON: the state, waiting (with how many are before it), working (with the"
    " fraction done, the seconds so far and those left), writing, done or failed (with the detail)."
}

_MODELS = _object(
    models={
        "type": "array",
        "items": _object(
            name=_TEXT,
            title=_TEXT,
            about=_TEXT,
            scale=_COUNT,
            parameters=_COUNT,
            checksum=_TEXT,
            licence=_TEXT,
            detail=_YES_NO,
            repair=_YES_NO,
            consistent=_YES_NO,
            ensemble=_YES_NO,
            seamless=_YES_NO,
            confidence=_YES_NO,
        ),
    },
    default=_TEXT,
    formats={"type": "array", "items": _object(name=_TEXT, media_type=_TEXT, suffix=_TEXT, quality=_YES_NO)},
    reads={"type": "array", "items": _TEXT},
    limits=_object(bytes=_COUNT, input_pixels=_COUNT, output_pixels=_COUNT, seconds={"type": "number"}, waiting=_COUNT),
    token=_YES_NO,
)
