"""Model selection: candidates compared by cross-validation inside the training rows alone."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import numpy as np

from models.arrays import LabelledArrays, host_folds, random_folds
from models.baselines import predict_trees
from models.crossval import out_of_fold
from models.evaluation import barrier_metrics

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from models.settings import TrainSettings

SPLITS = ("grouped", "random")
COLUMNS = (
    "mae_ev",
    "mae_below_3ev",
    "median_error_ev",
    "rmse_ev",
    "r2",
    "spearman",
    "accuracy_065",
    "seconds",
)


def fold_of_each_row(training: LabelledArrays, split: str, n_folds: int, seed: int) -> NDArray[np.int64]:
    """Return the fold of each row: whole hosts (``grouped``) or single rows (``random``)."""
    if split == "grouped":
        return host_folds(training.hosts, n_folds, seed)
    return random_folds(len(training), n_folds, seed)


def cross_validate(
    training: LabelledArrays,
    settings: TrainSettings,
    *,
    split: str,
    n_folds: int = 10,
    members: int = 1,
    fold_seed: int = 0,
) -> dict[str, Any]:
    """Return the metrics of out-of-fold predictions and the seconds that they took.

    Parameters
    ----------
    training : LabelledArrays
        Training rows only.
    settings : TrainSettings
        The candidate.
    split : str
        ``grouped`` holds whole hosts out, ``random`` single rows.
    n_folds, members, fold_seed : int
        Folds, networks in each fold's ensemble, and what decides the folds; the same for every candidate.
    """
    started = time.perf_counter()
    folds = fold_of_each_row(training, split, n_folds, fold_seed)
    predicted = out_of_fold(training, settings, folds, members)
    metrics = barrier_metrics(training.barrier_ev, np.exp(predicted.mean(axis=1)))
    return {**metrics, "seconds": time.perf_counter() - started}


def cross_validate_trees(
    training: LabelledArrays, *, split: str, n_folds: int = 10, fold_seed: int = 0
) -> dict[str, Any]:
    """Return the same of extra trees on the same folds."""
    started = time.perf_counter()
    folds = fold_of_each_row(training, split, n_folds, fold_seed)
    predicted = np.zeros(len(training))
    for fold in np.unique(folds):
        held_out = np.flatnonzero(folds == fold)
        inputs = training.take(held_out).inputs
        predicted[held_out] = predict_trees(training.take(np.flatnonzero(folds != fold)), inputs)
    return {**barrier_metrics(training.barrier_ev, predicted), "seconds": time.perf_counter() - started}


def compare(
    training: LabelledArrays,
    candidates: Mapping[str, TrainSettings],
    *,
    splits: tuple[str, ...] = SPLITS,
    n_folds: int = 10,
    members: int = 1,
) -> list[dict[str, Any]]:
    """Cross-validate every candidate, and extra trees, on the same folds; one row a candidate and split."""
    rows: list[dict[str, Any]] = []
    for split in splits:
        trees = cross_validate_trees(training, split=split, n_folds=n_folds)
        rows.append({"candidate": "extra trees", "split": split, **trees})
        for name, settings in candidates.items():
            figures = cross_validate(training, settings, split=split, n_folds=n_folds, members=members)
            rows.append({"candidate": name, "split": split, **figures})
    return rows


def as_markdown(rows: list[dict[str, Any]]) -> str:
    """Return the comparison as a Markdown table."""
    lines = [("candidate", "split", *COLUMNS), ("---",) * (len(COLUMNS) + 2)]
    for row in rows:
        figures = (f"{row[key]:.0f}" if key == "seconds" else f"{row[key]:.3f}" for key in COLUMNS)
        lines.append((str(row["candidate"]), str(row["split"]), *figures))
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)
