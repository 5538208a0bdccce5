"""What a picture carries, from file to file, read back by Pillow and tifffile."""

import io
import struct
import time
import zlib
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, cast
from xml.etree import ElementTree

import numpy as np
import pytest
import tifffile
from numpy.typing import NDArray
from PIL import Image, ImageCms, ImageFile, PngImagePlugin, TiffImagePlugin
from PIL.ExifTags import IFD, Base
from PIL.IptcImagePlugin import getiptcinfo
from PIL.PngImagePlugin import PngInfo

from made import chunk, exif, png
from srgan.image.exif import X_RESOLUTION, Y_RESOLUTION, Entry, Exif
from srgan.image.picture import Maker, Metadata, Picture
from srgan.image.png import read_chunks
from srgan.image.profiles import srgb
from srgan.image.reading import read_picture
from srgan.image.writing import FORMATS, WriteOptions, write_picture
from srgan.image.xmp import ENHANCED, find_fingerprint, is_marked, true_xmp

MAKER = Maker("srgan 9.9", "srresnet", "ab" * 32)
XMP = b"""<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">
<rdf:Description rdf:about="" xmlns:tiff="http://ns.adobe.com/tiff/1.0/" xmlns:exif="http://ns.adobe.com/exif/1.0/"
 xmlns:dc="http://purl.org/dc/elements/1.1/" xmlns:Iptc4xmpExt="http://iptc.org/std/Iptc4xmpExt/2008-02-29/"
 tiff:Orientation="6" exif:PixelXDimension='40' dc:source="a shelf"
 Iptc4xmpExt:DigitalSourceType="http://cv.iptc.org/newscodes/digitalsourcetype/digitalCapture">
<exif:PixelYDimension>30</exif:PixelYDimension></rdf:Description></rdf:RDF></x:xmpmeta>"""
EXTENSION = "{http://iptc.org/std/Iptc4xmpExt/2008-02-29/}"
PIXELS = np.random.default_rng(3).integers(0, 256, (120, 160, 3), dtype=np.uint8)
EVERY = sorted(FORMATS)


def written(picture: Picture, name: str, **options: Any) -> Image.Image:
    file = io.BytesIO()
    write_picture(picture, file, WriteOptions(format=name, **options))
    image = Image.open(file)
    image.load()
    return image


def attributes(packet: bytes) -> dict[str, str]:
    return {name: value for element in ElementTree.fromstring(packet).iter() for name, value in element.items()}


def xmp_of(image: Image.Image) -> bytes:
    found = image.info["xmp"]
    return found.encode() if isinstance(found, str) else bytes(found)


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("name", EVERY)
def test_exif_data_is_kept_and_made_true(name: str, order: str) -> None:
    picture = Picture(PIXELS, metadata=Metadata(exif(order), XMP, (300, 300)), maker=MAKER)
    found = written(picture, name).getexif()
    assert found[0x010F] == "Camera"
    assert found.get(0x0112, 1) == 1
    assert found[0x0131] == "srgan 9.9 srresnet"
    assert (float(found[0x011A]), float(found[0x011B]), found[0x0128]) == (300, 300, 2)
    inner = found.get_ifd(IFD.Exif)
    assert (inner[0xA002], inner[0xA003]) == (160, 120)
    assert inner[0x9286] == b"nice"


@pytest.mark.parametrize("order", ["<", ">"])
def test_the_notes_of_a_camera_stay_where_they_were_and_the_thumbnail_goes(order: str) -> None:
    before = exif(order)
    edited = Exif(before)
    edited.describe(width=160_000, height=120, dpi=None, software="srgan 9.9 srresnet")
    after = edited.tobytes()
    notes = before.index(b"note")
    assert after[notes : notes + 12] == before[notes : notes + 12]
    assert after[struct.unpack_from(f"{order}I", after, notes + 4)[0] :].startswith(b"here")
    assert b"small" not in after
    again = Image.Exif()
    again.load(after)
    assert again.get_ifd(IFD.Exif)[0xA002] == 160_000
    assert again.get_ifd(IFD.IFD1) == {}


@pytest.mark.parametrize("name", EVERY)
@pytest.mark.parametrize("order", ["<", ">"])
def test_the_notes_of_a_camera_stay_where_they_were_in_every_format(name: str, order: str) -> None:
    before = exif(order)
    file = io.BytesIO()
    write_picture(Picture(PIXELS, metadata=Metadata(before), maker=MAKER), file, WriteOptions(format=name))
    whole = file.getvalue()
    data = whole[whole.index(before[:4]) :]
    notes = before.index(b"note")
    assert data[notes : notes + 12] == before[notes : notes + 12]


@pytest.mark.parametrize("name", EVERY)
def test_exif_data_with_a_number_that_is_a_text_is_written_in_every_format(name: str) -> None:
    entries = struct.pack("<HHIHH", 0x0112, 3, 1, 6, 0) + struct.pack("<HHI4s", 0x011A, 2, 4, b"abc")
    data = b"II*\0\x08\0\0\0\2\0" + entries + bytes(4)
    assert written(Picture(PIXELS, metadata=Metadata(data), maker=MAKER), name).size == (160, 120)


@pytest.mark.parametrize("text", ["© Müller", "José 東"])
def test_texts_of_a_tiff_keep_letters_beyond_ascii(text: str) -> None:
    stored = Image.Exif()
    stored[0x8298] = text.encode()
    file = io.BytesIO()
    Image.fromarray(PIXELS).save(file, "TIFF", exif=stored)
    picture = read_picture(io.BytesIO(file.getvalue()))
    for name in ("png", "tiff"):
        result = io.BytesIO()
        write_picture(picture, result, WriteOptions(format=name))
        assert text.encode() + b"\0" in result.getvalue()


@pytest.mark.parametrize("name", EVERY)
@pytest.mark.parametrize("said", ["exif", "APP1", "xmp", "APP1 of XMP"])
def test_what_imagemagick_told_in_hex_in_the_text_of_a_png_is_kept(name: str, said: str) -> None:
    data = b"II*\0\x08\0\0\0\1\0" + struct.pack("<HHI4s", 0x010F, 2, 4, b"abc\0") + bytes(4)
    packet = (
        b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
        b'<rdf:Description rdf:about="" xmlns:dc="d" dc:title="abc"/></rdf:RDF></x:xmpmeta>'
    )
    kind, content = {
        "exif": ("exif", b"Exif\0\0" + data),
        "APP1": ("APP1", b"Exif\0\0" + data),
        "xmp": ("xmp", packet),
        "APP1 of XMP": ("APP1", b"http://ns.adobe.com/xap/1.0/\0" + packet),
    }[said]
    text = PngInfo()
    text.add_text(f"Raw profile type {kind}", f"\n{kind}\n{len(content):8}\n{content.hex(chr(10), -36)}\n", zip=True)
    file = io.BytesIO()
    Image.fromarray(PIXELS).save(file, "PNG", pnginfo=text)
    picture = read_picture(io.BytesIO(file.getvalue()))
    with written(replace(picture, maker=MAKER), name) as image:
        if "xmp" in said.lower():
            assert b'dc:title="abc"' in image.info["xmp"]
        else:
            assert image.getexif()[0x010F] == "abc"


