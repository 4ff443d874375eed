"""A time limit for one material, so that a pathological structure cannot hold up its batch."""

from __future__ import annotations

import signal
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import FrameType


class TimeLimitError(RuntimeError):
    """A material took longer than it is allowed to."""


@contextmanager
def time_limit(seconds: float | None) -> Iterator[None]:
    """Raise TimeLimitError in the body once ``seconds`` of wall-clock time have passed.

    It rests on SIGALRM and so works in the main thread of a process alone, which is where a pool's
    processes do their work; elsewhere, and with None, there is no limit. Compiled code is left to return
    first.

    Parameters
    ----------
    seconds : float or None
        The limit in seconds, above 0.

    Raises
    ------
    TimeLimitError
        When the limit is reached.
    """
    if seconds is None or threading.current_thread() is not threading.main_thread():
        yield
        return

    def expire(_signal: int, _frame: FrameType | None) -> None:
        raise TimeLimitError(f"took longer than {seconds:g} s; raise --time-limit, or leave the material out")

    previous = signal.signal(signal.SIGALRM, expire)
    # There is one such timer a process: who had set it gets back what was left of it.
    left_s, every_s = signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, previous)
        signal.setitimer(signal.ITIMER_REAL, left_s, every_s)
