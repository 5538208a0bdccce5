"""Animations and files of several pages."""

import io
import struct
import zlib
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from numpy.typing import NDArray
from PIL import Image

from srgan.errors import OutputError, PictureError, TooLargeError
from srgan.image.picture import Limits, Picture, Timing
from srgan.image.reading import read_picture
from srgan.image.size import Size
from srgan.image.writing import WriteOptions, check_result, write_picture

X4 = Size(scale=4)

COLOURS = [(255, 0, 0), (0, 255, 0), (0, 0, 255)]


def frames(size: tuple[int, int] = (20, 12)) -> list[Image.Image]:
    return [Image.new("RGB", size, colour) for colour in COLOURS]


def colours(picture: Picture) -> list[tuple[int, ...]]:
    return [tuple(int(value) for value in frame.pixels[3, 3]) for frame in picture.frames]


def saved(kind: str, **how: Any) -> io.BytesIO:
    first, *more = frames()
    file = io.BytesIO()
    first.save(file, kind, save_all=True, append_images=more, **how)
    file.seek(0)
    return file


@pytest.mark.parametrize("kind", ["GIF", "WEBP", "PNG", "AVIF"])
def test_every_frame_of_an_animation_is_read_with_its_time(kind: str) -> None:
    picture = read_picture(saved(kind, duration=[100, 250, 1000], quality=100, subsampling="4:4:4"))
    assert np.abs(np.array(colours(picture)) - COLOURS).max() <= 12
    assert picture.timing is not None
    assert picture.timing.milliseconds == (100, 250, 1000)
    assert all(frame.alpha is None for frame in picture.frames)


def test_what_webp_has_no_bits_for_is_as_long_and_as_often_as_it_can_say() -> None:
    first, *more = read_picture(saved("GIF")).frames
    picture = replace(first, more=tuple(more), timing=Timing((100.0, 2.0**25, 1.0), 2**16))
    file = io.BytesIO()
    write_picture(picture, file, WriteOptions(format="webp"))
    again = read_picture(io.BytesIO(file.getvalue()))
    assert again.timing == Timing((100.0, 2.0**24 - 1, 1.0), 0)


@pytest.mark.parametrize("kind", ["WEBP", "PNG"])
@pytest.mark.parametrize("loops", [0, 3])
def test_how_often_an_animation_is_shown(kind: str, loops: int) -> None:
    picture = read_picture(saved(kind, duration=100, loop=loops))
    assert picture.timing is not None
    assert picture.timing.loops == loops
    for name in ("png", "webp"):
        file = io.BytesIO()
        write_picture(picture, file, WriteOptions(format=name))
        again = read_picture(io.BytesIO(file.getvalue()))
        assert again.timing == picture.timing


def test_a_gif_counts_how_often_it_is_shown_again() -> None:
    assert read_picture(saved("GIF", duration=100)).timing == Timing((100, 100, 100), 1)
    assert read_picture(saved("GIF", duration=100, loop=0)).timing == Timing((100, 100, 100), 0)
    assert read_picture(saved("GIF", duration=100, loop=2)).timing == Timing((100, 100, 100), 3)


def test_frames_are_what_is_seen_whatever_a_gif_stores_of_them() -> None:
    """A square that moves over a clear ground: stored as changes, with each way to go on from a frame."""
    images = []
    for place in range(3):
        image = Image.new("RGBA", (30, 10), (0, 0, 0, 0))
        image.paste((255, 0, 0, 255), (place * 10, 0, place * 10 + 10, 10))
        images.append(image)
    for disposal in (2, [2, 2, 2]):
        file = io.BytesIO()
        images[0].save(file, "GIF", save_all=True, append_images=images[1:], disposal=disposal, duration=50)
        picture = read_picture(io.BytesIO(file.getvalue()))
        for place, frame in enumerate(picture.frames):
            assert frame.alpha is not None
            seen = np.argwhere(frame.alpha[5] == 255).ravel()
            assert seen.tolist() == list(range(place * 10, place * 10 + 10))
            assert frame.pixels[5, place * 10 + 5].tolist() == [255, 0, 0]


RED, GREEN, BLUE, CLEAR = (255, 0, 0, 255), (0, 255, 0, 255), (0, 0, 255, 255), (0, 0, 0, 0)


