"""The database files: a working file that one recorder writes, and the copy that everybody reads."""

from __future__ import annotations

import json
import math
import os
import shutil
import socket
import tempfile
import time
from contextlib import AbstractContextManager, ExitStack, closing, contextmanager, nullcontext
from contextvars import ContextVar
from pathlib import Path
from typing import TYPE_CHECKING

import filelock

from storage import atomic
from storage.columns import SCHEMA_VERSION
from storage.connections import ALIAS, POLL_S, attach, connect, explaining, quoted
from storage.errors import (
    CorruptDatabaseError,
    DatabaseLockedError,
    DatabaseMissingError,
    SchemaMismatchError,
    StorageError,
)
from storage.fingerprints import check_copy, fingerprint, note_copies
from storage.places import DatabasePaths, make_folder, refuse_folder, unwritable
from storage.published import keep_answers
from storage.schema import applied_steps, check_version, migrate, migrations, pending_steps
from storage.snapshot_files import Facts, keep_copy, kept_in, measured, remedy, stamp, time_in

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import duckdb

# Clients from DuckDB 1.2 on can open a file of this version; a plain 2.x file they cannot.
STORAGE_VERSION = "v1.2.0"
DEFAULT_WAIT_S = 60.0


def _alone(_wait_s: float) -> AbstractContextManager[None]:
    """Hold nothing besides."""
    return nullcontext()


_also_held: ContextVar[Callable[[float], AbstractContextManager[None]]] = ContextVar(
    "lihop_also_held", default=_alone
)
_patient_until: ContextVar[float] = ContextVar("lihop_patient_until", default=math.inf)


@contextmanager
def also_holding(guard: Callable[[float], AbstractContextManager[None]]) -> Iterator[None]:
    """Inside the body, whoever holds the recorder's lock holds a guard besides: one that other machines know.

    Parameters
    ----------
    guard : callable
        Returns a context manager, and is given the longest that it may wait (s), which may be infinite. It is
        entered before the lock, and left after it.
    """
    token = _also_held.set(guard)
    try:
        yield
    finally:
        _also_held.reset(token)


@contextmanager
def waiting_at_most(seconds: float) -> Iterator[None]:
    """Inside the body, nobody waits for a database any longer than so many seconds, all waits together."""
    token = _patient_until.set(min(_patient_until.get(), time.monotonic() + seconds))
    try:
        yield
    finally:
        _patient_until.reset(token)


def _bounded(wait_s: float) -> float:
    """Return how long may still be waited (s), of so long."""
    return max(0.0, min(wait_s, _patient_until.get() - time.monotonic()))


@contextmanager
def locked(paths: DatabasePaths, wait_s: float = DEFAULT_WAIT_S) -> Iterator[None]:
    """Hold the recorder's lock, waiting for it at most `wait_s` seconds.

    Raises
    ------
    DatabaseLockedError
        When another process still holds it then.
    """
    make_folder(paths, paths.work)
    # Always in this order, so that nobody waits in a ring. And whoever waits for other machines, which may
    # take long, keeps nobody of this one from the lock meanwhile.
    with _also_held.get()(_bounded(math.inf)), _file_lock(paths, _bounded(wait_s)):
        yield


@contextmanager
def _file_lock(paths: DatabasePaths, wait_s: float) -> Iterator[None]:
    """Hold the lock of this machine, and say in the file beside it who does."""
    lock = filelock.FileLock(paths.lock)
    try:
        lock.acquire(timeout=wait_s, poll_interval=POLL_S)
    except filelock.Timeout:
        raise DatabaseLockedError(
            f"{paths.working} is in use by {_holder(paths)}; waited {wait_s:.3g} s. "
            "Wait until that run has finished, or give another --db"
        ) from None
    except OSError as error:
        raise unwritable(paths, error) from error
    try:
        paths.holder.write_text(
            json.dumps({"pid": os.getpid(), "host": socket.gethostname(), "since": time.time()})
        )
        yield
    except RuntimeError as error:
        # DuckDB's own words for an interrupt from the keyboard, which it turns into an error.
        if str(error) == "Query interrupted":
            raise KeyboardInterrupt from error
        raise
    finally:
        paths.holder.unlink(missing_ok=True)
        lock.release()


@contextmanager
def writing(paths: DatabasePaths, wait_s: float = DEFAULT_WAIT_S) -> Iterator[duckdb.DuckDBPyConnection]:
    """Lock and open the working file at the newest schema, and close it again.

    A missing working file is made from the published copy when there is one, so that a database that was
    moved without its working folder goes on from where it stood.

    Raises
    ------
    DatabaseLockedError, NewerSchemaError, SchemaMismatchError, CorruptDatabaseError
        When the file cannot be used, with what to do about it.
    ForeignCopyError
        When the published copy came from elsewhere: what is written could never be published.
    """
    with locked(paths, wait_s):
        _prepare(paths)
        with _upgraded(paths, wait_s) as connection:
            yield connection


