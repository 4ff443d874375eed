"""Candidates from any database that speaks OPTIMADE, through the client of optimade-python-tools."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ConfigDict, Field

from tasks.candidates.entries import Citation
from tasks.candidates.source import SourceError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from tasks.candidates.entries import Fetched, IndexPage
    from tasks.candidates.source import RawMaterial, Rejected


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


@dataclass(frozen=True)
class OptimadeSource:
    """Structures from OPTIMADE databases.

    Parameters
    ----------
    asked : OptimadeQuery
        What is asked for.
    """

    asked: OptimadeQuery = field(default_factory=OptimadeQuery)
    name: str = "optimade"
    chunk: int = 50

    def query(self) -> Mapping[str, Any]:
        """Return what it is asked for, as plain JSON types."""
        return self.asked.model_dump(mode="json")

    def version(self) -> str | None:
        """Return the versions that the databases state; None where one of them states none."""
        raise SourceError("the source 'optimade' cannot be reached yet")

    def index(self) -> Iterator[IndexPage]:
        """Yield the slim index of what the query selects."""
        raise SourceError("the source 'optimade' cannot be reached yet")

    def fetch(self, entry_ids: Sequence[str]) -> Fetched:
        """Return whole entries by their ids."""
        raise SourceError(f"the source 'optimade' cannot be reached yet for {len(entry_ids)} entries")

    def material(self, content: Mapping[str, Any]) -> Sequence[RawMaterial | Rejected]:
        """Return the structure of one entry's content."""
        raise SourceError(f"the source 'optimade' cannot read {content.get('entry_id')} yet")

    def citation(self, version: str | None) -> Citation:
        """Return how to cite what the databases gave."""
        return Citation(
            text=f"OPTIMADE databases {', '.join(self.asked.base_urls)} ({version or 'no version stated'})",
            licence="as the provider states it",
            dois=("10.1038/s41597-021-00974-z", "10.1039/D4DD00039K"),
        )
