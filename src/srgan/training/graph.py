"""A step as a CUDA graph: its kernels recorded once, then started all at once.

A GPU runs the kernels of these steps faster than a processor starts them one by one.
"""

from collections import deque
from collections.abc import Callable

import torch
from torch import Tensor

from srgan.training.terms import Terms

Step = Callable[[Tensor, Tensor], Terms]
"""What is done with a batch (lr, hr): updates the networks and returns the terms."""

AHEAD = 2
"""Steps that may be waiting on the GPU: enough that it never idles, and few, so that times here mean what they say."""

EAGER = 4
"""Steps before the recording: they make the optimisers' states, choose convolutions, and compile what is compiled."""


class RecordedStep:
    """Does what `step` does, after its first calls by replaying the kernels of one of them.

    Every batch has the shapes of the first. Whatever `step` reads but the batch is read where it lies on the device:
    a number of Python's, such as a float for a learning rate, stays what it was at the recording. `prepare` is called
    just before that: an Adam that may be recorded warns of every run whose steps are not.
    """

    def __init__(self, step: Step, prepare: Callable[[], None]) -> None:
        self._step, self._prepare = step, prepare
        self._calls = 0
        self._graph = torch.cuda.CUDAGraph()
        self._ends: deque[torch.cuda.Event] = deque()
        self._stream: torch.cuda.Stream = torch.cuda.Stream()  # type: ignore[no-untyped-call]

    def __call__(self, lr: Tensor, hr: Tensor) -> Terms:
        """Take one step."""
        self._calls += 1
        if self._calls <= EAGER:
            return self._aside(lr, hr)
        if self._calls == EAGER + 1:
            self._record(lr, hr)
        if len(self._ends) == AHEAD:
            self._ends.popleft().synchronize()
        self._lr.copy_(lr)
        self._hr.copy_(hr)
        self._graph.replay()
        self._ends.append(torch.cuda.current_stream().record_event())
        return dict(zip(self._names, self._values.clone().unbind(), strict=True))

    def _aside(self, lr: Tensor, hr: Tensor) -> Terms:
        """Take one step as it is, in the recording's stream: its backward pass must not wait for the default one."""
        here = torch.cuda.current_stream()
        self._stream.wait_stream(here)
        with torch.cuda.stream(self._stream):
            terms = self._step(lr, hr)
        here.wait_stream(self._stream)
        return terms

    def _record(self, lr: Tensor, hr: Tensor) -> None:
        self._prepare()
        self._lr, self._hr = lr.clone(), hr.clone()
        with torch.cuda.graph(self._graph, stream=self._stream):
            terms = self._step(self._lr, self._hr)
            self._names, self._values = list(terms), torch.stack(list(terms.values()))
