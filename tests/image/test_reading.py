import io
import os
import struct
import zlib
from pathlib import Path
from threading import Event, Thread
from typing import Any

import numpy as np
import pytest
import tifffile
from numpy.typing import NDArray
from PIL import Image, ImageCms

import references
from made import since_pillow_13
from srgan.errors import ArgumentError, OutputError, PictureError, TooLargeError
from srgan.image import avif, webp
from srgan.image.gif import gif_canvas
from srgan.image.picture import Limits, Picture, array_from_picture, image_from_picture, picture_from_array
from srgan.image.reading import picture_from_image, read_picture, without_limits
from srgan.image.size import Size
from srgan.image.writing import check_result, write_picture

X4 = Size(scale=4)

ICC = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()

# top row red, green; bottom row blue, white
CORNERS = np.array([[[255, 0, 0], [0, 255, 0]], [[0, 0, 255], [255, 255, 255]]], dtype=np.uint8)


@pytest.mark.parametrize("suffix", [".png", ".bmp", ".tif", ".ppm", ".tga", ".qoi"])
def test_a_picture_is_read_as_it_is_stored(tmp_path: Path, noise: NDArray[np.uint8], suffix: str) -> None:
    path = tmp_path / f"photo{suffix}"
    Image.fromarray(noise).save(path)
    picture = read_picture(path)
    assert np.array_equal(picture.pixels, noise)
    assert picture.alpha is None


