import pytest
import torch
from torch import nn

from srgan.training.clip import OVER, Clip


def gradients(*values: float) -> list[nn.Parameter]:
    """Return parameters with these gradients, of two shapes."""
    parameters = [nn.Parameter(torch.zeros(len(values) - 1)), nn.Parameter(torch.zeros(1, 1))]
    parameters[0].grad, parameters[1].grad = torch.tensor(values[:-1]), torch.tensor([[values[-1]]])
    return parameters


def length(parameters: list[nn.Parameter]) -> float:
    return float(torch.cat([p.grad.flatten() for p in parameters if p.grad is not None]).norm())


def test_only_what_is_longer_than_the_limit_is_shortened_and_counts_as_shortened() -> None:
    clip = Clip(2.0)
    found: list[float] = []
    for values in [(3.0, 4.0), (0.0, 1.0), (30.0, 40.0), (3.0, 4.0)]:
        parameters = gradients(*values)
        found += [float(clip(parameters)), length(parameters)]
    # usual lengths: 5; (5 + 1) / 2 = 3; (5 + 1 + 6) / 3 = 4
    assert found == pytest.approx([1, 5, 1 / 5, 1, 50 / 3, 6, 5 / 4, 5], rel=1e-6)


def test_shortened_gradients_are_those_of_pytorch() -> None:
    clip = Clip(1.5)
    clip(gradients(0.0, 2.0))
    ours, theirs = gradients(5.0, -7.0, 3.0), gradients(5.0, -7.0, 3.0)
    clip(ours)
    nn.utils.clip_grad_norm_(theirs, 3.0)
    for a, b in zip(ours, theirs, strict=True):
        torch.testing.assert_close(a.grad, b.grad, rtol=1e-5, atol=0)


def test_the_newest_steps_say_what_is_usual() -> None:
    """A gradient that stays longer than it was is the usual one in the end; each step is one of `OVER`."""
    clip = Clip(10.0)
    for _ in range(3 * OVER):
        clip(gradients(0.0, 1.0))
    for _ in range(OVER):
        clip(gradients(0.0, 3.0))
    assert float(clip.usual) == pytest.approx(3 - 2 * (1 - 1 / OVER) ** OVER, rel=1e-4)
    assert OVER == 100, "what ARCHITECTURE, and the runs that were trained so, have"


def test_no_gradient_stays_none_and_the_first_one_after_it_is_whole() -> None:
    clip = Clip(2.0)
    parameters = gradients(0.0, 0.0)
    assert float(clip(parameters)) == 0
    assert length(parameters) == 0
    parameters = gradients(3.0, 4.0)
    assert float(clip(parameters)) == 1
    assert length(parameters) == 5
