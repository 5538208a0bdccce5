import io
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from srgan.errors import ArgumentError, OutputError
from srgan.image.colour import Pixels
from srgan.image.picture import Limits, Metadata, Picture, array_from_picture
from srgan.image.reading import read_picture
from srgan.image.size import Size
from srgan.image.tiff import TiffWriter
from srgan.image.writing import FORMATS, RESULT_FORMATS, WriteOptions, check_result, write_picture

X4 = Size(scale=4)

# top row red, green; bottom row blue, white
CORNERS = np.array([[[255, 0, 0], [0, 255, 0]], [[0, 0, 255], [255, 255, 255]]], dtype=np.uint8)


def test_results_are_written_as_they_are(tmp_path: Path, noise: NDArray[np.uint8]) -> None:
    alpha = noise[..., 0]
    gray = noise[..., 1]
    for picture, mode in (
        (Picture(noise), "RGB"),
        (Picture(noise, alpha), "RGBA"),
        (Picture(gray), "L"),
        (Picture(gray, alpha), "LA"),
    ):
        write_picture(picture, tmp_path / "out.PNG")
        with Image.open(tmp_path / "out.PNG") as image:
            assert image.format == "PNG"
            assert image.mode == mode
            assert np.array_equal(np.asarray(image), array_from_picture(picture))


def test_jpeg_and_webp_results_are_close(tmp_path: Path) -> None:
    smooth = np.add.outer(np.arange(64), np.arange(64)).astype(np.uint8)
    pixels = np.dstack([smooth, smooth[::-1], 255 - smooth])
    for name, form in (("out.jpg", "JPEG"), ("out.jpeg", "JPEG"), ("out.webp", "WEBP")):
        write_picture(Picture(pixels, np.full((64, 64), 255, dtype=np.uint8)), tmp_path / name)
        with Image.open(tmp_path / name) as image:
            assert image.format == form
            assert np.abs(np.asarray(image.convert("RGB")).astype(int) - pixels).mean() < 2


def test_what_a_format_cannot_hold_is_refused_before_the_work(tmp_path: Path) -> None:
    half = np.full((2, 2), 128, dtype=np.uint8)
    with pytest.raises(OutputError, match=r"out\.jpg: JPEG has no transparency and the picture has"):
        check_result(tmp_path / "out.jpg", Picture(CORNERS, half), X4)
    check_result(tmp_path / "out.webp", Picture(CORNERS, half), X4)
    check_result(tmp_path / "out.jpg", Picture(CORNERS, np.full((2, 2), 255, dtype=np.uint8)), X4)
    wide = Picture(np.zeros((1, 5000), dtype=np.uint8))
    with pytest.raises(OutputError, match=r"out\.webp: 20000x4 pixels are more than WEBP can hold \(16383 a side\)"):
        check_result(tmp_path / "out.webp", wide, X4)
    check_result(tmp_path / "out.jpg", wide, X4)


def test_a_file_in_the_place_of_the_results_folder_is_refused_before_the_work(tmp_path: Path) -> None:
    (tmp_path / "folder").write_bytes(b"")
    with pytest.raises(OutputError, match="it is no folder"):
        check_result(tmp_path / "folder" / "out.png", Picture(CORNERS), X4)


def test_results_over_the_limit_are_refused_before_the_work(tmp_path: Path) -> None:
    message = (
        r"out\.png: a result of 3,200 megapixels is more than the limit of 3,000 megapixels;"
        " --max-output-pixels raises it"
    )
    wide = Picture(np.broadcast_to(np.uint8(0), (10_000, 20_000)))
    with pytest.raises(OutputError, match=message):
        check_result(tmp_path / "out.png", wide, X4)
    check_result(tmp_path / "out.png", wide, X4, limits=Limits(output_pixels=3_200_000_000))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (WriteOptions(format="bmp"), "no format 'bmp': png, jpeg, webp, avif, tiff"),
        (WriteOptions(quality=90), "PNG has no quality: it loses nothing"),
        (WriteOptions(format="tiff", quality=90), "TIFF has no quality"),
        (WriteOptions(format="jpeg", quality=0), "a quality of 0 is not one of 1 to 100"),
        (WriteOptions(format="jpeg", quality=101), "a quality of 101 is not one of 1 to 100"),
        (WriteOptions(format="webp", compression=3), "WEBP has no compression level: it is for PNG"),
        (WriteOptions(compression=10), "a compression of 10 is not one of 0 to 9"),
    ],
)
def test_options_that_do_not_fit_are_refused(options: WriteOptions, message: str) -> None:
    with pytest.raises(ArgumentError, match=message):
        check_result(Path("out.png"), Picture(CORNERS), X4, options)
    with pytest.raises(ArgumentError, match=message):
        write_picture(Picture(CORNERS), io.BytesIO(), options)