@pytest.mark.parametrize("suffix", [".jpg", ".webp", ".avif", ".gif", ".jp2"])
def test_every_lossy_format_is_read(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"photo{suffix}"
    Image.new("RGB", (20, 30), (200, 100, 50)).save(path)
    picture = read_picture(path)
    assert picture.pixels.shape == (30, 20, 3)
    assert np.abs(picture.pixels.astype(int) - (200, 100, 50)).max() <= 4


@pytest.mark.parametrize("quality", [1, 10, 49, 50, 60, 75, 90, 95, 99, 100])
@pytest.mark.parametrize("how", [{}, {"subsampling": 0}, {"progressive": True, "optimize": True}])
def test_the_quality_of_a_jpeg_is_that_of_its_tables(
    noise: NDArray[np.uint8], quality: int, how: dict[str, Any]
) -> None:
    for picture in (noise, noise[..., 0]):
        file = io.BytesIO()
        Image.fromarray(picture).save(file, "JPEG", quality=quality, **how)
        file.seek(0)
        assert read_picture(file).metadata.coding == ("JPEG", quality)


def test_the_quality_of_a_jpeg_whose_tables_are_not_libjpegs(noise: NDArray[np.uint8]) -> None:
    def quality_of(step: int) -> int | None:
        file = io.BytesIO()
        Image.fromarray(noise).save(file, "JPEG", qtables=[[step] * 64, [99] * 64])
        file.seek(0)
        coding = read_picture(file).metadata.coding
        return coding and coding.quality

    # libjpeg's 14 steps of low frequencies are 210 at 50, so at quality q, 50 or more, about 4.2 (100 - q)
    assert quality_of(11) == 63  # 154, between 63's 155 or so and 64's 151
    assert (quality_of(1), quality_of(255)) == (100, 1)


@pytest.mark.parametrize("quality", [0, 10, 40, 50, 67, 75, 85, 92, 97, 100])
def test_the_quality_of_a_webp_is_that_of_its_first_frame(quality: int) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    image = Image.fromarray(noise)
    still = {"quality": quality}
    for how in (
        still,
        still | {"exif": b"Exif\0\0II*\0" + bytes(9)},
        still | {"save_all": True, "append_images": [image]},
    ):
        file = io.BytesIO()
        image.save(file, "WEBP", **how)
        file.seek(0)
        codec, found = read_picture(file).metadata.coding or ("", -1)
        assert codec == "WebP"
        assert abs(found - quality) <= 9  # as libwebp makes of a quality what it thinks fit for the picture


@pytest.mark.parametrize("quality", [10, 50, 75, 90])
def test_of_a_webp_that_is_rounded_in_several_ways_the_mean_counts(quality: int) -> None:
    file = io.BytesIO()
    Image.fromarray(references.chelsea()[1]).save(file, "WEBP", quality=quality)
    file.seek(0)
    coding = read_picture(file).metadata.coding
    assert coding is not None
    assert quality - 6 <= coding.quality <= quality


@pytest.mark.parametrize("length", [0, 11, 12, 19, 30, 31, 32, 33])
def test_a_webp_that_is_cut_off_has_no_quality(noise: NDArray[np.uint8], length: int) -> None:
    file = io.BytesIO()
    Image.fromarray(noise).save(file, "WEBP")
    assert webp.quality_of(file) is not None
    assert webp.quality_of(io.BytesIO(file.getvalue()[:length])) is None


@pytest.mark.parametrize("quality", [0, 10, 30, 50, 60, 70, 75, 80, 85, 90, 95, 100])
def test_the_quality_of_an_avif_is_that_of_its_frame(noise: NDArray[np.uint8], quality: int) -> None:
    transparent = Image.fromarray(noise)
    transparent.putalpha(77)
    large = Image.new("RGB", (4200, 70), "teal")  # in tiles, as it is wider than one may be
    for image in (Image.fromarray(noise), Image.fromarray(noise[..., 0]), transparent, large):
        file = io.BytesIO()
        image.save(file, "AVIF", quality=quality, speed=10)
        file.seek(0)
        codec, found = read_picture(file).metadata.coding or ("", -1)
        assert codec == "AVIF"
        assert abs(found - quality) <= 5  # none, by libavif 1.4


def test_an_avif_whose_header_is_damaged_has_some_quality_or_none_at_once(noise: NDArray[np.uint8]) -> None:
    file = io.BytesIO()
    Image.fromarray(noise).save(file, "AVIF")
    content = file.getvalue()
    assert [avif.quality_of(io.BytesIO(content[:length])) for length in (0, 4, 9, 60, 200)] == [None] * 5
    longer = b"\0\0\0\1free" + bytes(7)  # a box of 64 bits of length, less than itself
    assert all(avif.quality_of(io.BytesIO(longer + bytes([size]))) is None for size in (0, 1, 15))
    assert avif.quality_of(io.BytesIO(longer[:8] + b"\xff" * 8)) is None
    boxes = io.BytesIO(b"\0\0\0\x08free" * 1000 + content)
    assert avif.quality_of(boxes) is None
    assert boxes.tell() == 100 * 8
    random = np.random.default_rng(0)
    for _ in range(300):
        damaged = bytearray(content)
        damaged[random.integers(len(damaged))] = random.integers(256)
        assert avif.quality_of(io.BytesIO(damaged)) in (None, *range(101))
    many = content.index(b"iloc")
    endless = content[: many + 8] + b"\0\0\xff\xff" * 400  # places of no bits each
    assert avif.quality_of(io.BytesIO(endless)) is None


def test_what_no_codec_has_rounded_has_no_quality(tmp_path: Path, noise: NDArray[np.uint8]) -> None:
    hows: dict[str, dict[str, Any]] = {"a.png": {}, "a.webp": {"lossless": True}, "a.tif": {"compression": "jpeg"}}
    for name, how in hows.items():
        Image.fromarray(noise).save(tmp_path / name, **how)
        assert read_picture(tmp_path / name).metadata.coding is None


@pytest.mark.parametrize(
    ("orientation", "expected"),
    [
        (1, [["red", "green"], ["blue", "white"]]),
        (2, [["green", "red"], ["white", "blue"]]),
        (3, [["white", "blue"], ["green", "red"]]),
        (6, [["blue", "red"], ["white", "green"]]),
        (8, [["green", "white"], ["red", "blue"]]),
    ],
)
def test_the_exif_orientation_is_applied(tmp_path: Path, orientation: int, expected: list[list[str]]) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    path = tmp_path / "photo.png"
    Image.fromarray(CORNERS).save(path, exif=exif)
    names = {(255, 0, 0): "red", (0, 255, 0): "green", (0, 0, 255): "blue", (255, 255, 255): "white"}
    pixels = read_picture(path).pixels
    assert [[names[tuple(pixel)] for pixel in row] for row in pixels.tolist()] == expected


def test_a_picture_without_pixels_is_refused() -> None:
    with pytest.raises(PictureError, match="a picture without pixels"):
        picture_from_image(Image.new("RGB", (0, 5)))


def test_the_orientation_counts_however_odd_the_other_tags_are(tmp_path: Path) -> None:
    """A resolution's unit that is a byte, as some programs write it, cannot be written again by Pillow."""
    directory = struct.pack("<HHHIIHHII", 2, 0x0112, 3, 1, 6, 0x0128, 1, 1, 2) + bytes(4)
    Image.fromarray(CORNERS).save(tmp_path / "photo.png", exif=b"Exif\0\0II*\0\x08\0\0\0" + directory)
    assert np.array_equal(read_picture(tmp_path / "photo.png").pixels, np.rot90(CORNERS, -1))


def test_damaged_exif_data_leaves_the_picture_as_stored(tmp_path: Path) -> None:
    path = tmp_path / "photo.png"
    Image.fromarray(CORNERS).save(path, exif=b"Exif\0\0II*\0\xff\xff\xff\xff garbage")
    assert np.array_equal(read_picture(path).pixels, CORNERS)


def test_gray_stays_gray_and_sixteen_bits_sixteen(tmp_path: Path) -> None:
    values = np.array([[0, 128, 129, 257, 32768, 65406, 65407, 65535]], dtype=np.uint16)
    for name in ("gray.png", "gray.tif"):
        Image.fromarray(values).save(tmp_path / name)
    (tmp_path / "gray.pgm").write_bytes(b"P5 8 1 65535\n" + values.astype(">u2").tobytes())
    for name in ("gray.png", "gray.tif", "gray.pgm"):
        pixels = read_picture(tmp_path / name).pixels
        assert pixels.dtype == np.uint16
        assert np.array_equal(pixels, values)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork")
def test_a_process_that_is_forked_while_another_thread_reads_has_the_limits_of_before() -> None:
    entered, leave = Event(), Event()

    def read() -> None:
        with without_limits():
            entered.set()
            leave.wait()

    before = Image.MAX_IMAGE_PIXELS
    thread = Thread(target=read)
    thread.start()
    entered.wait()
    if not (child := os.fork()):
        there = Image.MAX_IMAGE_PIXELS
        with without_limits():
            inside = Image.MAX_IMAGE_PIXELS
        os._exit(3 if (there, inside, Image.MAX_IMAGE_PIXELS) == (before, None, before) else 4)
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    leave.set()
    thread.join()
    assert status == 3
    assert before == Image.MAX_IMAGE_PIXELS


def test_one_bit_and_gray_with_alpha(tmp_path: Path) -> None:
    Image.fromarray(np.array([[True, False]])).save(tmp_path / "bits.png")
    assert read_picture(tmp_path / "bits.png").pixels.tolist() == [[255, 0]]
    Image.fromarray(np.array([[[10, 20], [30, 40]]], dtype=np.uint8)).save(tmp_path / "la.png")
    picture = read_picture(tmp_path / "la.png")
    assert picture.pixels.tolist() == [[10, 30]]
    assert picture.alpha is not None
    assert picture.alpha.tolist() == [[20, 40]]


def test_a_palette_becomes_rgb_and_its_transparency_a_plane(tmp_path: Path) -> None:
    image = Image.new("P", (2, 1))
    image.putpalette([255, 0, 0, 0, 0, 255])
    image.putdata([0, 1])
    image.save(tmp_path / "opaque.png")
    picture = read_picture(tmp_path / "opaque.png")
    assert picture.pixels.tolist() == [[[255, 0, 0], [0, 0, 255]]]
    assert picture.alpha is None
    image.save(tmp_path / "clear.png", transparency=b"\x80\xff")
    picture = read_picture(tmp_path / "clear.png")
    assert picture.pixels.tolist() == [[[255, 0, 0], [0, 0, 255]]]
    assert picture.alpha is not None
    assert picture.alpha.tolist() == [[128, 255]]


def test_a_palette_without_colours_is_gray(tmp_path: Path) -> None:
    image = Image.new("P", (2, 1))
    image.putpalette([7, 7, 7, 200, 200, 200])
    image.putdata([1, 0])
    image.save(tmp_path / "gray.png")
    assert read_picture(tmp_path / "gray.png").pixels.tolist() == [[200, 7]]


def test_cmyk_becomes_rgb_without_a_profile_that_speaks_of_cmyk(tmp_path: Path) -> None:
    Image.new("CMYK", (8, 8), (0, 255, 255, 0)).save(tmp_path / "ink.tif", icc_profile=ICC)
    picture = read_picture(tmp_path / "ink.tif")
    assert picture.pixels[0, 0].tolist() == [255, 0, 0]
    assert picture.icc is None


def test_floating_point_and_too_wide_integers_are_refused(tmp_path: Path) -> None:
    Image.fromarray(np.ones((2, 2), dtype=np.float32)).save(tmp_path / "float.tif")
    with pytest.raises(PictureError, match=r"float\.tif: a picture of floating-point numbers has no fixed range"):
        read_picture(tmp_path / "float.tif")
    tifffile.imwrite(tmp_path / "colours.tif", np.ones((2, 2, 3), dtype=np.float32), photometric="rgb")
    with pytest.raises(PictureError, match=r"colours\.tif: a TIFF that is damaged, or of a rare kind, floating-point"):
        read_picture(tmp_path / "colours.tif")
    Image.fromarray(np.full((2, 2), 70_000, dtype=np.int32)).save(tmp_path / "wide.tif")
    with pytest.raises(PictureError, match=r"wide\.tif: .* values outside of 16 bits"):
        read_picture(tmp_path / "wide.tif")


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("empty.png", b"", r"empty\.png: the file is empty"),
        ("text.jpg", b"hello", r"text\.jpg: not a picture, or not of a kind that can be read"),
        ("page.png", b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", r"page\.png: not a picture"),
        ("a.png", b"\x89PNG\r\n\x1a\n\0\0", r"a\.png: a PNG that is damaged, or of a rare kind"),
        ("b.png", b"\xff\xd8\xff\xe0\0\2", r"b\.png: a JPEG that is damaged, or of a rare kind"),
        ("d.png", b"RIFF\4\0\0\0WEBP", r"d\.png: a WebP that is damaged, or of a rare kind"),
        ("e.png", b"\0\0\0\x20ftypavif\0\0\0\0", r"e\.png: an AVIF that is damaged, or of a rare kind"),
        (
            "f.png",
            b"BM" + bytes(12) + b"\x28" + bytes(80),
            r"f\.png: damaged, or of a rare kind: Unsupported BMP pixel",
        ),
    ],
)
def test_what_is_no_picture_is_said_to_be_none(tmp_path: Path, name: str, content: bytes, message: str) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(PictureError, match=message):
        read_picture(tmp_path / name)


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".webp", ".tif", ".gif", ".bmp"])
@pytest.mark.parametrize("part", [0.3, 0.6, 0.9])
def test_a_truncated_picture_is_an_error(tmp_path: Path, noise: NDArray[np.uint8], suffix: str, part: float) -> None:
    buffer = io.BytesIO()
    Image.fromarray(noise.repeat(8, 0).repeat(8, 1)).save(buffer, Image.registered_extensions()[suffix])
    path = tmp_path / f"half{suffix}"
    path.write_bytes(buffer.getvalue()[: int(len(buffer.getvalue()) * part)])
    with pytest.raises(PictureError, match=f"half{suffix}: "):
        read_picture(path)


