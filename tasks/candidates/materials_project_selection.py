"""What a query selects of the Materials Project: how its entries are called, and what is asked for them."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any

from tasks.candidates.materials_project_documents import ELECTRODE_FIELDS, SLIM_FIELDS, normal_id
from tasks.candidates.materials_project_electrodes import Electrodes
from tasks.candidates.materials_project_pages import Page, Search, by_ids

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from tasks.candidates.materials_project_client import Connection
    from tasks.candidates.materials_project_documents import SlimSummary
    from tasks.candidates.materials_project_query import MaterialsProjectQuery


class Selection:
    """What one query selects, asked for through a connection that is made when it is first needed.

    It can be pickled: the connection, which holds the key, and what came through it are left behind.

    Parameters
    ----------
    asked : MaterialsProjectQuery
        What is asked for.
    chunk : int
        Most materials that are asked for by their ids at a time.
    page : int
        Documents of an index page.
    connect : callable
        Makes the connection.
    """

    def __init__(
        self, asked: MaterialsProjectQuery, *, chunk: int, page: int, connect: Callable[[], Connection]
    ) -> None:
        self.asked = asked
        self.chunk = chunk
        self.page = page
        self._connect = connect

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in vars(self).items() if name not in {"connection", "electrodes"}}

    @cached_property
    def connection(self) -> Connection:
        """The connection, made when it is first needed; it holds the key."""
        return self._connect()

    @cached_property
    def electrodes(self) -> Electrodes:
        """The electrodes, which are pulled once."""
        return Electrodes(self._electrode_pages, self.entry_id, frozenset(self.asked_ids()))

    @property
    def alone(self) -> bool:
        """Whether an entry is a material without an electrode."""
        return self.asked.kind != "electrodes"

    def asked_ids(self) -> list[str]:
        """Return the materials that are asked for by their ids, each in its one spelling."""
        return sorted({normal_id(one) for one in self.asked.material_ids})

    def named(self) -> list[str]:
        """Return the entries of the materials that are asked for by their ids."""
        return [self.entry_id(one) for one in self.asked_ids()]

    def entry_id(self, material_id: str) -> str:
        """Return what the entry of a material is called."""
        return material_id if self.alone else f"{material_id}-{self.asked.working_ion}"

    def material_id(self, entry_id: str) -> str:
        """Return the material of an entry."""
        return entry_id if self.alone else entry_id.rpartition("-")[0]

    def keeps(self, summary: SlimSummary) -> bool:
        """Say whether a summary is one that is asked for, whatever the server was asked."""
        return self.asked.keeps(
            summary.elements, summary.energy_above_hull, summary.nsites, gnome=summary.gnome
        )

    def electrode(self, entry_id: str) -> dict[str, Any] | None:
        """Return the content of the electrode of an entry; None where it has none."""
        return None if self.alone else self.electrodes.content(entry_id)

    def summaries(self, names: Sequence[str], fields: Sequence[str]) -> list[Any]:
        """Return the summary documents of some materials, those of them that are there.

        Raises
        ------
        SourceError
            When the database cannot be reached, or its answer does not add up.
        """
        gnome = self.asked.include_gnome
        return by_ids(self.connection, names, fields, include_gnome=gnome) if names else []

    def slim_pages(self) -> Iterator[tuple[list[Any], int]]:
        """Yield slim summary documents of all that is selected, and how many there are in all."""
        ids = self.asked_ids()
        for start in range(0, len(ids), self.chunk):
            yield self.summaries(ids[start : start + self.chunk], SLIM_FIELDS), len(ids)
        if not ids:
            search = Search("summary", self.asked.summary_filters(), SLIM_FIELDS, self.page)
            for page in search.pages(self.connection):
                yield page.documents, page.total

    def _electrode_pages(self) -> Iterator[Page]:
        search = Search("electrodes", self.asked.electrode_filters(), ELECTRODE_FIELDS, self.page)
        return search.pages(self.connection)
