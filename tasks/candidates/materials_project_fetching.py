"""How whole documents of the Materials Project become entries: fetched by id, joined, and sorted out."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from tasks.candidates.entries import Entry, Fetched, Quarantined
from tasks.candidates.materials_project_documents import SUMMARY_FIELDS, Summary
from tasks.candidates.materials_project_pages import Gathered

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tasks.candidates.materials_project_selection import Selection


def fetch_entries(selection: Selection, entry_ids: Sequence[str]) -> Fetched:
    """Return whole entries by their ids.

    Raises
    ------
    SourceError
        When the database cannot be reached.
    """
    entries: list[Entry] = []
    quarantined: list[Quarantined] = []
    vanished: list[str] = []
    for start in range(0, len(entry_ids), selection.chunk):
        names = {one: selection.material_id(one) for one in entry_ids[start : start + selection.chunk]}
        found = _whole(selection, sorted(set(names.values())))
        for entry_id, name in names.items():
            summary, electrode = found.get(name), selection.electrode(entry_id)
            if summary is None and name in found.bad:
                quarantined.append(replace(found.bad[name], entry_id=entry_id))
            elif (
                summary is None
                or summary.deprecated
                or not selection.keeps(summary)
                or (electrode is None and not selection.alone)
            ):
                vanished.append(entry_id)
            else:
                content = {"summary": summary.content(), "electrode": electrode}
                entries.append(Entry(entry_id, content, summary.licence))
    return Fetched(tuple(entries), tuple(quarantined), tuple(vanished))


def _whole(selection: Selection, names: Sequence[str]) -> Gathered[Summary]:
    """Return whole summary documents, and what is wrong with those that cannot be used."""
    found = Gathered(Summary)
    found.add(selection.summaries(names, SUMMARY_FIELDS))
    if found.nameless:
        # Whose they are shows when each that is missing is asked for by itself.
        for name in sorted(set(names) - set(found.spellings) - set(found.bad)):
            for wrong in Gathered(Summary).add(selection.summaries([name], SUMMARY_FIELDS)):
                found.bad[name] = wrong
    return found
