"""Memory of this process that is free again, given back to the system."""

from __future__ import annotations

import atexit
import ctypes
import gc
from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable


def give_back_freed() -> bool:
    """Give the system back what memory is free inside this process; return whether there was any.

    What refers to itself, as a Trainer of Lightning does with all that it predicted from, waits for Python's
    oldest generation to be looked through, which happens the more seldom the more there is. And glibc gives
    back by itself only what is free at the end of an arena. Together a process grows that keeps nothing.
    Where there is no glibc, Python's part is done alone.
    """
    gc.collect()
    if gc.get_freeze_count() == 0:
        # Libraries are nearly all that there is by now, and stay: they are not looked through each time.
        gc.freeze()
        # At its end Python is to take down all of them: bindings complain of what is left.
        atexit.register(gc.unfreeze)
    return bool(_trim()(0))


@cache
def _trim() -> Callable[[int], int]:
    """Return malloc_trim(3), or what takes its place where the C library has none."""
    try:
        return ctypes.CDLL(None).malloc_trim
    except (AttributeError, OSError, TypeError):
        return lambda _kept: 0