@contextmanager
def copying(paths: DatabasePaths, wait_s: float = DEFAULT_WAIT_S) -> Iterator[duckdb.DuckDBPyConnection]:
    """Lock and open the working file as `writing` does, whatever was published: nothing will be."""
    with locked(paths, wait_s):
        if not paths.working.exists():
            _create(paths)
        with _upgraded(paths, wait_s) as connection:
            yield connection


def publish(paths: DatabasePaths, wait_s: float = DEFAULT_WAIT_S, min_interval_s: float = 0.0) -> bool:
    """Replace the published copy by the state of the working file, atomically.

    Parameters
    ----------
    paths : DatabasePaths
        The database.
    wait_s : float
        How long to wait for the recorder's lock.
    min_interval_s : float
        Do nothing when the copy is younger than this.

    Returns
    -------
    bool
        Whether a copy was made.

    Raises
    ------
    DatabaseLockedError, NewerSchemaError, SchemaMismatchError, CorruptDatabaseError, ForeignCopyError
        As `writing` does.
    """
    if _is_younger(paths.published, min_interval_s):
        return False
    with locked(paths, wait_s):
        _prepare(paths)
        with _upgraded(paths, wait_s) as connection:
            keep_answers(connection)
            connection.execute(f"CHECKPOINT {ALIAS}")
        if wal_of(paths.working).exists():
            raise CorruptDatabaseError(
                f"{paths.working} could not be checkpointed; nothing was published. What to do: "
                f"{remedy(paths.working)}"
            )
        # What a client wrote into the old copy must not be replayed onto the new one.
        if wal_of(paths.published).exists():
            wal_of(paths.published).replace(paths.work / "orphaned.wal")
        note_copies(paths.note, paths.published, paths.working)
        _copy(paths, paths.working, paths.published, paths.publishing)
        note_copies(paths.note, paths.published)
    return True


@contextmanager
def reading(db: str | Path) -> Iterator[duckdb.DuckDBPyConnection]:
    """Open the published copy so that no statement can write, read another file or load an extension.

    The file is attached to a connection of our own: DuckDB would otherwise hand out the state of a copy
    that somebody in this process opened before it was replaced. A copy that an older lihop published is read
    by way of a temporary one that is brought up to this schema; it is itself left alone.

    Raises
    ------
    DatabaseMissingError, DatabaseLockedError, NewerSchemaError, SchemaMismatchError, CorruptDatabaseError
        When the file cannot be used, with what to do about it.
    """
    path = Path(db).absolute()
    refuse_folder(path)
    if not path.is_file():
        raise DatabaseMissingError(
            f"there is no database at {path}. Run `lihop screen --source reference` first, or give --db"
        )
    with ExitStack() as stack:
        stack.enter_context(explaining(path))
        connection = stack.enter_context(closing(attach(path, read_only=True)))
        if pending_steps(_checked_steps(connection, path), migrations()):
            connection.close()
            copy = _brought_up(path, stack.enter_context(_scratch_folder(path)))
            connection = stack.enter_context(closing(attach(copy, read_only=True)))
        connection.execute("SET enable_external_access = false")
        connection.execute("SET lock_configuration = true")
        yield connection


def _checked_steps(connection: duckdb.DuckDBPyConnection, path: Path) -> dict[tuple[int, str], str]:
    """Return the steps of a published copy; refuse one that is empty, foreign or of a newer lihop."""
    applied = applied_steps(connection)
    if not applied:
        raise SchemaMismatchError(f"{path} is an empty database; run `lihop screen`, or give another --db")
    check_version(applied, migrations())
    return applied


@contextmanager
def _scratch_folder(path: Path) -> Iterator[Path]:
    """Yield a folder for a temporary copy of a database, and remove it afterwards."""
    try:
        folder = tempfile.TemporaryDirectory(prefix="lihop-")
    except OSError as error:
        raise _uncopyable(path, error) from error
    with folder as name:
        yield Path(name)


def _brought_up(path: Path, folder: Path) -> Path:
    """Return a copy of a published copy, of the newest schema."""
    copy = folder / path.name
    try:
        shutil.copyfile(path, copy)
    except OSError as error:
        raise _uncopyable(path, error) from error
    with closing(attach(copy, scratch=folder)) as connection:
        migrate(connection)
        keep_answers(connection)
        connection.execute(f"CHECKPOINT {ALIAS}")
    return copy


