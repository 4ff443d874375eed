"""How a question is put to a connection: one read, in bounded time, errors in words, plain values back."""

from __future__ import annotations

import base64
import json
import threading
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from itertools import count
from typing import TYPE_CHECKING, Any

import duckdb

from storage.connections import CORRUPT_MESSAGE
from storage.errors import CorruptDatabaseError, QueryError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

Record = dict[str, Any]

_READS = frozenset({duckdb.StatementType.SELECT, duckdb.StatementType.EXPLAIN})


@dataclass(frozen=True)
class Answer:
    """Columns and rows of a statement; `truncated` when there were more rows than asked for.

    Of columns with one name the later ones carry a number, as in ``a``, ``a_1``, so that each has its own.
    """

    columns: tuple[str, ...]
    rows: tuple[tuple[Any, ...], ...]
    truncated: bool

    def records(self) -> list[Record]:
        """Return the rows as dicts."""
        return [dict(zip(self.columns, row, strict=True)) for row in self.rows]


def check_read(connection: duckdb.DuckDBPyConnection, statement: str) -> None:
    """Refuse what is not exactly one reading statement."""
    try:
        parsed = connection.extract_statements(statement)
    except duckdb.Error as error:
        raise QueryError(f"the SQL cannot be parsed: {error}") from error
    if len(parsed) != 1:
        raise QueryError(f"{len(parsed)} statements were given; give exactly one")
    if parsed[0].type not in _READS:
        raise QueryError(
            f"a statement of type {parsed[0].type.name} was given; the published copy is read-only: allowed "
            "are SELECT, WITH, FROM, VALUES, DESCRIBE, SHOW, SUMMARIZE, EXPLAIN"
        )


def ask(
    connection: duckdb.DuckDBPyConnection,
    statement: str,
    parameters: dict[str, Any] | None = None,
    *,
    limit: int | None = None,
    time_limit_s: float | None = None,
) -> Answer:
    """Run a statement and return its rows in plain types."""
    check_limit(limit)
    with explained(time_limit_s), interrupting(connection, time_limit_s):
        cursor = connection.execute(statement, parameters)
        columns = distinct([str(column[0]) for column in cursor.description or ()])
        found: Sequence[tuple[Any, ...]] = cursor.fetchall() if limit is None else cursor.fetchmany(limit + 1)
    rows = tuple(tuple(plain(value) for value in row) for row in found[:limit])
    return Answer(columns, rows, truncated=limit is not None and len(found) > limit)


def check_limit(limit: int | None) -> None:
    """Refuse a negative number of rows."""
    if limit is not None and limit < 0:
        raise QueryError(f"the limit {limit} is negative; give 0 or more")


@contextmanager
def explained(time_limit_s: float | None = None) -> Iterator[None]:
    """Turn what DuckDB says of a question into our errors; what it says of a broken file passes."""
    try:
        yield
    except duckdb.InterruptException as error:
        raise _too_long(time_limit_s) from error
    except (duckdb.InternalException, duckdb.FatalException, duckdb.SerializationException):
        raise
    except duckdb.Error as error:
        if CORRUPT_MESSAGE in str(error):
            raise  # who opened the file knows which one it is, and says what to do
        raise in_our_words(str(error), time_limit_s) from error


def in_our_words(message: str, time_limit_s: float | None) -> QueryError | CorruptDatabaseError:
    """Return the error that a message of DuckDB's stands for."""
    if message.startswith("INTERRUPT"):
        return _too_long(time_limit_s)
    if "checksum" in message.lower():
        return CorruptDatabaseError(f"the database is damaged: {message}")
    return QueryError(message)


def _too_long(time_limit_s: float | None) -> QueryError:
    within = "was interrupted" if time_limit_s is None else f"took longer than {time_limit_s:g} s"
    return QueryError(f"the statement {within}; narrow it")


def distinct(names: Sequence[str]) -> tuple[str, ...]:
    """Return names of which none repeats: later ones get the least number that makes them new."""
    found: list[str] = []
    for name in names:
        suffixed = (f"{name}_{number}" for number in count(1))
        # A column that is really called a_1 keeps its name.
        found.append(
            name if name not in found else next(one for one in suffixed if one not in {*found, *names})
        )
    return tuple(found)


@contextmanager
def interrupting(connection: duckdb.DuckDBPyConnection, time_limit_s: float | None) -> Iterator[None]:
    """Interrupt what the connection does after a time limit."""
    if time_limit_s is None:
        yield
        return
    timer = threading.Timer(time_limit_s, connection.interrupt)
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
        timer.join()


def plain(value: object) -> object:
    """Return a value as JSON can hold it: times in ISO 8601 (UTC), bytes in base64, no NaN."""
    if value is None or isinstance(value, (bool, int, str)):
        return value
    if isinstance(value, float):
        return value if value - value == 0 else None  # neither NaN nor infinity exists in JSON
    if isinstance(value, datetime):
        return value.isoformat() + ("Z" if value.tzinfo is None else "")
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    if isinstance(value, dict):
        return {str(name): plain(item) for name, item in value.items()}
    return _plain_rare(value)


def _plain_rare(value: object) -> object:
    """Return values of the rarer SQL types as JSON can hold them."""
    if isinstance(value, Decimal):
        return float(value)
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    if isinstance(value, timedelta):
        return value.total_seconds()
    if isinstance(value, (date, time)):
        return value.isoformat()
    return json.loads(json.dumps(value, default=str))
