"""Pulls documents of the Materials Project by pages or by ids, and counts what came."""

from __future__ import annotations

import json
from collections import defaultdict
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from tasks.candidates.entries import Quarantined
from tasks.candidates.materials_project_client import (
    MOST_PER_ANSWER,
    Connection,
    MaterialsProjectError,
    TooLongError,
)
from tasks.candidates.materials_project_documents import SlimSummary, name_of, read_document
from tasks.candidates.source import RejectedError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

SHOWN_IDS = 5
Kind = TypeVar("Kind", bound=SlimSummary)


class MovedError(MaterialsProjectError):
    """The number of documents changed while they were read."""


@dataclass(frozen=True)
class Page:
    """One page of documents as the server gave them.

    Parameters
    ----------
    number : int
        The first is 1.
    documents : list
        As they came.
    seen, total : int
        Documents until now, and how many there are.
    """

    number: int
    documents: list[Any]
    seen: int
    total: int


@dataclass(frozen=True)
class Search:
    """What is searched for, a page at a time.

    Parameters
    ----------
    route : str
        ``summary`` or ``electrodes``.
    filters : dict
        Arguments of the client's search.
    fields : sequence of str
        Fields of each document.
    size : int
        Documents of a page.
    """

    route: str
    filters: dict[str, Any]
    fields: Sequence[str]
    size: int

    def pages(self, connection: Connection) -> Iterator[Page]:
        """Yield all pages; one that fails is asked for again, and those before it are not.

        Raises
        ------
        MaterialsProjectError
            When a page fails for good, saying which; `MovedError` when the number of documents changed.
        """
        seen: set[str] = set()
        total: int | None = None
        number = 0
        while total is None or number * self.size < total:
            number += 1
            what = f"page {number}" + ("" if total is None else f" of {-(-total // self.size)}")
            one = partial(self._page, connection, number, total, seen)
            documents, total = connection.attempt(f"{self.route}, {what}", one)
            seen.update(identity(document) for document in documents)
            yield Page(number, documents, len(seen), total)

    def _page(
        self, connection: Connection, number: int, before: int | None, seen: set[str]
    ) -> tuple[list[Any], int]:
        from tasks.candidates.materials_project_session import AnswerError

        documents, total = connection.search(
            self.route, self.filters, self.fields, page=number, size=self.size
        )
        if before is not None and total != before:
            raise MovedError(
                f"{self.route}, page {number}: the database said {before} documents, and now says {total}: "
                "it is being changed; try again later"
            )
        due = min(self.size, max(total - (number - 1) * self.size, 0))
        if len(documents) != due:
            raise AnswerError(f"a page of {len(documents)} documents where {due} are due ({total} in all)")
        names = [identity(one) for one in documents]
        again = [k for k, name in enumerate(names) if name in seen or names.index(name) < k]
        if again:
            shown = ", ".join(name_of(documents[k], "one without an id") for k in again[:SHOWN_IDS])
            raise AnswerError(
                f"a page that repeats {len(again)} documents ({shown}), so that others are missing"
            )
        return documents, total


def identity(document: object) -> str:
    """Return what tells a document from the others of its index: its id as spelled, else all of it."""
    if isinstance(document, dict) and isinstance(document.get("material_id"), str):
        return str(document["material_id"])
    return json.dumps(document, sort_keys=True)


def by_ids(
    connection: Connection, ids: Sequence[str], fields: Sequence[str], *, include_gnome: bool
) -> list[Any]:
    """Return the summary documents of some materials, in the order of the server; what is not there is not.

    Raises
    ------
    MaterialsProjectError
        When the answer does not add up.
    """
    what = f"summary, {ids[0]} and {len(ids) - 1} more" if len(ids) > 1 else f"summary, {ids[0]}"
    try:
        return connection.attempt(what, partial(_by_ids, connection, ids, fields, include_gnome))
    except TooLongError:
        if len(ids) == 1:
            raise
    middle = len(ids) // 2
    return [
        document
        for part in (ids[:middle], ids[middle:])
        for document in by_ids(connection, part, fields, include_gnome=include_gnome)
    ]


def _by_ids(
    connection: Connection,
    ids: Sequence[str],
    fields: Sequence[str],
    include_gnome: bool,  # noqa: FBT001
) -> list[Any]:
    from tasks.candidates.materials_project_session import AnswerError

    filters = {"material_ids": list(ids), "include_gnome": include_gnome}
    documents, total = connection.search("summary", filters, fields, size=MOST_PER_ANSWER)
    if len(documents) != total:
        raise AnswerError(f"{len(documents)} documents where {total} are due")
    asked = set(ids)
    strange = [name for one in documents if (name := name_of(one, ids[0])) not in asked]
    if strange:
        raise AnswerError(f"documents that were not asked for ({', '.join(strange[:SHOWN_IDS])})")
    return documents


@dataclass
class Gathered(Generic[Kind]):
    """Summary documents by their ids, whatever spelling they came in, and those that cannot be used.

    Parameters
    ----------
    kind : type
        What each is checked as.
    """

    kind: type[Kind]
    spellings: dict[str, dict[str, Kind]] = field(default_factory=lambda: defaultdict(dict))
    bad: dict[str, Quarantined] = field(default_factory=dict)
    nameless: int = 0

    def add(self, documents: Sequence[Any], first: int = 0) -> list[Quarantined]:
        """Check documents one by one; return those that cannot be used, the first having a number."""
        wrong = []
        for number, document in enumerate(documents, start=first):
            try:
                checked = read_document(self.kind, document)
            except RejectedError as error:
                nameless = f"summary document {number}"
                name = name_of(document, nameless)
                self.nameless += name == nameless
                wrong.append(Quarantined(name, error.reason, str(error)))
            else:
                self.spellings[checked.material_id][document["material_id"]] = checked
        self.bad.update((one.entry_id, one) for one in wrong)
        return wrong

    def get(self, name: str) -> Kind | None:
        """Return the document of a material, of two the one under its normal spelling."""
        some = self.spellings.get(name)
        return None if not some else some[min(some, key=lambda spelling: (spelling != name, spelling))]

    def aliases(self, name: str) -> tuple[str, ...]:
        """Return the other spellings that a material came under."""
        return tuple(sorted(set(self.spellings.get(name, {})) - {name}))
