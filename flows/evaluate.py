"""Judging a barrier model: a checkpoint on hops that it has not seen, and what its descriptors are worth."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from flows.labelled import load_labelled
from flows.progress import reporter
from flows.runners import BatchPool, PlainSteps
from flows.train import PUBLISHED
from models.locate import find_checkpoint
from tasks.descriptors.assemble import INPUT_SPEC

if TYPE_CHECKING:
    from models.ablation import AblationSettings
    from models.arrays import LabelledArrays
    from models.predictor import Predictions

HOSTS_HELD_OUT = "train, hosts held out"
FITTING = "fitting predictors"


@dataclass(frozen=True)
class Judgement:
    """A checkpoint beside the truth of a split that it has not seen.

    Parameters
    ----------
    figures : dict
        Metrics, baselines and what they are of, in plain types.
    test : LabelledArrays
        The rows of the split.
    predictions : Predictions
        In the same order.
    """

    figures: dict[str, Any]
    test: LabelledArrays
    predictions: Predictions


def evaluate(
    *,
    model: str = PUBLISHED,
    dataset: str = "devi2025",
    data_dir: str | None = None,
    workers: int = 2,
    keep: bool = False,
) -> dict[str, Any]:
    """Judge a checkpoint as `judge` does, and return the figures alone."""
    return judge(model=model, dataset=dataset, data_dir=data_dir, workers=workers, keep=keep).figures


def judge(
    *,
    model: str = PUBLISHED,
    dataset: str = "devi2025",
    data_dir: str | None = None,
    workers: int = 2,
    keep: bool = False,
) -> Judgement:
    """Judge a checkpoint on the published test split, which it must not have seen.

    Parameters
    ----------
    model : str
        Name of a shipped checkpoint, or a folder.
    dataset : str
        Name of the data set.
    data_dir : str, optional
        Folder that holds the data set's folder.
    workers : int
        Processes that describe hops.
    keep : bool
        Whether to write the figures into the checkpoint's card.

    Raises
    ------
    SeenRowsError
        When the checkpoint was trained on a row that it is to be judged on.
    """
    from models.checkpoints import load
    from models.evaluation import evaluate_arrays

    folder = find_checkpoint(model)
    checkpoint = load(folder, expected=INPUT_SPEC)
    test = load_labelled(dataset, "test", data_dir=data_dir, workers=workers)
    checkpoint.refuse_seen(test.ids)
    training = load_labelled(dataset, "train", data_dir=data_dir, workers=workers)
    predictions = checkpoint.predict(test.inputs)
    # Trees get what the network gets, so that the two are compared and not their descriptors.
    taken = checkpoint.spec.names()
    found = evaluate_arrays(
        test.only(taken),
        predictions,
        dataset=dataset,
        split=PUBLISHED,
        model_digest=checkpoint.digest,
        training=training.only(taken),
    )
    if keep:
        figures = {
            key: value for key, value in found.items() if key not in {"dataset", "split", "model_digest"}
        }
        checkpoint.with_metrics(f"{dataset}, {PUBLISHED} test split", figures).save(folder)
    return Judgement(found, test, predictions)


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
        As for `judge`; the processes fit too. The figures do not depend on their number.

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
    reporter().stage(FITTING, len(jobs))
    found = []
    with BatchPool(workers) as pool:
        for _, part in PlainSteps(pool).over_pool("ablate", run_job, jobs):
            if isinstance(part, Exception):
                raise part
            found.append(part)
            reporter().advance(FITTING, 1)
    return {
        "dataset": dataset,
        "split": HOSTS_HELD_OUT,
        "n": len(rows),
        "n_hosts": len(set(rows.hosts)),
        "n_folds": asked.n_folds,
        "members": asked.members,
        "repeats": asked.repeats,
        "descriptor_versions": rows.spec.versions(),
        "settings_of": None if checkpoint is None else checkpoint.digest,
        "median_guess_mae_ev": float(np.abs(rows.barrier_ev - np.median(rows.barrier_ev)).mean()),
        "rows": ablation_table(rows, train_settings, asked, found),
    }
