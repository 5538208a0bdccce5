"""Ending a run early without losing what it has learned."""

import os
import signal
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from types import FrameType
from typing import Any


@contextmanager
def stop_signals() -> Iterator[Sequence[int]]:
    """Collect SIGTERM, SIGINT and SIGHUP in the list returned instead of dying of them; a second Ctrl-C does kill.

    A second SIGTERM does not: what ends all processes of a run has torchrun send its own another one. SIGHUP, which
    comes when a terminal is closed, is left alone where it is ignored, as nohup has it. In other threads than the
    first one, which signals do not come to, the list stays empty.
    """
    received: list[int] = []
    terminals = [number for number in (1, 2) if os.isatty(number)]  # none is one any more when it is gone

    def note(number: int, _: FrameType | None) -> None:
        received.append(number)
        if number == signal.SIGINT:
            signal.signal(number, earlier[signal.SIGINT])
        elif number != signal.SIGTERM:
            _leave(terminals)

    earlier: dict[int, Any] = {}
    if threading.current_thread() is threading.main_thread():
        earlier = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
        if sys.platform != "win32" and (handler := signal.getsignal(signal.SIGHUP)) != signal.SIG_IGN:
            earlier[signal.SIGHUP] = handler
    for number in earlier:
        signal.signal(number, note)
    try:
        yield received
    finally:
        for number, handler in earlier.items():
            signal.signal(number, handler)


def _leave(streams: Sequence[int]) -> None:
    """Let standard streams that led to a terminal lead nowhere: it is being closed, and writing to it would fail."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for number in streams:
        os.dup2(nowhere, number)
    os.close(nowhere)
