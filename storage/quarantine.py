"""Shards that cannot be trusted are moved aside, each with a note that says which, why and when."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from storage import atomic
from storage.errors import ShardError
from storage.folders import move_aside
from storage.shards import unseal
from storage.snapshot_files import stamp

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from storage.folders import Place


def set_aside(shard: Place, folder: Path, reason: str) -> Path | None:
    """Move a shard into quarantine, which is local wherever shards lie, with a note beside it.

    Parameters
    ----------
    shard : Path or RemoteFile
        The shard; one that is not there is not moved.
    folder : Path
        The quarantine.
    reason : str
        Why it cannot be trusted.

    Returns
    -------
    Path or None
        Where it lies now.
    """
    if not shard.is_file():
        return None
    target = folder / f"{stamp(datetime.now(UTC))}-{shard.name}"
    # The note comes first: at a kill there is no shard in quarantine of which nobody knows why.
    atomic.write_text(
        target.with_name(f"{target.name}.txt"),
        f"shard: {shard}\nreason: {reason}\nmoved at: {datetime.now(UTC).isoformat()}\n",
    )
    move_aside(shard, target)
    return target


def sift(shards: Iterable[Place], folder: Path) -> bool:
    """Move those of some shards aside that are damaged; return whether all are there and whole."""
    whole = True
    for shard in shards:
        try:
            unseal(shard)
        except ShardError as error:
            set_aside(shard, folder, str(error))
            whole = False
    return whole