def test_hex_digits_in_the_text_of_a_png_that_are_damaged_are_none() -> None:
    for content in ("", "x", "\nexif\n 4\nzz", "\nexif\n 4\n123", "\nexif\n 4\n1234"):
        text = PngInfo()
        text.add_text("Raw profile type exif", content)
        file = io.BytesIO()
        Image.fromarray(PIXELS).save(file, "PNG", pnginfo=text)
        write_picture(read_picture(io.BytesIO(file.getvalue())), io.BytesIO())


@pytest.mark.parametrize("name", EVERY)
def test_xmp_is_kept_made_true_and_says_where_the_picture_comes_from(name: str) -> None:
    picture = Picture(PIXELS, metadata=Metadata(None, XMP), maker=MAKER)
    found = attributes(xmp_of(written(picture, name)))
    assert found["{http://purl.org/dc/elements/1.1/}source"] == "a shelf"
    assert found["{http://ns.adobe.com/tiff/1.0/}Orientation"] == "1"
    assert found["{http://ns.adobe.com/exif/1.0/}PixelXDimension"] == "160"
    assert found[f"{EXTENSION}DigitalSourceType"] == ENHANCED
    assert found[f"{EXTENSION}AISystemUsed"] == "srgan 9.9, srresnet"
    assert found[f"{EXTENSION}AISystemVersionUsed"] == f"sha256:{'ab' * 32}"
    assert b"<exif:PixelYDimension>120</exif:PixelYDimension>" in xmp_of(written(picture, name))
    assert b"digitalCapture" not in xmp_of(written(picture, name))


@pytest.mark.parametrize("name", EVERY)
def test_a_result_without_metadata_says_what_made_it_unless_told_not_to(name: str) -> None:
    picture = Picture(PIXELS, icc=srgb(), maker=MAKER)
    image = written(picture, name)
    assert image.getexif()[0x0131] == "srgan 9.9 srresnet"
    assert attributes(xmp_of(image))[f"{EXTENSION}DigitalSourceType"] == ENHANCED
    image = written(picture, name, provenance=False)
    assert not image.getexif() or name == "tiff"
    assert 0x0131 not in image.getexif()
    assert "xmp" not in image.info
    assert image.info["icc_profile"] == srgb()


@pytest.mark.parametrize("name", EVERY)
def test_strip_leaves_the_profile_alone(name: str) -> None:
    picture = Picture(PIXELS, icc=srgb(), metadata=Metadata(exif(), XMP, (300, 300)), maker=MAKER)
    image = written(picture, name, strip=True)
    assert 0x010F not in image.getexif()
    assert image.getexif()[0x0131] == "srgan 9.9 srresnet"
    assert b"a shelf" not in xmp_of(image)
    file = io.BytesIO()
    write_picture(picture, file, WriteOptions(format=name, strip=True))
    assert read_picture(io.BytesIO(file.getvalue())).metadata.dpi is None
    assert image.info["icc_profile"] == srgb()
    image = written(picture, name, strip=True, provenance=False)
    assert 0x0131 not in image.getexif()
    assert "xmp" not in image.info


@pytest.mark.parametrize("name", EVERY)
def test_a_photograph_on_its_side_goes_through_upright_with_all_it_carries(tmp_path: Path, name: str) -> None:
    """From a JPEG, a PNG and a TIFF that Pillow wrote: the orientation is applied once, and not again."""
    for source in ("in.jpg", "in.png", "in.tif", "in.webp", "in.avif"):
        Image.fromarray(PIXELS).save(
            tmp_path / source, exif=b"Exif\0\0" + exif(orientation=6), xmp=XMP, icc_profile=srgb()
        )
        picture = read_picture(tmp_path / source)
        assert picture.pixels.shape == (160, 120, 3)
        assert picture.icc == srgb()
        assert picture.metadata.dpi is None
        write_picture(picture, tmp_path / f"out.{name}")
        again = read_picture(tmp_path / f"out.{name}")
        assert again.pixels.shape == (160, 120, 3)
        assert again.metadata.exif is not None
        found = Image.Exif()
        found.load(again.metadata.exif)
        assert found[0x010F] == "Camera"
        assert found.get(0x0112, 1) == 1
        if source != "in.tif" and name != "tiff":
            inner = found.get_ifd(IFD.Exif)
            assert (inner[0xA002], inner[0xA003]) == (120, 160)
        assert again.metadata.xmp is None or b'tiff:Orientation="1"' in again.metadata.xmp


@pytest.mark.parametrize("name", ["jpeg", "png", "tiff"])
def test_the_resolution_is_kept_as_it_is(tmp_path: Path, name: str) -> None:
    Image.fromarray(PIXELS).save(tmp_path / f"in.{name}", dpi=(300, 150))
    picture = read_picture(tmp_path / f"in.{name}")
    assert picture.metadata.dpi == pytest.approx((300, 150), abs=0.02)
    assert written(picture, name).info["dpi"] == pytest.approx((300, 150), abs=0.02)


@pytest.mark.parametrize("source", ["jpeg", "png", "tiff"])
def test_the_resolutions_of_a_picture_on_its_side_change_places(tmp_path: Path, source: str) -> None:
    said = Image.Exif()
    said[Base.Orientation] = 6
    said[IFD.Exif] = {0xA20E: 1000.0, 0xA20F: 500.0}  # the sensor's
    if source != "tiff":
        said[X_RESOLUTION], said[Y_RESOLUTION], said[0x0128] = 300.0, 150.0, 2
    read = Image.Exif()
    read.load(said.tobytes())
    Image.fromarray(PIXELS).save(tmp_path / f"in.{source}", dpi=(300, 150), exif=read)
    picture = read_picture(tmp_path / f"in.{source}")
    assert picture.metadata.dpi == pytest.approx((150, 300), abs=0.02)
    for name in ("jpeg", "png", "tiff"):
        image = written(picture, name)
        assert image.info["dpi"] == pytest.approx((150, 300), abs=0.02)
        found = image.getexif()
        assert (found[X_RESOLUTION], found[Y_RESOLUTION]) == (150, 300)
        assert [found.get_ifd(IFD.Exif)[tag] for tag in (0xA20E, 0xA20F)] == [500, 1000]
    write_picture(picture, tmp_path / "again.png")
    assert read_picture(tmp_path / "again.png").metadata.dpi == pytest.approx((150, 300), abs=0.02), "once"


