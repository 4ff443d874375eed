"""Moving the shards of a database to another results folder."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from storage.database import DEFAULT_WAIT_S, writing
from storage.errors import DatabaseMissingError, FolderError
from storage.folder_names import normalised
from storage.folders import remove, try_out, within, write
from storage.results_folder import note, own_folder, remembered, shards_of
from storage.shard_files import any_unfinished, shard_files, total
from storage.shards import unseal

if TYPE_CHECKING:
    from storage.places import DatabasePaths


@dataclass(frozen=True)
class Moved:
    """Where shards lie, how many, and how many bytes they have."""

    given: str
    shards: str
    n_shards: int
    bytes: int

    def as_dict(self) -> dict[str, Any]:
        """Return it for JSON."""
        return asdict(self)


def move_shards(
    paths: DatabasePaths, to: str | None = None, *, force: bool = False, wait_s: float = DEFAULT_WAIT_S
) -> Moved:
    """Move the shards that later runs read again to another results folder, and remove the others.

    Parameters
    ----------
    paths : DatabasePaths
        The database.
    to : str, optional
        The results folder; left out, nothing is moved and only said where shards lie.
    force : bool
        Take runs that never ended for dead.
    wait_s : float
        How long to wait for the recorder's lock.

    Raises
    ------
    StorageError
        When there is no database, a run has not ended, a shard is damaged or a folder cannot be used;
        shards lie where they lay then.
    """
    if not paths.working.exists() and not paths.published.exists():
        raise DatabaseMissingError(
            f"there is no database at {paths.published}. Run `lihop screen` first, or give --db"
        )
    target = None if to is None else normalised(to)
    with writing(paths, wait_s) as connection:
        noted = remembered(paths)
        given = str(paths.shards) if noted is None else noted.given
        files = shard_files(paths, connection, ignore_runs=force)
        if target is not None and target != given:
            if not force and any_unfinished(connection):
                raise FolderError(
                    f"the shards of {paths.published} are not moved, since a run has not ended (`lihop runs "
                    "list` names it); wait for it, or give --force if its process is dead"
                )
            chosen = own_folder(paths, target)
            folder = str(paths.shards) if chosen is None else chosen.shards
            try_out(folder)
            for one in files.needed:
                write(within(folder, one.path.name), one.path.read_bytes())
                unseal(within(folder, one.path.name))
            note(paths, chosen)
            # Only now: a kill before has left copies, and shards where they were.
            remove([*files.needed, *files.spent, *files.orphaned])
            given = target
        return Moved(given, str(shards_of(paths)), len(files.needed), total(files.needed))
