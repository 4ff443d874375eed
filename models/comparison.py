"""Predictors side by side on the same rows: metrics with intervals, and differences of error in pairs."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from models.bootstrap import BOOTSTRAP_DRAWS, host_weights, mean_interval, metric_intervals, row_weights
from models.errors import InputError
from models.evaluation import barrier_metrics

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from models.arrays import LabelledArrays

Values = NDArray[np.float64]

IONS_APART = ("Li",)
"""Ions whose rows are judged by themselves as well."""


@dataclass(frozen=True)
class Contestant:
    """A predictor of the same rows as others.

    Attributes
    ----------
    name : str
        What it is called.
    barrier_ev : ndarray
        Its barriers, ``(n,)``; NaN where it has none.
    facts : dict
        What else a table shows of it: parameters, seconds, hops a second.
    """

    name: str
    barrier_ev: Values
    facts: dict[str, Any] = field(default_factory=dict)


def paired_difference(
    truth_ev: Values,
    first_ev: Values,
    second_ev: Values,
    hosts: Sequence[str],
    *,
    seed: int = 0,
    draws: int = BOOTSTRAP_DRAWS,
) -> dict[str, Any]:
    """Return the MAE of one predictor less that of another on the rows that both have.

    Both are judged on the same draws, so that what makes a draw hard for both cancels. Below zero, the first
    is better; an interval without zero says that this is more than the choice of rows.

    Parameters
    ----------
    truth_ev, first_ev, second_ev : ndarray
        Barriers, ``(n,)``; NaN where a predictor has none.
    hosts : sequence of str
        The host of each row.
    seed, draws : int
        Of the bootstrap.

    Returns
    -------
    dict
        ``n``, ``delta_mae_ev``, its 95% intervals ``delta_ci_ev`` with single rows drawn and
        ``delta_ci_hosts_ev`` with whole hosts drawn.

    Raises
    ------
    InputError
        If there is no row that both have.
    """
    both = np.isfinite(first_ev) & np.isfinite(second_ev)
    if not both.any():
        raise InputError("the two predictors have no row in common; compare them on the same rows")
    delta = np.abs(first_ev - truth_ev)[both] - np.abs(second_ev - truth_ev)[both]
    shared = [host for host, kept in zip(hosts, both, strict=True) if kept]
    return {
        "n": int(both.sum()),
        "delta_mae_ev": float(delta.mean()),
        "delta_ci_ev": mean_interval(delta, row_weights(len(delta), seed, draws)),
        "delta_ci_hosts_ev": mean_interval(delta, host_weights(shared, seed, draws)),
    }


def comparison_rows(
    rows: LabelledArrays, contestants: Iterable[Contestant], reference: str, *, seed: int = 0
) -> list[dict[str, Any]]:
    """Return one row a predictor, with an interval for every metric.

    Parameters
    ----------
    rows : LabelledArrays
        What was predicted.
    contestants : iterable of Contestant
        In the order of the table. One without a single barrier is left out.
    reference : str
        Name of the one that all are compared with in pairs.
    seed : int
        Of the bootstrap: the same draws for all predictors of the same rows.

    Returns
    -------
    list of dict
        ``predictor``; the metrics of `models.evaluation.barrier_metrics`; ``intervals`` of them with single
        rows drawn and ``intervals_over_hosts`` with whole hosts drawn; ``difference``, its MAE less the
        reference's as `paired_difference` has it, null for the reference itself; ``by_ion`` with metrics,
        intervals and difference of some ions alone; and the contestant's facts.

    Raises
    ------
    InputError
        If the reference is not among the contestants.
    """
    listed = [one for one in contestants if np.isfinite(one.barrier_ev).any()]
    barriers = {one.name: one.barrier_ev for one in listed}
    if reference not in barriers:
        raise InputError(f"{reference!r} is to be compared with and is none of {sorted(barriers)}")
    every = np.ones(len(rows), dtype=bool)
    ions = np.asarray(rows.ions)
    found = []
    for one in listed:
        other = None if one.name == reference else barriers[reference]
        row = {"predictor": one.name, **_judged(rows, one.barrier_ev, other, every, seed), **one.facts}
        row["by_ion"] = {
            ion: _judged(rows, one.barrier_ev, other, ions == ion, seed)
            for ion in IONS_APART
            if np.isfinite(one.barrier_ev[ions == ion]).any()
        }
        found.append(row)
    return found


def _judged(
    rows: LabelledArrays, barrier_ev: Values, other_ev: Values | None, kept: NDArray[np.bool_], seed: int
) -> dict[str, Any]:
    """Return metrics, intervals and difference on some of the rows."""
    there = kept & np.isfinite(barrier_ev)
    truth, predicted = rows.barrier_ev[there], barrier_ev[there]
    hosts = [rows.hosts[k] for k in np.flatnonzero(there)]
    difference = None
    if other_ev is not None and np.isfinite(other_ev[there]).any():
        difference = paired_difference(truth, predicted, other_ev[there], hosts, seed=seed)
    return {
        **barrier_metrics(truth, predicted),
        "intervals": metric_intervals(truth, predicted, row_weights(len(truth), seed)),
        "intervals_over_hosts": metric_intervals(truth, predicted, host_weights(hosts, seed)),
        "difference": difference,
    }
