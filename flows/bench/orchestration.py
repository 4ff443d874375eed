"""Bench `orchestration`: a screening as a Prefect flow, beside the same functions run plainly."""

from __future__ import annotations

import shutil
import sys
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING

from flows.bench.measure import OURS, Case, Unit, alternate, summarise, timed
from flows.bench.variants import write_variants
from flows.campaign import run_campaign
from flows.parameters import ScreenParameters
from flows.prefect_environment import prepare_prefect, wake_prefect
from flows.running.plain import PlainSteps
from flows.running.processes import BatchPool

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from flows.bench.measure import BenchResult, BenchSettings
    from flows.campaign import Summary

PLAIN = "plain pool"
MATERIALS = 2_000
WARM_MATERIALS = 4
BATCH_SIZE = 8
WORKERS = 2


def bench(settings: BenchSettings) -> BenchResult:
    """Time a whole screening into a fresh database, both ways, and then the same one again.

    Raises
    ------
    CheckpointError
        When there is no such checkpoint.
    """
    prepare_prefect()
    wake_prefect()
    materials = MATERIALS if settings.limit is None else settings.limit
    with tempfile.TemporaryDirectory(prefix="lihop-bench-") as folder, BatchPool(WORKERS) as pool:
        ours, plain = sides(Path(folder), pool, materials, settings.model)
        found = alternate(
            {OURS: ours.fresh, PLAIN: plain.fresh},
            repeats=settings.repeats,
            slow_s=None,
            warm_up={OURS: ours.warm, PLAIN: plain.warm},
            on_timed=_tell,
        )
        again = []
        for _ in range(settings.repeats):
            again.append(timed(ours.again))
            _tell(f"{OURS} again", again[-1][0])
    seconds = {side: timing.seconds for side, timing in found.items()}
    results = {side: timing.result for side, timing in found.items()}
    ours_s = seconds[OURS]
    overheads = overheads_percent(found[OURS].rounds, found[PLAIN].rounds)
    rerun_s = median(spent for spent, _ in again)
    equal = results[OURS] == results[PLAIN] and all(result == results[OURS] for _, result in again)
    return summarise(
        "orchestration",
        [Case(f"{materials} materials", 1.0, seconds, equal)],
        Unit("s"),
        details={
            "overhead_percent": median(overheads),
            "overhead_percent_of_each_pair": overheads,
            "rerun_s": rerun_s,
            "rerun_speedup": None if ours_s is None else ours_s / rerun_s,
            "materials": results[OURS][0],
            "with_result": results[OURS][1],
        },
        notes=_notes(materials, settings.repeats),
    )


def overheads_percent(ours_s: Sequence[float], plain_s: Sequence[float]) -> list[float]:
    """Return by how much of the plain time the flow took longer, pair by pair.

    Pairs are compared, not medians of the sides: a machine that grows slower within an hour favours neither.

    Parameters
    ----------
    ours_s, plain_s : sequence of float
        Seconds of each round, equally many.
    """
    return [100 * (ours / plain - 1) for ours, plain in zip(ours_s, plain_s, strict=True)]


def _tell(side: str, seconds: float) -> None:
    """Say on standard error what was timed: the whole takes hours."""
    sys.stderr.write(f"bench orchestration: {side}: {seconds:.1f} s\n")


def _notes(materials: int, repeats: int) -> list[str]:
    return [
        f"{materials} structures, reference cathodes with other metals in cells of other sizes, in batches "
        f"of {BATCH_SIZE} on {WORKERS} processes, each time into a fresh database; median of {repeats} pairs "
        "by turns (--repeats); overhead_percent is the median of those of the pairs",
        "the flow reports how far it is and shows its artifacts, as screen-cathodes does, to the API that it "
        "starts by itself, which has neither a limit of recorders nor a GPU pool",
        "left out on both sides, by a small run that is not timed: the start of Prefect's API, of processes "
        "and of torch; the runs stay in Prefect's history as bench-orchestration",
        "rerun_speedup: how many times as long the flow takes for the first run as for the same one again, "
        "with nothing left to compute, start-up left out as well",
    ]


@dataclass
class Side:
    """One way to run a screening.

    Parameters
    ----------
    run : callable
        Screens as the parameters ask; returns how many materials there were, and how many with a result.
    parameters : ScreenParameters
        What to screen.
    folder : Path
        Where databases go.
    runs : int
        How many databases there have been.
    """

    run: Callable[[ScreenParameters], tuple[int, int]]
    parameters: ScreenParameters
    folder: Path
    runs: int = field(default=0, init=False)

    def fresh(self) -> tuple[int, int]:
        """Screen into a new database, in place of the last one."""
        return self._into_new(self.parameters)

    def warm(self) -> tuple[int, int]:
        """Screen a few materials into a new database."""
        # Batches enough for every process of the pool: each starts when there is work for it.
        few = {"limit": WARM_MATERIALS * WORKERS, "batch_size": 1}
        return self._into_new(self.parameters.model_copy(update=few))

    def again(self) -> tuple[int, int]:
        """Screen into the last database, which has everything already."""
        return self.run(self._at(self.parameters))

    def _into_new(self, parameters: ScreenParameters) -> tuple[int, int]:
        shutil.rmtree(self.folder, ignore_errors=True)
        self.runs += 1
        return self.run(self._at(parameters))

    def _at(self, parameters: ScreenParameters) -> ScreenParameters:
        # Another name each time, since what is known of a database is kept by its path.
        database = self.folder / f"{self.runs}.duckdb"
        return parameters.model_copy(update={"database": str(database)})


def sides(folder: Path, pool: BatchPool, materials: int, model: str) -> tuple[Side, Side]:
    """Return the two; both run on one pool, whose processes are warm once each has run."""
    # Here, not above: Prefect reads its settings when it is imported.
    from prefect import flow

    from flows.orchestration.at_work import at_work
    from flows.orchestration.screening_artifacts import show_screening
    from flows.running.through_prefect import PrefectSteps

    write_variants(folder / "structures", materials)
    parameters = ScreenParameters(
        source="files",
        path=str(folder / "structures"),
        model=model,
        batch_size=BATCH_SIZE,
        workers=WORKERS,
    )

    @flow(name="bench-orchestration", persist_result=False, result_serializer="json")
    def flowing(asked: ScreenParameters) -> tuple[int, int]:
        # As `screen-cathodes` does, whose pool is its own.
        with at_work():
            summary = run_campaign(asked, PrefectSteps(pool))
        show_screening(summary)
        return _counts(summary)

    def plainly(asked: ScreenParameters) -> tuple[int, int]:
        return _counts(run_campaign(asked, PlainSteps(pool)))

    return Side(flowing, parameters, folder / "flow"), Side(plainly, parameters, folder / "plain")


def _counts(summary: Summary) -> tuple[int, int]:
    return summary.n_candidates, summary.n_with_result
