"""What spoils a folder of pictures for training or for tests, found before it does.

Pictures that cannot be read, are too small, blurred or blocky; the same picture twice; test pictures among training
pictures; low-resolution pictures that are not the bicubic of their originals.
"""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from srgan.data.pairs import LR_FOLDER, SCALE, LrFolder, photographs_below
from srgan.errors import DataError, PictureError
from srgan.image.colour import BT601, to_levels
from srgan.image.reading import read_picture
from srgan.image.resize import imresize

BLURRED = 0.42
"""Finest detail over that of twice the size: sharp photographs have 0.5 to 1.3, enlarged ones 0.2 to 0.5."""

BLOCKY = 1.3
"""How much larger the steps at every eighth pixel are than the others: JPEG of quality 50 makes it 1.25, of 30 1.4."""

ALIKE = 0.985
"""Correlation of two thumbnails from which on they are called the same picture."""

_EDGE = 2
"""Pixels of lr at each border that are not compared with a shifted hr: what is shifted in there is not its own."""

Plane = NDArray[np.float32]


@dataclass(frozen=True)
class Finding:
    """Something wrong with a file; `kind` is unreadable, small, blurred, blocky, duplicate, test or lr."""

    file: Path
    kind: str
    text: str


@dataclass(frozen=True)
class _Looked:
    file: Path
    findings: tuple[Finding, ...]
    thumbnail: Plane | None


def check(
    folder: Path,
    *,
    against: Sequence[Path] = (),
    min_side: int = 96,
    progress: Callable[[], None] = lambda: None,
) -> tuple[int, list[Finding]]:
    """Return how many pictures are in a folder and below it, and what is wrong with them.

    against   folders of test pictures that must not be among them
    min_side  the shortest side that is of use, in pixels; by default the paper's patch
    progress  is called after each picture

    Folders named LRx4 hold the low-resolution pictures of the ones beside them. Raises DataError where there are
    no pictures, PictureError for a test picture that cannot be read.
    """
    files = photographs_below(folder)
    tests = [(file, thumbnail(_luma(_levels(file)))) for place in against for file in photographs_below(place)]
    findings: list[Finding] = []
    looked: list[tuple[Path, Plane]] = []

    beside = {place: LrFolder(place) for place in {file.parent / LR_FOLDER for file in files} if place.is_dir()}

    def look(file: Path) -> _Looked:
        result = _look(file, min_side, beside.get(file.parent / LR_FOLDER))
        progress()
        return result

    with ThreadPoolExecutor(2) as pool:
        for one in pool.map(look, files):
            findings += one.findings
            if one.thumbnail is not None:
                looked.append((one.file, one.thumbnail))
    findings += _alike(looked, looked, "duplicate", "the same picture as")
    findings += _alike(looked, tests, "test", "a test picture:")
    return len(files), sorted(findings, key=lambda found: found.file)


