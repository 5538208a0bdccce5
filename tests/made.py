"""Picture files made byte by byte, so that what is in them is known whatever reads and writes them elsewhere."""

import io
import struct
import zlib
from typing import Any

import numpy as np
import PIL
import pytest
from numpy.typing import NDArray
from PIL import Image

since_pillow_13 = pytest.mark.skipif(PIL.__version__ < "13", reason="Pillow 12 does not write or read it")


def chunk(kind: bytes, content: bytes) -> bytes:
    """Return a chunk of a PNG."""
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def png(samples: NDArray[Any], *chunks: bytes, interlaced: bool = False) -> bytes:
    """Return samples (H, W, C) of uint8 or uint16 as a PNG with further chunks before the pixels."""
    height, width, channels = samples.shape
    kind = {1: 0, 2: 4, 3: 2, 4: 6}[channels]
    header = struct.pack(">IIBBBBB", width, height, 8 * samples.itemsize, kind, 0, 0, interlaced)
    passes = [samples]
    if interlaced:
        steps = ((0, 0, 8, 8), (0, 4, 8, 8), (4, 0, 8, 4), (0, 2, 4, 4), (2, 0, 4, 2), (0, 1, 2, 2), (1, 0, 2, 1))
        passes = [samples[y::down, x::right] for y, x, down, right in steps]
    big = f">u{samples.itemsize}"
    rows = b"".join(b"\0" + row.astype(big).tobytes() for part in passes if part.size for row in part)
    parts = [chunk(b"IHDR", header), *chunks, chunk(b"IDAT", zlib.compress(rows)), chunk(b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


def as_jpeg(pixels: NDArray[np.uint8], quality: int | str, **how: Any) -> NDArray[np.uint8]:
    """Return what a JPEG makes of pixels (H, W, 3) or (H, W)."""
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "JPEG", quality=quality, **how)
    return np.asarray(Image.open(file))


def exif(order: str = "<", *, orientation: int = 6, thumbnail: bytes = b"\xff\xd8 small \xff\xd9") -> bytes:
    """Return EXIF data of a 40x30 picture: maker, orientation, a comment, notes with a place in them, a thumbnail."""

    def entry(tag: int, kind: int, number: int, value: int | bytes) -> bytes:
        if isinstance(value, int):
            value = struct.pack(f"{order}HH", value, 0) if kind == 3 else struct.pack(f"{order}I", value)
        return struct.pack(f"{order}HHI", tag, kind, number) + value

    def directory(*entries: bytes, following: int = 0) -> bytes:
        return struct.pack(f"{order}H", len(entries)) + b"".join(entries) + struct.pack(f"{order}I", following)

    first, inner, second, texts = 8, 8 + 42, 50 + 54, 104 + 30
    head = (b"II" if order == "<" else b"MM") + struct.pack(f"{order}HI", 42, first)
    notes = texts + 8
    picture = notes + 12
    data = head + directory(
        entry(0x010F, 2, 7, texts), entry(0x0112, 3, 1, orientation), entry(0x8769, 4, 1, inner), following=second
    )
    data += directory(
        entry(0x927C, 7, 12, notes), entry(0xA002, 3, 1, 40), entry(0xA003, 3, 1, 30), entry(0x9286, 7, 4, b"nice")
    )
    data += directory(entry(0x0201, 4, 1, picture), entry(0x0202, 4, 1, len(thumbnail)))
    data += b"Camera\0\0" + b"note" + struct.pack(f"{order}I", notes + 8) + b"here" + thumbnail
    assert data[picture:] == thumbnail
    return data
