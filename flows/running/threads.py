"""The runner `thread`: batches in threads of this process, to look into them or where none can be spawned."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, TypeVar

from flows.running.closing import ClosingPool
from tasks.limits import raise_in

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

P = TypeVar("P")
R = TypeVar("R")


class ThreadPool(ClosingPool):
    """Runs each call in the thread that asks.

    What kills its process here kills the run.

    Parameters
    ----------
    workers : int
        Threads.
    """

    def __init__(self, workers: int) -> None:
        super().__init__(workers)
        self._at_work: set[int] = set()

    @property
    def callers(self) -> int:
        """How many threads should ask at a time: those that do the work."""
        return self.workers

    def run(self, call: Callable[[P], R], payload: P) -> R:
        """Run a call right here.

        Raises
        ------
        PoolClosedError
            When the run has ended.
        """
        own = threading.get_ident()
        with self._lock:
            self._refuse_when_closed()
            self._at_work.add(own)
        try:
            return call(payload)
        finally:
            with self._lock:
                self._at_work.discard(own)
                # An interrupt that came too late is not for what this thread does next.
                raise_in(own, None)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._lock:
            self._closed = True
            if error is not None:
                # Whoever interrupts a run does not wait for its batches.
                for thread in self._at_work:
                    raise_in(thread, KeyboardInterrupt)
