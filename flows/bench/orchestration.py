"""Bench `orchestration`: a screening as a Prefect flow, beside the same functions run plainly."""

from __future__ import annotations

import tempfile
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING

from flows.bench.measure import OURS, Case, Unit, alternate, summarise
from flows.campaign import run_campaign
from flows.parameters import ScreenParameters
from flows.prefect_environment import prepare_prefect, wake_prefect
from flows.running.plain import PlainSteps
from flows.running.processes import BatchPool

if TYPE_CHECKING:
    from collections.abc import Callable

    from flows.bench.measure import BenchResult, BenchSettings

PLAIN = "plain pool"
MATERIALS = 16
BATCH_SIZE = 4
WORKERS = 2


def bench(settings: BenchSettings) -> BenchResult:
    """Time a whole screening of reference structures into a fresh database, both ways.

    Raises
    ------
    CheckpointError
        When there is no such checkpoint.
    """
    prepare_prefect()
    wake_prefect()
    materials = MATERIALS if settings.limit is None else settings.limit
    with tempfile.TemporaryDirectory(prefix="lihop-bench-") as folder, BatchPool(WORKERS) as pool:
        calls = sides(Path(folder), pool, materials, settings.model)
        found = alternate(calls, repeats=settings.repeats, slow_s=None)
    seconds = {side: timing.seconds for side, timing in found.items()}
    results = {side: timing.result for side, timing in found.items()}
    ours_s, plain_s = seconds[OURS], seconds[PLAIN]
    overhead = None if ours_s is None or plain_s is None else 100 * (ours_s / plain_s - 1)
    return summarise(
        "orchestration",
        [Case(f"{materials} materials", 1.0, seconds, results[OURS] == results[PLAIN])],
        Unit("s"),
        details={
            "overhead_percent": overhead,
            "materials": results[OURS][0],
            "with_result": results[OURS][1],
        },
        notes=[
            f"{materials} reference structures in batches of {BATCH_SIZE} on {WORKERS} processes, each time "
            "into a fresh database",
            "left out on both sides, by a run that is not timed: the start of Prefect's API, of processes "
            "and of torch; the runs stay in Prefect's history as bench-orchestration",
        ],
    )


def sides(
    folder: Path, pool: BatchPool, materials: int, model: str
) -> dict[str, Callable[[], tuple[int, int]]]:
    """Return the two calls; both run on one pool, whose processes are warm once each has run."""
    # Here, not above: Prefect reads its settings when it is imported.
    from prefect import flow

    from flows.running.through_prefect import PrefectSteps

    numbers = count()

    def parameters() -> ScreenParameters:
        return ScreenParameters(
            source="reference",
            limit=materials,
            database=str(folder / f"{next(numbers)}.duckdb"),
            model=model,
            batch_size=BATCH_SIZE,
            workers=WORKERS,
        )

    @flow(name="bench-orchestration", persist_result=False)
    def flowing() -> tuple[int, int]:
        summary = run_campaign(parameters(), PrefectSteps(pool))
        return summary.n_candidates, summary.n_with_result

    def plainly() -> tuple[int, int]:
        summary = run_campaign(parameters(), PlainSteps(pool))
        return summary.n_candidates, summary.n_with_result

    return {OURS: flowing, PLAIN: plainly}
