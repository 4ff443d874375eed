"""How whole OPTIMADE documents become entries: fetched by id in groups, checked one by one, and counted."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING
from urllib.parse import quote

from storage.records import Reason
from tasks.candidates.entries import Entry, Fetched, Quarantined
from tasks.candidates.optimade_documents import FIELDS, MalformedError, content_of, is_entry
from tasks.candidates.source import SourceError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from tasks.candidates.optimade_database import Database

LONGEST_FILTER = 1500
"""Characters of a filter in a URL: many servers take two thousand in all."""


def fetch_entries(databases: Sequence[Database], entry_ids: Sequence[str]) -> Fetched:
    """Return whole entries by their ids.

    Raises
    ------
    SourceError
        When their database cannot be reached, or leaves out of an answer what it says is there.
    """
    entries: list[Entry] = []
    quarantined: list[Quarantined] = []
    for database in databases:
        start = database.entry_id("")
        wanted = [one.removeprefix(start) for one in entry_ids if one.startswith(start)]
        for some in _groups(wanted):
            good, bad = _fetch_some(database, some)
            entries += good
            quarantined += bad
    there = {one.entry_id for one in entries} | {one.entry_id for one in quarantined}
    return Fetched(tuple(entries), tuple(quarantined), tuple(one for one in entry_ids if one not in there))


def _fetch_some(database: Database, ids: Sequence[str]) -> tuple[list[Entry], list[Quarantined]]:
    text = " OR ".join(f"id={json.dumps(name, ensure_ascii=False)}" for name in ids)
    left, good, bad = set(ids), list[Entry](), list[Quarantined]()
    stated: object = None
    for page in database.pages(text, ("id", "type", *FIELDS)):
        stated = page.meta.get("data_returned") if stated is None else stated
        for document in page.data:
            if not is_entry(document) or document["id"] not in left:
                continue
            left.discard(document["id"])
            entry_id = database.entry_id(document["id"])
            try:
                content = content_of(database.url, entry_id, document, database.licence())
            except MalformedError as error:
                message = f"{entry_id} cannot be used: {error}; tell the database's keepers"
                bad.append(Quarantined(entry_id, Reason.MALFORMED_DOCUMENT, message))
            else:
                good.append(Entry(entry_id, content, content["licence"]))
    given = len(ids) - len(left)
    # What a short answer leaves out has not vanished.
    if isinstance(stated, int) and given != stated:
        raise SourceError(
            f"{database.url} says that {stated} of {len(ids)} entries asked for by their ids are there and "
            f"gives {given}; try again, as it may have changed meanwhile"
        )
    return good, bad


def _groups(ids: Sequence[str]) -> Iterator[list[str]]:
    """Yield the ids in groups whose filter fits into a URL."""
    group: list[str] = []
    length = 0
    for one in ids:
        extra = len(quote(f" OR id={json.dumps(one)}", safe=""))
        if group and length + extra > LONGEST_FILTER:
            yield group
            group, length = [], 0
        group.append(one)
        length += extra
    if group:
        yield group