def test_missing_files_folders_and_no_permission(tmp_path: Path) -> None:
    with pytest.raises(PictureError, match=r"gone\.jpg: no such file"):
        read_picture(tmp_path / "gone.jpg")
    with pytest.raises(PictureError, match="cannot be read: Is a directory"):
        read_picture(tmp_path)


@pytest.mark.skipif(os.name != "posix", reason="permission bits of POSIX")
def test_no_permission(held_by_permissions: Path) -> None:
    path = held_by_permissions / "secret.png"
    Image.fromarray(CORNERS).save(path)
    path.chmod(0)
    with pytest.raises(PictureError, match=r"secret\.png: cannot be read: Permission denied"):
        read_picture(path)
    with pytest.raises(OutputError, match=r"result\.png: cannot be written: no permission"):
        check_result(Path("/result.png"), Picture(CORNERS), X4)


def png_header(width: int, height: int) -> bytes:
    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", b"") + chunk(b"IEND", b"")


def test_a_picture_over_the_limit_is_refused_by_its_header(tmp_path: Path) -> None:
    path = tmp_path / "bomb.png"
    path.write_bytes(png_header(60_000, 60_000))
    message = (
        r"bomb\.png: too large: 60000x60000 are 3,600 megapixels, more than the limit of 200 megapixels;"
        " --max-input-pixels raises it"
    )
    with pytest.raises(PictureError, match=message):
        read_picture(path)
    with pytest.raises(PictureError, match="10x10 are 100 pixels, more than the limit of 99 pixels"):
        read_picture(io.BytesIO(png_header(10, 10)), Limits(input_pixels=99))
    with pytest.raises(PictureError, match="damaged"):
        read_picture(io.BytesIO(png_header(10, 10)), Limits(input_pixels=100))


