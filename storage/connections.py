"""Connections: how a DuckDB file is attached, and what is said of one that cannot be."""

from __future__ import annotations

import os
import tempfile
import time
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

import duckdb

from storage.errors import CorruptDatabaseError, DatabaseLockedError, NewerSchemaError
from storage.snapshot_files import remedy

if TYPE_CHECKING:
    from collections.abc import Iterator

ALIAS = "lihop"
POLL_S = 0.05
_LOCK_MESSAGE = "Could not set lock"
CORRUPT_MESSAGE = "Corrupt database file"
_OF_FILES = (
    duckdb.IOException, duckdb.FatalException, duckdb.InternalException, duckdb.SerializationException,
    duckdb.TransactionException,  # what a COMMIT says that finds no room
)  # fmt: skip
_MAGIC = b"DUCK"
_MAGIC_AT = 8


@contextmanager
def explaining(path: Path) -> Iterator[None]:
    """Turn what DuckDB says about a damaged file into an error that says what to do."""
    try:
        yield
    except duckdb.Error as error:
        # A block whose checksum is wrong is told by an error of no particular kind.
        if not isinstance(error, _OF_FILES) and CORRUPT_MESSAGE not in str(error):
            raise
        raise CorruptDatabaseError(
            f"{path} cannot be read or written: {_first_line(error)}. What to do: check the disk's space; "
            f"if the file is damaged, {remedy(path)}"
        ) from error


@contextmanager
def transaction(connection: duckdb.DuckDBPyConnection) -> Iterator[None]:
    """Do everything within or nothing; what went wrong is what is told."""
    connection.execute("BEGIN")
    try:
        yield
    except BaseException:
        # A failure to write has ended the transaction itself, and there is nothing left to roll back.
        with suppress(duckdb.Error):
            connection.execute("ROLLBACK")
        raise
    connection.execute("COMMIT")


def attach(
    path: Path, *, read_only: bool = False, wait_s: float = 5.0, scratch: Path | None = None
) -> duckdb.DuckDBPyConnection:
    """Attach an existing file to a fresh connection, waiting while another process holds it."""
    check_magic(path)
    deadline = time.monotonic() + wait_s
    option = " (READ_ONLY)" if read_only else ""
    while True:
        connection = connect(scratch)
        try:
            connection.execute(f"ATTACH {quoted(path)} AS {ALIAS}{option}")
            connection.execute(f"USE {ALIAS}")
        except duckdb.Error as error:
            connection.close()
            if _LOCK_MESSAGE not in str(error):
                raise _unusable(path, error) from error
            if time.monotonic() >= deadline:
                raise DatabaseLockedError(
                    f"{path} is open in another program: {_first_line(error)}; waited {wait_s:g} s. "
                    "Close it there, or open it there read-only"
                ) from error
            time.sleep(POLL_S)
        else:
            return connection


def connect(scratch: Path | None) -> duckdb.DuckDBPyConnection:
    """Return an in-memory connection that loads no extension and spills into a folder of our choice."""
    spill = (scratch or Path(tempfile.gettempdir())) / f"spill-{os.getpid()}"
    return duckdb.connect(
        ":memory:",
        config={
            "autoinstall_known_extensions": "false",
            "autoload_known_extensions": "false",
            "temp_directory": str(spill),
        },
    )


def check_magic(path: Path) -> None:
    """Refuse a file that is no DuckDB file at all."""
    with path.open("rb") as stream:
        head = stream.read(_MAGIC_AT + len(_MAGIC))
    if head[_MAGIC_AT:] != _MAGIC:
        raise CorruptDatabaseError(
            f"{path} is not a DuckDB file ({path.stat().st_size} bytes). What to do: give another --db; or "
            f"{remedy(path)}"
        )


def _unusable(path: Path, error: duckdb.Error) -> CorruptDatabaseError | NewerSchemaError:
    """Return why a file cannot be attached."""
    if "version number" in str(error) or "newer version" in str(error):
        return NewerSchemaError(f"{path} was written by another DuckDB: {_first_line(error)}. Upgrade duckdb")
    return CorruptDatabaseError(f"{path} cannot be opened: {_first_line(error)}. What to do: {remedy(path)}")


def quoted(path: Path) -> str:
    """Return a path as an SQL string."""
    return "'" + str(path).replace("'", "''") + "'"


def _first_line(error: Exception) -> str:
    """Return the first line of an error's message."""
    return str(error).strip().split("\n", maxsplit=1)[0]
