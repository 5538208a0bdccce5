"""Muon, momentum whose matrices are orthogonalised (Jordan et al. 2024), for the convolutions inside a network."""

import math
from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor
from torch.optim import Optimizer


class Muon(Optimizer):
    """Steps along the momentum of each weight (O, I, kH, kW) as a matrix of O rows, its singular values made near 1.

    A step's root mean square is about 0.2 of the learning rate, as Adam's is (Liu et al. 2025, section 2.2), so
    both go by one rate. Momentum is Nesterov's. Weights of one shape are orthogonalised together, in float32.
    """

    def __init__(self, weights: Iterable[Tensor], learning_rate: float, *, momentum: float = 0.95) -> None:
        super().__init__(weights, {"lr": learning_rate, "momentum": momentum})

    @torch.no_grad()
    def step(self, closure: Any = None) -> None:  # type: ignore[override]
        """Move every weight by its gradient. Takes no closure."""
        assert closure is None
        for group in self.param_groups:
            alike: dict[torch.Size, list[Tensor]] = {}
            for weight in group["params"]:
                alike.setdefault(weight.shape, []).append(weight)
            for weights in alike.values():
                self._step(weights, group["lr"], group["momentum"])

    def _step(self, weights: list[Tensor], learning_rate: float | Tensor, momentum: float) -> None:
        for weight in weights:
            if not self.state[weight]:
                self.state[weight]["mean"] = torch.zeros_like(weight)
        gradients = [weight.grad for weight in weights if weight.grad is not None]
        means = [self.state[weight]["mean"] for weight in weights]
        torch._foreach_lerp_(means, gradients, 1 - momentum)
        ahead = torch.stack(torch._foreach_lerp(gradients, means, momentum))
        rows = orthogonalised(ahead.flatten(2))
        size = 0.2 * math.sqrt(max(rows.shape[1:]))
        torch._foreach_sub_(weights, list((rows * (learning_rate * size)).view_as(ahead)))


def orthogonalised(matrices: Tensor) -> Tensor:
    """Return matrices (N, R, C) with their singular vectors and with singular values of 0.7 to 1.2.

    Five Newton-Schulz steps of the quintic 3.4445 s - 4.7750 s^3 + 2.0315 s^5, which Jordan et al. chose for its speed
    near zero: values under some 0.002 of the matrix's Frobenius norm come out smaller. Each step multiplies from the
    left by a polynomial of the square X X^T, so all five are taken on the square, the smaller one, and X is multiplied
    once by their product.
    """
    tall = matrices.shape[1] > matrices.shape[2]
    x = matrices.mT if tall else matrices
    x = x / x.norm(dim=(1, 2), keepdim=True).clamp_min(1e-12)
    square = x @ x.mT
    product = step = _factor(square)
    for _ in range(4):
        square = step @ square @ step
        step = _factor(square)
        product = step @ product
    result: Tensor = product @ x
    return result.mT if tall else result


def _factor(square: Tensor) -> Tensor:
    """Return 3.4445 - 4.7750 S + 2.0315 S^2 of the squares S (N, R, R)."""
    step = torch.baddbmm(square, square, square, beta=-4.7750, alpha=2.0315)
    step.diagonal(dim1=1, dim2=2).add_(3.4445)
    return step
