"""Random (lr, hr) patches, cut, downsampled, flipped and turned on the device where they are used.

A store that does not fit into the device's memory stays where it is, and the patches alone are sent.
Sample k of step n is a function of (seed, n, k) alone: a run that resumes, or that is shared out over several
processes, sees the same patches.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from srgan.data.degradation import Degradation
from srgan.data.pairs import SCALE
from srgan.data.store import Entry, Store
from srgan.errors import ArgumentError, DataError
from srgan.image.resize import bicubic_taps

GRAIN, FIELD = 1 << 63, (1 << 63) + 1
"""The streams of random numbers (see `_draws`) of which grain and the field that it is cut of are made."""

FIELD_SIDE = 1024
"""Pixels a side of the one field of white noise that the grain of every patch is a random place of."""


@dataclass(frozen=True)
class _Pictures:
    """Where pictures lie in a store: their first pixels, how many a row has, and (n, 2) how much is looked at."""

    offsets: NDArray[np.int64]
    widths: NDArray[np.int64]
    shapes: NDArray[np.int64]


class PatchSampler:
    """Cuts square patches uniformly over all places of all pictures, and makes their lr side.

    With `candidates` above 1 it cuts as many for each sample and keeps the one that loses most by its lr side: where
    a picture is smooth there is little to learn. The pictures are cropped at the right and bottom to a multiple of
    `scale`, as test pictures are, and patches begin at multiples of it. A patch's lr is the same place of the whole
    picture's `imresize(..., scale=1/scale)`, bit for bit where the scale is a power of two, or of the low-resolution
    picture that the store has of it, before it is degraded where `degradation` says so.

    With `grain` above 0 the hr side first gets grain, as film and sensors give: white noise, the same in red, green
    and blue, none in black and white and most half way, where its standard deviation is one of 0 to `grain` levels
    of 255, drawn uniformly for each sample. The lr side is then that of the grainy patch.

    Raises DataError for a patch size that is not a multiple of the scale, or larger than a picture, and where some of
    the pictures alone have low-resolution ones; ArgumentError for a patch size, scale or number of candidates under 1.
    """

    def __init__(
        self,
        store: Store,
        entries: Sequence[Entry],
        *,
        patch_size: int,
        scale: int,
        seed: int,
        candidates: int = 1,
        grain: float = 0.0,
        degradation: Degradation | None = None,
        device: torch.device | str = "cpu",
    ) -> None:
        for name, number in (("patch_size", patch_size), ("scale", scale), ("candidates", candidates)):
            if number < 1:
                raise ArgumentError(f"{name} {number} is under 1")
        if not entries:
            raise DataError("no pictures to cut patches of")
        if patch_size % scale:
            raise DataError(f"patch_size {patch_size} is not a multiple of the scale {scale}")
        self.patch_size, self.scale, self.seed, self.candidates = patch_size, scale, seed, candidates
        self.grain, self.degradation = grain, degradation
        self.device = torch.device(device)
        shapes = np.array([(e.height // scale, e.width // scale) for e in entries])
        steps = shapes - patch_size // scale + 1
        if small := next((e for e, step in zip(entries, steps, strict=True) if step.min() < 1), None):
            raise DataError(f"{small.name}: {small.width}x{small.height}, smaller than the patch size {patch_size}")
        self._steps = steps
        self._ends = np.cumsum(steps.prod(axis=1))
        widths, offsets = np.array([e.width for e in entries]), np.array([e.offset for e in entries])
        self._hr = _Pictures(offsets, widths, shapes * scale)
        self._lr: _Pictures | None = None
        if own := [e.lr_offset for e in entries if e.lr_offset is not None]:
            if len(own) < len(entries) or scale != SCALE or grain:
                raise DataError(
                    f"lr of their own is of all pictures or none, {SCALE} times as small, and without grain"
                )
            self._lr = _Pictures(np.array(own), shapes[:, 1], shapes)
        pixels = torch.from_numpy(store.pixels)
        self._pixels = pixels.to(self.device) if _fits(pixels, self.device) else pixels
        places, weights = bicubic_taps(2, 1 / scale)
        self._margin = -int(places[0, 0])
        self._taps = torch.from_numpy(weights[0].astype(np.float32)).to(self.device)
        if grain:
            noise = _draws(seed, 0, FIELD).standard_normal((FIELD_SIDE, FIELD_SIDE), np.float32)
            self._field = torch.from_numpy(noise).to(self.device)

    def batch(self, step: int, size: int, *, rank: int = 0, world: int = 1) -> tuple[Tensor, Tensor]:
        """Return samples rank, rank + world, ... of `size` at a step: lr (n, 3, P/scale, P/scale), hr (n, 3, P, P).

        Both are float32 in [0, 1], rounded to 8 bits as a file would be.
        """
        uniform = _draws(self.seed, step).random((size, self.candidates + 1))[rank::world]
        place = (uniform[:, :-1].ravel() * self._ends[-1]).astype(np.int64)
        which = np.searchsorted(self._ends, place, side="right")
        place -= np.where(which > 0, self._ends[which - 1], 0)
        top, left = np.divmod(place, self._steps[which, 1])
        turns = (uniform[:, -1] * 8).astype(np.int64)
        hr = self._cut(self._hr, which, top * self.scale, left * self.scale, self.patch_size, self._margin)
        if self._lr is None:
            lr = self._downsample(hr)
        else:
            lr = self._cut(self._lr, which, top, left, self.patch_size // self.scale)
        if self.candidates > 1:
            lr, hr = self._best(lr, hr)
        if self.grain:
            hr = self._grained(hr, _draws(self.seed, step, GRAIN).random((size, 3))[rank::world])
            lr = self._downsample(hr)
        hr = self._inside(hr)
        eight = _sent(torch.from_numpy(turns), self.device).view(-1, 1, 1, 1)
        lr = _turn(lr, eight)
        if self.degradation is not None:
            lr = self._degraded(lr, self.degradation, step, range(size)[rank::world])
        return lr / 255, _turn(hr, eight) / 255

    def _cut(
        self,
        pictures: "_Pictures",
        which: NDArray[np.int64],
        top: NDArray[np.int64],
        left: NDArray[np.int64],
        side: int,
        margin: int = 0,
    ) -> Tensor:
        """Return float32 (n, 3, side + 2 margin, side + 2 margin) in 0..255, repeated from the border outside."""
        span = np.arange(-margin, side + margin)
        rows = np.minimum(np.maximum(top[:, None] + span, 0), pictures.shapes[which, 0][:, None] - 1)
        columns = np.minimum(np.maximum(left[:, None] + span, 0), pictures.shapes[which, 1][:, None] - 1)
        rows = rows * pictures.widths[which][:, None] + pictures.offsets[which][:, None]
        down, right = (_sent(torch.from_numpy(lines), self._pixels.device) for lines in (rows, columns))
        patches = self._pixels[down[:, :, None] + right[:, None]]
        return _sent(patches, self.device).permute(0, 3, 1, 2).float()

    def _inside(self, hr: Tensor) -> Tensor:
        """Return patches without their margin."""
        inside = slice(self._margin, self._margin + self.patch_size)
        return hr[:, :, inside, inside]

    def _best(self, lr: Tensor, hr: Tensor) -> tuple[Tensor, Tensor]:
        """Return of each sample's candidates the one whose hr lies farthest from its lr, pixel by pixel."""
        lost = (self._inside(hr) - F.interpolate(lr, scale_factor=self.scale)).abs().mean((1, 2, 3))
        best = lost.view(-1, self.candidates).argmax(1) + torch.arange(0, len(hr), self.candidates, device=lost.device)
        return lr[best], hr[best]

    def _grained(self, hr: Tensor, uniform: NDArray[np.float64]) -> Tensor:
        """Return patches in 0..255 with the grain that (n, 3) numbers in [0, 1) choose: its strength and its place."""
        span = np.arange(hr.shape[-1])
        rows, columns = ((uniform[:, i, None] * FIELD_SIDE).astype(np.int64) + span for i in (1, 2))
        down, right = (_sent(torch.from_numpy(lines % FIELD_SIDE), self.device) for lines in (rows, columns))
        noise = self._field[down[:, :, None], right[:, None]].unsqueeze(1)
        deviation = _sent(torch.from_numpy((uniform[:, 0] * self.grain).astype(np.float32)), self.device)
        tone = hr.mean(1, keepdim=True) / 255
        strength = deviation.view(-1, 1, 1, 1) * 2 * (tone * (1 - tone)).sqrt()
        return (hr + strength * noise).clamp(0, 255).round()

    def _degraded(self, lr: Tensor, degradation: Degradation, step: int, samples: Sequence[int]) -> Tensor:
        """Return the lr side of these samples of a step, in 0..255, degraded."""
        pictures = lr.permute(0, 2, 3, 1).byte().cpu().numpy()
        for picture, sample in zip(pictures, samples, strict=True):
            picture[:] = degradation(picture, _draws(self.seed, step, sample + 1))
        return _sent(torch.from_numpy(pictures), self.device).permute(0, 3, 1, 2).float()

    def _downsample(self, hr: Tensor) -> Tensor:
        """Return the lr side of patches with their margin; for a power of two every sum is exact in float32."""
        for axis in (2, 3):
            lines = hr.unfold(axis, len(self._taps), self.scale)
            hr = ((lines * self._taps).sum(-1).clamp(0, 255) + 0.5).floor()
        return hr


