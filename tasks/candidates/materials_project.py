"""Candidates from the Materials Project: insertion electrodes with their materials, or materials alone."""

from __future__ import annotations

import logging
import time
from collections import defaultdict
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from tasks.candidates.entries import (
    Citation,
    Entry,
    Fetched,
    IndexEntry,
    IndexPage,
    Quarantined,
    content_digest,
)
from tasks.candidates.materials_project_client import MOST_PER_ANSWER, Connection, Patience
from tasks.candidates.materials_project_documents import (
    ELECTRODE_FIELDS,
    GNOME_LICENCE,
    LICENCE,
    NAME,
    SLIM_FIELDS,
    SUMMARY_FIELDS,
    Electrode,
    SlimSummary,
    Summary,
    chosen_electrode,
    name_of,
    normal_id,
    raw_material,
    read_document,
)
from tasks.candidates.materials_project_pages import Gathered, MovedError, Search, by_ids
from tasks.candidates.materials_project_query import MaterialsProjectQuery
from tasks.candidates.source import RejectedError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from tasks.candidates.source import RawMaterial, Rejected

__all__ = ["MaterialsProjectQuery", "MaterialsProjectSource"]

STARTS = 3
"""Times that an index is begun when the number of documents changes under it."""

JAIN_2013 = "10.1063/1.4812323"
MERCHANT_2023 = "10.1038/s41586-023-06735-9"

logger = logging.getLogger(__name__)


