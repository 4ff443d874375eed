"""The kill matrix: what is killed and when, and what is measured of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from flows.campaign import run_campaign
from flows.parameters import ScreenParameters
from tests.campaigns import RecordingSteps
from tests.faults.killing import Moment, results

if TYPE_CHECKING:
    from pathlib import Path
    from typing import Any

BATCHES = 6
FOUND_WITHIN_S = 120.0

FLOW_PLAIN, FLOW, POOL = (
    "the command, without Prefect",
    "the command, a Prefect flow",
    "a process of the pool",
)
SERVED_FLOW = "a served flow"
WORKER = "the worker"
WORKER_AND_FLOW = "the worker and its flow"
SERVER = "the Prefect server"
ALL = "`lihop serve`, server, workers, flow and pool"
GPU_RUN = "the run in the GPU pool"
GPU_WORKER = "the GPU worker and its run"
ALL_WITH_GPU = "`lihop serve`, all of it, the GPU pool at work"
IN_GPU_POOL = frozenset({GPU_RUN, GPU_WORKER, ALL_WITH_GPU})
"""Whose barriers are predicted in the GPU pool; by the flow itself otherwise."""

SILENT = frozenset({WORKER_AND_FLOW, GPU_WORKER, ALL, ALL_WITH_GPU})
"""What nobody is left to tell of, but heartbeats that are missed."""

BY_ITSELF, PREDICTING = "itself", "itself, predicting in its own process"
"""How a run is completed that goes on."""


@dataclass(frozen=True)
class Case:
    """What is killed, and when.

    Parameters
    ----------
    what : str
        What is killed.
    moment : Moment
        How far the run is then.
    """

    what: str
    moment: Moment

    @property
    def name(self) -> str:
        """A name for a folder and for a test."""
        return f"{self.moment.stage}-{self.moment.done}-{self.moment.seed}"

    @property
    def inference(self) -> str:
        """Where barriers are predicted."""
        return "pool" if self.what in IN_GPU_POOL else "here"


@dataclass(frozen=True)
class Outcome:
    """What became of a run that was killed, all of it measured.

    Parameters
    ----------
    found_s : float
        How long it took until the death was known: by the exit code of the command, or the state of the run.
    completed_by : str
        What completed it.
    rows_lost, rows_doubled : int
        Rows of the undisturbed run that are not there as they should be, and rows that it does not have.
    recomputed : int
        Batches that were computed again although they had been recorded.
    """

    found_s: float
    completed_by: str
    rows_lost: int
    rows_doubled: int
    recomputed: int


def _cases(seed: int, *moments: tuple[str, str, int]) -> tuple[Case, ...]:
    return tuple(Case(what, Moment(stage, done, seed + n)) for n, (what, stage, done) in enumerate(moments))


COMMANDS = _cases(
    100,
    (FLOW_PLAIN, "reading", 0),
    (FLOW_PLAIN, "reading", 3),
    (FLOW_PLAIN, "featurizing", 0),
    (FLOW_PLAIN, "featurizing", 3),
    (FLOW_PLAIN, "featurizing", 5),
    (FLOW_PLAIN, "predicting", 2),
    (FLOW_PLAIN, "percolating", 2),
    (FLOW_PLAIN, "recording", 2),
    (FLOW_PLAIN, "recording", 5),
    (FLOW_PLAIN, "publishing", 6),
    (FLOW, "featurizing", 3),
    (FLOW, "percolating", 1),
    (POOL, "reading", 1),
    (POOL, "featurizing", 0),
    (POOL, "featurizing", 3),
    (POOL, "featurizing", 5),
    (POOL, "predicting", 2),
    (POOL, "percolating", 1),
    (POOL, "recording", 3),
)
"""Kills of `lihop screen`, or of a process of its pool."""

AT_ONCE = _cases(
    200,
    (WORKER, "featurizing", 1),
    (WORKER, "predicting", 1),
    (WORKER_AND_FLOW, "reading", 1),
    (WORKER_AND_FLOW, "featurizing", 3),
    (WORKER_AND_FLOW, "recording", 2),
)
"""Kills of a worker that has these flows under way."""

FLOWS = _cases(
    300,
    (SERVED_FLOW, "reading", 2),
    (SERVED_FLOW, "featurizing", 0),
    (SERVED_FLOW, "featurizing", 5),
    (SERVED_FLOW, "predicting", 3),
    (SERVED_FLOW, "recording", 4),
    (GPU_WORKER, "predicting", 4),
)
"""Kills of flows whose worker lives, and of the worker of the GPU pool. That takes one run at a time."""

SERVERS = _cases(
    400,
    (SERVER, "reading", 3),
    (SERVER, "featurizing", 2),
    (SERVER, "predicting", 2),
    (SERVER, "recording", 3),
    (GPU_RUN, "predicting", 2),
)
"""Kills of the server of these flows; before, of a run in the GPU pool."""

EVERYTHING = _cases(
    500,
    (ALL, "reading", 0),
    (ALL, "featurizing", 1),
    (ALL, "featurizing", 4),
    (ALL, "percolating", 2),
    (ALL, "recording", 5),
    (ALL_WITH_GPU, "predicting", 3),
)
"""Kills of everything, as when the power fails."""

SERVED = (*AT_ONCE, *FLOWS, *SERVERS, *EVERYTHING)


def asked_for(checkpoint: Path, database: Path | str, inference: str = "here") -> dict[str, Any]:
    """Return the parameters of every screening of the matrix."""
    return {
        "limit": BATCHES,
        "batch_size": 1,
        "workers": 1,
        "inference": inference,
        "paths": "straight",
        "model": str(checkpoint),
        "database": str(database),
    }


def undisturbed(root: Path, checkpoint: Path) -> dict[str, list[Any]]:
    """Return the results of the screening that nothing happened to."""
    database = root / "undisturbed" / "lihop.duckdb"
    run_campaign(ScreenParameters(**asked_for(checkpoint, database)), RecordingSteps())
    return results(database)
