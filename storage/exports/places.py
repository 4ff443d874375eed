"""Where exports go: what a file's name says of its format, and which places are refused."""

from __future__ import annotations

import re
from contextlib import contextmanager
from typing import TYPE_CHECKING

from storage import atomic
from storage.errors import QueryError
from storage.places import paths_of

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator
    from pathlib import Path

_UNSAFE = re.compile(r"[^A-Za-z0-9._+-]+")
_LONGEST_NAME = 150
"""Characters of a file's stem, of the 255 bytes that file systems allow for a name."""


def format_of(path: Path, given: str | None, allowed: Collection[str]) -> str:
    """Return the format to write, as given or else as the file's name ends.

    Raises
    ------
    QueryError
        When it is none of those allowed.
    """
    chosen = (path.suffix.removeprefix(".") if given is None else given).lower()
    if chosen not in allowed:
        what = f"{path} ends in no format" if given is None else f"there is no format {given!r}"
        raise QueryError(
            f"{what}; allowed are {', '.join(allowed)}: name the file so, as in {path.stem or 'hops'}."
            f"{next(iter(allowed))}, or name the format"
        )
    return chosen


def refuse_database(path: Path, db: str | Path) -> None:
    """Refuse to write over the database that is read, or into the folder beside it.

    Raises
    ------
    QueryError
        When the path is one of these.
    """
    files = paths_of(db)
    target = path.resolve()
    if target == files.published.resolve() or target.is_relative_to(files.work.resolve()):
        raise QueryError(f"{path} belongs to the database {files.published}; write to another file")


@contextmanager
def writing_file(path: Path) -> Iterator[Path]:
    """Yield a temporary path that becomes `path` when all went well; what the disk says is an error in words.

    Raises
    ------
    QueryError
        When the file cannot be written.
    """
    try:
        with atomic.replacing(path) as temporary:
            yield temporary
    except OSError as error:
        raise QueryError(f"{path} cannot be written: {error.strerror or error}") from error


class Names:
    """Gives files names after identifiers, none twice, of characters that every file system takes."""

    def __init__(self) -> None:
        self._taken: set[str] = set()

    def stem(self, identifier: str, digest: str) -> str:
        """Return a name; where another has it, with the beginning of the digest, then with a number."""
        safe = _UNSAFE.sub("_", identifier).strip("._")[:_LONGEST_NAME]
        plain = safe or "unnamed"
        tries = (plain, f"{plain}_{_UNSAFE.sub('', digest)[:8]}")
        number = 2
        name = next((name for name in tries if name.lower() not in self._taken), None)
        while name is None:
            numbered = f"{tries[1]}_{number}"
            name = None if numbered.lower() in self._taken else numbered
            number += 1
        self._taken.add(name.lower())
        return name
