"""Entries that a query names by their ids: which are not there, which were not fetched yet, in words too."""

from __future__ import annotations

from typing import TYPE_CHECKING

from storage.records import Failure, Reason

if TYPE_CHECKING:
    from collections.abc import Sequence

    from storage.entries import EntryStore
    from tasks.candidates.entries import RemoteSource

SHOWN = 20
"""Most identifiers that are listed of each kind; --json has them all."""


def not_found(source: RemoteSource, store: EntryStore) -> tuple[str, ...]:
    """Return what the query of a source names, and its syncs until now did not find.

    Before a sync was completed these are those of which it is recorded; others may be there.
    """
    lacking = _lacking(source, store)
    if not lacking or store.last_sync(completed=True) is not None:
        return lacking
    # Keys load what describes hops, which the commands that print these texts need not wait for.
    from flows.pulling import entry_key

    keys = {entry_key(source.name, one): one for one in lacking}
    rows = store.recorder.rows_under(Failure, list(keys))
    return tuple(sorted({keys[row.stage_key] for row in rows if row.reason is Reason.VANISHED}))


def not_fetched(source: RemoteSource, store: EntryStore) -> tuple[str, ...]:
    """Return what the query of a source names, and a sync that was cut off did not come to."""
    missing = set(not_found(source, store))
    return tuple(one for one in _lacking(source, store) if one not in missing)


def _lacking(source: RemoteSource, store: EntryStore) -> tuple[str, ...]:
    named = source.named()
    members = store.members() if named else {}
    return tuple(sorted(one for one in named if one not in members or members[one].vanished_at is not None))


def told_of_missing(ids: Sequence[str]) -> str:
    """Return what people read of entries that they asked for by their ids and that are not there."""
    return f"Not found, though asked for by id ({len(ids)}): {listed(ids)}; check these ids."


def told_of_unfetched(ids: Sequence[str], source: str) -> str:
    """Return what people read of entries that a sync which was cut off did not come to."""
    return (
        f"Not fetched yet, though asked for by id ({len(ids)}): {listed(ids)}; run `lihop sync --source "
        f"{source}` with the same filters."
    )


def listed(ids: Sequence[str]) -> str:
    """Return the first of some identifiers, and how many more there are."""
    more = f" and {len(ids) - SHOWN} more" if len(ids) > SHOWN else ""
    return ", ".join(ids[:SHOWN]) + more
