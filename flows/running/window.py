"""Work handed out a window at a time: enough to keep every worker busy, and nothing piles up behind it."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from queue import SimpleQueue
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable, Iterator
    from concurrent.futures import Future

    from flows.running.steps import Pool

P = TypeVar("P")
R = TypeVar("R")


def window_of(pool: Pool) -> int:
    """Return how many payloads, or groups of some that are handed out as one, are under way at most.

    Twice the workers, since who takes the results may be busy with one for a while, and two for their way.
    """
    return 2 * pool.workers + 2


SHARE = 4
"""How many pieces of work each worker gets at least, where there are as many: the last ones end together."""

AT_ONCE = 4
"""Most pieces of work that are handed out as one."""


def at_once(pieces: int, workers: int) -> int:
    """Return how many pieces of work to hand out as one: a task run costs the same whatever is in it.

    Parameters
    ----------
    pieces, workers : int
        How many there are.
    """
    return max(1, min(AT_ONCE, -(-pieces // (SHARE * workers))))


@dataclass(frozen=True)
class Counted(Generic[P]):
    """Things that are drawn as they are asked for, and of which it is known how many there are.

    Parameters
    ----------
    things : iterable
        Drawn once.
    count : int
        How many there are.
    """

    things: Iterable[P]
    count: int

    def __iter__(self) -> Iterator[P]:
        return iter(self.things)

    def __len__(self) -> int:
        return self.count


def shared_out(things: Iterable[P], pieces: int, workers: int) -> Iterator[tuple[P, ...]]:
    """Yield things as they are drawn, fewer and fewer at a time towards the end: no worker waits for another.

    Parameters
    ----------
    things : iterable
        Drawn as they are asked for.
    pieces, workers : int
        How many there are.
    """
    drawn = iter(things)
    while some := tuple(islice(drawn, at_once(pieces, workers))):
        pieces -= len(some)
        yield some


def several(things: Iterable[P], size: int) -> Iterator[tuple[P, ...]]:
    """Yield things as they are drawn, so many at a time."""
    drawn = iter(things)
    while some := tuple(islice(drawn, size)):
        yield some


def in_window(
    pool: Pool, stage: str, call: Callable[[P], R], payloads: Iterable[P]
) -> Generator[tuple[P, R | Exception]]:
    """Call for each payload in threads; yield each with its result, or its error, as it comes.

    Payloads are drawn in the thread that takes the results, and results are let go of once they are taken.
    Who stops taking them lets nothing begin that has not, and waits for nothing: what is under way ends with
    the pool.

    Parameters
    ----------
    pool : Pool
        Says how many threads and how wide a window keep it busy.
    stage : str
        Part of the threads' names.
    call : callable
        Called in a thread, which it may keep waiting.
    payloads : iterable
        Drawn one by one.
    """
    finished: SimpleQueue[Future[R]] = SimpleQueue()
    under_way: dict[Future[R], P] = {}
    left = iter(payloads)
    threads = ThreadPoolExecutor(pool.callers, thread_name_prefix=f"lihop-{stage}")

    def fill() -> None:
        while len(under_way) < window_of(pool):
            for payload in left:
                future = threads.submit(call, payload)
                under_way[future] = payload
                future.add_done_callback(finished.put)
                break
            else:
                return

    try:
        fill()
        while under_way:
            future = finished.get()
            payload, found = under_way.pop(future), outcome(future)
            # Kept for as long as the next result is waited for, it would keep this one in memory.
            del future
            # First, so that the pool has its work while this result is being dealt with.
            fill()
            yield payload, found
            del payload, found
    finally:
        threads.shutdown(wait=False, cancel_futures=True)


def outcome(future: Future[R]) -> R | Exception:
    """Return what a finished future holds; an error is returned, and an interrupt goes on up."""
    error = future.exception()
    if error is None:
        return future.result()
    if isinstance(error, Exception):
        return error
    raise error