def _uncopyable(path: Path, error: OSError) -> StorageError:
    """Return that an older database cannot be brought up in a temporary copy, and what to do."""
    return StorageError(
        f"{path} was written by an older lihop and is read by way of a temporary copy, which cannot be made: "
        f"{error.strerror}. Make room or set TMPDIR, or run `lihop screen` on it, which upgrades it for good"
    )


def _prepare(paths: DatabasePaths) -> None:
    """See to it that there is a working file, and that publishing it will overwrite nothing but its copy."""
    if not paths.working.exists():
        _create(paths)
    check_copy(paths.published, paths.note)


def _create(paths: DatabasePaths) -> None:
    """Make the working file, whole or not at all."""
    wal_of(paths.working).unlink(missing_ok=True)
    if paths.published.exists():
        # What is not ours is refused before it is taken over.
        opened = closing(attach(paths.published, read_only=True))
        with opened as connection, explaining(paths.published):
            _checked_steps(connection, paths.published)
        note_copies(paths.note, paths.published)
        _copy(paths, paths.published, paths.working, paths.taking_over)
        return
    with (
        explaining(paths.working),
        fresh(paths.taking_over),
        atomic.replacing(paths.working, paths.taking_over) as temporary,
        closing(connect(paths.work)) as connection,
    ):
        connection.execute(f"ATTACH {quoted(temporary)} AS {ALIAS} (STORAGE_VERSION '{STORAGE_VERSION}')")
        connection.execute(f"USE {ALIAS}")
        migrate(connection)
        connection.execute(f"CHECKPOINT {ALIAS}")


def _copy(paths: DatabasePaths, source: Path, target: Path, temporary: Path) -> None:
    """Copy one of a database's files over another, or say why that cannot be."""
    try:
        atomic.copy_file(source, target, temporary)
    except OSError as error:
        raise unwritable(paths, error) from error


@contextmanager
def fresh(path: Path) -> Iterator[None]:
    """See to it that nothing lies at a path before a database is made there, and no log of one after it."""
    path.unlink(missing_ok=True)
    wal_of(path).unlink(missing_ok=True)
    try:
        yield
    finally:
        wal_of(path).unlink(missing_ok=True)


@contextmanager
def _upgraded(paths: DatabasePaths, wait_s: float) -> Iterator[duckdb.DuckDBPyConnection]:
    """Open the working file at the newest schema; a file of an older one is kept as a snapshot before."""
    wait_s = _bounded(wait_s)
    with ExitStack() as stack:
        stack.enter_context(explaining(paths.working))
        connection = stack.enter_context(closing(attach(paths.working, wait_s=wait_s, scratch=paths.work)))
        applied = applied_steps(connection)
        check_version(applied, migrations())
        if applied and max(version for version, _ in applied) < SCHEMA_VERSION:
            facts = measured(connection)
            connection.execute(f"CHECKPOINT {ALIAS}")
            connection.close()
            _keep_before_upgrade(paths, facts)
            connection = stack.enter_context(
                closing(attach(paths.working, wait_s=wait_s, scratch=paths.work))
            )
        migrate(connection)
        yield connection


def _keep_before_upgrade(paths: DatabasePaths, facts: Facts) -> None:
    """Keep the working file as it is, unless that was done before an upgrade that did not come about."""
    prefix = f"before-schema-{SCHEMA_VERSION}-"
    present = fingerprint(paths.working)
    if not any(
        one.path.name.startswith(prefix) and one.fingerprint == present for one in kept_in(paths.snapshots)
    ):
        at = time_in(paths.snapshots)
        target = paths.snapshots / f"{prefix}{stamp(at)}.duckdb"
        try:
            keep_copy(paths.working, target, facts, at, paths.keeping(paths.snapshots))
        except OSError as error:
            raise unwritable(paths, error) from error


def _holder(paths: DatabasePaths) -> str:
    """Return who holds the lock, as far as is known."""
    try:
        holder = json.loads(paths.holder.read_text())
        return f"process {holder['pid']} on {holder['host']}"
    except (OSError, ValueError, KeyError, TypeError):
        return "another process"


def _is_younger(path: Path, min_interval_s: float) -> bool:
    """Tell whether a file was written less than so many seconds ago; a clock set back does not count."""
    if min_interval_s <= 0 or not path.exists():
        return False
    return 0 <= time.time() - path.stat().st_mtime < min_interval_s


def wal_of(path: Path) -> Path:
    """Return the path of a database's write-ahead log."""
    return path.with_name(f"{path.name}.wal")
