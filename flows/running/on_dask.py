"""The runner `dask`: batches on a Dask cluster, which is there already or is started on this machine."""

from __future__ import annotations

import logging
import os
import signal
from contextlib import ExitStack, suppress
from typing import TYPE_CHECKING, Any, TypeVar

from flows.running.closing import ClosingPool
from flows.running.steps import WorkerLostError

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

    from distributed import Client, Future, LocalCluster

P = TypeVar("P")
R = TypeVar("R")

CLOSE_S = 10.0
"""How long a scheduler is given to say goodbye."""


class DaskPool(ClosingPool):
    """Runs calls on the workers of a Dask cluster.

    A cluster of its own starts when the first batch comes: a process a worker, bound to 127.0.0.1.

    Parameters
    ----------
    workers : int
        Batches at a time, and processes of a cluster of its own.
    scheduler : str, optional
        Address of a scheduler whose workers have lihop and see the folder of the database. How many of them
        may die before a batch is given up is its own setting, `distributed.scheduler.allowed-failures`.
    """

    def __init__(self, workers: int, scheduler: str | None = None) -> None:
        super().__init__(workers)
        self.scheduler = scheduler
        self._stack = ExitStack()
        self._client: Client | None = None
        self._own: LocalCluster | None = None
        self._under_way: set[Future[Any]] = set()

    def run(self, call: Callable[[P], R], payload: P) -> R:
        """Run a function of a module that workers can import, and wait for it; errors are those of `Pool`."""
        from distributed import KilledWorker

        # Not pure: equal work is done again, as often as it is asked for.
        with self._lock:
            future = self._connected().submit(call, payload, pure=False)
            self._under_way.add(future)
        try:
            found: R = future.result()
        except KilledWorker as error:
            raise WorkerLostError(
                "a Dask worker died (out of memory, or a crash in compiled code)"
            ) from error
        finally:
            with self._lock:
                self._under_way.discard(future)
            future.release()
        return found

    def _connected(self) -> Client:
        self._refuse_when_closed()
        if self._client is None:
            from distributed import Client

            at = self._own_cluster() if self.scheduler is None else self.scheduler
            self._client = self._stack.enter_context(Client(at, set_as_default=False))
        return self._client

    def _own_cluster(self) -> Any:  # noqa: ANN401 - LocalCluster has no types
        from distributed import LocalCluster

        cluster = LocalCluster(
            n_workers=self.workers,
            threads_per_worker=1,
            processes=True,
            host="127.0.0.1",
            dashboard_address=None,
            # As much as there is: a batch that needs more is split, however it came to be killed.
            memory_limit=0,
            # A batch whose process died is split by us, not tried again as it was.
            scheduler_kwargs={"allowed_failures": 0},
            silence_logs=logging.CRITICAL,
        )
        self._own = cluster
        return self._stack.enter_context(cluster)

    def _end_own(self) -> None:
        """End the workers of a cluster of its own at once.

        Closing asks each worker to end, and waits for one that is only beginning, in the place of another
        that was ended with the run. What Dask's own thread changes meanwhile is left to closing.
        """
        for nanny in [] if self._own is None else list(self._own.workers.values()):
            # So it begins no other in the place of what it loses.
            nanny.close_gracefully()
            with suppress(ProcessLookupError, AttributeError):
                if (worker := nanny.pid) is not None:
                    os.kill(worker, signal.SIGKILL)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        # It closes whatever comes of the rest.
        with self._stack, self._lock:
            self._closed = True
            if error is not None:
                # Whoever interrupts a run does not wait for its batches.
                self._end_own()
            if self._client is not None and self._under_way:
                self._client.cancel(list(self._under_way), force=True)
