"""One OPTIMADE database: how its entries are called, what it says of itself, and its documents by pages."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from tasks.candidates.optimade_client import ask
from tasks.candidates.source import SourceError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from tasks.candidates.optimade_client import Page


@dataclass(frozen=True)
class Database:
    """A database that answers at a base URL.

    Parameters
    ----------
    url : str
        The base URL, without the version.
    page_limit : int
        Documents that are asked for at a time.
    wait_s : float
        First pause after a failed request, which then doubles, in seconds.
    licences : dict
        What databases said of their licences, by URL: each is asked once.
    """

    url: str
    page_limit: int
    wait_s: float
    licences: dict[str, str | None]

    @property
    def place(self) -> str:
        """What tells it from another in the ids of its entries: its URL without the scheme."""
        return self.url.partition("://")[2]

    def entry_id(self, name: str) -> str:
        """Return what the entry of a document is called, from the document's id."""
        return f"{self.place}/{name}"

    def version(self) -> str | None:
        """Return the version that it states; None where it states none."""
        database = ask(self.url, "info", wait_s=self.wait_s).meta.get("database")
        version = database.get("version") if isinstance(database, dict) else None
        return str(version) if version else None

    def licence(self) -> str | None:
        """Return the SPDX identifiers of the licences that it offers; None where it names none."""
        if self.url not in self.licences:
            data = ask(self.url, "info", wait_s=self.wait_s).data
            said = data.get("attributes") if isinstance(data, dict) else None
            found: list[object] = []
            for key in ("available_licenses_for_entries", "available_licenses"):
                named = said.get(key) if isinstance(said, dict) else None
                found = found or (named if isinstance(named, list) else [])
            self.licences[self.url] = " OR ".join(map(str, found)) or None
        return self.licences[self.url]

    def pages(self, text: str, fields: Sequence[str]) -> Iterator[Page]:
        """Yield the pages of what a filter selects.

        Raises
        ------
        SourceError
            When it cannot be reached, is no OPTIMADE API, or its pages do not end.
        """
        asked_urls: set[str | None] = set()
        following: str | None = None
        while following not in asked_urls:
            asked_urls.add(following)
            page = ask(
                self.url,
                "structures",
                filter_text=text,
                fields=fields,
                page_limit=self.page_limit,
                next_url=following,
                wait_s=self.wait_s,
            )
            if not isinstance(page.data, list):
                raise SourceError(f"{self.url} answers with 'data' that is no list; is it an OPTIMADE API?")
            yield page
            if page.next_url is None:
                return
            following = page.next_url
        raise SourceError(f"{self.url} names a page as its next that it already gave; its pages do not end")
