"""Snapshots of the working file: taken under the recorder's lock, and put back after damage."""

from __future__ import annotations

import os
from contextlib import closing, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from storage import atomic
from storage.connections import ALIAS, attach
from storage.database import DEFAULT_WAIT_S, copying, locked, publish, wal_of
from storage.errors import CorruptDatabaseError, DatabaseMissingError, StorageError
from storage.fingerprints import fingerprint, note_copies
from storage.inspection import inspect
from storage.places import refuse_folder, unwritable
from storage.published import keep_answers
from storage.snapshot_files import (
    Snapshot,
    described,
    facts_path,
    keep_copy,
    kept_in,
    measured,
    stamp,
    time_in,
)

if TYPE_CHECKING:
    from storage.places import DatabasePaths

LATEST, PUBLISHED, WORKING = "latest", "published", "working"


@dataclass(frozen=True)
class Restored:
    """What a restoration did: from which file, what is in it now, and where what it replaced lies."""

    source: Path
    rows: dict[str, int]
    replaced: tuple[Path, ...]

    def as_dict(self) -> dict[str, Any]:
        """Return it for JSON."""
        return {
            "restored": str(self.source),
            "rows": self.rows,
            "replaced": [str(path) for path in self.replaced],
        }


def take(
    paths: DatabasePaths,
    *,
    to: Path | None = None,
    keep: int | None = None,
    wait_s: float = DEFAULT_WAIT_S,
) -> tuple[Snapshot, list[Path]]:
    """Keep a copy of the working file.

    Parameters
    ----------
    paths : DatabasePaths
        The database.
    to : Path, optional
        Where to; a file named after the time among the snapshots otherwise.
    keep : int, optional
        Of the snapshots that were asked for keep so many, the newest, and remove older ones. What was kept
        before an upgrade is left alone.
    wait_s : float
        How long to wait for the recorder's lock.

    Returns
    -------
    Snapshot
        The copy.
    list of Path
        Snapshots that were removed.

    Raises
    ------
    StorageError
        When there is nothing to copy, something lies at `to`, or the working file cannot be used.
    """
    if keep is not None and keep < 1:
        raise StorageError(f"--keep {keep}: at least the new snapshot is kept; give 1 or more")
    if not paths.working.exists() and not paths.published.exists():
        raise DatabaseMissingError(
            f"there is no database at {paths.published}. Run `lihop screen` first, or give --db"
        )
    if to is not None:
        _refuse_taken(to.absolute())
    with copying(paths, wait_s) as connection:
        # It is read as a published copy is, and says what was recorded since the last one too.
        keep_answers(connection)
        facts = measured(connection)
        connection.execute(f"CHECKPOINT {ALIAS}")
        connection.close()
        at = time_in(paths.snapshots)
        target = paths.snapshots / f"{stamp(at)}.duckdb" if to is None else to.absolute()
        try:
            kept = keep_copy(paths.working, target, facts, at, paths.keeping(target.parent))
        except OSError as error:
            raise unwritable(paths, error) if to is None else _unwritable_to(target, error) from error
        return kept, [] if keep is None else _remove_older(paths, keep, kept.path)


def _refuse_taken(target: Path) -> None:
    """Refuse a place for a snapshot where something lies, or nothing can."""
    try:
        refuse_folder(target, "--to")
        taken = target.exists()
    except OSError as error:
        raise _unwritable_to(target, error) from error
    if taken:
        raise StorageError(f"there is a file at {target} already; give another --to, or move it aside")


def _unwritable_to(target: Path, error: OSError) -> StorageError:
    """Return that a snapshot cannot be written where it was asked to be, and what to do."""
    return StorageError(
        f"cannot write {target}: {error.strerror}. Make room there, or give a --to in a folder that can be "
        "written"
    )


def _remove_older(paths: DatabasePaths, keep: int, newest: Path) -> list[Path]:
    """Remove all but the newest snapshots that somebody asked for, and never the one just made."""
    asked = [one.path for one in kept_in(paths.snapshots) if not one.path.name.startswith("before-")]
    older = [path for path in asked if path != newest]
    gone = older[keep - (len(asked) - len(older)) :]
    for path in gone:
        facts_path(path).unlink(missing_ok=True)
        path.unlink(missing_ok=True)
    return gone


