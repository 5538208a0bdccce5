"""The processes of a run: one alone, or several that torchrun started and that share every batch.

Every process computes the same but for its part of the batch; gradients are averaged during the backward pass,
so the networks stay equal. The first process alone writes.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from inspect import signature
from typing import Any

import torch
import torch.distributed as dist
import torch.distributed.nn  # before a process group is there: see `joined`
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from srgan.errors import TrainingError

PATIENCE = timedelta(hours=12)
"""How long a process waits for the others, which may be decoding photographs or validating."""


@dataclass(frozen=True)
class Ranks:
    """This process among `world`; `local` counts within its machine."""

    rank: int = 0
    world: int = 1
    local: int = 0

    @property
    def device(self) -> torch.device:
        """What this process computes on: its own GPU, or the CPU."""
        return torch.device("cuda", self.local) if torch.cuda.is_available() else torch.device("cpu")

    def averaging(self, network: nn.Module) -> nn.Module:
        """Return what to call in place of the network so that gradients are the mean over the processes."""
        if self.world == 1:
            return network
        # buffers are not sent with every forward pass: two of them may come before one backward pass
        renamed = "forward_sync_buffers" in signature(DistributedDataParallel).parameters  # in PyTorch 2.13
        option: dict[str, Any] = {"forward_sync_buffers" if renamed else "broadcast_buffers": False}
        return DistributedDataParallel(network, **option)

    def mean(self, values: Tensor) -> Tensor:
        """Return the mean of a tensor over the processes."""
        if self.world > 1:
            dist.all_reduce(values)
        return values / self.world

    def any(self, flag: bool) -> bool:
        """Return whether the flag is up in any process."""
        if self.world == 1:
            return flag
        flags = torch.tensor([flag], dtype=torch.uint8)
        dist.all_reduce(flags, dist.ReduceOp.MAX)
        return bool(flags)

    def wait(self) -> None:
        """Return once every process has come here."""
        self.any(False)


@contextmanager
def joined() -> Iterator[Ranks]:
    """Join the processes that torchrun started, if it did.

    Raises TrainingError where one of the others has gone.

    The process group must end here, its threads with it: one of them that lets go of a tensor while the
    interpreter shuts down aborts the process. DistributedDataParallel imports torch.distributed.nn, whose functions
    have the group of that moment as a default and would keep it: hence the import above, while there is none.
    """
    if not dist.is_torchelastic_launched():
        yield Ranks()
        return
    ranks = Ranks(*(int(os.environ[name]) for name in ("RANK", "WORLD_SIZE", "LOCAL_RANK")))
    if torch.cuda.is_available():
        torch.cuda.set_device(ranks.device)
    dist.init_process_group("cpu:gloo,cuda:nccl" if torch.cuda.is_available() else "gloo", timeout=PATIENCE)
    try:
        yield ranks
    except (RuntimeError, dist.DistError) as error:
        if not isinstance(error, dist.DistError) and "gloo" not in str(error):
            raise
        raise TrainingError(
            f"process {ranks.rank} of {ranks.world} lost another one; --resume goes on from the newest checkpoint"
        ) from error
    finally:
        dist.destroy_process_group()


class SharedBatchNorm(nn.BatchNorm2d):
    """Batch norm over the parts that all processes have of a batch, which have one size.

    Equal to `nn.BatchNorm2d` in one process that has the whole batch; in eval mode it is that. PyTorch's
    SyncBatchNorm does not run on CPUs.
    """

    def forward(self, x: Tensor) -> Tensor:
        """Return the normalised input, of its shape and type."""
        if not self.training:
            return super().forward(x)
        assert self.running_mean is not None
        assert self.running_var is not None
        assert self.momentum is not None
        assert self.num_batches_tracked is not None
        centred = x.float()
        mean = _mean_over_ranks(centred.mean((0, 2, 3)))
        centred = centred - mean.view(1, -1, 1, 1)
        variance = _mean_over_ranks(centred.square().mean((0, 2, 3)))
        with torch.no_grad():
            count = x.numel() // x.shape[1] * dist.get_world_size()
            self.num_batches_tracked.add_(1)
            self.running_mean.lerp_(mean, self.momentum)
            self.running_var.lerp_(variance * count / (count - 1), self.momentum)
        factor = self.weight * torch.rsqrt(variance + self.eps)
        return (centred * factor.view(1, -1, 1, 1) + self.bias.view(1, -1, 1, 1)).to(x.dtype)


def share_batch_norm(network: nn.Module) -> None:
    """Replace every batch norm of a network by one over the processes, with the same parameters."""
    for parent in list(network.modules()):
        for name, child in parent.named_children():
            if type(child) is nn.BatchNorm2d:
                shared = SharedBatchNorm(child.num_features, child.eps, child.momentum)
                shared.load_state_dict(child.state_dict())
                setattr(parent, name, shared.train(child.training))


class _MeanOverRanks(torch.autograd.Function):
    """The mean of a tensor over the processes, through which gradients flow to all of them."""

    @staticmethod
    def forward(ctx: Any, values: Tensor) -> Tensor:  # noqa: ARG004
        values = values.clone()
        dist.all_reduce(values)
        return values / dist.get_world_size()

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        return _MeanOverRanks.forward(ctx, gradients[0])


def _mean_over_ranks(values: Tensor) -> Tensor:
    mean: Tensor = _MeanOverRanks.apply(values)  # type: ignore[no-untyped-call]
    return mean
