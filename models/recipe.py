"""The recipe of a checkpoint: calibrate on hosts held out, then train on every row."""

from __future__ import annotations

import importlib.metadata
from typing import TYPE_CHECKING, Any

import numpy as np

from models.arrays import LabelledArrays, host_folds, id_digest
from models.calibration import Calibration, calibrate
from models.checkpoints import Checkpoint
from models.crossval import out_of_fold
from models.domain import fit_domain
from models.ensemble import log_mean_and_spread
from models.evaluation import barrier_metrics
from models.training import Keeping, OnFit, train_ensemble

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from models.settings import TrainSettings

OUT_OF_FOLD = "training rows, hosts held out"


def train_checkpoint(
    dataset: LabelledArrays,
    settings: TrainSettings,
    *,
    name: str,
    trained_on: str,
    progress: bool = False,
    accelerator: str = "auto",
    on_fit: OnFit | None = None,
    keep: Keeping | None = None,
) -> Checkpoint:
    """Train, calibrate and assemble a checkpoint; the same digest from the same seed on the same machine.

    Parameters
    ----------
    dataset : LabelledArrays
        Training rows only; nothing else is looked at.
    settings : TrainSettings
        How to train and calibrate.
    name, trained_on : str
        What the checkpoint is called, and the data, its split and licence in words.
    progress : bool
        Whether to show Lightning's progress bar for each network.
    accelerator : str
        Lightning's name of the device.
    on_fit : OnFit, optional
        Called after each network, as ``on_fit(purpose, done, total)``; the purposes are ``calibration``,
        then ``member``.
    keep : Keeping, optional
        What is kept of every network as it is fitted, so that a training that is cut off can go on.
    """
    folds = host_folds(dataset.hosts, settings.calibration_folds, settings.seed)
    held_out = out_of_fold(
        dataset,
        settings,
        folds,
        settings.calibration_members,
        accelerator=accelerator,
        progress=progress,
        on_fit=on_fit,
        keep=keep,
    )
    calibration = calibrate(dataset.log_barrier(), held_out, dataset.hosts)
    ensemble = train_ensemble(
        dataset,
        settings,
        settings.member_seeds(),
        accelerator=accelerator,
        progress=progress,
        on_fit=on_fit,
        keep=keep,
    )
    z_scores = ensemble.standardiser.z_scores(dataset.inputs)
    return Checkpoint(
        ensemble=ensemble,
        calibration=calibration,
        domain=fit_domain(z_scores, dataset.hosts, settings.neighbours),
        name=name,
        trained_on=trained_on,
        training_id_digests=frozenset(id_digest(identifier) for identifier in dataset.ids),
        code_version=code_version(),
        metrics={OUT_OF_FOLD: _out_of_fold_metrics(dataset, held_out, calibration)},
    )


def code_version() -> str:
    """Return the version of lihop, or ``unknown`` where it is not installed."""
    try:
        return importlib.metadata.version("lihop")
    except importlib.metadata.PackageNotFoundError:
        return "unknown"


def _out_of_fold_metrics(
    dataset: LabelledArrays, held_out: NDArray[np.float64], calibration: Calibration
) -> dict[str, Any]:
    mean, spread = log_mean_and_spread(held_out)
    lower, upper = calibration.interval_ev(mean, spread)
    inside = (dataset.barrier_ev >= lower) & (dataset.barrier_ev <= upper)
    # The same rows set the interval, so this coverage is no test of it.
    return {
        **barrier_metrics(dataset.barrier_ev, np.exp(mean)),
        "coverage_90_in_sample": float(inside.mean()),
    }
