"""The database files: a working file that one recorder writes, and the copy that everybody reads."""

from __future__ import annotations

import json
import os
import socket
import tempfile
import time
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import duckdb
import filelock

from storage import atomic
from storage.errors import (
    CorruptDatabaseError,
    DatabaseLockedError,
    DatabaseMissingError,
    NewerSchemaError,
    SchemaMismatchError,
    StorageError,
)
from storage.fingerprints import check_copy, note_copies
from storage.schema import applied_steps, check_version, migrate, migrations

if TYPE_CHECKING:
    from collections.abc import Iterator

# Clients from DuckDB 1.2 on can open a file of this version; a plain 2.x file they cannot.
STORAGE_VERSION = "v1.2.0"
ALIAS = "lihop"
DEFAULT_NAME = "lihop.duckdb"
DEFAULT_WAIT_S = 60.0
_POLL_S = 0.05
_LOCK_MESSAGE = "Could not set lock"
_MAGIC = b"DUCK"
_MAGIC_AT = 8


@dataclass(frozen=True)
class DatabasePaths:
    """Where the files of one database lie."""

    published: Path

    @property
    def work(self) -> Path:
        """Return the folder of everything that is not published."""
        return self.published.with_name(f"{self.published.name}.work")

    @property
    def working(self) -> Path:
        """Return the file that only the recorder opens."""
        return self.work / "working.duckdb"

    @property
    def lock(self) -> Path:
        """Return the file whose lock the recorder holds while it works."""
        return self.work / "recorder.lock"

    @property
    def holder(self) -> Path:
        """Return the file that names who holds the lock."""
        return self.work / "recorder.holder.json"

    @property
    def note(self) -> Path:
        """Return the file that tells by which fingerprint the published copy is known again."""
        return self.work / "published.json"

    @property
    def shards(self) -> Path:
        """Return the folder for shards."""
        return self.work / "shards"

    @property
    def manifests(self) -> Path:
        """Return the folder for the manifests of runs."""
        return self.work / "manifests"


def paths_of(db: str | Path) -> DatabasePaths:
    """Return the paths of a database, from that of its published copy."""
    return DatabasePaths(Path(db).absolute())


def make_folder(paths: DatabasePaths, folder: Path) -> None:
    """Make a folder within a database's working folder.

    Raises
    ------
    StorageError
        When it cannot be made there.
    """
    _refuse_folder(paths.published)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise _unwritable(paths, error) from error


def _refuse_folder(path: Path) -> None:
    if path.is_dir():
        raise StorageError(f"{path} is a folder; give a file as --db, such as {path / DEFAULT_NAME}")


def _unwritable(paths: DatabasePaths, error: OSError) -> StorageError:
    """Return that the working folder cannot be made or written, and what to do."""
    return StorageError(
        f"cannot write in {paths.work}: {error.strerror}. Give a --db in a folder that can be written"
    )


@contextmanager
def locked(paths: DatabasePaths, wait_s: float = DEFAULT_WAIT_S) -> Iterator[None]:
    """Hold the recorder's lock, waiting for it at most `wait_s` seconds.

    Raises
    ------
    DatabaseLockedError
        When another process still holds it then.
    """
    make_folder(paths, paths.work)
    lock = filelock.FileLock(paths.lock)
    try:
        lock.acquire(timeout=wait_s, poll_interval=_POLL_S)
    except filelock.Timeout:
        raise DatabaseLockedError(
            f"{paths.working} is in use by {_holder(paths)}; waited {wait_s:g} s. "
            "Wait until that run has finished, or give another --db"
        ) from None
    except OSError as error:
        raise _unwritable(paths, error) from error
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
        opened = closing(_attach(paths.working, wait_s=wait_s, scratch=paths.work))
        with opened as connection, explaining(paths.working):
            migrate(connection)
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
        opened = closing(_attach(paths.working, wait_s=wait_s, scratch=paths.work))
        with opened as connection, explaining(paths.working):
            migrate(connection)
            connection.execute(f"CHECKPOINT {ALIAS}")
        if _wal(paths.working).exists():
            raise CorruptDatabaseError(f"{paths.working} could not be checkpointed; nothing was published")
        # What a client wrote into the old copy must not be replayed onto the new one.
        if _wal(paths.published).exists():
            _wal(paths.published).replace(paths.work / "orphaned.wal")
        note_copies(paths.note, paths.published, paths.working)
        atomic.copy_file(paths.working, paths.published)
        note_copies(paths.note, paths.published)
    return True


