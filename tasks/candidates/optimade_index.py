"""How the slim index of an OPTIMADE database is gathered: ids and dates of change by pages, and counted."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from storage.records import Reason
from tasks.candidates.entries import IndexEntry, IndexPage, LeftOut, Quarantined, content_digest
from tasks.candidates.optimade_documents import is_entry
from tasks.candidates.optimade_fetching import fetch_entries
from tasks.candidates.source import SourceError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from tasks.candidates.optimade_database import Database

INDEX_FIELDS = ("id", "type", "last_modified")
NO_ENTRY = "a document without an id, or that is no structure; tell the database's keepers"


def index_of(database: Database, text: str, max_entries: int) -> Iterator[IndexPage]:
    """Yield the slim index of what a filter selects of one database, as many entries as are wanted.

    The digest of an entry is that of its date of change; of its whole content where the database gives no
    such date.

    Raises
    ------
    SourceError
        When it cannot be reached, or its pages do not add up to what it says there is.
    """
    ids: set[str] = set()
    n_bad, stated, total = 0, None, None
    for page in database.pages(text, INDEX_FIELDS):
        if stated is None:
            stated = page.meta.get("data_returned")
            stated = stated if isinstance(stated, int) else None
            total = None if stated is None else min(stated, max_entries)
        entries, bad, cut = _sorted_out(database, page.data, ids, n_bad, max_entries)
        n_bad += len(bad)
        found, worse = _indexed(database, entries)
        left_out = (_left_out(database, stated, max_entries),) if cut else ()
        yield IndexPage(tuple(found), (*bad, *worse), len(ids) + n_bad, total, left_out)
        if cut:
            return
    if total is not None and len(ids) + n_bad != total:
        raise SourceError(
            f"{database.url} says that {total} entries match and gives {len(ids) + n_bad} different ones; "
            "try again, as it may have changed meanwhile"
        )


def _sorted_out(
    database: Database, documents: Sequence[Any], ids: set[str], n_bad: int, most: int
) -> tuple[list[Mapping[str, Any]], list[Quarantined], bool]:
    """Return the new entries of a page, what is none, and whether more is there than is wanted.

    The ids of the new ones are added to those that were seen.
    """
    entries: list[Mapping[str, Any]] = []
    bad: list[Quarantined] = []
    for number, document in enumerate(documents, len(ids) + n_bad + 1):
        if len(ids) + n_bad + len(bad) == most:
            return entries, bad, True
        if not is_entry(document):
            name = database.entry_id(f"document-{number}")
            bad.append(Quarantined(name, Reason.MALFORMED_DOCUMENT, NO_ENTRY))
        elif document["id"] not in ids:
            ids.add(document["id"])
            entries.append(document)
    return entries, bad, False


def _left_out(database: Database, stated: int | None, most: int) -> LeftOut:
    n_more = None if stated is None or stated <= most else stated - most
    how_many = "an unstated number of" if n_more is None else str(n_more)
    return LeftOut(
        database.place,
        f"{database.url} has {how_many} more entries that match, which --max-entries {most} leaves out; "
        "raise it, or narrow the filter",
    )


def _indexed(
    database: Database, documents: Sequence[Mapping[str, Any]]
) -> tuple[list[IndexEntry], tuple[Quarantined, ...]]:
    dates = {one["id"]: (one.get("attributes") or {}).get("last_modified") for one in documents}
    undated = [database.entry_id(name) for name, date in dates.items() if not date]
    whole = fetch_entries([database], undated)
    digests = {entry.entry_id: entry.digest() for entry in whole.entries}
    found = []
    for name, date in dates.items():
        entry_id = database.entry_id(name)
        if date:
            digests[entry_id] = content_digest({"id": name, "last_modified": str(date)})
        if entry_id in digests:
            found.append(IndexEntry(entry_id, digests[entry_id], (name,)))
        elif entry_id in whole.vanished:
            digest = content_digest({"id": name, "last_modified": None})
            found.append(IndexEntry(entry_id, digest, (name,), absent=True))
    return found, whole.quarantined
