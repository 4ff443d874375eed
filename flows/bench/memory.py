"""Bench `memory`: what memory the process of a screening takes, beside one of a tenth as many materials.

`python -m flows.bench.memory PARAMETERS` screens as the JSON of its parameters says, as a Prefect flow, and
prints what its own process took; those of its pool are not counted.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import threading
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

from flows.bench.measure import OURS, BenchError, Case, Unit, summarise
from flows.bench.peak import forget_peak, own_memory_mb, peak_mb
from flows.bench.variants import METALS, write_variants
from flows.campaign import run_campaign
from flows.computing import HOPS
from flows.parameters import ScreenParameters
from flows.prefect_environment import prepare_prefect, wake_prefect
from flows.progress import SilentReporter, reporting
from flows.running.pools import pool_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from flows.bench.measure import BenchResult, BenchSettings

MATERIALS = 20_000
PARTS = 10
FEWER = "a tenth as many"

MORE_METALS = (
    *("Sc", "Cu", "Zn", "Zr", "Nb", "Mo", "Ru", "Rh", "Pd", "Hf", "Ta", "W", "Re", "Os", "Ir", "Pt"),
    *("Al", "Ga", "In", "Sn", "Sb", "Ge"),
)
"""With these there are enough materials in cells of sensible sizes; whether they exist does not matter."""

LOOK_S = 1.0

PLANNING, RANKING = "merging and planning", "ranking and publishing"
"""What is done before the first batch is described, and after the last one is through."""


def bench(settings: BenchSettings) -> BenchResult:
    """Screen many and a tenth as many, each in a process of its own.

    Raises
    ------
    BenchError
        When a screening fails; the message says how.
    """
    many = MATERIALS if settings.limit is None else settings.limit
    with tempfile.TemporaryDirectory(prefix="lihop-bench-") as folder:
        structures = Path(folder) / "structures"
        write_variants(structures, many, (*METALS, *MORE_METALS))
        found = {
            name: _screened(Path(folder), structures, materials, settings.model)
            for name, materials in ((FEWER, max(1, many // PARTS)), (OURS, many))
        }
    ours = found[OURS]
    peaks = {name: one["peak_mb"] for name, one in found.items()}
    return summarise(
        "memory",
        [Case(f"{many} materials", 1.0, peaks, all(one["all_there"] for one in found.values()))],
        Unit("MB"),
        details={
            "materials": many,
            "with_result": ours["with_result"],
            "growth_kb_per_material": 1000 * (peaks[OURS] - peaks[FEWER]) / max(1, many - many // PARTS),
            "own_memory_mb_by_tenths_featurized": ours["by_parts"],
            "own_memory_mb_after": ours["after_mb"],
            "peak_mb_by_stage": {name: one["peaks_mb"] for name, one in found.items()},
        },
        notes=[
            f"{many} structures, small reference cathodes with other metals in cells of other sizes, on "
            f"straight paths, as a Prefect flow with {ScreenParameters().workers} processes; median and its "
            "median are the peaks of the flow's own process, the model and all libraries included",
            "own memory: what is in no file (RssAnon), the median of each tenth of the way through "
            "featurizing and predicting",
            "peaks by stage: the most until a batch of that stage was through, since the one before; what "
            "comes before the first, and after the last, under names of their own",
        ],
    )


def _screened(folder: Path, structures: Path, materials: int, model: str) -> dict[str, Any]:
    """Screen so many in a process of its own; return what it tells."""
    asked = {
        "source": "files",
        "path": str(structures),
        "limit": materials,
        "model": model,
        "paths": "straight",
        "database": str(folder / f"{materials}.duckdb"),
    }
    command = [sys.executable, "-m", "flows.bench.memory", json.dumps(asked)]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)  # noqa: S603 - our own module
    if done.returncode != 0:
        raise BenchError(f"bench memory: screening {materials} materials failed; see above")
    told: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return told


@dataclass
class Watch(SilentReporter):
    """Notes how much memory there is as a stage goes on, and the most that each stage took.

    Parameters
    ----------
    done, total : int
        Materials of the stage.
    seen : list of tuple
        How many were done, and the memory then in MB.
    peaks_mb : dict of str to float
        The most memory of each stage.
    """

    done: int = 0
    total: int = 0
    seen: list[tuple[int, float]] = field(default_factory=list)
    peaks_mb: dict[str, float] = field(default_factory=dict)

    def stage(self, name: str, total: int) -> None:
        """Take the number of materials."""
        if name == HOPS:
            self.note_peak(PLANNING)
            self.total = total

    def advance(self, name: str, count: int) -> None:
        """Count."""
        self.note_peak(name)
        if name == HOPS:
            self.done += count

    def note_peak(self, name: str) -> None:
        """Note the most memory since the last time."""
        self.peaks_mb[name] = max(self.peaks_mb.get(name, 0.0), round(peak_mb(), 1))
        forget_peak()

    def look(self, over: threading.Event) -> None:
        """Look now and then, while the stage is at work."""
        while not over.wait(LOOK_S):
            if 0 < self.done < self.total:
                self.seen.append((self.done, own_memory_mb()))

    def by_parts(self) -> list[float]:
        """Return the median of each tenth of the way; parts that were over in no time are left out."""
        return list(_medians(self.seen, self.total))


def _medians(seen: list[tuple[int, float]], total: int) -> Iterator[float]:
    for part in range(PARTS):
        some = [memory for done, memory in seen if part * total <= done * PARTS < (part + 1) * total]
        if some:
            yield round(median(some), 1)


def main(parameters: str) -> None:
    """Screen and tell."""
    asked = ScreenParameters.model_validate_json(parameters)
    prepare_prefect()
    wake_prefect()
    # Here, not above: Prefect reads its settings when it is imported.
    from prefect import flow

    from flows.orchestration.at_work import at_work
    from flows.running.through_prefect import PrefectSteps

    watch, over = Watch(), threading.Event()
    looking = threading.Thread(target=watch.look, args=(over,), daemon=True)

    @flow(name="bench-memory", persist_result=False, result_serializer="json")
    def flowing() -> dict[str, Any]:
        with at_work(), pool_of(asked) as pool:
            return run_campaign(asked, PrefectSteps(pool)).as_dict()

    looking.start()
    with reporting(watch):
        summary = flowing()
    over.set()
    looking.join()
    watch.note_peak(RANKING)
    told = {
        "all_there": summary["n_candidates"] == asked.limit,
        "with_result": summary["n_with_result"],
        "peak_mb": max(watch.peaks_mb.values()),
        "peaks_mb": watch.peaks_mb,
        "by_parts": watch.by_parts(),
        "after_mb": round(own_memory_mb(), 1),
    }
    print(json.dumps(told))  # noqa: T201 - read by the bench


if __name__ == "__main__":
    main(*sys.argv[1:])
