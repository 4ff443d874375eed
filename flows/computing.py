"""The second half of a screening: hops, descriptors, barriers and percolation of what is not recorded yet."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from contextvars import copy_context
from dataclasses import dataclass, replace
from functools import partial
from itertools import chain
from typing import TYPE_CHECKING

from flows.collecting import UNTRUSTED
from flows.context import BLOCK, blocks, over_pool, record_batch
from flows.inference import PredictParameters, in_groups
from flows.planning import Plan, barriers_of, is_whole, plan
from flows.progress import reporter
from flows.running.freed import give_back_freed
from flows.running.window import Counted, at_once, several
from storage.errors import ShardError
from storage.folders import place
from storage.quarantine import sift
from storage.records import (
    Candidate,
    DescriptorKey,
    Failure,
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
    predictions_stem,
    shard_path,
    stem_of,
    write_candidates,
    write_rows,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
    from concurrent.futures import Future
    from pathlib import Path

    from flows.context import Context
    from models.checkpoints import Checkpoint
    from storage.folders import Place, RemoteFile
    from storage.heads import Head
    from storage.shards import ShardInfo

HOPS, BARRIERS, PERCOLATION = "hops and descriptors", "barriers", "percolation"
PUBLISH_INTERVAL_S = 60.0


class LostMaterialError(RuntimeError):
    """The process that worked on a material died, and died again when it worked on that one alone."""


def compute(context: Context, candidates: Sequence[Head]) -> Plan:
    """Compute and record what is left to do; return what that was."""
    left = plan(context, candidates)
    for name, count in ((HOPS, len(left.to_featurize)), (BARRIERS, left.n_new), (PERCOLATION, left.n_new)):
        reporter().stage(name, count)
    if left.n_new == 0:
        return left
    # torch takes seconds to import, and the model is not needed before the first batch is described.
    with ThreadPoolExecutor(max_workers=1) as loader:
        # In a copy of the context, which says what is held while one records.
        loading = loader.submit(copy_context().run, load_checkpoint, context)
        first = Pass(context, loading)
        first.run(context.chunks(left.to_featurize), left.to_predict, left.predicted)
        again = _to_repeat(context, first.spoilt)
        if again:
            reporter().warning(
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

    candidates: Sequence[Head]
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


def _to_repeat(context: Context, spoilt: Sequence[Spoilt]) -> list[Head]:
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
        self._members: dict[str, Sequence[Head]] = {}
        self._at_once = 1
        self._untidied = 0

    def run(
        self,
        chunks: Sequence[Sequence[Head]],
        known: Mapping[str, Sequence[Head]],
        predicted: frozenset[str] = frozenset(),
    ) -> None:
        """Featurize chunks of candidates, and work out percolation of these and of batches that are known."""
        self._members |= known
        context = self.context
        self._at_once = at_once(len(chunks) + len(known), context.parameters.workers)
        work = [self._predicted_before(batch) for batch in _known(known) if batch.stem in predicted]
        rest = (batch for batch in _known(known) if batch.stem not in predicted)
        # Closed at once when something goes wrong: what is predicted elsewhere is given up then.
        with closing(self._predicted(chain(rest, self._featurized(chunks)))) as found:
            work += found
        unpercolated = partial(_unpercolated, context, self._members)
        for piece, batch in over_pool(
            context, "percolate", percolate_batch, work, self._percolate_singles, unpercolated
        ):
            error = record_batch(context, batch)
            if error is not None:
                self._set_apart(piece.stem, Stage.PERCOLATION, error, place(piece.predictions))
            context.recorder.publish(min_interval_s=PUBLISH_INTERVAL_S)
            reporter().advance(PERCOLATION, piece.n_materials)
            self._tidy(piece.n_materials)

    def _tidy(self, n_materials: int) -> None:
        """Give back now and then what was let go of, after so many more materials."""
        self._untidied += n_materials
        if self._untidied >= BLOCK:
            give_back_freed()
            self._untidied = 0

    def _predicted_before(self, batch: Batch) -> PercolateWork:
        """Return what percolation needs of a batch whose barriers are there."""
        reporter().advance(BARRIERS, batch.n_materials)
        return _percolate_work(self.context, self.loading.result(), batch)

    def _featurized(self, chunks: Sequence[Sequence[Head]]) -> Iterator[Batch]:
        """Featurize and record candidates; yield each batch as it is done."""
        context = self.context
        work = Counted(self._drawn(chunks), len(chunks))
        for piece, batch in over_pool(
            context, "featurize", featurize_batch, work, self._singles, self._unfeaturized
        ):
            error = record_batch(context, batch)
            reporter().advance(HOPS, piece.n_materials)
            self._tidy(piece.n_materials)
            if error is None:
                yield Batch(piece.stem, (), piece.n_materials)
            else:
                self._set_apart(piece.stem, Stage.HOPS, error)
                reporter().advance(BARRIERS, piece.n_materials)
                reporter().advance(PERCOLATION, piece.n_materials)

    def _drawn(self, chunks: Sequence[Sequence[Head]]) -> Iterator[FeaturizeWork]:
        """Yield the work of each chunk as it is asked for, so that few structures are in memory at once."""
        for some in blocks(chunks, max(1, BLOCK // self.context.parameters.batch_size)):
            whole = iter(self.context.whole(list(chain.from_iterable(some))))
            for chunk in some:
                yield self._work(chunk, [next(whole) for _ in chunk])

    def _work(self, heads: Sequence[Head], candidates: Sequence[Candidate]) -> FeaturizeWork:
        work = _featurize_work(self.context, candidates)
        self._members[work.stem] = heads
        return work

    def _singles(self, work: FeaturizeWork) -> list[FeaturizeWork]:
        return [self._work([row], self.context.whole([row])) for row in self._members[work.stem]]

    def _unfeaturized(self, work: FeaturizeWork) -> Batch:
        """Say of one material that featurizing it killed the process."""
        context = self.context
        (candidate,) = self._members[work.stem]
        key = context.hops_key(candidate)
        result = _without_rows(candidate, Stage.HOPS, key).model_copy(update={"shard": work.stem})
        failure = _lost(candidate, Stage.HOPS, key)
        return Batch(work.stem, tuple(write_rows(context.folder, work.stem, [failure], [result])), 1)

    def _percolate_singles(self, work: PercolateWork) -> list[PercolateWork]:
        """Return the same work a material at a time."""
        return [replace(work, only=row.structure_hash, n_materials=1) for row in self._members[work.stem]]

    def _predicted(self, batches: Iterable[Batch]) -> Generator[PercolateWork]:
        """Predict and record the barriers of each batch as it comes; yield what percolation needs of it."""
        elsewhere = self.context.elsewhere
        described = (batch for batch in batches if self._is_described(batch))
        if elsewhere is None:
            for some in several(described, self._at_once):
                yield from self._through(some, self._predict_together(some))
            return
        with closing(in_groups(described, elsewhere, self._asked_elsewhere)) as groups:
            for group, refusal in groups:
                if refusal is not None:
                    reporter().warning(f"barriers are predicted in this process: {refusal}")
                yield from self._through(group, self._predict_here if refusal else self._predicted_there)

    def _asked_elsewhere(self, stems: tuple[str, ...]) -> PredictParameters:
        """Return what is asked for of some batches."""
        context = self.context
        return PredictParameters(
            folder=context.folder,
            stems=stems,
            model=context.parameters.model,
            model_digest=context.model_digest,
        )

    def _is_described(self, batch: Batch) -> bool:
        """Tell whether a batch has hops to predict; where it has none, each of its materials says why."""
        described = shard_path(self.context.folder, batch.stem, DescriptorKey.table).exists()
        if not described:
            reporter().advance(BARRIERS, batch.n_materials)
            reporter().advance(PERCOLATION, batch.n_materials)
        return described

    def _through(
        self, batches: Iterable[Batch], predict: Callable[[Batch], Sequence[Path | RemoteFile | ShardInfo]]
    ) -> Iterator[PercolateWork]:
        """Record what is predicted of each batch; yield what percolation needs of it."""
        context = self.context
        for batch in batches:
            try:
                context.recorder.record(predict(batch))
            except ShardError as error:
                self._set_apart(batch.stem, Stage.PERCOLATION, error)
                reporter().advance(PERCOLATION, batch.n_materials)
            else:
                yield _percolate_work(context, self.loading.result(), batch)
            reporter().advance(BARRIERS, batch.n_materials)
            self._tidy(batch.n_materials)

    def _predict_here(self, batch: Batch) -> Sequence[ShardInfo]:
        """Predict the barriers of a batch in this process."""
        return self._predict_together([batch])(batch)

    def _predict_together(self, batches: Sequence[Batch]) -> Callable[[Batch], Sequence[ShardInfo]]:
        """Predict the barriers of some batches in one step; return a function that tells of each."""
        context = self.context
        predict = partial(predict_batch, folder=context.folder, checkpoint=self.loading.result())
        stems = [batch.stem for batch in batches]
        found = dict(zip(stems, context.steps.here("predict", partial(_each, predict), stems), strict=True))

        def shards_of(batch: Batch) -> Sequence[ShardInfo]:
            of_batch = found[batch.stem]
            if isinstance(of_batch, ShardError):
                raise of_batch
            return of_batch.shards

        return shards_of

    def _predicted_there(self, batch: Batch) -> Sequence[Path | RemoteFile | ShardInfo]:
        """Return the shards of what somebody else predicted; where they are not to be seen, predict here."""
        name = predictions_stem(batch.stem, self.context.model_digest)
        tables = (Prediction.table, StageResult.table)
        found = [shard_path(self.context.folder, name, table) for table in tables]
        return found if all(path.exists() for path in found) else self._predict_here(batch)

    def _set_apart(self, stem: str, stage: Stage, error: ShardError, *read: Place) -> None:
        """Keep in mind whom a shard that cannot be trusted is about, and move aside what else is damaged."""
        is_whole(self.context, stem)
        sift([path for path in read if path.exists()], self.context.recorder.paths.quarantine)
        self.spoilt.append(Spoilt(self._members[stem], stage, error))


def _each(predict: Callable[[str], Batch], stems: Sequence[str]) -> list[Batch | ShardError]:
    """Predict one batch after another; return what came of each, or why its descriptors cannot be trusted."""
    found: list[Batch | ShardError] = []
    for stem in stems:
        try:
            found.append(predict(stem))
        except ShardError as error:
            found.append(error)
    return found


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


def _lost(candidate: Head, stage: Stage, key: str) -> Failure:
    error = LostMaterialError(
        f"{candidate.material_id}: the process died twice (out of memory, or a crash in a library); "
        "give it more memory, then --retry worker_lost"
    )
    return failure_of(error, candidate, stage, key).model_copy(
        update={"reason": Reason.WORKER_LOST, "traceback": None}
    )


def _known(members: Mapping[str, Sequence[Head]]) -> Iterator[Batch]:
    """Yield the batches that were featurized before."""
    for stem, candidates in members.items():
        yield Batch(stem, (), len(candidates))


def _percolate_work(context: Context, checkpoint: Checkpoint, batch: Batch) -> PercolateWork:
    return PercolateWork(
        stem=batch.stem,
        predictions=str(barriers_of(context, batch.stem)),
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


def _unpercolated(context: Context, members: Mapping[str, Sequence[Head]], work: PercolateWork) -> Batch:
    """Say of one material that working out its percolation killed the process."""
    (candidate,) = [row for row in members[work.stem] if row.structure_hash == work.only]
    key = context.percolation_key(candidate)
    stem = stem_of("lost", [key])
    rows = [_lost(candidate, Stage.PERCOLATION, key)], [_without_rows(candidate, Stage.PERCOLATION, key)]
    return Batch(work.stem, tuple(write_rows(context.folder, stem, *rows)), 1)


def _without_rows(candidate: Head, stage: Stage, key: str) -> StageResult:
    """Return that a stage came to nothing for a material, so that it is not tried again by itself."""
    return StageResult(
        stage_key=key,
        structure_hash=candidate.structure_hash,
        working_ion=candidate.working_ion,
        stage=stage,
        n_rows=0,
    )
