"""Ending a run early without losing what it has learned."""

import signal
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from types import FrameType


@contextmanager
def stop_signals() -> Iterator[Sequence[int]]:
    """Collect SIGTERM and SIGINT in the list returned instead of dying of them; a second Ctrl-C does kill.

    A second SIGTERM does not: what ends all processes of a run has torchrun send its own another one.
    """
    received: list[int] = []

    def note(number: int, _: FrameType | None) -> None:
        received.append(number)
        if number == signal.SIGINT:
            signal.signal(number, earlier[signal.SIGINT])

    earlier = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    for number in earlier:
        signal.signal(number, note)
    try:
        yield received
    finally:
        for number, handler in earlier.items():
            signal.signal(number, handler)
