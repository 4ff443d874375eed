"""How staged rows become rows of a table: one set-based statement a table, each row once."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc

if TYPE_CHECKING:
    import duckdb

    from storage.rows import Row

STAGED = "staged"
"""The relation that holds what is to be merged."""

ROW_GROUP = 122_880
"""Rows that DuckDB keeps together, unless told otherwise when a file is made."""

NUMBER = "structure_no"
"""The column by which rows of one structure are found fast; rows do not know it before they are merged."""

# Rows under a stage key follow from the key: the first stays. These may change, and the newest is kept:
# a stage result names the shard, which is another one after a deleted shard was computed again.
NEWEST_WINS = frozenset(
    {
        "runs", "candidates", "failures", "models", "run_materials", "stage_results",
        "source_entries", "source_members", "syncs",
    }
)  # fmt: skip
# These have no primary key, whose index would be several times their size, so what is there is looked up:
# see docs/decisions/0011-no-index-over-hops.md.
WITHOUT_KEY = frozenset({"hops", "predictions"})
# These carry the number of their structure: see docs/decisions/0012-structures-have-numbers.md.
NUMBERED = WITHOUT_KEY | {"percolation", "run_materials"}
# A candidate's key holds its source: what that source no longer says of it is no longer known. When it was
# last seen is noted apart from its row, which does not know it.
_NULL_KEEPS = {"candidates": frozenset({"last_seen_at"})}
# When something was first seen does not change.
_FIRST_STAYS = {"candidates": "first_seen_at", "source_entries": "first_seen_at"}


def merge(connection: duckdb.DuckDBPyConnection, row_type: type[Row], data: pa.Table) -> None:
    """Merge rows into the table of their type.

    Parameters
    ----------
    connection : duckdb.DuckDBPyConnection
        A connection within a transaction.
    row_type : type of Row
        What they are rows of.
    data : pyarrow.Table
        The rows, with the columns of their type.

    Raises
    ------
    duckdb.ConstraintException
        When a row breaks a constraint.
    """
    known = None
    if row_type.table in NUMBERED:
        data, known = _numbered(connection, data)
    # In pieces of one row group each: these are inserted side by side and written once, where others are put
    # together first, one by one.
    pieces = data.combine_chunks().to_batches(ROW_GROUP)
    connection.register(STAGED, pa.Table.from_batches(pieces, data.schema))
    connection.execute(merge_statement(row_type, repeated=_repeats(connection, row_type), known=known))
    connection.unregister(STAGED)


def merge_statement(row_type: type[Row], *, repeated: bool, known: tuple[int, int] | None = None) -> str:
    """Return the statement that merges staged rows.

    Parameters
    ----------
    row_type : type of Row
        What they are rows of.
    repeated : bool
        Whether several of them may have one key.
    known : tuple of int, optional
        Least and greatest number of their structures that the file knew before, if it knew any. It is heeded
        for tables without a primary key, where structures that are new have no rows yet.

    Returns
    -------
    str
        One INSERT.
    """
    table, key = row_type.table, ", ".join(row_type.key)
    newest = table in NEWEST_WINS
    given = _one_a_key(key, last=newest) if repeated else f"SELECT * FROM {STAGED}"  # noqa: S608 - our own names
    if table in WITHOUT_KEY:
        if known is None:
            return f"INSERT INTO {table} BY NAME {given}"
        # Row groups whose numbers all lie elsewhere are passed over, however long the table has grown.
        there = (
            f"SELECT {key} FROM {table} WHERE {NUMBER} BETWEEN {known[0]} AND {known[1]} "  # noqa: S608
            f"AND stage_key IN (SELECT DISTINCT stage_key FROM {STAGED})"
        )
        return f"INSERT INTO {table} BY NAME SELECT * FROM ({given}) ANTI JOIN ({there}) USING ({key})"  # noqa: S608
    on_conflict = f"DO UPDATE SET {_newest(row_type)}" if newest else "DO NOTHING"
    return f"INSERT INTO {table} BY NAME {given} ON CONFLICT ({key}) {on_conflict}"


def _numbered(
    connection: duckdb.DuckDBPyConnection, data: pa.Table
) -> tuple[pa.Table, tuple[int, int] | None]:
    """Return rows with the numbers of their structures, and the least and greatest of those known before.

    Structures without a number get the next ones, in the order of the rows.
    """
    met = pc.unique(data["structure_hash"])
    places = pa.array(range(len(met)), type=pa.int64())
    connection.register("met", pa.table({"structure_hash": met, "place": places}))
    ((least, greatest),) = connection.execute(
        f"SELECT min({NUMBER}), max({NUMBER}) FROM structure_numbers SEMI JOIN met USING (structure_hash)"  # noqa: S608
    ).fetchall()
    ((last,),) = connection.execute(f"SELECT coalesce(max({NUMBER}), 0) FROM structure_numbers").fetchall()  # noqa: S608
    connection.execute(
        f"INSERT INTO structure_numbers SELECT structure_hash, {last} + row_number() OVER (ORDER BY place) "  # noqa: S608
        "FROM met ANTI JOIN structure_numbers USING (structure_hash)"
    )
    numbers = connection.sql(
        f"SELECT {NUMBER} FROM met JOIN structure_numbers USING (structure_hash) ORDER BY place"  # noqa: S608
    ).to_arrow_table()[NUMBER]
    connection.unregister("met")
    of_row = pc.index_in(data["structure_hash"], value_set=met)
    known = None if least is None else (int(least), int(greatest))
    return data.append_column(NUMBER, numbers.combine_chunks().take(of_row)), known


def _repeats(connection: duckdb.DuckDBPyConnection, row_type: type[Row]) -> bool:
    """Tell whether staged rows share a key: a digest of each is much cheaper than telling whole rows apart.

    Keys that differ may share a digest, which costs time and nothing else.
    """
    found = connection.execute(
        f"SELECT count(DISTINCT hash({', '.join(row_type.key)})) < count(*) FROM {STAGED}"  # noqa: S608
    ).fetchall()
    return bool(found[0][0])


def _one_a_key(key: str, *, last: bool) -> str:
    """Return the question for one staged row a key: of several the last given, or the first."""
    order = "DESC" if last else "ASC"
    placed = f"SELECT *, row_number() OVER () AS place FROM {STAGED}"  # noqa: S608 - our own names
    ranked = f"row_number() OVER (PARTITION BY {key} ORDER BY place {order}) AS place_of_key"
    return (
        f"SELECT * EXCLUDE (place, place_of_key) FROM (SELECT *, {ranked} FROM ({placed})) "  # noqa: S608
        "WHERE place_of_key = 1"
    )


def _newest(row_type: type[Row]) -> str:
    """Return what of a row that is there is replaced by a newer one."""
    table = row_type.table
    keeps = _NULL_KEEPS.get(table, frozenset())
    newest = {
        name: f"coalesce(excluded.{name}, {table}.{name})" if name in keeps else f"excluded.{name}"
        for name in row_type.model_fields
        if name not in row_type.key
    }
    if table in _FIRST_STAYS:
        first = _FIRST_STAYS[table]
        newest[first] = f"coalesce({table}.{first}, excluded.{first})"
    return ", ".join(f"{name} = {value}" for name, value in newest.items())
