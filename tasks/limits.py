"""A time limit for one material, so that a pathological structure cannot hold up its batch."""

from __future__ import annotations

import signal
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import FrameType


class TimeLimitError(BaseException):
    """A material took longer than it is allowed to.

    No `Exception`, as `KeyboardInterrupt` is none: it comes up in the middle of whatever code runs, and a
    handler there that takes any `Exception` for "this way does not work" would go on to another result, which
    the clock would then have chosen. Who turns errors into rows catches it by name.
    """


@contextmanager
def time_limit(seconds: float | None) -> Iterator[None]:
    """Raise TimeLimitError in the body once ``seconds`` of wall-clock time have passed.

    It rests on SIGALRM and so works in the main thread of a process alone, which is where a pool's
    processes do their work; elsewhere, and with None, there is no limit. Compiled code is left to return
    first. A body that swallowed the error, or made another of it, still ends with a TimeLimitError.

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

    message = (
        f"took longer than {seconds:g} s; raise --time-limit and add --retry time_limit, "
        "or leave the material out"
    )
    expired = False

    def expire(_signal: int, _frame: FrameType | None) -> None:
        nonlocal expired
        expired = True
        raise TimeLimitError(message)

    previous = signal.signal(signal.SIGALRM, expire)
    # There is one such timer a process: who had set it gets back what was left of it.
    left_s, every_s = signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
        # Handlers for BaseException exist too, and callbacks whose errors Python itself only prints.
        if expired:
            raise TimeLimitError(message)
    except Exception as error:
        if expired:
            raise TimeLimitError(message) from error
        raise
    finally:
        try:
            signal.setitimer(signal.ITIMER_REAL, 0)
        finally:
            # Also when the limit was reached in this very block.
            signal.signal(signal.SIGALRM, previous)
            signal.setitimer(signal.ITIMER_REAL, left_s, every_s)
