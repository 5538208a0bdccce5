"""A picture through a network, window by window."""

from collections.abc import Callable
from typing import cast

import numpy as np
from numpy.typing import NDArray

from srgan.errors import InferenceError, SrganError
from srgan.image.colour import Pixels, from_network, to_network
from srgan.image.large import allocate, release
from srgan.image.tiles import Plan, Tile
from srgan.inference.ensemble import ORIENTATIONS, Ensemble
from srgan.inference.network import Network, NotFiniteError, require_finite


def upscale_pixels(network: Network, lr: Pixels, plan: Plan, step: Callable[[], None]) -> Pixels:
    """Return pixels (H, W, 3) or (H, W) upscaled tile by tile, of the same type; calls `step` after each tile.

    An ensemble calls it `steps` times for each. A result that is too large for memory lies in a file: see
    `srgan.image.large`. Raises InferenceError that names the tile, OutputError where there is no room for such a file.
    """
    if isinstance(network, Ensemble):
        with network.asking(step):
            return _upscale_pixels(network, lr, plan, lambda: None)
    return _upscale_pixels(network, lr, plan, step)


def steps(network: Network) -> int:
    """Return how often `upscale_pixels` calls its step for a tile."""
    return ORIENTATIONS if isinstance(network, Ensemble) else 1


def _upscale_pixels(network: Network, lr: Pixels, plan: Plan, step: Callable[[], None]) -> Pixels:
    scale = network.scale
    height, width = lr.shape[:2]
    sr = cast(Pixels, allocate((height * scale, width * scale, *lr.shape[2:]), lr.dtype))
    for number, tile in enumerate(plan, 1):
        window = lr[tile.rows.window, tile.columns.window]
        try:
            result = _finite(network, window)
        except SrganError as error:
            raise InferenceError(f"{_name(number, tile, plan)}: {error}") from error
        core = result[tile.rows.core_in_window(scale), tile.columns.core_in_window(scale)]
        sr[tile.rows.core(scale), tile.columns.core(scale)] = core
        if tile.columns.core_stop == width:
            release(sr, tile.rows.core_start * scale, tile.rows.core_stop * scale)
        step()
    return sr


def _finite(network: Network, lr: Pixels) -> Pixels:
    """Return a window upscaled, computed again in fp32 where that is not finite."""
    try:
        return _upscale_window(network, lr)
    except NotFiniteError:
        return _upscale_window(network.in_fp32(), lr)


def _upscale_window(network: Network, lr: Pixels) -> Pixels:
    """Return a window (H, W, 3) or (H, W) upscaled, of the same type.

    Raises InferenceError where the network fails or breaks its promises, as NotFiniteError where it gives values
    that are not finite.
    """
    try:
        if lr.dtype == np.uint8 and lr.ndim == 3:
            sr: Pixels = network.levels(cast(NDArray[np.uint8], lr))
        else:
            values = require_finite(network(to_network(lr)))
            sr = from_network(values[0], gray=lr.ndim == 2, dtype=lr.dtype)
    except (MemoryError, SrganError):
        raise
    except Exception as error:  # each runtime has its own kinds
        reason = (str(error).strip() or type(error).__name__).splitlines()[-1].strip()
        raise InferenceError(f"{network.runtime} failed: {reason}") from error
    expected = (lr.shape[0] * network.scale, lr.shape[1] * network.scale, *lr.shape[2:])
    if sr.shape != expected:
        raise InferenceError(f"the network gives an array {sr.shape} where its card promises {expected}")
    return sr


def _name(number: int, tile: Tile, plan: Plan) -> str:
    rows, columns = tile.rows, tile.columns
    place = f"rows {rows.start} to {rows.stop - 1}, columns {columns.start} to {columns.stop - 1}"
    return f"tile {number} of {len(plan)} ({place})"
