"""Evaluation: metrics of predicted barriers, with bootstrap intervals and other predictors beside them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from models.bootstrap import (
    BOOTSTRAP_DRAWS,
    COMMON_RANGE_EV,
    THRESHOLDS_EV,
    host_weights,
    mean_interval,
    percentile_interval,
)
from models.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from models.arrays import LabelledArrays
    from models.predictor import Predictions

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
    return percentile_interval(error_ev[rows].mean(axis=1))


def evaluate_arrays(
    test: LabelledArrays,
    predictions: Predictions,
    *,
    dataset: str,
    split: str,
    model_digest: str,
    others: Mapping[str, Values] | None = None,
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
    others : mapping of str to ndarray, optional
        Barriers that other predictors give of the same rows, NaN where one has none; their metrics become
        ``baselines``, over the rows that they have.
    seed : int
        Of the bootstrap.

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
    return {
        "dataset": dataset,
        "split": split,
        **metrics,
        "mae_ci_ev": bootstrap_mae_ev(error, seed=seed),
        "mae_ci_hosts_ev": mean_interval(error, host_weights(test.hosts, seed)),
        "coverage_90": float(inside.mean()),
        "median_interval_ratio": float(np.median(predictions.upper_ev / predictions.lower_ev)),
        "share_in_domain": float(domain.mean()),
        "mae_in_domain_ev": float(error[domain].mean()) if domain.any() else None,
        "mae_out_of_domain_ev": float(error[~domain].mean()) if (~domain).any() else None,
        "baselines": other_metrics(truth, {} if others is None else others),
        "by_ion": by_ion(test.ions, error, inside),
        "model_digest": model_digest,
    }


def by_ion(
    ions: tuple[str, ...], error_ev: Values, inside: NDArray[np.bool_]
) -> dict[str, dict[str, float | int]]:
    """Return hops, mean absolute error and coverage of each working ion, the commonest first.

    Parameters
    ----------
    ions : tuple of str
        Which ion moves, one a hop.
    error_ev : ndarray
        Absolute errors, ``(n,)``.
    inside : ndarray of bool
        Whether the truth lies in the interval, ``(n,)``.
    """
    names, counts = np.unique(np.asarray(ions), return_counts=True)
    order = sorted(range(len(names)), key=lambda k: (-int(counts[k]), str(names[k])))
    found: dict[str, dict[str, float | int]] = {}
    for k in order:
        rows = np.asarray(ions) == names[k]
        found[str(names[k])] = {
            "n": int(counts[k]),
            "mae_ev": float(error_ev[rows].mean()),
            "coverage_90": float(inside[rows].mean()),
        }
    return found


def other_metrics(truth_ev: Values, others: Mapping[str, Values]) -> dict[str, dict[str, float | int | None]]:
    """Return the metrics of other predictors, each over the rows that it has; none has no entry."""
    found = {}
    for name, predicted_ev in others.items():
        there = np.isfinite(predicted_ev)
        if there.any():
            found[name] = barrier_metrics(truth_ev[there], predicted_ev[there])
    return found


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
