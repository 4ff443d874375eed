"""One pull of a sync: the index compared with the store, and what differs fetched chunk by chunk."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from flows.progress import reporter
from storage.records import Failure, Reason, SourceEntry, SourceMember, Stage
from tasks.candidates.entries import (
    Entry,
    Fetched,
    IndexEntry,
    LeftOut,
    Quarantined,
    content_digest,
    content_text,
)
from tasks.stage_keys import digest_of

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from storage.entries import EntryStore
    from tasks.candidates.entries import RemoteSource

INDEX, FETCH = "index", "fetching"
DEFAULT_ION = "Li"
LIMIT = "max_entries"
"""What a query may hold that bounds how many entries it selects."""


def entry_key(source: str, entry_id: str) -> str:
    """Return the stage key under which it is recorded why an entry cannot be used."""
    return digest_of("sync", source, entry_id)


def beside_key(source: str, entry_id: str) -> str:
    """Return the stage key of a document that cannot be used beside one of the same entry that can."""
    return digest_of("sync beside", source, entry_id)


def limit_key(source: RemoteSource) -> str:
    """Return the stage key under which it is recorded what a query's own limit leaves out.

    It is the same whatever the limit is, so that nothing is left out any more once that was raised.
    """
    asked = {name: value for name, value in source.query().items() if name != LIMIT}
    return digest_of("sync limit", source.name, content_digest(asked))


@dataclass
class Pull:
    """What one sync knows while it runs.

    Parameters
    ----------
    source : RemoteSource
        Where entries come from.
    store : EntryStore
        Where they are kept.
    sync_id : str
        Identifier of the sync.
    started_at : datetime
        When it started: what it finds counts as seen then.
    """

    source: RemoteSource
    store: EntryStore
    sync_id: str
    started_at: datetime
    index: dict[str, IndexEntry] = field(default_factory=dict)
    quarantined: dict[str, Quarantined] = field(default_factory=dict)
    gone: set[str] = field(default_factory=set)
    new: set[str] = field(default_factory=set)
    changed: set[str] = field(default_factory=set)
    left_out: dict[str, LeftOut] = field(default_factory=dict)
    beside: dict[str, Quarantined] = field(default_factory=dict)
    n_fetched: int = 0

    def __post_init__(self) -> None:
        self.known = self.store.entries()
        self.members = self.store.members()
        self.ion = str(self.source.query().get("working_ion", DEFAULT_ION))
        self.named = set(self.source.named())

    def run(self, version: str | None) -> None:
        """Pull the index, and fetch and record what the store does not have."""
        self.pull_index()
        new, changed = self.to_fetch()
        wanted = sorted([*new, *changed])
        self._record_unchanged(self.index.keys() - set(wanted))
        reporter().stage(FETCH, len(wanted))
        for start in range(0, len(wanted), self.source.chunk):
            asked = wanted[start : start + self.source.chunk]
            self._record(asked, self.source.fetch(asked), version)
            reporter().advance(FETCH, len(asked))

    def pull_index(self) -> None:
        """Pull the index anew."""
        self.index, self.quarantined, self.gone, self.left_out, self.beside = {}, {}, set(), {}, {}
        shown = False
        before = 0
        for page in self.source.index():
            if not shown:
                reporter().stage(INDEX, page.seen if page.total is None else page.total)
                shown = True
            for entry in page.entries:
                self._note(entry)
            self.quarantined.update({bad.entry_id: bad for bad in page.quarantined})
            self.gone.update(entry.entry_id for entry in page.entries if entry.absent)
            self.left_out.update({one.place: one for one in page.left_out})
            reporter().advance(INDEX, page.seen - before)
            before = page.seen
        # An entry of several documents, one of which can be used, is there; the others are told of apart.
        usable = self.index.keys() - self.gone
        self.beside = {name: bad for name, bad in self.quarantined.items() if name in usable}
        for name in self.beside:
            del self.quarantined[name]

    def _note(self, entry: IndexEntry) -> None:
        earlier = self.index.get(entry.entry_id)
        if earlier is not None:
            # One entry under two spellings of its identifier, or on two pages that overlap.
            aliases = tuple(sorted({*earlier.aliases, *entry.aliases}))
            entry = replace(entry, aliases=aliases)
        self.index[entry.entry_id] = entry

    def to_fetch(self) -> tuple[list[str], list[str]]:
        """Return the entries that the store has not, and those of which the index says something else."""
        new, changed = [], []
        for entry_id, entry in self.index.items():
            row = self.known.get(entry_id)
            if row is None or row.content_hash is None:
                new.append(entry_id)
            elif (
                entry.absent
                or row.index_digest != entry.digest
                or not self.store.has_content(row.content_hash)
            ):
                changed.append(entry_id)
        return sorted(new), sorted(changed)

    def found(self) -> set[str]:
        """Return what the query selects, that which cannot be used included."""
        return (self.index.keys() | self.quarantined.keys()) - self.gone

    def not_found(self) -> list[str]:
        """Return what the query names and the database does not give."""
        return sorted(self.named - self.found())

    def missing(self) -> list[str]:
        """Return what the query selected before and no longer does."""
        members = self.store.members().values()
        return sorted({row.entry_id for row in members if row.vanished_at is None} - self.found())

    def counts(self) -> dict[str, int]:
        """Return what became of the entries until now."""
        found = self.found()
        n_bad = len(self.quarantined.keys() & found)
        n_new = len((self.new & found) - self.quarantined.keys())
        n_changed = len((self.changed & found) - self.quarantined.keys())
        return {
            "n_total": len(found),
            "n_new": n_new,
            "n_changed": n_changed,
            "n_unchanged": max(0, len(found) - n_bad - n_new - n_changed),
            "n_quarantined": n_bad,
        }

    def finish(self) -> int:
        """Record documents that the index could not give, mark what vanished, and return how much did.

        Why something could not be used is forgotten once no query selects it any more.
        """
        unread = [bad for bad in self.quarantined.values() if bad.entry_id not in self.index]
        if unread:
            rows = [row for bad in unread for row in self._rows_of_bad(bad, None)]
            self.store.recorder.record(rows=rows)
        self._tell_of_documents_beside()
        missing = set(self.missing()) - self.gone
        limit = limit_key(self.source)
        cut = [self._failure(one.place, Reason.LIMIT, one.message, limit) for one in self.left_out.values()]
        self.store.recorder.record(rows=cut, healed=[limit])
        n_vanished = self.store.mark_vanished(self.found(), self.started_at)
        if missing:
            entries = self.store.entries()
            over = [one for one in missing if one not in entries or entries[one].vanished_at is not None]
            healed = [entry_key(self.source.name, entry_id) for entry_id in over]
            self.store.recorder.record(healed=healed)
        return n_vanished

    def _tell_of_documents_beside(self) -> None:
        """Record documents that cannot be used though their entries can, and forget those that are mended."""
        told = {name: bad for name, bad in self.beside.items() if name not in self.quarantined}
        rows = [
            self._failure(name, bad.reason, bad.message, beside_key(self.source.name, name))
            for name, bad in told.items()
        ]
        mended = [beside_key(self.source.name, name) for name in self.index.keys() - told.keys()]
        self.store.recorder.record(rows=rows, healed=mended)

    def _record_unchanged(self, entry_ids: set[str]) -> None:
        """Record in one transaction that some entries were found as they are in the store."""
        rows: list[SourceEntry | SourceMember] = []
        for entry_id in sorted(entry_ids):
            aliases = sorted({*self.known[entry_id].aliases, *self.index[entry_id].aliases})
            seen = {"last_seen_at": self.started_at, "vanished_at": None, "aliases": aliases}
            known = self.known[entry_id]
            rows += [known.model_copy(update=seen), self._member(entry_id, known.content_hash)]
        if rows:
            # One that was gone when it was asked for last, and is back as it was, is no failure any more.
            healed = [entry_key(self.source.name, entry_id) for entry_id in sorted(entry_ids)]
            self.store.recorder.record(rows=rows, healed=healed)

    def _record(self, asked: Sequence[str], fetched: Fetched, version: str | None) -> None:
        """Record in one transaction what came of asking for some entries."""
        wanted = set(asked)
        entries = {entry.entry_id: entry for entry in fetched.entries if entry.entry_id in wanted}
        bad = {one.entry_id: one for one in fetched.quarantined if one.entry_id in wanted}
        gone = [entry_id for entry_id in fetched.vanished if entry_id in wanted - entries.keys() - bad.keys()]
        for entry_id in wanted - entries.keys() - bad.keys() - set(gone):
            bad[entry_id] = Quarantined(
                entry_id,
                Reason.MALFORMED_DOCUMENT,
                f"{entry_id} was asked for and not answered; the next sync asks again",
            )
        digests = self.store.write_contents([content_text(entry.content) for entry in entries.values()])
        rows: list[SourceEntry | SourceMember | Failure] = []
        for entry, digest in zip(entries.values(), digests, strict=True):
            rows += [self._entry_row(entry, digest, version), self._member(entry.entry_id, digest)]
        for one in bad.values():
            rows += self._rows_of_bad(one, self.index[one.entry_id])
        for entry_id in gone:
            message = (NOT_FOUND if entry_id in self.named else VANISHED).format(entry_id)
            rows.append(self._failure(entry_id, Reason.VANISHED, message))
        self.store.recorder.record(
            rows=rows, healed=[entry_key(self.source.name, entry_id) for entry_id in entries]
        )
        self.known.update({row.entry_id: row for row in rows if isinstance(row, SourceEntry)})
        for entry_id in entries:
            self.quarantined.pop(entry_id, None)
        self.quarantined.update(bad)
        self.gone.difference_update(entries, bad)
        self.gone.update(gone)
        self.n_fetched += len(entries)

    def _entry_row(self, entry: Entry, digest: str, version: str | None) -> SourceEntry:
        earlier = self.known.get(entry.entry_id)
        same = earlier is not None and earlier.content_hash == digest
        if earlier is None or earlier.content_hash is None:
            self.new.add(entry.entry_id)
        elif not same and entry.entry_id not in self.new:
            self.changed.add(entry.entry_id)
        indexed = self.index[entry.entry_id]
        return SourceEntry(
            source=self.source.name,
            entry_id=entry.entry_id,
            index_digest=indexed.digest,
            content_hash=digest,
            licence=entry.licence,
            aliases=sorted({*indexed.aliases, *(() if earlier is None else earlier.aliases)}),
            # A content that stays as it was is of the version that it was first fetched from.
            database_version=earlier.database_version if same and earlier is not None else version,
            first_seen_at=self.started_at if earlier is None else earlier.first_seen_at,
            last_seen_at=self.started_at,
            changed_at=earlier.changed_at if same and earlier is not None else self.started_at,
        )

    def _rows_of_bad(
        self, bad: Quarantined, indexed: IndexEntry | None
    ) -> list[SourceEntry | SourceMember | Failure]:
        """Return the rows of an entry that cannot be used now; a content from before stays in use."""
        earlier = self.known.get(bad.entry_id)
        row = (
            SourceEntry(
                source=self.source.name,
                entry_id=bad.entry_id,
                aliases=[] if indexed is None else sorted(indexed.aliases),
                first_seen_at=self.started_at,
                last_seen_at=self.started_at,
            )
            if earlier is None
            else earlier.model_copy(
                update={"index_digest": None, "last_seen_at": self.started_at, "vanished_at": None}
            )
        )
        seen = self.members.get(bad.entry_id)
        content_hash = row.content_hash if seen is None or seen.content_hash is None else seen.content_hash
        member = self._member(bad.entry_id, content_hash)
        return [row, member, self._failure(bad.entry_id, bad.reason, bad.message)]

    def _member(self, entry_id: str, content_hash: str | None) -> SourceMember:
        return SourceMember(
            source=self.source.name,
            query_digest=self.store.query_digest,
            entry_id=entry_id,
            sync_id=self.sync_id,
            content_hash=content_hash,
        )

    def _failure(self, entry_id: str, reason: Reason, message: str, stage_key: str | None = None) -> Failure:
        return Failure(
            material_id=entry_id,
            source=self.source.name,
            working_ion=self.ion,
            stage=Stage.CANDIDATES,
            reason=reason,
            message=message,
            stage_key=entry_key(self.source.name, entry_id) if stage_key is None else stage_key,
        )


VANISHED = "{}: the index has it and the database no longer gives it (removed or deprecated)"
NOT_FOUND = (
    "{}: it was asked for by its id and the database does not give it (no such id, removed, deprecated, or "
    "left out by the query's other flags); check the id"
)
