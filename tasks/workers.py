"""What a worker process does with one batch: load, call one pure function, write shards, return their names.

It is apart from `tasks.stages` because importing Prefect would cost every spawned process more than a second.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from storage.descriptor_shards import read_descriptor_shard, write_descriptor_shard
from storage.folders import place, within
from storage.records import Candidate, DescriptorKey, Hop, Prediction, Stage, StageResult
from storage.shards import ShardInfo, read_rows, write_shard
from tasks.batches import prepare
from tasks.featurizing import featurize
from tasks.percolating import Residuals, percolate_all
from tasks.stage_keys import prediction_key

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from models.checkpoints import Checkpoint
    from models.predictor import Predictions
    from storage.folders import RemoteFile
    from storage.records import Row
    from tasks.candidates.cleaning import CleaningSettings
    from tasks.candidates.source import Source, SourceItem
    from tasks.stage_keys import HopSettings, PercolationSettings


@dataclass(frozen=True)
class Batch:
    """What came of a batch: which shards to record, and how many materials are in them."""

    stem: str
    shards: tuple[ShardInfo, ...]
    n_materials: int


@dataclass(frozen=True)
class PrepareWork:
    """Source items to read and clean."""

    source: Source
    items: tuple[tuple[SourceItem, str], ...]
    cleaning: CleaningSettings
    time_limit_s: float | None
    folder: str

    @property
    def n_materials(self) -> int:
        """Items, each of which is one material or more."""
        return len(self.items)

    def singles(self) -> list[PrepareWork]:
        """Return the same work an item at a time."""
        return [replace(self, items=(item,)) for item in self.items]


@dataclass(frozen=True)
class FeaturizeWork:
    """A shard of candidates whose hops are to be found and described."""

    candidates: str
    stem: str
    n_materials: int
    hops: HopSettings
    time_limit_s: float | None
    folder: str


@dataclass(frozen=True)
class PercolateWork:
    """Shards of candidates, hops and predictions whose percolation is to be worked out.

    Of all materials in them, or of the one whose structure's hash is given.
    """

    stem: str
    predictions: str
    n_materials: int
    settings: PercolationSettings
    model_digest: str
    hop_residual_log_std: float
    material_residual_log_std: float
    folder: str
    only: str | None = None


def shard_path(folder: str | Path, stem: str, table: str) -> Path | RemoteFile:
    """Return where a batch's shard of one table lies."""
    return within(folder, f"{stem}.{table}.parquet")


def stem_of(kind: str, keys: Sequence[str]) -> str:
    """Return the name of a batch: what it does, and a digest of what it does it to."""
    return f"{kind}-{hashlib.sha256(chr(10).join(sorted(keys)).encode()).hexdigest()[:20]}"


def predictions_stem(stem: str, model_digest: str) -> str:
    """Return the name of what a model predicts of a batch."""
    return f"{stem}.{model_digest[:12]}"


def write_candidates(candidates: Sequence[Candidate], hops: HopSettings, folder: str) -> str:
    """Write the candidates of one batch and return its stem.

    The stem follows from what is computed, so that a batch that is run again writes the same files.
    """
    stem = stem_of("hops", [hops.key(candidate.structure_hash) for candidate in candidates])
    write_rows(folder, stem, candidates)
    return stem


def prepare_batch(work: PrepareWork) -> Batch:
    """Read and clean a batch of source items."""
    done = prepare(work.source, work.items, work.cleaning, work.time_limit_s)
    stem = stem_of("candidates", [key for _, key in work.items])
    shards = write_rows(work.folder, stem, done.candidates, done.failures, done.results)
    return Batch(stem, tuple(shards), work.n_materials)


def featurize_batch(work: FeaturizeWork) -> Batch:
    """Find and describe the hops of a batch of candidates."""
    candidates = read_rows(place(work.candidates), Candidate)
    done = featurize(candidates, work.hops, work.stem, work.time_limit_s)
    shards = write_rows(work.folder, work.stem, done.hops, done.failures, done.results)
    if done.keys:
        write_descriptor_shard(
            shard_path(work.folder, work.stem, DescriptorKey.table), done.keys, done.groups
        )
    return Batch(work.stem, tuple(shards), len(candidates))


def predict_batch(stem: str, folder: str, checkpoint: Checkpoint) -> Batch:
    """Predict the barriers of a batch's hops, which must have a shard of descriptors."""
    keys, groups = read_descriptor_shard(shard_path(folder, stem, DescriptorKey.table))
    rows = prediction_rows(keys, checkpoint.predict(groups), checkpoint)
    results = _prediction_results(rows)
    name = predictions_stem(stem, checkpoint.digest)
    return Batch(name, tuple(write_rows(folder, name, rows, results)), len(results))


def prediction_rows(
    keys: Sequence[DescriptorKey], found: Predictions, checkpoint: Checkpoint
) -> list[Prediction]:
    """Return the rows that say what a checkpoint predicts for some hops."""
    digest, method = checkpoint.digest, checkpoint.settings.method
    return [
        Prediction(
            **key.model_dump(exclude={"stage_key"}),
            method=method,
            model_digest=digest,
            barrier_ev=float(found.barrier_ev[row]),
            log_spread=float(found.log_spread[row]),
            member_barriers_ev=found.member_barriers_ev[row].tolist(),
            lower_ev=float(found.lower_ev[row]),
            upper_ev=float(found.upper_ev[row]),
            in_domain=bool(found.in_domain[row]),
            domain_distance=float(found.domain_distance[row]),
            stage_key=prediction_key(key.stage_key, digest),
        )
        for row, key in enumerate(keys)
    ]


def _prediction_results(rows: Sequence[Prediction]) -> list[StageResult]:
    counts: dict[str, int] = {}
    first: dict[str, Prediction] = {}
    for row in rows:
        counts[row.stage_key] = counts.get(row.stage_key, 0) + 1
        first.setdefault(row.stage_key, row)
    return [
        StageResult(
            stage_key=key,
            structure_hash=first[key].structure_hash,
            working_ion=first[key].working_ion,
            stage=Stage.PREDICTION,
            n_rows=count,
        )
        for key, count in counts.items()
    ]


def percolate_batch(work: PercolateWork) -> Batch:
    """Work out the percolation of a batch's materials."""
    candidates = read_rows(shard_path(work.folder, work.stem, Candidate.table), Candidate)
    if work.only is not None:
        candidates = [row for row in candidates if row.structure_hash == work.only]
    hops = read_rows(shard_path(work.folder, work.stem, Hop.table), Hop)
    predictions = read_rows(place(work.predictions), Prediction)
    residuals = Residuals(work.hop_residual_log_std, work.material_residual_log_std, follow_intervals=True)
    done = percolate_all(candidates, hops, predictions, work.settings, residuals)
    part = "" if work.only is None else f"-{stem_of('of', [work.only])}"
    stem = f"{work.stem}.{work.model_digest[:12]}.percolation{part}"
    shards = write_rows(work.folder, stem, done.rows, done.failures, done.results)
    return Batch(work.stem, tuple(shards), work.n_materials)


def write_rows(folder: str, stem: str, *tables: Sequence[Row]) -> list[ShardInfo]:
    """Write a shard for each sequence of rows that is not empty."""
    return [
        write_shard(shard_path(folder, stem, rows[0].table), rows, rows[0].table) for rows in tables if rows
    ]
