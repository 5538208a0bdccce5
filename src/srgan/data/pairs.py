"""Which low-resolution picture belongs to which high-resolution one: by their names."""

from collections.abc import Sequence
from pathlib import Path

from srgan.errors import DataError
from srgan.image.reading import PICTURE_SUFFIXES, is_hidden

SCALE = 4
LR_FOLDER = f"LRx{SCALE}"
"""What a folder with the low-resolution pictures of the ones beside it is called."""


def is_photograph(path: Path) -> bool:
    """Tell whether a file below a folder of photographs is one of them: not hidden, nor low-resolution, by its path."""
    return LR_FOLDER not in path.parts and not is_hidden(str(path))


def find_partner(file: Path, folder: Path) -> Path | None:
    """Return the picture in `folder` that belongs to `file`: of the same stem, or with x4 or _x4 behind it."""
    for stem in (file.stem, f"{file.stem}x{SCALE}", f"{file.stem}_x{SCALE}"):
        for suffix in (file.suffix, *sorted(PICTURE_SUFFIXES)):
            if (found := folder / f"{stem}{suffix}").is_file():
                return found
    return None


def find_partners(files: Sequence[Path], folder: Path, otherwise: str = "") -> dict[Path, Path]:
    """Return the picture in `folder` for each of some. Raises DataError, which ends in `otherwise`, where one lacks."""
    found = {file: partner for file in files if (partner := find_partner(file, folder)) is not None}
    if lacking := [file for file in files if file not in found]:
        raise DataError(f"{folder}: no picture for {named(lacking)}{otherwise}")
    return found


def named(lacking: Sequence[Path]) -> str:
    """Return what something is not there for, for people to read: the first, and how many more."""
    return lacking[0].name + (f", nor for {len(lacking) - 1} more" if len(lacking) > 1 else "")
