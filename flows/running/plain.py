"""Steps without Prefect: threads that hand batches to the pool."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, TypeVar

from flows.running.window import in_window

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from flows.running.steps import Pool

P = TypeVar("P")
R = TypeVar("R")


class PlainSteps:
    """Steps without Prefect.

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
        # The threads only wait for the pool, as Prefect's would.
        return in_window(self.pool, stage, partial(self.pool.run, call), payloads)

    def here(self, stage: str, call: Callable[[P], R], payload: P) -> R:  # noqa: ARG002 - named for Prefect's sake
        """Run a call in this process and wait for it."""
        return call(payload)
