"""The runner `process`: one spawn pool of processes on this machine."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
import time
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import suppress
from typing import TYPE_CHECKING, TypeVar

from flows.running.closing import ClosingPool
from flows.running.steps import PoolClosedError, WorkerLostError

if TYPE_CHECKING:
    from collections.abc import Callable
    from multiprocessing.connection import Connection
    from types import FrameType, TracebackType

P = TypeVar("P")
R = TypeVar("R")


ONE_THREAD = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")
"""What numerical libraries read when they are loaded."""

MOMENT_S = 0.5
"""How long a pool that lost a process waits for its run to end before it starts new ones.

Who cancels a run in Prefect, or presses Ctrl-C, signals all processes of the run at once.
"""


def _start_worker(alive: Connection) -> None:
    """See to it that a worker ends with the run: it would wait for work for ever, and keep its memory.

    And that it computes in one thread: there are as many workers as somebody wants cores to be used.
    """
    for library in ONE_THREAD:
        os.environ[library] = "1"
    signal.signal(signal.SIGINT, _leave)
    threading.Thread(target=_end_with, args=(alive,), daemon=True).start()


def _leave(_signal: int, _frame: FrameType | None) -> None:
    """End at an interrupt without a traceback a process: the run itself tells what happened."""
    os._exit(128 + signal.SIGINT)


def _end_with(alive: Connection) -> None:
    """End as soon as the pool lets go of the other end, or its process has ended, killed or not."""
    with suppress(EOFError, OSError):
        alive.recv_bytes()
    os._exit(1)


class BatchPool(ClosingPool):
    """Spawned processes that live as long as the run, restarted when one of them dies.

    Processes start when the first batch comes, so that a run with nothing to compute pays nothing.

    Parameters
    ----------
    workers : int
        Processes.
    """

    def __init__(self, workers: int) -> None:
        super().__init__(workers)
        self._executor: ProcessPoolExecutor | None = None
        self._over = threading.Event()
        self._calm_from = float("-inf")
        # Nothing is ever sent: what counts is that one end is read from in the workers, and the other is open
        # as long as the pool is in use.
        self._worker_end, self._own_end = multiprocessing.Pipe(duplex=False)

    def _current(self) -> ProcessPoolExecutor:
        with self._lock:
            self._refuse_when_closed()
            if self._executor is None:
                context = multiprocessing.get_context("spawn")
                self._executor = ProcessPoolExecutor(
                    self.workers, mp_context=context, initializer=_start_worker, initargs=(self._worker_end,)
                )
            return self._executor

    def _discard(self, broken: ProcessPoolExecutor) -> None:
        with self._lock:
            if self._executor is broken:
                self._executor = None
                self._calm_from = time.monotonic() + MOMENT_S
        broken.shutdown(wait=False, cancel_futures=True)

    def _ends_in_this_moment(self) -> bool:
        """Wait until the moment after a process was lost is over; tell whether the run has ended by then."""
        return self._over.wait(max(0.0, self._calm_from - time.monotonic()))

    def run(self, call: Callable[[P], R], payload: P) -> R:
        """Run a call in one of the processes and wait for it.

        Parameters
        ----------
        call : callable
            A function of a module, so that a process can import it.
        payload : object
            Its one argument, small.

        Raises
        ------
        WorkerLostError
            When the pool died while the call was under way. The pool itself is ready again.
        PoolClosedError
            When the run has ended, in the meantime or before.
        """
        # What has ended by then is refused.
        self._ends_in_this_moment()
        executor = self._current()
        try:
            return executor.submit(call, payload).result()
        except BrokenProcessPool as error:
            self._discard(executor)
            if self._ends_in_this_moment():
                raise PoolClosedError("the run has ended; its processes were stopped") from error
            raise WorkerLostError(
                "a worker process died (out of memory, or a crash in compiled code)"
            ) from error

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._lock:
            self._closed = True
            executor, self._executor = self._executor, None
        self._over.set()
        if error is not None:
            # Whoever interrupts a run does not wait for its batches: every worker ends at once.
            self._own_end.close()
        if executor is not None:
            executor.shutdown(wait=True, cancel_futures=True)
        self._own_end.close()
        self._worker_end.close()
