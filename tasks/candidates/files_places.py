"""Where a part of a file lies: what the `files` source writes into an item, and finds it again by."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass

from storage.records import Reason
from tasks.candidates.source import RejectedError


def bytes_of(size_mb: float) -> int:
    """Return a size in MB (1e6 bytes) as whole bytes."""
    return int(size_mb * 1e6)


@dataclass(frozen=True)
class Rows:
    """Some rows of a table that follow each other.

    Parameters
    ----------
    first : int
        Number of the first, counted from 1.
    count : int
        How many they are.
    at : int
        Of CSV, the byte at which the first begins; of Parquet, the row group.
    skip : int
        Of Parquet, the rows of the group before the first.
    """

    first: int
    count: int
    at: int
    skip: int = 0


@dataclass(frozen=True)
class Place:
    """A file, a member of an archive, or some rows of either; or why there is nothing to read.

    Parameters
    ----------
    file : str
        Path of the file.
    member : str, optional
        Name within the archive. It never becomes a path.
    at : int, optional
        Where the member begins: of a zip its header, of a tar its data, in bytes of the unpacked tar.
    size : int, optional
        Length of the member's data in bytes.
    rows : Rows, optional
        The rows that are meant, of a table.
    reason, message : str, optional
        Why it cannot be read, where that was clear when it was listed.
    """

    file: str
    member: str | None = None
    at: int | None = None
    size: int | None = None
    rows: Rows | None = None
    reason: str | None = None
    message: str | None = None

    @property
    def name(self) -> str:
        """The name that tells its format."""
        return self.file if self.member is None else self.member

    def text(self) -> str:
        """Return it as text, for a source item."""
        return json.dumps({key: value for key, value in asdict(self).items() if value is not None})

    @classmethod
    def of(cls, text: str) -> Place:
        """Return what `text` wrote."""
        values = json.loads(text)
        rows = values.pop("rows", None)
        return cls(**values, rows=None if rows is None else Rows(**rows))

    def refused(self) -> RejectedError | None:
        """Return why it cannot be read, where that was clear when it was listed."""
        if self.reason is None:
            return None
        return RejectedError(Reason(self.reason), self.message or "cannot be read")


@dataclass(frozen=True)
class Listed:
    """One item of a file that holds several.

    Parameters
    ----------
    item_id : str
        What is added to the file's own identifier.
    digest : str
        SHA-256 of its content.
    place : Place
        Where it lies.
    """

    item_id: str
    digest: str
    place: Place