def tiff(*entries: tuple[int, int, int], data: bytes, end: str = "<", big: bool = False) -> bytes:
    """Return a gray TIFF of 16x16 pixels with these entries more, tag, type and value, and data from byte 16 on."""
    whole = ((256, 4, 16), (257, 4, 16), (258, 3, 8), (262, 3, 1), (277, 3, 1), *entries)
    kinds, further, lines, width = {3: "H", 4: "I", 16: "Q", 17: "q", 18: "Q"}, b"", b"", 8 if big else 4
    for tag, kind, value in whole:
        packed = struct.pack(end + kinds[kind], value)
        if len(packed) > width:
            further += packed
            packed = struct.pack(f"{end}I", 16 + len(data) + len(further) - len(packed))
        lines += struct.pack(f"{end}HH{'Q' if big else 'I'}", tag, kind, 1) + packed.ljust(width, b"\0")
    place = 16 + len(data) + len(further)
    head = struct.pack(f"{end}HHHQ", 43, 8, 0, place) if big else struct.pack(f"{end}HI8x", 42, place)
    count = struct.pack(f"{end}{'Q' if big else 'H'}", len(whole))
    return (b"II" if end == "<" else b"MM") + head + data + further + count + lines + bytes(width)


@pytest.mark.parametrize(
    ("sides", "how"),
    [
        ([(322, 4, 64), (323, 4, 48)], {}),
        ([(322, 3, 64), (323, 3, 48)], {"end": ">"}),
        pytest.param([(322, 16, 64), (323, 18, 48)], {"big": True}, marks=since_pillow_13),
        ([(322, 17, 64), (322, 4, 16), (323, 17, 48), (323, 4, 16)], {}),  # types that Pillow leaves out
    ],
)
def test_the_tiles_of_a_tiff_count_whole(sides: list[tuple[int, int, int]], how: dict[str, Any]) -> None:
    data = zlib.compress(bytes([7]) * (64 * 48))
    content = tiff((259, 3, 8), *sides, (324, 4, 16), (325, 4, len(data)), data=data, **how)
    assert (read_picture(io.BytesIO(content), Limits(input_pixels=3072)).pixels == 7).all()
    message = "16x16 in such pieces are 3,072 pixels, more than the limit of 3,071 pixels; --max-input-pixels raises it"
    with pytest.raises(TooLargeError, match=message):
        read_picture(io.BytesIO(content), Limits(input_pixels=3071))


