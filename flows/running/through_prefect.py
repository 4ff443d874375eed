"""Steps as Prefect task runs, whose threads hand batches to the pool."""

from __future__ import annotations

from contextvars import copy_context
from itertools import count
from typing import TYPE_CHECKING, TypeVar, cast

from prefect.utilities.annotations import quote

from flows.running.window import in_window
from tasks.stages import Parcel, run_here, run_in_pool

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from flows.running.steps import Pool

P = TypeVar("P")
R = TypeVar("R")


class PrefectSteps:
    """Steps as Prefect task runs.

    Each batch is a task run in one of as many threads as keep the pool busy. They are our own threads, since
    Prefect's task runners keep something of every task until the flow ends.

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
        numbers = count(1)
        # The flow that this runs in is what Prefect finds in the context.
        flow = copy_context()

        def run(payload: P) -> R:
            # A context is entered by one thread at a time.
            return flow.copy().run(self._run, stage, next(numbers), call, payload)

        return in_window(self.pool, stage, run, payloads)

    def _run(self, stage: str, number: int, call: Callable[[P], R], payload: P) -> R:
        parcel = Parcel(self.pool, call, payload)
        # Quoted values are passed on as they are: Prefect would otherwise look through them for futures.
        run_in_pool(stage, number, quote(parcel))
        return cast("R", parcel.found)

    def here(self, stage: str, call: Callable[[P], R], payload: P) -> R:
        """Run a call in this process and wait for it."""
        parcel = Parcel(None, call, payload)
        run_here(stage, quote(parcel))
        return cast("R", parcel.found)
