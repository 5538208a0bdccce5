"""What the steps of a run gave, read now and then, and what in it is alarming."""

import math
from collections import deque
from collections.abc import Sequence

import torch
from torch import Tensor

from srgan.training.ranks import Ranks

Terms = dict[str, Tensor]
"""The values of a step by name, each a scalar still on the device."""

WON = 0.01
"""A mean discriminator loss under which the generator has nothing to learn from it: 99.5% right on both sides."""


class Recent:
    """The terms of the steps since the last look. They stay on the device, so that no step waits for them."""

    def __init__(self) -> None:
        self._steps: list[Terms] = []

    def add(self, terms: Terms) -> None:
        """Remember the terms of a step."""
        self._steps.append(terms)

    def take(self, ranks: Ranks) -> dict[str, list[float]]:
        """Return each term's values, one a step, as means over the processes, and forget them.

        Where a head start has ended since the last look, the discriminator's alone, which every step has.
        """
        names = list(self._steps[0])
        values = torch.stack([terms[name] for terms in self._steps for name in names])
        rows = ranks.mean(values).view(len(self._steps), len(names)).T.tolist()
        self._steps.clear()
        return dict(zip(names, rows, strict=True))


def first_bad(values: dict[str, list[float]]) -> tuple[int, str, float] | None:
    """Return which step, which term and the value that is the first one not finite, or None."""
    bad = [(i, name, v) for name, row in values.items() for i, v in enumerate(row) if not math.isfinite(v)]
    return min(bad, key=lambda found: found[0]) if bad else None


class Alarm:
    """Notices a discriminator that has won or lost for `steps` steps, and again after as many.

    It has lost where its mean loss is over `coin`, what tossing a coin costs. `losses` are what it has heard since it
    last said something, with which a run that is resumed begins.
    """

    def __init__(self, steps: int, coin: float, losses: Sequence[float] = ()) -> None:
        self._coin = coin
        self._losses = deque(losses, maxlen=max(1, steps))

    @property
    def losses(self) -> list[float]:
        """The discriminator's losses that the next look takes into account."""
        return [*self._losses]

    def heard(self, losses: list[float]) -> str | None:
        """Take the discriminator's losses of some steps; return what is alarming about the last `steps`, or None."""
        said = None
        for loss in losses:
            self._losses.append(loss)
            if len(self._losses) < (self._losses.maxlen or 0):
                continue
            mean = sum(self._losses) / len(self._losses)
            if not WON <= mean <= self._coin:
                state = "won: the generator learns nothing from it" if mean < WON else "lost: a coin would do better"
                said = f"the discriminator has {state} (mean loss {mean:.3g} over {len(self._losses)} steps)"
                self._losses.clear()
        return said