class MaterialsProjectSource:
    """Entries of the Materials Project, through its own client.

    An entry is a material (mp-22526), or with the kind ``electrodes`` a battery's discharged material and its
    working ion (mp-22526-Li). The key is read from the environment when it is needed and travels with
    nothing.

    Parameters
    ----------
    asked : MaterialsProjectQuery, optional
        What is asked for.
    chunk : int
        Most materials that are fetched at a time.
    page : int
        Documents of an index page.
    patience : Patience, optional
        How long to wait for answers, and how often to ask again.
    sleep : callable
        How to wait between attempts; tests do not wait.
    """

    name = NAME

    def __init__(
        self,
        asked: MaterialsProjectQuery | None = None,
        *,
        chunk: int = 200,
        page: int = MOST_PER_ANSWER,
        patience: Patience | None = None,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self.asked = MaterialsProjectQuery() if asked is None else asked
        self.chunk = chunk
        self._page = page
        self._patience = Patience() if patience is None else patience
        self._sleep = sleep
        self._connection: Connection | None = None
        self._electrodes: dict[str, list[Electrode]] | None = None

    def __repr__(self) -> str:
        return f"MaterialsProjectSource({self.asked!r})"

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"_connection": None, "_electrodes": None}

    def query(self) -> Mapping[str, Any]:
        """Return what it is asked for, as plain JSON types: ids in one spelling."""
        return self.asked.model_dump(mode="json") | {"material_ids": self._asked_ids()}

    def named(self) -> Sequence[str]:
        """Return the entries of the materials that are asked for by their ids."""
        return [self._entry_id(one) for one in self._asked_ids()]

    def version(self) -> str | None:
        """Return the version that the database states now.

        Raises
        ------
        SourceError
            When it cannot be reached, or there is no key.
        """
        return self._connected().version()

    def index(self) -> Iterator[IndexPage]:
        """Yield the slim index: pages without entries while it is read, then the entries.

        Only when all of it is there is it known which documents are of one entry.

        Raises
        ------
        SourceError
            When it cannot be reached, or its pages do not add up to what it says there is.
        """
        start = self._index_materials if self._alone else self._index_electrodes
        for _ in range(STARTS - 1):
            try:
                yield from start()
            except MovedError as error:
                logger.warning("%s; beginning the index again", error)
            else:
                return
        yield from start()

    def fetch(self, entry_ids: Sequence[str]) -> Fetched:
        """Return whole entries by their ids.

        Raises
        ------
        SourceError
            When it cannot be reached.
        """
        entries: list[Entry] = []
        quarantined: list[Quarantined] = []
        vanished: list[str] = []
        for start in range(0, len(entry_ids), self.chunk):
            names = {one: self._material_id(one) for one in entry_ids[start : start + self.chunk]}
            found = self._full(sorted(set(names.values())))
            for entry_id, name in names.items():
                summary, electrode = found.get(name), self._electrode(entry_id)
                if summary is None and name in found.bad:
                    quarantined.append(replace(found.bad[name], entry_id=entry_id))
                elif (
                    summary is None
                    or summary.deprecated
                    or not self._keeps(summary)
                    or (electrode is None and not self._alone)
                ):
                    vanished.append(entry_id)
                else:
                    content = {"summary": summary.content(), "electrode": electrode}
                    entries.append(Entry(entry_id, content, summary.licence))
        return Fetched(tuple(entries), tuple(quarantined), tuple(vanished))

    def material(self, content: Mapping[str, Any]) -> Sequence[RawMaterial | Rejected]:
        """Return the structure of one entry's content; needs no network.

        Raises
        ------
        RejectedError
            When it cannot be used.
        """
        return [raw_material(content)]

    def citation(self, version: str | None) -> Citation:
        """Return how to cite what it gave."""
        stated = "of unstated version" if version is None else f"version {version}"
        text = (
            f"Structures and properties from the Materials Project, database {stated} "
            f"(https://materialsproject.org, CC BY 4.0): A. Jain et al., APL Materials 1, 011002 (2013), "
            f"https://doi.org/{JAIN_2013}."
        )
        if not self.asked.include_gnome:
            return Citation(text, LICENCE, (JAIN_2013,))
        text += (
            " GNoME's entries (CC BY-NC 4.0, not for commercial use): A. Merchant et al., Nature 624, 80 "
            f"(2023), https://doi.org/{MERCHANT_2023}."
        )
        return Citation(text, f"{LICENCE} AND {GNOME_LICENCE}", (JAIN_2013, MERCHANT_2023))

    def _connected(self) -> Connection:
        if self._connection is None:
            self._connection = Connection(self._patience, self._sleep)
        return self._connection

    def _asked_ids(self) -> list[str]:
        return sorted({normal_id(one) for one in self.asked.material_ids})

    def _material_id(self, entry_id: str) -> str:
        return entry_id if self._alone else entry_id.rpartition("-")[0]

    def _entry_id(self, material_id: str) -> str:
        return material_id if self._alone else f"{material_id}-{self.asked.working_ion}"

    @property
    def _alone(self) -> bool:
        """Whether an entry is a material without an electrode."""
        return self.asked.kind != "electrodes"

    def _keeps(self, summary: SlimSummary) -> bool:
        return self.asked.keeps(
            summary.elements, summary.energy_above_hull, summary.nsites, gnome=summary.gnome
        )

    def _index_materials(self) -> Iterator[IndexPage]:
        found, seen, total = Gathered(SlimSummary), 0, 0
        for documents, total in self._pulled():
            wrong = found.add(documents, seen)
            seen += len(documents)
            yield IndexPage((), tuple(wrong), seen, total)
        names = sorted({*found.spellings, *self._asked_ids()} - set(found.bad))
        for start in range(0, len(names), self._page):
            some = names[start : start + self._page]
            yield IndexPage(tuple(self._index_entries(some, found)), (), total, total)

    def _index_entries(
        self, names: Sequence[str], found: Gathered[SlimSummary], *, absent: frozenset[str] | None = None
    ) -> Iterator[IndexEntry]:
        """Yield what the index has of some materials.

        What should be there and is not is among it: asked for, it shows as vanished, which is recorded.
        """
        for name in names:
            key, one = self._entry_id(name), found.get(name)
            electrode = self._electrode(key)
            if one is None or one.deprecated:
                if absent is None or name in absent:
                    digest = content_digest({"summary": None, "electrode": electrode})
                    yield IndexEntry(key, digest, absent=True)
            elif self._keeps(one):
                digest = content_digest({"summary": one.content(), "electrode": electrode})
                no_electrode = electrode is None and not self._alone
                yield IndexEntry(key, digest, found.aliases(name), absent=no_electrode)

    def _pulled(self) -> Iterator[tuple[list[Any], int]]:
        """Yield slim summary documents, and how many there are in all."""
        ids = self._asked_ids()
        for start in range(0, len(ids), self.chunk):
            yield self._summaries(ids[start : start + self.chunk], SLIM_FIELDS), len(ids)
        if not ids:
            search = Search("summary", self.asked.summary_filters(), SLIM_FIELDS, self._page)
            for page in search.pages(self._connected()):
                yield page.documents, page.total

    def _index_electrodes(self) -> Iterator[IndexPage]:
        total = 0
        for page in self._electrode_pages():
            total = page.total or 0
            yield page
        there = {many[0].id_discharge for many in self._electrodes_by_key().values()}
        names = sorted(there | set(self._asked_ids()))
        for start in range(0, len(names), self.chunk):
            yield self._joined(names[start : start + self.chunk], total)

    def _electrode_pages(self) -> Iterator[IndexPage]:
        """Yield how far it is; at the end the electrodes are known by their keys."""
        wanted = set(self._asked_ids())
        electrodes: dict[str, list[Electrode]] = defaultdict(list)
        search = Search("electrodes", self.asked.electrode_filters(), ELECTRODE_FIELDS, self._page)
        for page in search.pages(self._connected()):
            wrong = []
            for number, document in enumerate(page.documents, start=page.seen - len(page.documents)):
                try:
                    one = read_document(Electrode, document)
                except RejectedError as error:
                    name = name_of(document, "")
                    name = self._entry_id(name) if name else f"electrode document {number}"
                    wrong.append(Quarantined(name, error.reason, str(error)))
                else:
                    if not wanted or one.id_discharge in wanted:
                        electrodes[one.key].append(one)
            yield IndexPage((), tuple(wrong), page.seen, page.total)
        self._electrodes = dict(electrodes)

    def _electrodes_by_key(self) -> Mapping[str, Sequence[Electrode]]:
        if self._electrodes is None:
            for _ in self._electrode_pages():
                pass
        return self._electrodes or {}

    def _joined(self, names: Sequence[str], total: int) -> IndexPage:
        """Return the electrodes of some discharged materials, with what the index says of these."""
        found = Gathered(SlimSummary)
        found.add(self._summaries(names, SLIM_FIELDS))
        bad = [
            replace(one, entry_id=self._entry_id(name)) if name in names else one
            for name, one in found.bad.items()
        ]
        rest = [name for name in names if name not in found.bad]
        absent = {name for name in rest if found.get(name) is None}
        if absent and not self.asked.include_gnome:
            # GNoME's are left out as the query wants it, and are not missed unless it names them.
            gnome = Gathered(SlimSummary)
            gnome.add(by_ids(self._connected(), sorted(absent), ("material_id",), include_gnome=True))
            absent -= gnome.spellings.keys() - set(self._asked_ids())
        entries = self._index_entries(rest, found, absent=frozenset(absent))
        return IndexPage(tuple(entries), tuple(bad), total, total)

    def _electrode(self, key: str) -> dict[str, Any] | None:
        """Return the content of the electrode of an entry; None where it has none."""
        if self._alone:
            return None
        many = self._electrodes_by_key().get(key)
        return chosen_electrode(many) if many else None

    def _full(self, names: Sequence[str]) -> Gathered[Summary]:
        """Return whole summary documents, and what is wrong with those that cannot be used."""
        found = Gathered(Summary)
        found.add(self._summaries(names, SUMMARY_FIELDS))
        if found.nameless:
            # Whose they are shows when each that is missing is asked for by itself.
            for name in sorted(set(names) - set(found.spellings) - set(found.bad)):
                for wrong in Gathered(Summary).add(self._summaries([name], SUMMARY_FIELDS)):
                    found.bad[name] = wrong
        return found

    def _summaries(self, names: Sequence[str], fields: Sequence[str]) -> list[Any]:
        gnome = self.asked.include_gnome
        return by_ids(self._connected(), names, fields, include_gnome=gnome) if names else []
