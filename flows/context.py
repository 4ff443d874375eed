"""What all parts of one screening share: parameters, keys, the recorder, and how batches are run."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, TypeVar

from flows.running.steps import WorkerLostError
from flows.running.window import SHARE
from models.locate import find_checkpoint, read_digest
from storage.errors import ShardError, StorageError
from storage.heads import Head
from storage.recorder import Recorder
from storage.records import Candidate
from storage.results_folder import settle
from tasks.stage_keys import HopSettings, PercolationSettings, prediction_key

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from pathlib import Path

    from flows.inference import Elsewhere
    from flows.parameters import ScreenParameters
    from flows.running.steps import Steps
    from tasks.workers import Batch

P = TypeVar("P")
R = TypeVar("R")

BLOCK = 512
"""Whole candidates, or rows about them, that are in memory at a time."""

MOST_NAMED = 10

LIGHT = 4
"""How many times larger than others light batches may be."""


class Keyed(Protocol):
    """What keys of stages are made of; the field is that of `Candidate`."""

    @property
    def structure_hash(self) -> str: ...  # noqa: D102


def blocks(things: Sequence[P], size: int = BLOCK) -> Iterator[Sequence[P]]:
    """Yield things in pieces that fit in memory when they are made whole."""
    for start in range(0, len(things), size):
        yield things[start : start + size]


@dataclass(frozen=True)
class Context:
    """One screening.

    Parameters
    ----------
    parameters : ScreenParameters
        What was asked for.
    steps : Steps
        How batches are run: by Prefect, or plainly.
    run_id, name : str
        Identifier of the run, and what people call it.
    recorder : Recorder
        Writes results.
    folder : str
        Where shards lie: a path or a URI.
    checkpoint : Path
        Folder of the model.
    model_digest : str
        Digest of the model.
    hops : HopSettings
        Which hops, and how described.
    percolation : PercolationSettings
        How percolation is worked out.
    elsewhere : Elsewhere or None
        Who predicts barriers, where that is not this process.
    """

    parameters: ScreenParameters
    steps: Steps
    run_id: str
    name: str
    recorder: Recorder
    folder: str
    checkpoint: Path
    model_digest: str
    hops: HopSettings
    percolation: PercolationSettings
    elsewhere: Elsewhere | None = None

    @classmethod
    def of(
        cls,
        parameters: ScreenParameters,
        steps: Steps,
        run_id: str,
        name: str,
        elsewhere: Elsewhere | None = None,
    ) -> Context:
        """Find the checkpoint, and settle the settings and where shards lie. Nothing is computed."""
        checkpoint = find_checkpoint(parameters.model)
        recorder = Recorder(parameters.database)
        return cls(
            parameters=parameters,
            steps=steps,
            run_id=run_id,
            name=name,
            recorder=recorder,
            folder=settle(recorder.paths, parameters.shards),
            checkpoint=checkpoint,
            model_digest=read_digest(checkpoint),
            hops=HopSettings(
                working_ion=parameters.working_ion,
                cutoff_ang=parameters.cutoff_ang,
                max_hops=parameters.max_hops,
                path=parameters.paths,
                sites=parameters.sites,
            ),
            percolation=PercolationSettings(),
            elsewhere=elsewhere,
        )

    def whole(self, heads: Sequence[Head]) -> list[Candidate]:
        """Return some candidates with their structures, in their order; no more than a block at a time.

        Raises
        ------
        StorageError
            When one is not recorded any more.
        """
        rows = self.recorder.rows_under(Candidate, {head.stage_key for head in heads})
        there = {Head.of(row).key: row for row in rows}
        gone = [head.material_id for head in heads if head.key not in there]
        if gone:
            raise StorageError(
                f"candidates were deleted while they were screened: {', '.join(gone[:MOST_NAMED])}. Screen "
                "again; what is known is not computed twice"
            )
        return [there[head.key] for head in heads]

    def hops_key(self, candidate: Keyed) -> str:
        """Return the key of a candidate's hops and descriptors."""
        return self.hops.key(candidate.structure_hash)

    def prediction_key(self, candidate: Keyed) -> str:
        """Return the key of a candidate's predictions."""
        return prediction_key(self.hops_key(candidate), self.model_digest)

    def percolation_key(self, candidate: Keyed) -> str:
        """Return the key of a candidate's percolation."""
        return self.percolation.key(self.prediction_key(candidate))

    def chunks(self, things: Sequence[P]) -> list[Sequence[P]]:
        """Return things in batches of the size that was asked for."""
        return list(blocks(things, self.parameters.batch_size))

    def light_chunks(self, things: Sequence[P]) -> list[Sequence[P]]:
        """Return things that take little work, in larger batches where there are enough for all workers.

        A batch costs the same whatever is in it, a task run say.
        """
        size, workers = self.parameters.batch_size, self.parameters.workers
        shared = -(-len(things) // (SHARE * workers))
        return list(blocks(things, max(size, min(LIGHT * size, shared))))


def over_pool(
    context: Context,
    stage: str,
    call: Callable[[P], R],
    work: Iterable[P],
    singles: Callable[[P], Sequence[P]],
    lost: Callable[[P], R],
) -> Iterator[tuple[P, R | ShardError]]:
    """Run work over the pool; when a process dies, find out which material killed it.

    A dying process takes every batch under way with it, so each of these is run again a material at a time
    and one at a time: what dies alone is to blame. Each piece comes with its result, or with the error of a
    shard that it could not be worked out from.

    Parameters
    ----------
    context : Context
        The screening.
    stage : str
        What people read while it runs.
    call : callable
        A module's function of one piece of work.
    work : iterable
        The pieces, drawn as they can be worked on.
    singles : callable
        Splits a piece into pieces of one material each.
    lost : callable
        Gives the result of a piece of one material that kills its process.
    """
    died: list[P] = []
    for piece, result in context.steps.over_pool(stage, call, work):
        if isinstance(result, WorkerLostError):
            died.append(piece)
        elif isinstance(result, Exception) and not isinstance(result, ShardError):
            raise result
        else:
            yield piece, result
    for piece in died:
        for single in singles(piece):
            for _, result in context.steps.over_pool(stage, call, [single]):
                if isinstance(result, WorkerLostError):
                    yield single, lost(single)
                elif isinstance(result, Exception) and not isinstance(result, ShardError):
                    raise result
                else:
                    yield single, result


def record_batch(context: Context, found: Batch | ShardError) -> ShardError | None:
    """Record what came of a batch; return the error when a shard cannot be trusted, and nothing of it was."""
    if isinstance(found, ShardError):
        return found
    try:
        context.recorder.record(found.shards)
    except ShardError as error:
        return error
    return None
