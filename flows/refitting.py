"""Predictors refitted a fold at a time over a pool of processes; figures do not depend on their number."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

import numpy as np

from flows.progress import reporter
from flows.running.plain import PlainSteps
from flows.running.processes import BatchPool
from tasks.datasets import devi2025
from tasks.datasets.devi2025_folds import fold_of_each
from tasks.datasets.errors import DatasetError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from models.arrays import LabelledArrays
    from models.refits import OutOfFold, Refit

FITTING = "fitting predictors"
Job = TypeVar("Job")
Found = TypeVar("Found")


def committed_folds(dataset: str, rows: LabelledArrays) -> NDArray[np.int64]:
    """Return the fold of each row from the fold file of a data set, ``(n,)``.

    Raises
    ------
    DatasetError
        When the data set has no fold file, or the rows are not those of the file.
    """
    if dataset != devi2025.NAME:
        raise DatasetError(
            f"--split grouped of {dataset}: it has no file of folds; there is one of {devi2025.NAME}"
        )
    return np.array(fold_of_each(rows.ids), dtype=np.int64)


def over_processes(
    name: str, fit: Callable[[Job], Found], jobs: Sequence[Job], workers: int, *, stage: str
) -> list[Found]:
    """Run jobs over processes, count them on a bar, and return what came of each, whichever was done first.

    Parameters
    ----------
    name : str
        What a job is called where it is followed.
    fit : callable
        Fits one job, in a worker process.
    jobs : sequence
        What there is to do.
    workers : int
        Processes; each fits in one thread.
    stage : str
        What the bar is called.

    Raises
    ------
    Exception
        The first that a job raised.
    """
    reporter().stage(stage, len(jobs))
    found: list[Found] = []
    with BatchPool(workers) as pool:
        for _, part in PlainSteps(pool).over_pool(name, fit, jobs):
            if isinstance(part, Exception):
                raise part
            found.append(part)
            reporter().advance(stage, 1)
    return found


def run_refits(jobs: Sequence[Refit], workers: int) -> dict[str, OutOfFold]:
    """Fit everything over processes and put it together, predictor by predictor.

    Parameters
    ----------
    jobs : sequence of Refit
        Of one or several predictors, all of the same rows.
    workers : int
        Processes; each fits in one thread.
    """
    from models.refits import assemble, run_refit

    if not jobs:
        return {}
    found = over_processes("refit", run_refit, jobs, workers, stage=FITTING)
    # In the order of the folds, whichever was done first: sums of seconds and members must not depend on it.
    return assemble(len(jobs[0].rows), sorted(found, key=lambda part: (part.name, int(part.held_out[0]))))
