"""How staged rows become rows of a table: one set-based statement a table, each row once."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import duckdb

    from storage.rows import Row

STAGED = "staged"
"""The relation that holds what is to be merged."""

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
WITHOUT_INDEX = frozenset({"hops", "predictions"})
# A candidate's key holds its source: what that source no longer says of it is no longer known. When it was
# last seen is noted apart from its row, which does not know it.
_NULL_KEEPS = {"candidates": frozenset({"last_seen_at"})}
# When something was first seen does not change.
_FIRST_STAYS = {"candidates": "first_seen_at", "source_entries": "first_seen_at"}


def merge_staged(connection: duckdb.DuckDBPyConnection, row_type: type[Row]) -> None:
    """Merge the rows of the relation `staged` into the table of their type.

    Parameters
    ----------
    connection : duckdb.DuckDBPyConnection
        A connection within a transaction, at which the rows are registered as `staged`.
    row_type : type of Row
        What they are rows of.

    Raises
    ------
    duckdb.ConstraintException
        When a row breaks a constraint.
    """
    connection.execute(merge_statement(row_type, repeated=_repeats(connection, row_type)))


def merge_statement(row_type: type[Row], *, repeated: bool) -> str:
    """Return the statement that merges staged rows.

    Parameters
    ----------
    row_type : type of Row
        What they are rows of.
    repeated : bool
        Whether several of them may have one key.

    Returns
    -------
    str
        One INSERT.
    """
    table, key = row_type.table, ", ".join(row_type.key)
    newest = table in NEWEST_WINS
    given = _one_a_key(key, last=newest) if repeated else f"SELECT * FROM {STAGED}"  # noqa: S608 - our own names
    if table in WITHOUT_INDEX:
        # Rows of the same stage alone are compared in full: reading one column finds them.
        there = f"SELECT {key} FROM {table} WHERE stage_key IN (SELECT DISTINCT stage_key FROM {STAGED})"  # noqa: S608
        return f"INSERT INTO {table} BY NAME SELECT * FROM ({given}) ANTI JOIN ({there}) USING ({key})"  # noqa: S608
    on_conflict = f"DO UPDATE SET {_newest(row_type)}" if newest else "DO NOTHING"
    return f"INSERT INTO {table} BY NAME {given} ON CONFLICT ({key}) {on_conflict}"


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
