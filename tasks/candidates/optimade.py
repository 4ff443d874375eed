"""Candidates from any database that speaks OPTIMADE, through the client of optimade-python-tools."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from tasks.candidates.entries import Citation
from tasks.candidates.optimade_client import check_filter
from tasks.candidates.optimade_database import Database
from tasks.candidates.optimade_documents import material_of
from tasks.candidates.optimade_fetching import fetch_entries
from tasks.candidates.optimade_index import index_of
from tasks.candidates.optimade_query import OptimadeQuery

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from tasks.candidates.entries import Fetched, IndexPage
    from tasks.candidates.source import RawMaterial, Rejected

__all__ = ["OptimadeQuery", "OptimadeSource"]


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

    def _databases(self) -> list[Database]:
        urls = self.asked.base_urls
        return [Database(url, self.page_limit, self.wait_s, self._licences) for url in urls]

    def query(self) -> Mapping[str, Any]:
        """Return what it is asked for, as plain JSON types."""
        return self.asked.model_dump(mode="json")

    def named(self) -> Sequence[str]:
        """Return no entries: a filter selects by what they are."""
        return ()

    def version(self) -> str | None:
        """Return the versions that the databases state; None where one of them states none."""
        found = []
        for database in self._databases():
            version = database.version()
            if version is None:
                return None
            found.append(version if len(self.asked.base_urls) == 1 else f"{database.place} {version}")
        return "; ".join(found)

    def index(self) -> Iterator[IndexPage]:
        """Yield the slim index of what the query selects, one database after the other.

        Raises
        ------
        SourceError
            When a database cannot be reached, or its pages do not add up to what it says there is.
        """
        text = self.asked.filter_text()
        check_filter(text)
        seen = 0
        for database in self._databases():
            for page in index_of(database, text, self.asked.max_entries):
                total = page.total if len(self.asked.base_urls) == 1 else None
                yield replace(page, seen=seen + page.seen, total=total)
            seen += page.seen

    def fetch(self, entry_ids: Sequence[str]) -> Fetched:
        """Return whole entries by their ids.

        Raises
        ------
        SourceError
            When their database cannot be reached, or is not one of those asked.
        """
        return fetch_entries(self._databases(), entry_ids)

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
        licences = {one for one in self._licences.values() if one}
        return _citation(self.asked.base_urls, version, sorted(licences))


def _citation(base_urls: Sequence[str], version: str | None, licences: Sequence[str]) -> Citation:
    named = f"version {version}" if version else "no version stated"
    return Citation(
        text=f"Structures from {', '.join(base_urls)} ({named}), through OPTIMADE. Cite the "
        "database itself too: its base URL says who keeps it.",
        licence="; ".join(licences) or "as the database states it, at its base URL under /v1/info",
        dois=("10.1038/s41597-021-00974-z", "10.1039/D4DD00039K"),
    )
