"""The sync at the start of a screening, and how to cite what it brought."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from flows.named import not_fetched, not_found, told_of_unfetched
from flows.progress import reporter
from flows.sources import make_remote
from flows.sync import query_digest, sync
from storage.entries import EntryStore

if TYPE_CHECKING:
    from flows.context import Context
    from flows.sync import SyncSummary


@dataclass(frozen=True)
class Cited:
    """Where candidates came from.

    Parameters
    ----------
    database_version : str or None
        Version of the remote database; None where it states none.
    citation : str
        How to cite it.
    not_found : tuple of str
        Entries that the query names by their ids and the database does not have.
    """

    database_version: str | None
    citation: str
    not_found: tuple[str, ...] = ()


def bring_up(context: Context) -> Cited | None:
    """Fetch what changed in the remote source of a screening, if it has one, and note the version.

    Raises
    ------
    SourceError
        When the source cannot be reached.
    """
    parameters = context.parameters
    if parameters.query() is None:
        return None
    remote = make_remote(parameters)
    if parameters.sync:
        done = sync(parameters.syncing(), remote)
        cited = Cited(done.database_version, done.citation, done.not_found)
        reporter().message(counts_of(done))
        for message in done.left_out:
            reporter().message(message)
    else:
        store = EntryStore(context.recorder, remote.name, query_digest(remote))
        last = store.last_sync(completed=True)
        version = None if last is None else last.database_version
        cited = Cited(version, remote.citation(version).text, not_found(remote, store))
        unfetched = not_fetched(remote, store)
        if unfetched:
            reporter().warning(told_of_unfetched(unfetched, remote.name))
    context.recorder.note_source(context.run_id, cited.database_version, cited.citation)
    return cited


def counts_of(done: SyncSummary) -> str:
    """Return what a sync found, in a line."""
    return (
        f"{done.source}: {done.n_total} entries, {done.n_new} new, {done.n_changed} changed, "
        f"{done.n_vanished} vanished, {done.n_quarantined} unusable, {done.n_not_found} not found"
    )
