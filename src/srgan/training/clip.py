"""Gradients that are far longer than usual, shortened before an optimiser takes them."""

from collections.abc import Iterable

import torch
from torch import Tensor, nn

OVER = 100
"""Steps whose gradients say what is usual."""


class Clip(nn.Module):
    """Shortens a network's gradients to `limit` times their usual length.

    The length is the Euclidean norm of all of them together, the usual one the mean of the `OVER` last steps, as
    they were shortened, the newer ones weighing more; until so many are done, the mean of all. Relative to what is
    usual, one limit fits every loss and network, as Adam itself does not know how large a loss is. Its state
    is of the run, and lies on the network's device.
    """

    usual: Tensor
    steps: Tensor

    def __init__(self, limit: float) -> None:
        super().__init__()
        self.limit = limit
        self.register_buffer("usual", torch.zeros(()))
        self.register_buffer("steps", torch.zeros(()))

    @torch.no_grad()
    def forward(self, parameters: Iterable[nn.Parameter]) -> Tensor:
        """Shorten the gradients where they are; return how long they were, divided by the usual length.

        Where there is none yet, at the first step, or after steps without a gradient, theirs is the usual one.
        """
        gradients = [parameter.grad for parameter in parameters if parameter.grad is not None]
        length = nn.utils.get_total_norm(gradients)
        usual = torch.where(self.usual > 0, self.usual, length)
        relative = length / usual.clamp_min(torch.finfo(usual.dtype).tiny)
        factor = self.limit / relative.clamp_min(self.limit)
        torch._foreach_mul_(gradients, factor)
        self.steps += 1
        self.usual.copy_(torch.lerp(usual, factor * length, 1 / self.steps.clamp_max(OVER)))
        return relative
