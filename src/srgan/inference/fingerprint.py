"""What a result is made of, in 32 digits that lie in its XMP: its picture's file, the network and the settings.

So it is known of every file that is where a result goes whether it is that result, another one, or none of ours.
"""

import hashlib
import json
from dataclasses import asdict, replace
from pathlib import Path
from typing import Literal

from srgan.errors import OutputError
from srgan.image.flaws import WEIGHTS as FLAWS
from srgan.image.size import Size
from srgan.image.writing import PNG_COMPRESSION, ResultFormat, WriteOptions
from srgan.weights import BLURRED, NOISY, REPAIRS, checksum, farthest, find_weights, involved, is_left_to_pixels


def network_settings(
    model: str | Path,
    *,
    precision: str,
    size: Size,
    detail: float | None,
    repair: float | None,
    consistent: bool,
    ensemble: bool = False,
    seamless: bool = False,
) -> str:
    """Return what a model and what is asked of it add to a fingerprint. Raises ArgumentError and WeightsError.

    The weights of all networks count that results may be made by, whatever a picture asks for.
    """
    if size.scale is not None:
        size = replace(size, scale=float(size.scale))  # 4, the default, is 4.0 where it was said
    networks = involved(model, detail, repair, consistent=consistent)
    weights = " ".join(checksum(find_weights(network).one) for network in networks)
    settings = f"{weights} {precision} {size} {detail} {repair} {consistent}"
    later = (("ensemble", ensemble), ("seamless", seamless))  # results of before these keep theirs
    settings = " ".join([settings, *(name for name, asked in later if asked)])
    if is_left_to_pixels(model, detail, repair):
        noise, blur = map(checksum, FLAWS)
        settings += f" {REPAIRS} {NOISY} {noise}"
        if farthest(consistent=consistent) > 1:
            settings += f" {BLURRED} {blur}"
    return settings


def map_settings(network: str) -> str:
    """Return what the map of confidence beside a result adds in place of that: see `network_settings`."""
    return f"map {network}"


def all_settings(network: str, result: ResultFormat, options: WriteOptions) -> str:
    """Return all that tells results of a picture apart; the defaults said or not are the same."""
    quality = options.quality or result.quality
    compression = PNG_COMPRESSION if options.compression is None else options.compression
    options = replace(options, format=result.name, quality=quality, compression=compression)
    return json.dumps([network, asdict(options)])


def fingerprint(content: str, settings: str) -> str:
    """Return 32 digits that another content or other settings would change.

    content   the SHA-256 of a picture's file, in hex
    settings  see `all_settings`
    """
    return hashlib.sha256(f"{content} {settings}".encode()).hexdigest()[:32]


def fate(found: str | None, wanted: str, options: WriteOptions, where: object) -> Literal["skipped", "remade"]:
    """Return what becomes of a file in the place of a result, by the fingerprint found in it, and the one wanted.

    Raises OutputError for a file that is not srgan's.
    """
    if found == wanted or (found is None and not options.provenance):
        return "skipped"
    if found is None:
        raise OutputError(f"{where}: is there already and was not made by srgan; --overwrite replaces it")
    return "remade"