def test_the_tiles_of_all_pages_count(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "pages.tif", np.zeros((3, 40, 50), np.uint8), tile=(32, 32), photometric="minisblack")
    assert len(read_picture(tmp_path / "pages.tif", Limits(input_pixels=12_288)).frames) == 3
    with pytest.raises(TooLargeError, match="3 frames or pages or more have 12,288 pixels"):
        read_picture(tmp_path / "pages.tif", Limits(input_pixels=12_287))


def strips(rows: int, *places: int) -> bytes:
    """Return a gray TIFF of 16x16 pixels that are not compressed, in strips of so many rows at these places."""
    content = tiff((259, 3, 1), (278, 4, rows), (273, 4, 0), (279, 4, 0), data=bytes(512))
    lists = struct.pack(f"<{2 * len(places)}I", *places, *[16 * rows] * len(places))
    for number, tag in enumerate((273, 279)):
        entry = struct.pack("<HHI", tag, 4, len(places))
        at = len(content) + 4 * number * len(places)
        content = content.replace(struct.pack("<HHII", tag, 4, 1, 0), entry + struct.pack("<I", at))
    return content + lists


def test_strips_of_a_tiff_that_are_read_again_and_again_count() -> None:
    assert read_picture(io.BytesIO(strips(12, 16, 208)), Limits(input_pixels=256)).pixels.shape == (16, 16)
    again = strips(12, *[16] * 8)
    assert read_picture(io.BytesIO(again), Limits(input_pixels=1024)).pixels.shape == (16, 16)
    with pytest.raises(TooLargeError, match="16x16 in such pieces are 1,024 pixels, more than the limit of 1,023"):
        read_picture(io.BytesIO(again), Limits(input_pixels=1023))


