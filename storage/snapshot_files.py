"""Copies of the working file that are kept: each a file, and beside it a few facts by which to judge it."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from storage import atomic
from storage.fingerprints import fingerprint

if TYPE_CHECKING:
    from pathlib import Path

    import duckdb

WORK_SUFFIX = ".work"
WORKING_NAME = "working.duckdb"
SNAPSHOTS_NAME = "snapshots"
_STAMP = "%Y%m%dT%H%M%S.%fZ"


@dataclass(frozen=True)
class Facts:
    """What was in a file when it was copied: its schema version and the rows of each table."""

    schema_version: int
    rows: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class Snapshot:
    """A kept copy.

    Parameters
    ----------
    path : Path
        The file.
    taken_at : str
        When, in ISO 8601 (UTC).
    bytes : int
        Its size.
    fingerprint : str or None
        By which it is known again; None when nothing was noted of it.
    facts : Facts or None
        What was in it; None when nothing was noted of it.
    """

    path: Path
    taken_at: str
    bytes: int
    fingerprint: str | None
    facts: Facts | None

    def as_dict(self) -> dict[str, Any]:
        """Return it for JSON."""
        noted = {"schema_version": None, "rows": None} if self.facts is None else asdict(self.facts)
        return {
            "name": self.path.stem,
            "path": str(self.path),
            "taken_at": self.taken_at,
            "bytes": self.bytes,
            "fingerprint": self.fingerprint,
            **noted,
        }


def time_in(folder: Path) -> datetime:
    """Return the time of what is kept in a folder now: after all that is there, under any clock."""
    now = datetime.now(UTC)
    kept = kept_in(folder)
    return max(now, datetime.fromisoformat(kept[0].taken_at) + timedelta(microseconds=1)) if kept else now


def stamp(at: datetime) -> str:
    """Return a name for what is kept at a time; later ones sort after earlier ones."""
    return at.strftime(_STAMP)


def measured(connection: duckdb.DuckDBPyConnection) -> Facts:
    """Return the schema version of the current database, 0 when it has none, and its rows by table."""
    names = [
        str(name)
        for (name,) in connection.execute(
            "SELECT table_name FROM duckdb_tables() WHERE database_name = current_database() ORDER BY 1"
        ).fetchall()
    ]
    rows: dict[str, int] = {}
    for name in names:
        (rows[name],) = connection.execute(f'SELECT count(*) FROM "{name}"').fetchone() or (0,)  # noqa: S608
    version = None
    if "schema_migrations" in rows:
        (version,) = connection.execute("SELECT max(version) FROM schema_migrations").fetchone() or (None,)
    return Facts(0 if version is None else int(version), rows)


def keep_copy(source: Path, target: Path, facts: Facts, at: datetime, temporary: Path) -> Snapshot:
    """Copy a database file that nobody writes to, with its facts and a time beside it, durably.

    It is written to the temporary path first. A kill leaves no copy there, or a whole one of which
    perhaps nothing is noted.
    """
    atomic.copy_file(source, target, temporary)
    kept = Snapshot(target, at.isoformat(), target.stat().st_size, fingerprint(target), facts)
    noted = {name: value for name, value in kept.as_dict().items() if name not in {"name", "path"}}
    atomic.write_text(facts_path(target), json.dumps(noted, indent=2, sort_keys=True) + "\n")
    return kept


def facts_path(snapshot: Path) -> Path:
    """Return where the facts about a kept copy lie."""
    return snapshot.with_name(f"{snapshot.name}.json")


def described(path: Path) -> Snapshot:
    """Return what is known of a kept copy."""
    size = path.stat().st_size
    try:
        noted = json.loads(facts_path(path).read_text(encoding="utf-8"))
        facts = Facts(int(noted["schema_version"]), {str(k): int(v) for k, v in noted["rows"].items()})
        taken_at = datetime.fromisoformat(noted["taken_at"]).astimezone(UTC).isoformat()
        return Snapshot(path, taken_at, size, str(noted["fingerprint"]), facts)
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        at = datetime.fromtimestamp(path.stat().st_mtime, UTC).isoformat()
        return Snapshot(path, at, size, None, None)


def kept_in(folder: Path) -> list[Snapshot]:
    """Return the kept copies in a folder, newest first."""
    found = [described(path) for path in folder.glob("*.duckdb") if path.is_file()]
    return sorted(found, key=lambda one: (one.taken_at, one.path.name), reverse=True)


def published_of(path: Path) -> Path:
    """Return the published copy that a database file belongs to: itself, unless it is a working file."""
    if path.name == WORKING_NAME and path.parent.name.endswith(WORK_SUFFIX):
        return path.parent.with_name(path.parent.name.removesuffix(WORK_SUFFIX))
    return path


def remedy(path: Path) -> str:
    """Return what to do about a damaged database file, in a sentence or two."""
    published = published_of(path)
    work = published.with_name(published.name + WORK_SUFFIX)
    command = f"`lihop db restore {{}} --db {published}`"
    ways = []
    if path != published and published.is_file():
        ways.append(f"{command.format('published')} goes on from the published copy")
    if path == published and (work / WORKING_NAME).is_file():
        ways.append(f"{command.format('working')} publishes the working file again")
    kept = kept_in(work / SNAPSHOTS_NAME)
    if kept:
        newest = kept[0]
        ways.append(
            f"{command.format('latest')} puts back the newest snapshot, {newest.path.name} "
            f"of {newest.taken_at}"
        )
        return "; ".join(ways)
    ways.append("there is no snapshot of it to restore: put a copy of your own there, or move it aside")
    return "; ".join(ways)
