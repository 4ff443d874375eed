"""What there is to read: the files of a folder that matter, and the items of one file with their digests."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import TYPE_CHECKING

from storage.records import Reason
from tasks.candidates.files_archives import ARCHIVES, is_archive, list_members
from tasks.candidates.files_formats import FORMATS, cause_of, parser_for
from tasks.candidates.files_places import Listed, Place, bytes_of
from tasks.candidates.files_tables import TABLES, TableError, is_table, list_rows

if TYPE_CHECKING:
    from collections.abc import Iterator

READABLE = f"{FORMATS}; {TABLES}; {ARCHIVES}"

WORKING_SUFFIX = ".work"
WORKING_CONTENT = ("recorder.lock", "working.duckdb", "manifests")
"""What tells a database's working folder from another whose name ends like it: any one of these."""


def is_known(name: str) -> bool:
    """Say whether a file is of a format that can be read, by its name."""
    return is_archive(name) or is_table(name) or parser_for(name) is not None


def known_files(root: Path) -> list[Path]:
    """Return the files of known formats in a folder and below, sorted; none hidden, none of a database."""
    return sorted(path for path in _visible_files(root) if is_known(path.name))


def list_file(path: Path, item_id: str, max_file_mb: float) -> Iterator[Listed]:
    """Yield the items of one file, in its own order; where it cannot be read, one that says why.

    Parameters
    ----------
    path : Path
        A structure file, a table or an archive.
    item_id : str
        What the file is called.
    max_file_mb : float
        Largest structure file, member or cell that is read, in MB.
    """
    try:
        if is_archive(path.name):
            yield from list_members(path, bytes_of(max_file_mb))
        elif is_table(path.name):
            with path.open("rb") as stream:
                yield from list_rows(stream, Place(str(path)), bytes_of(max_file_mb))
        else:
            yield Listed("", _digest(path, max_file_mb), Place(str(path)))
    except TableError as error:
        yield _refused(path, f"{item_id}: {error}")
    except OSError as error:
        yield _refused(path, f"{item_id} cannot be read ({cause_of(error)})")


def _refused(path: Path, message: str) -> Listed:
    place = Place(str(path), reason=Reason.UNREADABLE_FILE.value, message=message)
    return Listed("", hashlib.sha256(f"{path}:{message}".encode()).hexdigest(), place)


def _digest(path: Path, max_file_mb: float) -> str:
    size = path.stat().st_size
    if size > bytes_of(max_file_mb):
        return hashlib.sha256(f"too large:{size}:{max_file_mb}".encode()).hexdigest()
    # The suffix decides how the bytes are read, so it belongs to the content.
    return hashlib.sha256(path.suffix.encode() + b"\0" + path.read_bytes()).hexdigest()


def _visible_files(root: Path) -> Iterator[Path]:
    for folder, folders, names in os.walk(root):
        here = Path(folder)
        # Changed in place, which keeps os.walk out of what is left out.
        folders[:] = [name for name in folders if not name.startswith(".") and not _is_working(here / name)]
        yield from (here / name for name in names if not name.startswith(".") and (here / name).is_file())


def _is_working(folder: Path) -> bool:
    """Say whether a folder is the working folder of a lihop database."""
    return folder.suffix == WORKING_SUFFIX and any((folder / name).exists() for name in WORKING_CONTENT)
