"""Steps as Prefect task runs, whose threads hand batches to the pool."""

from __future__ import annotations

import threading
from collections.abc import Sized
from contextlib import closing
from contextvars import copy_context
from typing import TYPE_CHECKING, TypeVar, cast

from prefect.utilities.annotations import quote

from flows.running.steps import PoolClosedError
from flows.running.window import in_window, shared_out
from tasks.stages import Parcel, run_here, run_in_pool

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from flows.running.steps import Pool

P = TypeVar("P")
R = TypeVar("R")


class PrefectSteps:
    """Steps as Prefect task runs.

    Each batch is a task run in one of as many threads as keep the pool busy; where it is known how many there
    are, several are, as long as enough are left for all workers. They are our own threads, since Prefect's
    task runners keep something of every task until the flow ends.

    Parameters
    ----------
    pool : Pool
        Where batches run.
    """

    def __init__(self, pool: Pool) -> None:
        self.pool = pool

    def over_pool(
        self, stage: str, call: Callable[[P], R], payloads: Iterable[P]
    ) -> Iterator[tuple[P, R | Exception]]:
        """Run a call for every payload in the pool; yield each with its result, or its error, as it comes."""
        # The flow that this runs in is what Prefect finds in the context.
        flow = copy_context()
        # One by one where nobody knows how many there will be.
        pieces = len(payloads) if isinstance(payloads, Sized) else 1

        left = threading.Event()

        def outcome(payload: P) -> R | Exception:
            if left.is_set():
                return PoolClosedError("nobody takes results any more; nothing is begun")
            return _outcome(self.pool, call, payload)

        def run(numbered: tuple[int, Sequence[P]]) -> list[R | Exception]:
            # A context is entered by one thread at a time.
            return flow.copy().run(self._run, stage, numbered[0], outcome, numbered[1])

        shared = enumerate(shared_out(payloads, pieces, self.pool.workers), start=1)
        with closing(in_window(self.pool, stage, run, shared)) as done:
            try:
                for (_, some), found in done:
                    if isinstance(found, Exception):
                        raise found
                    yield from zip(some, found, strict=True)
            finally:
                left.set()

    def _run(
        self, stage: str, number: int, outcome: Callable[[P], R | Exception], some: Sequence[P]
    ) -> list[R | Exception]:
        """Have a task run of some payloads, and return what came of each; it fails where one of them does."""
        found: list[R | Exception] = []

        def each(payloads: Sequence[P]) -> None:
            found.extend(outcome(payload) for payload in payloads)
            for one in found:
                if isinstance(one, Exception):
                    raise one

        try:
            # Quoted values are passed on as they are: Prefect would otherwise look through them for futures.
            run_in_pool(stage, number, quote(Parcel(each, some)))
        except Exception:
            # What is wrong with one payload is told beside it. Anything else is wrong with the run itself.
            if len(found) < len(some):
                raise
        return found

    def here(self, stage: str, call: Callable[[P], R], payload: P) -> R:
        """Run a call in this process and wait for it."""
        parcel = Parcel(call, payload)
        run_here(stage, quote(parcel))
        return cast("R", parcel.found)


def _outcome(pool: Pool, call: Callable[[P], R], payload: P) -> R | Exception:
    """Return what a call comes to in a pool, or its error."""
    try:
        return pool.run(call, payload)
    except Exception as error:  # noqa: BLE001 - told beside the payload, whatever it is
        return error
