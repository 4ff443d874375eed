"""A sync: what a remote database has for a query, brought into the store without losing or repeating one."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Literal

from flows.leaving import leaving
from flows.named import not_found
from flows.naming import new_run_id
from flows.progress import reporter
from flows.pulling import Pull, limit_key
from flows.sources import make_remote
from storage.entries import EntryStore
from storage.recorder import Recorder
from storage.records import Failure, Sync
from tasks.candidates.entries import content_digest
from tasks.candidates.source import SourceError

if TYPE_CHECKING:
    from flows.parameters import SyncParameters
    from tasks.candidates.entries import Citation, RemoteSource

ATTEMPTS = 2
"""How often the index is pulled while the database's version moves under it."""


class DatabaseMovedError(SourceError):
    """The version of the database moved again and again while it was read."""


@dataclass(frozen=True)
class SyncSummary:
    """What a sync did, or would do.

    Parameters
    ----------
    status : {"completed", "up_to_date", "dry_run"}
        Whether anything was pulled.
    source, database : str
        Name of the source, and the database that it was synced into.
    database_version : str or None
        Version that the source states.
    sync_id : str or None
        Identifier of the sync in the database; of the last one when all is up to date.
    n_total, n_new, n_changed, n_unchanged, n_vanished, n_quarantined : int
        Entries that the query selects, and what became of them. A dry run counts as changed what the index
        says something else of.
    n_fetched : int
        Entries that were fetched whole.
    citation : str
        How to cite what it gave.
    dois : tuple of str
        Papers to cite.
    licence : str
        What the data come under.
    n_not_found : int
        Entries that the query names by their ids and the database does not give.
    not_found : tuple of str
        Their identifiers.
    left_out : tuple of str
        Of each database that has more than the query's limit lets in: how many more, and what to do.
    new, changed, vanished : tuple of str
        Identifiers of those; of a dry run alone.
    """

    status: Literal["completed", "up_to_date", "dry_run"]
    source: str
    database: str
    database_version: str | None
    sync_id: str | None
    citation: str
    licence: str
    dois: tuple[str, ...] = ()
    n_total: int = 0
    n_new: int = 0
    n_changed: int = 0
    n_unchanged: int = 0
    n_vanished: int = 0
    n_quarantined: int = 0
    n_fetched: int = 0
    n_not_found: int = 0
    not_found: tuple[str, ...] = field(default=())
    left_out: tuple[str, ...] = field(default=())
    new: tuple[str, ...] = field(default=())
    changed: tuple[str, ...] = field(default=())
    vanished: tuple[str, ...] = field(default=())

    def as_dict(self) -> dict[str, object]:
        """Return the fields, for JSON."""
        return asdict(self)


def sync(parameters: SyncParameters, remote: RemoteSource | None = None) -> SyncSummary:
    """Bring what a remote database has for a query into the store.

    Entries of which the index says what it said before are not fetched again, so that a sync that was
    interrupted goes on where it was. A document that cannot be used becomes a row in `failures` and is asked
    for again by the next sync.

    Parameters
    ----------
    parameters : SyncParameters
        What to ask for, and where to keep it.
    remote : RemoteSource, optional
        The source; made from the parameters otherwise.

    Returns
    -------
    SyncSummary
        What it did; with `dry_run` what it would do, and nothing is written.

    Raises
    ------
    SourceError
        When the source cannot be reached or does not add up; what was fetched is kept.
    StorageError
        When the database cannot be written.
    """
    source = make_remote(parameters) if remote is None else remote
    recorder = Recorder(parameters.database)
    store = EntryStore(recorder, source.name, query_digest(source))
    version = source.version()
    base = _base(source, recorder, version)
    last = store.last_sync()
    # What an entry holds may hang on what was asked: another query may have left its own content there.
    current = last is not None and _is_current(last, version) and not store.asked_otherwise_since(last)
    if not parameters.refresh and last is not None and current:
        missed = not_found(source, store)
        return replace(
            base,
            status="dry_run" if parameters.dry_run else "up_to_date",
            sync_id=last.sync_id,
            n_total=last.n_total,
            n_unchanged=last.n_total,
            n_not_found=len(missed),
            not_found=missed,
            left_out=tuple(row.message for row in left_out(source, store)),
        )
    if parameters.dry_run:
        return _foretell(source, store, base)
    return _run(source, store, base)


