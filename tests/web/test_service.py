import asyncio
import gc
import io
import json
import logging
import os
import re
import select
import signal
import socket
import struct
import subprocess
import sys
import threading
import time
import weakref
import zlib
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from service import Answer, Running, serving

import made
import references
from conftest import card_of
from fakes import Nearest
from srgan.cli import main
from srgan.data.degradation import with_blur, with_noise
from srgan.errors import ArgumentError, InferenceError
from srgan.image.picture import Condition, Limits, Picture
from srgan.image.reading import read_picture
from srgan.image.resize import bicubic_taps, imresize
from srgan.image.size import Size
from srgan.image.writing import write_picture
from srgan.image.xmp import find_fingerprint
from srgan.models.generator import Generator
from srgan.models.tensors import save_generator
from srgan.web import app, body, server
from srgan.web.app import Rules
from srgan.web.body import GoneError
from srgan.web.costs import bytes_of_bicubic, count_scans, network_pixels
from srgan.web.frame import Frame, JsonLines, Traffic
from srgan.web.metrics import Metrics
from srgan.web.networks import Networks
from srgan.web.parameters import Crop, read_order
from srgan.web.problems import Problem
from srgan.web.work import EndedError, Made, Work, Workshop, _cropped
from srgan.weights import NAMES, Choice


def png(height: int = 13, width: int = 17, *, channels: int = 3, seed: int = 0) -> bytes:
    random = np.random.default_rng(seed)
    return made.png(random.integers(0, 256, (height, width, channels), dtype=np.uint8))


def form(**parts: tuple[str, bytes] | bytes) -> tuple[bytes, str]:
    """Return a form, and its Content-Type; a part with a file name is a pair."""
    lines = []
    for name, content in parts.items():
        file, value = content if isinstance(content, tuple) else (None, content)
        more = f'; filename="{file}"' if file is not None else ""
        lines.append(f'--line\r\nContent-Disposition: form-data; name="{name}"{more}\r\n\r\n'.encode() + value)
    return b"\r\n".join([*lines, b"--line--\r\n"]), "multipart/form-data; boundary=line"


RULES = Rules(bytes=200_000, limits=Limits(20_000, 500_000))


