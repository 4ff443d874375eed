"""Whether a database file is whole: every row read, every block summed, its schema one that lihop knows."""

from __future__ import annotations

import re
from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING

import duckdb

from storage.blocks import damaged_blocks
from storage.connections import attach, explaining
from storage.errors import CorruptDatabaseError, SchemaMismatchError
from storage.schema import applied_steps, check_version, migrations
from storage.snapshot_files import Facts, measured, published_of, remedy

if TYPE_CHECKING:
    from pathlib import Path


_WORDS = re.compile(r"\w+|[^\w\s]")


@dataclass(frozen=True)
class Inspected:
    """What a whole file holds: facts, and the text of its schema by kind and name."""

    facts: Facts
    schema: tuple[tuple[str, ...], ...]


def inspect(path: Path, *, wait_s: float = 5.0, blocks: bool = True) -> Inspected:
    """Read a database file through and return what it holds; it is not changed.

    Parameters
    ----------
    path : Path
        A database file that nobody writes to meanwhile.
    wait_s : float
        How long to wait while another program has it open.
    blocks : bool
        Look also at the blocks that no row lies in: an index's, and those that nothing uses.

    Raises
    ------
    CorruptDatabaseError
        When a part of it cannot be read, or is not what was written.
    NewerSchemaError, SchemaMismatchError
        When it is not a database of this lihop or an earlier one.
    """
    with closing(attach(path, read_only=True, wait_s=wait_s)) as connection, explaining(path):
        applied = applied_steps(connection)
        if not applied:
            raise SchemaMismatchError(f"{path} is an empty database; give another --db")
        check_version(applied, migrations())
        facts = measured(connection)
        for table in facts.rows:
            _read_through(connection, path, table)
        schema = schema_of(connection)
    # A query reads rows and not, say, the index of a primary key, which the next write would trip over.
    damaged = damaged_blocks(path) if blocks else []
    if damaged:
        published = published_of(path)
        anew = "" if path == published else f"`lihop db vacuum --db {published}` writes the file anew; or "
        raise CorruptDatabaseError(
            f"{path} is damaged: block {', '.join(map(str, damaged[:5]))} of it is not what was written "
            f"({len(damaged)} in all). Every row can be read: it may be of an index, or unused. "
            f"What to do: {anew}{remedy(path)}"
        )
    return Inspected(facts, schema)


def schema_of(connection: duckdb.DuckDBPyConnection) -> tuple[tuple[str, ...], ...]:
    """Return what the current database holds beside rows: columns, constraints, views, comments."""
    here = "database_name = current_database()"
    rows = connection.execute(
        "SELECT 'table', table_name, '', coalesce(comment, '') FROM duckdb_tables() "  # noqa: S608 - ours
        f"WHERE {here} UNION ALL "
        "SELECT 'view', view_name, sql, coalesce(comment, '') FROM duckdb_views() "
        f"WHERE {here} AND NOT internal UNION ALL "
        "SELECT 'column', table_name || '.' || column_name, concat_ws(' ', column_index, data_type, "
        "is_nullable, column_default), coalesce(comment, '') FROM duckdb_columns() "
        f"WHERE {here} AND NOT internal UNION ALL "
        "SELECT 'constraint', table_name, constraint_text, '' FROM duckdb_constraints() "
        f"WHERE {here} ORDER BY ALL"
    ).fetchall()
    return tuple(
        (kind, name, _in_order(text) if kind == "view" else text, comment)
        for kind, name, text, comment in rows
    )


def _in_order(text: str) -> str:
    """Return the words of a view's text in an order of their own: DuckDB keeps none in an EXCLUDE list."""
    return " ".join(sorted(_WORDS.findall(text)))


def _read_through(connection: duckdb.DuckDBPyConnection, path: Path, table: str) -> None:
    """Have every value of a table read: DuckDB checks the checksum of each block that it reads."""
    try:
        connection.execute(f'SELECT count(*), bit_xor(hash(whole)) FROM "{table}" AS whole').fetchall()  # noqa: S608
    except duckdb.Error as error:
        said = str(error).strip().split("\n", maxsplit=1)[0]
        raise CorruptDatabaseError(
            f"{path} is damaged: table {table} cannot be read: {said}. What to do: {remedy(path)}"
        ) from error
