"""Photographs decoded once into one memory-mapped file, so that training never waits for a decoder.

A store is a folder with `pictures.bin`, the uint8 RGB pictures one after the other, and `index.json`, which
says where each one lies. It appears whole or not at all.
"""

import glob
import hashlib
import io
import json
import math
import shutil
import sys
import tarfile
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from pathlib import Path, PurePosixPath
from typing import IO, Any, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError
from tqdm import tqdm

from srgan.atomic import cache_folder, filled_whole, remove_leftovers
from srgan.data.pairs import LR_FOLDER, SCALE, LrFolder, counts, photographs_below
from srgan.errors import DataError
from srgan.image.picture import Limits, in_words
from srgan.image.reading import PICTURE_SUFFIXES, open_image, upright, without_limits
from srgan.threads import processors

VERSION = 2

_Sizes: TypeAlias = list[tuple[float, NDArray[np.uint8]]]


@dataclass(frozen=True)
class Entry:
    """One picture of a store, `size` times as wide and high as its file.

    `offset` counts pixels from the start of `pictures.bin`. An `original` is there to be trained on in its own size,
    whatever the sizes of the others. `digest` is of the file's bytes, whatever it is called. Where a picture has a
    low-resolution one of its own, that begins at `lr_offset`, and `lr_digest` is of its file.
    """

    name: str
    height: int
    width: int
    offset: int
    size: float = 1.0
    original: bool = False
    digest: str = ""
    lr_offset: int | None = None
    lr_digest: str = ""

    @property
    def lr_shape(self) -> tuple[int, int]:
        """Height and width of its low-resolution picture, whether it has one or not."""
        return self.height // SCALE, self.width // SCALE

    @property
    def identity(self) -> str:
        """What the same photograph has in every size, and under every path."""
        return self.digest or self.name