@pytest.fixture(scope="module")
def weights(tiny: Generator, tiny_onnx: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """The tiny network in the place of the shipped ones."""
    folder = tmp_path_factory.mktemp("weights")
    for name in NAMES:
        (folder / f"{name}.onnx").write_bytes(tiny_onnx.read_bytes())
        save_generator(tiny, folder / f"{name}.safetensors", card_of(tiny, name, "tiny_x4"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("srgan.weights._FOLDER", folder)
        yield


@pytest.fixture(scope="module")
def running(weights: None) -> Iterator[Running]:  # noqa: ARG001
    """One service for many tests."""
    with serving(RULES) as service:
        yield service


@pytest.fixture
def fresh(weights: None) -> Iterator[Running]:  # noqa: ARG001
    """A service that has counted nothing yet."""
    with serving(RULES) as service:
        yield service


@pytest.mark.parametrize(
    ("query", "options"),
    [
        ("", []),
        ("format=jpeg&quality=70&name=a.png", ["--format", "jpeg", "--quality", "70"]),
        ("detail=0.5&scale=2.5", ["--detail", "0.5", "--scale", "2.5"]),
        ("model=srresnet&width=100&consistent=true", ["--model", "srresnet", "--width", "100", "--consistent"]),
        ("model=srresnet&ensemble=true", ["--model", "srresnet", "--ensemble"]),
        ("model=srresnet&seamless=true&scale=2", ["--model", "srresnet", "--seamless", "--scale", "2"]),
        ("width=50&height=30&format=webp", ["--fit", "50x30", "--format", "webp"]),
        ("strip=true&format=tiff", ["--strip", "--format", "tiff"]),
    ],
)
def test_the_bytes_are_those_of_the_command_line(
    running: Running, tmp_path: Path, query: str, options: list[str]
) -> None:
    exif = made.chunk(b"eXIf", made.exif())
    picture = made.png(np.random.default_rng(1).integers(0, 256, (13, 17, 4), dtype=np.uint8), exif)
    if "jpeg" in query:
        picture = png()
    (tmp_path / "photo.png").write_bytes(picture)
    assert main(["upscale", str(tmp_path / "photo.png"), "-o", str(tmp_path / "out"), *options]) == 0
    answer = running.upscale(picture, query)
    assert answer.status == 200
    [result] = (tmp_path / "out").iterdir()
    assert answer.body == result.read_bytes()
    with Image.open(result) as image:
        assert (int(answer.headers["srgan-width"]), int(answer.headers["srgan-height"])) == image.size
        assert answer.headers["content-type"] == Image.MIME[image.format or ""]
    assert int(answer.headers["content-length"]) == len(answer.body)


def test_the_same_format_goes_by_the_name(running: Running) -> None:
    for name, kind in (("a.jpeg", "jpeg"), ("a.webp", "webp"), ("a.gif", "png"), ("a", "png")):
        answer = running.upscale(png(), f"format=same&quality=60&name={name}")
        quality = "" if kind == "png" else "&quality=60"
        assert answer.body == running.upscale(png(), f"format={kind}{quality}").body
        assert answer.headers["content-type"] == f"image/{kind}"
        assert f"a_x4.{kind if kind != 'jpeg' else 'jpg'}" in answer.headers["content-disposition"]


def test_a_long_name_loses_its_end(running: Running) -> None:
    answer = running.upscale(png(), f"name=v1.2-{'b' * 300}.jpg")
    assert answer.headers["content-disposition"] == f'attachment; filename="v1.2-{"b" * 115}_x4.png"'


@pytest.mark.usefixtures("weights")
def test_the_map_of_confidence_is_that_of_the_command_line(tmp_path: Path) -> None:
    (tmp_path / "photo.png").write_bytes(png())
    where = [str(tmp_path / name) for name in ("photo.png", "large.png", "map.png")]
    assert main(["upscale", where[0], "-o", where[1], "--confidence", where[2]]) == 0
    with serving() as running:
        answer = running.upscale(png(), "show=confidence&name=photo.png")
    assert answer.body == Path(where[2]).read_bytes()
    assert answer.headers["content-disposition"] == 'attachment; filename="photo_x4_confidence.png"'


def test_a_form_says_the_same_as_a_query(running: Running) -> None:
    content, kind = form(picture=("C:\\my pictures\\Größe.jpg", png()), format=b"webp", quality=b"50")
    answer = running.ask("POST", "/v1/upscale?scale=3", content, {"Content-Type": kind})
    assert answer.status == 200
    assert answer.body == running.upscale(png(), "format=webp&quality=50&scale=3").body
    assert answer.headers["content-disposition"] == (
        "attachment; filename=\"Gr__e_x3.webp\"; filename*=UTF-8''Gr%C3%B6%C3%9Fe_x3.webp"
    )
    assert answer.headers["content-type"] == "image/webp"


def test_what_the_headers_say(running: Running) -> None:
    answer = running.upscale(png(), "name=../../etc/passwd.png&crop=2,3,10,8", X_Request_ID="holiday-1")
    assert answer.status == 200
    assert answer.headers["content-disposition"] == 'attachment; filename="passwd_x4.png"'
    assert answer.headers["x-request-id"] == "holiday-1"
    assert answer.headers["srgan-model"] == "srgan-plus"
    assert (answer.headers["srgan-input-width"], answer.headers["srgan-input-height"]) == ("10", "8")
    assert (answer.headers["srgan-width"], answer.headers["srgan-height"]) == ("40", "32")
    assert 0 < float(answer.headers["srgan-seconds"]) < 30
    assert "default-src 'self'" in answer.headers["content-security-policy"]
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert "access-control-allow-origin" not in answer.headers
    assert "srgan-codec-quality" not in answer.headers
    assert "srgan-noise" not in answer.headers  # it is too small
    assert "srgan-blur" not in answer.headers
    assert re.fullmatch(r"[\w-]{8,64}", running.upscale(png(), X_Request_ID="<short>").headers["x-request-id"])


def test_the_headers_tell_a_jpegs_quality_noise_blur_and_what_was_chosen_for_it(running: Running) -> None:
    file = io.BytesIO()
    Image.new("RGB", (17, 13)).save(file, "JPEG", quality=60)
    poor = file.getvalue()
    for query, model in {
        "": "srgan-photo",
        "model=auto": "srgan-photo",
        "show=confidence": "srgan-photo",
        "model=srresnet": "srresnet",
        "detail=0.5": "srgan-plus",
        "detail=0.5&model=auto": "srgan-plus",
        "repair=0": "srgan-plus",
        "repair=1": "srgan-photo",
        "repair=2": "srgan-deblur",
        "model=auto-fast": "srgan-fast-photo",
        "model=srgan-fast": "srgan-fast",
        "model=srgan-fast&repair=1": "srgan-fast-photo",
        "model=srgan-fast&repair=2": "srgan-fast-deblur",
        "model=bicubic": "bicubic",
    }.items():
        headers = running.upscale(poor, query).headers
        assert (headers["srgan-codec-quality"], headers["srgan-model"]) == ("60", model), query
        assert "srgan-repair" not in headers
    noisy = made.png(with_noise(references.chelsea()[1][100:180, 130:210], 5, np.random.default_rng(0)))
    for query, model in {
        "": "srgan-photo",
        "crop=10,20,40,32": "srgan-photo",
        "model=auto-fast": "srgan-fast-photo",
    }.items():
        headers = running.upscale(noisy, query).headers
        assert float(headers["srgan-noise"]) == pytest.approx(5, abs=1)
        assert (headers.get("srgan-codec"), headers["srgan-model"]) == (None, model), query
    assert "srgan-noise" not in running.upscale(noisy, "model=srgan-plus").headers
    soft = made.png(with_blur(references.chelsea()[1][100:180, 130:210], 1.5))
    for query, model in {
        "": "srgan-deblur",
        "model=auto-fast": "srgan-fast-deblur",
        "consistent=true": "srgan-plus",
        "model=auto-fast&consistent=true": "srgan-fast",
    }.items():
        headers = running.upscale(soft, query).headers
        assert float(headers["srgan-blur"]) == pytest.approx(1.5, abs=0.4)
        assert headers["srgan-model"] == model
    once = made.png(made.as_jpeg(references.chelsea()[1][100:180, 130:210], 60))
    for query, told in {
        "": ("60", "srgan-photo"),
        "crop=10,20,40,32": ("60", "srgan-photo"),
        "model=auto-fast": ("60", "srgan-fast-photo"),
        "model=srgan-plus": (None, "srgan-plus"),
        "repair=0.5": (None, "srgan-plus"),
    }.items():
        headers = running.upscale(once, query).headers
        assert (headers.get("srgan-codec-quality"), headers["srgan-model"]) == told, query
    file = io.BytesIO()
    Image.new("RGB", (17, 13)).save(file, "JPEG", quality=95)
    good = file.getvalue()
    asked = (
        (good, "", "0.5"),
        (poor, "repair=0.25", "0.25"),
        (poor, "repair=1.25", "1.25"),
        (good, "model=auto-fast", "0.5"),
    )
    for picture, query, repair in asked:
        headers = running.upscale(picture, query).headers
        model = "srgan-fast" if "fast" in query else "srgan-plus"
        assert (headers["srgan-model"], headers["srgan-repair"]) == (model, repair)


def test_a_crop_is_of_the_picture_as_shown(running: Running) -> None:
    samples = np.random.default_rng(2).integers(0, 256, (30, 40, 3), dtype=np.uint8)
    turned = made.png(samples, made.chunk(b"eXIf", made.exif()))  # a quarter to the right
    upright = np.rot90(samples, -1)[5:25, 10:26]
    answer = running.upscale(turned, "crop=10,5,16,20&model=bicubic&scale=2")
    with Image.open(io.BytesIO(answer.body)) as image:
        np.testing.assert_array_equal(np.asarray(image), imresize(np.ascontiguousarray(upright), scale=2))


def test_a_gray_part_is_as_in_the_result_of_the_whole(running: Running) -> None:
    gray = np.random.default_rng(2).integers(0, 256, (20, 60), dtype=np.uint8)
    samples = np.dstack([gray] * 3)

    def tints(content: bytes, query: str) -> int:
        with Image.open(io.BytesIO(running.upscale(content, query).body)) as image:
            return int(np.ptp(np.asarray(image)[:, -40:].astype(int), axis=2).max())

    assert (tints(made.png(samples), ""), tints(made.png(samples), "crop=40,0,20,20")) == (0, 0)
    samples[:, 0] = 200, 10, 10
    assert tints(made.png(samples), "") > 0
    assert tints(made.png(samples), "crop=40,0,20,20") > 0


def test_a_crop_is_inside_each_page(running: Running) -> None:
    """What it leaves nothing of would go through the network for ever."""
    pages = io.BytesIO()
    large, small = (Image.new("RGB", (side, side)) for side in (16, 4))
    large.save(pages, "TIFF", save_all=True, append_images=[small])
    for query in ("", "&model=bicubic", "&width=20"):
        answer = running.upscale(pages.getvalue(), f"crop=8,8,4,4&format=tiff{query}")
        assert answer.problem["detail"] == "the crop is not inside page 2 of the picture, which has 4x4 pixels"
    for query in ("crop=1,1,3,3&format=tiff", "crop=8,8,4,4&show=first", "crop=8,8,4,4&show=confidence"):
        assert running.upscale(pages.getvalue(), query).status == 200


def test_the_first_page_alone(running: Running) -> None:
    pages = io.BytesIO()
    red, green = (Image.new("RGB", (5, 4), colour) for colour in ("red", "green"))
    red.save(pages, "TIFF", save_all=True, append_images=[green])
    assert "has 2 pages and PNG holds one" in running.upscale(pages.getvalue()).problem["detail"]
    answer = running.upscale(pages.getvalue(), "show=first")
    alone = io.BytesIO()
    red.save(alone, "TIFF")
    assert np.array_equal(
        read_picture(io.BytesIO(answer.body)).pixels,
        read_picture(io.BytesIO(running.upscale(alone.getvalue()).body)).pixels,
    )


def test_a_map_has_no_transparency_and_no_quality(running: Running) -> None:
    for query in ("format=jpeg", "quality=90"):
        assert running.upscale(png(channels=4), query).status == 422
        assert running.upscale(png(channels=4), f"show=confidence&{query}").status == 200


def test_what_a_crop_or_a_map_is_of_tells_its_fingerprint(running: Running) -> None:
    queries = ("", "crop=0,0,17,13", "crop=0,0,17,12", "crop=0,1,17,12", "show=first", "show=confidence")
    found = [find_fingerprint(io.BytesIO(running.upscale(png(), query).body)) for query in queries]
    assert None not in found
    assert len(set(found)) == len(queries)
    assert found[0] == find_fingerprint(io.BytesIO(running.upscale(png(), "scale=4.0").body))


def test_bicubic_is_that_of_matlab(running: Running) -> None:
    samples = np.random.default_rng(3).integers(0, 256, (9, 12, 3), dtype=np.uint8)
    answer = running.upscale(made.png(samples), "model=bicubic")
    assert answer.headers["srgan-model"] == "bicubic"
    with Image.open(io.BytesIO(answer.body)) as image:
        np.testing.assert_array_equal(np.asarray(image), imresize(samples, scale=4))


def test_bicubic_of_16_bits_and_transparency(running: Running) -> None:
    samples = np.random.default_rng(4).integers(0, 65536, (9, 12, 4), dtype=np.uint16)
    samples[..., 3] = 65535
    answer = running.upscale(made.png(samples), "model=bicubic")
    header = answer.body[24:26]
    assert header == bytes([16, 6]), "16 bits, colour with transparency"
    whole = imresize((samples[..., :3] / np.float32(65535)).astype(np.float32), scale=4)
    raw = zlib.decompress(b"".join(_chunks(answer.body, b"IDAT")))
    rows = np.frombuffer(_unfiltered(raw, 48 * 8, 8), ">u2").reshape(36, 48, 4)
    assert np.abs(rows[..., :3] - whole.clip(0, 1) * 65535).max() <= 0.51
    assert (rows[..., 3] == 65535).all()


def test_bicubic_has_no_fringe_of_what_nobody_saw(running: Running) -> None:
    samples = np.zeros((8, 8, 4), dtype=np.uint8)
    samples[:, :4] = 255, 0, 0, 255
    answer = running.upscale(made.png(samples), "model=bicubic")
    with Image.open(io.BytesIO(answer.body)) as image:
        result = np.asarray(image)
    seen = result[..., 3] > 0
    assert 0 < seen.sum() < seen.size
    assert (result[seen][:, :3] == (255, 0, 0)).all()


def test_bicubic_makes_a_side_at_most_64_times_as_small(running: Running) -> None:
    """What it reads for a pixel would grow with that; Pillow's resampling of what a network makes is another matter."""
    wide = png(1, 129, channels=1)
    answer = running.upscale(wide, "model=bicubic&width=2")
    assert answer.status == 422
    assert answer.problem["detail"] == "bicubic makes a side at most 64 times as small, and not 129x1 to 2x1"
    assert running.upscale(wide, "model=bicubic&width=3").status == 200
    assert running.upscale(wide, "model=bicubic&width=2&crop=0,0,128,1").status == 200
    assert running.upscale(wide, "model=srresnet&width=1").status == 200


def test_a_side_has_its_limit_whatever_says_the_size(running: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("srgan.web.costs.MOST_PIXELS", 68)
    assert running.upscale(png(13, 17), "scale=4").status == 200
    answer = running.upscale(png(13, 17), "scale=4.1")
    assert answer.status == 422
    assert answer.problem["detail"] == "a side of the result has 70 pixels, more than 68"


def _chunks(content: bytes, wanted: bytes) -> Iterator[bytes]:
    place = 8
    while place < len(content):
        length, kind = struct.unpack(">I4s", content[place : place + 8])
        if kind == wanted:
            yield content[place + 8 : place + 8 + length]
        place += 12 + length


def _unfiltered(raw: bytes, length: int, step: int) -> bytes:
    """Undo the filters of a PNG's rows."""
    above, out = bytearray(length), bytearray()
    for start in range(0, len(raw), length + 1):
        kind, row = raw[start], bytearray(raw[start + 1 : start + 1 + length])
        for i in range(length):
            left = row[i - step] if i >= step else 0
            corner = above[i - step] if i >= step else 0
            guess = [0, left, above[i], (left + above[i]) // 2, _paeth(left, above[i], corner)][kind]
            row[i] = (row[i] + guess) & 255
        out += row
        above = row
    return bytes(out)


def _paeth(left: int, up: int, corner: int) -> int:
    guess = left + up - corner
    return min((left, up, corner), key=lambda value: abs(guess - value))


@pytest.mark.parametrize(
    ("query", "detail"),
    [
        ("scal=3", "no parameter 'scal': scale?"),
        ("scale=3&scale=3", "scale is given twice"),
        ("scale=3&width=5", "one of scale, width and height says the size, not two"),
        ("scale=0", "scale is more than 0, and up to 16, not '0'"),
        ("scale=1e999", "scale is more than 0, and up to 16, not '1e999'"),
        ("scale=nan", "scale is a number, not 'nan'"),
        ("scale=16.5", "scale is more than 0, and up to 16, not '16.5'"),
        ("format=same", "format same goes by the picture's name, which is not said: name=photo.jpg"),
        ("width=1_0", "width is a whole number, not '1_0'"),
        ("width=0", "width goes from 1 to 1000000, not '0'"),
        ("quality=101&format=webp", "quality goes from 1 to 100, not '101'"),
        ("quality=50", "PNG has no quality: it loses nothing"),
        ("format=gif", "no format 'gif': png, jpeg, webp, avif, tiff, same"),
        ("format=jpeg", "JPEG has no transparency and the picture has; choose .png or .webp"),
        ("detail=2", "detail goes from 0 to 1, not '2'"),
        ("detail=0.5&model=srresnet", "detail goes from 0, srresnet, to 1, srgan-plus; not 0.5 of srresnet"),
        ("detail=0.5&repair=0.5", "detail and repair are two ways that begin at srgan-plus: one of them"),
        (
            "model=esrgan",
            "no model 'esrgan': auto, auto-fast, srgan-plus, srgan-photo, srgan-deblur, srgan-fast, srgan-fast-photo, "
            "srgan-fast-deblur, srgan, srresnet, bicubic",
        ),
        (
            "model=/etc/passwd",
            "no model '/etc/passwd': auto, auto-fast, srgan-plus, srgan-photo, srgan-deblur, srgan-fast, "
            "srgan-fast-photo, srgan-fast-deblur, srgan, srresnet, bicubic",
        ),
        (
            "model=bicubic&show=confidence",
            "the map of confidence compares srgan-plus, srgan-photo, srgan-deblur, srgan-fast, srgan-fast-photo, "
            "srgan-fast-deblur, srgan, srresnet; bicubic"
            " is none of them",
        ),
        ("model=bicubic&consistent=true", "bicubic is not corrected: consistent is for networks"),
        (
            "model=bicubic&ensemble=true",
            "bicubic makes the same of every orientation: ensemble is for networks",
        ),
        ("model=bicubic&seamless=true", "bicubic is not wrapped around: seamless is for networks"),
        (
            "seamless=true&crop=0,0,8,8",
            "a crop does not continue where it wraps around: seamless is for whole pictures",
        ),
        ("consistent=yes", "consistent is true or false, not 'yes'"),
        ("show=all", "no show 'all': result, first, confidence"),
        ("crop=1,2,3", "crop is LEFT,TOP,WIDTH,HEIGHT, whole numbers, not '1,2,3'"),
        ("crop=0,0,0,5", "a crop without pixels: LEFT,TOP,WIDTH,HEIGHT"),
        ("crop=10,0,8,5", "the crop is not inside the picture, which has 17x13 pixels"),
        (f"format={'x' * 50}", f"no format '{'x' * 40}…': png, jpeg, webp, avif, tiff, same"),
    ],
)
def test_a_parameter_that_cannot_be_is_one_line(running: Running, query: str, detail: str) -> None:
    answer = running.upscale(png(channels=4), query)
    assert answer.status == 422
    assert answer.problem["detail"] == detail
    assert running.ask("GET", answer.problem["type"]).body == b"422: A parameter cannot be right\n"


def bomb() -> bytes:
    """A small file that says it has many pixels."""
    header = struct.pack(">IIBBBBB", 50_000, 50_000, 8, 2, 0, 0, 0)
    parts = [made.chunk(b"IHDR", header), made.chunk(b"IDAT", zlib.compress(bytes(100_000))), made.chunk(b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


@pytest.mark.parametrize(
    ("picture", "status", "detail"),
    [
        (b"", 400, "the picture is empty"),
        (b"hello", 400, "a.png: not a picture, or not of a kind that can be read"),
        (png()[:-100], 400, "a.png: damaged: "),
        (bytes(200_001), 413, "the picture has more than 200,000 bytes, the limit here"),
        (bomb(), 413, "a.png: too large: 50000x50000 are 2,500 megapixels, more than the limit of 20,000 pixels"),
        (b"\xff\xd8" + 101 * b"\xff\xda\0\4..dots", 400, "a.png: a JPEG of more than 100 scans"),
        (b"\xff\xd8" + 10_001 * b"\xff\xe1\0\2", 400, "a.png: a JPEG of more than 100 scans"),
        (b"\xff\xd8\xff\x01" + 101 * b"\xff\xda\0\4..dots", 400, "a.png: a JPEG of more than 100 scans"),
    ],
)
def test_a_picture_that_is_none_is_one_line(running: Running, picture: bytes, status: int, detail: str) -> None:
    answer = running.upscale(picture, "name=a.png")
    assert answer.status == status
    assert detail in answer.problem["detail"]


def test_heic_without_its_plugin_is_415(running: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("srgan.image.reading._formats", lambda: ("PNG", "JPEG"))
    answer = running.upscale(b"\0\0\0\x18ftypheic", "name=a.heic")
    assert answer.status == 415
    assert "a.heic: HEIC and HEIF need one more package" in answer.problem["detail"]


@pytest.mark.parametrize("progressive", [False, True])
def test_a_jpeg_has_few_scans_whatever_follows_it(running: Running, progressive: bool) -> None:
    content = io.BytesIO()
    Image.effect_noise((40, 40), 90).save(content, "JPEG", progressive=progressive, exif=made.exif())
    assert count_scans(content.getvalue()) == (6 if progressive else 1)
    film = 200 * b"\xff\xda\0\4..dots"  # behind a picture, as phones put one
    assert count_scans(content.getvalue() + film) <= 6
    assert running.upscale(content.getvalue() + film).status == 200


@pytest.mark.parametrize(
    ("before", "hidden"),
    [
        (b"\xff\xc4", b"\xff\x01\xff\xc4"),  # a marker without a length
        (b"\xff\xd0", b"\xff\x02\xff\xd0"),  # a reserved one, where a restart is looked for
        (b"\xff\xd8", b"\xff\xd8\xff\xd9\xff\xd8"),  # the end of tables alone
        (b"\xff\xc4", b"\xff\xff\xff\x00\xff\xff\xff\xc4"),  # what fills, and what was left over
    ],
)
def test_no_scans_of_a_jpeg_hide(before: bytes, hidden: bytes) -> None:
    """Whatever is put into the first scan, or before the picture: libjpeg finds the scans that follow, and so do we."""
    content = io.BytesIO()
    Image.effect_noise((40, 40), 90).save(content, "JPEG", progressive=True, restart_marker_blocks=1)
    whole = content.getvalue()
    place = 0 if before == b"\xff\xd8" else whole.index(before, whole.index(b"\xff\xda"))
    tricky = whole[:place] + hidden + whole[place + len(before) :]
    with Image.open(content) as image, Image.open(io.BytesIO(tricky)) as other:
        np.testing.assert_array_equal(np.asarray(image), np.asarray(other))
    assert count_scans(tricky) == count_scans(whole) == 6


def test_a_result_that_is_too_large_is_one_line(running: Running) -> None:
    answer = running.upscale(png(100, 140), "scale=12")
    assert answer.status == 413
    detail = "a result of 2,016,000 pixels is more than the limit of 500,000 pixels"
    assert answer.problem["detail"] == detail, "and nothing of options that only the service's owner has"
    answer = running.upscale(png(50, 50), "scale=5")
    assert answer.status == 413
    assert "the network makes 640,000 pixels on the way to that size" in answer.problem["detail"]
    assert running.upscale(png(2, 2), "width=200").status == 200
    answer = running.upscale(png(2, 2), "width=200&seamless=true")  # of which far more goes through the network
    assert answer.status == 413
    assert "pixels on the way to that size" in answer.problem["detail"]


@pytest.mark.parametrize(
    ("content", "kind", "status", "detail"),
    [
        (form(format=b"webp")[0], "multipart/form-data; boundary=line", 400, "the form has no part 'picture'"),
        (form(picture=png())[0][:-9], "multipart/form-data; boundary=line", 400, "ends before its last boundary"),
        (b"what is this", "multipart/form-data; boundary=line", 400, "the form cannot be read: "),
        (
            form(image=("photo.png", png()))[0],
            "multipart/form-data; boundary=line",
            400,
            "a file is the form's part 'picture', not 'image'",
        ),
        (b"--line", "multipart/form-data", 415, "a form is multipart/form-data with a boundary"),
        (b"--line", "multipart/mixed; boundary=line", 415, "a form is multipart/form-data with a boundary"),
        (
            form(picture=png(), **{f"x{i}": b"" for i in range(40)})[0],
            "multipart/form-data; boundary=line",
            400,
            "more than 32 parts",
        ),
        (form(name=bytes(5_000))[0], "multipart/form-data; boundary=line", 400, "more than 4096 bytes"),
        (form(name=b"\xff")[0], "multipart/form-data; boundary=line", 400, "is not UTF-8"),
        (
            form(picture=png())[0].replace(b"--line--", form(picture=png())[0]),
            "multipart/form-data; boundary=line",
            400,
            "two parts 'picture'",
        ),
        (
            form(picture=png())[0].replace(b"--line--", form(picture=("b.png", b""))[0]),
            "multipart/form-data; boundary=line",
            400,
            "two parts 'picture'",
        ),
        (form(picture=png(), scal=b"2")[0], "multipart/form-data; boundary=line", 422, "no parameter 'scal': scale?"),
        (form(picture=bytes(300_000))[0], "multipart/form-data; boundary=line", 413, "more than 200,000 bytes"),
    ],
)
def test_a_form_that_is_none_is_one_line(running: Running, content: bytes, kind: str, status: int, detail: str) -> None:
    answer = running.ask("POST", "/v1/upscale", content, {"Content-Type": kind})
    assert answer.status == status
    assert detail in answer.problem["detail"]


def test_what_is_not_there(running: Running) -> None:
    assert running.ask("GET", "/v2").problem["status"] == 404
    assert running.ask("GET", "/v1/upscale").problem["status"] == 405
    assert running.ask("POST", "/v1/models").problem["status"] == 405
    assert running.ask("GET", "/page/../app.py").problem["status"] == 404
    assert running.ask("GET", "/page/%2e%2e/app.py").problem["status"] == 404
    assert running.ask("GET", "/problems/none").problem["status"] == 404


def test_the_models(running: Running) -> None:
    said = json.loads(running.ask("GET", "/v1/models").body)
    assert [model["name"] for model in said["models"]] == [
        "srgan-plus",
        "srgan-photo",
        "srgan-deblur",
        "srgan-fast",
        "srgan-fast-photo",
        "srgan-fast-deblur",
        "srgan",
        "srresnet",
        "bicubic",
    ]
    assert [model["detail"] for model in said["models"]] == [True, *[False] * 8]
    assert said["default"] == "auto"
    assert [each["name"] for each in said["formats"]] == ["png", "jpeg", "webp", "avif", "tiff"]
    assert said["limits"] == {
        "bytes": 200_000,
        "input_pixels": 20_000,
        "output_pixels": 500_000,
        "seconds": 300,
        "waiting": 16,
    }
    assert said["token"] is False
    assert ".jpg" in said["reads"]


def test_the_page_is_served_with_its_types(running: Running) -> None:
    page = running.ask("GET", "/")
    assert page.status == 200
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    assert page.headers["cache-control"] == "no-cache"
    script = running.ask("GET", "/page/app.js")
    assert script.headers["content-type"].startswith("text/javascript")
    again = running.ask("GET", "/page/app.js", headers={"If-None-Match": script.headers["etag"]})
    assert again.status == 304
    for path in ("/", "/page/app.js"):
        for part in ("bytes=0-9", "bytes=9999999-", "items=a"):
            assert running.ask("GET", path, headers={"Range": part}).status == 200


class Slow(Nearest):
    """A network that goes on only when it is let."""

    def __init__(self, *_: Any, **__: Any) -> None:
        super().__init__()
        self.go, self.begun = threading.Event(), threading.Semaphore(0)
        self.calls = 0

    def levels(self, lr: NDArray[np.uint8]) -> NDArray[np.uint8]:
        self.calls += 1
        self.begun.release()
        assert self.go.wait(30)
        return super().levels(lr)


@pytest.fixture
def slow(weights: None, monkeypatch: pytest.MonkeyPatch) -> Slow:  # noqa: ARG001
    network = Slow()
    monkeypatch.setattr("srgan.inference.upscaler.load_network", lambda *_, **__: network)
    return network


class Asking(threading.Thread):
    """A request in a thread of its own."""

    def __init__(self, running: Running, name: str = "request-0", picture: bytes = png(), query: str = "") -> None:
        super().__init__()
        self._running, self._name, self._picture, self._query = running, name, picture, query
        self.answer: Answer
        self.start()

    def run(self) -> None:
        self.answer = self._running.upscale(self._picture, self._query, X_Request_ID=self._name)


def everything(connection: socket.socket) -> bytes:
    """Return what is sent until the connection is closed."""
    parts = []
    while part := connection.recv(10_000):
        parts.append(part)
    return b"".join(parts)


def begin(running: Running, picture: bytes, query: str = "") -> socket.socket:
    """Send a request, and return its connection."""
    connection = running.connect()
    head = f"POST /v1/upscale?{query} HTTP/1.1\r\nHost: here\r\nContent-Length: {len(picture)}\r\n\r\n"
    connection.sendall(head.encode() + picture)
    return connection


@pytest.mark.usefixtures("weights")
def test_a_small_picture_passes_a_large_one(monkeypatch: pytest.MonkeyPatch) -> None:
    class Lazy(Nearest):
        def levels(self, lr: NDArray[np.uint8]) -> NDArray[np.uint8]:
            time.sleep(0.1)
            return super().levels(lr)

    network = Lazy()
    monkeypatch.setattr("srgan.inference.upscaler.load_network", lambda *_, **__: network)
    with serving() as running:
        running.service.networks.get(Choice("srgan-plus")).tile = 20
        alone = running.upscale(png(60, 60), "model=srgan-plus").body
        network.shapes.clear()
        large = Asking(running, name="request-1", picture=png(60, 60), query="model=srgan-plus")
        running.wait_for("srgan_working", 1)
        middle = Asking(running, name="request-2", picture=png(30, 18))
        small = [Asking(running, name=f"request-{i}", picture=png(5, i)) for i in (3, 4)]
        for each in (large, middle, *small):
            each.join()
            assert each.answer.status == 200
        assert large.answer.body == alone
        places = {width: network.shapes.index((1, 3, 5, width)) for width in (3, 4)}
        assert max(places.values()) < 9, "of eleven windows, nine of the large one"
        assert network.shapes[-1] == (1, 3, 20, 18), "the middle one waits, as it is a seventh"
        assert len(network.shapes) == 13


def test_who_goes_away_ends_the_work(slow: Slow) -> None:
    tiles = png(60, 60)
    with serving() as running:
        running.service.networks.get(Choice("srgan-plus")).tile = 20
        connection = begin(running, tiles)
        assert slow.begun.acquire(timeout=10)
        running.wait_for("srgan_working", 1)
        assert running.count("srgan_picture_bytes") > 0
        connection.close()
        running.wait_for('srgan_requests_total{status="499"}', 1)
        slow.go.set()
        running.wait_for("srgan_picture_bytes", 0)
        assert running.count("srgan_working") == 0
        assert slow.calls == 1, "of nine tiles"
        assert running.upscale(png()).status == 200


@pytest.mark.usefixtures("weights")
def test_who_goes_away_ends_bicubic(monkeypatch: pytest.MonkeyPatch) -> None:
    begun, go, parts = threading.Event(), threading.Event(), []

    def taps(*how: Any) -> Any:
        parts.append(how)
        begun.set()
        assert go.wait(30)
        return bicubic_taps(*how)

    monkeypatch.setattr("srgan.image.resize.bicubic_taps", taps)
    monkeypatch.setattr("srgan.image.resize._SUMS", 100)
    with serving() as running:
        connection = begin(running, png(30, 30), "model=bicubic")
        assert begun.wait(10)
        connection.close()
        running.wait_for('srgan_requests_total{status="499"}', 1)
        go.set()
        running.wait_for("srgan_picture_bytes", 0)
    assert len(parts) == 1, "of sixteen"


def test_what_resampling_takes_is_counted(slow: Slow) -> None:
    """A weight is a float64: six for each column of what the network makes, three for each of the result."""
    with serving() as running:
        asking = Asking(running, query="scale=3", picture=png(1, 2000))
        assert slow.begun.acquire(timeout=10)
        running.wait_for("srgan_picture_bytes", 17 * 6000 + 8 * (6 * 4 * 2001 + 3 * 6003))
        slow.go.set()
        asking.join()
        assert asking.answer.status == 200


def test_a_crop_does_not_hold_the_whole() -> None:
    frame = Picture(np.zeros((50, 40, 3), np.uint8), np.zeros((50, 40), np.uint8))
    part = _cropped(replace(frame, more=(frame,)), Crop(0, 0, 40, 30))
    for each in part.frames:
        assert each.alpha is not None
        assert each.pixels.shape == (30, 40, 3)
        assert each.alpha.shape == (30, 40)
        assert each.pixels.base is None
        assert each.alpha.base is None


def test_what_waits_to_be_decoded_is_counted_until_it_goes(slow: Slow, monkeypatch: pytest.MonkeyPatch) -> None:
    """One is at the network, one is decoded and waits for room, the others wait to be decoded."""
    monkeypatch.setattr("srgan.web.work.BYTES_IN_FLIGHT", 1)
    size = len(png())
    with serving(Rules(bytes=size)) as running:
        first = Asking(running, name="request-1")
        assert slow.begun.acquire(timeout=10)
        others = [begin(running, png())]
        running.wait_for('srgan_stage_seconds_count{stage="decode"}', 2)
        running.wait_for("srgan_body_bytes", 0)
        others += [begin(running, png()) for _ in range(4)]
        running.wait_for("srgan_body_bytes", 4 * size)
        refused = running.upscale(png())
        assert refused.status == 429
        assert refused.problem["detail"] == "too many bytes of pictures arrive or wait"
        for other in others:
            other.close()
        running.wait_for("srgan_body_bytes", 0)
        assert running.count("srgan_picture_bytes") > 0, "the first one's"
        slow.go.set()
        first.join()
        assert first.answer.status == 200
        assert running.upscale(png()).status == 200
        assert running.count("srgan_body_bytes") == 0


@pytest.mark.usefixtures("weights")
def test_what_is_being_decoded_is_counted_to_its_end(monkeypatch: pytest.MonkeyPatch) -> None:
    begun, go = threading.Event(), threading.Event()

    def read(*what: Any, **how: Any) -> Picture:
        begun.set()
        assert go.wait(30)
        return read_picture(*what, **how)

    monkeypatch.setattr("srgan.web.work.read_picture", read)
    with serving(Rules(seconds=0.5)) as running:
        asking = Asking(running)
        assert begun.wait(10)
        asking.join()
        assert asking.answer.status == 504
        assert running.count("srgan_body_bytes") == len(png())
        go.set()
        running.wait_for("srgan_body_bytes", 0)


def test_what_is_refused_is_held_no_more(running: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    pixels: list[weakref.ref[Any]] = []

    def read(*what: Any, **how: Any) -> Picture:
        picture = read_picture(*what, **how)
        pixels.append(weakref.ref(picture.pixels))
        return picture

    monkeypatch.setattr("srgan.web.work.read_picture", read)
    gc.disable()  # an error that has been answered is a circle
    try:
        assert running.upscale(png(), "crop=0,0,99,99").status == 422
    finally:
        gc.enable()
    [pixel] = pixels
    assert pixel() is None


def test_who_goes_away_while_waiting_leaves_the_queue(slow: Slow) -> None:
    with serving(Rules(waiting=1)) as running:
        first = Asking(running)
        assert slow.begun.acquire(timeout=10)
        second = begin(running, png())
        running.wait_for("srgan_waiting", 1)
        second.close()
        running.wait_for("srgan_waiting", 0)
        third = Asking(running, name="request-3")
        running.wait_for("srgan_waiting", 1)
        slow.go.set()
        first.join()
        third.join()
        assert (first.answer.status, third.answer.status) == (200, 200)
        assert slow.calls == 2


def test_who_goes_away_while_waiting_gives_its_room_back_at_once(slow: Slow) -> None:
    """So that others are decoded, however long the network is at the picture before it."""
    with serving() as running:
        first = Asking(running)
        assert slow.begun.acquire(timeout=10)
        running.wait_for("srgan_working", 1)
        room = running.count("srgan_picture_bytes")
        second = begin(running, png())
        running.wait_for("srgan_picture_bytes", 2 * room)
        second.close()
        try:
            running.wait_for("srgan_picture_bytes", room)
        finally:
            slow.go.set()
        first.join()
        assert first.answer.status == 200
        assert running.upscale(png()).status == 200
        assert slow.calls == 2


@pytest.mark.usefixtures("weights")
def test_who_goes_away_before_its_result_is_written_gives_its_room_back_at_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    go = threading.Event()

    def write(*what: Any) -> None:
        assert go.wait(30)
        write_picture(*what)

    monkeypatch.setattr("srgan.web.work.write_picture", write)
    with serving() as running:
        first = [Asking(running, name=f"request-{i}") for i in (1, 2)]  # one for each thread that encodes
        running.wait_for('srgan_stage_seconds_count{stage="network"}', 2)
        room = running.count("srgan_picture_bytes")
        third = begin(running, png())
        running.wait_for('srgan_stage_seconds_count{stage="network"}', 3)
        assert running.count("srgan_picture_bytes") == 1.5 * room
        third.close()
        try:
            running.wait_for("srgan_picture_bytes", room)
        finally:
            go.set()
        for each in first:
            each.join()
            assert each.answer.status == 200


@pytest.mark.usefixtures("weights")
@pytest.mark.parametrize("waits", [True, False])
def test_the_turn_of_what_was_ended_is_nothing_however_often_it_comes(
    monkeypatch: pytest.MonkeyPatch, *, waits: bool
) -> None:
    """Once between two tiles of a larger picture, and once from the queue."""
    workshop, turns = Workshop(Networks(), RULES.limits, Metrics()), list[Callable[[], None]]()
    work = Work("request-1", read_order([], NAMES, NAMES[0]), png(), 99.0, lambda: None)
    monkeypatch.setattr(workshop, "_network", SimpleNamespace(submit=turns.append))

    async def ended() -> None:
        turn = asyncio.create_task(workshop._in_turn(work))
        if waits:
            await asyncio.sleep(0)
        work.end()
        with pytest.raises(EndedError):
            await asyncio.wait_for(turn, 5)

    asyncio.run(ended())
    for turn in turns * 2:
        turn()
    assert len(turns) == 1
    assert work.state == "waiting"


def test_a_full_queue_is_429_and_says_when_to_come_again(slow: Slow) -> None:
    with serving(Rules(waiting=2)) as running:
        asking = [Asking(running, name="request-1")]
        assert slow.begun.acquire(timeout=10)
        asking += [Asking(running, name=f"request-{i}") for i in (2, 3)]
        running.wait_for("srgan_waiting", 2)
        refused = running.upscale(png())
        assert refused.status == 429
        assert refused.problem["detail"] == "2 pictures are waiting already"
        assert int(refused.headers["retry-after"]) >= 1
        slow.go.set()
        for each in asking:
            each.join()
            assert each.answer.status == 200
        assert running.upscale(png()).status == 200
        assert running.count('srgan_requests_total{status="429"}') == 1
        assert running.count('srgan_requests_total{status="200"}') == 4


def test_too_long_is_504(slow: Slow) -> None:
    with serving(Rules(seconds=0.3)) as running:
        answer = running.upscale(png())
        assert answer.status == 504
        assert answer.problem["detail"] == "it takes longer than 0.3 s, the limit here"
        slow.go.set()
        running.wait_for("srgan_picture_bytes", 0)


def events(content: bytes) -> list[dict[str, Any]]:
    return [json.loads(line[6:]) for line in content.decode().splitlines() if line.startswith("data: ")]


def test_the_progress_of_a_request_is_told(slow: Slow) -> None:
    with serving() as running:
        first = Asking(running, name="request-1")
        assert slow.begun.acquire(timeout=10)
        with running.connect() as watching:
            watching.sendall(b"GET /v1/progress/request-2 HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n")
            time.sleep(0.1)  # there is no such request yet
            second = Asking(running, name="request-2")
            answer = b""
            while b"data: " not in answer:
                part = watching.recv(1 << 16)
                assert part
                answer += part
            slow.go.set()
            answer += everything(watching)
        for thread in (first, second):
            thread.join()
        assert b"content-type: text/event-stream" in answer.lower()
        told = events(answer)
        assert told[0] == {"state": "waiting", "before": 1}
        assert told[-1] == {"state": "done"}
        assert events(running.ask("GET", "/v1/progress/request-1").body) == [{"state": "done"}]


def test_progress_waits_for_a_picture_that_arrives(running: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    """However long that takes."""
    monkeypatch.setattr(app, "_UNSEEN", 0.0)
    picture = png(60, 60)
    with running.connect() as sending, running.connect() as watching:
        head = f"POST /v1/upscale HTTP/1.1\r\nX-Request-ID: request-7\r\nContent-Length: {len(picture)}\r\n"
        sending.sendall(f"{head}Connection: close\r\nHost: here\r\n\r\n".encode() + picture[:100])
        time.sleep(0.3)
        watching.sendall(b"GET /v1/progress/request-7 HTTP/1.1\r\nHost: here\r\nConnection: close\r\n\r\n")
        time.sleep(0.3)
        sending.sendall(picture[100:])
        assert everything(sending).startswith(b"HTTP/1.1 200 ")
        assert events(everything(watching))[-1] == {"state": "done"}


def test_the_head_of_progress_is_answered_at_once(slow: Slow) -> None:
    """And the request behind it on the same connection: of work under way, of what arrives, of nothing."""
    with serving() as running, running.connect() as arriving:
        asking = Asking(running, name="request-1")
        assert slow.begun.acquire(timeout=10)
        arriving.sendall(
            b"POST /v1/upscale HTTP/1.1\r\nX-Request-ID: request-2\r\nContent-Length: 9\r\nHost: here\r\n\r\nabc"
        )
        running.wait_for("srgan_body_bytes", 3)
        for name, status in {"request-1": 200, "request-2": 200, "request-3": 404}.items():
            with running.connect() as connection:
                connection.settimeout(5)
                connection.sendall(
                    f"HEAD /v1/progress/{name} HTTP/1.1\r\nHost: here\r\n\r\n".encode()
                    + b"GET /healthz HTTP/1.1\r\nHost: here\r\nConnection: close\r\n\r\n"
                )
                answer = everything(connection)
            assert answer.startswith(f"HTTP/1.1 {status} ".encode())
            assert answer.endswith(b"\r\n\r\nok\n")
        slow.go.set()
        asking.join()


def test_the_progress_of_a_name_that_is_used_again_is_that_of_the_new_request(slow: Slow) -> None:
    slow.go.set()
    picture = png()
    with serving() as running, running.connect() as sending, running.connect() as watching:
        assert running.upscale(picture, X_Request_ID="request-1").status == 200
        assert events(running.ask("GET", "/v1/progress/request-1").body) == [{"state": "done"}]
        slow.go.clear()
        head = f"POST /v1/upscale HTTP/1.1\r\nX-Request-ID: request-1\r\nContent-Length: {len(picture)}\r\n"
        sending.sendall(f"{head}Connection: close\r\nHost: here\r\n\r\n".encode() + picture[:9])
        running.wait_for("srgan_body_bytes", 9)
        watching.sendall(b"GET /v1/progress/request-1 HTTP/1.1\r\nHost: here\r\nConnection: close\r\n\r\n")
        assert not select.select([watching], [], [], 0.3)[0], "nothing is told before it has arrived"
        sending.sendall(picture[9:])
        answer = watching.recv(1 << 16)
        slow.go.set()
        told = events(answer + everything(watching))
        assert told[0]["state"] in ("waiting", "working")
        assert told[-1] == {"state": "done"}
        assert everything(sending).startswith(b"HTTP/1.1 200 ")


def test_a_name_that_is_used_again_and_refused_tells_no_end_of_the_earlier_request(
    slow: Slow, monkeypatch: pytest.MonkeyPatch
) -> None:
    """But how that gets on where it is still under way."""
    monkeypatch.setattr(app, "_UNSEEN", 0.0)
    with serving() as running:
        first = Asking(running, name="request-1")
        assert slow.begun.acquire(timeout=10)
        assert running.upscale(png(), "scal=3", X_Request_ID="request-1").status == 422
        with running.connect() as watching:
            watching.sendall(b"GET /v1/progress/request-1 HTTP/1.1\r\nHost: here\r\nConnection: close\r\n\r\n")
            assert watching.recv(100).startswith(b"HTTP/1.1 200 ")
        slow.go.set()
        first.join()
        assert running.upscale(png(), "scal=3", X_Request_ID="request-1").status == 422
        assert running.ask("GET", "/v1/progress/request-1").problem["status"] == 404


def test_the_progress_of_what_fails_says_why(running: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    running.upscale(b"hello", "name=a.png", X_Request_ID="request-9")
    assert events(running.ask("GET", "/v1/progress/request-9").body) == [
        {"state": "failed", "detail": "a.png: not a picture, or not of a kind that can be read"}
    ]
    monkeypatch.setattr(app, "_UNSEEN", 0.1)
    assert running.ask("GET", "/v1/progress/request-0").problem["status"] == 404


def test_work_that_was_ended_has_failed_whatever_its_threads_still_do(running: Running) -> None:
    work = Work("request-1", read_order([], NAMES, NAMES[0]), png(), 1.0, lambda: None)
    work.state, work.detail = "failed", "it takes longer than 1 s, the limit here"
    work.end()
    work.state = "writing"
    told = running.service.workshop.told(work)
    assert told == {"state": "failed", "detail": "it takes longer than 1 s, the limit here"}


def test_a_token_is_asked_for(slow: Slow) -> None:
    slow.go.set()
    with serving(Rules(token="swordfish-ü")) as running:
        assert json.loads(running.ask("GET", "/v1/models").body)["token"] is True
        for path in ("/v1/progress/request-1", "/metrics"):
            assert running.ask("GET", path).problem["status"] == 401
        for said in ({}, {"Authorization": "Bearer swordfish"}, {"Authorization": "Basic swordfish-ü"}):
            answer = running.upscale(png(), **said)
            assert answer.status == 401
            assert answer.headers["www-authenticate"] == "Bearer"
        right = "Bearer swordfish-ü".encode().decode("latin-1")
        assert running.upscale(png(), Authorization=right).status == 200
        assert running.ask("GET", "/healthz").status == 200


def test_a_page_of_another_origin_over_plain_http_is_refused(running: Running) -> None:
    """Browsers tell Sec-Fetch-Site to https and localhost alone."""
    host = f"127.0.0.1:{running.port}"
    assert running.upscale(png(), Origin=f"http://{host}").status == 200
    for origin in ("http://evil.test", f"http://127.0.0.1:{running.port + 1}", "null", "http://["):
        assert running.upscale(png(), Origin=origin).problem["status"] == 403


def test_pages_of_other_origins(weights: None) -> None:  # noqa: ARG001
    theirs = {"Origin": "https://example.org", "Sec-Fetch-Site": "cross-site"}
    with serving() as running:
        answer = running.ask("POST", "/v1/upscale", png(), theirs)
        assert answer.problem["detail"] == "pages of https://example.org may not ask for pictures here"
        assert answer.status == 403
        assert running.upscale(png(), Sec_Fetch_Site="same-origin").status == 200
    with serving(Rules(origins=("https://example.org",))) as running:
        answer = running.ask("POST", "/v1/upscale", png(), theirs)
        assert answer.status == 200
        assert answer.headers["access-control-allow-origin"] == "https://example.org"
        exposed = answer.headers["access-control-expose-headers"].split(", ")
        assert {
            "Srgan-Width",
            "Srgan-Repair",
            "Srgan-Codec",
            "Srgan-Codec-Quality",
            "Srgan-Noise",
            "Srgan-Blur",
            "Retry-After",
        } < set(exposed)


def test_a_slow_writer_is_408(running: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(body, "GRACE", 0.3)
    with running.connect() as connection:
        connection.sendall(
            b"POST /v1/upscale HTTP/1.1\r\nConnection: close\r\nContent-Length: 5000\r\nHost: here\r\n\r\n1234"
        )
        answer = everything(connection)
    assert answer.startswith(b"HTTP/1.1 408 ")
    assert b"the picture arrives too slowly: 4 bytes until now" in answer


def test_a_quick_beginning_does_not_pay_for_silence(running: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(body, "SILENCE", 0.3)
    with running.connect() as connection:
        head = b"POST /v1/upscale HTTP/1.1\r\nConnection: close\r\nContent-Length: 190000\r\nHost: here\r\n\r\n"
        connection.sendall(head + bytes(180_000))
        start = time.monotonic()
        assert everything(connection).startswith(b"HTTP/1.1 408 ")
    assert time.monotonic() - start < 5  # the rate alone would allow 10 s, and 5.6 more


def test_what_is_packed_is_415(running: Running) -> None:
    answer = running.upscale(png(), Content_Encoding="gzip")
    assert answer.problem["status"] == 415
    assert answer.problem["detail"] == "the picture is sent as it is, not by gzip"
    assert running.upscale(png(), Content_Encoding="identity").status == 200


def test_no_address_leads_to_another(running: Running) -> None:
    for path in ("/page", "/v1/models/", "/healthz/"):
        assert running.ask("GET", path).problem["status"] == 404


def test_what_is_said_to_be_too_large_need_not_be_sent(running: Running) -> None:
    with running.connect() as connection:
        head = b"Host: here\r\nContent-Length: 99999999999\r\nExpect: 100-continue\r\nConnection: close\r\n\r\n"
        connection.sendall(b"POST /v1/upscale HTTP/1.1\r\n" + head)
        assert everything(connection).startswith(b"HTTP/1.1 413 ")


def test_bytes_are_counted_whatever_is_said(running: Running) -> None:
    with running.connect() as connection:
        head = b"Host: here\r\nTransfer-Encoding: chunked\r\n\r\n"
        connection.sendall(b"POST /v1/upscale HTTP/1.1\r\n" + head)
        for _ in range(4):
            connection.sendall(b"10000\r\n" + bytes(0x10000) + b"\r\n")
        connection.sendall(b"0\r\n\r\n")
        assert connection.recv(100).startswith(b"HTTP/1.1 413 ")


def test_a_head_that_never_comes_is_408(running: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "HEAD_SECONDS", 0.3)
    with running.connect() as connection:
        for _ in range(50):  # no byte of the head puts the end off
            connection.sendall(b"G")
            if select.select([connection], [], [], 0.1)[0]:
                break
        else:
            pytest.fail("no answer")
        connection.sendall(b"ET / HTTP/1.1\r\n")  # read, to no effect: the connection is not reset
        assert everything(connection).startswith(b"HTTP/1.1 408 ")


def test_what_is_no_http_is_400(running: Running) -> None:
    with running.connect() as connection:
        connection.sendall(b"hello, is anybody there?\r\n\r\n")
        answer = everything(connection)
    assert answer.startswith(b"HTTP/1.1 400 ")
    assert b"application/problem+json" in answer


def test_too_many_connections_are_503(running: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "MOST_CONNECTIONS", 1)
    with running.connect(), running.connect() as second:
        answer = everything(second)
    assert answer.startswith(b"HTTP/1.1 503 ")
    assert b"\r\nretry-after: 5\r\n" in answer.lower()


@pytest.mark.usefixtures("weights")
@pytest.mark.parametrize("reads", [False, True])
def test_a_slow_reader_is_left(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, reads: bool) -> None:
    monkeypatch.setattr(server, "STUCK_SECONDS", 0.4 if not reads else 20)
    monkeypatch.setattr(app, "GRACE", 30 if not reads else 0.4)
    monkeypatch.setattr(app, "SLOWEST", 1e9)
    monkeypatch.setattr(app, "_PIECE", 20_000)
    with serving(send_buffer=4096) as running, running.connect(4096) as connection:
        picture = png(200, 200)
        head = f"POST /v1/upscale HTTP/1.1\r\nHost: here\r\nContent-Length: {len(picture)}\r\n\r\n"
        connection.sendall(head.encode() + picture)
        until, received = time.monotonic() + 10, 0
        while reads and time.monotonic() < until and (part := connection.recv(1000)):
            received += len(part)
            time.sleep(0.02)
        running.wait_for("srgan_picture_bytes", 0)
        running.wait_for('srgan_requests_total{status="499"}', 1)
        assert received < 400_000, "of 1.9 MB"
        assert running.upscale(png()).status == 200
    assert not [record for record in caplog.records if record.levelno >= logging.WARNING]


def test_a_reader_that_takes_a_little_makes_room_for_more() -> None:
    with server.bind("127.0.0.1", 0) as bound, socket.socket() as reader:
        reader.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        reader.settimeout(10)
        reader.connect(bound.getsockname())
        connection, taken = bound.accept()[0], 0
        with connection:
            connection.setblocking(False)
            with suppress(BlockingIOError):
                while True:
                    connection.send(bytes(262_144))
            while not select.select([], [connection], [], 0.05)[1]:
                taken += len(reader.recv(65_536))
                assert taken < 300_000, "ten seconds of the slowest reader that is not left"


def test_an_error_nobody_thought_of_is_500_and_no_traceback(
    running: Running, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(*_: Any) -> None:
        raise ZeroDivisionError("secret")

    monkeypatch.setattr("srgan.web.work.check_result", fail)
    answer = running.upscale(png())
    assert answer.status == 500
    assert answer.problem["detail"] == "the cause is in the service's log"
    assert b"secret" not in answer.body
    running.wait_for('srgan_requests_total{status="500"}', 1)
    assert "ZeroDivisionError: secret" in caplog.text


def test_what_fails_anywhere_is_in_the_log(
    running: Running, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(*_: Any) -> None:
        raise ZeroDivisionError("secret")

    monkeypatch.setattr("srgan.web.networks.Networks.describe", fail)
    assert running.ask("GET", "/v1/models").status == 500
    until = time.monotonic() + 10
    while "ZeroDivisionError: secret" not in caplog.text:
        assert time.monotonic() < until
        time.sleep(0.01)


def test_the_log_says_what_a_request_came_to_and_why(
    fresh: Running, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise InferenceError("the network gives\nvalues that are not finite") from ZeroDivisionError("deep down")

    caplog.set_level(logging.INFO, "srgan")
    assert fresh.upscale(png(), X_Request_ID="good-one").status == 200
    assert fresh.upscale(b"hello", "name=a%0Ab.png", X_Request_ID="poor-one").status == 400
    monkeypatch.setattr("srgan.web.work.Workshop._enlarge", fail)
    assert fresh.upscale(png(), X_Request_ID="sad-one1").status == 500
    fresh.wait_for('srgan_requests_total{status="500"}', 1)
    good, poor, sad = (record for record in caplog.records if hasattr(record, "line"))
    assert "problem" not in good.line
    assert (poor.levelname, poor.line["problem"]) == ("INFO", "not-a-picture")
    detail = "ab.png: not a picture, or not of a kind that can be read"
    assert poor.getMessage().endswith(f" s not-a-picture: {detail}")
    assert (sad.levelname, sad.line["id"], sad.line["status"]) == ("ERROR", "sad-one1", 500)
    assert sad.line["detail"] == "the network gives values that are not finite"
    line = json.loads(JsonLines().format(sad))
    assert (line["level"], line["problem"], line["detail"]) == ("error", "failed", sad.line["detail"])
    assert "ZeroDivisionError: deep down" in line["traceback"]


def test_the_health_check_of_the_container_asks_no_proxy(running: Running) -> None:
    dockerfile = (Path(__file__).parents[2] / "Dockerfile").read_text()
    found = re.search(r"^HEALTHCHECK .* CMD (.*)$", dockerfile, re.MULTILINE)
    assert found is not None
    _, *arguments = json.loads(found[1])
    proxy = {"http_proxy": "http://127.0.0.1:9", "HTTP_PROXY": "http://127.0.0.1:9"}  # as docker's configuration gives
    for port, status in ((running.port, 0), (9, 1)):
        environment = os.environ | proxy | {"SRGAN_PORT": str(port)}
        asked = subprocess.run([sys.executable, *arguments], env=environment, capture_output=True, check=False)
        assert asked.returncode == status


def test_what_is_counted(fresh: Running) -> None:
    fresh.upscale(png(10, 10))
    fresh.upscale(b"hello")
    fresh.wait_for('srgan_requests_total{status="400"}', 1)
    assert fresh.count('srgan_pixels_total{direction="in"}') == 100
    assert fresh.count('srgan_pixels_total{direction="out"}') == 1600
    assert fresh.count("srgan_request_seconds_count") == 2
    for stage in ("wait", "network", "encode"):
        assert fresh.count(f'srgan_stage_seconds_count{{stage="{stage}"}}') == 1
    assert fresh.count('srgan_stage_seconds_count{stage="decode"}') == 2
    assert fresh.count("process_resident_memory_bytes") > 1e7
    assert fresh.count("srgan_body_bytes") == 0
    assert fresh.count("srgan_networks") == 1


def test_networks_that_are_used_least_are_let_go(fresh: Running) -> None:
    for percent in range(0, 60, 5):
        assert fresh.upscale(png(), f"detail={percent / 100}").status == 200
    assert fresh.count("srgan_networks") == 10


# as a user runs it


def start(*options: str, **variables: str) -> tuple["subprocess.Popen[str]", str]:
    """Start the command, and return it and the URL that it prints."""
    process = subprocess.Popen(
        [sys.executable, "-m", "srgan", "serve", "--port", "0", *options],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | variables,
    )
    assert process.stdout is not None
    line = process.stdout.readline()
    found = re.fullmatch(r"srgan serves (http://127\.0\.0\.1:\d+) \(Ctrl-C ends\)\n", line)
    assert found is not None, line
    return process, found[1]


def wait_ready(running: Running) -> None:
    until = time.monotonic() + 30
    while running.ask("GET", "/readyz").status != 200:
        assert time.monotonic() < until
        time.sleep(0.05)


def client(url: str) -> Running:
    return Running(int(url.rsplit(":", 1)[1]))


def test_a_stop_finishes_what_began_and_refuses_what_is_new(tiny_onnx: Path) -> None:
    process, url = start("--model", str(tiny_onnx), "--precision", "fp32", "--json-log")
    with process:
        running = client(url)
        wait_ready(running)
        assert json.loads(running.ask("GET", "/v1/models").body)["default"] == "tiny"
        asking = Asking(running, picture=png(450, 450))
        running.wait_for("srgan_working", 1)
        process.send_signal(signal.SIGTERM)
        until = time.monotonic() + 5
        while running.ask("GET", "/readyz").status != 503:
            assert time.monotonic() < until
        refused = running.upscale(png())
        assert refused.status == 503
        assert refused.problem["detail"] == "the service is stopping"
        asking.join()
        assert asking.answer.status == 200
        with Image.open(io.BytesIO(asking.answer.body)) as image:
            assert image.size == (1800, 1800)
        _, errors = process.communicate(timeout=20)
    assert process.returncode == 0
    lines = [json.loads(line) for line in errors.splitlines()]
    [done] = [line for line in lines if line.get("status") == 200]
    assert (done["id"], done["model"], done["from"], done["to"]) == ("request-0", "tiny", [450, 450], [1800, 1800])


@pytest.mark.parametrize(("stopping", "open"), [(False, 1), (True, 0)])
def test_a_stop_does_not_wait_for_what_it_refuses(stopping: bool, open: int) -> None:  # noqa: A002
    traffic = Traffic(stopping=stopping)
    seen: list[int] = []

    async def answer(*_: object) -> None:
        seen.append(traffic.open)

    async def nothing(*_: object) -> Any:
        return None

    scope = {"type": "http", "method": "POST", "path": "/v1/upscale", "headers": []}
    asyncio.run(Frame(answer, traffic, Metrics())(scope, nothing, nothing))
    assert (seen, traffic.open, traffic.answered) == ([open], 0, 1)


@pytest.mark.parametrize("offered", ["h2c", "websocket"])
def test_another_protocol_is_not_taken_and_no_reason_for_a_warning(
    running: Running, offered: str, caplog: pytest.LogCaptureFixture
) -> None:
    answer = running.upscale(png(), Upgrade=offered, Connection="Upgrade, HTTP2-Settings", HTTP2_Settings="AAMAAABk")
    assert answer.status == 200
    assert not [record for record in caplog.records if record.levelno >= logging.WARNING]


def test_a_second_signal_ends_it_at_once(tiny_onnx: Path) -> None:
    process, url = start("--model", str(tiny_onnx), "--precision", "fp32")
    with process:
        running = client(url)
        wait_ready(running)
        with begin(running, png(1000, 1000)):
            running.wait_for("srgan_working", 1)
            process.send_signal(signal.SIGINT)
            until = time.monotonic() + 5
            while running.ask("GET", "/readyz").status != 503:
                assert time.monotonic() < until
            process.send_signal(signal.SIGINT)
            process.communicate(timeout=5)
    assert process.returncode == 130


def test_what_keeps_it_from_serving_is_one_line(
    capsys: pytest.CaptureFixture[str], tiny_onnx: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        assert main(["serve", "--port", port]) == 1
    said = capsys.readouterr().err
    assert said == f"srgan: error: port {port} of 127.0.0.1 is in use: --port chooses another, 0 one that is free\n"
    assert main(["serve", "--host", "no.such.host.invalid"]) == 1
    assert capsys.readouterr().err == "srgan: error: no.such.host.invalid: no address of this machine\n"
    assert main(["serve", "--model", "gone.onnx"]) == 1
    assert capsys.readouterr().err == "srgan: error: gone.onnx: no such file\n"
    assert main(["serve", "--token", " "]) == 2
    assert capsys.readouterr().err == "srgan: error: the token is empty\n"
    assert main(["serve", "--token", "gehéim"]) == 2
    assert capsys.readouterr().err.startswith("srgan: error: the token is of printable ASCII")
    monkeypatch.setenv("SRGAN_TOKEN", "")
    assert main(["serve"]) == 2
    unset = "SRGAN_TOKEN is empty: unset it for a service that asks for none"
    assert capsys.readouterr().err == f"srgan: error: {unset}\n"
    monkeypatch.delenv("SRGAN_TOKEN")
    assert main(["serve", "--model", str(tiny_onnx), "--model", str(tiny_onnx)]) == 2
    assert "there is a network tiny already" in capsys.readouterr().err


def test_a_log_of_json_is_that_from_its_first_line(tiny_onnx: Path) -> None:
    command = [sys.executable, "-m", "srgan", "serve", "--port", "0", "--host", "0.0.0.0", "--model", str(tiny_onnx)]
    with subprocess.Popen(
        [*command, "--json-log"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        process.stdout.readline()
        process.send_signal(signal.SIGTERM)
        _, errors = process.communicate(timeout=30)
    first = json.loads(errors.splitlines()[0])
    assert first["level"] == "warning"
    assert first["message"].startswith("anyone who reaches 0.0.0.0 may send pictures")


def test_a_network_that_cannot_be_loaded_ends_it(tiny_onnx: Path) -> None:
    command = [sys.executable, "-m", "srgan", "serve", "--port", "0", "--memory", "1MB", "--model", str(tiny_onnx)]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
    assert ended.returncode == 2
    assert re.fullmatch(r"srgan: error: 1 MB of memory are too little: this network needs \d+ MB\n", ended.stderr)


def test_a_body_has_no_longer_than_a_picture_may_take(weights: None) -> None:  # noqa: ARG001
    with serving(Rules(seconds=0.3)) as running, running.connect() as connection:
        connection.settimeout(3)  # and not the ten seconds that silence has, nor the five in which the rest is read
        connection.sendall(b"POST /v1/upscale HTTP/1.1\r\nHost: here\r\nContent-Length: 999\r\n\r\nabc")
        assert connection.recv(100).startswith(b"HTTP/1.1 408 ")


def test_a_body_may_have_all_the_bytes_that_there_may_be(running: Running) -> None:
    assert running.upscale(png().ljust(RULES.bytes, b"\0")).status == 200
    assert running.upscale(png().ljust(RULES.bytes + 1, b"\0")).problem["status"] == 413


def test_a_form_s_picture_may_have_all_the_bytes_that_there_may_be(running: Running) -> None:
    content, kind = form(picture=png().ljust(RULES.bytes, b"\0"), name=b"a" * 4_000)
    assert running.upscale(content, Content_Type=kind).status == 200
    content, kind = form(picture=png().ljust(RULES.bytes + 1, b"\0"))
    refused = running.upscale(content, Content_Type=kind)
    assert refused.status == 413
    assert refused.problem["detail"] == "the picture has more than 200,000 bytes, the limit here"


def test_a_form_of_far_more_bytes_than_its_picture_may_have_is_413(running: Running) -> None:
    """Whether that is said, or, with Transfer-Encoding, seen."""
    content, kind = form(picture=png())
    for length in (f"Content-Length: {10 * RULES.bytes}", "Transfer-Encoding: chunked"):
        with running.connect() as connection:
            head = f"Host: here\r\nContent-Type: {kind}\r\n{length}\r\nExpect: 100-continue\r\n\r\n"
            connection.sendall(f"POST /v1/upscale HTTP/1.1\r\n{head}".encode())
            if length.startswith("Transfer"):
                assert connection.recv(100).startswith(b"HTTP/1.1 100 ")
                connection.sendall(b"%x\r\n%b\r\n0\r\n\r\n" % (600_000 + len(content), b"\r\n" * 300_000 + content))
            assert connection.recv(100).startswith(b"HTTP/1.1 413 ")


def test_the_progress_of_what_fails_for_an_unknown_cause_says_where_it_is(
    running: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any) -> None:
        raise ZeroDivisionError("secret")

    monkeypatch.setattr("srgan.web.work.check_result", fail)
    assert running.upscale(png(), X_Request_ID="request-8").status == 500
    told = events(running.ask("GET", "/v1/progress/request-8").body)
    assert told == [{"state": "failed", "detail": "the cause is in the service's log"}]


def test_progress_says_now_and_then_that_somebody_is_there(slow: Slow, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(app, "_SILENCE", 0.1)
    with serving() as running, running.connect() as watching:
        asking = [Asking(running, name="request-1")]
        assert slow.begun.acquire(timeout=10)
        asking.append(Asking(running, name="request-2"))
        watching.settimeout(5)
        watching.sendall(b"GET /v1/progress/request-2 HTTP/1.1\r\nHost: here\r\nConnection: close\r\n\r\n")
        try:
            answer = b""
            while b"\n: still there\n\n" not in answer:
                answer += watching.recv(1 << 16)
        finally:
            slow.go.set()
        for each in asking:
            each.join()


def test_formats_that_have_a_quality_say_so(running: Running) -> None:
    formats = json.loads(running.ask("GET", "/v1/models").body)["formats"]
    assert [each["name"] for each in formats if each["quality"]] == ["jpeg", "webp", "avif"]


@pytest.mark.usefixtures("weights")
def test_a_network_that_is_used_again_is_not_the_one_that_goes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("srgan.web.networks.MOST_LOADED", 2)
    networks = Networks()
    first = networks.get(Choice("srresnet"))
    for other in ("srgan", "srgan-fast"):
        networks.get(Choice(other))
        assert networks.get(Choice("srresnet")) is first


@pytest.mark.usefixtures("weights")
def test_a_network_cannot_be_called_bicubic(tiny: Generator, tmp_path: Path) -> None:
    save_generator(tiny, tmp_path / "a.safetensors", card_of(tiny, "bicubic", "tiny_x4"))
    with pytest.raises(ArgumentError, match="there is a network bicubic already"):
        Networks([str(tmp_path / "a.safetensors")])


def test_a_name_that_a_request_may_not_have_is_not_repeated(running: Running) -> None:
    for name in ("request-1 <b>", "request", "r" * 65):
        said = running.ask("GET", "/healthz", headers={"X-Request-ID": name}).headers["x-request-id"]
        assert said != name
        assert re.fullmatch(r"[A-Za-z0-9_-]{16}", said)


@pytest.mark.usefixtures("weights")
def test_the_time_in_which_smaller_ones_pass_is_not_the_large_one_s(monkeypatch: pytest.MonkeyPatch) -> None:
    """By a clock that is moved by hand: two that pass, of four seconds each, and six between them."""
    clock = [100.0]
    monkeypatch.setattr("srgan.web.work.time", SimpleNamespace(monotonic=lambda: clock[0]))
    workshop = Workshop(Networks(), RULES.limits, Metrics())
    large, *small = (Work(f"request-{i}", read_order([], NAMES, NAMES[0]), png(), 99.0, lambda: None) for i in range(3))
    large.state, large.network_start, large.cost = "working", clock[0], 100
    workshop._at_work |= dict.fromkeys([large, *small])

    def four_seconds() -> None:
        clock[0] += 4

    for other in small:
        other.turn = four_seconds
        clock[0] += 3
        workshop._step(large, 0.5)
        other.turn = None
    assert workshop.told(large) == {"state": "working", "fraction": 0.5, "seconds": 6.0, "seconds_left": 6.0}


@pytest.mark.usefixtures("weights")
def test_an_ensemble_costs_eight_times_as_much_and_a_map_takes_more_room_as_well() -> None:
    workshop = Workshop(Networks(), RULES.limits, Metrics())
    found = []
    for asked in ([], [("ensemble", "true")], [("show", "confidence")]):
        work = Work("request-1", read_order(asked, NAMES, NAMES[0]), png(), 99.0, lambda: None)
        workshop._decode(work)
        found.append((work.cost, work.needs))
    (plain, room), (ensemble, _), (both, more) = found
    assert (ensemble, both) == (8 * plain, 2 * plain)
    assert more > 1.5 * room


@pytest.mark.usefixtures("weights")
def test_a_network_keeps_no_memory_of_a_picture_whatever_came_of_it(monkeypatch: pytest.MonkeyPatch) -> None:
    class Resting(Nearest):
        fails, rested = False, 0

        def levels(self, lr: NDArray[np.uint8]) -> NDArray[np.uint8]:
            if self.fails:
                raise InferenceError("not today")
            return super().levels(lr)

        def rest(self) -> None:
            self.rested += 1

    network = Resting()
    monkeypatch.setattr("srgan.inference.upscaler.load_network", lambda *_, **__: network)
    with serving() as running:
        assert running.upscale(png()).status == 200
        assert network.rested == 1
        network.fails = True
        assert running.upscale(png()).status == 500
        assert network.rested == 2


def test_what_goes_away_is_counted_no_more_though_what_came_before_it_still_waits(
    slow: Slow, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("srgan.web.work.BYTES_IN_FLIGHT", 1)
    size = len(png())
    with serving() as running:
        asking = [Asking(running, name="request-1")]
        assert slow.begun.acquire(timeout=10)
        asking.append(Asking(running, name="request-2"))
        running.wait_for('srgan_stage_seconds_count{stage="decode"}', 2)
        with begin(running, png()):
            running.wait_for("srgan_body_bytes", size)
        try:
            running.wait_for("srgan_body_bytes", 0)
        finally:
            slow.go.set()
        for each in asking:
            each.join()


def test_a_picture_that_memory_is_too_small_for_is_said_to_be_that(
    running: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any) -> None:
        raise MemoryError

    monkeypatch.setattr("srgan.web.work.check_result", fail)
    answer = running.upscale(png())
    assert answer.status == 500
    assert answer.problem["detail"] == "not enough memory for this picture and its result"


def test_numbers_have_the_digits_of_json_alone() -> None:
    for asked in (("width", "٤"), ("scale", "٤"), ("crop", "0,0,٤,٤")):
        with pytest.raises(Problem) as caught:
            read_order([asked], NAMES, NAMES[0])
        assert caught.value.status == 422


def test_a_name_has_nothing_that_a_file_or_a_header_cannot_have() -> None:
    order = read_order([("name", 'C:\\photos\\a<b>:"c|d?*\r\n.jpg')], NAMES, NAMES[0])
    assert order.file_name == "abcd_x4.png"


def test_transparency_goes_through_the_network_and_takes_room_as_well() -> None:
    opaque = Picture(np.zeros((10, 20, 3), np.uint8))
    clear = replace(opaque, alpha=np.zeros((10, 20), np.uint8))
    size = Size(scale=4)
    assert network_pixels(clear, size, 4) == 2 * network_pixels(opaque, size, 4) == 400
    assert network_pixels(opaque, size, 4, lambda lr, sr: 3 * sr[0] // lr[0]) == 34 * 44  # what wraps around, too
    assert bytes_of_bicubic(opaque, size) == 17 * 600
    assert bytes_of_bicubic(clear, size) == 17 * 800


@pytest.mark.parametrize(
    ("address", "url"),
    [
        (("127.0.0.1", 80), "http://127.0.0.1:80"),
        (("0.0.0.0", 80), "http://localhost:80"),
        (("::", 80, 0, 0), "http://localhost:80"),
        (("::1", 80, 0, 0), "http://[::1]:80"),
    ],
)
def test_the_url_is_one_that_a_browser_finds(address: tuple[Any, ...], url: str) -> None:
    assert server.url_of(SimpleNamespace(getsockname=lambda: address)) == url  # type: ignore[arg-type]


@pytest.mark.usefixtures("weights")
@pytest.mark.parametrize(("cost", "passes"), [(10, True), (11, False)])
def test_what_passes_is_an_eighth_or_less(cost: int, *, passes: bool) -> None:
    workshop, passed = Workshop(Networks(), RULES.limits, Metrics()), []
    large, small = (Work(f"request-{i}", read_order([], NAMES, NAMES[0]), png(), 99.0, lambda: None) for i in range(2))
    large.cost, small.cost, small.turn = 80, cost, lambda: passed.append(True)
    workshop._at_work |= dict.fromkeys([large, small])
    workshop._step(large, 0.5)
    assert bool(passed) is passes


@pytest.mark.usefixtures("weights")
def test_when_to_come_again_follows_what_the_network_takes(monkeypatch: pytest.MonkeyPatch) -> None:
    """By a clock that is moved by hand: an eighth of 80 seconds and the rest of one, of which half are waited."""
    clock = [time.monotonic()]

    class Late(Nearest):
        def levels(self, lr: NDArray[np.uint8]) -> NDArray[np.uint8]:
            clock[0] += 80
            return super().levels(lr)

    monkeypatch.setattr("srgan.inference.upscaler.load_network", lambda *_, **__: Late())
    now = SimpleNamespace(monotonic=lambda: clock[0], perf_counter=lambda: clock[0])
    monkeypatch.setattr("srgan.web.work.time", now)
    with serving() as running:
        assert running.service.workshop.patience == 1
        assert running.upscale(png(), "scale=4").status == 200
        assert running.service.workshop.patience == 6


def test_a_reader_that_takes_each_piece_but_all_too_slowly_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(app, "GRACE", 0.2)
    monkeypatch.setattr(app, "SLOWEST", 1e9)
    monkeypatch.setattr(app, "_PIECE", 10)
    released: list[bool] = []
    made_ = Made(bytes(200), (1, 1), (4, 4), "m", None, Condition(), 0.0, lambda: released.append(True))

    async def receive() -> dict[str, Any]:
        await asyncio.sleep(30)
        return {"type": "http.disconnect"}

    async def send(_: Any) -> None:
        await asyncio.sleep(0.05)

    with pytest.raises(GoneError):
        asyncio.run(app._Result(made_, {}, "image/png")({"type": "http"}, receive, send))
    assert released == [True]


def test_a_result_is_under_way_until_its_last_piece_has_left(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(app, "_PIECE", 10)
    made_ = Made(bytes(25), (1, 1), (4, 4), "m", None, Condition(), 0.0, lambda: None)
    sent: list[tuple[int, bool]] = []

    async def receive() -> dict[str, Any]:
        await asyncio.sleep(30)
        return {"type": "http.disconnect"}

    async def send(message: Any) -> None:  # as uvicorn's, waits for what came before, not for what it is given
        if message["type"] == "http.response.body":
            sent.append((len(message.get("body", b"")), message.get("more_body", False)))

    asyncio.run(app._Result(made_, {}, "image/png")({"type": "http"}, receive, send))
    assert sent == [(10, True), (10, True), (5, True), (0, True), (0, False)]


def test_the_progress_of_what_was_refused_is_not_waited_for(running: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(app, "_UNSEEN", 0.0)
    assert running.upscale(png(), "scal=3", X_Request_ID="refused-1").status == 422
    assert running.ask("GET", "/v1/progress/refused-1").problem["status"] == 404


def test_a_stop_does_not_wait_for_a_request_that_would_be_refused(weights: None) -> None:  # noqa: ARG001
    asked: list[Answer] = []
    with serving() as running:
        watching = threading.Thread(target=lambda: asked.append(running.ask("GET", "/v1/progress/not-yet-1")))
        watching.start()
        time.sleep(0.3)
    watching.join()
    assert asked[0].problem["status"] == 503


@pytest.mark.usefixtures("weights")
@pytest.mark.parametrize("steps", [3, 4])
def test_a_stop_does_not_wait_for_a_connection_that_is_just_being_made(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, steps: int
) -> None:
    tick, connections = server.Server.on_tick, list[socket.socket]()

    async def on_tick(self: server.Server, counter: int) -> bool:
        if self._service.traffic.stopping and not connections:
            connections.append(socket.create_connection(self.servers[0].sockets[0].getsockname()))
            for _ in range(steps):  # of asyncio's, from the connection to its protocol
                await asyncio.sleep(0)
        return await tick(self, counter)

    monkeypatch.setattr(server.Server, "on_tick", on_tick)
    with serving():
        pass
    connections[0].close()
    assert "graceful shutdown exceeded" not in caplog.text


def test_a_name_that_no_request_can_have_is_not_waited_for(running: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(app, "_UNSEEN", 60.0)
    assert running.ask("GET", "/v1/progress/short").problem["status"] == 404


def test_pages_of_every_origin_may_ask_where_that_is_said(weights: None) -> None:  # noqa: ARG001
    with serving(Rules(origins=("*",))) as running:
        theirs = {"Origin": "https://example.org", "Sec-Fetch-Site": "cross-site"}
        answer = running.ask("POST", "/v1/upscale", png(), theirs)
        assert (answer.status, answer.headers["access-control-allow-origin"]) == (200, "*")


@pytest.mark.usefixtures("weights")
@pytest.mark.parametrize("name", ["größer", "two\nlines"])
def test_a_network_has_a_name_that_can_be_in_a_header(tiny: Generator, tmp_path: Path, name: str) -> None:
    save_generator(tiny, tmp_path / "a.safetensors", card_of(tiny, name, "tiny_x4"))
    with pytest.raises(ArgumentError, match="a name to ask for is of ASCII characters"):
        Networks([str(tmp_path / "a.safetensors")])


def test_the_progress_of_the_latest_requests_is_remembered_and_not_kept_by_caches(
    running: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(app, "_REMEMBERED", 2)
    monkeypatch.setattr(app, "_UNSEEN", 0.0)
    for name in ("latest-1", "latest-2", "latest-3"):
        assert running.upscale(png(), X_Request_ID=name).status == 200
    answers = [running.ask("GET", f"/v1/progress/latest-{i}") for i in (1, 2, 3)]
    assert [answer.status for answer in answers] == [404, 200, 200]
    assert answers[2].headers["cache-control"] == "no-store"


@pytest.mark.usefixtures("weights")
def test_a_result_that_nobody_waits_for_any_more_takes_no_room(monkeypatch: pytest.MonkeyPatch) -> None:
    begun, go = threading.Event(), threading.Event()

    def write(*what: Any) -> None:
        begun.set()
        assert go.wait(30)
        write_picture(*what)

    monkeypatch.setattr("srgan.web.work.write_picture", write)
    with serving(Rules(seconds=2)) as running:
        asking = Asking(running)
        assert begun.wait(10)
        asking.join()
        assert asking.answer.status == 504
        assert running.count("srgan_picture_bytes") > 0
        go.set()
        running.wait_for('srgan_stage_seconds_count{stage="encode"}', 1)
        running.wait_for("srgan_picture_bytes", 0)


def test_a_queue_that_has_filled_while_a_picture_arrived_takes_it_no_more(slow: Slow) -> None:
    picture = png()
    with serving(Rules(waiting=1)) as running, running.connect() as arriving:
        head = f"POST /v1/upscale HTTP/1.1\r\nHost: here\r\nContent-Length: {len(picture)}\r\n\r\n"
        arriving.sendall(head.encode() + picture[:9])
        running.wait_for("srgan_body_bytes", 9)
        asking = [Asking(running, name="request-1")]
        assert slow.begun.acquire(timeout=10)
        asking.append(Asking(running, name="request-2"))
        running.wait_for("srgan_waiting", 1)
        arriving.sendall(picture[9:])
        arriving.settimeout(5)
        assert arriving.recv(100).startswith(b"HTTP/1.1 429 ")
        slow.go.set()
        for each in asking:
            each.join()


def test_pages_of_another_origin_may_say_a_token_and_a_name(weights: None) -> None:  # noqa: ARG001
    asked = {
        "Origin": "https://example.org",
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "authorization,content-type,x-request-id",
    }
    with serving(Rules(origins=("https://example.org",))) as running:
        assert running.ask("OPTIONS", "/v1/upscale", headers=asked).status == 200


@pytest.mark.parametrize("site", ["same-site", "cross-site"])
def test_a_page_beside_this_one_is_another_origin(running: Running, site: str) -> None:
    assert running.upscale(png(), Sec_Fetch_Site=site).problem["status"] == 403


@pytest.mark.usefixtures("weights")
def test_every_option_reaches_the_service(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    seen: list[app.Service] = []
    monkeypatch.setattr(
        "srgan.cli.serve.Server", lambda service: SimpleNamespace(serve_on=lambda _: seen.append(service))
    )
    limits = ["--max-bytes", "1MB", "--max-input-pixels", "100", "--max-output-pixels", "200"]
    others = ["--waiting", "3", "--time-limit", "9", "--allow-origin", "https://example.org", "--model", "srresnet"]
    warned = []
    with socket.create_server(("127.0.0.1", 0)) as bound:
        monkeypatch.setattr("srgan.cli.serve.bind", lambda *_: bound)
        for token in (["--token", " swordfish "], []):
            assert main(["serve", "--host", "0.0.0.0", *limits, *others, *token]) == 0
            warned.append("srgan: warning: anyone who reaches 0.0.0.0 may send pictures" in capsys.readouterr().err)
    wanted = Rules(1_000_000, Limits(100, 200), 3, 9.0, "swordfish", ("https://example.org",))
    assert [service.rules for service in seen] == [wanted, replace(wanted, token=None)]
    assert warned == [False, True]
    assert seen[0].networks.default == "srresnet"


@pytest.mark.usefixtures("weights")
def test_without_options_it_is_as_documented(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    seen: list[app.Service] = []
    places: list[tuple[str, int]] = []
    opened: list[str] = []
    steady: list[bool] = []
    monkeypatch.setattr(
        "srgan.cli.serve.Server", lambda service: SimpleNamespace(serve_on=lambda _: seen.append(service))
    )
    monkeypatch.setattr("srgan.cli.serve.keep_memory_steady", lambda: steady.append(True))
    monkeypatch.setattr("webbrowser.open", opened.append)
    for name in ("SRGAN_PORT", "SRGAN_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    with socket.create_server(("127.0.0.1", 0)) as bound:

        def at(*place: Any) -> socket.socket:
            places.append(place)
            return bound

        monkeypatch.setattr("srgan.cli.serve.bind", at)
        url = f"http://127.0.0.1:{bound.getsockname()[1]}"
        assert main(["serve"]) == 0
        monkeypatch.setenv("SRGAN_PORT", "0")
        assert main(["serve", "--host", "localhost", "--open", "--allow-origin", "null", "--allow-origin", "*"]) == 0
        monkeypatch.setenv("SRGAN_TOKEN", "swordfish")
        how = {"runtime": "onnxruntime", "precision": "fp32", "memory": 2_000_000_000, "threads": 3}
        said = [word for name, value in how.items() for word in (f"--{name}", str(value))]
        assert main(["serve", "--host", "::1", *said]) == 0
    assert capsys.readouterr() == (f"srgan serves {url} (Ctrl-C ends)\n" * 3, ""), "no warning of others"
    assert places == [("127.0.0.1", 8000), ("localhost", 0), ("::1", 0)]
    assert opened == [url]
    assert steady == [True] * 3
    rules = Rules(50_000_000, Limits(16_000_000, 256_000_000), 16, 300.0)
    assert [service.rules for service in seen] == [
        rules,
        replace(rules, origins=("null", "*")),
        replace(rules, token="swordfish"),
    ]
    assert seen[2].networks._how == how
    seen[0].networks._on_load(3)
    assert b"\nsrgan_networks 3" in seen[0].metrics.text()


@pytest.mark.parametrize(
    "origin",
    [
        "https://example.org/",
        "example.org",
        "https://Example.org",
        "https://exämple.org",
        "https://*.example.org",
        "https://example.org:443",
        "http://example.org:80",
        "https://example.org:",
        "https://me@example.org",
    ],
)
def test_an_origin_is_what_browsers_say(
    origin: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("srgan.cli.serve.Server", lambda _: SimpleNamespace(serve_on=lambda _: None))
    those = (
        "http://localhost:3000",
        "http://[::1]:8080",
        "http://a.example:443",
        "chrome-extension://abc",
        "null",
        "*",
    )
    assert main(["serve", "--port", "0", *(f"--allow-origin={one}" for one in (*those, origin))]) == 2
    assert capsys.readouterr().err.startswith(f"srgan: error: --allow-origin {origin}: not what browsers say")


@pytest.mark.usefixtures("weights")
def test_what_each_network_can_be_asked_for(tiny_onnx: Path) -> None:
    said = Networks([str(tiny_onnx)]).describe()
    assert said[0]["name"] == "tiny"
    can = {what: {each["name"] for each in said if each[what]} for what in ("detail", "repair", "confidence")}
    assert can == {"detail": {"srgan-plus"}, "repair": {"srgan-plus", "srgan-fast"}, "confidence": set(NAMES)}
