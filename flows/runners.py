"""Where batches run: one spawn pool of processes, fed by plain code or by Prefect's threads alike."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from concurrent.futures import Future, ProcessPoolExecutor, ThreadPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from typing import TYPE_CHECKING, Protocol, Self, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from types import FrameType, TracebackType

P = TypeVar("P")
R = TypeVar("R")


ONE_THREAD = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")
"""What numerical libraries read when they are loaded."""


class WorkerLostError(RuntimeError):
    """The process that worked on a batch died: killed for memory, or crashed in compiled code."""


def _start_worker() -> None:
    """See to it that a worker ends with the run: it would wait for work for ever, and keep its memory.

    And that it computes in one thread: there are as many workers as somebody wants cores to be used.
    """
    for library in ONE_THREAD:
        os.environ[library] = "1"
    signal.signal(signal.SIGINT, _leave)
    parent = multiprocessing.parent_process()
    if parent is not None:
        threading.Thread(target=_end_with, args=(parent.join,), daemon=True).start()


def _leave(_signal: int, _frame: FrameType | None) -> None:
    """End at an interrupt without a traceback a process: the run itself tells what happened."""
    os._exit(128 + signal.SIGINT)


def _end_with(wait_for_parent: Callable[[], None]) -> None:
    """End as soon as the parent has, killed or not."""
    wait_for_parent()
    os._exit(1)


class BatchPool:
    """Spawned processes that live as long as the run, restarted when one of them dies.

    Processes start when the first batch comes, so that a run with nothing to compute pays nothing.

    Parameters
    ----------
    workers : int
        Processes.
    """

    def __init__(self, workers: int) -> None:
        self.workers = workers
        self._lock = threading.Lock()
        self._executor: ProcessPoolExecutor | None = None

    def _current(self) -> ProcessPoolExecutor:
        with self._lock:
            if self._executor is None:
                context = multiprocessing.get_context("spawn")
                self._executor = ProcessPoolExecutor(
                    self.workers, mp_context=context, initializer=_start_worker
                )
            return self._executor

    def _discard(self, broken: ProcessPoolExecutor) -> None:
        with self._lock:
            if self._executor is broken:
                self._executor = None
        broken.shutdown(wait=False, cancel_futures=True)

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
        """
        executor = self._current()
        try:
            return executor.submit(call, payload).result()
        except BrokenProcessPool as error:
            self._discard(executor)
            raise WorkerLostError(
                "a worker process died (out of memory, or a crash in compiled code)"
            ) from error

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._lock:
            executor, self._executor = self._executor, None
        if executor is not None:
            executor.shutdown(wait=error is None, cancel_futures=True)


class Steps(Protocol):
    """How a campaign runs its steps: over a pool, and in this process."""

    def over_pool(
        self, stage: str, call: Callable[[P], R], payloads: Sequence[P]
    ) -> Iterator[tuple[P, R | Exception]]:
        """Run a call for every payload in the pool; yield each with its result, or its error, as it comes."""

    def here(self, stage: str, call: Callable[[P], R], payload: P) -> R:
        """Run a call in this process and wait for it."""


class PlainSteps:
    """Steps without Prefect.

    Parameters
    ----------
    pool : BatchPool
        Where batches run.
    """

    def __init__(self, pool: BatchPool) -> None:
        self.pool = pool

    def over_pool(
        self, stage: str, call: Callable[[P], R], payloads: Sequence[P]
    ) -> Iterator[tuple[P, R | Exception]]:
        """Run a call for every payload in the pool; yield each with its result, or its error, as it comes."""
        # The threads only wait for the processes, as Prefect's would.
        threads = ThreadPoolExecutor(self.pool.workers + 1, thread_name_prefix=f"lihop-{stage}")
        futures: dict[Future[R], P] = {
            threads.submit(self.pool.run, call, payload): payload for payload in payloads
        }
        try:
            for future in as_completed(futures):
                found: R | Exception = outcome(future)
                yield futures[future], found
        finally:
            # Who stops listening, by an interrupt say, does not wait for what has not begun.
            threads.shutdown(cancel_futures=True)

    def here(self, stage: str, call: Callable[[P], R], payload: P) -> R:  # noqa: ARG002 - named for Prefect's sake
        """Run a call in this process and wait for it."""
        return call(payload)


def outcome(future: Future[R]) -> R | Exception:
    """Return what a finished future holds; an error is returned, and an interrupt goes on up."""
    error = future.exception()
    if error is None:
        return future.result()
    if isinstance(error, Exception):
        return error
    raise error