@pytest.mark.parametrize("told", ["by XMP", "in 32 bits", "in 8 bits"])
def test_resolutions_are_told_alike_however_a_turn_is_said(tmp_path: Path, told: str) -> None:
    said = Image.Exif()
    said[X_RESOLUTION], said[Y_RESOLUTION], said[0x0128] = 300.0, 150.0, 2
    data, xmp = said.tobytes(), b""
    if told == "by XMP":
        xmp = b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><a tiff:Orientation="6"/></x:xmpmeta>'
    else:
        first = Exif(data.removeprefix(b"Exif\0\0"))
        assert first.order == ">"
        kind, value = (4, b"\0\0\0\6") if told == "in 32 bits" else (1, b"\6\0\0\0")
        first._entries = (*first.entries(), Entry(Base.Orientation, kind, 1, value))
        data = b"Exif\0\0" + first.tobytes()
    Image.fromarray(PIXELS).save(tmp_path / "in.jpg", exif=data, xmp=xmp, dpi=(300, 150))
    picture = read_picture(tmp_path / "in.jpg")
    turned = picture.pixels.shape[0] != PIXELS.shape[0]
    assert turned is (told != "in 8 bits")
    assert picture.metadata.dpi == ((150, 300) if turned else (300, 150))
    found = written(picture, "png").getexif()
    assert (found[X_RESOLUTION], found[Y_RESOLUTION]) == picture.metadata.dpi


def test_a_tiff_s_directories_in_another_are_taken_over(tmp_path: Path) -> None:
    said = Image.Exif()
    said[IFD.Exif] = {0x829A: 0.005, IFD.Interop: {1: "R98"}}
    Image.fromarray(PIXELS).save(tmp_path / "in.png", exif=said)
    write_picture(read_picture(tmp_path / "in.png"), tmp_path / "in.tiff")
    for name in ("jpeg", "png", "tiff"):
        assert written(read_picture(tmp_path / "in.tiff"), name).getexif().get_ifd(IFD.Interop) == {1: "R98"}


def test_a_page_has_its_own_profile_and_resolution_or_none(tmp_path: Path) -> None:
    first, second = Image.fromarray(PIXELS), Image.fromarray(PIXELS)
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    with TiffImagePlugin.AppendingTiffWriter(tmp_path / "pages.tif", new=True) as file:
        first.save(file, "TIFF", icc_profile=profile, dpi=(300, 300))
        file.newFrame()
        second.save(file, "TIFF")
    found = read_picture(tmp_path / "pages.tif").frames
    assert [frame.icc is not None for frame in found] == [True, False]
    assert [frame.metadata.dpi for frame in found] == [(300, 300), None]


@pytest.mark.parametrize(
    "damaged",
    [
        b"",
        b"garbage",
        b"II*\0",
        b"II*\0\xff\xff\xff\xff",
        b"II*\0\x08\0\0\0\xff\xff" + b"x" * 100,
        exif()[:60],
        exif()[:20] + b"\xff" * 90,
        exif()[:46] + b"\xff\xff\xff\x7f" + exif()[50:],
    ],
)
@pytest.mark.parametrize("name", EVERY)
def test_damaged_exif_data_and_xmp_do_no_harm(name: str, damaged: bytes) -> None:
    picture = Picture(PIXELS, metadata=Metadata(damaged, b"\xff\xfe<" + damaged), maker=MAKER)
    image = written(picture, name)
    assert image.size == (160, 120)
    assert image.getexif()[0x0131] == "srgan 9.9 srresnet"


def test_exif_data_and_xmp_too_long_for_a_jpeg_are_left_out_of_it() -> None:
    long = exif(thumbnail=b"") + b"x" * 70_000
    picture = Picture(PIXELS, metadata=Metadata(long, XMP + b" " * 70_000), maker=MAKER)
    image = written(picture, "jpeg")
    assert image.getexif()[0x0131] == "srgan 9.9 srresnet"
    assert attributes(xmp_of(image))[f"{EXTENSION}DigitalSourceType"] == ENHANCED
    assert written(picture, "png").getexif()[0x010F] == "Camera"


@pytest.mark.parametrize("name", EVERY)
def test_what_no_network_made_is_not_called_enhanced_and_keeps_what_it_was_called(name: str) -> None:
    maker = Maker("srgan 9.9", None, None, "0123")
    image = written(Picture(PIXELS, metadata=Metadata(None, XMP), maker=maker), name)
    assert image.getexif()[0x0131] == "srgan 9.9"
    found = attributes(xmp_of(image))
    assert found["{urn:srgan}fingerprint"] == "0123"
    assert found[f"{EXTENSION}DigitalSourceType"].endswith("/digitalCapture")
    assert b"AISystem" not in xmp_of(image)
    assert b"DigitalSourceType" not in xmp_of(written(Picture(PIXELS, maker=maker), name))


def test_xmp_without_a_maker_stays_none() -> None:
    assert true_xmp(None, width=1, height=1, maker=None) is None
    assert true_xmp(b"\xff", width=1, height=1, maker=None) == b"\xff"


@pytest.mark.parametrize("declared", ["", "<?xml version='1.0' encoding={0}{1}{0} standalone='yes'?>"])
@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-be", "latin-1"])
def test_a_packet_that_is_not_utf_8_becomes_so(encoding: str, declared: str) -> None:
    said = declared.format('"' if encoding == "latin-1" else "'", encoding)
    text = ("\ufeff" * (encoding == "utf-16-be") + said + XMP.decode()).replace("a shelf", "größer")
    made = true_xmp(text.encode(encoding), width=160, height=120, maker=MAKER)
    assert made is not None
    found = attributes(made.removeprefix(b"\xef\xbb\xbf"))
    assert found["{http://purl.org/dc/elements/1.1/}source"] == "größer"
    assert found["{http://ns.adobe.com/exif/1.0/}PixelXDimension"] == "160"
    assert found[f"{EXTENSION}AISystemUsed"] == "srgan 9.9, srresnet"


def test_what_is_no_packet_makes_room_for_one_that_says_who_made_it() -> None:
    maker = Maker("srgan", None, None, "ab" * 16)
    made = true_xmp(b"\xff\xfe\xff", width=1, height=1, maker=maker)
    assert made == true_xmp(None, width=1, height=1, maker=maker)
    assert find_fingerprint(io.BytesIO(made or b"")) == "ab" * 16


