"""XMP packets: what is told there of size and orientation made true, and of where a picture comes from added."""

import os
import re
from contextlib import suppress
from html import escape
from io import BytesIO
from pathlib import Path
from typing import BinaryIO

from srgan.image.picture import Maker

ENHANCED = "http://cv.iptc.org/newscodes/digitalsourcetype/algorithmicallyEnhanced"
"""What the IPTC calls pictures like ours: https://cv.iptc.org/newscodes/digitalsourcetype."""

_EXTENSION = "http://iptc.org/std/Iptc4xmpExt/2008-02-29/"
_RDF = "http://www.w3.org/1999/02/22-rdf-syntax-ns#"
_OURS = ("DigitalSourceType", "DigitalSourcefileType", "AISystemUsed", "AISystemVersionUsed")
_FINGERPRINT = re.compile(rb"""srgan:fingerprint(?:\s*=\s*["']|>)([0-9a-f]+)["'<]""")  # as other programs write it too
_ENDS = 1 << 17  # bytes at either end of a file that XMP is looked for in
_LONGEST = 1 << 23  # bytes of a packet that begins there and goes on
_DECLARED = re.compile(r"^(\ufeff?<\?xml\s[^<>]*?)\sencoding\s*=\s*(?:\"[^\"]*\"|'[^']*')")  # no longer so
_BEGIN, _END = "<rdf:RDF", "</rdf:RDF>"
_EMPTY = (
    '<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>'
    f'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="{_RDF}">{_END}</x:xmpmeta>'
    '<?xpacket end="w"?>'
)


def true_xmp(packet: bytes | None, *, width: int, height: int, maker: Maker | None) -> bytes | None:
    """Return a packet that is true for an upright picture of this size, and says who made it where that is given.

    What is no XMP is left as it is where no maker is given, and no packet stays none. What is searched for
    is found in a time that grows with the packet's length and no faster, whatever is in it.
    """
    text = _text(packet) if packet else None
    if text is None and maker is None:
        return packet or None
    if text is not None:
        for name, value in (
            ("tiff:Orientation", 1),
            ("tiff:ImageWidth", width),
            ("tiff:ImageLength", height),
            ("exif:PixelXDimension", width),
            ("exif:PixelYDimension", height),
        ):
            text = re.sub(rf"({name}\s*=\s*)([\"'])\d*\2", rf"\g<1>\g<2>{value}\g<2>", text)
            text = re.sub(rf"(<{name}>)[\s\d]*(</{name}>)", rf"\g<1>{value}\g<2>", text)
        text = _without(text, "<xmp:Thumbnails>", "</xmp:Thumbnails>")
        text = re.sub(r"\ssrgan:fingerprint\s*=\s*(\"[^\"]*\"|'[^']*')", "", text)  # where a result is enlarged again
        text = re.sub(r"<srgan:fingerprint>[^<]*</srgan:fingerprint>", "", text)
    if maker is not None:
        text = _signed(text if text is not None and _END in text else _EMPTY, maker)
    assert text is not None
    return text.encode()


def _text(packet: bytes) -> str | None:
    """Return the text of a packet, also of one in UTF-16 or, against the rules, in Latin-1; None where it has none."""
    for encoding in ("utf-8", "utf-16", "utf-16-le", "utf-16-be", "latin-1"):
        with suppress(UnicodeDecodeError):
            text = packet.decode(encoding)
            if encoding == "utf-8" and (_END in text or "\0" not in text):
                return text
            if _END in text:
                return _DECLARED.sub(r"\1", text)
    return None


def _without(text: str, start: str, end: str) -> str:
    """Return a text without what is between two marks, and without these."""
    parts, place = [], 0
    while (first := text.find(start, place)) >= 0 and (last := text.find(end, first)) >= 0:
        parts.append(text[place:first])
        place = last + len(end)
    return "".join([*parts, text[place:]])


def _signed(text: str, maker: Maker) -> str:
    """Return a packet that says who made the picture; of one that no network had a part in, its fingerprint alone."""
    attributes = ""
    if maker.model is not None:
        prefixes = {"Iptc4xmpExt", *re.findall(rf"\sxmlns:([\w.-]+)\s*=\s*[\"']{re.escape(_EXTENSION)}[\"']", text)}

        def without(found: re.Match[str]) -> str:
            return "" if found[1] in prefixes else found[0]

        for name in _OURS:
            text = re.sub(rf"\s([\w.-]+):{name}\s*=\s*(\"[^\"]*\"|'[^']*')", without, text)
            text = re.sub(rf"<([\w.-]+):{name}(\s[^<>]*)?(/>|>[^<]*</\1:{name}>)", without, text)
        said = {
            "DigitalSourceType": ENHANCED,
            "AISystemUsed": f"{maker.program}, {maker.model}",
            "AISystemVersionUsed": f"sha256:{maker.checksum}",
        }
        attributes = f' xmlns:Iptc4xmpExt="{_EXTENSION}" '
        attributes += " ".join(f'Iptc4xmpExt:{name}="{escape(value)}"' for name, value in said.items())
    if maker.fingerprint is not None:
        attributes += f' xmlns:srgan="urn:srgan" srgan:fingerprint="{maker.fingerprint}"'
    ours = f'<rdf:Description rdf:about=""{attributes}/>'
    before, after = text.rsplit(_END, 1)
    return f"{before}{ours}{_END}{after}"


def read_fingerprint(path: Path) -> str | None:
    """Return the `Maker.fingerprint` that a file carries, None for one without, a pipe say. Raises OSError."""
    with open(path, "rb", opener=_at_once) as file:
        return find_fingerprint(file)


def _at_once(path: str, flags: int) -> int:
    """Open a file; of a pipe, do not wait for what it is written by."""
    return os.open(path, flags | getattr(os, "O_NONBLOCK", 0))


def is_marked(path: Path) -> bool:
    """Tell whether a picture's file carries a `Maker.fingerprint`, by where formats have their XMP: at either end.

    Raises OSError.
    """
    with path.open("rb") as file:
        head = file.read(_ENDS)
        if head.rfind(_BEGIN.encode()) > head.rfind(_END.encode()):
            head += file.read(_LONGEST)
        if find_fingerprint(BytesIO(head)) is not None:
            return True
        file.seek(max(_ENDS - 100, os.fstat(file.fileno()).st_size - _ENDS))
        return find_fingerprint(BytesIO(file.read(_ENDS))) is not None


def find_fingerprint(file: BinaryIO) -> str | None:
    """Return the `Maker.fingerprint` in a stream that is read to its end, None where there is none.

    Every format holds XMP as it is, so that it can be found without knowing the format.
    """
    end = b""
    while part := file.read(1 << 20):
        if found := _FINGERPRINT.search(end + part):
            return found[1].decode()
        end = part[-100:]
    return None
