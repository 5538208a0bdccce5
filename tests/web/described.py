"""What Schemathesis sends as pictures: small ones that can be read. It loads this file by SCHEMATHESIS_HOOKS."""

import zlib

import schemathesis
from hypothesis import strategies as st

from made import chunk


def _gray(side: int, level: int) -> bytes:
    header = side.to_bytes(4) * 2 + b"\x08\0\0\0\0"
    rows = (b"\0" + bytes([level] * side)) * side
    parts = [chunk(b"IHDR", header), chunk(b"IDAT", zlib.compress(rows)), chunk(b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


PICTURES = st.builds(_gray, st.integers(1, 24), st.integers(0, 255))

for name in ("image/png", "image/jpeg", "application/octet-stream"):
    schemathesis.openapi.media_type(name, PICTURES)
schemathesis.openapi.format("binary", PICTURES)
