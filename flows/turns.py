"""Taking turns: one of the runs of a campaign is at work on a database; others wait and use what it did."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

import filelock

from flows.progress import reporter

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

LOOK_S = 0.5
"""How often who waits looks whether it is its turn."""


@contextmanager
def turn(folder: Path, digest: str) -> Iterator[None]:
    """Hold the turn of a campaign inside the body; who comes later waits until it, or its process, ends.

    What decides the results makes a campaign: two runs of one would compute the same at the same time.

    Parameters
    ----------
    folder : Path
        The working folder of the database.
    digest : str
        Digest of what decides the results of the campaign.
    """
    lock = filelock.FileLock(folder / f"campaign-{digest}.lock")
    try:
        lock.acquire(timeout=0)
    except filelock.Timeout:
        reporter().message(
            "another run of the same campaign is at work on this database: waiting for it, since what it "
            "does need not be done twice"
        )
        lock.acquire(poll_interval=LOOK_S)
    try:
        yield
    finally:
        lock.release()
