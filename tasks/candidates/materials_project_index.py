"""How the slim index of the Materials Project is gathered: pages while it is read, then the entries."""

from __future__ import annotations

import logging
from dataclasses import replace
from typing import TYPE_CHECKING

from tasks.candidates.entries import IndexEntry, IndexPage, content_digest
from tasks.candidates.materials_project_documents import SLIM_FIELDS, SlimSummary
from tasks.candidates.materials_project_pages import Gathered, MovedError, by_ids

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from tasks.candidates.materials_project_selection import Selection

STARTS = 3
"""Times that an index is begun when the number of documents changes under it."""

logger = logging.getLogger(__name__)


def index_of(selection: Selection) -> Iterator[IndexPage]:
    """Yield the slim index: pages without entries while it is read, then the entries.

    Only when all of it is there is it known which documents are of one entry. When the number of documents
    changes meanwhile, it is begun again.

    Raises
    ------
    SourceError
        When the database cannot be reached, or its pages do not add up to what it says there is.
    """
    start = _index_materials if selection.alone else _index_electrodes
    for _ in range(STARTS - 1):
        try:
            yield from start(selection)
        except MovedError as error:
            logger.warning("%s; beginning the index again", error)
        else:
            return
    yield from start(selection)


def _index_materials(selection: Selection) -> Iterator[IndexPage]:
    found, seen, total = Gathered(SlimSummary), 0, 0
    for documents, total in selection.slim_pages():
        wrong = found.add(documents, seen)
        seen += len(documents)
        yield IndexPage((), tuple(wrong), seen, total)
    names = sorted({*found.spellings, *selection.asked_ids()} - set(found.bad))
    for start in range(0, len(names), selection.page):
        some = names[start : start + selection.page]
        yield IndexPage(tuple(_index_entries(selection, some, found)), (), total, total)


def _index_electrodes(selection: Selection) -> Iterator[IndexPage]:
    total = 0
    unread: set[str] = set()
    for page in selection.electrodes.pages():
        total = page.total or 0
        unread.update(bad.entry_id for bad in page.quarantined)
        yield page
    # One whose electrode cannot be read has one: it is not missing, nor does it vanish.
    asked = {name for name in selection.asked_ids() if selection.entry_id(name) not in unread}
    names = sorted(selection.electrodes.discharged() | asked)
    for start in range(0, len(names), selection.chunk):
        yield _joined(selection, names[start : start + selection.chunk], total)


def _joined(selection: Selection, names: Sequence[str], total: int) -> IndexPage:
    """Return the electrodes of some discharged materials, with what the index says of these."""
    found = Gathered(SlimSummary)
    found.add(selection.summaries(names, SLIM_FIELDS))
    bad = [
        replace(one, entry_id=selection.entry_id(name)) if name in names else one
        for name, one in found.bad.items()
    ]
    rest = [name for name in names if name not in found.bad]
    absent = {name for name in rest if found.get(name) is None}
    if absent and not selection.asked.include_gnome:
        # GNoME's are left out as the query wants it, and are not missed unless it names them.
        gnome = Gathered(SlimSummary)
        gnome.add(by_ids(selection.connection, sorted(absent), ("material_id",), include_gnome=True))
        absent -= gnome.spellings.keys() - set(selection.asked_ids())
    entries = _index_entries(selection, rest, found, absent=frozenset(absent))
    return IndexPage(tuple(entries), tuple(bad), total, total)


def _index_entries(
    selection: Selection,
    names: Sequence[str],
    found: Gathered[SlimSummary],
    *,
    absent: frozenset[str] | None = None,
) -> Iterator[IndexEntry]:
    """Yield what the index has of some materials.

    What should be there and is not is among it: asked for, it shows as vanished, which is recorded.
    """
    asked = set(selection.asked_ids())
    for name in names:
        key, one = selection.entry_id(name), found.get(name)
        electrode = selection.electrode(key)
        if one is None or one.deprecated:
            if absent is None or name in absent:
                digest = content_digest({"summary": None, "electrode": electrode})
                yield IndexEntry(key, digest, absent=True)
        elif selection.keeps(one) or name in asked:
            digest = content_digest({"summary": one.content(), "electrode": electrode})
            # Of what is named the query leaves GNoME's out, and is told so, also where the server did not.
            left_out = not selection.keeps(one) or (electrode is None and not selection.alone)
            yield IndexEntry(key, digest, found.aliases(name), absent=left_out)
