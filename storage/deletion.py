"""Deleting runs: their own rows, and with them what no other run takes part in."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

import duckdb
import pyarrow as pa

from storage.database import DEFAULT_WAIT_S, publish, writing
from storage.errors import DatabaseMissingError, StorageError
from storage.folders import remove
from storage.folders import there as shards_there
from storage.history import matching_run
from storage.records import Reason
from storage.results_folder import shards_of
from storage.shard_files import READ_AGAIN, total

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from storage.folders import ShardFile
    from storage.places import DatabasePaths

_OF_RUNS = ("runs", "run_materials", "run_failures")
_UNDER_KEYS = ("hops", "predictions", "percolation", "stage_results")
_FAILURE = ("material_id", "source", "working_ion", "stage", "reason", "stage_key")
_OF_SYNCS = (Reason.MALFORMED_DOCUMENT.value, Reason.VANISHED.value)
# The keys that some runs' materials and failures stand under.
_KEYS_OF = """
    SELECT unnest([hops_stage_key, prediction_stage_key, percolation_stage_key]) AS stage_key
    FROM run_materials WHERE run_id {which} (SELECT run_id FROM doomed)
    UNION SELECT stage_key FROM run_failures WHERE run_id {which} (SELECT run_id FROM doomed)
"""


@dataclass(frozen=True)
class Deleted:
    """What was removed, or would be.

    Parameters
    ----------
    runs : tuple of str
        Identifiers of the runs.
    rows : dict of str to int
        Rows, by table.
    shards, shard_bytes : int
        Shards, and their size in bytes.
    done : bool
        Whether it was removed.
    """

    runs: tuple[str, ...]
    rows: dict[str, int] = field(default_factory=dict)
    shards: int = 0
    shard_bytes: int = 0
    done: bool = False

    def as_dict(self) -> dict[str, Any]:
        """Return it for JSON."""
        return asdict(self) | {"runs": list(self.runs)}


def delete_runs(
    paths: DatabasePaths,
    given: Sequence[str],
    *,
    results: bool = False,
    force: bool = False,
    dry_run: bool = False,
    wait_s: float = DEFAULT_WAIT_S,
) -> Deleted:
    """Remove runs in one transaction, and publish.

    Parameters
    ----------
    paths : DatabasePaths
        The database.
    given : sequence of str
        Identifiers, beginnings of single ones, or ``latest``.
    results : bool
        Remove also results and failures that no other run takes part in, and shards that nothing refers to
        any more. Candidates and models stay.
    force : bool
        Remove runs that never ended, too.
    dry_run : bool
        Only say what would be removed.
    wait_s : float
        How long to wait for the recorder's lock.

    Raises
    ------
    StorageError
        When a run is not known, or one never ended and `force` is not given; nothing is removed then.
    """
    if not paths.working.exists() and not paths.published.exists():
        raise DatabaseMissingError(
            f"there is no database at {paths.published}. Run `lihop screen` first, or give --db"
        )
    with writing(paths, wait_s) as connection:
        known = _known(connection)
        run_ids = tuple(dict.fromkeys(matching_run(list(known), run) for run in given))
        unfinished = [run for run in run_ids if known[run] == "running"]
        if unfinished and not force:
            raise StorageError(
                f"{', '.join(unfinished)} never ended, and may still be at work; wait for it, or give "
                "--force if its process is dead"
            )
        # Looked at before anything is deleted: a store that cannot be reached leaves all as it was.
        present = shards_there(shards_of(paths)) if results else []
        rows, stems = _delete(connection, run_ids, results=results, keep=dry_run)
        # Under the lock: whoever records next may write, and name, shards of the same names again.
        files = _of_batches(present, stems)
        if not dry_run:
            for run in run_ids:
                _manifest(paths, run).unlink(missing_ok=True)
            # Kills from here on leave files that `lihop db vacuum` removes.
            remove(files)
    if not dry_run:
        publish(paths, wait_s)
    return Deleted(run_ids, rows, len(files), total(files), done=not dry_run)


def _known(connection: duckdb.DuckDBPyConnection) -> dict[str, str]:
    """Return the status of each run, newest first; of a run that is only referred to it is ``missing``."""
    rows = connection.execute(
        "SELECT run_id, status FROM runs ORDER BY started_at DESC, run_id DESC"
    ).fetchall()
    left = connection.execute(
        "SELECT run_id FROM (SELECT run_id FROM run_materials UNION SELECT run_id FROM run_failures) "
        "ANTI JOIN runs USING (run_id) ORDER BY run_id"
    ).fetchall()
    return {str(run): str(status) for run, status in rows} | {str(run): "missing" for (run,) in left}


def _delete(
    connection: duckdb.DuckDBPyConnection, run_ids: Sequence[str], *, results: bool, keep: bool
) -> tuple[dict[str, int], list[str]]:
    """Delete rows in one transaction; return how many of each table, and batches that nobody names now."""
    connection.register("doomed", pa.table({"run_id": pa.array(run_ids, type=pa.string())}))
    connection.execute("BEGIN")
    try:
        counts: dict[str, int] = {}
        stems: list[str] = []
        if results:
            named = _named(connection)
            for table, statement in _of_results():
                counts[table] = len(connection.execute(statement).fetchall())
            stems = sorted(named - _named(connection))
        for table in _OF_RUNS:
            statement = f"DELETE FROM {table} WHERE run_id IN (SELECT run_id FROM doomed) RETURNING 1"  # noqa: S608
            counts[table] = len(connection.execute(statement).fetchall())
        connection.execute("ROLLBACK" if keep else "COMMIT")
    except BaseException:
        with suppress(duckdb.Error):
            connection.execute("ROLLBACK")
        raise
    return counts, stems


def _of_results() -> Iterator[tuple[str, str]]:
    """Yield the tables of results, each with the statement that deletes what only doomed runs have."""
    doomed, others = _KEYS_OF.format(which="IN"), _KEYS_OF.format(which="NOT IN")
    keys = f"(({doomed}) EXCEPT ({others}))"
    for table in _UNDER_KEYS:
        yield table, f"DELETE FROM {table} WHERE stage_key IN {keys} RETURNING 1"  # noqa: S608 - ours
    names = ", ".join(_FAILURE)
    # What a sync found wrong with an entry is of the entry, and tells later runs why it cannot be used.
    yield (
        "failures",
        f"DELETE FROM failures WHERE reason NOT IN {_OF_SYNCS} AND (stage_key IN {keys} OR ({names}) IN ("  # noqa: S608 - ours
        f"SELECT ({names}) FROM run_failures WHERE run_id IN (SELECT run_id FROM doomed) EXCEPT "
        f"SELECT ({names}) FROM run_failures WHERE run_id NOT IN (SELECT run_id FROM doomed))) RETURNING 1",
    )


def _named(connection: duckdb.DuckDBPyConnection) -> set[str]:
    """Return the batches that recorded stages name."""
    rows = connection.execute("SELECT DISTINCT shard FROM stage_results WHERE shard IS NOT NULL").fetchall()
    return {str(row[0]) for row in rows}


def _of_batches(present: Sequence[ShardFile], stems: Sequence[str]) -> list[ShardFile]:
    """Return the shards of some batches that would be read again."""
    names = {f"{stem}.{table}.parquet" for stem in stems for table in READ_AGAIN}
    return [one for one in present if one.path.name in names]


def _manifest(paths: DatabasePaths, run_id: str) -> Path:
    return paths.manifests / f"{run_id}.json"
