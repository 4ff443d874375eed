"""Evaluation: metrics of predicted barriers, with a bootstrap interval and baselines beside them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from scipy import stats
from sklearn.ensemble import ExtraTreesRegressor

from models.domain import summary_features
from models.errors import InputError
from models.settings import TrainSettings
from models.standardise import Standardiser, fit_standardiser

if TYPE_CHECKING:
    from models.arrays import FloatArray, Inputs, LabelledArrays
    from models.predictor import Predictions

BOOTSTRAP_DRAWS = 2000
CONFIDENCE = 0.95
THRESHOLDS_EV = {"accuracy_050": 0.50, "accuracy_065": 0.65}
COMMON_RANGE_EV = 3.0  # above this a hop never happens, so errors there say little
TREES = 400

Values = NDArray[np.float64]


def barrier_metrics(truth_ev: Values, predicted_ev: Values) -> dict[str, float | int | None]:
    """Return the metrics of one set of predictions; null where a metric is not defined.

    ``accuracy_050`` and ``accuracy_065`` are the share of hops that fall on the right side of 0.50 and 0.65
    eV, the boundary itself counting as below.

    Parameters
    ----------
    truth_ev, predicted_ev : ndarray
        Barriers, ``(n,)``, n at least 1.
    """
    _check_pair(truth_ev, predicted_ev)
    error = np.abs(predicted_ev - truth_ev)
    below = truth_ev < COMMON_RANGE_EV
    metrics: dict[str, float | int | None] = {
        "n": len(truth_ev),
        "mae_ev": float(error.mean()),
        "median_error_ev": float(np.median(error)),
        "rmse_ev": float(np.sqrt((error**2).mean())),
        "r2": _r2(truth_ev, predicted_ev),
        "spearman": _spearman(truth_ev, predicted_ev),
        "mae_below_3ev": float(error[below].mean()) if below.any() else None,
    }
    for name, threshold in THRESHOLDS_EV.items():
        metrics[name] = float(((predicted_ev <= threshold) == (truth_ev <= threshold)).mean())
    return metrics


def bootstrap_mae_ev(error_ev: Values, *, seed: int = 0, draws: int = BOOTSTRAP_DRAWS) -> list[float]:
    """Return the 95% percentile-bootstrap interval of the mean of absolute errors, ``[lower, upper]``."""
    rows = np.random.default_rng(seed).integers(0, len(error_ev), size=(draws, len(error_ev)))
    tail = (1 - CONFIDENCE) / 2
    lower, upper = np.quantile(error_ev[rows].mean(axis=1), [tail, 1 - tail])
    return [float(lower), float(upper)]


def evaluate_arrays(
    test: LabelledArrays,
    predictions: Predictions,
    *,
    dataset: str,
    split: str,
    model_digest: str,
    training: LabelledArrays | None = None,
    seed: int = 0,
) -> dict[str, Any]:
    """Compare predictions with the truth of the same rows.

    Parameters
    ----------
    test : LabelledArrays
        The rows that were predicted.
    predictions : Predictions
        In the same order.
    dataset, split, model_digest : str
        Handed through, so that a result says what it is of.
    training : LabelledArrays, optional
        The rows that the model learned from. With them the baselines are fitted: the median guess, and extra
        trees on the same descriptors. Without them ``baselines`` is empty.
    seed : int
        Of the bootstrap and the trees.

    Returns
    -------
    dict
        Plain types, as ``lihop evaluate --json`` prints them.
    """
    truth = test.barrier_ev
    predicted = predictions.barrier_ev
    metrics = barrier_metrics(truth, predicted)
    inside = (truth >= predictions.lower_ev) & (truth <= predictions.upper_ev)
    error = np.abs(predicted - truth)
    domain = predictions.in_domain
    baselines = {} if training is None else baseline_metrics(training, test, seed=seed)
    return {
        "dataset": dataset,
        "split": split,
        **metrics,
        "mae_ci_ev": bootstrap_mae_ev(error, seed=seed),
        "coverage_90": float(inside.mean()),
        "median_interval_ratio": float(np.median(predictions.upper_ev / predictions.lower_ev)),
        "share_in_domain": float(domain.mean()),
        "mae_in_domain_ev": float(error[domain].mean()) if domain.any() else None,
        "mae_out_of_domain_ev": float(error[~domain].mean()) if (~domain).any() else None,
        "baselines": baselines,
        "by_ion": by_ion(test.ions, error),
        "model_digest": model_digest,
    }


def by_ion(ions: tuple[str, ...], error_ev: Values) -> dict[str, dict[str, float | int]]:
    """Return the number of hops and the mean absolute error of each working ion, the commonest first."""
    names, counts = np.unique(np.asarray(ions), return_counts=True)
    order = sorted(range(len(names)), key=lambda k: (-int(counts[k]), str(names[k])))
    rows = np.asarray(ions)
    mean_error = [float(error_ev[rows == name].mean()) for name in names]
    return {str(names[k]): {"n": int(counts[k]), "mae_ev": mean_error[k]} for k in order}


def baseline_metrics(
    training: LabelledArrays, test: LabelledArrays, *, seed: int = 0
) -> dict[str, dict[str, float | int | None]]:
    """Return the metrics of the median guess and of extra trees, fitted on the training rows."""
    guess = np.full(len(test), np.median(training.barrier_ev))
    return {
        "median": barrier_metrics(test.barrier_ev, guess),
        "extra_trees": barrier_metrics(test.barrier_ev, predict_trees(training, test.inputs, seed=seed)),
    }


def predict_trees(training: LabelledArrays, inputs: Inputs, *, seed: int = 0) -> Values:
    """Fit extremely randomised trees to log barriers on the same descriptors and predict barriers in eV.

    Reference: Geurts et al. 2006, 10.1007/s10994-006-6226-1.
    """
    standardiser = fit_standardiser(training, clip=TrainSettings().clip)
    trees = ExtraTreesRegressor(
        n_estimators=TREES, min_samples_leaf=2, max_features=0.4, random_state=seed, n_jobs=1
    )
    trees.fit(_table(standardiser, training.inputs), training.log_barrier())
    return np.exp(np.asarray(trees.predict(_table(standardiser, inputs)), dtype=np.float64))


def _table(standardiser: Standardiser, inputs: Inputs) -> FloatArray:
    return np.concatenate(list(summary_features(standardiser.z_scores(inputs)).values()), axis=1)


def _check_pair(truth_ev: Values, predicted_ev: Values) -> None:
    if truth_ev.shape != predicted_ev.shape or truth_ev.ndim != 1 or len(truth_ev) == 0:
        raise InputError(
            f"got {truth_ev.shape} true and {predicted_ev.shape} predicted barriers; give one of each a hop, "
            "and at least one hop"
        )


def _r2(truth_ev: Values, predicted_ev: Values) -> float | None:
    total = float(((truth_ev - truth_ev.mean()) ** 2).sum())
    if total == 0:
        return None
    return 1 - float(((predicted_ev - truth_ev) ** 2).sum()) / total


def _spearman(truth_ev: Values, predicted_ev: Values) -> float | None:
    # A constant has no ranks to correlate.
    if np.ptp(truth_ev) == 0 or np.ptp(predicted_ev) == 0:
        return None
    return float(stats.spearmanr(truth_ev, predicted_ev).statistic)