def gif(*images: tuple[int, tuple[int, int, int, int], int | None, int]) -> bytes:
    """Return a GIF of 4x1 pixels: of each image the colour, the place, which colour is clear, and its disposal."""
    content = b"GIF89a\4\0\1\0\x81\0\0" + bytes([255, 0, 0, 0, 255, 0, 0, 0, 255, 9, 9, 9])
    for colour, (left, top, width, height), clear, disposal in images:
        content += b"!\xf9\4" + struct.pack("<BHBx", disposal << 2 | (clear is not None), 5, clear or 0)
        codes = [4, *(code for _ in range(width * height) for code in (colour, 4)), 5]  # cleared before each, 3 bits
        bits = sum(code << 3 * number for number, code in enumerate(codes))
        data = bits.to_bytes(-(-3 * len(codes) // 8), "little")
        content += b"," + struct.pack("<HHHHB", left, top, width, height, 0) + bytes([2, len(data)]) + data + b"\0"
    return content + b";"


@pytest.mark.parametrize(
    ("images", "shown"),
    [
        (  # what is cleared is clear, though the first frame has nothing clear and no colour is named
            [(0, (0, 0, 4, 1), None, 1), (1, (1, 0, 2, 1), None, 2), (2, (3, 0, 1, 1), None, 1)],
            [[RED] * 4, [RED, GREEN, GREEN, RED], [RED, CLEAR, CLEAR, BLUE]],
        ),
        (  # nor is it the colour that a frame names as clear
            [(0, (0, 0, 4, 1), None, 1), (1, (1, 0, 2, 1), 3, 2), (2, (3, 0, 1, 1), 3, 1)],
            [[RED] * 4, [RED, GREEN, GREEN, RED], [RED, CLEAR, CLEAR, BLUE]],
        ),
        (  # a frame after one that goes back stays where it does not say so
            [(0, (0, 0, 4, 1), None, 1), (1, (0, 0, 2, 1), 3, 3), (2, (1, 0, 2, 1), 3, 0), (1, (3, 0, 1, 1), 3, 1)],
            [[RED] * 4, [GREEN, GREEN, RED, RED], [RED, BLUE, BLUE, RED], [RED, BLUE, BLUE, GREEN]],
        ),
        (  # what goes back to before the first frame, and what it leaves free, is clear
            [(0, (0, 0, 3, 1), None, 3), (1, (1, 0, 1, 1), 3, 1)],
            [[RED, RED, RED, CLEAR], [CLEAR, GREEN, CLEAR, CLEAR]],
        ),
        (  # the clear colour of an image leaves what was there
            [(0, (0, 0, 4, 1), None, 1), (1, (0, 0, 2, 1), 1, 1)],
            [[RED] * 4, [RED] * 4],
        ),
    ],
)
def test_a_gif_is_shown_as_browsers_do(images: list[Any], shown: list[list[tuple[int, ...]]]) -> None:
    frames = read_picture(io.BytesIO(gif(*images))).frames
    found = [np.dstack([f.pixels, np.full((1, 4), 255) if f.alpha is None else f.alpha]) for f in frames]
    for frame, expected in zip(found, shown, strict=True):
        frame[frame[..., 3] == 0] = 0
        assert [tuple(pixel) for pixel in frame[0].tolist()] == expected


@pytest.mark.parametrize("name", ["png", "webp", "avif"])
@pytest.mark.parametrize("alpha", [False, True])
def test_an_animation_is_written_as_it_is(name: str, alpha: bool) -> None:
    first, *more = (np.asarray(image) for image in frames((40, 30)))
    plane = np.full((30, 40), 255, dtype=np.uint8)
    plane[:, :20] = 0
    mask = plane if alpha else None
    timing = Timing((40, 80.4, 70_000), 2)
    picture = Picture(first, mask, more=tuple(Picture(pixels, mask) for pixels in more), timing=timing)
    file = io.BytesIO()
    write_picture(picture, file, WriteOptions(format=name, quality=None if name == "png" else 100))
    with Image.open(file) as image:
        assert image.n_frames == 3  # type: ignore[attr-defined]
        assert image.is_animated  # type: ignore[attr-defined]
    again = read_picture(io.BytesIO(file.getvalue()))
    assert np.abs(np.array([frame.pixels[3, 30] for frame in again.frames]).astype(int) - COLOURS).max() <= 12
    assert again.timing is not None
    assert again.timing.milliseconds == (40, 80, 70_000)
    assert again.timing.loops == (0 if name == "avif" else 2)
    assert [frame.alpha is not None for frame in again.frames] == [alpha] * 3


@pytest.mark.parametrize("still", [False, True])
def test_an_animated_avif_is_not_of_full_range(still: bool) -> None:
    """Chromium takes what animations hold for limited range, whatever they say: grays of 180 are 191 there."""
    gray = np.full((16, 20, 3), 180, dtype=np.uint8)
    picture = Picture(gray) if still else Picture(gray, more=(Picture(gray - 9),), timing=Timing((50, 50), 0))
    file = io.BytesIO()
    write_picture(picture, file, WriteOptions(format="avif"))
    said = file.getvalue().split(b"colrnclx")[1:]
    assert {colours[6] >> 7 for colours in said} == {int(still)}
    assert abs(int(read_picture(io.BytesIO(file.getvalue())).pixels[3, 3, 0]) - 180) <= 2


def test_an_animation_of_16_bits_and_of_gray_is_written_as_png() -> None:
    random = np.random.default_rng(4)
    planes = [random.integers(0, 65536, (50, 40), dtype=np.uint16) for _ in range(2)]
    picture = Picture(planes[0], more=(Picture(planes[1]),), timing=Timing((10, 20), 0))
    file = io.BytesIO()
    write_picture(picture, file)
    for number, plane in enumerate(planes):
        with Image.open(file) as image:
            image.seek(number)
            assert np.array_equal(np.asarray(image), plane)


def test_a_gif_whose_later_frame_is_larger_grows() -> None:
    first, second = Image.new("RGB", (8, 8), (255, 0, 0)), Image.new("RGB", (12, 10), (0, 0, 255))
    file = io.BytesIO()
    first.save(file, "GIF", save_all=True, append_images=[first, first.rotate(90)], duration=50)
    parts = io.BytesIO()
    second.save(parts, "GIF")
    block = parts.getvalue()
    content = file.getvalue()
    frame = block[block.index(b"\x2c", 13 + 3 * 2 ** ((block[10] & 7) + 1)) : -1]
    descriptor = bytearray(frame[:10])
    descriptor[9] |= 0x80 | (block[10] & 7)  # with the colours of its own file
    palette = block[13 : 13 + 3 * 2 ** ((block[10] & 7) + 1)]
    content = content[:-1] + bytes(descriptor) + palette + frame[10:] + b";"
    picture = read_picture(io.BytesIO(content))
    assert {frame.pixels.shape for frame in picture.frames} == {(10, 12, 3)}
    assert picture.alpha is not None
    assert (picture.alpha[:8, :8] == 255).all()
    assert (picture.alpha[8:] == 0).all()
    assert (picture.alpha[:, 8:] == 0).all()
    last = picture.frames[-1]
    assert last.pixels[9, 11].tolist() == [0, 0, 255]
    write_picture(picture, io.BytesIO())


def test_an_animation_of_16_bits_is_read_with_8() -> None:
    deep = np.random.default_rng(4).integers(0, 65536, (2, 10, 12, 3), dtype=np.uint16)
    file = io.BytesIO()
    write_picture(Picture(deep[0], more=(Picture(deep[1]),), timing=Timing((10, 20), 0)), file)
    picture = read_picture(io.BytesIO(file.getvalue()))
    for frame, values in zip(picture.frames, deep, strict=True):
        assert frame.pixels.dtype == np.uint8
        assert np.array_equal(frame.pixels, values >> 8)


def test_the_picture_before_an_animated_png_is_no_frame() -> None:
    first, *more = frames()
    file = io.BytesIO()
    first.save(file, "PNG", save_all=True, append_images=more, default_image=True, duration=[30, 40])
    picture = read_picture(io.BytesIO(file.getvalue()))
    assert colours(picture) == COLOURS[1:]
    assert picture.timing is not None
    assert picture.timing.milliseconds == (30, 40)


@pytest.mark.parametrize("mode", ["P", "RGB", "RGBA", "LA"])
@pytest.mark.parametrize(
    ("ops", "expected"),
    [
        ([(0, 0), (2, 1), (0, 1)], [(90, 90, 255), (145, 90, 255), (90, 112, 255)]),  # what the second hid is back
        ([(0, 0), (0, 1), (0, 1)], [(90, 90, 255), (145, 90, 255), (145, 112, 255)]),
        ([(0, 0), (1, 1), (0, 1)], [(90, 90, 255), (145, 90, 255), (0, 112, 255)]),
        ([(0, 0), (0, 0), (0, 0)], [(90, 90, 255), (200, 90, 128), (200, 112, 128)]),
        ([(2, 0), (0, 1), (0, 0)], [(90, 90, 255), (200, 0, 128), (200, 112, 128)]),
    ],
)
def test_frames_of_an_animated_png_are_drawn_upon_each_other(
    mode: str, ops: list[tuple[int, int]], expected: list[tuple[int, int, int]]
) -> None:
    """Three frames of 4x4: all, the left half, and the right half's lower part; each with what becomes of it."""
    boxes, grays, alphas = [(4, 4, 0, 0), (2, 4, 0, 0), (2, 2, 2, 2)], (90, 200, 112), (255, 128, 255)

    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    colour_type = {"P": 3, "RGB": 2, "RGBA": 6, "LA": 4}[mode]
    png = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", 4, 4, 8, colour_type, 0, 0, 0))
    png += chunk(b"acTL", struct.pack(">II", 3, 0))
    if mode == "P":
        png += chunk(b"PLTE", bytes(value for gray in grays for value in [gray] * 3)) + chunk(b"tRNS", bytes(alphas))
    order = 0
    for number, (box, gray, alpha) in enumerate(zip(boxes, grays, alphas, strict=True)):
        pixel = {"P": [number], "RGB": [gray] * 3, "RGBA": [gray, gray, gray, alpha], "LA": [gray, alpha]}[mode]
        rows = zlib.compress((b"\0" + bytes(pixel) * box[0]) * box[1])
        png += chunk(b"fcTL", struct.pack(">IIIIIHHBB", order, *box, 1, 10, *ops[number]))
        png += chunk(b"fdAT", struct.pack(">I", order + 1) + rows) if number else chunk(b"IDAT", rows)
        order += 2 if number else 1
    picture = read_picture(io.BytesIO(png + chunk(b"IEND", b"")))
    assert picture.pixels.ndim == (2 if mode in ("P", "LA") else 3)
    for number, (frame, (left, right, opacity)) in enumerate(zip(picture.frames, expected, strict=True)):
        plane = np.full((4, 4), 255) if frame.alpha is None else frame.alpha
        seen = frame.pixels.reshape(4, 4, -1)[3, :, 0] * (plane[3] > 0)
        if mode == "RGB":  # opaque: what is drawn hides what was there
            left, opacity = (200, 255) if left == 145 or (number and left == 200) else (left, 255 if left else 0)
        assert abs(int(seen[0]) - left) <= 1
        assert int(seen[3]) == right
        assert abs(int(plane[3, 0]) - (opacity if left else 0)) <= 1


def test_pages_of_a_tiff_of_any_size_and_depth_are_kept(tmp_path: Path) -> None:
    random = np.random.default_rng(5)
    pages: list[NDArray[Any]] = [
        random.integers(0, 256, (9, 7, 3), dtype=np.uint8),
        random.integers(0, 65536, (5, 6, 3), dtype=np.uint16),
        random.integers(0, 65536, (4, 3), dtype=np.uint16),
        random.integers(0, 256, (8, 8, 4), dtype=np.uint8),
    ]
    with tifffile.TiffWriter(tmp_path / "in.tif") as file:
        for page in pages:
            kind, extra = ("rgb", ["unassalpha"]) if page.ndim == 3 else ("minisblack", [])
            extra = extra if page.shape[-1] == 4 else []
            file.write(page, photometric=kind, metadata=None, extrasamples=extra)
        file.write(pages[0][::2, ::2], photometric="rgb", metadata=None, subfiletype=1)  # a smaller copy
    picture = read_picture(tmp_path / "in.tif")
    assert picture.timing is None
    assert len(picture.frames) == 4
    write_picture(picture, tmp_path / "out.tif")
    with tifffile.TiffFile(tmp_path / "out.tif") as result:
        assert len(result.pages) == 4
        for written, page in zip(result.pages, pages, strict=True):
            assert np.array_equal(written.asarray(), page)


@pytest.mark.parametrize(
    ("timing", "suffix", "message"),
    [
        (Timing((1, 1)), ".jpg", "has 2 frames of an animation and JPEG holds one; choose .png, .webp or .avif"),
        (Timing((1, 1)), ".tif", "has 2 frames of an animation and TIFF holds one; choose .png, .webp or .avif"),
        (None, ".png", "has 2 pages and PNG holds one; choose .tif"),
        (None, ".webp", "has 2 pages and WEBP holds one; choose .tif"),
    ],
)
def test_what_holds_one_picture_refuses_more_before_the_work(
    tmp_path: Path, timing: Timing | None, suffix: str, message: str
) -> None:
    pixels = np.zeros((3, 3, 3), dtype=np.uint8)
    with pytest.raises(OutputError, match=message):
        check_result(tmp_path / f"out{suffix}", Picture(pixels, more=(Picture(pixels),), timing=timing), X4)


def test_all_frames_count_against_the_limits(tmp_path: Path) -> None:
    file = saved("GIF", duration=100)
    with pytest.raises(PictureError, match="3 frames or pages or more have 720 pixels, more than the limit of 700"):
        read_picture(file, Limits(input_pixels=700))
    file.seek(0)
    picture = read_picture(file, Limits(input_pixels=720))
    with pytest.raises(OutputError, match="a result of 11,520 pixels is more than the limit of 11,519 pixels"):
        check_result(tmp_path / "out.png", picture, X4, limits=Limits(output_pixels=11_519))


def test_frames_of_a_gif_count_as_large_as_its_largest_from_the_first_on() -> None:
    """Each is put together on a canvas of that size."""
    small = (0, (0, 0, 1, 1), None, 1)
    content = gif(small, small, small, (0, (0, 0, 40, 8), None, 1))
    with pytest.raises(TooLargeError, match="2 frames or pages or more have 640 pixels, more than the limit of 500"):
        read_picture(io.BytesIO(content), Limits(input_pixels=500))


def test_a_gif_whose_later_frame_is_huge_is_refused() -> None:
    """The second frame of 60000x60000 makes the canvas as large, which the header says nothing of."""
    frame = b"\x2c" + bytes(4) + b"%s\0\2\2\x4c\1\0"
    header = b"GIF89a\x01\0\x01\0\x80\0\0" + b"\0\0\0\xff\xff\xff"
    content = header + frame.replace(b"%s", b"\x01\0\x01\0") + frame.replace(b"%s", b"\x60\xea\x60\xea") + b";"
    with pytest.raises(PictureError, match="more than the limit of 200 megapixels"):
        read_picture(io.BytesIO(content))


def test_a_chain_of_too_many_pages_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """All but the first say that they are smaller copies of it, which count no less."""
    entries = [(254, 4, 1), (256, 3, 1), (257, 3, 1), (258, 3, 8), (262, 3, 1), (273, 4, 8), (279, 4, 1)]
    step = 2 + 12 * len(entries) + 4
    content = b"II*\0\x08\0\0\0"
    monkeypatch.setattr("srgan.image.reading._MOST_FRAMES", 300)
    for number in range(302):
        content += struct.pack("<H", len(entries))
        content += b"".join(struct.pack("<HHII", tag, kind, 1, value) for tag, kind, value in entries)
        content += struct.pack("<I", 8 + step * (number + 1))
    with pytest.raises(PictureError, match="too large: more than 300 frames or pages"):
        read_picture(io.BytesIO(content))


def test_as_many_pages_as_are_allowed_are_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("srgan.image.reading._MOST_FRAMES", 3)
    pages = [Image.new("L", (2, 2), number) for number in range(4)]
    pages[0].save(tmp_path / "three.tif", save_all=True, append_images=pages[1:3])
    assert len(read_picture(tmp_path / "three.tif").frames) == 3
    pages[0].save(tmp_path / "four.tif", save_all=True, append_images=pages[1:])
    with pytest.raises(TooLargeError, match="more than 3 frames or pages"):
        read_picture(tmp_path / "four.tif")


@pytest.mark.parametrize("subfile", [1, 4])
def test_the_only_page_of_a_tiff_is_read_whatever_it_calls_itself(tmp_path: Path, subfile: int) -> None:
    Image.new("L", (3, 2), 7).save(tmp_path / "a.tif", tiffinfo={254: subfile})
    assert read_picture(tmp_path / "a.tif").pixels.tolist() == [[7, 7, 7], [7, 7, 7]]