@pytest.mark.parametrize("first", [None, (72.0, 72.0)])
def test_every_page_keeps_its_resolution(first: tuple[float, float] | None, tmp_path: Path) -> None:
    pages = [Picture(PIXELS, metadata=Metadata(dpi=dpi)) for dpi in (first, (300.0, 150.5), None)]
    path = tmp_path / "pages.tif"
    write_picture(Picture(PIXELS, metadata=pages[0].metadata, more=tuple(pages[1:])), path)
    assert [page.metadata.dpi for page in read_picture(path).frames] == [first, (300, 150.5), None]
    with tifffile.TiffFile(path) as file:
        tags = file.pages[1].aspage().tags
        assert (tags["XResolution"].value, tags["ResolutionUnit"].value) == ((300_000, 1000), 2)
    write_picture(read_picture(path), tmp_path / "stripped.tif", WriteOptions(strip=True))
    assert [page.metadata.dpi for page in read_picture(tmp_path / "stripped.tif").frames] == [None] * 3


def test_results_keep_the_colours_of_every_pixel() -> None:
    """Of red and blue in columns of one pixel 4:2:0 leaves purple."""
    stripes = np.zeros((32, 32, 3), np.uint8)
    stripes[:, ::2, 0], stripes[:, 1::2, 2] = 255, 255
    for name in ("jpeg", "avif"):
        found = np.asarray(written(Picture(stripes), name, quality=100).convert("RGB")).astype(int)
        assert np.abs(found - stripes).max() < 40, name


def test_sides_that_have_more_than_16_bits_and_the_last_that_have_not() -> None:
    edited = Exif(exif())
    edited.describe(width=65_536, height=65_535, dpi=None, software=None)
    inner = tags_of(edited.tobytes()).get_ifd(IFD.Exif)
    assert (inner[0xA002], inner[0xA003]) == (65_536, 65_535)


@pytest.mark.parametrize("behind", [b"", b"\0"])
def test_a_thumbnail_at_the_end_takes_no_bytes(behind: bytes) -> None:
    before = exif()
    edited = Exif(before + behind)
    edited.describe(width=160, height=120, dpi=None, software=None)
    assert len(edited.data) == before.index(b"\xff\xd8 small")


def test_a_resolution_in_metres_is_rounded() -> None:
    file = io.BytesIO()
    write_picture(Picture(PIXELS, metadata=Metadata(dpi=(72, 300))), file)
    content = file.getvalue()
    place = content.index(b"pHYs") + 4
    assert struct.unpack_from(">IIB", content, place) == (2835, 11811, 1)  # 2834.6 and 11811.02


@pytest.mark.parametrize("name", EVERY)
def test_exif_data_are_written_once(name: str) -> None:
    told = Exif()
    told.describe(width=160, height=120, dpi=(300, 300), software="srgan 9.9 srresnet")
    assert told.tobytes() == told.tobytes()
    file = io.BytesIO()
    write_picture(Picture(PIXELS, metadata=Metadata(dpi=(300, 300)), maker=MAKER), file, WriteOptions(format=name))
    assert file.getvalue().count(b"srgan 9.9 srresnet\0") == 1


def gray_profile() -> bytes:
    """Return a gray profile of gamma 1: a 128 of it is a 188 of sRGB."""

    def tag(content: bytes) -> bytes:
        return content + bytes(-len(content) % 4)

    white = b"XYZ \0\0\0\0" + struct.pack(">iii", 63190, 65536, 54061)
    curve = b"curv\0\0\0\0" + struct.pack(">I", 0)
    text = tag(b"desc\0\0\0\0" + struct.pack(">I", 5) + b"gray\0" + bytes(78))
    right = tag(b"text\0\0\0\0" + b"none\0")
    places, place, table = [], 128 + 4 + 4 * 12, b""
    for name, content in ((b"desc", text), (b"cprt", right), (b"wtpt", white), (b"kTRC", curve)):
        table += name + struct.pack(">II", place, len(content))
        places.append(content)
        place += len(content)
    head = struct.pack(">I", place) + b"lcms" + bytes.fromhex("02100000") + b"mntrGRAYXYZ "
    head += bytes(12) + b"acsp" + bytes(28) + struct.pack(">iii", 63190, 65536, 54061) + bytes(48)
    return head[:128] + struct.pack(">I", 4) + table + b"".join(places)


def test_gray_keeps_a_gray_profile_and_becomes_srgb_where_a_format_has_no_gray(tmp_path: Path) -> None:
    icc = gray_profile()
    gray = np.full((16, 16), 128, dtype=np.uint8)
    for name in EVERY:
        image = written(Picture(gray, icc=icc), name)
        if name in ("webp", "avif"):
            assert np.abs(np.asarray(image).astype(int) - 188).max() <= 1
            assert image.info["icc_profile"] == srgb()
        else:
            assert image.mode == "L"
            assert image.info["icc_profile"] == icc
    Image.fromarray(gray).save(tmp_path / "gray.jpg", icc_profile=srgb())
    assert read_picture(tmp_path / "gray.jpg").icc is None, "what speaks of RGB says nothing of gray"


def test_a_wide_gamut_stays_wide(tmp_path: Path) -> None:
    wide = bytearray(srgb())
    wide[60] ^= 1  # another profile than sRGB, of which nobody looks at this byte
    Image.fromarray(PIXELS).save(tmp_path / "in.png", icc_profile=bytes(wide))
    picture = read_picture(tmp_path / "in.png")
    assert np.array_equal(picture.pixels, PIXELS)
    for name in EVERY:
        assert written(picture, name).info["icc_profile"] == bytes(wide)


@pytest.mark.parametrize("name", EVERY)
def test_a_profile_of_megabytes_goes_through_and_its_result_can_be_read_again(tmp_path: Path, name: str) -> None:
    """Printers have such; Pillow reads those of PNG up to a megabyte."""
    table = np.random.default_rng(5).bytes(3_000_000)
    icc = (len(srgb()) + len(table)).to_bytes(4) + srgb()[4:] + table
    before = PngImagePlugin.MAX_TEXT_CHUNK
    picture = Picture(PIXELS, icc=icc)
    write_picture(picture, tmp_path / "result", WriteOptions(format=name))
    assert read_picture(tmp_path / "result").icc == icc
    assert before == PngImagePlugin.MAX_TEXT_CHUNK


def test_a_profile_that_ends_too_early_is_dropped(tmp_path: Path) -> None:
    Image.fromarray(PIXELS).save(tmp_path / "in.png", icc_profile=srgb()[:200])
    assert read_picture(tmp_path / "in.png").icc is None


