"""The second half of a screening: hops, descriptors, barriers and percolation of what is not recorded yet."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import cache, partial
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING

from flows.collecting import forget_failures
from flows.context import over_pool
from flows.progress import reporter
from storage.errors import ShardError
from storage.records import (
    Candidate,
    DescriptorKey,
    Failure,
    Hop,
    Model,
    Prediction,
    Reason,
    Stage,
    StageResult,
)
from storage.shards import read_rows, unseal
from tasks.batches import failure_of
from tasks.descriptors.assemble import INPUT_SPEC
from tasks.workers import (
    Batch,
    FeaturizeWork,
    PercolateWork,
    featurize_batch,
    percolate_batch,
    predict_batch,
    shard_path,
    write_candidates,
    write_rows,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from concurrent.futures import Future

    from flows.context import Context
    from models.checkpoints import Checkpoint

HOPS, BARRIERS, PERCOLATION = "hops and descriptors", "barriers", "percolation"
PUBLISH_INTERVAL_S = 60.0


class LostMaterialError(RuntimeError):
    """The process that worked on a material died, and died again when it worked on that one alone."""


@dataclass
class Plan:
    """What is left to do.

    Parameters
    ----------
    to_featurize : list of Candidate
        Without recorded hops, or without their descriptors.
    to_predict : dict of str to int
        Batches whose descriptors are there, and how many of the candidates each holds.
    n_reused : int
        Candidates of which nothing is left to do.
    """

    to_featurize: list[Candidate] = field(default_factory=list)
    to_predict: dict[str, int] = field(default_factory=dict)
    n_reused: int = 0

    @property
    def n_new(self) -> int:
        """Candidates that something is to be done for."""
        return len(self.to_featurize) + sum(self.to_predict.values())


def plan(context: Context, candidates: Sequence[Candidate]) -> Plan:
    """Find out what is left to do. What is recorded under a key is not computed again."""
    keys = [context.hops_key(row) for row in candidates]
    final_keys = [context.percolation_key(row) for row in candidates]
    forget_failures(context, [*keys, *final_keys])
    finished = context.recorder.known_stage_keys(final_keys)
    done = {row.stage_key: row for row in context.recorder.rows_under(StageResult, keys)}
    is_whole = cache(partial(_is_whole, context))
    left = Plan()
    for candidate, key, final_key in zip(candidates, keys, final_keys, strict=True):
        result = done.get(key)
        # No rows means that it has no hop to predict; the failure that says why stands until it is retried.
        if result is not None and (result.n_rows == 0 or final_key in finished):
            left.n_reused += 1
        elif result is not None and result.shard is not None and is_whole(result.shard):
            left.to_predict[result.shard] = left.to_predict.get(result.shard, 0) + 1
        else:
            left.to_featurize.append(candidate)
    return left


def _is_whole(context: Context, stem: str) -> bool:
    """Tell whether a batch's shards are still there and undamaged; they are computed again otherwise."""
    try:
        for table in (Candidate.table, Hop.table, DescriptorKey.table):
            unseal(shard_path(context.folder, stem, table))
    except ShardError:
        return False
    return True


def compute(context: Context, candidates: Sequence[Candidate]) -> Plan:
    """Compute and record what is left to do; return what that was."""
    left = plan(context, candidates)
    for name, count in ((HOPS, len(left.to_featurize)), (BARRIERS, left.n_new), (PERCOLATION, left.n_new)):
        reporter().stage(name, count)
    if left.n_new == 0:
        return left
    # torch takes seconds to import, and the model is not needed before the first batch is described.
    with ThreadPoolExecutor(max_workers=1) as loader:
        loading = loader.submit(load_checkpoint, context)
        batches = chain(_known(left.to_predict), _featurized(context, left.to_featurize))
        work = list(_predicted(context, loading, batches))
    for batch in over_pool(
        context, "percolate", percolate_batch, work, _whole, partial(_unpercolated, context)
    ):
        context.recorder.record(batch.shards)
        context.recorder.publish(min_interval_s=PUBLISH_INTERVAL_S)
        reporter().advance(PERCOLATION, batch.n_materials)
    return left


def _featurized(context: Context, candidates: Sequence[Candidate]) -> Iterator[Batch]:
    """Featurize and record candidates; yield each batch as it is done."""
    work = [_featurize_work(context, chunk) for chunk in context.chunks(candidates)]
    split, lost = partial(_featurize_singles, context), partial(_unfeaturized, context)
    for batch in over_pool(context, "featurize", featurize_batch, work, split, lost):
        context.recorder.record(batch.shards)
        reporter().advance(HOPS, batch.n_materials)
        yield batch


