"""Which candidates are one material, and which of them stands for it; what was compared once is known."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from flows.context import BLOCK, blocks
from storage.records import Failure, Reason, Stage, StageResult
from tasks.batches import failure_of
from tasks.candidates.cleaning_duplicates import MERGED_VOLUME_TOLERANCE, merge_duplicates
from tasks.candidates.source import RejectedError
from tasks.stage_keys import merging_key

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from flows.context import Context
    from storage.heads import Head
    from storage.records import Candidate


def merge(context: Context, rows: Sequence[Head]) -> tuple[list[Head], list[Failure]]:
    """Keep one candidate of each material, and say of the others which one stands for them.

    Parameters
    ----------
    context : Context
        The screening; candidates that merging changes are recorded.
    rows : sequence of Head
        Candidates in the order of their source: the first of a material stands for it.

    Returns
    -------
    tuple of list of Head and list of Failure
        Those that are kept, in their order, and why the others are not.
    """
    keys = material_keys(context, rows)
    kept: dict[str, Head] = {}
    others: dict[str, set[str]] = {}
    merged: list[Head] = []
    failures: list[Failure] = []
    for row in rows:
        key = keys[row.structure_hash]
        # Those of a merged material go again when it no longer is the same one.
        candidate = replace(row, material_key=key, other_ids=row.own_ids)
        if key in kept:
            merged.append(candidate)
            others[key] |= {row.material_id, *(row.own_ids or ())}
            message = (
                f"{row.material_id} is the same material as {kept[key].material_id} (one structure, volumes "
                f"per atom within {MERGED_VOLUME_TOLERANCE:.0%}), which has the result"
            )
            failures.append(left_out(candidate, Reason.DUPLICATE, message, row.stage_key))
        else:
            kept[key] = candidate
            others[key] = set(row.own_ids or ())
    for key, candidate in kept.items():
        ids = sorted(others[key] - {candidate.material_id})
        kept[key] = replace(candidate, other_ids=tuple(ids) or None)
    known = {row.key: row for row in rows}
    changed = [row for row in [*kept.values(), *merged] if row != known[row.key]]
    for block in blocks(changed):
        context.recorder.record(rows=_with_merged(context, block))
    return list(kept.values()), failures


def material_keys(context: Context, rows: Sequence[Head]) -> dict[str, str]:
    """Return for each structure the hash of the one that stands for its material.

    Comparing structures is the largest part of a screening that computes nothing. So what a comparison came
    to is recorded as a stage that is done, under a key of the structures, their order and the answer: where
    candidates still carry that answer, it is taken. Structures are read block by block.

    Parameters
    ----------
    context : Context
        The screening.
    rows : sequence of Head
        Candidates in the order of their source.
    """
    keys = {row.structure_hash: row.structure_hash for row in rows}
    alike: dict[tuple[str, str, str], list[Head]] = {}
    for row in rows:
        alike.setdefault((row.formula, row.working_ion, row.state), []).append(row)
    groups = [some for some in alike.values() if len({row.structure_hash for row in some}) > 1]
    carried = [_carried(some) for some in groups]
    known = context.recorder.known_stage_keys({merging_key(pairs) for pairs in carried})
    doubtful = []
    for some, pairs in zip(groups, carried, strict=True):
        if merging_key(pairs) in known:
            keys |= dict(pairs)
        else:
            doubtful.append(some)
    for block in _of_size(doubtful):
        found = merge_duplicates(context.whole([row for some in block for row in some]))
        keys |= found
        context.recorder.record(rows=[_compared(some, found) for some in block])
    return keys


def left_out(row: Head, reason: Reason, message: str, stage_key: str) -> Failure:
    """Return why a candidate is not screened, though nothing is wrong with it."""
    return failure_of(RejectedError(reason, message), row, Stage.CANDIDATES, stage_key)


def _carried(alike: Sequence[Head]) -> list[tuple[str, str]]:
    """Return each structure, in order, with what its candidates say: one answer, unless they differ."""
    return list(dict.fromkeys((row.structure_hash, row.material_key) for row in alike))


def _compared(alike: Sequence[Head], keys: dict[str, str]) -> StageResult:
    """Say that some candidates were compared with each other, and what they came to."""
    pairs = list(dict.fromkeys((row.structure_hash, keys[row.structure_hash]) for row in alike))
    return StageResult(
        stage_key=merging_key(pairs),
        structure_hash=alike[0].structure_hash,
        working_ion=alike[0].working_ion,
        stage=Stage.CANDIDATES,
        n_rows=0,
    )


def _of_size(groups: Sequence[Sequence[Head]]) -> Iterator[list[Sequence[Head]]]:
    """Yield groups whole, in blocks of a size that fits in memory."""
    block: list[Sequence[Head]] = []
    for some in groups:
        block.append(some)
        if sum(len(one) for one in block) >= BLOCK:
            yield block
            block = []
    if block:
        yield block


def _with_merged(context: Context, heads: Sequence[Head]) -> list[Candidate]:
    """Return whole candidates with what merging found out of them."""
    return [
        row.model_copy(
            update={
                "material_key": head.material_key,
                "other_ids": None if head.other_ids is None else list(head.other_ids),
            }
        )
        for head, row in zip(heads, context.whole(heads), strict=True)
    ]
