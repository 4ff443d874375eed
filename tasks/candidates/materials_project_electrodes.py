"""The Materials Project's insertion electrodes, pulled once and remembered by the keys of their entries."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Any

from tasks.candidates.entries import IndexPage, Quarantined
from tasks.candidates.materials_project_documents import Electrode, chosen_electrode, name_of, read_document
from tasks.candidates.source import RejectedError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from tasks.candidates.materials_project_pages import Page


class Electrodes:
    """The electrodes that a query selects, pulled when they are first needed.

    Parameters
    ----------
    ask : callable
        Yields the pages of electrode documents.
    entry_id : callable
        Says what the entry of a discharged material is called.
    wanted : frozenset of str
        Discharged materials that are asked for by their ids; empty for all.
    """

    def __init__(
        self, ask: Callable[[], Iterator[Page]], entry_id: Callable[[str], str], wanted: frozenset[str]
    ) -> None:
        self._ask = ask
        self._entry_id = entry_id
        self._wanted = wanted
        self._by_key: dict[str, list[Electrode]] | None = None

    def pages(self) -> Iterator[IndexPage]:
        """Pull them anew and yield how far it is; at the end they are known by their keys.

        Raises
        ------
        SourceError
            When the database cannot be reached, or its pages do not add up.
        """
        found: dict[str, list[Electrode]] = defaultdict(list)
        for page in self._ask():
            wrong = []
            for number, document in enumerate(page.documents, start=page.seen - len(page.documents)):
                try:
                    one = read_document(Electrode, document)
                except RejectedError as error:
                    name = name_of(document, "")
                    name = self._entry_id(name) if name else f"electrode document {number}"
                    wrong.append(Quarantined(name, error.reason, str(error)))
                else:
                    if not self._wanted or one.id_discharge in self._wanted:
                        found[one.key].append(one)
            yield IndexPage((), tuple(wrong), page.seen, page.total)
        self._by_key = dict(found)

    def discharged(self) -> set[str]:
        """Return their discharged materials."""
        return {many[0].id_discharge for many in self._pulled().values()}

    def content(self, key: str) -> dict[str, Any] | None:
        """Return the content of the one that stands for those of an entry; None where it has none."""
        many = self._pulled().get(key)
        return chosen_electrode(many) if many else None

    def _pulled(self) -> Mapping[str, Sequence[Electrode]]:
        if self._by_key is None:
            for _ in self.pages():
                pass
        return self._by_key or {}
