"""Photographs decoded once into one memory-mapped file, so that training never waits for a decoder.

A store is a folder with `pictures.bin`, the uint8 RGB pictures one after the other, and `index.json`, which
says where each one lies. It appears whole or not at all.
"""

import glob
import hashlib
import io
import json
import os
import shutil
import sys
import tarfile
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO, Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError
from tqdm import tqdm

from srgan.atomic import cache_folder, filled_whole, remove_leftovers
from srgan.errors import DataError

SUFFIXES = {".avif", ".bmp", ".jpeg", ".jpg", ".png", ".ppm", ".tif", ".tiff", ".webp"}
"""Names of files that are taken for pictures inside folders and tars."""

VERSION = 1


@dataclass(frozen=True)
class Entry:
    """One picture of a store: `offset` counts pixels from the start of the file."""

    name: str
    height: int
    width: int
    offset: int


@dataclass(frozen=True)
class Store:
    """Decoded pictures: `pixels` is (total, 3) uint8, memory-mapped; `entries` says which pixels are whose."""

    pixels: NDArray[np.uint8]
    entries: tuple[Entry, ...]

    def picture(self, entry: Entry) -> NDArray[np.uint8]:
        """Return one picture, (height, width, 3) uint8, as a view of the map."""
        end = entry.offset + entry.height * entry.width
        return self.pixels[entry.offset : end].reshape(entry.height, entry.width, 3)

    def split(self, held_out: int) -> tuple[tuple[Entry, ...], tuple[Entry, ...]]:
        """Return the entries to train on and `held_out` others, spread evenly over the store."""
        if held_out >= len(self.entries):
            raise DataError(f"{held_out} pictures cannot be held out of {len(self.entries)}")
        chosen = {(2 * i + 1) * len(self.entries) // (2 * held_out) for i in range(held_out)}
        inside = tuple(e for i, e in enumerate(self.entries) if i not in chosen)
        return inside, tuple(e for i, e in enumerate(self.entries) if i in chosen)


def open_store(folder: Path) -> Store:
    """Map a store that `prepare_store` wrote; writing to its pixels changes memory, never the file.

    Raises DataError where it is damaged or of another version.
    """
    try:
        index = json.loads((folder / "index.json").read_text())
        if index["version"] != VERSION:
            raise DataError(f"{folder}: a store of version {index['version']}, not {VERSION}; delete it")
        entries = tuple(Entry(**entry) for entry in index["pictures"])
        total = sum(e.height * e.width for e in entries)
        pixels = np.memmap(folder / "pictures.bin", dtype=np.uint8, mode="c", shape=(total, 3))
    except (OSError, KeyError, TypeError, ValueError) as error:
        raise DataError(f"{folder}: not a readable store of pictures: {error}") from error
    return Store(pixels, entries)


def prepare_store(
    sources: Sequence[str], cache: Path, *, min_side: int, gray: Literal["convert", "skip"] = "convert"
) -> Store:
    """Return the store of all pictures in `sources`, decoding them into `cache` unless that was done before.

    A source is a folder (read recursively), a tar, a picture, a glob of these, or a store. Pictures that
    cannot be decoded or have a side under `min_side` pixels are named on standard error and left out. Raises
    DataError where a source is missing, nothing usable is left, or the disk has no room.
    """
    files = _expand(sources)
    if len(files) == 1 and (files[0] / "index.json").is_file():
        return open_store(files[0])
    state = [(str(f.resolve()), f.stat().st_size, f.stat().st_mtime_ns) for f in files]
    key = hashlib.sha256(json.dumps([VERSION, state, min_side, gray]).encode()).hexdigest()[:16]
    folder = cache / key
    if not folder.is_dir():
        _build(files, folder, min_side=min_side, gray=gray)
    return open_store(folder)


def default_cache() -> Path:
    """Return the folder for stores: `srgan/stores` under XDG_CACHE_HOME, or under ~/.cache."""
    return cache_folder("stores")


def _expand(sources: Sequence[str]) -> list[Path]:
    """Return the files that the sources stand for: pictures, tars, or a single store's folder."""
    files: list[Path] = []
    for source in sources:
        matches = [Path(source)] if Path(source).exists() else [Path(p) for p in sorted(glob.glob(source))]  # noqa: PTH207 - absolute patterns too
        if not matches:
            raise DataError(f"{source}: no such file, folder or pattern")
        for match in matches:
            if match.is_dir() and not (match / "index.json").is_file():
                inside = sorted(p for p in match.rglob("*") if p.suffix.lower() in SUFFIXES | {".tar"})
                if not inside:
                    raise DataError(f"{match}: no pictures in this folder")
                files.extend(inside)
            else:
                files.append(match)
    return files


def _opened(files: Sequence[Path]) -> Iterator[tuple[str, IO[bytes]]]:
    """Yield the name of every picture in files and tars, and it open for reading, in order."""
    for file in files:
        try:
            if file.suffix.lower() != ".tar":
                with file.open("rb") as content:
                    yield str(file), content
                continue
            with tarfile.open(file) as tar:
                for member in tar:
                    if member.isfile() and Path(member.name).suffix.lower() in SUFFIXES:
                        inside = tar.extractfile(member)
                        assert inside is not None
                        yield f"{file}/{member.name}", inside
        except (OSError, tarfile.TarError) as error:
            raise DataError(f"{file}: cannot be read: {error}") from error


def _check_room(files: Sequence[Path], folder: Path, min_side: int) -> None:
    """Raise DataError where the decoded pictures, whose sizes their headers tell, would not fit on the disk."""
    needed = 0
    for _, content in _opened(files):
        try:
            with Image.open(content) as picture:
                needed += 3 * picture.width * picture.height * (min(picture.size) >= min_side)
        except Exception:
            continue
    free = shutil.disk_usage(folder).free
    if needed > free:
        raise DataError(
            f"{folder}: no room: the decoded pictures take {needed / 1e9:.1f} GB, {free / 1e9:.1f} are free"
        )


def _decode(data: bytes, *, min_side: int, gray: str) -> NDArray[np.uint8] | str:
    """Return the picture as (H, W, 3) uint8, upright, or why it is left out."""
    try:
        with Image.open(io.BytesIO(data)) as file:
            if min(file.size) < min_side:
                return f"{file.width}x{file.height}, a side under {min_side} pixels"
            if file.mode.startswith(("I", "F")):
                return "not of 8 bits a channel"
            if gray == "skip" and file.mode in ("1", "L", "LA"):
                return "gray"
            return np.asarray(ImageOps.exif_transpose(file).convert("RGB"))
    except UnidentifiedImageError:
        return "not a picture, or not of a kind that can be read"
    except Exception as error:  # Pillow's decoders raise whatever a damaged file makes happen
        return f"cannot be decoded: {error}"


def _build(files: Sequence[Path], folder: Path, *, min_side: int, gray: str) -> None:
    """Decode everything into `folder` with all cores, in order, with bounded memory."""
    entries: list[Entry] = []
    offset = 0
    workers = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    pending: deque[tuple[str, Future[NDArray[np.uint8] | str]]] = deque()
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        remove_leftovers(folder.parent)
        _check_room(files, folder.parent, min_side)
        with (
            filled_whole(folder) as beside,
            (beside / "pictures.bin").open("wb") as out,
            ThreadPoolExecutor(workers) as pool,
            tqdm(desc="decoding", unit=" pictures", leave=False) as progress,
        ):

            def take() -> None:
                nonlocal offset
                name, future = pending.popleft()
                picture = future.result()
                progress.update()
                if isinstance(picture, str):
                    progress.write(f"left out: {name}: {picture}", file=sys.stderr)
                    return
                out.write(picture.tobytes())
                height, width, _ = picture.shape
                entries.append(Entry(name, height, width, offset))
                offset += height * width

            for name, content in _opened(files):
                pending.append((name, pool.submit(_decode, content.read(), min_side=min_side, gray=gray)))
                if len(pending) > 2 * workers:
                    take()
            while pending:
                take()
            if not entries:
                raise DataError(f"no usable picture in {', '.join(str(f) for f in files[:3])}")
            index = {"version": VERSION, "pictures": [asdict(e) for e in entries]}
            (beside / "index.json").write_text(json.dumps(index))
    except OSError as error:
        raise DataError(f"{folder}: the store cannot be written: {error.strerror or error}") from error
