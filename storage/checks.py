"""`check`: what is wrong with a database and its folder, each finding with what to do about it."""

from __future__ import annotations

from contextlib import closing
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from storage.connections import attach, explaining
from storage.database import DEFAULT_WAIT_S, locked
from storage.errors import DatabaseMissingError, FolderError, ForeignCopyError, StorageError
from storage.fingerprints import check_copy
from storage.inspection import inspect
from storage.merging import NUMBERED, WITHOUT_KEY
from storage.records import ROW_TYPES
from storage.schema import applied_steps, migrations, pending_steps
from storage.shard_files import damage_of, shard_files, total
from storage.snapshot_files import kept_in

if TYPE_CHECKING:
    from collections.abc import Collection
    from pathlib import Path

    import duckdb

    from storage.folders import ShardFile
    from storage.places import DatabasePaths

_NAMED = 5
_RESTORE = (
    "restore a snapshot (`lihop db restore`), or "
    "`lihop runs delete` their runs with --results and screen again"
)
# Results stand under a key that says that the stage was done; without it they would be computed again.
_OF_STAGES = ("hops", "predictions", "percolation")
_OF_RUNS = ("run_materials", "run_failures")


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at.

    Parameters
    ----------
    check : str
        What was looked at.
    ok : bool
        Whether it is as it should be.
    detail : str
        What was found.
    remedy : str or None
        What to do, where it is not.
    files : tuple of dict
        The files that are meant: `path` and `bytes`, and `reason` where there is one.
    """

    check: str
    ok: bool
    detail: str
    remedy: str | None = None
    files: tuple[dict[str, Any], ...] = ()

    def as_dict(self) -> dict[str, Any]:
        """Return it for JSON."""
        return asdict(self) | {"files": list(self.files)}


def check(paths: DatabasePaths, *, wait_s: float = DEFAULT_WAIT_S) -> list[Finding]:
    """Look at both files of a database, at what they hold, and at the shards. Nothing is changed.

    Parameters
    ----------
    paths : DatabasePaths
        The database.
    wait_s : float
        How long to wait for the recorder's lock.

    Raises
    ------
    DatabaseMissingError
        When there is no database.
    DatabaseLockedError
        When another process holds it all the while.
    """
    if not paths.working.exists() and not paths.published.exists():
        raise DatabaseMissingError(
            f"there is no database at {paths.published}. Run `lihop screen` first, or give --db"
        )
    if not paths.work.exists():
        # A copy that came alone is looked at where it lies: a folder would be made beside it for the lock.
        return [_file("published copy", paths.published, wait_s)]
    with locked(paths, wait_s):
        found = [_file("working file", paths.working, wait_s)] if paths.working.exists() else []
        usable = bool(found) and found[0].ok
        found += _published(paths, wait_s)
        if not usable:
            return found
        opened = closing(attach(paths.working, read_only=True, wait_s=wait_s))
        with opened as connection, explaining(paths.working):
            return found + _within(paths, connection)


def _file(name: str, path: Path, wait_s: float) -> Finding:
    """Read a file through."""
    try:
        content = inspect(path, wait_s=wait_s)
    except StorageError as error:
        said, _, remedy = str(error).partition(". What to do: ")
        return Finding(name, False, said, remedy or "lihop db restore, or what the message says")
    rows, tables = sum(content.facts.rows.values()), len(content.facts.rows)
    version = content.facts.schema_version
    return Finding(name, True, f"{rows} rows in {tables} tables of schema {version}, every one read: {path}")


def _published(paths: DatabasePaths, wait_s: float) -> list[Finding]:
    """Look at the published copy, and whether it came from here."""
    if not paths.published.exists():
        return [Finding("published copy", False, f"none at {paths.published}", _restore(paths, "working"))]
    found = [_file("published copy", paths.published, wait_s)]
    try:
        check_copy(paths.published, paths.note)
    except ForeignCopyError as error:
        remedy = f"{_restore(paths, 'working')}, or {_restore(paths, 'published')}"
        return [*found, Finding("published from here", False, str(error), remedy)]
    return [*found, Finding("published from here", True, f"the working folder is {paths.work}")]


def _within(paths: DatabasePaths, connection: duckdb.DuckDBPyConnection) -> list[Finding]:
    """Look at what DuckDB itself does not hold together."""
    pending = pending_steps(applied_steps(connection), migrations())
    if pending:
        names = ", ".join(step.name for step in pending)
        found = [Finding("schema", True, f"the next run brings it up to date: {names}")]
        if any(step.name != "views" for step in pending):
            return found  # its tables are not the ones that are asked about here
    else:
        found = [Finding("schema", True, "up to date, every migration the one that ships with this lihop")]
    found += [_results(connection, table) for table in _OF_STAGES]
    found += [_participants(connection, table) for table in _OF_RUNS]
    found += [_repeated(connection, table) for table in sorted(WITHOUT_KEY)]
    found += [_misnumbered(connection, table) for table in sorted(NUMBERED)]
    found.append(_shared_numbers(connection))
    return found + _shards(paths, connection) + [_snapshots(paths)]


def _results(connection: duckdb.DuckDBPyConnection, table: str) -> Finding:
    """Look for results of stages that are not recorded as done."""
    rows = connection.execute(
        f"SELECT stage_key, count(*) FROM {table} ANTI JOIN stage_results USING (stage_key) "  # noqa: S608 - ours
        "GROUP BY stage_key ORDER BY stage_key"
    ).fetchall()
    return _dangling(
        rows, f"{table} of recorded stages", "stage keys without a row in stage_results",
        "run `lihop screen` again: they are computed anew, and the first row stays",
    )  # fmt: skip


def _participants(connection: duckdb.DuckDBPyConnection, table: str) -> Finding:
    """Look for what took part in a run that is not there."""
    rows = connection.execute(
        f"SELECT run_id, count(*) FROM {table} ANTI JOIN runs USING (run_id) GROUP BY run_id ORDER BY run_id"  # noqa: S608
    ).fetchall()
    names = " ".join(str(name) for name, _ in rows[:_NAMED])
    return _dangling(
        rows, f"{table} of recorded runs", "runs without a row in runs",
        f"`lihop runs delete {names} --yes` removes what is left of them",
    )  # fmt: skip


def _repeated(connection: duckdb.DuckDBPyConnection, table: str) -> Finding:
    """Look for rows of one key in a table that has no index over its keys: the recorder leaves none."""
    key = ", ".join(ROW_TYPES[table].key)
    rows = connection.execute(
        f"SELECT min(edge_id) AS named, count(*) - 1 FROM {table} GROUP BY {key} "  # noqa: S608 - ours
        "HAVING count(*) > 1 ORDER BY named"
    ).fetchall()
    return _dangling(
        rows, f"{table} there once", "hops that stand there more than once",
        f"another program wrote into the working file: {_RESTORE}",
    )  # fmt: skip


def _misnumbered(connection: duckdb.DuckDBPyConnection, table: str) -> Finding:
    """Look for rows that do not carry the number of their structure, by which views find them."""
    rows = connection.execute(
        f"SELECT structure_hash, count(*) FROM {table} "  # noqa: S608 - our own names
        "ANTI JOIN structure_numbers USING (structure_hash, structure_no) "
        "GROUP BY structure_hash ORDER BY structure_hash"
    ).fetchall()
    return _dangling(
        rows, f"{table} numbered", "structures without their number, so that views leave them out",
        f"another program wrote into the working file: {_RESTORE}",
    )  # fmt: skip


def _shared_numbers(connection: duckdb.DuckDBPyConnection) -> Finding:
    """Look for structures of one number, which views would take for each other."""
    rows = connection.execute(
        "SELECT min(structure_hash) AS named, count(*) - 1 FROM structure_numbers GROUP BY structure_no "
        "HAVING count(*) > 1 ORDER BY named"
    ).fetchall()
    return _dangling(
        rows, "structures numbered apart", "structures whose number others have too",
        f"another program wrote into the working file: {_RESTORE}",
    )  # fmt: skip


def _dangling(rows: list[tuple[Any, ...]], what: str, missing: str, remedy: str) -> Finding:
    """Return whether something refers to what is not there."""
    if not rows:
        return Finding(what, True, "all there")
    named = ", ".join(str(key) for key, _ in rows[:_NAMED])
    more = f" and {len(rows) - _NAMED} more" if len(rows) > _NAMED else ""
    count = sum(number for _, number in rows)
    return Finding(what, False, f"{count} rows of {len(rows)} {missing}: {named}{more}", remedy)


def _shards(paths: DatabasePaths, connection: duckdb.DuckDBPyConnection) -> list[Finding]:
    """Look at the shards: whether they are whole, and whether anything refers to them."""
    try:
        files = shard_files(paths, connection)
        damaged = damage_of(files.needed)
    except FolderError as error:
        return [Finding("shards there", False, str(error), "what the message says, then check again")]
    listed = tuple(_listed(one, reason) for one, reason in damaged)
    vacuum = f"`lihop db vacuum --db {paths.published}` removes them"
    return [
        Finding(
            "shards whole", not damaged, f"{len(damaged)} of {len(files.needed)} shards are damaged",
            "run `lihop screen` again: what they held is computed anew once it is needed", listed,
        ),
        Finding(
            "shards referred to", not files.orphaned, _sized(files.orphaned, "that nothing refers to"),
            vacuum, tuple(_listed(one) for one in files.orphaned),
        ),
        Finding("shards spent", True, _sized(files.spent, "merged and not read again; vacuum removes them")),
        Finding("shards there", True, f"{len(files.missing)} gone, and computed anew once they are needed"),
    ]  # fmt: skip


def _snapshots(paths: DatabasePaths) -> Finding:
    """Say how many snapshots there are."""
    kept = kept_in(paths.snapshots)
    newest = f", the newest of {kept[0].taken_at}" if kept else ""
    return Finding("snapshots", True, f"{len(kept)}{newest}")


def _listed(one: ShardFile, reason: str | None = None) -> dict[str, Any]:
    entry: dict[str, Any] = {"path": str(one.path), "bytes": one.bytes}
    return entry if reason is None else entry | {"reason": reason}


def _sized(files: Collection[ShardFile], what: str) -> str:
    return f"{len(files)} files, {total(files)} bytes, {what}"


def _restore(paths: DatabasePaths, which: str) -> str:
    return f"`lihop db restore {which} --db {paths.published} --yes`"