def _draws(seed: int, step: int, stream: int = 0) -> np.random.Generator:
    """Return one of a step's streams of random numbers; no two of them meet."""
    key, counter = (np.array(numbers, np.uint64) for numbers in ([seed, step], [0, 0, 0, stream]))
    return np.random.Generator(np.random.Philox(key=key, counter=counter))


def _fits(pixels: Tensor, device: torch.device) -> bool:
    """Return whether a store may live on the device: half of its free memory is left to the networks."""
    if device.type != "cuda":
        return True
    kept = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)  # for new tensors
    return 2 * pixels.numel() <= torch.cuda.mem_get_info(device)[0] + kept


def _sent(values: Tensor, device: torch.device) -> Tensor:
    """Return values on the device; a GPU gets them from pinned memory, so that nobody waits for the transfer."""
    if device.type == "cuda" and values.device.type == "cpu":
        values = values.pin_memory()
    return values.to(device, non_blocking=True)


def _turn(picture: Tensor, eight: Tensor) -> Tensor:
    """Return every picture in one of its eight flips and turns, by the bits of `eight` (n, 1, 1, 1)."""
    picture = torch.where(eight & 1 > 0, picture.flip(-1), picture)
    picture = torch.where(eight & 2 > 0, picture.flip(-2), picture)
    return torch.where(eight & 4 > 0, picture.transpose(-1, -2), picture)
