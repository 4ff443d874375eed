"""Leaving what did not reach its end: recorded where that can be soon, and what ended it is what is told."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from flows.progress import reporter
from storage.database import DEFAULT_WAIT_S, waiting_at_most
from storage.errors import StorageError

if TYPE_CHECKING:
    from collections.abc import Iterator

HURRY_S = 5.0
"""Longest wait for the database where somebody stopped the run: Prefect kills it after 30 s."""


@contextmanager
def leaving(what: str, error: BaseException) -> Iterator[None]:
    """Record in the body how something ended: others are not waited for long, and no error comes of it.

    Parameters
    ----------
    what : str
        What ended, in words.
    error : BaseException
        What ended it; it is told, also where the database has no room left or no time.
    """
    try:
        with waiting_at_most(DEFAULT_WAIT_S if isinstance(error, Exception) else HURRY_S):
            yield
    except StorageError as refused:
        reporter().warning(f"how {what} ended could not be recorded: {refused}")
