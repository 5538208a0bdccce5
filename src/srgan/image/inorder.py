"""Work done by several threads whose results are taken in order."""

from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, Generic, TypeVar

from srgan.threads import processors

T = TypeVar("T")


class InOrder(Generic[T]):
    """A few pieces of work under way at a time, whose results go to `take` in the order they were put in."""

    def __init__(self, take: Callable[[T], None]) -> None:
        threads = min(4, processors())
        self._take, self._most = take, 2 * threads
        self._pool, self._pending = ThreadPoolExecutor(threads), deque[Future[T]]()

    def put(self, work: Callable[..., T], *arguments: Any) -> None:
        """Have `work` done, once fewer pieces than a few are waiting. Raises what work and `take` raise."""
        while len(self._pending) >= self._most:
            self._take(self._pending.popleft().result())
        self._pending.append(self._pool.submit(work, *arguments))

    def finish(self) -> None:
        """Take all that is under way."""
        while self._pending:
            self._take(self._pending.popleft().result())

    def close(self) -> None:
        """Leave undone what is not under way."""
        self._pool.shutdown(cancel_futures=True)
