"""How a run tells people how far it is: a reporter that the caller sets and the campaign calls."""

from __future__ import annotations

import sys
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterator


class Reporter(Protocol):
    """What a campaign tells while it runs."""

    def stage(self, name: str, total: int) -> None:
        """Start a stage with so many materials to do."""

    def advance(self, name: str, count: int) -> None:
        """So many more materials are through the stage."""

    def message(self, text: str) -> None:
        """Say something that people should know."""

    def warning(self, text: str) -> None:
        """Say that something is not as it was asked for, though the run goes on."""


class SilentReporter:
    """Says nothing."""

    def stage(self, name: str, total: int) -> None:
        """Say nothing."""

    def advance(self, name: str, count: int) -> None:
        """Say nothing."""

    def message(self, text: str) -> None:
        """Say nothing."""

    def warning(self, text: str) -> None:
        """Say it as any other message."""
        self.message(text)


class Together:
    """Tells several reporters the same.

    Parameters
    ----------
    *reporters : Reporter
        Whom to tell, in this order.
    """

    def __init__(self, *reporters: Reporter) -> None:
        self.reporters = reporters

    def stage(self, name: str, total: int) -> None:
        """Start a stage with all of them."""
        for one in self.reporters:
            one.stage(name, total)

    def advance(self, name: str, count: int) -> None:
        """Move a stage on with all of them."""
        for one in self.reporters:
            one.advance(name, count)

    def message(self, text: str) -> None:
        """Say it to all of them."""
        for one in self.reporters:
            one.message(text)

    def warning(self, text: str) -> None:
        """Warn all of them."""
        for one in self.reporters:
            one.warning(text)


_current: ContextVar[Reporter | None] = ContextVar("lihop_reporter", default=None)


def reporter() -> Reporter:
    """Return the reporter in force; a silent one where none was set."""
    found = _current.get()
    return SilentReporter() if found is None else found


@contextmanager
def reporting(to: Reporter) -> Iterator[None]:
    """Make a reporter the one in force inside the body. It crosses into a flow, which takes plain values."""
    token = _current.set(to)
    try:
        yield
    finally:
        _current.reset(token)


@contextmanager
def messages() -> Iterator[None]:
    """Show what people should know on standard error inside the body, without bars."""

    class Messages(SilentReporter):
        """Says messages alone."""

        def message(self, text: str) -> None:
            """Print it."""
            sys.stderr.write(f"{text}\n")

    with reporting(Messages()):
        yield


@contextmanager
def bars(unit: str = "materials") -> Iterator[None]:
    """Show progress bars on standard error inside the body, counting in the unit that is given."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

    console = Console(stderr=True)

    class Bars(SilentReporter):
        """Shows one bar a stage."""

        def __init__(self, progress: Progress) -> None:
            self.progress = progress
            self.tasks: dict[str, TaskID] = {}

        def stage(self, name: str, total: int) -> None:
            """Start a bar; one of that name begins anew."""
            if name in self.tasks:
                self.progress.reset(self.tasks[name], total=total)
            else:
                self.tasks[name] = self.progress.add_task(name, total=total)

        def advance(self, name: str, count: int) -> None:
            """Move a bar on."""
            self.progress.advance(self.tasks[name], count)

        def message(self, text: str) -> None:
            """Print above the bars."""
            self.progress.console.print(text, highlight=False, markup=False)

    columns = (
        TextColumn("{task.description:<24}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn(unit),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=console) as progress, reporting(Bars(progress)):
        yield