def query_digest(source: RemoteSource) -> str:
    """Return the digest of what a source is asked for."""
    return content_digest(source.query())


def left_out(source: RemoteSource, store: EntryStore) -> list[Failure]:
    """Return what the last sync of a query left out, since the query wanted no more."""
    return store.recorder.rows_under(Failure, [limit_key(source)])


def _is_current(last: Sync, version: str | None) -> bool:
    """Tell whether a sync leaves nothing to do: this version, whole, and nothing to retry."""
    return (
        last.status == "completed"
        and version is not None
        and last.database_version == version
        and last.n_quarantined == 0
    )


def _base(source: RemoteSource, recorder: Recorder, version: str | None) -> SyncSummary:
    citation = source.citation(version)
    return SyncSummary(
        status="completed",
        source=source.name,
        database=str(recorder.paths.published),
        database_version=version,
        sync_id=None,
        citation=citation.text,
        licence=citation.licence,
        dois=citation.dois,
    )


def _foretell(source: RemoteSource, store: EntryStore, base: SyncSummary) -> SyncSummary:
    pull = Pull(source, store, sync_id="", started_at=datetime.now(UTC))
    pull.pull_index()
    new, changed = ([one for one in ids if one not in pull.gone] for ids in pull.to_fetch())
    vanished, missed = pull.missing(), pull.not_found()
    n_total = len(pull.index.keys() - pull.gone)
    return replace(
        base,
        status="dry_run",
        n_total=n_total,
        n_new=len(new),
        n_changed=len(changed),
        n_unchanged=n_total - len(new) - len(changed),
        n_vanished=len(vanished),
        n_quarantined=len(pull.quarantined),
        n_not_found=len(missed),
        not_found=tuple(missed),
        left_out=tuple(one.message for one in pull.left_out.values()),
        new=tuple(new),
        changed=tuple(changed),
        vanished=tuple(vanished),
    )


def _run(source: RemoteSource, store: EntryStore, base: SyncSummary) -> SyncSummary:
    """Pull, and record how it ended."""
    started = datetime.now(UTC)
    row = Sync(
        sync_id=f"sync-{new_run_id()}",
        source=source.name,
        query_digest=store.query_digest,
        query_json=json.dumps(source.query(), sort_keys=True),
        database_version=base.database_version,
        started_at=started,
        status="running",
        citation=base.citation,
    )
    store.start(row)
    pull = Pull(source, store, sync_id=row.sync_id, started_at=started)
    try:
        version = _pull_until_still(source, pull, base.database_version)
        n_vanished = pull.finish()
    except BaseException as error:
        _leave(store, row, pull, error)
        raise
    cited: Citation = source.citation(version)
    counts = pull.counts() | {"n_vanished": n_vanished}
    ended = {
        "status": "completed",
        "finished_at": datetime.now(UTC),
        "database_version": version,
        "citation": cited.text,
    }
    store.recorder.record(rows=[row.model_copy(update=ended | counts)])
    store.recorder.publish()
    known = asdict(base) | counts
    known |= {"sync_id": row.sync_id, "database_version": version, "citation": cited.text}
    missed = tuple(pull.not_found())
    known |= {"n_fetched": pull.n_fetched, "n_not_found": len(missed), "not_found": missed}
    known["left_out"] = tuple(one.message for one in pull.left_out.values())
    return SyncSummary(**known)


def _pull_until_still(source: RemoteSource, pull: Pull, version: str | None) -> str | None:
    """Pull index and entries until the version is the same after as before; return it.

    Raises
    ------
    DatabaseMovedError
        When it moved each time.
    """
    for _ in range(ATTEMPTS):
        pull.run(version)
        now = source.version()
        if now == version:
            return version
        reporter().message(f"{source.name} moved from version {version} to {now} meanwhile; looking again")
        earlier, version = version, now
    raise DatabaseMovedError(
        f"the database of {source.name!r} moved from version {earlier} to {version} while it was read, the "
        f"{ATTEMPTS}nd time in this sync; what was fetched is kept. Wait for its release, and sync again"
    )


def _leave(store: EntryStore, row: Sync, pull: Pull, error: BaseException) -> None:
    """Record that a sync failed, and let people see what it had fetched."""
    with leaving(f"the sync {row.sync_id}", error):
        ended = {"status": "failed", "finished_at": datetime.now(UTC)} | pull.counts()
        store.recorder.record(rows=[row.model_copy(update=ended)])
        store.recorder.publish()
