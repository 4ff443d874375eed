"""What each descriptor is worth to a barrier model: importances of a data set's training rows, by fold."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from flows.labelled import load_labelled
from flows.progress import reporter
from flows.runners import BatchPool, PlainSteps
from models.locate import find_checkpoint
from tasks.descriptors.families import families

if TYPE_CHECKING:
    from collections.abc import Sequence

    from models.importance import ImportanceSettings
    from models.settings import TrainSettings

HOSTS_HELD_OUT = "train, hosts held out"
REFITTING = "refitting folds"


def measure_importance(
    settings: ImportanceSettings | None = None,
    *,
    model: str | None = None,
    groups: Sequence[str] | None = None,
    dataset: str = "devi2025",
    data_dir: str | None = None,
    workers: int = 2,
) -> dict[str, Any]:
    """Measure what shuffling each descriptor, family and group costs, on training hosts held out.

    The published test split is not read.

    Parameters
    ----------
    settings : ImportanceSettings, optional
        Folds, networks a fold, permutations; 5, 1 and 3 unless told otherwise.
    model : str, optional
        A shipped checkpoint or a folder whose training settings are taken, instead of the defaults. Its
        weights are not used: the network is refitted in each fold.
    groups : sequence of str, optional
        Descriptor groups to learn from, instead of the settings' own.
    dataset, data_dir : str, optional
        The data set, and the folder that holds its folder.
    workers : int
        Processes that describe hops and fit. The figures do not depend on their number.

    Returns
    -------
    dict
        What it is of, and what `models.importance.importance_table` returns.

    Raises
    ------
    InputError
        When the data set has fewer hosts than folds.
    """
    from models.importance import ImportanceSettings, importance_jobs, importance_table, run_job

    asked = ImportanceSettings() if settings is None else settings
    train = _training(model, groups)
    rows = load_labelled(dataset, "train", data_dir=data_dir, workers=workers)
    held = families()
    jobs = importance_jobs(rows, train, asked, held)
    reporter().stage(REFITTING, len(jobs))
    found = []
    with BatchPool(workers) as pool:
        for _, part in PlainSteps(pool).over_pool("importance", run_job, jobs):
            if isinstance(part, Exception):
                raise part
            found.append(part)
            reporter().advance(REFITTING, 1)
    return {
        "dataset": dataset,
        "split": HOSTS_HELD_OUT,
        "method": train.method,
        "groups": list(train.groups),
        "n": len(rows),
        "n_hosts": len(set(rows.hosts)),
        "n_folds": asked.n_folds,
        "members": asked.members,
        "repeats": asked.repeats,
        "descriptor_versions": rows.only(train.groups).spec.versions(),
        "median_guess_mae_ev": float(np.abs(rows.barrier_ev - np.median(rows.barrier_ev)).mean()),
        **importance_table(rows, train, asked, held, found),
    }


def _training(model: str | None, groups: Sequence[str] | None) -> TrainSettings:
    """Return how to train: as a checkpoint was, or by default, on the groups that were asked for."""
    from models.checkpoints import load
    from models.settings import TrainSettings

    base = TrainSettings() if model is None else load(find_checkpoint(model)).settings
    if groups is None:
        return base
    return TrainSettings.model_validate({**base.model_dump(), "groups": tuple(groups)})
