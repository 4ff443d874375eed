"""The runner `ray`: batches on a Ray cluster, which is there already or is started on this machine."""

from __future__ import annotations

import logging
import os
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import psutil

from flows.orchestration.errors import OrchestrationError
from flows.running.closing import ClosingPool
from flows.running.steps import PoolClosedError, WorkerLostError

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

P = TypeVar("P")
R = TypeVar("R")


SETTINGS = {
    # It tells its makers how it is used.
    "RAY_USAGE_STATS_ENABLED": "0",
    # It would take the signal by which Prefect cancels a run, and end the process.
    "RAY_DISABLE_FAILURE_SIGNAL_HANDLER": "1",
}
"""Read by Ray when it is imported or started."""

# Else it listens on all networks of this machine, also when it is told the address 127.0.0.1; what it spares
# other systems' users, it spares ours too.
ALONE = {
    "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",
    # What it notes of each call is for a dashboard, which there is none of; leaving would wait for five
    # seconds until it is told to a process that was ended.
    "RAY_task_events_report_interval_ms": "0",
}
"""Beside these, for a cluster of our own."""

# Of twenty, each of which may take ten seconds.
THERE = {"RAY_NUM_REDIS_GET_RETRIES": "3"}
"""Beside these, for a cluster that is there: how often it is asked before it is taken for missing."""

REFUSED = (
    "no Ray cluster takes work at {}: {}. Is `ray start --head` at work there, in the same versions of Ray "
    "and Python, and is this machine one of its nodes (`ray start --address`)? One that asks for a token "
    "wants RAY_AUTH_MODE=token here, and its token in RAY_AUTH_TOKEN or ~/.ray/auth_token; one that was "
    "started with RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER=0, for its own machine alone, wants that here too"
)


class RayPool(ClosingPool):
    """Runs calls on the workers of a Ray cluster.

    A cluster of its own starts when the first batch comes: a process a worker, bound to 127.0.0.1.

    Parameters
    ----------
    workers : int
        Batches at a time, and processes of a cluster of its own.
    scheduler : str, optional
        Address of a head whose nodes have lihop and see the folder of the database.
    """

    def __init__(self, workers: int, scheduler: str | None = None) -> None:
        super().__init__(workers)
        self.scheduler = scheduler
        self._remote: Any = None
        self._refusal: OrchestrationError | None = None
        # Processes that Ray starts end with the thread that started them, so that one is kept for it.
        self._keeper = ThreadPoolExecutor(1, thread_name_prefix="lihop-ray")
        for name, value in (SETTINGS | (ALONE if scheduler is None else THERE)).items():
            os.environ.setdefault(name, value)

    def run(self, call: Callable[[P], R], payload: P) -> R:
        """Run a function of a module that workers can import, and wait for it; errors are those of `Pool`.

        Raises
        ------
        OrchestrationError
            When no cluster takes work at the address that was given.
        """
        import ray
        from ray import exceptions

        with self._lock:
            asked = self._connected().remote(call, payload)
        try:
            found: R = ray.get(asked)
        except exceptions.RayTaskError as error:
            # What the call itself raised, as every other pool raises it.
            raise error.cause from error
        except (
            exceptions.WorkerCrashedError,
            exceptions.OutOfMemoryError,
            exceptions.NodeDiedError,
            exceptions.LocalRayletDiedError,
        ) as error:
            if self._closed:
                raise PoolClosedError("the run has ended; its processes were stopped") from error
            raise WorkerLostError("a Ray worker died (out of memory, or a crash in compiled code)") from error
        return found

    def _connected(self) -> Any:  # noqa: ANN401 - Ray's remote functions have no types
        self._refuse_when_closed()
        if self._refusal is not None:
            # Other batches wait for this one's turn, and would ask as long again.
            raise self._refusal
        if self._remote is None:
            self._remote = self._keeper.submit(self._started).result()
        return self._remote

    def _started(self) -> Any:  # noqa: ANN401 - Ray's remote functions have no types
        import ray

        quiet: dict[str, Any] = {"log_to_driver": False, "logging_level": logging.ERROR}
        if self.scheduler is None:
            # Without "local" it would join one that someone else has at work here, or had.
            ray.init(
                "local", num_cpus=self.workers, include_dashboard=False, _node_ip_address="127.0.0.1", **quiet
            )
        else:
            try:
                ray.init(self.scheduler, **quiet)
            except (OSError, RuntimeError, ValueError, ray.exceptions.RayError) as error:
                # What is half connected stays in the way of whatever else this process does with Ray.
                ray.shutdown()
                # What was wrong underneath is the last line of a traceback that Ray puts into words.
                under = str(error.__cause__ or "").strip().split("\n")
                why = "; ".join(line for line in (str(error), under[-1].strip()) if line)
                self._refusal = OrchestrationError(REFUSED.format(self.scheduler, why))
                raise self._refusal from error
        # A batch whose process died is split by us, not tried again as it was.
        return ray.remote(num_cpus=1, max_retries=0)(_made)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._lock:
            self._closed = True
            started, self._remote = self._remote is not None, None
        if started:
            import ray

            if error is not None and self.scheduler is None:
                # Whoever interrupts a run does not wait for its batches.
                _end_own()
            # Stops what is under way too, and the processes of a cluster of its own.
            ray.shutdown()
        self._keeper.shutdown()


def _end_own() -> None:
    """End a cluster of this process's own at once.

    Prefect cancels by a signal to all processes of a run. Ray's node then takes several seconds to say
    goodbye, lets workers go on meanwhile, and leaving waits for it.
    """
    import ray

    package = str(Path(ray.__file__).parent)
    for one in psutil.Process().children():
        with suppress(psutil.Error):
            if any(word.startswith(package) for word in one.cmdline()):
                # Workers are the node's, and nobody's when it is gone; while it is there it begins others.
                for process in (one, *one.children(recursive=True)):
                    with suppress(psutil.Error):
                        process.kill()


def _made(call: Callable[[P], R], payload: P) -> R:
    """Make a call, in a worker."""
    return call(payload)
