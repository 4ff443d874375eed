"""`prefect`, with a server whose database, a file, is waited for without standing still.

`python -m flows.orchestration.patient_server server start ...` is `prefect server start ...`.

Prefect has SQLite itself wait for a lock, for up to a minute, in a thread. SQLite holds the mutex of the
connection meanwhile. When Python's collector then frees a cursor of that connection, it waits for the mutex
and lets no other thread run, not even the one that has the lock: the whole server stands still until the
minute is over. Here SQLite waits for moments only, and the thread asks again.

And Prefect's server answers every page that a browser has open. This one answers those of its own UI.
"""

from __future__ import annotations

import sqlite3
import time
from functools import partial, wraps
from typing import TYPE_CHECKING, Any, TypeVar

from flows.orchestration.own_pages import OwnPagesOnly

if TYPE_CHECKING:
    from collections.abc import Callable

R = TypeVar("R")

BUSY_MS = 50
"""How long SQLite waits for a lock: the longest that the server can stand still."""

PATIENCE_S = 60.0
"""How long a lock is waited for in all, as by Prefect itself."""

PAUSE_S = 0.02


def patiently(call: Callable[[], R]) -> R:
    """Make a call of SQLite; make it again while another has the lock, for a while.

    Raises
    ------
    sqlite3.OperationalError
        When the lock is not to be had, and at once where asking again is no use: when what was read in the
        transaction is out of date.
    """
    end = time.monotonic() + PATIENCE_S
    while True:
        try:
            return call()
        except sqlite3.OperationalError as error:
            if not _is_locked(error) or time.monotonic() > end:
                raise
        time.sleep(PAUSE_S)


def _is_locked(error: sqlite3.OperationalError) -> bool:
    """Tell whether another has the lock, to write or to recover what a server left that was killed."""
    code = getattr(error, "sqlite_errorcode", None)
    return code in {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_BUSY_RECOVERY}


def be_patient() -> None:
    """Have this process wait so, for all connections of Prefect's database."""
    import aiosqlite
    from prefect.server.database.configurations import AioSqliteConfiguration

    execute: Any = aiosqlite.Connection._execute  # noqa: SLF001
    setup = AioSqliteConfiguration.setup_sqlite

    @wraps(execute)
    async def patient_execute(self: object, call: Callable[..., R], *given: object, **named: object) -> R:
        found: R = await execute(self, patiently, partial(call, *given, **named))
        return found

    @wraps(setup)
    def patient_setup(self: AioSqliteConfiguration, conn: Any, record: Any) -> None:  # noqa: ANN401 - theirs
        setup(self, conn, record)
        cursor = conn.cursor()
        cursor.execute(f"PRAGMA busy_timeout = {BUSY_MS}")
        cursor.close()

    aiosqlite.Connection._execute = patient_execute  # type: ignore[method-assign,assignment]  # noqa: SLF001
    AioSqliteConfiguration.setup_sqlite = patient_setup  # type: ignore[method-assign]


def answer_own_pages() -> None:
    """Have what this process serves refuse the pages of others.

    What it serves, and not Prefect's application: the server asks that one itself too, by another name.
    """
    import uvicorn

    run = uvicorn.run

    @wraps(run)
    def run_for_own_pages(app: Any, *, port: int, **named: Any) -> None:  # noqa: ANN401 - theirs
        run(OwnPagesOnly(app, port), port=port, **named)

    uvicorn.run = run_for_own_pages  # type: ignore[assignment]


def main() -> None:
    """Be `prefect`."""
    from prefect.cli import app

    be_patient()
    answer_own_pages()
    app()


if __name__ == "__main__":
    main()
