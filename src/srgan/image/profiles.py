"""ICC profiles: whether one fits, and pixels brought to sRGB by them."""

import io

import numpy as np
from numpy.typing import NDArray
from PIL import Image

_DATE = slice(24, 36)


def fitting(icc: bytes | None, *, gray: bool) -> bytes | None:
    """Return a profile that speaks of gray or of RGB as the pixels are, None for any other and for what is none."""
    return icc if icc is not None and _space(icc) == (b"GRAY" if gray else b"RGB ") else None


def srgb() -> bytes:
    """Return an sRGB profile, the same at all times."""
    from PIL import ImageCms  # here, as most pictures need none of it

    icc = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    icc[_DATE] = bytes.fromhex("07d0 0001 0001 0000 0000 0000")  # else that of now
    return bytes(icc)


def cmyk_to_srgb(image: Image.Image) -> Image.Image | None:
    """Return a CMYK image in sRGB by its profile, None where it has none that is whole."""
    return _transformed(image, image.info.get("icc_profile"), b"CMYK")


def gray_to_srgb(gray: NDArray[np.uint8], icc: bytes | None) -> NDArray[np.uint8]:
    """Return gray (H, W) as sRGB (H, W, 3), by its profile where it has one."""
    image = _transformed(Image.fromarray(gray), icc, b"GRAY")
    return np.dstack([gray] * 3) if image is None else np.asarray(image)


def _transformed(image: Image.Image, icc: bytes | None, space: bytes) -> Image.Image | None:
    if icc is None or _space(icc) != space:
        return None
    from PIL import ImageCms

    try:
        return ImageCms.profileToProfile(
            image,
            ImageCms.ImageCmsProfile(io.BytesIO(icc)),
            ImageCms.createProfile("sRGB"),
            renderingIntent=ImageCms.Intent.RELATIVE_COLORIMETRIC,
            outputMode="RGB",
            flags=ImageCms.Flags.BLACKPOINTCOMPENSATION,
        )
    except (ImageCms.PyCMSError, OSError):  # a damaged profile says nothing
        return None


def _space(icc: bytes) -> bytes:
    whole = len(icc) >= 132 and icc[36:40] == b"acsp" and int.from_bytes(icc[:4], "big") <= len(icc)
    return icc[16:20] if whole else b""