def ink_profile(*darkest: int, kind: bytes = b"prtr") -> bytes:
    """Return a CMYK profile whose every colour is L* = 100 - 100 K, without hue: what no plain conversion gives.

    Or it ends at other levels than L* = 0: first the perceptual one, then the colorimetric one.
    """
    grid = [(c, m, y, k) for c in (0, 1) for m in (0, 1) for y in (0, 1) for k in (0, 1)]
    ramp = struct.pack(">HH", 0, 65535)
    identity = struct.pack(">9i", 65536, 0, 0, 0, 65536, 0, 0, 0, 65536)

    def lut(level: int) -> bytes:
        table = b"".join(struct.pack(">HHH", 0xFF00 * level // 100 if k else 0xFF00, 0x8000, 0x8000) for *_, k in grid)
        content = b"mft2\0\0\0\0" + bytes([4, 3, 2, 0]) + identity + struct.pack(">HH", 2, 2)
        content += ramp * 4 + table + ramp * 3
        return content + bytes(-len(content) % 4)

    ways = [(name, lut(level)) for name, level in zip((b"A2B0", b"A2B1"), darkest or (0,), strict=False)]
    text = b"desc\0\0\0\0" + struct.pack(">I", 4) + b"ink\0" + bytes(79) + b"\0"
    text += bytes(-len(text) % 4)
    white = b"XYZ \0\0\0\0" + struct.pack(">iii", 63190, 65536, 54061)
    tags = [(b"desc", text), (b"wtpt", white), *ways]
    place, index, body = 128 + 4 + 12 * len(tags), b"", b""
    for name, content in tags:
        index += name + struct.pack(">II", place + len(body), len(content))
        body += content
    size = place + len(body)
    head = struct.pack(">I", size) + b"lcms" + bytes.fromhex("02100000") + kind + b"CMYKLab "
    head += bytes(12) + b"acsp" + bytes(28) + struct.pack(">iii", 63190, 65536, 54061) + bytes(48)
    return head[:128] + struct.pack(">I", len(tags)) + index + body


def test_ink_becomes_srgb_by_its_profile(tmp_path: Path) -> None:
    """L* of 53.6 is a gray of 128: with k at 118 of 255; without the profile cyan would be cyan."""
    ink = Image.new("CMYK", (8, 8), (200, 0, 0, 118))
    for name in ("in.tif", "in.jpg"):
        ink.save(tmp_path / name, icc_profile=ink_profile(), quality=100)
        picture = read_picture(tmp_path / name)
        assert np.abs(picture.pixels.astype(int) - 128).max() <= 3
        assert picture.icc == srgb()
        ink.save(tmp_path / name, quality=100)
        picture = read_picture(tmp_path / name)
        assert np.abs(picture.pixels[0, 0].astype(int) - (30, 137, 137)).max() <= 3
        assert picture.icc is None
        ink.save(tmp_path / name, icc_profile=ink_profile()[:300], quality=100)
        assert read_picture(tmp_path / name).icc is None


def test_ink_is_meant_as_measured_and_its_black_is_black(tmp_path: Path) -> None:
    """K at 128 is L* = 59.8 where black ink has 20: luminance .279, and .257 once that black's .030 is taken for 0."""
    ink = Image.new("CMYK", (3, 1))
    ink.putdata([(0, 0, 0, 0), (0, 0, 0, 128), (0, 0, 0, 255)])
    ink.save(tmp_path / "in.tif", icc_profile=ink_profile(50, 20, kind=b"scnr"))
    picture = read_picture(tmp_path / "in.tif")
    assert np.abs(picture.pixels[0].astype(int) - [[255] * 3, [139] * 3, [0] * 3]).max() <= 1


def test_the_srgb_profile_is_one_and_does_not_tell_the_time() -> None:
    assert srgb() == srgb()
    assert ImageCms.getProfileName(ImageCms.ImageCmsProfile(io.BytesIO(srgb()))).strip() == "sRGB built-in"


def test_a_png_with_text_from_pillow_and_its_own_chunks(noise: NDArray[np.uint8]) -> None:
    content = png(noise, chunk(b"eXIf", exif()), chunk(b"pHYs", struct.pack(">IIB", 11811, 11811, 1)))
    picture = read_picture(io.BytesIO(content))
    assert picture.metadata.exif == exif()
    assert picture.metadata.dpi == pytest.approx((300, 300), abs=0.01)
    assert picture.pixels.shape == (17, 13, 3), "turned"


def test_a_tiff_result_is_plain_to_another_program(tmp_path: Path) -> None:
    picture = Picture(PIXELS, icc=srgb(), metadata=Metadata(exif(">"), XMP, (300, 300)), maker=MAKER)
    write_picture(picture, tmp_path / "out.tif")
    with tifffile.TiffFile(tmp_path / "out.tif") as file:
        assert file.byteorder == ">"
        tags = file.pages[0].tags  # type: ignore[union-attr]
        assert tags["Make"].value == "Camera"
        assert tags["Software"].value == "srgan 9.9 srresnet"
        assert tags["XResolution"].value == (300_000, 1000)
        assert tags["ExifTag"].value["PixelXDimension"] == 160
        assert np.array_equal(file.asarray(), PIXELS)


@pytest.mark.parametrize(
    "packet",
    [
        "<tiff:Orientation>" + 200_000 * " ",
        "</xmp:Thumbnails>" + 50_000 * "<xmp:Thumbnails>",
        "<rdf:RDF>" + 30_000 * "<Iptc4xmpExt:AISystemUsed " + "</rdf:RDF>",
        "<rdf:RDF>" + 30_000 * " Iptc4xmpExt:AISystemUsed='" + "</rdf:RDF>",
        "<rdf:RDF>" + 30_000 * " xmlns:a" + 300_000 * "a" + "</rdf:RDF>",
    ],
)
def test_a_packet_made_to_take_long_does_not(packet: str) -> None:
    start = time.perf_counter()
    true_xmp(packet.encode(), width=2, height=1, maker=Maker("srgan", "none", "0"))
    assert time.perf_counter() - start < 5, "where backtracking would take minutes"


@pytest.mark.parametrize("said", ["attribute", "element"])
def test_what_another_prefix_says_of_where_a_picture_comes_from_goes_as_well(said: str) -> None:
    """As GIMP and exiv2 write it; what has that name in another namespace is none of it."""
    packet = XMP.replace(b"xmlns:Iptc4xmpExt", b"xmlns:iptcExt").replace(b"Iptc4xmpExt:Dig", b"iptcExt:Dig")
    if said == "element":
        attribute = b'iptcExt:DigitalSourceType="http://cv.iptc.org/newscodes/digitalsourcetype/digitalCapture"'
        element = b"<iptcExt:DigitalSourceType>a digitalCapture</iptcExt:DigitalSourceType></rdf:Description>"
        packet = packet.replace(attribute, b"").replace(b"</rdf:Description>", element)
    packet = packet.replace(b" dc:source", b' xmlns:own="urn:own" own:DigitalSourceType="mine" dc:source')
    made = true_xmp(packet, width=2, height=1, maker=MAKER)
    assert made is not None
    found = [tag for tag in attributes(made) if "DigitalSourceType" in tag]
    assert sorted(found) == [f"{EXTENSION}DigitalSourceType", "{urn:own}DigitalSourceType"]
    assert b"digitalCapture" not in made


@pytest.mark.parametrize("before", [0, 1, 10, 51, 52, 60])
def test_a_fingerprint_is_found_wherever_it_lies(before: int) -> None:
    """Of its 52 bytes some are in the first megabyte of a file and the others in the second."""
    mark = b'srgan:fingerprint="' + b"a1" * 16 + b'"'
    assert len(mark) == 52
    content = b"x" * (2**20 - before) + mark
    assert find_fingerprint(io.BytesIO(content)) == "a1" * 16
    assert find_fingerprint(io.BytesIO(content + b"x" * 2**20)) == "a1" * 16
    assert find_fingerprint(io.BytesIO(content[:-1])) is None


@pytest.mark.parametrize(
    "mark", ["srgan:fingerprint = 'ab12'", "<srgan:fingerprint>ab12</srgan:fingerprint>", 'srgan:fingerprint="ab12"']
)
def test_a_fingerprint_is_known_however_it_is_written_and_one_is_left(mark: str) -> None:
    """As elements exiftool 12.57 writes all that there is when it adds a title."""
    assert find_fingerprint(io.BytesIO(mark.encode())) == "ab12"
    inside = f"<rdf:Description {mark}/>" if "=" in mark else f"<rdf:Description>{mark}</rdf:Description>"
    maker = Maker("srgan", None, None, "cd" * 16)
    made = true_xmp(XMP.replace(b"</rdf:RDF>", inside.encode() + b"</rdf:RDF>"), width=1, height=1, maker=maker)
    assert made is not None
    assert made.count(b"srgan:fingerprint") == 1
    assert find_fingerprint(io.BytesIO(made)) == "cd" * 16


@pytest.mark.parametrize("name", EVERY)
def test_a_result_with_a_long_packet_is_known_by_its_mark(name: str, tmp_path: Path) -> None:
    long = XMP.replace(b"a shelf", b"s" * 500_000)
    noise = np.random.default_rng(3).integers(0, 256, (900, 900, 3), dtype=np.uint8)
    maker = Maker("srgan", None, None, "ab" * 16)
    file = tmp_path / f"a.{name}"
    write_picture(Picture(noise, metadata=Metadata(None, long), maker=maker), file, WriteOptions(name))
    assert is_marked(file)


def test_thumbnails_in_xmp_go_and_what_is_around_them_stays() -> None:
    packet = b"<a><xmp:Thumbnails>one</xmp:Thumbnails><b/><xmp:Thumbnails>two</xmp:Thumbnails></a><xmp:Thumbnails>"
    assert true_xmp(packet, width=2, height=1, maker=None) == b"<a><b/></a><xmp:Thumbnails>"


@pytest.mark.parametrize("packet", [None, XMP])
def test_a_network_may_be_called_anything(packet: bytes | None) -> None:
    maker = Maker("srgan <9.9>", "a\"&b'", "ab" * 32)
    made = true_xmp(packet, width=2, height=1, maker=maker)
    assert made is not None
    assert attributes(made)[f"{EXTENSION}AISystemUsed"] == "srgan <9.9>, a\"&b'"


def tags_of(data: bytes) -> Image.Exif:
    found = Image.Exif()
    found.load(data)
    return found


@pytest.mark.parametrize("order", ["<", ">"])
def test_a_thumbnail_that_something_follows_is_blank(order: str) -> None:
    before = exif(order) + b"what others point to"
    edited = Exif(before)
    edited.describe(width=2, height=1, dpi=None, software=None)
    after = edited.tobytes()
    assert b"small" not in after
    assert after.index(b"what others point to") == before.index(b"what others point to")
    place = before.index(b"\xff\xd8 small")
    assert not any(after[place : before.index(b"what others point to")])


def test_a_resolution_that_exif_data_has_is_kept() -> None:
    first = Exif()
    first.describe(width=2, height=1, dpi=(72, 96), software=None)
    again = Exif(first.tobytes())
    again.describe(width=2, height=1, dpi=(300, 300), software=None)
    found = tags_of(again.tobytes())
    assert (found[0x011A], found[0x011B], found[0x0128]) == (72, 96, 2)


@pytest.mark.parametrize(("order", "mark"), [("<", b"II"), (">", b"MM")])
def test_a_value_that_ends_with_the_data_is_whole(order: str, mark: bytes) -> None:
    head = mark + struct.pack(f"{order}HIH", 42, 8, 1) + struct.pack(f"{order}HHII", 0x010F, 2, 7, 26)
    data = head + bytes(4) + b"Camera\0"
    assert data[26:] == b"Camera\0"
    assert tags_of(Exif(data).tobytes())[0x010F] == "Camera"
    assert Exif(data[:-1]).entries() == ()


def test_what_exif_data_says_of_the_resolution_goes_before_that_of_the_file() -> None:
    said = Image.Exif()
    said[X_RESOLUTION], said[Y_RESOLUTION], said[0x0128] = 300.0, 300.0, 2
    file = io.BytesIO()
    pixels = np.zeros((2, 2, 3), np.uint8)
    metadata = Metadata(exif=said.tobytes().removeprefix(b"Exif\0\0"), dpi=(72.0, 72.0))
    write_picture(Picture(pixels, metadata=metadata), file, WriteOptions(format="tiff"))
    with Image.open(file) as image:
        assert image.info["dpi"] == (300, 300)


@pytest.mark.parametrize("dots", [(0, 0), (0, 2835), (2835, 0)])
def test_a_resolution_of_nothing_is_none(dots: tuple[int, int]) -> None:
    samples = np.zeros((2, 2, 3), dtype=np.uint8)
    content = png(samples, chunk(b"pHYs", struct.pack(">IIB", *dots, 1)))
    assert read_picture(io.BytesIO(content)).metadata.dpi is None


IPTC = (
    b"\x1c\x02\x19\x00\x03one\x1c\x02\x19\x00\x03two\x1c\x02P\x00\x0fA. Photographer\x1c\x02x\x00\x08Ein Bild"
    b"\x1c\x02\x00\x00\x02\x00\x04"
)  # as ExifTool 12.57 wrote it; below, as ImageMagick 6.9.11 has it in a PNG
IPTC_IN_PNG = (
    "\niptc\n      56\n1c021900036f6e651c0219000374776f1c0250000f412e2050686f746f67726170686572\n"
    "1c0278000845696e2042696c641c020000020004\n"
)


def jpeg_with(iptc: bytes) -> bytes:
    file = io.BytesIO()
    resource = b"8BIM\x04\x04\0\0" + struct.pack(">I", len(iptc)) + iptc + bytes(len(iptc) % 2)
    segment = b"Photoshop 3.0\0" + b"8BIM\x04\x25\0\0\0\0\0\x02no" + resource
    extra = b"\xff\xed" + struct.pack(">H", 2 + len(segment)) + segment
    Image.fromarray(PIXELS).save(file, "JPEG", extra=extra)
    return file.getvalue()


def tiff_with(iptc: bytes) -> bytes:
    """As Photoshop does it: the bytes are told to be numbers of 32 bits."""
    file = io.BytesIO()
    numbers = np.frombuffer(iptc + bytes(-len(iptc) % 4), "<u4")
    tifffile.imwrite(file, PIXELS, byteorder="<", extratags=[(33723, "I", len(numbers), numbers.tolist(), True)])
    return file.getvalue()


@pytest.mark.parametrize("source", [jpeg_with, tiff_with])
def test_iptc_records_go_where_there_is_a_place_for_them(source: Callable[[bytes], bytes]) -> None:
    picture = read_picture(io.BytesIO(source(IPTC)))
    told = {(2, 25): [b"one", b"two"], (2, 80): b"A. Photographer", (2, 120): b"Ein Bild", (2, 0): b"\x00\x04"}
    for name in ("jpeg", "tiff"):
        found = written(picture, name)
        assert getiptcinfo(cast(ImageFile.ImageFile, found)) == told
        assert not getiptcinfo(cast(ImageFile.ImageFile, written(picture, name, strip=True)))
    image = written(picture, "png")
    assert image.info["Raw profile type iptc"] == IPTC_IN_PNG
    again = io.BytesIO()
    image.save(again, "PNG", pnginfo=text_of(image))
    again.seek(0)
    assert written(read_picture(again), "png").info["Raw profile type iptc"] == IPTC_IN_PNG
    assert "Raw profile type iptc" not in written(picture, "png", strip=True).info


def text_of(image: Image.Image) -> PngInfo:
    info = PngInfo()
    for name, value in image.info.items():
        if isinstance(name, str) and isinstance(value, str):
            info.add_text(name, value, zip=True)
    return info


@pytest.mark.parametrize(
    "iptc",
    [
        b"",
        b"\x1c\x02",
        b"no records",
        b"\x1c\x02\x78\xff\xff\xff",
        b"\x1c\x02\xc8\x00\x02\x00\x0b\x1c\x02\xca\x00\x03jpg",  # a preview: of the picture that it was
        b"\x1c\x09\x78\x00\x02no",
        b"\x1c\x02\x78\x00\x00",
    ],
)
def test_iptc_that_is_damaged_or_says_nothing_of_the_result_is_left_out(iptc: bytes) -> None:
    assert read_picture(io.BytesIO(jpeg_with(iptc))).metadata.iptc is None


def test_iptc_too_long_for_a_jpeg_leaves_the_fingerprint_where_it_is_looked_for(tmp_path: Path) -> None:
    iptc = b"".join(b"\x1c\x02\x78\x27\x10" + b"n" * 10_000 for _ in range(3))
    long = exif() + bytes(65_400 - len(exif()))
    maker = replace(MAKER, fingerprint="ab" * 32)
    for more in (0, 2_753, 2_754):
        told = iptc + b"\x1c\x02\x78" + struct.pack(">H", more) + bytes(more)
        picture = Picture(PIXELS, metadata=Metadata(long, XMP, iptc=told), maker=maker)
        write_picture(picture, tmp_path / "out.jpg")
        with Image.open(tmp_path / "out.jpg") as image:
            assert ("photoshop" in image.info) == (len(told) <= 32_768)
        with (tmp_path / "out.jpg").open("rb") as file:
            assert find_fingerprint(file) == "ab" * 32


TEXT = (
    (b"tEXt", b"parameters\0a cat, masterpiece\nSteps: 20"),
    (b"zTXt", b"prompt\0\0" + zlib.compress(b'{"3": {}}')),
    (b"iTXt", "Titel\0\0\0de\0Überschrift\0Größe".encode()),
)
COLOURS = (
    (b"cICP", bytes([12, 16, 0, 1])),
    (b"gAMA", struct.pack(">I", 100_000)),
    (b"cHRM", struct.pack(">8I", 31270, 32900, 68000, 32000, 26500, 69000, 15000, 6000)),
)


def png_saying(before: Sequence[tuple[bytes, bytes]], after: Sequence[tuple[bytes, bytes]] = ()) -> io.BytesIO:
    file = io.BytesIO()
    Image.fromarray(PIXELS).save(file, "PNG")
    whole = file.getvalue()
    first, last = b"".join(chunk(*one) for one in before), b"".join(chunk(*one) for one in after)
    return io.BytesIO(whole[:33] + first + whole[33:-12] + last + whole[-12:])


def chunks_in(content: bytes) -> list[tuple[bytes, bytes]]:
    found, place = [], 8
    while place < len(content):
        length, kind = struct.unpack_from(">I4s", content, place)
        found.append((kind, content[place + 8 : place + 8 + length]))
        place += 12 + length
    return found


def as_png(picture: Picture, **options: Any) -> list[tuple[bytes, bytes]]:
    file = io.BytesIO()
    write_picture(picture, file, WriteOptions(format="png", **options))
    return chunks_in(file.getvalue())


def test_what_a_png_says_of_its_colours_and_in_text_is_in_the_result_before_its_pixels() -> None:
    picture = read_picture(png_saying((*COLOURS, *TEXT[:2]), TEXT[2:]))
    assert (picture.colours, picture.metadata.text) == (COLOURS, TEXT)
    found = as_png(replace(picture, maker=MAKER))
    assert [one for one in found if one in (*COLOURS, *TEXT)] == [*COLOURS, *TEXT]
    pixels = [kind for kind, _ in found].index(b"IDAT")
    assert all(one in found[:pixels] for one in (*COLOURS, *TEXT))
    stripped = as_png(picture, strip=True)
    assert [one for one in stripped if one in (*COLOURS, *TEXT)] == [*COLOURS]
    for name in ("jpeg", "webp", "avif", "tiff"):
        written(picture, name)


def test_text_of_a_png_that_is_not_laid_out_as_text_is_left_out() -> None:
    whole = [
        (b"iTXt", b"a\0\0\0en\0\xc3\xa4\0text"),
        (b"iTXt", b"a\0\1\0\0\0x"),
        (b"zTXt", b"a\0\0x"),
        (b"tEXt", b"a\0"),
    ]
    others = [b"a", b"a\0", b"a\0\1", b"a\0\2\0\0\0", b"a\0\0\1\0\0", b"a\0\0\0\0", b"\0\0\0\0\0", b"a" * 80 + bytes(5)]
    damaged = [(b"iTXt", other) for other in others] + [(b"zTXt", b"a\0"), (b"zTXt", b"a\0\1x"), (b"tEXt", b"\0a")]
    assert read_chunks(png_saying([*damaged, *whole]))[1] == tuple(whole)


def test_text_that_is_told_otherwise_or_is_damaged_is_not_in_the_result_of_a_png() -> None:
    file = png_saying(
        [
            (b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + XMP),
            (b"zTXt", b"Raw profile type exif\0\0" + zlib.compress(b"\nexif\n       2\n4949\n")),
            (b"tEXt", b"no end of its name"),
            (b"tEXt", b"Software\0Adobe ImageReady"),
            (b"gAMA", struct.pack(">I", 45_455)),
            (b"gAMA", struct.pack(">I", 100_000)),
            (b"tEXt", b"Comment\0kept"),
        ]
    )
    picture = read_picture(file)
    assert picture.colours == ((b"gAMA", struct.pack(">I", 45_455)),)
    assert picture.metadata.text == ((b"tEXt", b"Software\0Adobe ImageReady"), (b"tEXt", b"Comment\0kept"))
    texts = [content for kind, content in as_png(replace(picture, maker=MAKER)) if kind in (b"tEXt", b"zTXt")]
    assert texts == [b"Comment\0kept"]  # EXIF and XMP say what made it
    texts = [content for kind, content in as_png(picture, provenance=False) if kind in (b"tEXt", b"zTXt")]
    assert texts == [b"Software\0Adobe ImageReady", b"Comment\0kept"]


def raw_profile(name: bytes, content: bytes) -> tuple[bytes, bytes]:
    told = b"\n%b\n%8d\n%b\n" % (name, len(content), content.hex("\n", -36).encode())
    return b"zTXt", b"Raw profile type %b\0\0%b" % (name, zlib.compress(told))


@pytest.mark.parametrize("at", [0, 1])
@pytest.mark.parametrize("names", [(b"exif", b"xmp"), (b"APP1", b"xmp"), (b"exif", b"APP1")])
def test_exif_and_xmp_in_the_text_of_a_png_go_through_as_any(names: tuple[bytes, bytes], at: int) -> None:
    """ImageMagick 6 and ExifTool leave them there."""
    data = b"Exif\0\0" + exif()
    xmp = XMP if names[1] == b"xmp" else b"http://ns.adobe.com/xap/1.0/\0" + XMP
    chunks = [raw_profile(names[0], data), raw_profile(names[1], xmp)]
    picture = read_picture(png_saying(chunks if at == 0 else (), chunks if at == 1 else ()))
    assert picture.metadata.exif == data[6:]
    assert picture.metadata.xmp == XMP
    assert picture.metadata.text == ()
    found = as_png(replace(picture, maker=MAKER))
    assert [kind for kind, content in found if kind == b"eXIf" or content.startswith(b"XML:com")] == [b"iTXt", b"eXIf"]


@pytest.mark.parametrize("told", [b"", b"\nexif\n", b"\nexif\n 2\nxyz", b"\nxmp\n       4\n0"])
def test_exif_and_xmp_in_text_that_are_damaged_say_nothing(told: bytes) -> None:
    texts = [(b"tEXt", b"Raw profile type %b\0%b" % (name, told)) for name in (b"exif", b"xmp", b"APP1")]
    picture = read_picture(png_saying(texts))
    assert (picture.metadata.exif, picture.metadata.xmp) == (None, None)


def test_chunks_whose_sums_are_wrong_and_text_without_end_are_passed_over(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("srgan.image.png._MOST_TEXT", 100)
    many = [(b"tEXt", b"a\0" + bytes([number]) * 40) for number in range(4)]
    whole = png_saying([*many, (b"tEXt", b"b\0short")], [(b"tEXt", b"c\0damaged")]).getvalue()
    damaged = whole.replace(b"c\0damaged", b"c\0damagee").replace(b"b\0short", b"b\0shore")
    assert read_chunks(io.BytesIO(damaged)) == ((), tuple(many[:2]))
    assert read_chunks(io.BytesIO(whole)) == ((), (*many[:2], (b"tEXt", b"b\0short"), (b"tEXt", b"c\0damaged")))
    assert read_chunks(io.BytesIO(whole[:50])) == ((), ())


def test_iptc_of_a_tiff_is_that_of_its_first_page_and_of_no_more_than_a_megabyte() -> None:
    def read(records: bytes) -> Picture:
        file = io.BytesIO()
        tag = (33723, 7, len(records), records, False)
        with tifffile.TiffWriter(file) as tiff:
            for _ in range(2):
                tiff.write(PIXELS, photometric="rgb", extratags=[tag], metadata=None)
        return read_picture(io.BytesIO(file.getvalue()))

    keyword = b"\x1c\x02\x19\x00\x01k"
    assert [page.metadata.iptc for page in read(keyword).frames] == [keyword, None]
    assert read(keyword * 200_000).metadata.iptc is None


def test_texts_without_number_take_no_memory_without_end() -> None:
    """Each is an object of its own, of a hundred bytes and more: those of a file of 50 MB were 600 MB."""
    picture = read_picture(png_saying([(b"tEXt", b"a\0b")] * 20_000 + [(b"gAMA", struct.pack(">I", 45_455))]))
    assert len(picture.metadata.text) == 10_000
    assert picture.colours == ((b"gAMA", struct.pack(">I", 45_455)),)


def test_an_animation_keeps_what_it_says() -> None:
    file = io.BytesIO()
    frames = [Image.fromarray(PIXELS), Image.fromarray(255 - PIXELS)]
    info = PngInfo()
    info.add(*COLOURS[1])
    info.add_text("Comment", "moves")
    frames[0].save(file, "PNG", save_all=True, append_images=frames[1:], duration=40, pnginfo=info)
    picture = read_picture(io.BytesIO(file.getvalue()))
    assert len(picture.frames) == 2
    found = as_png(picture)
    assert COLOURS[1] in found
    assert (b"tEXt", b"Comment\0moves") in found
