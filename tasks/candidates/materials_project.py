"""Candidates from the Materials Project: insertion electrodes with their materials, or materials alone."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from tasks.candidates.materials_project_documents import NAME, normal_id
from tasks.candidates.materials_project_query import MaterialsProjectQuery

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from tasks.candidates.entries import Citation, Fetched, IndexPage
    from tasks.candidates.source import RawMaterial, Rejected

__all__ = ["MaterialsProjectQuery", "MaterialsProjectSource"]


class MaterialsProjectSource:
    """Entries of the Materials Project, through its own client.

    Parameters
    ----------
    asked : MaterialsProjectQuery
        What is asked for.
    chunk : int
        Most materials that are fetched at a time.
    sleep : callable
        How to wait between attempts; tests do not wait.
    """

    name = NAME

    def __init__(
        self,
        asked: MaterialsProjectQuery | None = None,
        *,
        chunk: int = 200,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self.asked = MaterialsProjectQuery() if asked is None else asked
        self.chunk = chunk
        self._sleep = sleep

    def query(self) -> Mapping[str, Any]:
        """Return what it is asked for, as plain JSON types."""
        ids = sorted({normal_id(one) for one in self.asked.material_ids})
        return self.asked.model_dump(mode="json") | {"material_ids": ids}

    def version(self) -> str | None:
        """Return the version that the database states now."""
        raise NotImplementedError

    def index(self) -> Iterator[IndexPage]:
        """Yield the slim index of what the query selects, a page at a time."""
        raise NotImplementedError

    def fetch(self, entry_ids: Sequence[str]) -> Fetched:
        """Return whole entries by their ids, at most `chunk` of them at a time."""
        raise NotImplementedError

    def material(self, content: Mapping[str, Any]) -> Sequence[RawMaterial | Rejected]:
        """Return the structures of one entry's content; needs no network."""
        raise NotImplementedError

    def citation(self, version: str | None) -> Citation:
        """Return how to cite what it gave."""
        raise NotImplementedError
