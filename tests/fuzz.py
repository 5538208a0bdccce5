"""Damaged pictures of every format: whatever is done to a file, reading it gives a picture or a PictureError.

python tests/fuzz.py --seconds 600 does this in processes of their own, so that a crash or a hang is noticed, and keeps
what did harm in fuzz-failures/. tests/image/test_fuzz.py does a little of it in every run of the tests.
"""

import argparse
import io
import itertools
import multiprocessing
import random
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from PIL import Image

from made import exif
from srgan.errors import PictureError
from srgan.image.picture import Limits, Picture, Timing
from srgan.image.profiles import srgb
from srgan.image.reading import read_picture
from srgan.image.writing import WriteOptions, write_picture

LIMITS = Limits(input_pixels=2_000_000)
_XMP = b"<x:xmpmeta><rdf:RDF><rdf:Description tiff:Orientation='6'/></rdf:RDF></x:xmpmeta>"


def seeds() -> dict[str, bytes]:
    """Return a small whole file of each kind."""
    noise = np.random.default_rng(9).integers(0, 256, (24, 20, 4), dtype=np.uint8)
    rgb, rgba = Image.fromarray(noise[..., :3]), Image.fromarray(noise)
    said: dict[str, object] = {"exif": b"Exif\0\0" + exif(), "icc_profile": srgb(), "xmp": _XMP}
    ways: dict[str, tuple[Image.Image, str, dict[str, object]]] = {
        "png": (rgba, "PNG", said),
        "palette.png": (rgb.convert("P"), "PNG", {"transparency": 3}),
        "jpeg": (rgb, "JPEG", said),
        "progressive.jpeg": (rgb, "JPEG", {"progressive": True}),
        "cmyk.jpeg": (rgb.convert("CMYK"), "JPEG", {}),
        "webp": (rgba, "WEBP", said),
        "lossless.webp": (rgb, "WEBP", {"lossless": True}),
        "avif": (rgba, "AVIF", said),
        "gif": (rgb, "GIF", {}),
        "bmp": (rgb, "BMP", {}),
        "tga": (rgba, "TGA", {"compression": "tga_rle"}),
        "qoi": (rgba, "QOI", {}),
        "ppm": (rgb, "PPM", {}),
        "jp2": (rgb, "JPEG2000", {}),
    }
    for compression in ("raw", "tiff_lzw", "tiff_adobe_deflate", "packbits", "jpeg", "zstd"):
        ways[f"{compression}.tiff"] = (rgb, "TIFF", {"compression": compression, "icc_profile": srgb(), "xmp": _XMP})
    ways["group4.tiff"] = (rgb.convert("1"), "TIFF", {"compression": "group4"})
    files = {}
    for name, (image, kind, how) in ways.items():
        file = io.BytesIO()
        image.save(file, kind, **how)
        files[name] = file.getvalue()
    for kind in ("GIF", "WEBP", "PNG", "AVIF", "TIFF"):
        file = io.BytesIO()
        frames = [rgb.rotate(90 * turn) for turn in range(3)]
        frames[0].save(file, kind, save_all=True, append_images=frames[1:], duration=50)
        files[f"frames.{kind.lower()}"] = file.getvalue()
    deep = noise.astype(np.uint16) * 257
    for name in ("png", "tiff"):
        file = io.BytesIO()
        write_picture(Picture(deep[..., :3], deep[..., 3]), file, WriteOptions(format=name))
        files[f"deep.{name}"] = file.getvalue()
    file = io.BytesIO()
    write_picture(Picture(deep[..., 0], more=(Picture(deep[..., 1]),), timing=Timing((1, 2))), file)
    files["deep frames.png"] = file.getvalue()
    files["deep.ppm"] = b"P6 24 20 1023\n" + (deep[..., :3] >> 6).astype(">u2").tobytes()
    return files


def damaged(content: bytes, chance: random.Random) -> bytes:
    """Return a file with one to six things done to it."""
    data = bytearray(content)
    for _ in range(chance.choice((1, 1, 1, 2, 3, 6))):
        if not data:
            break
        # most of what decides is at the beginning
        place = chance.randrange(min(len(data), chance.choice((40, 200, len(data)))))
        what = chance.randrange(8)
        if what == 0:
            data[place] ^= 1 << chance.randrange(8)
        elif what == 1:
            data[place] = chance.choice((0, 1, 0x7F, 0x80, 0xFF))
        elif what == 2:
            data[place : place + 4] = chance.choice(
                (b"\xff\xff\xff\xff", b"\x7f\xff\xff\xff", b"\0\0\0\0", b"\0\0\1\0")
            )
        elif what == 3:
            del data[place:]
        elif what == 4:
            del data[place : place + chance.randrange(1, 50)]
        elif what == 5:
            data[place:place] = data[place : place + chance.randrange(1, 100)]
        elif what == 6:
            data[place:place] = chance.randbytes(chance.randrange(1, 20))
        else:
            other = chance.randrange(len(data))
            data[place : place + 8] = data[other : other + 8]
    return bytes(data)


def read_and_write(content: bytes) -> bool:
    """Tell whether there is a picture in a file, and write what there is. Raises what must not be raised."""
    try:
        picture = read_picture(io.BytesIO(content), LIMITS)
    except PictureError as error:
        message = str(error)
        assert "\n" not in message, message
        assert message.startswith("standard input: "), message
        return False
    assert sum(frame.pixels.shape[0] * frame.pixels.shape[1] for frame in picture.frames) <= LIMITS.input_pixels
    name = "tiff" if picture.more and picture.timing is None else "png"
    write_picture(picture, io.BytesIO(), WriteOptions(format=name))
    return True


def cases(seed: int) -> Iterator[tuple[str, bytes]]:
    """Yield damaged files without an end, and each seed's in turn."""
    chance = random.Random(seed)
    for name, content in itertools.cycle(seeds().items()):
        yield name, damaged(content, chance)


def _work(seed: int, count: int, kept: Path) -> None:
    kept.parent.mkdir(exist_ok=True)
    for name, content in itertools.islice(cases(seed), count):
        kept.with_suffix(f".{name}").write_bytes(content)  # there if this process does not come back
        read_and_write(content)
        kept.with_suffix(f".{name}").unlink()


def main() -> int:
    """Run for so many seconds; the status is 1 where anything did harm."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=600)
    parser.add_argument("--seed", type=int, default=0, help="where to begin, so that runs differ")
    parser.add_argument("--files", type=Path, nargs="*", default=[], help="only read these, say those that were kept")
    options = parser.parse_args()
    for path in options.files:
        print(path, read_and_write(path.read_bytes()))
    end = time.monotonic() + (0 if options.files else options.seconds)
    seed, count, failures = options.seed, 500, 0
    while time.monotonic() < end:
        process = multiprocessing.get_context("spawn").Process(
            target=_work, args=(seed, count, Path("fuzz-failures") / str(seed))
        )
        process.start()
        process.join(120)
        if process.is_alive():
            process.kill()
            process.join()
        failures += process.exitcode != 0
        print(f"seed {seed}: {count} files, exit {process.exitcode}, {failures} failures so far", flush=True)
        seed += 1
    return 1 if failures else 0


if __name__ == "__main__":
    raise SystemExit(main())
