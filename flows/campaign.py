"""A screening from source to published database, with or without Prefect."""

from __future__ import annotations

import importlib.metadata
import json
from collections import Counter
from contextlib import nullcontext
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from flows.collecting import collect
from flows.computing import compute
from flows.context import Context, blocks
from flows.leaving import leaving
from flows.naming import new_run_id
from flows.resuming import anchored, resumed
from flows.run_names import run_name
from flows.running.plain import PlainSteps
from flows.running.pools import pool_of
from flows.turns import turn
from storage.records import Failure, Percolation, Run, RunFailure, RunMaterial
from tasks.candidates.source import SourceError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from contextlib import AbstractContextManager

    from flows.inference import Elsewhere
    from flows.parameters import ScreenParameters
    from flows.running.steps import Steps
    from storage.heads import Head


@dataclass(frozen=True)
class Summary:
    """What a screening did.

    Parameters
    ----------
    run_id : str
        Identifier of the run in the database.
    database : str
        The published database.
    n_items : int
        Items that the source has.
    n_candidates : int
        Distinct materials that were screened.
    n_computed, n_reused : int
        Those for which something was computed, and those that were there already.
    n_with_result : int
        Those that have a percolation result, be it that nothing percolates.
    failures : dict of str to int
        Everything without a result, by reason.
    database_version, citation : str or None
        Of a remote source: the version that its candidates came from, and how to cite it.
    not_found : tuple of str
        Of a remote source: entries that were asked for by their ids and are not there.
    """

    run_id: str
    database: str
    n_items: int
    n_candidates: int
    n_computed: int
    n_reused: int
    n_with_result: int
    failures: dict[str, int]
    database_version: str | None = None
    citation: str | None = None
    not_found: tuple[str, ...] = ()

    def as_dict(self) -> dict[str, object]:
        """Return the fields, for JSON."""
        return asdict(self)


def screen(parameters: ScreenParameters) -> Summary:
    """Screen without Prefect: the same work, on the pool that the runner says.

    Parameters
    ----------
    parameters : ScreenParameters
        What to screen, and how.

    Returns
    -------
    Summary
        What came of it; the results are in the database.

    Raises
    ------
    SourceError
        When the source as a whole cannot be used.
    """
    pool = pool_of(parameters)
    return run_campaign(parameters, PlainSteps(pool), pool=pool)


def run_campaign(
    parameters: ScreenParameters,
    steps: Steps,
    run_id: str | None = None,
    elsewhere: Elsewhere | None = None,
    pool: AbstractContextManager[object] | None = None,
) -> Summary:
    """Carry out a new run, or one that the parameters say is to be gone on with.

    Parameters
    ----------
    parameters : ScreenParameters
        What to screen, and how.
    steps, elsewhere, pool
        As of `carry_out`.
    run_id : str, optional
        Identifier of a new run; a fresh one otherwise. A run that the parameters name comes before it.

    Raises
    ------
    ResumeError, QueryError
        When the run to go on with is not there, or was started under other settings.
    SourceError, CheckpointError, StorageError
        As of `carry_out`.
    """
    parameters, known = resumed(parameters)
    if known is None:
        parameters = anchored(parameters)
    return carry_out(parameters, known or run_id or new_run_id(), steps, elsewhere, pool)


