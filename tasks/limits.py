"""A time limit for one material, so that a pathological structure cannot hold up its batch."""

from __future__ import annotations

import ctypes
import signal
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
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

    In the main thread of a process, which is where a pool's processes do their work, it rests on SIGALRM; in
    any other thread, on a timer that raises the error there. With None there is no limit. Compiled code is
    left to return first. A body that swallowed the error, or made another of it, still ends with a
    TimeLimitError.

    Parameters
    ----------
    seconds : float or None
        The limit in seconds, above 0.

    Raises
    ------
    TimeLimitError
        When the limit is reached.
    """
    if seconds is None:
        yield
        return

    message = (
        f"took longer than {seconds:g} s; raise --time-limit and add --retry time_limit, "
        "or leave the material out"
    )
    expired = False

    def expire() -> None:
        nonlocal expired
        expired = True

    main = threading.current_thread() is threading.main_thread()
    try:
        with (_signalled if main else _raised)(seconds, expire):
            yield
        # Handlers for BaseException exist too, and callbacks whose errors Python itself only prints.
        if expired:
            raise TimeLimitError(message)
    except (Exception, TimeLimitError) as error:
        if expired:
            raise TimeLimitError(message) from (error if isinstance(error, Exception) else None)
        raise


@contextmanager
def _signalled(seconds: float, expire: Callable[[], None]) -> Iterator[None]:
    """Raise the error by a signal, which Python hands to the main thread."""

    def handle(_signal: int, _frame: FrameType | None) -> None:
        expire()
        raise TimeLimitError

    previous = signal.signal(signal.SIGALRM, handle)
    # There is one such timer a process: who had set it gets back what was left of it.
    left_s, every_s = signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        try:
            signal.setitimer(signal.ITIMER_REAL, 0)
        finally:
            # Also when the limit was reached in this very block.
            signal.signal(signal.SIGALRM, previous)
            signal.setitimer(signal.ITIMER_REAL, left_s, every_s)


@contextmanager
def _raised(seconds: float, expire: Callable[[], None]) -> Iterator[None]:
    """Raise the error in this thread from another one."""
    own, lock, over = threading.get_ident(), threading.Lock(), False

    def act() -> None:
        with lock:
            if not over:
                expire()
                raise_in(own, TimeLimitError)

    timer = threading.Timer(seconds, act)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        with lock:
            over = True
            # What was raised too late to arrive in the body is not to arrive after it.
            raise_in(own, None)
        timer.cancel()


def raise_in(thread: int, error: type[BaseException] | None) -> None:
    """Raise an error in a thread as soon as it runs Python code, or take back one that has not arrived yet.

    Parameters
    ----------
    thread : int
        Its identifier, as `threading.get_ident` has it. One that has ended is left alone.
    error : type of BaseException or None
        What to raise; None takes back what has not arrived.
    """
    given = None if error is None else ctypes.py_object(error)
    ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread), given)
