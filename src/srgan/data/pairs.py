"""Which low-resolution picture belongs to which high-resolution one: by their names."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path, PurePath

from srgan.errors import DataError, PictureError
from srgan.image.reading import PICTURE_SUFFIXES, files_below, is_hidden

SCALE = 4
"""Of every pair, and of every generator that is trained on them."""
LR_FOLDER = f"LRx{SCALE}"
"""What a folder with the low-resolution pictures of the ones beside it is called."""


def photographs_below(folder: Path, *others: str) -> list[Path]:
    """Return the pictures in a folder and below it, sorted, and files of `others`' suffixes, ".tar" say.

    Links are followed, each folder once. What is hidden is none of them, nor what is in a folder named LRx4. Raises
    DataError where there are none, or a folder cannot be searched.
    """
    errors: dict[str, PictureError] = {}
    suffixes = {*PICTURE_SUFFIXES, *others}
    found = (path for path in map(Path, files_below(folder, errors)) if path.suffix.lower() in suffixes)
    below = ((path, path.relative_to(folder)) for path in found if _is_file(path))
    files = sorted(path for path, name in below if counts(name))
    if errors and folder.is_dir():
        raise DataError(str(next(iter(errors.values()))))
    if not files:
        raise DataError(f"{folder}: {'no pictures in this folder' if folder.is_dir() else 'no such folder'}")
    return files


def counts(name: PurePath) -> bool:
    """Tell whether a picture of that name below a folder, or in a tar, counts: not in LRx4, nor where it is hidden."""
    return LR_FOLDER not in name.parts and not is_hidden(str(name))


class LrFolder:
    """A folder with low-resolution pictures, read once. Raises DataError where there is none."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._named: dict[str, list[Path]] = {}
        for picture in pictures_in(path):
            stem = picture.stem.lower()
            for name in {stem, stem.removesuffix(f"x{SCALE}"), stem.removesuffix(f"_x{SCALE}")}:
                self._named.setdefault(name, []).append(picture)

    def partners(self, files: Sequence[Path], otherwise: str = "") -> dict[Path, Path]:
        """Return the picture for each of some: of the same stem, or with x4 or _x4 behind it, in any case.

        Raises DataError where one lacks (and ends in `otherwise` then), two could be one's, or one would be two's, as
        the folders that those lie in do not count.
        """
        return matched(
            files, lambda file: self._named.get(file.stem.lower(), []), lambda _: f"{self._path}: no picture", otherwise
        )


def matched(
    files: Sequence[Path],
    candidates: Callable[[Path], Sequence[Path]],
    lacks: Callable[[Path], str],
    otherwise: str = "",
) -> dict[Path, Path]:
    """Return the one candidate for each of some files. Raises DataError, as `LrFolder.partners` does."""
    found: dict[Path, Path] = {}
    users: dict[Path, Path] = {}
    lacking = []
    for file in dict.fromkeys(files):
        ours = candidates(file)
        if len(ours) > 1:
            raise DataError(f"{ours[0].parent}: {ours[0].name} and {ours[1].name} could both be for {file.name}")
        if not ours:
            lacking.append(file)
            continue
        found[file], other = ours[0], users.setdefault(ours[0], file)
        if other is not file:
            raise DataError(
                f"{ours[0]} would be for {other} and for {file}: pictures of one name cannot share a folder"
            )
    if lacking:
        more = f", nor for {len(lacking) - 1} more" if len(lacking) > 1 else ""
        raise DataError(f"{lacks(lacking[0])} for {lacking[0].name}{more}{otherwise}")
    return found


def refuse_shared(partners: Mapping[Path, Path]) -> None:
    """Raise DataError where two files have one partner: of one name, from a folder for both."""
    matched([*partners], lambda file: [partners[file]], str)


def pictures_in(folder: Path) -> list[Path]:
    """Return the pictures in a folder itself, sorted by name, but for hidden ones. Raises DataError for no folder."""
    if not folder.is_dir():
        raise DataError(f"{folder}: no such folder")
    named = (p for p in folder.iterdir() if p.suffix.lower() in PICTURE_SUFFIXES and not is_hidden(p.name))
    return sorted(path for path in named if _is_file(path))


def _is_file(path: Path) -> bool:
    """Tell whether a path is a file's, or a link's to nothing: that is an error when it is read."""
    return path.is_file() or not path.exists()
