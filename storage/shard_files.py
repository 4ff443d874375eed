"""Which files among the shards are needed, which are spent, and which nothing refers to."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from storage.errors import ShardError
from storage.folders import ShardFile, there
from storage.records import Candidate, DescriptorKey, Hop
from storage.results_folder import shards_of
from storage.shards import unseal

if TYPE_CHECKING:
    from collections.abc import Collection

    import duckdb

    from storage.places import DatabasePaths

# What a later run reads of a batch again; all other shards were merged, and are not looked at any more.
READ_AGAIN = (Candidate.table, Hop.table, DescriptorKey.table)
_SUFFIX = ".parquet"
_OURS = re.compile(r"(hops|candidates|lost)-[0-9a-f]+\.([\w.]+\.)?\w+\.parquet")


@dataclass(frozen=True)
class ShardFiles:
    """What lies among the shards.

    Parameters
    ----------
    needed : tuple of ShardFile
        Batches that recorded stages name.
    spent : tuple of ShardFile
        Merged, and not read again.
    orphaned : tuple of ShardFile
        Descriptors and hops that no recorded stage names, and what is no shard by its name.
    missing : tuple of str
        Batches that recorded stages name and of which nothing is there.
    in_use : tuple of ShardFile
        Not needed, while a run has not ended that may be about to read them. Whether they were there before
        it nobody can tell: the clocks of whoever records and of the disk may differ.
    """

    needed: tuple[ShardFile, ...]
    spent: tuple[ShardFile, ...]
    orphaned: tuple[ShardFile, ...]
    missing: tuple[str, ...]
    in_use: tuple[ShardFile, ...]


def total(files: Collection[ShardFile]) -> int:
    """Return the size of some files, in bytes."""
    return sum(one.bytes for one in files)


def shard_files(
    paths: DatabasePaths, connection: duckdb.DuckDBPyConnection, *, ignore_runs: bool = False
) -> ShardFiles:
    """Sort what lies among the shards by whether it is needed.

    Parameters
    ----------
    paths : DatabasePaths
        The database.
    connection : duckdb.DuckDBPyConnection
        Its working file.
    ignore_runs : bool
        Take runs that never ended for dead, and nothing to be in use.

    Raises
    ------
    FolderError
        When they lie in a store that refuses, or fails again and again.
    """
    named = {
        str(name)
        for (name,) in connection.execute(
            "SELECT DISTINCT shard FROM stage_results WHERE shard IS NOT NULL"
        ).fetchall()
    }
    at_work = not ignore_runs and any_unfinished(connection)
    sorted_: dict[str, list[ShardFile]] = {"needed": [], "spent": [], "orphaned": [], "in_use": []}
    for one in there(shards_of(paths)):
        kind = _kind(one.path.name, named)
        if kind != "needed" and at_work:
            kind = "in_use"
        sorted_[kind].append(one)
    present = {_stem(one.path.name) for one in sorted_["needed"]}
    return ShardFiles(
        **{kind: tuple(files) for kind, files in sorted_.items()}, missing=tuple(sorted(named - present))
    )


def damage_of(files: Collection[ShardFile]) -> list[tuple[ShardFile, str]]:
    """Return those of some files that are not what was written, each with what is wrong with it."""
    found = []
    for one in files:
        try:
            unseal(one.path)
        except ShardError as error:
            found.append((one, str(error)))
    return found


def _kind(name: str, named: Collection[str]) -> str:
    """Return whether a file is needed, spent or orphaned."""
    stem = _stem(name)
    table = name.removesuffix(_SUFFIX).removeprefix(f"{stem}.")
    if table in READ_AGAIN and stem in named:
        return "needed"
    if _OURS.fullmatch(name) is None:
        return "orphaned"
    # Only batches of hops are read again; what a batch of hops left beside them goes by a longer name.
    return "orphaned" if table in READ_AGAIN and stem.startswith("hops-") else "spent"


def _stem(name: str) -> str:
    """Return the batch that a file is of."""
    return name.split(".", maxsplit=1)[0]


def any_unfinished(connection: duckdb.DuckDBPyConnection) -> bool:
    """Tell whether a run never ended; such a run may still be at work."""
    found = connection.execute("SELECT 1 FROM runs WHERE status = 'running' LIMIT 1").fetchone()
    return found is not None
