"""Candidates from any database that speaks OPTIMADE, through the client of optimade-python-tools."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from pydantic import BaseModel, ConfigDict, Field, field_validator

from storage.records import Reason
from tasks.candidates.entries import (
    Citation,
    Entry,
    Fetched,
    IndexEntry,
    IndexPage,
    LeftOut,
    Quarantined,
    content_digest,
)
from tasks.candidates.optimade_client import ask, check_filter, is_allowed
from tasks.candidates.optimade_documents import FIELDS, MalformedError, content_of, material_of
from tasks.candidates.source import SourceError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from tasks.candidates.optimade_client import Page
    from tasks.candidates.source import RawMaterial, Rejected

INDEX_FIELDS = ("id", "type", "last_modified")
LONGEST_FILTER = 1500
"""Characters of a filter in a URL: many servers take two thousand in all."""

MALFORMED = Reason.MALFORMED_DOCUMENT
NO_ENTRY = "a document without an id, or that is no structure; tell the database's keepers"


class OptimadeQuery(BaseModel):
    """What is asked of one or more OPTIMADE databases; bad values are refused before anything is sent."""

    model_config = ConfigDict(frozen=True, extra="forbid", title="OPTIMADE query")

    base_urls: tuple[str, ...] = Field(
        default=("https://optimade.materialsproject.org",),
        min_length=1,
        max_length=20,
        title="Base URLs",
        description="Where the databases answer, without the version (/v1); https, or http on this computer.",
    )
    working_ion: str = Field(
        default="Li", title="Working ion", description="Element that every entry must hold."
    )
    elements: tuple[str, ...] = Field(
        default=(), max_length=20, title="Elements", description="Elements that every entry must hold too."
    )
    any_of: tuple[str, ...] = Field(
        default=(), max_length=60, title="Any of", description="Of these an entry must hold at least one."
    )
    max_elements: int | None = Field(
        default=None, ge=1, le=100, title="Most elements", description="Most different elements of an entry."
    )
    max_sites: int | None = Field(
        default=300, ge=1, le=5000, title="Most sites", description="Largest cell, as the database has it."
    )
    filter: str | None = Field(
        default=None,
        max_length=2000,
        title="Filter",
        description="An OPTIMADE filter of your own, in place of the element sets and sizes above.",
    )
    max_entries: int = Field(
        default=10_000, ge=1, le=1_000_000, title="Most entries", description="Most entries of each database."
    )

    @field_validator("base_urls")
    @classmethod
    def _urls_may_be_asked(cls, urls: tuple[str, ...]) -> tuple[str, ...]:
        tidy = tuple(re.sub(r"(/v[0-9.]+)?(/structures)?/*$", "", url.strip()) for url in urls)
        for url in tidy:
            if not is_allowed(url):
                raise ValueError(f"the base URL {url!r} is not https; http is for this computer alone")
        if len(set(tidy)) < len(tidy):
            raise ValueError(f"base URLs {', '.join(tidy)}: one is there twice; give each once")
        return tidy

    @field_validator("working_ion", "elements", "any_of")
    @classmethod
    def _elements_exist(cls, given: str | tuple[str, ...]) -> str | tuple[str, ...]:
        from ase.data import chemical_symbols

        for symbol in (given,) if isinstance(given, str) else given:
            if symbol not in chemical_symbols[1:]:
                raise ValueError(f"{symbol!r} is no element symbol; give symbols such as Li, O or Fe")
        return given

    def filter_text(self) -> str:
        """Return the filter that is sent."""
        if self.filter is not None:
            return self.filter
        must = ", ".join(f'"{symbol}"' for symbol in dict.fromkeys((self.working_ion, *self.elements)))
        parts = [f"elements HAS ALL {must}"]
        if self.any_of:
            parts.append("elements HAS ANY " + ", ".join(f'"{symbol}"' for symbol in self.any_of))
        if self.max_elements is not None:
            parts.append(f"nelements<={self.max_elements}")
        if self.max_sites is not None:
            parts.append(f"nsites<={self.max_sites}")
        return " AND ".join(parts)


@dataclass(frozen=True)
class OptimadeSource:
    """Structures from OPTIMADE databases. An entry's id is that of its database, after where that answers.

    Parameters
    ----------
    asked : OptimadeQuery
        What is asked for.
    page_limit : int
        Documents that are asked for at a time.
    wait_s : float
        First pause after a failed request, which then doubles, in seconds.
    """

    asked: OptimadeQuery = field(default_factory=OptimadeQuery)
    name: str = "optimade"
    chunk: int = 50
    page_limit: int = 100
    wait_s: float = 1.0
    _licences: dict[str, str | None] = field(default_factory=dict, repr=False, compare=False)

    def query(self) -> Mapping[str, Any]:
        """Return what it is asked for, as plain JSON types."""
        return self.asked.model_dump(mode="json")

    def named(self) -> Sequence[str]:
        """Return no entries: a filter selects by what they are."""
        return ()

    def version(self) -> str | None:
        """Return the versions that the databases state; None where one of them states none."""
        found = []
        for url in self.asked.base_urls:
            database = ask(url, "info", wait_s=self.wait_s).meta.get("database")
            version = database.get("version") if isinstance(database, dict) else None
            if not version:
                return None
            found.append(str(version) if len(self.asked.base_urls) == 1 else f"{_place(url)} {version}")
        return "; ".join(found)

    def index(self) -> Iterator[IndexPage]:
        """Yield the slim index of what the query selects, one database after the other.

        The digest of an entry is that of its date of change; of its whole content where the database gives no
        such date.

        Raises
        ------
        SourceError
            When a database cannot be reached, or its pages do not add up to what it says there is.
        """
        text = self.asked.filter_text()
        check_filter(text)
        seen = 0
        for url in self.asked.base_urls:
            for page in self._index_of(url, text):
                total = page.total if len(self.asked.base_urls) == 1 else None
                yield replace(page, seen=seen + page.seen, total=total)
            seen += page.seen

    def _index_of(self, url: str, text: str) -> Iterator[IndexPage]:
        ids: set[str] = set()
        n_bad, stated, total, cut = 0, None, None, False
        for page in self._pages(url, text, INDEX_FIELDS):
            if stated is None:
                stated = page.meta.get("data_returned")
                stated = stated if isinstance(stated, int) else None
                total = None if stated is None else min(stated, self.asked.max_entries)
            entries: list[Mapping[str, Any]] = []
            bad: list[Quarantined] = []
            for place, document in enumerate(page.data, len(ids) + n_bad + 1):
                cut = len(ids) + n_bad + len(bad) == self.asked.max_entries
                if cut:
                    break
                if _is_entry(document):
                    if document["id"] not in ids:
                        ids.add(document["id"])
                        entries.append(document)
                else:
                    bad.append(Quarantined(f"{_place(url)}/document-{place}", MALFORMED, NO_ENTRY))
            n_bad += len(bad)
            found, worse = self._indexed(url, entries)
            left_out = (self._left_out(url, stated),) if cut else ()
            yield IndexPage(tuple(found), (*bad, *worse), len(ids) + n_bad, total, left_out)
            if cut:
                return
        if total is not None and len(ids) + n_bad != total:
            raise SourceError(
                f"{url} says that {total} entries match and gives {len(ids) + n_bad} different ones; try "
                "again, as it may have changed meanwhile"
            )

    def _left_out(self, url: str, stated: int | None) -> LeftOut:
        most = self.asked.max_entries
        n_more = None if stated is None or stated <= most else stated - most
        how_many = "an unstated number of" if n_more is None else str(n_more)
        return LeftOut(
            _place(url),
            f"{url} has {how_many} more entries that match, which --max-entries {most} leaves out; raise it, "
            "or narrow the filter",
        )

    def _indexed(
        self, url: str, documents: Sequence[Mapping[str, Any]]
    ) -> tuple[list[IndexEntry], tuple[Quarantined, ...]]:
        dates = {one["id"]: (one.get("attributes") or {}).get("last_modified") for one in documents}
        undated = [f"{_place(url)}/{name}" for name, date in dates.items() if not date]
        whole = self.fetch(undated) if undated else Fetched()
        digests = {entry.entry_id: entry.digest() for entry in whole.entries}
        found = []
        for name, date in dates.items():
            entry_id = f"{_place(url)}/{name}"
            if date:
                digests[entry_id] = content_digest({"id": name, "last_modified": str(date)})
            if entry_id in digests:
                found.append(IndexEntry(entry_id, digests[entry_id], (name,)))
            elif entry_id in whole.vanished:
                digest = content_digest({"id": name, "last_modified": None})
                found.append(IndexEntry(entry_id, digest, (name,), absent=True))
        return found, whole.quarantined

    def _pages(self, url: str, text: str, fields: Sequence[str]) -> Iterator[Page]:
        asked_urls: set[str | None] = set()
        following: str | None = None
        while following not in asked_urls:
            asked_urls.add(following)
            page = ask(
                url,
                "structures",
                filter_text=text,
                fields=fields,
                page_limit=self.page_limit,
                next_url=following,
                wait_s=self.wait_s,
            )
            if not isinstance(page.data, list):
                raise SourceError(f"{url} answers with 'data' that is no list; is it an OPTIMADE API?")
            yield page
            if page.next_url is None:
                return
            following = page.next_url
        raise SourceError(f"{url} names a page as its next that it already gave; its pages do not end")

    def fetch(self, entry_ids: Sequence[str]) -> Fetched:
        """Return whole entries by their ids.

        Raises
        ------
        SourceError
            When their database cannot be reached, or is not one of those asked.
        """
        entries: list[Entry] = []
        quarantined: list[Quarantined] = []
        for url in self.asked.base_urls:
            start = f"{_place(url)}/"
            wanted = [one.removeprefix(start) for one in entry_ids if one.startswith(start)]
            for some in _groups(wanted):
                good, bad = self._fetch_some(url, some)
                entries += good
                quarantined += bad
        there = {one.entry_id for one in entries} | {one.entry_id for one in quarantined}
        return Fetched(
            tuple(entries), tuple(quarantined), tuple(one for one in entry_ids if one not in there)
        )

    def _fetch_some(self, url: str, ids: Sequence[str]) -> tuple[list[Entry], list[Quarantined]]:
        text = " OR ".join(f"id={json.dumps(name, ensure_ascii=False)}" for name in ids)
        left, good, bad = set(ids), list[Entry](), list[Quarantined]()
        stated: object = None
        for page in self._pages(url, text, ("id", "type", *FIELDS)):
            stated = page.meta.get("data_returned") if stated is None else stated
            for document in page.data:
                if not _is_entry(document) or document["id"] not in left:
                    continue
                left.discard(document["id"])
                entry_id = f"{_place(url)}/{document['id']}"
                try:
                    content = content_of(url, entry_id, document, self._licence(url))
                except MalformedError as error:
                    message = f"{entry_id} cannot be used: {error}; tell the database's keepers"
                    bad.append(Quarantined(entry_id, MALFORMED, message))
                else:
                    good.append(Entry(entry_id, content, content["licence"]))
        given = len(ids) - len(left)
        # What a short answer leaves out has not vanished.
        if isinstance(stated, int) and given != stated:
            raise SourceError(
                f"{url} says that {stated} of {len(ids)} entries asked for by their ids are there and gives "
                f"{given}; try again, as it may have changed meanwhile"
            )
        return good, bad

    def _licence(self, url: str) -> str | None:
        """Return the SPDX identifiers of the licences that the database offers; None where it names none."""
        if url not in self._licences:
            data = ask(url, "info", wait_s=self.wait_s).data
            said = data.get("attributes") if isinstance(data, dict) else None
            found: list[object] = []
            for key in ("available_licenses_for_entries", "available_licenses"):
                named = said.get(key) if isinstance(said, dict) else None
                found = found or (named if isinstance(named, list) else [])
            self._licences[url] = " OR ".join(map(str, found)) or None
        return self._licences[url]

    def material(self, content: Mapping[str, Any]) -> Sequence[RawMaterial | Rejected]:
        """Return the structure of one entry's content.

        Raises
        ------
        RejectedError
            When it is not a crystal in three dimensions with all its atoms.
        """
        return [material_of(content, self.name)]

    def citation(self, version: str | None) -> Citation:
        """Return how to cite what the databases gave."""
        named = f"version {version}" if version else "no version stated"
        licences = sorted({one for one in self._licences.values() if one})
        return Citation(
            text=f"Structures from {', '.join(self.asked.base_urls)} ({named}), through OPTIMADE. Cite the "
            "database itself too: its base URL says who keeps it.",
            licence="; ".join(licences) or "as the database states it, at its base URL under /v1/info",
            dois=("10.1038/s41597-021-00974-z", "10.1039/D4DD00039K"),
        )


def _place(url: str) -> str:
    """Return what tells a database from another in the ids of its entries: its URL without the scheme."""
    return url.partition("://")[2]


def _is_entry(document: object) -> bool:
    if not isinstance(document, dict) or document.get("type", "structures") != "structures":
        return False
    if not isinstance(document.get("attributes"), dict | None):
        return False
    return isinstance(document.get("id"), str) and bool(document["id"].strip())


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
