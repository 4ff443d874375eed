"""A remote database in memory, which can be told to misbehave."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from pymatgen.core import Structure

from storage.records import Reason
from tasks.candidates.entries import (
    Citation,
    Entry,
    Fetched,
    IndexEntry,
    IndexPage,
    Quarantined,
    content_digest,
)
from tasks.candidates.source import RawMaterial, SourceError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

PAGE = 3


@dataclass
class Memory:
    """Entries by identifier, and what is wrong with the database."""

    entries: dict[str, dict[str, Any]] = field(default_factory=dict)
    asked: dict[str, Any] = field(default_factory=lambda: {"working_ion": "Li"})
    versions: list[str | None] = field(default_factory=lambda: ["v1"])
    chunk: int = 2
    name: str = "mp"
    malformed: set[str] = field(default_factory=set)
    malformed_in_index: set[str] = field(default_factory=set)
    withheld: set[str] = field(default_factory=set)
    unanswered: set[str] = field(default_factory=set)
    aliases: dict[str, tuple[str, ...]] = field(default_factory=dict)
    twice: dict[str, tuple[str, ...]] = field(default_factory=dict)
    fails_at_fetch: int | None = None
    fetched: list[str] = field(default_factory=list)
    wanted: tuple[str, ...] = ()
    """Entries that the query names; one that is not there is in the index, as absent."""
    n_indexed: int = 0
    n_fetches: int = 0

    def query(self) -> Mapping[str, Any]:
        return self.asked

    def named(self) -> Sequence[str]:
        return self.wanted

    def version(self) -> str | None:
        """The versions one after the other, and the last of them from then on."""
        return self.versions.pop(0) if len(self.versions) > 1 else self.versions[0]

    def index(self) -> Iterator[IndexPage]:
        self.n_indexed += 1
        ids = sorted(self.entries)
        for start in range(0, len(ids), PAGE):
            page = ids[start : start + PAGE]
            entries = [
                IndexEntry(name, content_digest(self.entries[name]), self.aliases.get(name, ()))
                for name in page
                if name not in self.malformed_in_index
            ]
            entries += [
                IndexEntry(name, content_digest(self.entries[name]), more)
                for name, more in self.twice.items()
                if name in page
            ]
            bad = [self._bad(name) for name in page if name in self.malformed_in_index]
            yield IndexPage(tuple(entries), tuple(bad), start + len(page), len(ids))
        absent = sorted(set(self.wanted) - self.entries.keys())
        yield IndexPage(
            tuple(IndexEntry(name, "absent", absent=True) for name in absent), (), len(ids), len(ids)
        )

    def fetch(self, entry_ids: Sequence[str]) -> Fetched:
        assert len(entry_ids) <= self.chunk
        self.n_fetches += 1
        if self.fails_at_fetch == self.n_fetches:
            raise SourceError("the connection was cut")
        withheld = self.withheld | (set(entry_ids) - self.entries.keys())
        good = [name for name in entry_ids if name not in self.malformed | withheld | self.unanswered]
        self.fetched += good
        return Fetched(
            tuple(Entry(name, self.entries[name], "CC-BY-4.0") for name in good),
            tuple(self._bad(name) for name in entry_ids if name in self.malformed),
            tuple(name for name in entry_ids if name in withheld),
        )

    def _bad(self, name: str) -> Quarantined:
        return Quarantined(name, Reason.MALFORMED_DOCUMENT, f"{name} has no structure")

    def material(self, content: Mapping[str, Any]) -> list[RawMaterial]:
        structure = Structure.from_dict(json.loads(content["structure"]))
        return [RawMaterial(content["id"], structure, self.name, e_above_hull_ev=content["hull_ev"])]

    def citation(self, version: str | None) -> Citation:
        return Citation(f"A database in memory, version {version}", "CC-BY-4.0", ("10.1/x",))


def entry(name: str, structure: Structure | None = None, hull_ev: float | None = 0.0) -> dict[str, Any]:
    text = None if structure is None else json.dumps(structure.as_dict(), sort_keys=True)
    return {"id": name, "structure": text, "hull_ev": hull_ev}
