"""Answers as Arrow record batches, a few thousand rows at a time, with DuckDB's own types."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from storage.asking import check_limit, check_read, distinct, explained, in_our_words, interrupting
from storage.errors import QueryError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    import duckdb

BATCH_ROWS = 10_000


class Stream:
    """The record batches of one answer, to be gone through once.

    Parameters
    ----------
    reader : pyarrow.RecordBatchReader
        What DuckDB hands out.
    limit : int or None
        End after so many rows.
    time_limit_s : float or None
        What the statement may take, for the error that says that it took longer.

    Attributes
    ----------
    schema : pyarrow.Schema
        Names and types of the columns; of several with one name the later ones carry a number.
    n_rows : int
        Rows gone through so far.
    truncated : bool
        Whether there are more rows than the limit; known when all batches were gone through.
    """

    def __init__(self, reader: pa.RecordBatchReader, limit: int | None, time_limit_s: float | None) -> None:
        names = distinct(reader.schema.names)
        fields = [field.with_name(name) for field, name in zip(reader.schema, names, strict=True)]
        self.schema = pa.schema(fields)
        self.n_rows = 0
        self.truncated = False
        self._reader = reader
        self._limit = limit
        self._time_limit_s = time_limit_s

    def __iter__(self) -> Iterator[pa.RecordBatch]:
        """Yield the batches; no rows, no batch."""
        while (batch := self._next()) is not None:
            left = batch.num_rows if self._limit is None else self._limit - self.n_rows
            kept = batch.slice(0, left)
            self.n_rows += kept.num_rows
            if kept.num_rows:
                yield pa.RecordBatch.from_arrays(kept.columns, schema=self.schema)
            if kept.num_rows < batch.num_rows:
                self.truncated = True
                return

    def table(self) -> pa.Table:
        """Return all rows at once."""
        return pa.Table.from_batches(list(self), schema=self.schema)

    def _next(self) -> pa.RecordBatch | None:
        try:
            return self._reader.read_next_batch()
        except StopIteration:
            return None
        except OSError as error:
            # Arrow's way of handing on what DuckDB said in the middle of an answer.
            raise in_our_words(str(error), self._time_limit_s) from error


@contextmanager
def streaming(
    connection: duckdb.DuckDBPyConnection,
    statement: str,
    parameters: Mapping[str, Any] | None = None,
    *,
    limit: int | None = None,
    time_limit_s: float | None = None,
) -> Iterator[Stream]:
    """Put one reading statement and yield its answer as a stream, which ends with the context.

    Parameters
    ----------
    connection : duckdb.DuckDBPyConnection
        As `storage.database.reading` opens it.
    statement : str
        One SELECT, WITH, FROM, VALUES, DESCRIBE, SHOW, SUMMARIZE or EXPLAIN.
    parameters : mapping, optional
        Values of its named parameters.
    limit : int, optional
        End after so many rows, and say whether there were more.
    time_limit_s : float, optional
        Give up after so many seconds, those that the batches are made use of for included.

    Raises
    ------
    QueryError
        When the statement is not one read, is wrong, takes too long, or reaches for what is closed to it.
    """
    check_limit(limit)
    check_read(connection, statement)
    with explained(time_limit_s), interrupting(connection, time_limit_s):
        # By way of a relation: a cursor would keep the whole answer beside the batches.
        relation = connection.sql(statement, params=None if parameters is None else dict(parameters))
        yield Stream(relation.to_arrow_reader(BATCH_ROWS), limit, time_limit_s)


def relations(connection: duckdb.DuckDBPyConnection) -> list[str]:
    """Return the names of the tables and views, in order."""
    found = connection.execute(
        "SELECT table_name FROM duckdb_tables() WHERE database_name = current_database() "
        "UNION SELECT view_name FROM duckdb_views() "
        "WHERE database_name = current_database() AND NOT internal ORDER BY 1"
    ).fetchall()
    return [str(name) for (name,) in found]


def whole(connection: duckdb.DuckDBPyConnection, relation: str) -> str:
    """Return the statement that reads a whole table or view.

    Raises
    ------
    QueryError
        When there is none of that name; the message lists those there are.
    """
    names = relations(connection)
    if relation not in names:
        raise QueryError(f"there is no table or view {relation!r}; there are {', '.join(names)}")
    return f'SELECT * FROM "{relation}"'  # noqa: S608 - one of those names
