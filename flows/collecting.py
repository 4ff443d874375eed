"""The first half of a screening: what the source has, read, cleaned and merged into one row a material."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING

from flows.context import over_pool, record_batch
from flows.merging import left_out, merge
from flows.progress import reporter
from flows.pulling import entry_key, limit_key
from flows.sources import cleaning_settings, make_source
from flows.stored import StoredSource
from flows.syncing import bring_up
from storage.records import Failure, Reason, Stage, StageResult
from tasks.candidates.cleaning_state import states_of
from tasks.stage_keys import candidate_key, digest_of
from tasks.workers import Batch, PrepareWork, prepare_batch, stem_of, write_rows

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from flows.context import Context
    from flows.syncing import Cited
    from storage.errors import ShardError
    from storage.heads import Head
    from tasks.candidates.cleaning import CleaningSettings
    from tasks.candidates.source import Source, SourceItem


UNTRUSTED = (
    "what was computed of it could not be trusted, twice: {}; look after the disk and the memory, then "
    "--retry damaged_shard"
)


@dataclass(frozen=True)
class Collected:
    """What a source came to.

    Parameters
    ----------
    candidates : list of Head
        One row a material and state of charge, in the source's order.
    failures : list of Failure
        Everything else, with the reason.
    n_items : int
        Items that the source has.
    cited : Cited or None
        Which version of which remote database they came from.
    """

    candidates: list[Head]
    failures: list[Failure]
    n_items: int
    cited: Cited | None = None


def collect(context: Context) -> Collected:
    """Read and clean what is not known yet, and return all of it with duplicates merged.

    Of a remote source, what changed there is fetched first, unless the parameters say otherwise.

    Raises
    ------
    SourceError
        When the source as a whole cannot be used.
    """
    parameters = context.parameters
    cited = bring_up(context)
    source, cleaning = make_source(parameters), cleaning_settings(parameters)
    items = list(source.items())
    within = items if parameters.limit is None else items[: parameters.limit]
    _forget_limit(context, [_item_limit_key(item) for item in within])
    candidates: list[Head] = []
    failures = [_limited(context, item) for item in items[len(within) :]] + _unusable(context, source, cited)
    for state in states_of(parameters.state):
        kept, failed = _collect(context, source, within, replace(cleaning, state=state))
        candidates += kept
        # What keeps a structure from being screened in one state keeps it in the other too, and is told once.
        told = {(row.material_id, row.reason) for row in failures}
        failures += [row for row in failed if (row.material_id, row.reason) not in told]
    return Collected(candidates, failures, len(items), cited)


def _unusable(context: Context, source: Source, cited: Cited | None) -> list[Failure]:
    """Return why a remote source lacks entries, cannot use them, or uses them as they last were."""
    if not isinstance(source, StoredSource):
        return []
    missed = () if cited is None else cited.not_found
    keys = [entry_key(source.name, entry_id) for entry_id in (*source.unusable(), *missed)]
    keys.append(limit_key(source.remote))
    return context.recorder.rows_under(Failure, keys)


def _collect(
    context: Context, source: Source, items: Sequence[SourceItem], cleaning: CleaningSettings
) -> tuple[list[Head], list[Failure]]:
    """Return the distinct materials in one state of charge, and everything else with the reason."""
    keyed = [(item, candidate_key(item, cleaning.digest())) for item in items]
    keys = [key for _, key in keyed]
    forget_failures(context, keys)
    whole = _whole_keys(context, keys)
    new = [pair for pair in keyed if pair[1] not in whole]
    work = [
        PrepareWork(source, tuple(chunk), cleaning, context.parameters.time_limit_s, context.folder)
        for chunk in context.light_chunks(new)
    ]
    reporter().stage("reading", len(new))
    spoilt = list(_read(context, work))
    for single, error in _read(context, [single for piece, _ in spoilt for single in piece.singles()]):
        context.recorder.record(rows=_untrusted(single, error))
        reporter().advance("reading", single.n_materials)
    context.recorder.mark_seen(keys, datetime.now(UTC))
    order = {key: place for place, key in enumerate(keys)}
    rows = sorted(context.recorder.heads_under(keys), key=lambda row: order[row.stage_key])
    failures = [
        row for row in context.recorder.rows_under(Failure, keys) if row.reason is not Reason.DUPLICATE
    ]
    kept, merged = merge(context, rows)
    kept, cut = _cut(context, kept)
    return kept, failures + merged + cut


def _read(context: Context, work: Sequence[PrepareWork]) -> Iterator[tuple[PrepareWork, ShardError]]:
    """Read and record batches of items; yield those of which a shard could not be trusted."""
    unread = partial(_unread, context)
    for piece, batch in over_pool(context, "read", prepare_batch, work, PrepareWork.singles, unread):
        error = record_batch(context, batch)
        if error is None:
            reporter().advance("reading", piece.n_materials)
        else:
            yield piece, error


def _whole_keys(context: Context, keys: Sequence[str]) -> set[str]:
    """Return the keys of items that need not be read: all that they came to is there.

    A candidate's row is of the cleaning that it was last made by, so one that other settings made since no
    longer stands under the earlier key.
    """
    there = Counter(row.stage_key for row in context.recorder.heads_under(keys))
    there.update(
        row.stage_key
        for row in context.recorder.rows_under(Failure, keys)
        if row.reason not in {Reason.DUPLICATE, Reason.LIMIT}
    )
    results = context.recorder.rows_under(StageResult, keys)
    return {row.stage_key for row in results if there[row.stage_key] >= row.n_rows}


def forget_failures(context: Context, keys: Sequence[str]) -> None:
    """Forget what failed under some keys for a reason that is to be retried, so that it is computed again."""
    wanted = set(context.parameters.retry)
    if not wanted:
        return
    failed = {row.stage_key for row in context.recorder.rows_under(Failure, keys) if row.reason in wanted}
    context.recorder.forget(failed)


def _unread(context: Context, work: PrepareWork) -> Batch:
    """Say of one item that reading it killed the process."""
    failure, result = _item_failure(
        work, Reason.WORKER_LOST, "the process that read it died twice (out of memory, or a crash in code)"
    )
    stem = stem_of("lost", [failure.stage_key])
    return Batch(stem, tuple(write_rows(context.folder, stem, [failure], [result])), 1)


def _untrusted(work: PrepareWork, error: ShardError) -> tuple[Failure, StageResult]:
    """Say of one item that what was read of it twice could not be trusted."""
    return _item_failure(work, Reason.DAMAGED_SHARD, UNTRUSTED.format(error))


def _item_failure(work: PrepareWork, reason: Reason, message: str) -> tuple[Failure, StageResult]:
    """Return the rows that say why one item was not read."""
    item, key = work.items[0]
    ion = work.cleaning.working_ion
    failure = Failure(
        material_id=item.item_id,
        source=item.source,
        working_ion=ion,
        stage=Stage.CANDIDATES,
        reason=reason,
        message=f"{item.item_id}: {message}",
        stage_key=key,
    )
    return failure, StageResult(stage_key=key, working_ion=ion, stage=Stage.CANDIDATES, n_rows=1)


def _limited(context: Context, item: SourceItem) -> Failure:
    limit = context.parameters.limit
    return Failure(
        material_id=item.item_id,
        source=item.source,
        working_ion=context.parameters.working_ion,
        stage=Stage.CANDIDATES,
        reason=Reason.LIMIT,
        message=f"{item.item_id} was left out by --limit {limit}; raise it to screen more",
        stage_key=_item_limit_key(item),
    )


def _item_limit_key(item: SourceItem) -> str:
    return digest_of("limit", item.item_id, item.digest)


def _row_limit_key(row: Head) -> str:
    return digest_of("limit", row.stage_key)


def _forget_limit(context: Context, keys: Sequence[str]) -> None:
    """Forget that an earlier limit left out what is within the limit now."""
    over = {row.stage_key for row in context.recorder.rows_under(Failure, keys)}
    if over:
        context.recorder.record(healed=over)


def _cut(context: Context, kept: list[Head]) -> tuple[list[Head], list[Failure]]:
    """Keep the limit also where one file held several materials."""
    limit = context.parameters.limit
    _forget_limit(context, [_row_limit_key(row) for row in kept[:limit]])
    if limit is None:
        return kept, []
    message = "{} was left out by --limit {}; raise it to screen more"
    return kept[:limit], [
        left_out(row, Reason.LIMIT, message.format(row.material_id, limit), _row_limit_key(row))
        for row in kept[limit:]
    ]