@contextmanager
def reading(db: str | Path) -> Iterator[duckdb.DuckDBPyConnection]:
    """Open the published copy so that no statement can write, read another file or load an extension.

    The file is attached to a connection of our own: DuckDB would otherwise hand out the state of a copy
    that somebody in this process opened before it was replaced.

    Raises
    ------
    DatabaseMissingError, DatabaseLockedError, NewerSchemaError, SchemaMismatchError, CorruptDatabaseError
        When the file cannot be used, with what to do about it.
    """
    path = Path(db).absolute()
    _refuse_folder(path)
    if not path.is_file():
        raise DatabaseMissingError(
            f"there is no database at {path}. Run `lihop screen --source reference` first, or give --db"
        )
    with closing(_attach(path, read_only=True)) as connection, explaining(path):
        connection.execute("SET enable_external_access = false")
        connection.execute("SET lock_configuration = true")
        applied = applied_steps(connection)
        if not applied:
            raise SchemaMismatchError(
                f"{path} is an empty database; run `lihop screen`, or give another --db"
            )
        check_version(applied, migrations())
        yield connection


@contextmanager
def explaining(path: Path) -> Iterator[None]:
    """Turn what DuckDB says about a damaged file into an error that says what to do."""
    try:
        yield
    except (
        duckdb.IOException,
        duckdb.FatalException,
        duckdb.InternalException,
        duckdb.SerializationException,
    ) as error:
        raise CorruptDatabaseError(
            f"{path} cannot be read or written: {_first_line(error)}. Check the disk's space; if the file is "
            "damaged, put a copy of it in its place"
        ) from error


def _prepare(paths: DatabasePaths) -> None:
    """See to it that there is a working file, and that publishing it will overwrite nothing but its copy."""
    if not paths.working.exists():
        _create(paths)
    check_copy(paths.published, paths.note)


def _create(paths: DatabasePaths) -> None:
    """Make the working file, whole or not at all."""
    _wal(paths.working).unlink(missing_ok=True)
    if paths.published.exists():
        with reading(paths.published):  # what is not ours is refused before it is taken over
            pass
        note_copies(paths.note, paths.published)
        atomic.copy_file(paths.published, paths.working)
        return
    with atomic.replacing(paths.working) as temporary:
        connection = _connect(paths.work)
        with closing(connection):
            connection.execute(
                f"ATTACH {_quoted(temporary)} AS {ALIAS} (STORAGE_VERSION '{STORAGE_VERSION}')"
            )
            connection.execute(f"USE {ALIAS}")
            migrate(connection)
            connection.execute(f"CHECKPOINT {ALIAS}")


def _attach(
    path: Path, *, read_only: bool = False, wait_s: float = 5.0, scratch: Path | None = None
) -> duckdb.DuckDBPyConnection:
    """Attach an existing file to a fresh connection, waiting while another process holds it."""
    check_magic(path)
    deadline = time.monotonic() + wait_s
    option = " (READ_ONLY)" if read_only else ""
    while True:
        connection = _connect(scratch)
        try:
            connection.execute(f"ATTACH {_quoted(path)} AS {ALIAS}{option}")
            connection.execute(f"USE {ALIAS}")
        except duckdb.Error as error:
            connection.close()
            if _LOCK_MESSAGE not in str(error):
                raise _unusable(path, error) from error
            if time.monotonic() >= deadline:
                raise DatabaseLockedError(
                    f"{path} is open in another program: {_first_line(error)}; waited {wait_s:g} s. "
                    "Close it there, or open it there read-only"
                ) from error
            time.sleep(_POLL_S)
        else:
            return connection


def _connect(scratch: Path | None) -> duckdb.DuckDBPyConnection:
    """Return an in-memory connection that loads no extension and spills into a folder of our choice."""
    spill = (scratch or Path(tempfile.gettempdir())) / f"spill-{os.getpid()}"
    return duckdb.connect(
        ":memory:",
        config={
            "autoinstall_known_extensions": "false",
            "autoload_known_extensions": "false",
            "temp_directory": str(spill),
        },
    )


def check_magic(path: Path) -> None:
    """Refuse a file that is no DuckDB file at all."""
    with path.open("rb") as stream:
        head = stream.read(_MAGIC_AT + len(_MAGIC))
    if head[_MAGIC_AT:] != _MAGIC:
        raise CorruptDatabaseError(
            f"{path} is not a DuckDB file ({path.stat().st_size} bytes). Move it aside, or give another --db"
        )


def _unusable(path: Path, error: duckdb.Error) -> CorruptDatabaseError | NewerSchemaError:
    """Return why a file cannot be attached."""
    if "version number" in str(error) or "newer version" in str(error):
        return NewerSchemaError(f"{path} was written by another DuckDB: {_first_line(error)}. Upgrade duckdb")
    return CorruptDatabaseError(
        f"{path} cannot be opened: {_first_line(error)}. Put a copy of it in its place, or move it aside"
    )


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


def _wal(path: Path) -> Path:
    """Return the path of a database's write-ahead log."""
    return path.with_name(f"{path.name}.wal")


def _quoted(path: Path) -> str:
    """Return a path as an SQL string."""
    return "'" + str(path).replace("'", "''") + "'"


def _first_line(error: Exception) -> str:
    """Return the first line of an error's message."""
    return str(error).strip().split("\n", maxsplit=1)[0]
