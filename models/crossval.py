"""Out-of-fold predictions: each row predicted by an ensemble that has not seen its fold."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from models.training import Keeping, OnFit, train_ensemble

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from models.arrays import LabelledArrays
    from models.settings import TrainSettings

# Far from the members' own seeds, so that no fold repeats a shipped member's start.
FOLD_SEED_STRIDE = 1000


def out_of_fold(
    rows: LabelledArrays,
    settings: TrainSettings,
    fold_of_row: NDArray[np.int64],
    members: int,
    *,
    accelerator: str = "auto",
    progress: bool = False,
    on_fit: OnFit | None = None,
    keep: Keeping | None = None,
) -> NDArray[np.float64]:
    """Refit fold by fold and predict what was held out.

    Parameters
    ----------
    rows : LabelledArrays
        Labelled hops.
    settings : TrainSettings
        How to train.
    fold_of_row : ndarray of int
        The fold of each row, ``(n,)``.
    members : int
        Networks in each fold's ensemble.
    accelerator, progress, on_fit, keep
        As for ``train_ensemble``; ``on_fit`` counts over all folds.

    Returns
    -------
    ndarray
        Each member's log barrier, ``(n, members)``.
    """
    predicted = np.zeros((len(rows), members))
    folds = np.unique(fold_of_row)
    for position, fold in enumerate(folds):
        held_out, found = predict_fold(
            rows,
            settings,
            fold_of_row,
            int(fold),
            members,
            accelerator=accelerator,
            progress=progress,
            on_fit=_counted(on_fit, position * members, len(folds) * members),
            keep=keep,
        )
        predicted[held_out] = found
    return predicted


def predict_fold(
    rows: LabelledArrays,
    settings: TrainSettings,
    fold_of_row: NDArray[np.int64],
    fold: int,
    members: int,
    *,
    accelerator: str = "auto",
    progress: bool = False,
    on_fit: OnFit | None = None,
    keep: Keeping | None = None,
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Refit without one fold and predict it; parameters are those of ``out_of_fold``.

    Returns
    -------
    tuple of ndarray
        The rows of the fold, ``(k,)``, and each member's log barrier of them, ``(k, members)``.
    """
    held_out = np.flatnonzero(fold_of_row == fold)
    first = settings.seed + FOLD_SEED_STRIDE * (fold + 1)
    ensemble = train_ensemble(
        rows.take(np.flatnonzero(fold_of_row != fold)),
        settings,
        range(first, first + members),
        accelerator=accelerator,
        progress=progress,
        on_fit=on_fit,
        keep=None if keep is None else replace(keep, purpose=f"calibration-fold-{fold}"),
    )
    inputs = {name: array[held_out] for name, array in rows.inputs.items()}
    return held_out, ensemble.member_log_barriers(inputs, accelerator=accelerator)


def _counted(on_fit: OnFit | None, before: int, total_of_all: int) -> OnFit | None:
    if on_fit is None:
        return None

    def report(purpose: str, done: int, total: int) -> None:
        del purpose, total
        on_fit("calibration", before + done, total_of_all)

    return report