def test_strips_of_a_tiff_in_one_another_are_refused() -> None:
    """Pillow would read the first of them a byte at a time: that took the square of a row's length."""
    with pytest.raises(PictureError, match="damaged: its strips lie in one another"):
        read_picture(io.BytesIO(strips(12, 16, 17)))


@pytest.mark.parametrize("kind", ["codestream", "boxes", "more boxes", "long box"])
def test_the_tiles_of_a_jpeg_2000_count(kind: str) -> None:
    """OpenJPEG has some 10 kB for each, however small: 65,535 tiles of a pixel took 600 MB."""
    file = io.BytesIO()
    image = Image.new("RGB", (64, 48))
    image.save(file, "JPEG2000", tile_size=(16, 16), num_resolutions=1, no_jp2=kind == "codestream")
    content = file.getvalue()
    if kind in ("more boxes", "long box"):
        place = content.index(b"jp2c") - 4
        box = (
            b"\0\0\0\x0cfree\xff\x4f\xff\x51" if kind == "more boxes" else b"\0\0\0\1free" + (20).to_bytes(8) + b"long"
        )
        content = content[:place] + box + content[place:]
    pixels = 64 * 48 + 512 * 3 * 11
    assert read_picture(io.BytesIO(content), Limits(input_pixels=pixels)).pixels.shape == (48, 64, 3)
    with pytest.raises(TooLargeError, match=f"64x48 in such pieces are {pixels:,} pixels"):
        read_picture(io.BytesIO(content), Limits(input_pixels=pixels - 1))


