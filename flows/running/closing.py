"""What the pools of all runners have in common: nothing begins any more once the run has ended."""

from __future__ import annotations

import threading
from typing import Self

from flows.running.steps import PoolClosedError


class ClosingPool:
    """A pool that is open until its body is left.

    Parameters
    ----------
    workers : int
        Calls that are worked on at a time.
    """

    def __init__(self, workers: int) -> None:
        self.workers = workers
        self._lock = threading.Lock()
        self._closed = False

    @property
    def callers(self) -> int:
        """How many threads should ask at a time: a little more than workers, which are then never idle."""
        return self.workers + 2

    def _refuse_when_closed(self) -> None:
        if self._closed:
            raise PoolClosedError("the run has ended; nothing is begun any more")

    def __enter__(self) -> Self:
        return self
