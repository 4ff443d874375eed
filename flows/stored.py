"""The source of a screening that lies in the store: what a query selects, as it was last synced."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from flows.named import not_found, told_of_missing
from storage.entries import EntryStore, read_content
from storage.errors import CorruptContentError
from storage.recorder import Recorder
from storage.records import Reason
from tasks.candidates.entries import content_digest
from tasks.candidates.source import EmptySourceError, RawMaterial, Rejected, RejectedError, SourceItem

if TYPE_CHECKING:
    from storage.records import SourceEntry, SourceMember
    from tasks.candidates.entries import RemoteSource


@dataclass(frozen=True)
class StoredSource:
    """Entries of a remote database, without the network.

    Parameters
    ----------
    remote : RemoteSource
        The database that they came from, and what was asked of it.
    database : str
        Where they are kept.
    """

    remote: RemoteSource
    database: str

    @property
    def name(self) -> str:
        """Name under which candidates are recorded."""
        return self.remote.name

    def store(self) -> EntryStore:
        """Return the entries of the query; only the process that records may ask it."""
        return EntryStore(Recorder(self.database), self.name, content_digest(self.remote.query()))

    def items(self) -> list[SourceItem]:
        """Return an item an entry that the query selects and whose content can be used, by identifier.

        Raises
        ------
        EmptySourceError
            When nothing was synced for the query, or nothing usable.
        """
        store = self.store()
        entries = store.entries()
        present = [row for row in store.members().values() if row.vanished_at is None]
        found = [self._item(store, entries[row.entry_id], row) for row in present if row.entry_id in entries]
        items = [item for item in found if item is not None]
        if not items:
            raise EmptySourceError(_said_of_none(self.remote, store, self.database))
        return items

    def unusable(self) -> list[str]:
        """Return what the query selects and cannot be used."""
        store = self.store()
        entries = store.entries()
        present = [entry_id for entry_id, row in store.members().items() if row.vanished_at is None]
        return [entry_id for entry_id in present if entries[entry_id].index_digest is None]

    def _item(self, store: EntryStore, entry: SourceEntry, member: SourceMember) -> SourceItem | None:
        # Another query may have left its own content in the entry since.
        content_hash = entry.content_hash if member.content_hash is None else member.content_hash
        if content_hash is None:
            return None
        # Workers read files and never open the database: what it knows travels with the item.
        location = {
            "folder": str(store.folder),
            "aliases": entry.aliases,
            "licence": entry.licence,
            # That of a content of long ago is not known any more.
            "version": entry.database_version if content_hash == entry.content_hash else None,
        }
        return SourceItem(self.name, entry.entry_id, json.dumps(location), content_hash)

    def read(self, item: SourceItem) -> list[RawMaterial | Rejected]:
        """Return the structures of one entry.

        Raises
        ------
        RejectedError
            When nothing of it can be screened.
        """
        known = json.loads(item.location)
        try:
            text = read_content(known["folder"], self.name, item.digest)
        except CorruptContentError as error:
            message = f"{item.item_id}: {error}, then screen with --retry {Reason.UNREADABLE_FILE}"
            raise RejectedError(Reason.UNREADABLE_FILE, message) from error
        return [
            self._completed(found, known) if isinstance(found, RawMaterial) else found
            for found in self.remote.material(json.loads(text))
        ]

    def _completed(self, raw: RawMaterial, known: dict[str, object]) -> RawMaterial:
        aliases = known["aliases"]
        others = set(raw.other_ids) | set(aliases if isinstance(aliases, list) else [])
        version, licence = known["version"], known["licence"]
        return replace(
            raw,
            source=self.name,
            other_ids=tuple(sorted(others - {raw.material_id})),
            database_version=None if version is None else str(version),
            licence=raw.licence if licence is None else str(licence),
        )


def _said_of_none(remote: RemoteSource, store: EntryStore, database: str) -> str:
    """Return why a query has nothing, and what to do."""
    missing = not_found(remote, store)
    if missing and len(missing) == len(remote.named()):
        return f"nothing of {remote.name!r} is there for this query. {told_of_missing(missing)}"
    return (
        f"nothing of {remote.name!r} is stored in {database} for this query; run "
        f"`lihop sync --source {remote.name}` with the same filters, or ask for more"
    )
