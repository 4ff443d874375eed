"""What may be asked of OPTIMADE databases: a frozen query, checked before anything is sent."""

from __future__ import annotations

import re

from pydantic import ConfigDict, Field, field_validator

from tasks.candidates.optimade_client import is_allowed
from tasks.candidates.remote_query import RemoteQuery


class OptimadeQuery(RemoteQuery):
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
            if "?" in url or "#" in url:
                # Not repeated: it may hold a key, which would stand in ids, citations and the database.
                raise ValueError("a base URL holds a query (? or #); give where the database answers alone")
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
