"""What becomes of a folder of pictures, say of one that others collected because they are awkward.

    git clone --depth 1 https://github.com/python-pillow/Pillow
    python tests/collection.py Pillow/Tests/images

Reads each and writes it again, says what is refused and why, and ends with status 1 where anything but a PictureError
came of one, or a picture came back as another.
"""

import argparse
import collections
import io
import sys
from pathlib import Path

import numpy as np

from srgan.errors import PictureError
from srgan.image.picture import Picture
from srgan.image.reading import PICTURE_SUFFIXES, read_picture
from srgan.image.writing import WriteOptions, write_picture


def same(one: Picture, other: Picture) -> bool:
    """Tell whether two pictures show the same, frame by frame, where they are not clear."""
    if len(one.frames) != len(other.frames):
        return False
    for first, second in zip(one.frames, other.frames, strict=True):
        seen = np.ones(first.pixels.shape[:2], dtype=bool) if first.alpha is None else first.alpha > 0
        if first.pixels.shape != second.pixels.shape or (first.pixels[seen] != second.pixels[seen]).any():
            return False
        if first.alpha is not None and (second.alpha is None or (first.alpha != second.alpha).any()):
            return first.alpha.min() == first.alpha.max() and second.alpha is None
    return True


def look(path: Path) -> str:
    """Return what becomes of a file: a kind of picture, or why it is refused. Raises what must not be raised."""
    try:
        picture = read_picture(path)
    except PictureError as error:
        print(error)
        return "refused"
    pages = bool(picture.more) and picture.timing is None
    file = io.BytesIO()
    write_picture(picture, file, WriteOptions(format="tiff" if pages else "png"))
    if not same(picture, read_picture(io.BytesIO(file.getvalue()))):
        raise ValueError("it came back as another picture")
    kind = "gray" if picture.pixels.ndim == 2 else "RGB"
    several = "" if not picture.more else ", pages" if pages else ", animated"
    return f"{kind}{'' if picture.alpha is None else ' with alpha'}, {picture.pixels.dtype}{several}"


def main() -> int:
    """Look at every picture in a folder and below."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else None)
    parser.add_argument("folder", type=Path)
    kinds: collections.Counter[str] = collections.Counter()
    for path in sorted(parser.parse_args().folder.rglob("*")):
        if path.suffix.lower() in PICTURE_SUFFIXES and path.is_file():
            try:
                kinds[look(path)] += 1
            except Exception as error:  # what is looked for
                kinds["FAILED"] += 1
                print(f"FAILED {path}: {error!r}", file=sys.stderr)
    for kind, count in sorted(kinds.items()):
        print(f"{count:5} {kind}")
    return 1 if kinds["FAILED"] else 0


if __name__ == "__main__":
    raise SystemExit(main())
