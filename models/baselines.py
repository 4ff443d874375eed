"""What a barrier model is compared with: simple predictors that are fitted on the same training rows."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.linear_model import QuantileRegressor

from models.settings import TrainSettings
from models.standardise import Standardiser, fit_standardiser
from models.trees import TreeEnsemble, TreeModule, fit_trees, tree_features

if TYPE_CHECKING:
    from models.arrays import Inputs, LabelledArrays

MEDIAN, EXTRA_TREES, AFFINE_BVSE = "median", "extra_trees", "affine_bvse"
BASELINES = (EXTRA_TREES, AFFINE_BVSE, MEDIAN)
TREES = 400
# Where the barrier of the relaxed path in the bond-valence site energy stands among the descriptors.
BVSE_GROUP, BVSE_KEY = "local", "bvse_barrier_ev"

Values = NDArray[np.float64]


def predict_baselines(training: LabelledArrays, test: LabelledArrays, *, seed: int = 0) -> dict[str, Values]:
    """Fit every baseline and predict barriers in eV; one that the descriptors do not allow is left out."""
    names = [name for name in BASELINES if can_predict(name, training)]
    return {name: predict_baseline(name, training, test, seed=seed) for name in names}


def can_predict(name: str, rows: LabelledArrays) -> bool:
    """Say whether the rows hold what a baseline takes."""
    return name != AFFINE_BVSE or bvse_barrier_ev(rows) is not None


def predict_baseline(name: str, training: LabelledArrays, test: LabelledArrays, *, seed: int = 0) -> Values:
    """Fit one of ``BASELINES`` on the training rows and predict barriers in eV.

    Parameters
    ----------
    name : str
        Which; ``can_predict`` says whether the rows hold what it takes.
    training, test : LabelledArrays
        Rows with the same descriptors. Barriers of the second are not looked at.
    seed : int
        Of the trees.
    """
    if name == EXTRA_TREES:
        return predict_trees(training, test.inputs, seed=seed)
    if name == AFFINE_BVSE:
        return predict_affine_bvse(training, test)
    return np.full(len(test), np.median(training.barrier_ev))


def predict_trees(training: LabelledArrays, inputs: Inputs, *, seed: int = 0) -> Values:
    """Fit extremely randomised trees to the same target on the same descriptors; predict barriers in eV."""
    standardiser, trees = fit_baseline_trees(training, seed=seed)
    return ask_trees(standardiser, trees, inputs)


def fit_baseline_trees(training: LabelledArrays, *, seed: int = 0) -> tuple[Standardiser, TreeEnsemble]:
    """Return the fitted trees and what standardises their descriptors and targets."""
    defaults = TrainSettings()
    standardiser = fit_standardiser(training, defaults.clip, defaults.target_power)
    features = tree_features(standardiser, training.inputs)
    target = standardiser.target(training.log_barrier())
    return standardiser, fit_trees(features, target, n_trees=TREES, seed=seed)


def ask_trees(standardiser: Standardiser, trees: TreeEnsemble, inputs: Inputs) -> Values:
    """Return the trees' barriers in eV, ``(n,)``."""
    features = torch.from_numpy(tree_features(standardiser, inputs))
    with torch.inference_mode():
        targets = TreeModule(trees, TrainSettings().tree_band)(features).numpy()
    return np.asarray(np.exp(standardiser.log_barrier(targets)))


def predict_affine_bvse(training: LabelledArrays, test: LabelledArrays) -> Values:
    """Map bond-valence barriers to barriers by the straight line of least absolute error.

    Hops without bond-valence parameters get the training median, and none gets less than the least training
    barrier. The least absolute error, because it is what the line is judged by, and because a few relaxed
    paths end at tens of eV.
    """
    guess = np.full(len(test), np.median(training.barrier_ev))
    known, asked = bvse_barrier_ev(training), bvse_barrier_ev(test)
    if known is None or asked is None:
        return guess
    used, there = np.isfinite(known), np.isfinite(asked)
    if not used.any() or not there.any():
        return guess
    line = QuantileRegressor(quantile=0.5, alpha=0.0, solver="highs")
    line.fit(known[used, None], training.barrier_ev[used])
    guess[there] = np.maximum(line.predict(asked[there, None]), training.barrier_ev.min())
    return guess


def bvse_barrier_ev(rows: LabelledArrays) -> Values | None:
    """Return the bond-valence barrier of each relaxed path, NaN without parameters; null without its key."""
    for group in rows.spec.groups:
        if group.name == BVSE_GROUP and BVSE_KEY in group.keys:
            return rows.inputs[BVSE_GROUP][:, group.keys.index(BVSE_KEY)].astype(np.float64)
    return None
