"""The first half of a screening: what the source has, read, cleaned and merged into one row a material."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from flows.context import over_pool
from flows.progress import reporter
from flows.sources import cleaning_settings, make_source
from storage.records import Candidate, Failure, Reason, Stage, StageResult
from tasks.batches import failure_of
from tasks.candidates.cleaning import MERGED_VOLUME_TOLERANCE, merge_duplicates
from tasks.candidates.source import RejectedError
from tasks.stage_keys import candidate_key, digest_of
from tasks.workers import Batch, PrepareWork, prepare_batch, stem_of, write_rows

if TYPE_CHECKING:
    from collections.abc import Sequence

    from flows.context import Context
    from tasks.candidates.source import SourceItem


@dataclass(frozen=True)
class Collected:
    """What a source came to.

    Parameters
    ----------
    candidates : list of Candidate
        One row a material, in the source's order.
    failures : list of Failure
        Everything else, with the reason.
    n_items : int
        Items that the source has.
    """

    candidates: list[Candidate]
    failures: list[Failure]
    n_items: int


def collect(context: Context) -> Collected:
    """Read and clean what is not known yet, and return all of it with duplicates merged.

    Raises
    ------
    SourceError
        When the source as a whole cannot be used.
    """
    parameters = context.parameters
    source, cleaning = make_source(parameters), cleaning_settings(parameters)
    items = list(source.items())
    within = items if parameters.limit is None else items[: parameters.limit]
    keyed = [(item, candidate_key(item, cleaning.digest())) for item in within]
    keys = [key for _, key in keyed]
    forget_failures(context, keys)
    known = context.recorder.known_stage_keys(keys)
    new = [pair for pair in keyed if pair[1] not in known]
    work = [
        PrepareWork(source, tuple(chunk), cleaning, parameters.time_limit_s, context.folder)
        for chunk in context.chunks(new)
    ]
    reporter().stage("reading", len(new))
    for batch in over_pool(
        context, "read", prepare_batch, work, PrepareWork.singles, partial(_unread, context)
    ):
        context.recorder.record(batch.shards)
        reporter().advance("reading", batch.n_materials)
    order = {key: place for place, key in enumerate(keys)}
    rows = sorted(context.recorder.rows_under(Candidate, keys), key=lambda row: order[row.stage_key])
    failures = [
        row for row in context.recorder.rows_under(Failure, keys) if row.reason is not Reason.DUPLICATE
    ]
    failures += [_limited(context, item) for item in items[len(within) :]]
    kept, merged = _merge(context, rows)
    kept, cut = _cut(context, kept)
    return Collected(kept, failures + merged + cut, len(items))


def forget_failures(context: Context, keys: Sequence[str]) -> None:
    """Forget what failed under some keys for a reason that is to be retried, so that it is computed again."""
    wanted = set(context.parameters.retry)
    if not wanted:
        return
    failed = {row.stage_key for row in context.recorder.rows_under(Failure, keys) if row.reason in wanted}
    context.recorder.forget(failed)


def _unread(context: Context, work: PrepareWork) -> Batch:
    """Say of one item that reading it killed the process."""
    item, key = work.items[0]
    ion = work.cleaning.working_ion
    failure = Failure(
        material_id=item.item_id,
        source=item.source,
        working_ion=ion,
        stage=Stage.CANDIDATES,
        reason=Reason.WORKER_LOST,
        message=f"{item.item_id}: the process that read it died twice (out of memory, or a crash in code)",
        stage_key=key,
    )
    result = StageResult(stage_key=key, working_ion=ion, stage=Stage.CANDIDATES, n_rows=1)
    stem = stem_of("lost", [key])
    return Batch(stem, tuple(write_rows(context.folder, stem, [failure], [result])), 1)


def _limited(context: Context, item: SourceItem) -> Failure:
    limit = context.parameters.limit
    return Failure(
        material_id=item.item_id,
        source=item.source,
        working_ion=context.parameters.working_ion,
        stage=Stage.CANDIDATES,
        reason=Reason.LIMIT,
        message=f"{item.item_id} was left out by --limit {limit}; raise it to screen more",
        stage_key=digest_of("limit", item.item_id, item.digest),
    )


def _merge(context: Context, rows: Sequence[Candidate]) -> tuple[list[Candidate], list[Failure]]:
    """Keep one candidate of each material, and say of the others which one stands for them."""
    keys = merge_duplicates(rows)
    kept: dict[str, Candidate] = {}
    changed: list[Candidate] = []
    failures: list[Failure] = []
    for row in rows:
        key = keys[row.structure_hash]
        candidate = row.model_copy(update={"material_key": key})
        if candidate != row:
            changed.append(candidate)
        if key in kept:
            message = (
                f"{row.material_id} is the same material as {kept[key].material_id} (one structure, volumes "
                f"per atom within {MERGED_VOLUME_TOLERANCE:.0%}), which has the result"
            )
            failures.append(_left_out(candidate, Reason.DUPLICATE, message, row.stage_key))
        else:
            kept[key] = candidate
    context.recorder.record(rows=changed)
    return list(kept.values()), failures


def _cut(context: Context, kept: list[Candidate]) -> tuple[list[Candidate], list[Failure]]:
    """Keep the limit also where one file held several materials."""
    limit = context.parameters.limit
    if limit is None:
        return kept, []
    message = "{} was left out by --limit {}; raise it to screen more"
    return kept[:limit], [
        _left_out(
            row, Reason.LIMIT, message.format(row.material_id, limit), digest_of("limit", row.stage_key)
        )
        for row in kept[limit:]
    ]


def _left_out(row: Candidate, reason: Reason, message: str, stage_key: str) -> Failure:
    return failure_of(RejectedError(reason, message), row, Stage.CANDIDATES, stage_key)
