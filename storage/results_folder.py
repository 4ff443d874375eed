"""Where the shards of a database lie: beside it, or in a results folder that is remembered."""

from __future__ import annotations

import json
import re
import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from storage import atomic
from storage.database import DEFAULT_WAIT_S, locked
from storage.errors import FolderError
from storage.folder_names import is_remote, joined, normalised
from storage.folders import there, try_out
from storage.places import make_folder

if TYPE_CHECKING:
    from storage.places import DatabasePaths

_NOT_IN_NAMES = re.compile(r"[^A-Za-z0-9._-]+")


@dataclass(frozen=True)
class ResultsFolder:
    """A results folder, and the folder within it that is this database's alone.

    Parameters
    ----------
    given : str
        What was given: a path or a URI.
    shards : str
        Where shards lie. Several databases may be given one results folder: upkeep of one must not take what
        is another's for orphaned.
    """

    given: str
    shards: str


def shards_of(paths: DatabasePaths) -> str | Path:
    """Return the folder of the shards of a database."""
    noted = remembered(paths)
    return paths.shards if noted is None else noted.shards


def remembered(paths: DatabasePaths) -> ResultsFolder | None:
    """Return the results folder of a database; None where its shards lie beside it.

    Raises
    ------
    FolderError
        When the note of it cannot be read.
    """
    try:
        found = json.loads(paths.shards_note.read_text(encoding="utf-8"))
        return ResultsFolder(str(found["given"]), str(found["shards"]))
    except (FileNotFoundError, NotADirectoryError):
        # Where no folder can be made there is no note; whoever makes the folder says so.
        return None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise FolderError(
            f"{paths.shards_note} cannot be read: {error!r}. It tells where shards lie; restore it, or "
            "delete it, give --shards again, and what lay there is computed anew once it is needed"
        ) from error


def settle(paths: DatabasePaths, asked: str | None, wait_s: float = DEFAULT_WAIT_S) -> str:
    """Return the folder that shards are written to, made and tried out; it is remembered from then on.

    Parameters
    ----------
    paths : DatabasePaths
        The database.
    asked : str or None
        The results folder that was given, if any.
    wait_s : float
        How long to wait for the recorder's lock.

    Raises
    ------
    FolderError
        When the shards of the database lie elsewhere, or the folder cannot be used.
    """
    noted = remembered(paths)
    wanted = None if asked is None else normalised(asked)
    if wanted is not None and wanted != _given(paths, noted):
        noted = _choose(paths, wanted, wait_s)
    if noted is None:
        make_folder(paths, paths.shards)
        return str(paths.shards)
    try_out(noted.shards)
    return noted.shards


def note(paths: DatabasePaths, folder: ResultsFolder | None) -> None:
    """Remember where shards lie from now on; under the recorder's lock alone."""
    if folder is None:
        paths.shards_note.unlink(missing_ok=True)
    else:
        content = {"given": folder.given, "shards": folder.shards}
        atomic.write_text(paths.shards_note, json.dumps(content, indent=2) + "\n")


def own_folder(paths: DatabasePaths, given: str) -> ResultsFolder | None:
    """Return a folder of a database's own in a results folder; None when the one beside it is meant."""
    if given == str(paths.shards):
        return None
    name = _NOT_IN_NAMES.sub("-", paths.published.name).strip("-.") or "database"
    name = f"{name}-{uuid.uuid4().hex[:12]}"
    return ResultsFolder(given, joined(given, name) if is_remote(given) else str(Path(given) / name))


def _choose(paths: DatabasePaths, wanted: str, wait_s: float) -> ResultsFolder | None:
    """Remember a results folder, unless shards lie in another one."""
    with locked(paths, wait_s):
        noted = remembered(paths)
        given = _given(paths, noted)
        if wanted == given:
            # Another run was given the same, just before.
            return noted
        if noted is not None or there(paths.shards):
            raise FolderError(
                f"the shards of {paths.published} lie in {given}, and {wanted} was given; leave --shards out "
                f"to go on there, or move them: `lihop db shards --move-to {wanted} --db {paths.published}`"
            )
        chosen = own_folder(paths, wanted)
        if chosen is not None:
            # Before it is remembered: what cannot be used may have been a slip.
            try_out(chosen.shards)
            note(paths, chosen)
        return chosen


def _given(paths: DatabasePaths, noted: ResultsFolder | None) -> str:
    return str(paths.shards) if noted is None else noted.given
