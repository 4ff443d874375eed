"""What ends a flow from outside is known for what it was, also where DuckDB was at work when it came."""

from __future__ import annotations

import signal
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import FrameType


@contextmanager
def stopping_as_told() -> Iterator[None]:
    """Inside the body, what the handler of SIGTERM raises comes out of it, whatever became of it on its way.

    By that exception Prefect says what ended a run. A statement of DuckDB that is interrupted by it raises an
    error of its own instead, which storage takes for an interrupt from the keyboard.
    """
    raise_it = signal.getsignal(signal.SIGTERM)
    if threading.current_thread() is not threading.main_thread() or not callable(raise_it):
        yield
        return
    raised: list[BaseException] = []

    def note(number: int, frame: FrameType | None) -> None:
        try:
            raise_it(number, frame)
        except BaseException as error:
            raised.append(error)
            raise

    signal.signal(signal.SIGTERM, note)
    try:
        yield
    except KeyboardInterrupt as interrupt:
        if raised:
            raise raised[-1] from interrupt
        raise
    finally:
        signal.signal(signal.SIGTERM, raise_it)