def _featurize_work(context: Context, candidates: Sequence[Candidate]) -> FeaturizeWork:
    stem = write_candidates(candidates, context.hops, context.folder)
    path = shard_path(context.folder, stem, Candidate.table)
    return FeaturizeWork(
        candidates=str(path),
        stem=stem,
        n_materials=len(candidates),
        hops=context.hops,
        time_limit_s=context.parameters.time_limit_s,
        folder=context.folder,
    )


def _featurize_singles(context: Context, work: FeaturizeWork) -> list[FeaturizeWork]:
    return [_featurize_work(context, [row]) for row in read_rows(Path(work.candidates), Candidate)]


def _unfeaturized(context: Context, work: FeaturizeWork) -> Batch:
    """Say of one material that featurizing it killed the process."""
    (candidate,) = read_rows(Path(work.candidates), Candidate)
    key = context.hops_key(candidate)
    result = StageResult(
        stage_key=key,
        structure_hash=candidate.structure_hash,
        working_ion=candidate.working_ion,
        stage=Stage.HOPS,
        shard=work.stem,
        n_rows=0,
    )
    failure = _lost(candidate, Stage.HOPS, key)
    return Batch(work.stem, tuple(write_rows(context.folder, work.stem, [failure], [result])), 1)


def _lost(candidate: Candidate, stage: Stage, key: str) -> Failure:
    error = LostMaterialError(
        f"{candidate.material_id}: the process died twice (out of memory, or a crash in a library); "
        "give it more memory, then --retry worker_lost"
    )
    return failure_of(error, candidate, stage, key).model_copy(
        update={"reason": Reason.WORKER_LOST, "traceback": None}
    )


def _known(stems: dict[str, int]) -> Iterator[Batch]:
    """Yield the batches that were featurized before."""
    for stem, count in stems.items():
        yield Batch(stem, (), count)


def _predicted(
    context: Context, loading: Future[Checkpoint], batches: Iterable[Batch]
) -> Iterator[PercolateWork]:
    """Predict and record the barriers of each batch as it comes; yield what percolation needs of it."""
    for batch in batches:
        if not shard_path(context.folder, batch.stem, DescriptorKey.table).exists():
            # None of its materials has a hop to predict, and each says why.
            reporter().advance(BARRIERS, batch.n_materials)
            reporter().advance(PERCOLATION, batch.n_materials)
            continue
        checkpoint = loading.result()
        predict = partial(predict_batch, folder=context.folder, checkpoint=checkpoint)
        predicted = context.steps.here("predict", predict, batch.stem)
        context.recorder.record(predicted.shards)
        reporter().advance(BARRIERS, batch.n_materials)
        yield PercolateWork(
            stem=batch.stem,
            predictions=str(shard_path(context.folder, predicted.stem, Prediction.table)),
            n_materials=batch.n_materials,
            settings=context.percolation,
            model_digest=context.model_digest,
            hop_residual_log_std=checkpoint.calibration.hop_residual_log_std,
            material_residual_log_std=checkpoint.calibration.material_residual_log_std,
            folder=context.folder,
        )


def load_checkpoint(context: Context) -> Checkpoint:
    """Load the model, refuse one for other descriptors, and record it."""
    # Imported here, since a run with nothing to predict need not wait for torch.
    from models.checkpoints import load

    checkpoint = load(context.checkpoint, expected=INPUT_SPEC)
    manifest = checkpoint.manifest()
    row = Model(
        model_digest=context.model_digest,
        name=checkpoint.name,
        arch=checkpoint.settings.method,
        members=len(checkpoint.ensemble.members),
        trained_on=checkpoint.trained_on,
        n_training_hops=manifest.n_training_hops,
        descriptor_versions_json=json.dumps(checkpoint.spec.versions(), sort_keys=True),
        metrics_json=json.dumps(checkpoint.metrics, sort_keys=True),
    )
    context.recorder.record(rows=[row])
    return checkpoint


def _whole(work: PercolateWork) -> list[PercolateWork]:
    """Leave a batch's percolation whole: it is light, and its shards are a batch's."""
    return [work]


def _unpercolated(context: Context, work: PercolateWork) -> Batch:
    """Say of each material of a batch that working out its percolation killed the process."""
    candidates = read_rows(shard_path(context.folder, work.stem, Candidate.table), Candidate)
    failures = [_lost(row, Stage.PERCOLATION, context.percolation_key(row)) for row in candidates]
    results = [
        StageResult(
            stage_key=context.percolation_key(row),
            structure_hash=row.structure_hash,
            working_ion=row.working_ion,
            stage=Stage.PERCOLATION,
            n_rows=0,
        )
        for row in candidates
    ]
    stem = f"{work.stem}.lost"
    return Batch(work.stem, tuple(write_rows(context.folder, stem, failures, results)), work.n_materials)
