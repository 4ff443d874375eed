"""Where the files of one database lie, and what is said of a folder that they cannot be made in."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

from storage.errors import StorageError
from storage.snapshot_files import SNAPSHOTS_NAME, WORK_SUFFIX, WORKING_NAME

DEFAULT_NAME = "lihop.duckdb"


@dataclass(frozen=True)
class DatabasePaths:
    """Where the files of one database lie."""

    published: Path

    @property
    def work(self) -> Path:
        """Return the folder of everything that is not published."""
        return self.published.with_name(f"{self.published.name}{WORK_SUFFIX}")

    @property
    def working(self) -> Path:
        """Return the file that only the recorder opens."""
        return self.work / WORKING_NAME

    @property
    def lock(self) -> Path:
        """Return the file whose lock the recorder holds while it works."""
        return self.work / "recorder.lock"

    @property
    def holder(self) -> Path:
        """Return the file that names who holds the lock."""
        return self.work / "recorder.holder.json"

    @property
    def publishing(self) -> Path:
        """Return the file that becomes the published copy; written under the recorder's lock alone."""
        return self.work / "publishing.tmp"

    @property
    def taking_over(self) -> Path:
        """Return the file that becomes the working one where a published copy is gone on from."""
        return self.work / "working.tmp"

    @property
    def vacuuming(self) -> Path:
        """Return the file that becomes the working one where it is rebuilt."""
        return self.work / "vacuuming.tmp"

    def keeping(self, folder: Path) -> Path:
        """Return the file that becomes a kept copy in a folder, where copies of other databases may lie too.

        It goes by one name, under the recorder's lock: the next copy is written over what a kill left of one.
        """
        return folder / f".{hashlib.sha256(str(self.published).encode()).hexdigest()[:32]}.keeping.tmp"

    @property
    def note(self) -> Path:
        """Return the file that tells by which fingerprint the published copy is known again."""
        return self.work / "published.json"

    @property
    def shards(self) -> Path:
        """Return the folder for shards, unless they lie elsewhere: see `storage.results_folder`."""
        return self.work / "shards"

    @property
    def shards_note(self) -> Path:
        """Return the file that tells where shards lie, if they lie elsewhere."""
        return self.work / "shards.json"

    @property
    def entries(self) -> Path:
        """Return the folder for the contents that were synced from remote databases."""
        return self.work / "entries"

    @property
    def manifests(self) -> Path:
        """Return the folder for the manifests of runs."""
        return self.work / "manifests"

    @property
    def snapshots(self) -> Path:
        """Return the folder for kept copies of the working file."""
        return self.work / SNAPSHOTS_NAME

    @property
    def replaced(self) -> Path:
        """Return the folder for files in whose place a snapshot was put."""
        return self.work / "replaced"

    @property
    def quarantine(self) -> Path:
        """Return the folder for shards that could not be trusted."""
        return self.work / "quarantine"


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
    refuse_folder(paths.published)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise unwritable(paths, error) from error


def refuse_folder(path: Path, option: str = "--db") -> None:
    """Refuse a folder where a file is wanted.

    Raises
    ------
    StorageError
        With a file that it may hold.
    """
    if path.is_dir():
        raise StorageError(f"{path} is a folder; give a file as {option}, such as {path / DEFAULT_NAME}")


def unwritable(paths: DatabasePaths, error: OSError) -> StorageError:
    """Return that the working folder cannot be made or written, and what to do."""
    return StorageError(
        f"cannot write in {paths.work}: {error.strerror}. Make room there, or give a "
        "--db in a folder that can be written"
    )
