"""Compiled networks kept between runs, in `srgan/compiled` under XDG_CACHE_HOME, or under ~/.cache.

What is kept saves time and nothing else: an entry that is missing or damaged is made anew, and where none can be
written the program runs as if there were none.
"""

import os
import zlib
from pathlib import Path

from srgan.atomic import cache_folder, written_whole
from srgan.errors import OutputError

KEPT = 8
"""How many compiled networks stay; the least recently used go first."""

_CHECK_BYTES = 4


def folder() -> Path:
    """Return where compiled networks are kept. Raises OutputError for a user without a home."""
    return cache_folder("compiled")


def recall(key: str) -> tuple[str, bytes] | None:
    """Return the card (JSON) and the compiled network kept under a key, None where there is none that is whole."""
    try:
        path = folder() / key
        content = path.read_bytes()
        os.utime(path)
    except (OutputError, OSError):
        return None
    body = content[_CHECK_BYTES:]
    if zlib.crc32(body) != int.from_bytes(content[:_CHECK_BYTES], "little") or b"\n" not in body:
        return None
    card, blob = body.split(b"\n", 1)
    return card.decode(), blob


def keep(key: str, card: str, blob: bytes) -> None:
    """Keep a compiled network and its card, a line of JSON, under a key; where that cannot be written, do not."""
    body = card.encode() + b"\n" + blob
    try:
        with written_whole(folder() / key) as file:
            file.write(zlib.crc32(body).to_bytes(_CHECK_BYTES, "little") + body)
        newest = sorted(folder().iterdir(), key=lambda path: path.stat().st_mtime, reverse=True)
        for path in newest[KEPT:]:
            path.unlink(missing_ok=True)
    except (OutputError, OSError):
        return