@pytest.mark.parametrize(
    "blocks",
    [
        b"%s",
        b"%b%s",
        b"%b!\xff\x0bNETSCAPE2.0\3\1\0\0\0!\xfe\0%s",
        b"!\xff\x0bNETSCAPE2.0\0\2%b\0%s",  # whose ends Pillow takes for the beginnings of further blocks
        b"!\x01\0\2%b\0%s",
    ],
)
def test_a_gif_is_measured_before_pillow_fills_its_frames(blocks: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is to be cleared after a frame is filled as Pillow goes there: 58 bytes took 3.4 GB."""
    small, huge = (b"\x2c\0\0\0\0" + 2 * side.to_bytes(2, "little") + b"\0\2\2\x4c\1\0" for side in (1, 60_000))
    clear = b"!\xf9\4\x08\0\0\0\0"
    content = b"GIF89a\1\0\1\0\x80\0\0" + b"\0\0\0\xff\xff\xff"
    content += blocks.replace(b"%b", small).replace(b"%s", clear + huge) + b";"
    monkeypatch.setattr("srgan.image.reading.open_image", lambda *_: pytest.fail("it is opened"))
    with pytest.raises(TooLargeError, match="60000x60000 are 3,600 megapixels, more than the limit of 200 megapixels"):
        read_picture(io.BytesIO(content))


def test_the_limits_are_ours_and_those_of_pillow_come_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 40)
    Image.new("L", (10, 10)).save(tmp_path / "large.png")
    assert read_picture(tmp_path / "large.png").pixels.shape == (10, 10)
    assert Image.MAX_IMAGE_PIXELS == 40


def test_a_picture_comes_from_a_stream(noise: NDArray[np.uint8]) -> None:
    stream = io.BytesIO()
    Image.fromarray(noise).save(stream, "PNG")
    assert np.array_equal(read_picture(io.BytesIO(stream.getvalue())).pixels, noise)
    with pytest.raises(PictureError, match=r"^standard input: the file is empty$"):
        read_picture(io.BytesIO())
    with pytest.raises(PictureError, match=r"^upload: not a picture"):
        read_picture(io.BytesIO(b"hello"), name="upload")


def test_the_icc_profile_goes_from_file_to_file(tmp_path: Path) -> None:
    for name in ("in.png", "in.jpg", "in.webp", "in.tif"):
        Image.fromarray(CORNERS).save(tmp_path / name, icc_profile=ICC)
        picture = read_picture(tmp_path / name)
        assert picture.icc == ICC
        for result in ("out.png", "out.jpg", "out.webp"):
            write_picture(picture, tmp_path / result)
            with Image.open(tmp_path / result) as image:
                assert image.info["icc_profile"] == ICC


def test_pillow_images_and_arrays_become_pictures_and_come_back(noise: NDArray[np.uint8]) -> None:
    image = Image.fromarray(noise)
    image.info["icc_profile"] = ICC
    back = image_from_picture(picture_from_image(image))
    assert back.mode == "RGB"
    assert back.info["icc_profile"] == ICC
    assert np.array_equal(np.asarray(back), noise)
    deep = noise.astype(np.uint16) * 257
    assert image_from_picture(Picture(deep[..., 0])).mode == "I;16"
    assert np.array_equal(np.asarray(image_from_picture(Picture(deep))), noise)
    for array in (deep, noise, noise[..., 0], np.dstack([noise, noise[..., 0]]), noise / np.float32(255)):
        assert np.array_equal(array_from_picture(picture_from_array(array)), array)


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (np.zeros((4, 4, 2), dtype=np.uint8), r"shape \(4, 4, 2\) is no picture"),
        (np.zeros((1, 3, 4, 4), dtype=np.uint8), "is no picture"),
        (np.zeros((0, 4), dtype=np.uint8), "is no picture"),
        (np.zeros((4, 4)), "uint8, uint16 or float32, not float64"),
        (np.full((4, 4), 255, dtype=np.float32), r"values in \[0, 1\]"),
        (np.full((4, 4), np.nan, dtype=np.float32), r"values in \[0, 1\]"),
    ],
)
def test_arrays_that_are_no_picture_are_refused(array: NDArray[np.float32], message: str) -> None:
    with pytest.raises(ArgumentError, match=message):
        picture_from_array(array)
    with pytest.raises(ValueError, match=message):
        picture_from_array(array)


def test_a_frame_makes_the_canvas_of_a_gif_as_large_as_its_place_needs() -> None:
    header = b"GIF89a\2\0\3\0\0\0\0"
    frame = struct.pack("<cHHHHB", b",", 30_000, 20_000, 1, 5, 0) + b"\2\2\x4c\1\0"
    assert gif_canvas(io.BytesIO(header + b";")) == (2, 3)
    assert gif_canvas(io.BytesIO(header + frame + b";")) == (30_001, 20_005)
    with pytest.raises(TooLargeError, match=r"30001x20005 are 600\.170005 megapixels"):
        read_picture(io.BytesIO(header + frame + b";"))


@pytest.mark.parametrize("apart", ["contig", "separate"])
def test_the_channels_of_a_tiff_count_once(tmp_path: Path, apart: Any) -> None:
    samples = np.random.default_rng(2).integers(0, 256, (100, 100, 3), dtype=np.uint8)
    stored = samples if apart == "contig" else np.moveaxis(samples, 2, 0)
    tifffile.imwrite(tmp_path / "in.tif", stored, photometric="rgb", planarconfig=apart)
    assert np.array_equal(read_picture(tmp_path / "in.tif", Limits(input_pixels=10_000)).pixels, samples)
    with pytest.raises(TooLargeError, match="10,000 pixels, more than the limit of 9,999"):
        read_picture(tmp_path / "in.tif", Limits(input_pixels=9_999))


def test_a_palette_without_colours_keeps_its_profile(tmp_path: Path) -> None:
    image = Image.new("P", (2, 1))
    image.putpalette([10, 10, 10, 200, 200, 200])
    image.putdata([0, 1])
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    image.save(tmp_path / "a.png", icc_profile=profile)
    picture = read_picture(tmp_path / "a.png")
    assert picture.icc == profile
    assert np.array_equal(picture.pixels, [[[10] * 3, [200] * 3]])


def test_too_little_memory_is_no_damage_of_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def starving(*_: Any) -> None:
        raise MemoryError

    Image.new("RGB", (2, 2)).save(tmp_path / "a.png")
    monkeypatch.setattr("srgan.image.reading._eight_bits", starving)
    with pytest.raises(MemoryError):
        read_picture(tmp_path / "a.png")
    with pytest.raises(MemoryError):
        picture_from_image(Image.new("RGB", (2, 2)))


def test_a_gif_of_just_the_limit_is_read(tmp_path: Path) -> None:
    Image.new("P", (4, 4)).save(tmp_path / "a.gif")
    assert read_picture(tmp_path / "a.gif", Limits(input_pixels=16)).pixel_count == 16
    with pytest.raises(TooLargeError):
        read_picture(tmp_path / "a.gif", Limits(input_pixels=15))


def test_a_gif_says_how_often_it_is_shown_before_its_first_frame_alone() -> None:
    """Later, Pillow takes such a block for any other, and the huge frame behind it for one."""
    small, huge = (b"\x2c\0\0\0\0" + 2 * side.to_bytes(2, "little") + b"\0\2\2\x4c\1\0" for side in (1, 60_000))
    content = b"GIF89a\1\0\1\0\x80\0\0" + bytes(6) + small + b"!\xff\x0bNETSCAPE2.0\0" + huge + b";"
    assert gif_canvas(io.BytesIO(content)) == (60_000, 60_000)


def test_strips_of_one_bit_a_pixel_lie_one_behind_the_other() -> None:
    one_bit = strips(8, 208, 224).replace(struct.pack("<HHII", 258, 3, 1, 8), struct.pack("<HHII", 258, 3, 1, 1))
    assert read_picture(io.BytesIO(one_bit)).pixels.shape == (16, 16)


@pytest.mark.parametrize("length", [4, 0])
def test_a_box_of_a_jpeg_2000_that_leads_back_is_refused(length: int) -> None:
    file = io.BytesIO()
    Image.new("RGB", (8, 8)).save(file, "JPEG2000")
    content = file.getvalue()
    place = content.index(b"jp2c") - 4
    damaged = content[:place] + length.to_bytes(4) + b"free" + content[place:]
    with pytest.raises(PictureError, match="damaged: a box without an end"):
        read_picture(io.BytesIO(damaged))
