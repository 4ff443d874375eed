"""What tests hand to other processes: apart, so that a spawned process need not import torch for it."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path
from typing import TYPE_CHECKING

from storage.records import Candidate
from storage.shards import read_rows
from tasks.candidates.files import FilesSource
from tasks.workers import featurize_batch, percolate_batch, shard_path

if TYPE_CHECKING:
    from tasks.candidates.source import RawMaterial, Rejected, SourceItem
    from tasks.workers import Batch, FeaturizeWork, PercolateWork


def double(value: int) -> int:
    if value < 0:
        raise ValueError(f"{value} is negative")
    return 2 * value


def own_id(_payload: object) -> int:
    return os.getpid()


def die(_payload: object) -> None:
    """Kill this very process, as the kernel does when memory runs out."""
    os.kill(os.getpid(), signal.SIGKILL)


def be_at_work(mark: str) -> None:
    """Say that one is at work, by a file, and be so for longer than anybody waits."""
    Path(mark).touch()
    end = time.monotonic() + 600
    while time.monotonic() < end:
        sum(range(1000))


def heed_interrupts() -> None:
    """Undo what a background job inherits: there SIGINT is ignored, and no Ctrl-C would ever arrive."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


class LethalSource(FilesSource):
    """Files, of which some kill whoever reads them."""

    def read(self, item: SourceItem) -> list[RawMaterial | Rejected]:
        if item.item_id.startswith("lethal."):
            die(item)
        return super().read(item)


def featurize_or_die(work: FeaturizeWork) -> Batch:
    """Featurize a batch, unless one of its materials kills whoever does."""
    rows = read_rows(Path(work.candidates), Candidate)
    if any(row.material_id.startswith("lethal-hops.") for row in rows):
        die(work)
    return featurize_batch(work)


def percolate_or_die(work: PercolateWork) -> Batch:
    """Work out the percolation of a batch, unless one of its materials kills whoever does."""
    rows = read_rows(shard_path(work.folder, work.stem, Candidate.table), Candidate)
    asked = [row for row in rows if work.only in {None, row.structure_hash}]
    if any(row.material_id.startswith("lethal-percolation.") for row in asked):
        die(work)
    return percolate_batch(work)
