"""`vacuum`: gives space back that deleted rows and spent shards hold."""

from __future__ import annotations

from contextlib import closing
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from storage import atomic
from storage.connections import ALIAS, attach, connect, quoted
from storage.database import DEFAULT_WAIT_S, STORAGE_VERSION, fresh, publish, writing
from storage.errors import DatabaseMissingError, StorageError
from storage.folders import remove
from storage.inspection import Inspected, inspect
from storage.shard_files import shard_files, total

if TYPE_CHECKING:
    from pathlib import Path

    from storage.places import DatabasePaths

_OLD = "before_vacuum"


@dataclass(frozen=True)
class Vacuumed:
    """Sizes in bytes before and after, and how many shards were removed or left to runs that never ended."""

    database_bytes_before: int
    database_bytes_after: int
    shard_bytes_before: int
    shard_bytes_after: int
    shards_removed: int
    shards_in_use: int

    def as_dict(self) -> dict[str, Any]:
        """Return it for JSON."""
        return asdict(self)


def vacuum(paths: DatabasePaths, *, force: bool = False, wait_s: float = DEFAULT_WAIT_S) -> Vacuumed:
    """Rebuild the working file, remove shards that are not needed, and publish.

    Parameters
    ----------
    paths : DatabasePaths
        The database.
    force : bool
        Take runs that never ended for dead, and remove what may be theirs too.
    wait_s : float
        How long to wait for the recorder's lock.

    Raises
    ------
    StorageError
        When there is no database, or the rebuilt file does not hold what the old one does; nothing is
        replaced then.
    """
    if not paths.working.exists() and not paths.published.exists():
        raise DatabaseMissingError(
            f"there is no database at {paths.published}. Run `lihop screen` first, or give --db"
        )
    with writing(paths, wait_s) as connection:
        files = shard_files(paths, connection, ignore_runs=force)
        connection.execute(f"CHECKPOINT {ALIAS}")
        connection.close()
        before = paths.working.stat().st_size
        _rebuild(paths)
        # Only now: a file that is needed must not go before what needs it is known to be whole.
        removed = [*files.spent, *files.orphaned]
        remove(removed)
    publish(paths, wait_s)
    after = paths.working.stat().st_size
    left = total([*files.needed, *files.in_use])
    return Vacuumed(before, after, left + total(removed), left, len(removed), len(files.in_use))


def _rebuild(paths: DatabasePaths) -> None:
    """Replace the checkpointed working file by one that holds the same and nothing else."""
    # What no row lies in is not copied: where that alone is damaged, the copy is whole again.
    expected = inspect(paths.working, blocks=False)
    with fresh(paths.vacuuming), atomic.replacing(paths.working, paths.vacuuming) as temporary:
        _copy_database(paths.working, temporary, paths.work)
        _check_same(expected, inspect(temporary), paths.working)


def _copy_database(source: Path, target: Path, scratch: Path) -> None:
    """Copy tables, constraints, views, comments and rows into a fresh file that older clients can open."""
    with closing(connect(scratch)) as connection:
        connection.execute(f"ATTACH {quoted(source)} AS {_OLD} (READ_ONLY)")
        connection.execute(f"ATTACH {quoted(target)} AS {ALIAS} (STORAGE_VERSION '{STORAGE_VERSION}')")
        connection.execute(f"COPY FROM DATABASE {_OLD} TO {ALIAS}")
        connection.execute(f"CHECKPOINT {ALIAS}")
    # Opened once more by itself, as every reader will.
    with closing(attach(target, read_only=True)):
        pass


def _check_same(expected: Inspected, found: Inspected, path: Path) -> None:
    """Refuse a rebuilt file that lost rows, a constraint, a view or a comment."""
    if found == expected:
        return
    differing = sorted({f"{kind} {name}" for kind, name, *_ in set(expected.schema) ^ set(found.schema)})
    raise StorageError(
        f"{path} was not rebuilt, since the copy differs: rows {expected.facts.rows} became "
        f"{found.facts.rows}; differing are {differing[:3]}. The file is as it was; report this"
    )
