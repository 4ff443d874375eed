"""Bootstrap intervals: rows drawn one by one or by whole hosts, and every metric of each draw at once.

A draw is a weight a row: how often it was drawn. Metrics of weighted rows are those of the rows repeated so
often, which is much faster to compute than drawing them out.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from models.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

BOOTSTRAP_DRAWS = 2000
CONFIDENCE = 0.95
THRESHOLDS_EV = {"accuracy_050": 0.50, "accuracy_065": 0.65}
COMMON_RANGE_EV = 3.0  # above this a hop never happens, so errors there say little

Values = NDArray[np.float64]
Weights = NDArray[np.int64]


def host_draws(hosts: Sequence[str], seed: int, draws: int = BOOTSTRAP_DRAWS) -> Weights:
    """Return how often each host, in sorted order, is drawn in each bootstrap sample, ``(draws, hosts)``."""
    n_hosts = len(set(hosts))
    chances = np.full(n_hosts, 1 / n_hosts)
    return np.random.default_rng(seed).multinomial(n_hosts, chances, size=draws)


def row_weights(n_rows: int, seed: int, draws: int = BOOTSTRAP_DRAWS) -> Weights:
    """Return how often each row is drawn in each sample where single rows are drawn, ``(draws, n_rows)``."""
    return np.random.default_rng(seed).multinomial(n_rows, np.full(n_rows, 1 / n_rows), size=draws)


def host_weights(hosts: Sequence[str], seed: int, draws: int = BOOTSTRAP_DRAWS) -> Weights:
    """Return how often each row is drawn in each sample where whole hosts are drawn, ``(draws, n_rows)``.

    Rows of one host err alike, so that drawing single rows gives too narrow an interval for hosts that are
    new. Reference: Field and Welsh, J. R. Stat. Soc. B 69, 369 (2007).
    """
    _, index = np.unique(np.asarray(hosts), return_inverse=True)
    return host_draws(hosts, seed, draws)[:, index]


def interval_over_hosts(values: Values, hosts: Sequence[str], counts: Weights) -> list[float]:
    """Return the 95% percentile-bootstrap interval of a mean over rows, whole hosts drawn.

    The same draws for two sets of values make their intervals, and that of their difference, comparable. What
    it does not hold is how much other training rows or seeds would change; repeats average over those.

    Parameters
    ----------
    values : ndarray
        One a row, ``(n,)``.
    hosts : sequence of str
        The host of each row.
    counts : ndarray
        From ``host_draws`` of the same hosts.
    """
    _, index = np.unique(np.asarray(hosts), return_inverse=True)
    sums, sizes = np.bincount(index, weights=values), np.bincount(index)
    return percentile_interval(counts @ sums / (counts @ sizes))


def percentile_interval(drawn: Values) -> list[float]:
    """Return the ends of the central 95% of what was drawn."""
    tail = (1 - CONFIDENCE) / 2
    lower, upper = np.quantile(drawn, [tail, 1 - tail])
    return [float(lower), float(upper)]


def mean_interval(values: Values, weights: Weights) -> list[float]:
    """Return the interval of a mean over rows."""
    return percentile_interval(weights @ values / weights.sum(axis=1))


def metric_intervals(
    truth_ev: Values, predicted_ev: Values, weights: Weights
) -> dict[str, list[float] | None]:
    """Return the interval of every metric of ``barrier_metrics`` but ``n``.

    A draw in which a metric is not defined, such as R² of a host drawn over and over, is left out of its
    interval; where that leaves none, the interval is null.

    Parameters
    ----------
    truth_ev, predicted_ev : ndarray
        Barriers, ``(n,)``.
    weights : ndarray
        From ``row_weights`` or ``host_weights`` of the same rows, ``(draws, n)``.

    Raises
    ------
    InputError
        If the weights are of other rows.
    """
    if not weights.shape[-1] == len(truth_ev) == len(predicted_ev):
        raise InputError(
            f"got draws of shape {weights.shape} for {len(truth_ev)} true and {len(predicted_ev)} predicted "
            "barriers; draw the same rows"
        )
    found: dict[str, list[float] | None] = {}
    for name, drawn in metrics_of_draws(truth_ev, predicted_ev, weights).items():
        defined = drawn[np.isfinite(drawn)]
        found[name] = percentile_interval(defined) if len(defined) else None
    return found


def metrics_of_draws(truth_ev: Values, predicted_ev: Values, weights: Weights) -> Mapping[str, Values]:
    """Return every metric of every draw, ``(draws,)`` each; NaN where it is not defined."""
    error = np.abs(predicted_ev - truth_ev)
    total = weights.sum(axis=1)
    below = truth_ev < COMMON_RANGE_EV
    # A draw may hold no row below 3 eV, or rows that are all alike: NaN then, without a warning.
    with np.errstate(divide="ignore", invalid="ignore"):
        squared = weights @ error**2
        mean = weights @ truth_ev / total
        variance = weights @ truth_ev**2 - total * mean**2
        enough = variance > np.finfo(np.float64).eps * (weights @ truth_ev**2) * len(truth_ev)
        metrics = {
            "mae_ev": weights @ error / total,
            "median_error_ev": _weighted_median(error, weights),
            "rmse_ev": np.sqrt(squared / total),
            "r2": np.where(enough, 1 - squared / variance, np.nan),
            "spearman": _weighted_spearman(truth_ev, predicted_ev, weights),
            "mae_below_3ev": weights[:, below] @ error[below] / weights[:, below].sum(axis=1),
        }
    for name, threshold in THRESHOLDS_EV.items():
        right = ((predicted_ev <= threshold) == (truth_ev <= threshold)).astype(np.float64)
        metrics[name] = weights @ right / total
    return metrics


def _weighted_median(values: Values, weights: Weights) -> Values:
    """Return the median of the rows repeated as often as they were drawn: the mean of the middle two."""
    order = np.argsort(values, kind="stable")
    held = np.cumsum(weights[:, order], axis=1)
    total = held[:, -1]
    ranked = values[order]
    low = (held > ((total - 1) // 2)[:, None]).argmax(axis=1)
    high = (held > (total // 2)[:, None]).argmax(axis=1)
    return np.asarray((ranked[low] + ranked[high]) / 2)


def _weighted_spearman(first: Values, second: Values, weights: Weights) -> Values:
    """Return the correlation of ranks, ties sharing their mean rank; NaN where one side is constant."""
    total = weights.sum(axis=1)
    centre = (total + 1)[:, None] / 2
    a, b = _weighted_ranks(first, weights) - centre, _weighted_ranks(second, weights) - centre
    spread = (weights * a**2).sum(axis=1) * (weights * b**2).sum(axis=1)
    return np.asarray((weights * a * b).sum(axis=1) / np.sqrt(np.where(spread > 0, spread, np.nan)))


def _weighted_ranks(values: Values, weights: Weights) -> Values:
    """Return the mean rank of each row among the rows drawn, ``(draws, n)``."""
    distinct, index = np.unique(values, return_inverse=True)
    drawn = np.zeros((len(weights), len(distinct)))
    np.add.at(drawn.T, index, weights.T)
    before = np.cumsum(drawn, axis=1) - drawn
    return np.asarray((before + (drawn + 1) / 2)[:, index])
