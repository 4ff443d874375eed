"""What descriptors are worth to a barrier model: each by shuffling it, each group by leaving it out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from flows.labelled import load_labelled
from flows.refitting import over_processes
from models.locate import find_checkpoint
from tasks.descriptors.families import families

if TYPE_CHECKING:
    from collections.abc import Sequence

    from models.ablation import AblationSettings
    from models.arrays import LabelledArrays
    from models.fold_settings import FoldSettings
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
    found = over_processes("importance", run_job, jobs, workers, stage=REFITTING)
    return {
        **facts_of(dataset, rows.only(train.groups), asked),
        "method": train.method,
        "groups": list(train.groups),
        **importance_table(rows, train, asked, held, found),
    }


def ablate_groups(
    settings: AblationSettings | None = None,
    *,
    model: str | None = None,
    dataset: str = "devi2025",
    data_dir: str | None = None,
    workers: int = 2,
) -> dict[str, Any]:
    """Measure what each descriptor group is worth, on hosts held out of the published training split.

    The network and extra trees are fitted with all groups, each alone and each left out, on the same folds.
    The published test split is not read.

    Parameters
    ----------
    settings : AblationSettings, optional
        Folds, networks a fold, repeats; 5, 2 and 1 unless told otherwise.
    model : str, optional
        A shipped checkpoint or a folder whose training settings the network takes, instead of the defaults.
        Its weights are not used, so it may be of other descriptors.
    dataset, data_dir, workers
        As for `Asked`; the processes fit too. The figures do not depend on their number.

    Returns
    -------
    dict
        What it is of, and ``rows`` as `models.ablation.ablation_table` describes them.

    Raises
    ------
    InputError
        When the data set has fewer hosts than folds.
    """
    from models.ablation import AblationSettings, ablation_jobs, ablation_table, run_job
    from models.checkpoints import load
    from models.settings import TrainSettings

    asked = AblationSettings() if settings is None else settings
    checkpoint = None if model is None else load(find_checkpoint(model))
    train_settings = TrainSettings() if checkpoint is None else checkpoint.settings
    rows = load_labelled(dataset, "train", data_dir=data_dir, workers=workers)
    jobs = ablation_jobs(rows, train_settings, asked)
    found = over_processes("ablate", run_job, jobs, workers, stage=REFITTING)
    return {
        **facts_of(dataset, rows, asked),
        "settings_of": None if checkpoint is None else checkpoint.digest,
        "rows": ablation_table(rows, train_settings, asked, found),
    }


def facts_of(dataset: str, rows: LabelledArrays, settings: FoldSettings) -> dict[str, Any]:
    """Return what a study of training rows is of: data, folds, and how far off a constant guess is."""
    return {
        "dataset": dataset,
        "split": HOSTS_HELD_OUT,
        "n": len(rows),
        "n_hosts": len(set(rows.hosts)),
        "n_folds": settings.n_folds,
        "members": settings.members,
        "repeats": settings.repeats,
        "descriptor_versions": rows.spec.versions(),
        "median_guess_mae_ev": float(np.abs(rows.barrier_ev - np.median(rows.barrier_ev)).mean()),
    }


def _training(model: str | None, groups: Sequence[str] | None) -> TrainSettings:
    """Return how to train: as a checkpoint was, or by default, on the groups that were asked for."""
    from models.checkpoints import load
    from models.settings import TrainSettings

    base = TrainSettings() if model is None else load(find_checkpoint(model)).settings
    if groups is None:
        return base
    return TrainSettings.model_validate({**base.model_dump(), "groups": tuple(groups)})
