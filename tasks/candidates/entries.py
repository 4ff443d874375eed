"""What a remote database offers to a sync: its version, a slim index, and whole entries by their ids."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from storage.records import Reason
    from tasks.candidates.source import RawMaterial, Rejected


def content_text(content: Mapping[str, Any]) -> str:
    """Return plain JSON types as text, the same whatever the order of their keys."""
    return json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def content_digest(content: Mapping[str, Any]) -> str:
    """Return the SHA-256 of plain JSON types, the same whatever the order of their keys."""
    return hashlib.sha256(content_text(content).encode()).hexdigest()


@dataclass(frozen=True)
class IndexEntry:
    """One entry as the slim index has it.

    Parameters
    ----------
    entry_id : str
        Identifier in its one normal spelling.
    digest : str
        Digest of all that the index says of it: an entry whose digest stays need not be fetched again.
    aliases : tuple of str
        Other spellings that the database used for it.
    absent : bool
        Whether it should be there and the index found that it is not: it is asked for all the same, and
        counts as gone unless it comes.
    """

    entry_id: str
    digest: str
    aliases: tuple[str, ...] = ()
    absent: bool = False


@dataclass(frozen=True)
class Quarantined:
    """A document that cannot be used, while the others can.

    Parameters
    ----------
    entry_id : str
        Its identifier, or what stands for one where it has none.
    reason : Reason
        The reason as SQL users group by it.
    message : str
        What was given, what is allowed and what to do.
    """

    entry_id: str
    reason: Reason
    message: str


@dataclass(frozen=True)
class LeftOut:
    """Entries that match and that the query wants no more of.

    Parameters
    ----------
    place : str
        What stands for them: the database that has them.
    message : str
        How many they are, and what to do to have them.
    """

    place: str
    message: str


@dataclass(frozen=True)
class IndexPage:
    """A page of the index.

    Parameters
    ----------
    entries : tuple of IndexEntry
        What is new on it.
    quarantined : tuple of Quarantined
        Documents of the page that cannot be used.
    seen, total : int
        Documents until now, and how many the database says there are; None where it does not say.
    left_out : tuple of LeftOut
        What a limit of the query's own keeps out of the index.
    """

    entries: tuple[IndexEntry, ...]
    quarantined: tuple[Quarantined, ...]
    seen: int
    total: int | None
    left_out: tuple[LeftOut, ...] = ()


@dataclass(frozen=True)
class Entry:
    """One whole entry.

    Parameters
    ----------
    entry_id : str
        Identifier in its one normal spelling.
    content : mapping
        Plain JSON types: all that `RemoteSource.material` needs, and nothing that changes from one answer to
        the next.
    licence : str or None
        SPDX identifier of the licence that the entry comes under, where the database says so.
    """

    entry_id: str
    content: Mapping[str, Any]
    licence: str | None = None

    def digest(self) -> str:
        """Return the digest of its content."""
        return content_digest(self.content)


@dataclass(frozen=True)
class Fetched:
    """What came of asking for some entries.

    Parameters
    ----------
    entries : tuple of Entry
        Those that are there.
    quarantined : tuple of Quarantined
        Those that are there and cannot be used.
    vanished : tuple of str
        Ids that the index had and the database no longer gives (removed, deprecated).
    """

    entries: tuple[Entry, ...] = ()
    quarantined: tuple[Quarantined, ...] = ()
    vanished: tuple[str, ...] = ()


@dataclass(frozen=True)
class Citation:
    """How to cite what a database gave.

    Parameters
    ----------
    text : str
        What to write, the database's version included.
    dois : tuple of str
        Papers to cite.
    licence : str
        What the data come under.
    """

    text: str
    licence: str
    dois: tuple[str, ...] = field(default=())


class RemoteSource(Protocol):
    """A database reached over the network. Picklable, and without its key, which is read when needed."""

    @property
    def name(self) -> str:
        """Name under which its candidates are recorded."""

    def query(self) -> Mapping[str, Any]:
        """Return what it is asked for, as plain JSON types: two of one digest are one query."""

    def named(self) -> Sequence[str]:
        """Return the entries that the query names one by one; none where it selects by what they are."""

    def version(self) -> str | None:
        """Return the version that the database states now; None where it states none.

        Raises
        ------
        SourceError
            When it cannot be reached, or refuses the key.
        """

    def index(self) -> Iterator[IndexPage]:
        """Yield the slim index of what the query selects, a page at a time.

        Raises
        ------
        SourceError
            When it cannot be reached, or its pages do not add up to what it says there is.
        """

    def fetch(self, entry_ids: Sequence[str]) -> Fetched:
        """Return whole entries by their ids, at most `chunk` of them at a time.

        Raises
        ------
        SourceError
            When it cannot be reached.
        """

    @property
    def chunk(self) -> int:
        """Most entries that are asked for at a time."""

    def material(self, content: Mapping[str, Any]) -> Sequence[RawMaterial | Rejected]:
        """Return the structures of one entry's content; needs no network.

        Raises
        ------
        RejectedError
            When nothing of it can be screened.
        """

    def citation(self, version: str | None) -> Citation:
        """Return how to cite what it gave."""