@pytest.mark.parametrize(("kind", "most"), [(np.uint8, 255), (np.uint16, 65535), (np.float32, 1)])
def test_transparency_of_any_depth_is_refused_by_jpeg_and_nothing_else_is(kind: type, most: int) -> None:
    pixels: Pixels = CORNERS.astype(kind)
    alpha: Pixels = np.full((2, 2), most, kind)
    check_result(Path("out.jpg"), Picture(pixels, alpha), X4)
    for clear in (0, most / 255, most * 254 / 255):
        alpha[0, 0] = clear
        with pytest.raises(OutputError, match="JPEG has no transparency and the picture has"):
            check_result(Path("out.jpg"), Picture(pixels, alpha), X4)


def test_a_resolution_that_jpeg_has_no_room_for_is_left_out() -> None:
    for dpi, told in ((65_535.0, (65_535, 65_535)), (70_000.0, None)):
        stream = io.BytesIO()
        metadata = Metadata(dpi=(dpi, dpi))
        write_picture(Picture(CORNERS, metadata=metadata), stream, WriteOptions(format="jpeg"))
        with Image.open(stream) as image:
            assert image.info["jfif_unit"] == (told is not None)
            assert told in (None, image.info.get("dpi"))


def test_a_suffix_that_is_not_written_is_refused() -> None:
    with pytest.raises(ArgumentError, match=r"out\.bmp: results are written as \.png, \.apng, \.jpg"):
        check_result(Path("out.bmp"), Picture(CORNERS), X4)


def test_every_format_is_written_to_a_stream_and_to_a_file_of_any_name(tmp_path: Path) -> None:
    assert set(RESULT_FORMATS) == {".png", ".apng", ".jpg", ".jpeg", ".webp", ".avif", ".tif", ".tiff"}
    for name, result in FORMATS.items():
        stream = io.BytesIO()
        write_picture(Picture(CORNERS), stream, WriteOptions(format=name))
        write_picture(Picture(CORNERS), tmp_path / "out.png", WriteOptions(format=name))
        assert (tmp_path / "out.png").read_bytes() == stream.getvalue()
        with Image.open(stream) as image:
            assert image.format == result.name
            assert image.size == (2, 2)


def test_quality_and_compression_change_the_size(noise: NDArray[np.uint8]) -> None:
    def size(**options: object) -> int:
        stream = io.BytesIO()
        write_picture(Picture(noise.repeat(4, 0)), stream, WriteOptions(**options))  # type: ignore[arg-type]
        return len(stream.getvalue())

    for name in ("jpeg", "webp", "avif"):
        assert size(format=name, quality=30) < size(format=name) < size(format=name, quality=100)
    assert size(compression=9) <= size() < size(compression=0)


class Partly(io.RawIOBase):
    """A stream that takes 100 bytes at a time, and in all what it has room for."""

    def __init__(self, room: int) -> None:
        self.room, self.content = room, b""

    def writable(self) -> bool:
        return True

    def write(self, content: Any) -> int | None:
        taken = bytes(content[: min(100, self.room - len(self.content))])
        self.content += taken
        return len(taken) or None


def test_a_stream_that_takes_a_part_at_a_time_gets_all(noise: NDArray[np.uint8]) -> None:
    whole, stream = io.BytesIO(), Partly(10_000)
    picture = Picture(noise.repeat(4, 0).repeat(4, 1))
    write_picture(picture, whole)
    assert len(whole.getvalue()) > 200
    write_picture(picture, stream)  # type: ignore[arg-type]
    assert stream.content == whole.getvalue()
    with pytest.raises(BlockingIOError):
        write_picture(picture, Partly(150))  # type: ignore[arg-type]


@pytest.mark.parametrize("name", ["png", "tiff"])
def test_a_row_of_more_bytes_than_a_band_is_written(name: str) -> None:
    pixels = np.arange(3 * 1_100_000, dtype=np.uint32).astype(np.uint8).reshape(3, 1_100_000)
    file = io.BytesIO()
    write_picture(Picture(pixels), file, WriteOptions(format=name))
    file.seek(0)
    assert np.array_equal(read_picture(file).pixels, pixels)


def test_rows_that_are_missing_of_a_tiff_are_an_error() -> None:
    def three() -> None:
        with TiffWriter(io.BytesIO()) as tiff:
            tiff.begin_page(5, 4, channels=3, bits=8)
            tiff.write(np.zeros((3, 5, 3), dtype=np.uint8))

    with pytest.raises(ValueError, match="3 rows were written of 4"):
        three()


@pytest.mark.parametrize("width", range(1, 9))
def test_all_that_a_tiff_points_to_lies_at_even_places(width: int) -> None:
    file = io.BytesIO()
    pages = tuple(Picture(np.arange(3 * width, dtype=np.uint8).reshape(1, width, 3)) for _ in range(2))
    write_picture(Picture(pages[0].pixels, more=pages[1:]), file, WriteOptions(format="tiff"))
    content = file.getvalue()
    place = 4
    for _ in range(2):
        (place,) = struct.unpack_from("<I", content, place)
        (count,) = struct.unpack_from("<H", content, place)
        entries = [struct.unpack_from("<HHII", content, place + 2 + 12 * number) for number in range(count)]
        (bits,) = (value for tag, _, _, value in entries if tag == 258)
        assert (place % 2, bits % 2) == (0, 0)
        place += 2 + 12 * count
