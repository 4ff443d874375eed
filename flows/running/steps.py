"""What a campaign asks of whatever runs its batches: a pool, and steps over one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

P = TypeVar("P")
R = TypeVar("R")


class WorkerLostError(RuntimeError):
    """The process that worked on a batch died: killed for memory, or crashed in compiled code."""


class PoolClosedError(RuntimeError):
    """A pool was asked to run something after its run had ended."""


class Pool(Protocol):
    """Runs calls elsewhere than in the thread that asks."""

    @property
    def workers(self) -> int:
        """How many calls are worked on at a time."""

    @property
    def callers(self) -> int:
        """How many threads should ask at a time, so that no worker waits for the next call."""

    def run(self, call: Callable[[P], R], payload: P) -> R:
        """Run a call and wait for it.

        Raises
        ------
        WorkerLostError
            When the process that worked on it died.
        PoolClosedError
            When the run has ended.
        """


class Steps(Protocol):
    """How a campaign runs its steps: over a pool, and in this process."""

    def over_pool(
        self, stage: str, call: Callable[[P], R], payloads: Iterable[P]
    ) -> Iterator[tuple[P, R | Exception]]:
        """Run a call for every payload in the pool; yield each with its result, or its error, as it comes.

        Payloads are drawn as the pool gets through them, no more than a window ahead of what was yielded:
        of payloads, or of groups of a few. Who stops taking them lets nothing begin that has not.
        """

    def here(self, stage: str, call: Callable[[P], R], payload: P) -> R:
        """Run a call in this process and wait for it."""