def carry_out(
    parameters: ScreenParameters,
    run_id: str,
    steps: Steps,
    elsewhere: Elsewhere | None = None,
    pool: AbstractContextManager[object] | None = None,
) -> Summary:
    """Collect candidates, compute what is new, record it batch by batch, and publish.

    An interrupt or an error ends the run: first its pool, and then what was recorded until then is published
    all the same, unless others are at work on the database for too long.

    Parameters
    ----------
    parameters : ScreenParameters
        What to screen, and how; of a run that is gone on with, what it was started under.
    run_id : str
        Identifier of the run, be it new or not.
    steps : Steps
        How batches are run.
    elsewhere : Elsewhere, optional
        Who predicts barriers, where that is not this process.
    pool : context manager, optional
        What the steps run batches in, to be left with the work: before its end is recorded, for which others
        may have to be waited for.

    Raises
    ------
    ManifestMismatchError
        When a run of that identifier was started under other settings.
    SourceError, CheckpointError, StorageError
        When the source, the model or the database as a whole cannot be used.
    """
    context = Context.of(parameters, steps, run_id, run_name(parameters), elsewhere)
    context.recorder.start_run(_run_row(context))
    try:
        with turn(context.recorder.paths.work, parameters.digest()), pool or nullcontext():
            summary = _screen(context)
    except BaseException as error:
        _leave(context, error)
        raise
    context.recorder.finish_run(
        context.run_id,
        status="completed",
        n_candidates=summary.n_candidates,
        n_computed=summary.n_computed,
        n_reused=summary.n_reused,
        n_failed=sum(summary.failures.values()),
    )
    context.recorder.publish()
    return summary


def _leave(context: Context, error: BaseException) -> None:
    """Record that a run failed, and let people see what it had done."""
    with leaving(f"run {context.run_id}", error):
        context.recorder.finish_run(
            context.run_id, status="failed", n_candidates=0, n_computed=0, n_reused=0, n_failed=0
        )
        # A source that cannot be used has left nothing to see, unless there was something before.
        if not isinstance(error, SourceError) or context.recorder.paths.published.exists():
            context.recorder.publish()


def _screen(context: Context) -> Summary:
    collected = collect(context)
    kept = collected.candidates
    # Who takes part is recorded first: what is computed before a crash then shows in the ranking.
    for block in blocks(kept):
        context.recorder.record(rows=[_participant(context, row) for row in block])
    left = compute(context, kept)
    failures = collected.failures + _later_failures(context, kept)
    for some in blocks(failures):
        context.recorder.record(rows=some)
        context.recorder.record(rows=[_taken(context, row) for row in some])
    n_finished = context.recorder.count_under(Percolation, [context.percolation_key(row) for row in kept])
    return Summary(
        run_id=context.run_id,
        database=str(context.recorder.paths.published),
        n_items=collected.n_items,
        n_candidates=len(kept),
        n_computed=left.n_new,
        n_reused=left.n_reused,
        n_with_result=n_finished,
        failures=dict(sorted(Counter(row.reason.value for row in failures).items())),
        database_version=None if collected.cited is None else collected.cited.database_version,
        citation=None if collected.cited is None else collected.cited.citation,
        not_found=() if collected.cited is None else collected.cited.not_found,
    )


def _later_failures(context: Context, kept: Sequence[Head]) -> list[Failure]:
    keys = [key for row in kept for key in (context.hops_key(row), context.percolation_key(row))]
    return context.recorder.rows_under(Failure, keys)


def _run_row(context: Context) -> Run:
    asked = context.parameters
    return Run(
        run_id=context.run_id,
        name=context.name,
        source=asked.source,
        working_ion=asked.working_ion,
        settings_json=json.dumps(asked.deciding(), sort_keys=True),
        settings_digest=asked.digest(),
        model_digest=context.model_digest,
        code_version=importlib.metadata.version("lihop"),
        started_at=datetime.now(UTC),
        status="running",
    )


def _participant(context: Context, candidate: Head) -> RunMaterial:
    return RunMaterial(
        run_id=context.run_id,
        structure_hash=candidate.structure_hash,
        working_ion=candidate.working_ion,
        material_id=candidate.material_id,
        hops_stage_key=context.hops_key(candidate),
        prediction_stage_key=context.prediction_key(candidate),
        percolation_stage_key=context.percolation_key(candidate),
    )


def _taken(context: Context, failure: Failure) -> RunFailure:
    return RunFailure(
        run_id=context.run_id,
        **{name: getattr(failure, name) for name in RunFailure.model_fields if name != "run_id"},
    )
