"""Candidates from the Materials Project: insertion electrodes with their materials, or materials alone."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from tasks.candidates.entries import Citation
from tasks.candidates.materials_project_client import MOST_PER_ANSWER, Connection, Patience
from tasks.candidates.materials_project_documents import GNOME_LICENCE, LICENCE, NAME, raw_material
from tasks.candidates.materials_project_fetching import fetch_entries
from tasks.candidates.materials_project_index import index_of
from tasks.candidates.materials_project_query import MaterialsProjectQuery
from tasks.candidates.materials_project_selection import Selection

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from tasks.candidates.entries import Fetched, IndexPage
    from tasks.candidates.source import RawMaterial, Rejected

__all__ = ["MaterialsProjectQuery", "MaterialsProjectSource"]

JAIN_2013 = "10.1063/1.4812323"
MERCHANT_2023 = "10.1038/s41586-023-06735-9"


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
        self._patience = Patience() if patience is None else patience
        self._sleep = sleep
        self._selection = Selection(self.asked, chunk=chunk, page=page, connect=self._connect)

    def __repr__(self) -> str:
        return f"MaterialsProjectSource({self.asked!r})"

    def _connect(self) -> Connection:
        return Connection(self._patience, self._sleep)

    def query(self) -> Mapping[str, Any]:
        """Return what it is asked for, as plain JSON types: ids in one spelling."""
        return self.asked.model_dump(mode="json") | {"material_ids": self._selection.asked_ids()}

    def named(self) -> Sequence[str]:
        """Return the entries of the materials that are asked for by their ids."""
        return self._selection.named()

    def version(self) -> str | None:
        """Return the version that the database states now.

        Raises
        ------
        SourceError
            When it cannot be reached, or there is no key.
        """
        return self._selection.connection.version()

    def index(self) -> Iterator[IndexPage]:
        """Yield the slim index: pages without entries while it is read, then the entries.

        Raises
        ------
        SourceError
            When it cannot be reached, or its pages do not add up to what it says there is.
        """
        return index_of(self._selection)

    def fetch(self, entry_ids: Sequence[str]) -> Fetched:
        """Return whole entries by their ids.

        Raises
        ------
        SourceError
            When it cannot be reached.
        """
        return fetch_entries(self._selection, entry_ids)

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
        return _citation(version, include_gnome=self.asked.include_gnome)


def _citation(version: str | None, *, include_gnome: bool) -> Citation:
    stated = "of unstated version" if version is None else f"version {version}"
    text = (
        f"Structures and properties from the Materials Project, database {stated} "
        f"(https://materialsproject.org, CC BY 4.0): A. Jain et al., APL Materials 1, 011002 (2013), "
        f"https://doi.org/{JAIN_2013}."
    )
    if not include_gnome:
        return Citation(text, LICENCE, (JAIN_2013,))
    text += (
        " GNoME's entries (CC BY-NC 4.0, not for commercial use): A. Merchant et al., Nature 624, 80 "
        f"(2023), https://doi.org/{MERCHANT_2023}."
    )
    return Citation(text, f"{LICENCE} AND {GNOME_LICENCE}", (JAIN_2013, MERCHANT_2023))