def sharpness(plane: Plane) -> float:
    """Return how strong the finest detail of a plane (H, W) is, over that of half the size: infinity where it is flat.

    Looks at the tenth of the picture where there is most, so that sky and blurred backgrounds do not count.
    """
    height, width = (side // 2 * 2 for side in plane.shape)
    half = plane[:height, :width].reshape(height // 2, 2, width // 2, 2).mean(axis=(1, 3))
    coarse = _detail(half)
    return _detail(plane) / coarse if coarse > 1e-3 else float("inf")


def blockiness(plane: Plane) -> float:
    """Return how much larger the steps at every eighth pixel are than the median ones, of the better axis."""
    ratios = []
    for axis in (0, 1):
        steps = np.abs(np.diff(plane, axis=axis)).mean(axis=1 - axis)
        phases = steps[: len(steps) // 8 * 8].reshape(-1, 8).mean(axis=0)
        ratios.append(float(phases.max() / max(float(np.median(phases)), 1e-3)))
    return min(ratios)


def thumbnail(plane: Plane) -> Plane:
    """Return a plane in 16x16 numbers of mean 0 and length 1; of a flat one they are 0."""
    small = np.asarray(Image.fromarray(plane).resize((16, 16), Image.Resampling.BOX), dtype=np.float32)
    small = small - small.mean()
    length = float(np.linalg.norm(small))
    return small / length if length > 16 else np.zeros_like(small)  # a spread of one level is no picture


def compare_lr(lr: NDArray[np.uint8], hr: NDArray[np.uint8]) -> str | None:
    """Return what is wrong with lr as the bicubic of hr, None where nothing is.

    hr is cropped to a multiple of the scale first. Tells another size and, of pictures with a middle to look at,
    another kernel and a shift by up to two pixels of hr.
    """
    hr = hr[: hr.shape[0] // SCALE * SCALE, : hr.shape[1] // SCALE * SCALE]
    if lr.ndim != hr.ndim:
        return "one of the two is gray"
    if (lr.shape[0] * SCALE, lr.shape[1] * SCALE) != hr.shape[:2]:
        return f"{lr.shape[1]}x{lr.shape[0]} is not a quarter of {hr.shape[1]}x{hr.shape[0]}"
    bicubic = imresize(hr, scale=1 / SCALE)
    difference = np.abs(lr.astype(np.int16) - bicubic)
    if not difference.any():
        return None
    plain = float(np.sqrt(np.mean(np.square(difference.astype(np.float64)))))
    if plain < 0.6:
        return f"bicubic, but rounded or clipped elsewhere: {np.mean(difference > 0):.0%} of the values differ"
    wrong = f"not the bicubic of hr: {plain:.1f} levels away"
    if min(lr.shape[:2]) <= 2 * _EDGE:
        return wrong
    name, shift, error = _closest(*_middles(lr, hr))
    guess = f"nearest to it is {name}" + (f" of hr moved by {shift[1]}, {shift[0]} pixels" if any(shift) else "")
    return f"{wrong}; {guess}, {error:.1f} levels away"


def _look(file: Path, min_side: int, lr: LrFolder | None) -> _Looked:
    findings = []
    try:
        picture = _levels(file)
    except PictureError as error:
        reason = str(error).removeprefix(f"{file}: ")
        return _Looked(file, (Finding(file, "unreadable", reason),), None)
    plane = _luma(picture)
    if min(plane.shape) < min_side:
        size = f"{plane.shape[1]}x{plane.shape[0]}"
        findings.append(Finding(file, "small", f"{size}, a side under {min_side} pixels"))
    if min(plane.shape) >= 96:
        if (sharp := sharpness(plane)) < BLURRED:
            findings.append(Finding(file, "blurred", f"no fine detail, enlarged or out of focus ({sharp:.2f})"))
        if (blocks := blockiness(plane)) > BLOCKY:
            findings.append(Finding(file, "blocky", f"JPEG's blocks can be seen ({blocks:.2f})"))
    if lr is not None and (wrong := _wrong_lr(file, picture, lr)):
        findings.append(Finding(file, "lr", wrong))
    return _Looked(file, tuple(findings), thumbnail(plane))


def _wrong_lr(file: Path, hr: NDArray[np.uint8], lr: LrFolder) -> str | None:
    try:
        return compare_lr(_levels(lr.partners([file])[file]), hr)
    except (DataError, PictureError) as error:
        return str(error)


def _levels(file: Path) -> NDArray[np.uint8]:
    """Return a picture's pixels, (H, W, 3) or (H, W), rounded to 8 bits. Raises PictureError."""
    return to_levels(read_picture(file).pixels)


def _luma(picture: NDArray[np.uint8]) -> Plane:
    plane = picture.astype(np.float32)
    return plane if plane.ndim == 2 else plane @ BT601


def _detail(plane: Plane) -> float:
    """Return the larger of the two axes' detail at the highest frequency, in levels, in the best tenth of blocks."""
    best = 0.0
    for lines in (plane, plane.T):
        high = (lines[:-4] + lines[4:] - 4 * (lines[1:-3] + lines[3:-1]) + 6 * lines[2:-2]) / 16
        height, width = (side // 16 * 16 for side in high.shape)
        blocks = np.square(high[:height, :width]).reshape(height // 16, 16, width // 16, 16).mean(axis=(1, 3))
        best = max(best, float(np.sqrt(np.quantile(blocks, 0.9))))
    return best


def _alike(
    pictures: Sequence[tuple[Path, Plane]], others: Sequence[tuple[Path, Plane]], kind: str, text: str
) -> Iterator[Finding]:
    """Yield a finding for each picture that is like an other one, turned and mirrored in eight ways.

    Where both are the same sequence, pictures are compared with the ones before them.
    """
    if not others:
        return
    all_of_them = np.stack([small.ravel() for _, small in others])
    for place, (file, small) in enumerate(pictures):
        turned = [np.rot90(side, k).ravel() for side in (small, small.T) for k in range(4)]
        likeness = (all_of_them @ np.stack(turned, axis=1)).max(axis=1)
        if pictures is others:
            likeness = likeness[:place]
        if len(likeness) and likeness.max() > ALIKE:
            yield Finding(file, kind, f"{text} {others[int(likeness.argmax())][0]} ({likeness.max():.3f})")


def _four_taps(picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return every fourth place of a picture, between its pixels, from 4x4 pixels: what aliases."""
    weights = np.array([-1, 9, 9, -1]) / 16
    plane = picture.astype(np.float64)
    for axis in (0, 1):
        lines = np.moveaxis(np.pad(plane, [(0, 0)] * axis + [(0, 4)] + [(0, 0)] * (plane.ndim - axis - 1)), axis, 0)
        count = picture.shape[axis] // SCALE * SCALE
        taken = sum(weight * lines[i : i + count : SCALE] for i, weight in enumerate(weights))
        plane = np.moveaxis(np.asarray(taken), 0, axis)
    return np.floor(plane.clip(0, 255) + 0.5).astype(np.uint8)


def _middles(lr: NDArray[np.uint8], hr: NDArray[np.uint8]) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Return the same place of both, at most 64 pixels of lr a side."""
    rows, columns = (slice((side - min(side, 64)) // 2, (side + min(side, 64)) // 2) for side in lr.shape[:2])
    large = (slice(part.start * SCALE, part.stop * SCALE) for part in (rows, columns))
    return lr[rows, columns], hr[tuple(large)]


def _closest(lr: NDArray[np.uint8], hr: NDArray[np.uint8]) -> tuple[str, tuple[int, int], float]:
    """Return the kernel and the shift in hr pixels, down and right, that make lr best of hr, and the error."""

    def pillow(kernel: Image.Resampling) -> Callable[[NDArray[np.uint8]], NDArray[np.uint8]]:
        return lambda p: np.asarray(Image.fromarray(p).resize((p.shape[1] // SCALE, p.shape[0] // SCALE), kernel))

    kernels: dict[str, Callable[[NDArray[np.uint8]], NDArray[np.uint8]]] = {
        "bicubic": lambda p: imresize(p, scale=1 / SCALE),
        "bilinear": pillow(Image.Resampling.BILINEAR),
        "a box": pillow(Image.Resampling.BOX),
        "Lanczos": pillow(Image.Resampling.LANCZOS),
        "every fourth pixel": lambda p: p[::SCALE, ::SCALE],
        "bicubic without antialiasing": _four_taps,
    }
    best = ("", (0, 0), float("inf"))
    inner = (slice(_EDGE, -_EDGE), slice(_EDGE, -_EDGE))
    for down in range(-2, 3):
        for right in range(-2, 3):
            moved = np.roll(hr, (-down, -right), axis=(0, 1))
            for name, kernel in kernels.items():
                difference = kernel(moved)[inner].astype(np.float64) - lr[inner]
                error = float(np.sqrt(np.mean(np.square(difference))))
                if error < best[2] - 1e-9 or (error <= best[2] and (down, right) == (0, 0)):
                    best = (name, (down, right), error)
    return best
