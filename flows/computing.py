"""The second half of a screening: hops, descriptors, barriers and percolation of what is not recorded yet."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import cache, partial
from itertools import chain
from typing import TYPE_CHECKING

from flows.collecting import UNTRUSTED, forget_failures
from flows.context import over_pool, record_batch
from flows.progress import reporter
from storage.errors import ShardError
from storage.folders import place
from storage.quarantine import sift
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
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from concurrent.futures import Future

    from flows.context import Context
    from models.checkpoints import Checkpoint
    from storage.folders import Place

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
    to_predict : dict of str to list of Candidate
        Batches whose descriptors are there, and which of the candidates each holds.
    n_reused : int
        Candidates of which nothing is left to do.
    """

    to_featurize: list[Candidate] = field(default_factory=list)
    to_predict: dict[str, list[Candidate]] = field(default_factory=dict)
    n_reused: int = 0

    @property
    def n_new(self) -> int:
        """Candidates that something is to be done for."""
        return len(self.to_featurize) + sum(len(rows) for rows in self.to_predict.values())


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
            left.to_predict.setdefault(result.shard, []).append(candidate)
        else:
            left.to_featurize.append(candidate)
    return left


def _is_whole(context: Context, stem: str) -> bool:
    """Tell whether a batch's shards are still there and undamaged; they are computed again otherwise."""
    tables = (Candidate.table, Hop.table, DescriptorKey.table)
    shards = [shard_path(context.folder, stem, table) for table in tables]
    return sift(shards, context.recorder.paths.quarantine)


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
        first = Pass(context, loading)
        first.run(context.chunks(left.to_featurize), left.to_predict)
        again = _to_repeat(context, first.spoilt)
        if again:
            reporter().message(
                f"computing {len(again)} materials again: a shard of theirs could not be trusted, and lies "
                f"in {context.recorder.paths.quarantine}"
            )
            second = Pass(context, loading)
            # A material at a time: what goes wrong again costs no other one its result.
            second.run([[candidate] for candidate in again], {})
            context.recorder.record(rows=[row for one in second.spoilt for row in one.rows(context)])
    return left


@dataclass(frozen=True)
class Spoilt:
    """Materials of which a shard could not be trusted, the stage that it was of, and what was wrong."""

    candidates: Sequence[Candidate]
    stage: Stage
    error: ShardError

    def rows(self, context: Context) -> list[Failure | StageResult]:
        """Return the rows that say of each material that it has no result, and why."""
        found: list[Failure | StageResult] = []
        for row in self.candidates:
            key = context.hops_key(row) if self.stage is Stage.HOPS else context.percolation_key(row)
            message = f"{row.material_id}: {UNTRUSTED.format(self.error)}"
            failure = failure_of(self.error, row, self.stage, key).model_copy(
                update={"reason": Reason.DAMAGED_SHARD, "message": message, "traceback": None}
            )
            found += [failure, _without_rows(row, self.stage, key)]
        return found


def _to_repeat(context: Context, spoilt: Sequence[Spoilt]) -> list[Candidate]:
    """Return the materials that are to be computed again: those that may have a hop to predict."""
    rows = [row for one in spoilt for row in one.candidates]
    results = context.recorder.rows_under(StageResult, [context.hops_key(row) for row in rows])
    without = {result.stage_key for result in results if result.n_rows == 0}
    return [row for row in rows if context.hops_key(row) not in without]