def restore(
    paths: DatabasePaths, which: str = LATEST, *, confirmed: bool = False, wait_s: float = DEFAULT_WAIT_S
) -> Restored:
    """Put a file in the place of the working file, and publish it.

    What it replaces is moved aside and never deleted.

    Parameters
    ----------
    paths : DatabasePaths
        The database.
    which : str
        ``latest``, the name or the path of a snapshot; ``published`` goes on from the published copy,
        ``working`` publishes the working file again.
    confirmed : bool
        Replace a file that can be read, too.
    wait_s : float
        How long to wait for the recorder's lock.

    Raises
    ------
    StorageError
        When there is no such snapshot, it does not check out, or the present file can be read and nobody
        confirmed that it is to be replaced.
    """
    source = _source(paths, which)
    with locked(paths, wait_s):
        _check_whole(source, wait_s, logged=source in {paths.working, paths.published})
        if not confirmed:
            _refuse_readable(paths, source, wait_s)
        replaced = _put(paths, source)
        # Of what is there now: a published copy comes without what another program logged beside it.
        with closing(attach(paths.working, read_only=True, wait_s=wait_s)) as connection:
            rows = measured(connection).rows
    publish(paths, wait_s)
    return Restored(source, rows, tuple(replaced))


def _source(paths: DatabasePaths, which: str) -> Path:
    """Return the file that is meant."""
    if which in {PUBLISHED, WORKING}:
        path = paths.published if which == PUBLISHED else paths.working
        if not path.is_file():
            raise StorageError(f"there is no {which} file at {path}; give a snapshot instead")
        return path
    kept = kept_in(paths.snapshots)
    if which == LATEST:
        if not kept:
            raise StorageError(
                f"there is no snapshot of {paths.published} in {paths.snapshots}; `lihop db snapshot` makes "
                f"one, and {PUBLISHED} or {WORKING} can be restored where that file is whole"
            )
        return kept[0].path
    for one in kept:
        if which in {one.path.stem, one.path.name}:
            return one.path
    if Path(which).is_file():
        return Path(which).absolute()
    names = ", ".join([LATEST, PUBLISHED, WORKING, *(one.path.stem for one in kept)])
    raise StorageError(f"there is no snapshot {which!r}; allowed are {names}, or the path of one")


def _check_whole(source: Path, wait_s: float, *, logged: bool) -> None:
    """Refuse a file that is damaged, not what was noted of it, or, unless `logged`, without its log."""
    log = wal_of(source)
    if log.exists() and not logged:
        raise StorageError(
            f"beside {source} lies a log of what was written into it since, {log.name}, which would not be "
            "restored. Close it where it is open, or move the log aside to restore the file without it"
        )
    found = inspect(source, wait_s=wait_s).facts
    noted = described(source)
    if noted.facts is not None and (noted.fingerprint, noted.facts) != (fingerprint(source), found):
        raise CorruptDatabaseError(
            f"{source} is not the file that {facts_path(source).name} beside it was written of; restore "
            "another snapshot"
        )


def _refuse_readable(paths: DatabasePaths, source: Path, wait_s: float) -> None:
    """Refuse to replace what is there if it can be read: the working file, or else the copy."""
    present = paths.published if source == paths.working or not paths.working.exists() else paths.working
    if present == source or not present.exists():
        return
    with suppress(CorruptDatabaseError):
        inspect(present, wait_s=wait_s)
        raise StorageError(
            f"{present} can be read, and would be replaced by {source.name}; give --yes if that is meant "
            f"(it is moved to {paths.replaced}, not deleted)"
        )


def _put(paths: DatabasePaths, source: Path) -> list[Path]:
    """Move what is there aside and put a file in its place; at a kill all of it lies somewhere."""
    name = stamp(datetime.now(UTC))
    replaced: list[Path] = []
    if source != paths.published and paths.published.exists():
        _keep_aside(paths, paths.published, f"{name}.published.duckdb", replaced)
    if source != paths.working:
        if paths.working.exists():
            _keep_aside(paths, paths.working, f"{name}.duckdb", replaced)
        if wal_of(paths.working).exists():
            # A log of the file that was must not be replayed onto the one that will be.
            target = wal_of(paths.replaced / f"{name}.duckdb")
            target.parent.mkdir(parents=True, exist_ok=True)
            wal_of(paths.working).replace(target)
            replaced.append(target)
        atomic.copy_file(source, paths.working, paths.taking_over)
    # Whatever lies in the published place is kept aside by now, and may be overwritten.
    note_copies(paths.note, paths.published, paths.working)
    return replaced


def _keep_aside(paths: DatabasePaths, path: Path, name: str, replaced: list[Path]) -> None:
    """Give a file a second name, under which it stays when another takes its first one."""
    target = paths.replaced / name
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        os.link(path, target)
    except OSError:  # a file system without links
        atomic.copy_file(path, target, paths.keeping(target.parent))
    atomic.sync_folder(target.parent)
    replaced.append(target)
