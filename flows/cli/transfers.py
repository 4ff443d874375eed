"""What commands on data sets show while they are at work: how far a download is, and that one is checked."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager


@contextmanager
def transfer_bar(name: str) -> Iterator[Callable[[int, int], None]]:
    """Show a bar on standard error inside the body; what is yielded moves it, to bytes done of all."""
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TransferSpeedColumn

    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task(f"fetching {name}", total=None, visible=False)

        def moved(done: int, total: int) -> None:
            progress.update(task, completed=done, total=total or None, visible=True)

        yield moved


def checking(name: str) -> AbstractContextManager[object]:
    """Show on a terminal's standard error, inside the body, that a data set is read and checked."""
    from rich.console import Console

    return Console(stderr=True).status(f"reading and checking {name}")
