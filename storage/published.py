"""What is worked out once, when a copy is published, so that nobody who opens it waits for it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from storage.connections import transaction

if TYPE_CHECKING:
    import duckdb

KEPT = {"published_rankings": "live_rankings"}
"""Tables, and the views whose rows they keep, in the order of the view."""


def keep_answers(connection: duckdb.DuckDBPyConnection) -> None:
    """Fill the tables that keep what slow views say, in one transaction.

    Parameters
    ----------
    connection : duckdb.DuckDBPyConnection
        A connection that may write, whose current database has today's views.
    """
    with transaction(connection):
        for table, view in KEPT.items():
            connection.execute(f"DELETE FROM {table}")  # noqa: S608 - our own names
            connection.execute(f"INSERT INTO {table} SELECT * FROM {view}")  # noqa: S608
