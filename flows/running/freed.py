"""Memory of this process that is free again, given back to the system."""

from __future__ import annotations

import ctypes
from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable


def give_back_freed() -> bool:
    """Give the system back what memory is free inside this process; return whether there was any.

    glibc gives back by itself only what is free at the end of an arena. Tables of thousands of batches, made
    and let go of in many threads, leave holes with something small behind each, and the process grows though
    it keeps nothing. Where there is no glibc nothing is done.
    """
    return bool(_trim()(0))


@cache
def _trim() -> Callable[[int], int]:
    """Return malloc_trim(3), or what takes its place where the C library has none."""
    try:
        return ctypes.CDLL(None).malloc_trim
    except (AttributeError, OSError, TypeError):
        return lambda _kept: 0
