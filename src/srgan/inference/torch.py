"""Networks run by PyTorch, on CUDA where there is one: the generator itself, not its export."""

import os
from contextlib import AbstractContextManager, nullcontext
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from srgan.inference.network import NotFiniteError, pixel_bytes
from srgan.models.generator import blend_folded
from srgan.models.tensors import load_generator
from srgan.threads import thread_limit
from srgan.weights import checksum

_process = os.getpid()
"""The one that this was imported in. OpenMP's threads do not come along with a fork, and it waits for them."""


class TorchNetwork:
    """A generator from a safetensors file; see `srgan.inference.network.Network`."""

    runtime = "torch"

    def __init__(
        self,
        model: Path,
        precision: str = "auto",
        threads: int | None = None,
        towards: tuple[Path, float] | None = None,
    ) -> None:
        """Load a generator.

        precision  bf16 (by autocast) or fp32; auto is bf16 on a CUDA device that has it, else fp32
        threads    how many to compute with on the CPU; by default what the process is allowed
        towards    another generator's file, and how far, 0 to 1, to move every weight to it

        Raises WeightsError for a damaged file, or one whose card names a network that is not known here.
        """
        self._limit = thread_limit(threads)
        self._hold_threads()
        generator, self.card = load_generator(model)
        if towards is not None:
            generator = blend_folded(generator, load_generator(towards[0])[0], towards[1])
        self.checksum = checksum(model)
        self._source, self._threads, self._towards = model, threads, towards
        cuda = torch.cuda.is_available()
        self.scale, self.halo = generator.scale, generator.halo
        self.pixel_bytes = pixel_bytes(self.card, 10_000)  # measured on the CPU in fp32
        self.device = torch.cuda.get_device_name() if cuda else "CPU"
        fast = cuda and torch.cuda.is_bf16_supported(including_emulation=False)
        bf16 = precision == "bf16" or (precision == "auto" and fast)
        self.precision = "bf16" if bf16 else "fp32"
        self._device = torch.device("cuda" if cuda else "cpu")
        self.own_bytes = 0 if cuda else 450_000_000
        self.memory = torch.cuda.mem_get_info()[0] * 3 // 4 if cuda else 1_400_000_000
        generator = generator.to(self._device)
        self._generator = generator.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def __call__(self, lr: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return sr for lr, see `Network`."""
        self._hold_threads()
        with torch.inference_mode():
            sr: NDArray[np.float32] = self._run(torch.from_numpy(lr).to(self._device)).cpu().numpy()
        return sr

    def levels(self, lr: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Return sr for lr in levels, see `Network`: the levels alone travel between processor and device."""
        self._hold_threads()
        with torch.inference_mode():
            x = torch.from_numpy(np.array(lr)).to(self._device)
            sr = self._run(x.permute(2, 0, 1)[None].float() / 255)
            finite = sr.isfinite().all()
            result: NDArray[np.uint8] = (sr[0].clamp_(0, 1) * 255 + 0.5).byte().permute(1, 2, 0).cpu().numpy()
        if not finite:
            raise NotFiniteError("the network gives values that are not finite")
        return np.ascontiguousarray(result)

    def _hold_threads(self) -> None:
        """Before anything is computed: see `_process`."""
        limit = self._limit if _process == os.getpid() else 1
        if limit is not None and torch.get_num_threads() != limit:
            torch.set_num_threads(limit)  # here, as it holds for the thread that says it

    def _run(self, lr: Tensor) -> Tensor:
        bf16 = torch.autocast(self._device.type, dtype=torch.bfloat16, enabled=self.precision == "bf16")
        with bf16, self._exact_fp32():
            sr: Tensor = self._generator(lr.contiguous(memory_format=torch.channels_last))
        return sr.float()

    def _exact_fp32(self) -> AbstractContextManager[None]:
        """Keep cuDNN from computing in TF32 what is to be fp32."""
        if self._device.type != "cuda":
            return nullcontext()
        return torch.backends.cudnn.flags(enabled=True, allow_tf32=False)

    def in_fp32(self) -> "TorchNetwork":
        """Return the same network computing in fp32."""
        return self if self.precision == "fp32" else self._fp32

    def rest(self) -> None:
        """Let go of memory, see `Network`: on a GPU, as PyTorch keeps none of a processor's."""
        torch.cuda.empty_cache()

    @cached_property
    def _fp32(self) -> "TorchNetwork":
        return TorchNetwork(self._source, "fp32", self._threads, self._towards)
