"""The recorder: the one that writes, a group of shards in one short transaction."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Literal, TypeVar

import duckdb
import pyarrow as pa

from storage import atomic
from storage.columns import row_type_of, rows_to_table, table_to_rows
from storage.connections import transaction
from storage.database import DEFAULT_WAIT_S, publish, writing
from storage.errors import ManifestMismatchError, RefusedRowsError, ShardError, StorageError
from storage.folders import place
from storage.heads import HEAD_COLUMNS, Head
from storage.merging import merge
from storage.places import DatabasePaths, paths_of
from storage.quarantine import set_aside
from storage.records import Candidate, Row, Run
from storage.results_folder import shards_of
from storage.shards import ShardInfo, read_shard

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Sequence
    from pathlib import Path

    from storage.folders import RemoteFile

R = TypeVar("R", bound=Row)

# A stage that is computed again may come out otherwise, as after a time limit: nothing of it may stay.
_FORGOTTEN = ("stage_results", "failures", "hops", "predictions", "percolation")
FETCHED = 1000
"""Rows that are taken from a statement at a time."""

_RUN_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")
_MANIFEST_FIELDS = ("source", "working_ion", "model_digest", "code_version")


class Recorder:
    """Writes into the working file of one database and publishes copies of it.

    Nothing is held open between calls, so that several processes may record by turns.

    Parameters
    ----------
    db : str or Path
        The path of the published copy.
    wait_s : float
        How long a call waits for another recorder to finish.
    """

    def __init__(self, db: str | Path, *, wait_s: float = DEFAULT_WAIT_S) -> None:
        self.paths: DatabasePaths = paths_of(db)
        self.wait_s = wait_s

    def record(
        self,
        shards: Sequence[Path | RemoteFile | ShardInfo] = (),
        rows: Sequence[Row] = (),
        healed: Collection[str] = (),
    ) -> dict[str, int]:
        """Merge shards, and a few rows beside them, in one transaction.

        All shards are verified before anything is written. Recording the same again changes nothing.

        Parameters
        ----------
        shards : sequence of Path, RemoteFile or ShardInfo
            Shards of any tables; with a ShardInfo the digest that the writer reported is checked too.
        rows : sequence of Row
            Rows of any tables.
        healed : collection of str
            Stage keys whose failures are over, and are forgotten in the same transaction.

        Returns
        -------
        dict of str to int
            Rows that were given, by table.

        Raises
        ------
        ShardError
            When a shard cannot be trusted; nothing is recorded then, and the shard is moved into quarantine.
        FolderError
            When the store that they lie in refuses, or fails again and again; nothing is recorded then.
        RefusedRowsError
            When a row breaks a constraint; nothing is recorded then.
        """
        groups = _grouped([*_from_shards(shards, self.paths.quarantine), *_from_rows(rows)])
        if groups or healed:
            with writing(self.paths, self.wait_s) as connection:
                _transact(connection, groups, healed)
        return {table: data.num_rows for table, data in groups.items()}

    def start_run(self, run: Run) -> None:
        """Record that a run starts, or goes on, and write its manifest.

        Raises
        ------
        ManifestMismatchError
            When a run of that id was started under other settings; the fields that differ are named.
        """
        if _RUN_ID.fullmatch(run.run_id) is None:
            raise StorageError(
                f"the run id {run.run_id!r} is not allowed; use letters, digits, '.', '_', '-', at most 128"
            )
        with writing(self.paths, self.wait_s) as connection:
            earlier = _read_rows(connection, Run, "run_id", [run.run_id])
            if earlier:
                differing = _differences(earlier[0], run)
                if differing:
                    raise ManifestMismatchError(
                        f"run {run.run_id} was started under other settings: {'; '.join(differing)}. "
                        "Resume it under those, or start a new run"
                    )
                run = run.model_copy(update={"started_at": earlier[0].started_at})
            else:
                run = _after_all_others(connection, run)
            _transact(connection, {Run.table: rows_to_table([run], Run)})
        manifest = self.paths.manifests / f"{run.run_id}.json"
        content = run.model_dump(mode="json", exclude={"settings_json"})
        content["settings"] = _settings(run)
        content["shards"] = str(shards_of(self.paths))
        atomic.write_text(manifest, json.dumps(content, indent=2, sort_keys=True) + "\n")

    def finish_run(
        self,
        run_id: str,
        *,
        status: Literal["completed", "failed"],
        n_candidates: int,
        n_computed: int,
        n_reused: int,
        n_failed: int,
    ) -> None:
        """Record how a run ended.

        Raises
        ------
        StorageError
            When no run of that id was started.
        """
        with writing(self.paths, self.wait_s) as connection:
            found = connection.execute(
                "UPDATE runs SET status = $status, finished_at = greatest(started_at, $now), "
                "n_candidates = $n_candidates, n_computed = $n_computed, n_reused = $n_reused, "
                "n_failed = $n_failed WHERE run_id = $run_id RETURNING run_id",
                {
                    "status": status,
                    "now": datetime.now(UTC).replace(tzinfo=None),
                    "n_candidates": n_candidates,
                    "n_computed": n_computed,
                    "n_reused": n_reused,
                    "n_failed": n_failed,
                    "run_id": run_id,
                },
            ).fetchall()
        if not found:
            raise StorageError(f"no run {run_id!r} was started; call start_run first")

    def note_source(self, run_id: str, database_version: str | None, citation: str) -> None:
        """Record of a run which version of which database its candidates came from."""
        with writing(self.paths, self.wait_s) as connection:
            connection.execute(
                "UPDATE runs SET database_version = ?, citation = ? WHERE run_id = ?",
                [database_version, citation, run_id],
            )

    def known_stage_keys(self, keys: Collection[str]) -> set[str]:
        """Return those of `keys` under which a finished stage is recorded."""
        if not keys or not self.has_data():
            return set()
        with writing(self.paths, self.wait_s) as connection:
            _register_keys(connection, "stage_key", keys)
            found = connection.execute(
                "SELECT stage_key FROM stage_results SEMI JOIN wanted USING (stage_key)"
            ).fetchall()
        return {str(row[0]) for row in found}

    def forget(self, stage_keys: Collection[str]) -> None:
        """Forget stages, what they left and why they failed, so that they are computed again."""
        if not stage_keys or not self.has_data():
            return
        with writing(self.paths, self.wait_s) as connection:
            _register_keys(connection, "stage_key", stage_keys)
            with transaction(connection):
                for table in _FORGOTTEN:
                    connection.execute(
                        f"DELETE FROM {table} WHERE stage_key IN (SELECT stage_key FROM wanted)"  # noqa: S608
                    )

    def mark_seen(self, stage_keys: Collection[str], at: datetime) -> None:
        """Note of the candidates under some stage keys that their source has them."""
        if not stage_keys or not self.has_data():
            return
        with writing(self.paths, self.wait_s) as connection:
            _register_keys(connection, "stage_key", stage_keys)
            connection.execute(
                "UPDATE candidates SET first_seen_at = coalesce(first_seen_at, $at), last_seen_at = $at "
                "WHERE stage_key IN (SELECT stage_key FROM wanted)",
                {"at": at.astimezone(UTC).replace(tzinfo=None)},
            )

    def rows_under(self, row_type: type[R], stage_keys: Collection[str]) -> list[R]:
        """Return the recorded rows of a table under some stage keys, published or not."""
        if "stage_key" not in row_type.model_fields:
            raise StorageError(f"rows of {row_type.table!r} carry no stage key")
        if not stage_keys or not self.has_data():
            return []
        with writing(self.paths, self.wait_s) as connection:
            return _read_rows(connection, row_type, "stage_key", stage_keys)

    def heads_under(self, stage_keys: Collection[str]) -> list[Head]:
        """Return the candidates under some stage keys without their structures, ordered by key."""
        if not stage_keys or not self.has_data():
            return []
        with writing(self.paths, self.wait_s) as connection:
            _register_keys(connection, "stage_key", stage_keys)
            found = connection.execute(
                f"SELECT {', '.join(HEAD_COLUMNS)} FROM candidates SEMI JOIN wanted USING (stage_key) "  # noqa: S608
                f"ORDER BY {', '.join(Candidate.key)}"
            )
            return [Head.from_columns(*row) for row in _streamed(found)]

    def count_under(self, row_type: type[Row], stage_keys: Collection[str]) -> int:
        """Return how many rows of a table are recorded under some stage keys."""
        if not stage_keys or not self.has_data():
            return 0
        with writing(self.paths, self.wait_s) as connection:
            _register_keys(connection, "stage_key", stage_keys)
            ((count,),) = connection.execute(
                f"SELECT count(*) FROM {row_type.table} SEMI JOIN wanted USING (stage_key)"  # noqa: S608
            ).fetchall()
        return int(count)

    def publish(self, *, min_interval_s: float = 0.0) -> bool:
        """Replace the published copy, unless it is younger than `min_interval_s`; return whether it was."""
        return publish(self.paths, self.wait_s, min_interval_s)

    def has_data(self) -> bool:
        """Tell whether anything was ever recorded; a question alone makes no files."""
        return self.paths.working.exists() or self.paths.published.exists()


def _after_all_others(connection: duckdb.DuckDBPyConnection, run: Run) -> Run:
    """Return a run that starts as it says, or just after the last one where a clock was set back.

    The newest run is the one whose results are shown, and that must be the one that is recorded last.
    """
    ((last,),) = connection.execute("SELECT max(started_at) FROM runs").fetchall()
    if last is None or last.replace(tzinfo=UTC) < run.started_at:
        return run
    return run.model_copy(update={"started_at": last.replace(tzinfo=UTC) + timedelta(microseconds=1)})


def _from_shards(
    shards: Iterable[Path | RemoteFile | ShardInfo], quarantine: Path
) -> list[tuple[str, pa.Table]]:
    """Read and verify shards; those that cannot be trusted are moved aside, all of them, and told of."""
    tables = []
    faults = []
    for given in shards:
        path, digest = (given.path, given.digest) if isinstance(given, ShardInfo) else (place(given), None)
        try:
            shard = read_shard(path, digest)
        except ShardError as error:
            moved = set_aside(path, quarantine, str(error))
            faults.append(str(error) if moved is None else f"{error} (it was moved to {moved})")
        else:
            tables.append((shard.info.table, shard.data))
    if faults:
        raise ShardError("; ".join(faults))
    return tables


def _from_rows(rows: Iterable[Row]) -> list[tuple[str, pa.Table]]:
    """Sort rows by table."""
    by_type: dict[type[Row], list[Row]] = {}
    for row in rows:
        by_type.setdefault(row_type_of(row.table), []).append(row)
    return [(row_type.table, rows_to_table(some, row_type)) for row_type, some in by_type.items()]


def _grouped(tables: Iterable[tuple[str, pa.Table]]) -> dict[str, pa.Table]:
    """Put what belongs to one table together, in the order given."""
    groups: dict[str, list[pa.Table]] = {}
    for name, data in tables:
        groups.setdefault(name, []).append(data)
    return {name: pa.concat_tables(some) for name, some in groups.items()}


def _transact(
    connection: duckdb.DuckDBPyConnection, groups: dict[str, pa.Table], healed: Collection[str] = ()
) -> None:
    """Merge Arrow tables in one transaction, a statement a table."""
    table = "failures"
    try:
        with transaction(connection):
            if healed:
                _register_keys(connection, "stage_key", healed)
                connection.execute("DELETE FROM failures WHERE stage_key IN (SELECT stage_key FROM wanted)")
                connection.unregister("wanted")
            for table, data in groups.items():
                merge(connection, row_type_of(table), data)
    except (duckdb.ConstraintException, duckdb.ConversionException) as error:
        raise RefusedRowsError(f"rows for {table!r} were refused: {error}") from error


def _register_keys(connection: duckdb.DuckDBPyConnection, column: str, values: Collection[str]) -> None:
    """Make the relation `wanted`, of one column, that statements join with."""
    connection.register("wanted", pa.table({column: pa.array(list(values), type=pa.string())}))


def _read_rows(
    connection: duckdb.DuckDBPyConnection, row_type: type[R], column: str, values: Collection[str]
) -> list[R]:
    """Return the rows of a table whose `column` is among `values`, ordered by key."""
    _register_keys(connection, column, values)
    names = ", ".join(row_type.model_fields)
    data = connection.sql(
        f"SELECT {names} FROM {row_type.table} SEMI JOIN wanted USING ({column}) "  # noqa: S608
        f"ORDER BY {', '.join(row_type.key)}"
    ).to_arrow_table()
    connection.unregister("wanted")
    return table_to_rows(data, row_type)


def _streamed(found: duckdb.DuckDBPyConnection) -> Iterator[tuple[Any, ...]]:
    """Yield the rows of a statement without holding all of them."""
    while some := found.fetchmany(FETCHED):
        yield from some


def _differences(earlier: Run, run: Run) -> list[str]:
    """Return, in words, the manifest fields in which two runs differ."""
    before = {name: getattr(earlier, name) for name in _MANIFEST_FIELDS} | _settings(earlier)
    now = {name: getattr(run, name) for name in _MANIFEST_FIELDS} | _settings(run)
    return [
        f"{name} was {before.get(name)!r}, is {now.get(name)!r}"
        for name in sorted(before.keys() | now.keys())
        if before.get(name) != now.get(name)
    ]


def _settings(run: Run) -> dict[str, Any]:
    """Return the settings of a run as a dict."""
    settings = json.loads(run.settings_json)
    return settings if isinstance(settings, dict) else {"settings": settings}