@dataclass(frozen=True)
class Store:
    """Decoded pictures: `pixels` is (total, 3) uint8, memory-mapped; `entries` says which pixels are whose."""

    pixels: NDArray[np.uint8]
    entries: tuple[Entry, ...]

    def picture(self, entry: Entry) -> NDArray[np.uint8]:
        """Return one picture, (height, width, 3) uint8, as a view of the map."""
        return self._at(entry.offset, entry.height, entry.width)

    def lr(self, entry: Entry) -> NDArray[np.uint8] | None:
        """Return the low-resolution picture that one has of its own, a view of the map, or None."""
        return None if entry.lr_offset is None else self._at(entry.lr_offset, *entry.lr_shape)

    def _at(self, offset: int, height: int, width: int) -> NDArray[np.uint8]:
        return self.pixels[offset : offset + height * width].reshape(height, width, 3)

    def _large(self, min_side: int) -> list[Entry]:
        return [entry for entry in self.entries if min(entry.height, entry.width) >= min_side]

    def identity(self, min_side: int = 1) -> str:
        """Return what stores of the same photographs in the same sizes and order have in common, wherever these lie.

        Those with a side under `min_side` pixels do not count.
        """
        told = [
            [e.digest, e.height, e.width, e.size, e.original, *([e.lr_digest] if e.lr_digest else [])]
            for e in self._large(min_side)
        ]
        return hashlib.sha256(json.dumps(told).encode()).hexdigest()[:16]

    def split(
        self, held_out: int, sizes: Sequence[float] = (1.0,), *, min_side: int = 1
    ) -> tuple[tuple[Entry, ...], tuple[Entry, ...]]:
        """Return the entries to train on, in these sizes, and `held_out` whole pictures that are in none of them.

        Those with a side under `min_side` pixels are neither. The pictures held out are spread evenly over the store
        without its originals, so that they are the same ones whatever originals are beside them; a photograph that is
        there by two paths is one. Of other photographs others are held out. Raises DataError where too few pictures
        are left, or none of a size.
        """
        apart: dict[str, Entry] = {}
        large = self._large(min_side)
        if not large:
            raise DataError(f"every picture has a side under {min_side} pixels")
        for entry in large:
            if entry.size == 1 and not entry.original:
                apart.setdefault(entry.identity, entry)
        whole = list(apart.values())
        if not whole:
            raise DataError(f"every picture but originals has a side under {min_side} pixels")
        if held_out >= len(whole):
            raise DataError(f"{held_out} pictures cannot be held out of {len(whole)}")
        outside = tuple(whole[(2 * i + 1) * len(whole) // (2 * held_out)] for i in range(held_out))
        unseen = {e.identity for e in outside}
        inside = tuple(e for e in large if (e.original or e.size in sizes) and e.identity not in unseen)
        if missing := set(sizes) - {e.size for e in inside if not e.original}:
            raise DataError(f"no picture to train on is large enough, or decoded, in size {min(missing):g}")
        return inside, outside


def open_store(folder: Path) -> Store:
    """Map a store that `prepare_store` wrote; writing to its pixels changes memory, never the file.

    Raises DataError where it is damaged or of another version.
    """
    try:
        index = json.loads((folder / "index.json").read_text())
        if index["version"] != VERSION:
            raise DataError(f"{folder}: a store of version {index['version']}, not {VERSION}; delete it")
        entries = tuple(Entry(**entry) for entry in index["pictures"])
        ranges = [(e.offset, e.height * e.width) for e in entries]
        ranges += [(e.lr_offset, math.prod(e.lr_shape)) for e in entries if e.lr_offset is not None]
        total = sum(size for _, size in ranges)
        outside = not all(0 <= offset <= total - size for offset, size in ranges)
        pixels = np.memmap(folder / "pictures.bin", dtype=np.uint8, mode="c", shape=(total, 3))
    except (OSError, KeyError, TypeError, ValueError) as error:
        raise DataError(f"{folder}: not a readable store of pictures: {error}") from error
    if outside:
        raise DataError(f"{folder}: not a readable store of pictures: one lies beyond their pixels")
    return Store(pixels, entries)


def prepare_store(
    sources: Sequence[str],
    cache: str | Path,
    *,
    min_side: int,
    gray: Literal["convert", "skip"] = "convert",
    sizes: Sequence[float] = (1.0,),
    originals: Sequence[str] = (),
    lr: str | Path | None = None,
) -> Store:
    """Return the store of all pictures in `sources`, decoding them into `cache` unless that was done before.

    A source is a folder (read recursively, but for LRx4 and what is hidden), a tar, a picture, a glob of these, or a
    store. Pictures that cannot be decoded or have a side under `min_side` pixels are named on standard error and left
    out. Each picture is there whole, and shrunk to those of `sizes` under 1 in which its sides still have `min_side`
    pixels; one of `originals` whole alone, as many times as it is named. Another picture is there once. In the folder
    `lr` lies the low-resolution picture of each, see `LrFolder`. Raises DataError where a source or one of these is
    missing, nothing usable is left, or the disk has no room.
    """
    if isinstance(sources, str) or isinstance(originals, str):
        raise DataError("sources and originals are lists")
    once: dict[Path, tuple[Path, Path]] = {}
    for file, below in _expand(sources):
        once.setdefault(file.resolve(), (file, below))
    found = [*once.values()]
    if not found:
        raise DataError("no sources of pictures")
    files, whole = [file for file, _ in found], [file for file, _ in _expand(originals)]
    if store := next((f for f in [*files, *whole] if f.is_dir()), None):
        if files != [store] or whole or lr is not None:
            raise DataError(f"{store}: a store stands alone, no other source beside it")
        return open_store(store)
    sizes = [1.0, *sorted({size for size in sizes if size < 1}, reverse=True)]
    partners = {} if lr is None else _partners(dict(found), Path(lr), alone=len(sizes) == 1 and not whole)
    about: list[Any] = [VERSION, _state(files), min_side, gray, *sizes[1:], *([_state(whole)] if whole else [])]
    about += ["lr", _state([*partners.values()])] if partners else []
    folder = Path(cache) / hashlib.sha256(json.dumps(about).encode()).hexdigest()[:16]
    if not folder.is_dir():
        groups = [_Group(files, sizes, partners=partners), _Group(whole, [1.0], original=True)]
        _build(groups, folder, min_side=min_side, gray=gray)
    return open_store(folder)


def default_cache() -> Path:
    """Return the folder for stores: `srgan/stores` under XDG_CACHE_HOME, or under ~/.cache."""
    return cache_folder("stores")


@dataclass(frozen=True)
class _Group:
    """Files whose pictures are kept in the same sizes, and the files of the low-resolution ones of some."""

    files: Sequence[Path]
    sizes: Sequence[float]
    original: bool = False
    partners: Mapping[Path, Path] = field(default_factory=dict)


def _partners(below: Mapping[Path, Path], lr: Path, *, alone: bool) -> dict[Path, Path]:
    """Return the low-resolution picture of each file, in the same folder below `lr`, or in `lr`. Raises DataError."""
    if not alone:
        raise DataError(
            f"{lr}: low-resolution pictures are of pictures in their own size: without originals, or data.sizes"
        )
    if tar := next((file for file in below if file.suffix.lower() == ".tar"), None):
        raise DataError(f"{tar}: pictures in a tar have no low-resolution ones in a folder: unpack it")
    folders: dict[Path, list[Path]] = {}
    for file, folder in below.items():
        folders.setdefault(lr / folder if (lr / folder).is_dir() else lr, []).append(file)
    partners: dict[Path, Path] = {}
    for place, files in folders.items():
        partners |= LrFolder(place).partners(files)
    return partners


def _state(files: Sequence[Path]) -> list[tuple[str, int, int]]:
    """Return what tells that files are the same as before. Raises DataError."""
    told = []
    for file in files:
        try:
            about = file.stat()
        except OSError as error:  # of a link to nothing, say
            raise DataError(f"{file}: cannot be read: {error.strerror}") from error
        told.append((str(file.resolve()), about.st_size, about.st_mtime_ns))
    return told


def _expand(sources: Sequence[str]) -> list[tuple[Path, Path]]:
    """Return the files that sources stand for, pictures, tars, or a store's folder, each with its folder below them."""
    files: list[tuple[Path, Path]] = []
    for source in sources:
        named = [Path(source)] if source and Path(source).exists() else []
        matches = named or [path for path in map(Path, sorted(glob.glob(source))) if path.name != LR_FOLDER]  # noqa: PTH207 - absolute patterns too
        if not matches:
            raise DataError(f"{source or repr(source)}: no such file, folder or pattern")
        for match in matches:
            if match.is_dir() and not (match / "index.json").is_file():
                files.extend((file, file.parent.relative_to(match)) for file in photographs_below(match, ".tar"))
            else:
                files.append((match, Path()))
    return files


def _contents(files: Sequence[Path]) -> Iterator[tuple[str, bytes]]:
    """Yield the name of every picture in files and tars, and its bytes, in order. Raises DataError."""
    for name, content in _opened(files):
        try:
            data = content.read()
        except (OSError, tarfile.TarError) as error:
            raise DataError(f"{name}: cannot be read: {error}") from error
        yield name, data


def _opened(files: Sequence[Path]) -> Iterator[tuple[str, IO[bytes]]]:
    """Yield the name of every picture in files and tars, and it open for reading, in order. Raises DataError."""
    for file in files:
        try:
            if file.suffix.lower() != ".tar":
                with file.open("rb") as content:
                    yield str(file), content
                continue
            with tarfile.open(file) as tar:
                for member in tar:
                    name = PurePosixPath(member.name)
                    if member.isfile() and name.suffix.lower() in PICTURE_SUFFIXES and counts(name):
                        inside = tar.extractfile(member)
                        assert inside is not None
                        yield f"{file}/{member.name}", inside
        except (OSError, tarfile.TarError) as error:
            raise DataError(f"{file}: cannot be read: {error}") from error


def _check_room(groups: Sequence[_Group], folder: Path, min_side: int) -> None:
    """Raise DataError where the decoded pictures, whose sizes their headers tell, would not fit on the disk."""
    needed = 0.0
    for group in groups:
        for _, content in _opened(group.files):
            try:
                with without_limits(), open_image(content) as picture:
                    copies = sum(size**2 for size in group.sizes if round(size * min(picture.size)) >= min_side)
                    needed += 3 * picture.width * picture.height * copies
            except Exception:  # it is left out when it is decoded
                continue
    free = shutil.disk_usage(folder).free
    if needed > free:
        raise DataError(
            f"{folder}: no room: the decoded pictures take {needed / 1e6:.0f} MB, {free / 1e6:.0f} are free"
        )


def _decode(data: bytes, *, min_side: int, gray: str, sizes: Sequence[float]) -> _Sizes | str:
    """Return the picture, upright, in each size that it is large enough for, (H, W, 3) uint8, or why it is left out."""
    try:
        with without_limits(), open_image(io.BytesIO(data)) as file:
            if file.width * file.height > Limits.input_pixels:
                return f"{file.width}x{file.height}, more than {in_words(Limits.input_pixels)}"
            if min(file.size) < min_side:
                return f"{file.width}x{file.height}, a side under {min_side} pixels"
            if file.mode.startswith(("I", "F")):
                return "not of 8 bits a channel"
            picture = upright(file).convert("RGB")
            if gray == "skip" and _colourless(np.asarray(picture)):
                return "gray"
            shapes = [(size, (round(size * picture.width), round(size * picture.height))) for size in sizes]
            return [
                (size, np.asarray(picture.resize(shape, Image.Resampling.LANCZOS)))
                for size, shape in shapes
                if min(shape) >= min_side
            ]
    except UnidentifiedImageError:
        return "not a picture, or not of a kind that can be read"
    except MemoryError:  # it may be there the next time, and the store stays
        raise
    except Exception as error:  # Pillow's decoders raise whatever a damaged file makes happen
        return f"cannot be decoded: {error}"


def _decode_pair(data: bytes, lr: bytes | None, **how: Any) -> tuple[_Sizes | str, NDArray[np.uint8] | None]:
    """Return what `_decode` makes of a picture, and of its low-resolution one, which has to fit."""
    pictures = _decode(data, **how)
    if lr is None or isinstance(pictures, str):
        return pictures, None
    small = _decode(lr, min_side=1, gray="convert", sizes=[1.0])
    if isinstance(small, str):
        return f"its low-resolution picture: {small}", None
    (_, hr), (_, found) = pictures[0], small[0]
    if _colourless(found) and not _colourless(hr):
        return "its low-resolution picture: gray where it has colours", None
    if found.shape[:2] != (hr.shape[0] // SCALE, hr.shape[1] // SCALE):
        text = f"{found.shape[1]}x{found.shape[0]} is not a quarter of {hr.shape[1]}x{hr.shape[0]}"
        return f"its low-resolution picture: {text}", None
    return pictures, found


def _build(groups: Sequence[_Group], folder: Path, *, min_side: int, gray: str) -> None:
    """Decode everything into `folder` with all cores, in order, with bounded memory."""
    entries: list[Entry] = []
    offset = 0
    workers = processors()
    pending: deque[tuple[Entry, Future[tuple[_Sizes | str, NDArray[np.uint8] | None]]]] = deque()
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        remove_leftovers(folder.parent)
        _check_room(groups, folder.parent, min_side)
        with (
            filled_whole(folder) as beside,
            (beside / "pictures.bin").open("wb") as out,
            ThreadPoolExecutor(workers) as pool,
            tqdm(desc="decoding", unit=" pictures", leave=False) as progress,
        ):

            def take() -> None:
                nonlocal offset
                entry, future = pending.popleft()
                pictures, lr = future.result()
                progress.update()
                if isinstance(pictures, str):
                    progress.write(f"left out: {entry.name}: {pictures}", file=sys.stderr)
                    return
                for size, picture in pictures:
                    out.write(picture.tobytes())
                    height, width, _ = picture.shape
                    entries.append(replace(entry, height=height, width=width, offset=offset, size=size))
                    offset += height * width
                if lr is not None:
                    out.write(lr.tobytes())
                    entries[-1] = replace(entries[-1], lr_offset=offset)
                    offset += lr.shape[0] * lr.shape[1]

            for group in groups:
                decode = partial(_decode_pair, min_side=min_side, gray=gray, sizes=group.sizes)
                lr_contents = _contents([group.partners[file] for file in group.files if file in group.partners])
                for name, data in _contents(group.files):
                    _, lr_data = next(lr_contents, (None, None))
                    entry = Entry(name, 0, 0, 0, original=group.original, digest=_digest(data))
                    if lr_data is not None:
                        entry = replace(entry, lr_digest=_digest(lr_data))
                    pending.append((entry, pool.submit(decode, data, lr_data)))
                    if len(pending) > 2 * workers:
                        take()
            while pending:
                take()
            if not entries:
                files = [str(file) for group in groups for file in group.files[:3]]
                raise DataError(f"no usable picture in {', '.join(files)}")
            index = {"version": VERSION, "pictures": [asdict(e) for e in entries]}
            (beside / "index.json").write_text(json.dumps(index))
    except OSError as error:
        raise DataError(f"{folder}: the store cannot be written: {error.strerror or error}") from error


def _colourless(pixels: NDArray[np.uint8]) -> bool:
    return bool((pixels == pixels[..., :1]).all())


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()[:16]
