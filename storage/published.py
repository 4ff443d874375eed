"""What is worked out once, when a copy is published, so that nobody who opens it waits for it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from storage.connections import transaction

if TYPE_CHECKING:
    import duckdb

FRESH = "fresh_answer"
KEPT = {"published_results": "live_results", "published_rankings": "live_rankings"}
"""Tables, and the views whose rows they keep, in the order of the view."""

SHOWN = {"published_results": "latest_results", "published_rankings": "rankings"}
"""The same tables, and the views by which people read them, which say what the columns mean."""


def keep_answers(connection: duckdb.DuckDBPyConnection) -> None:
    """Fill the tables that keep what slow views say, where they say something else by now.

    Parameters
    ----------
    connection : duckdb.DuckDBPyConnection
        A connection that may write, whose current database has today's views.
    """
    for table, view in KEPT.items():
        connection.execute(f"CREATE OR REPLACE TEMP TABLE {FRESH} AS SELECT * FROM {view}")  # noqa: S608 - ours
        # What is rewritten takes room twice until the next checkpoint: what stays the same is left alone.
        if _digest(connection, FRESH) != _digest(connection, table):
            with transaction(connection):
                _replace(connection, table)
        connection.execute(f"DROP TABLE temp.{FRESH}")


def _replace(connection: duckdb.DuckDBPyConnection, table: str) -> None:
    """Make a table anew with the fresh rows: to take all rows out of its indexes would take much longer."""
    ((comment,),) = connection.execute(
        "SELECT comment FROM duckdb_tables() WHERE database_name = current_database() AND table_name = ?",
        [table],
    ).fetchall()
    indexes = connection.execute(
        "SELECT sql FROM duckdb_indexes() WHERE database_name = current_database() AND table_name = ? "
        "ORDER BY index_name",
        [table],
    ).fetchall()
    connection.execute(f"CREATE OR REPLACE TABLE {table} AS SELECT * FROM {FRESH}")  # noqa: S608 - our own names
    _comment(connection, f"TABLE {table}", comment)
    spread_comments(connection)
    for (statement,) in indexes:
        connection.execute(statement)


def spread_comments(connection: duckdb.DuckDBPyConnection) -> None:
    """Say of the columns of kept tables, and of what they keep, what is said of those that people read."""
    for table, shown in SHOWN.items():
        comments = connection.execute(
            "SELECT column_name, comment FROM duckdb_columns() WHERE database_name = current_database() "
            "AND table_name = ?",
            [shown],
        ).fetchall()
        for relation in (table, KEPT[table]):
            for column, comment in comments:
                _comment(connection, f"COLUMN {relation}.{column}", comment)


def _comment(connection: duckdb.DuckDBPyConnection, on: str, comment: object) -> None:
    """Say what something means."""
    text = str(comment).replace("'", "''")
    connection.execute(f"COMMENT ON {on} IS '{text}'")


def _digest(connection: duckdb.DuckDBPyConnection, table: str) -> tuple[object, ...]:
    """Return what tells the rows of a table, in their order, from others."""
    (found,) = connection.execute(
        "SELECT count(*), bit_xor(hash(placed)) FROM "  # noqa: S608 - our own names
        f"(SELECT row_number() OVER () AS place, held FROM {table} AS held) AS placed"
    ).fetchall()
    return tuple(found)