class Pass:
    """Once through all stages, with those set apart of whom a shard cannot be trusted.

    Parameters
    ----------
    context : Context
        The screening.
    loading : Future of Checkpoint
        The model.
    """

    def __init__(self, context: Context, loading: Future[Checkpoint]) -> None:
        self.context = context
        self.loading = loading
        self.spoilt: list[Spoilt] = []
        self._members: dict[str, Sequence[Candidate]] = {}

    def run(self, chunks: Sequence[Sequence[Candidate]], known: dict[str, list[Candidate]]) -> None:
        """Featurize chunks of candidates, and work out percolation of these and of batches that are known."""
        self._members |= known
        context = self.context
        work = list(self._predicted(chain(_known(known), self._featurized(chunks))))
        unpercolated = partial(_unpercolated, context, self._members)
        for piece, batch in over_pool(context, "percolate", percolate_batch, work, _whole, unpercolated):
            error = record_batch(context, batch)
            if error is not None:
                self._set_apart(piece.stem, Stage.PERCOLATION, error, place(piece.predictions))
            context.recorder.publish(min_interval_s=PUBLISH_INTERVAL_S)
            reporter().advance(PERCOLATION, piece.n_materials)

    def _featurized(self, chunks: Sequence[Sequence[Candidate]]) -> Iterator[Batch]:
        """Featurize and record candidates; yield each batch as it is done."""
        context = self.context
        work = [self._work(chunk) for chunk in chunks]
        for piece, batch in over_pool(
            context, "featurize", featurize_batch, work, self._singles, self._unfeaturized
        ):
            error = record_batch(context, batch)
            reporter().advance(HOPS, piece.n_materials)
            if error is None:
                yield Batch(piece.stem, (), piece.n_materials)
            else:
                self._set_apart(piece.stem, Stage.HOPS, error)
                reporter().advance(BARRIERS, piece.n_materials)
                reporter().advance(PERCOLATION, piece.n_materials)

    def _work(self, candidates: Sequence[Candidate]) -> FeaturizeWork:
        work = _featurize_work(self.context, candidates)
        self._members[work.stem] = candidates
        return work

    def _singles(self, work: FeaturizeWork) -> list[FeaturizeWork]:
        return [self._work([row]) for row in self._members[work.stem]]

    def _unfeaturized(self, work: FeaturizeWork) -> Batch:
        """Say of one material that featurizing it killed the process."""
        context = self.context
        (candidate,) = self._members[work.stem]
        key = context.hops_key(candidate)
        result = _without_rows(candidate, Stage.HOPS, key).model_copy(update={"shard": work.stem})
        failure = _lost(candidate, Stage.HOPS, key)
        return Batch(work.stem, tuple(write_rows(context.folder, work.stem, [failure], [result])), 1)

    def _predicted(self, batches: Iterable[Batch]) -> Iterator[PercolateWork]:
        """Predict and record the barriers of each batch as it comes; yield what percolation needs of it."""
        for batch in batches:
            found = self._prediction(batch)
            reporter().advance(BARRIERS, batch.n_materials)
            if found is None:
                reporter().advance(PERCOLATION, batch.n_materials)
            else:
                yield found

    def _prediction(self, batch: Batch) -> PercolateWork | None:
        """Predict and record the barriers of a batch; return what percolation needs, if there are any."""
        context = self.context
        if not shard_path(context.folder, batch.stem, DescriptorKey.table).exists():
            # None of its materials has a hop to predict, and each says why.
            return None
        checkpoint = self.loading.result()
        predict = partial(predict_batch, folder=context.folder, checkpoint=checkpoint)
        try:
            predicted = context.steps.here("predict", predict, batch.stem)
            context.recorder.record(predicted.shards)
        except ShardError as error:
            self._set_apart(batch.stem, Stage.PERCOLATION, error)
            return None
        return _percolate_work(context, checkpoint, batch, predicted)

    def _set_apart(self, stem: str, stage: Stage, error: ShardError, *read: Place) -> None:
        """Keep in mind whom a shard that cannot be trusted is about, and move aside what else is damaged."""
        _is_whole(self.context, stem)
        sift([path for path in read if path.exists()], self.context.recorder.paths.quarantine)
        self.spoilt.append(Spoilt(self._members[stem], stage, error))


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


def _lost(candidate: Candidate, stage: Stage, key: str) -> Failure:
    error = LostMaterialError(
        f"{candidate.material_id}: the process died twice (out of memory, or a crash in a library); "
        "give it more memory, then --retry worker_lost"
    )
    return failure_of(error, candidate, stage, key).model_copy(
        update={"reason": Reason.WORKER_LOST, "traceback": None}
    )


def _known(members: dict[str, list[Candidate]]) -> Iterator[Batch]:
    """Yield the batches that were featurized before."""
    for stem, candidates in members.items():
        yield Batch(stem, (), len(candidates))


def _percolate_work(
    context: Context, checkpoint: Checkpoint, batch: Batch, predicted: Batch
) -> PercolateWork:
    return PercolateWork(
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


def _unpercolated(context: Context, members: Mapping[str, Sequence[Candidate]], work: PercolateWork) -> Batch:
    """Say of each material of a batch that working out its percolation killed the process."""
    candidates = members[work.stem]
    failures = [_lost(row, Stage.PERCOLATION, context.percolation_key(row)) for row in candidates]
    results = [_without_rows(row, Stage.PERCOLATION, context.percolation_key(row)) for row in candidates]
    stem = f"{work.stem}.lost"
    return Batch(work.stem, tuple(write_rows(context.folder, stem, failures, results)), work.n_materials)


def _without_rows(candidate: Candidate, stage: Stage, key: str) -> StageResult:
    """Return that a stage came to nothing for a material, so that it is not tried again by itself."""
    return StageResult(
        stage_key=key,
        structure_hash=candidate.structure_hash,
        working_ion=candidate.working_ion,
        stage=stage,
        n_rows=0,
    )
