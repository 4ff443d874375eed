"""What of a screening is left to do: nothing that is recorded under its key is computed again."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cache, partial
from typing import TYPE_CHECKING

from flows.collecting import forget_failures
from flows.context import blocks
from storage.quarantine import sift
from storage.records import Candidate, DescriptorKey, Hop, Prediction, StageResult
from tasks.workers import predictions_stem, shard_path

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from flows.context import Context
    from storage.folders import Place
    from storage.heads import Head


@dataclass
class Plan:
    """What is left to do.

    Parameters
    ----------
    to_featurize : list of Head
        Without recorded hops, or without their descriptors.
    to_predict : dict of str to list of Head
        Batches whose descriptors are there, and which of the candidates each holds.
    predicted : frozenset of str
        Those of these batches whose barriers are there too: only their percolation is left.
    n_reused : int
        Candidates of which nothing is left to do.
    """

    to_featurize: list[Head] = field(default_factory=list)
    to_predict: dict[str, list[Head]] = field(default_factory=dict)
    predicted: frozenset[str] = frozenset()
    n_reused: int = 0

    @property
    def n_new(self) -> int:
        """Candidates that something is to be done for."""
        return len(self.to_featurize) + sum(len(rows) for rows in self.to_predict.values())


def plan(context: Context, candidates: Sequence[Head]) -> Plan:
    """Find out what is left to do. What is recorded under a key is not computed again."""
    keys = [context.hops_key(row) for row in candidates]
    final_keys = [context.percolation_key(row) for row in candidates]
    forget_failures(context, [*keys, *final_keys])
    finished = context.recorder.known_stage_keys(final_keys)
    done = {
        row.stage_key: (row.n_rows, row.shard)
        for block in blocks(keys)
        for row in context.recorder.rows_under(StageResult, block)
    }
    whole = cache(partial(is_whole, context))
    left = Plan()
    for candidate, key, final_key in zip(candidates, keys, final_keys, strict=True):
        n_rows, shard = done.get(key, (None, None))
        # No rows means that it has no hop to predict; the failure that says why stands until it is retried.
        if n_rows == 0 or (n_rows is not None and final_key in finished):
            left.n_reused += 1
        elif shard is not None and whole(shard):
            left.to_predict.setdefault(shard, []).append(candidate)
        else:
            left.to_featurize.append(candidate)
    left.predicted = _already_predicted(context, left.to_predict)
    return left


def _already_predicted(context: Context, batches: Mapping[str, Sequence[Head]]) -> frozenset[str]:
    """Return those batches whose barriers are recorded, and lie there undamaged for their percolation."""
    keys = {stem: {context.prediction_key(row) for row in rows} for stem, rows in batches.items()}
    known = context.recorder.known_stage_keys(set().union(*keys.values()))
    shards = {stem: barriers_of(context, stem) for stem, wanted in keys.items() if wanted <= known}
    quarantine = context.recorder.paths.quarantine
    return frozenset(stem for stem, shard in shards.items() if sift([shard], quarantine))


def barriers_of(context: Context, stem: str) -> Place:
    """Return where the barriers of a batch lie."""
    return shard_path(context.folder, predictions_stem(stem, context.model_digest), Prediction.table)


def is_whole(context: Context, stem: str) -> bool:
    """Tell whether a batch's shards are still there and undamaged; they are computed again otherwise."""
    tables = (Candidate.table, Hop.table, DescriptorKey.table)
    shards = [shard_path(context.folder, stem, table) for table in tables]
    return sift(shards, context.recorder.paths.quarantine)
