"""Coverage: how often a calibrated interval holds the truth on hosts that did not calibrate it.

Out-of-fold predictions are made once. Then hosts are divided at random, again and again, into some that
calibrate and others that are judged.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from models.calibration import COVERAGE, calibrate, conformal_quantile
from models.ensemble import log_mean_and_spread
from models.errors import InputError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from models.arrays import LabelledArrays

SPLITS = 50
LEAST_HOSTS = 2
ION_APART = "Li"
# What an interval of 90% is expected to cover, give or take what so few hosts leave to chance.
WANTED = (0.88, 0.92)
WANTED_OF_ION = 0.86


def coverage_study(
    rows: LabelledArrays, member_log_barriers: NDArray[np.float64], *, splits: int = SPLITS, seed: int = 0
) -> dict[str, Any]:
    """Measure the coverage of conformal intervals over seeded splits of the hosts.

    In each split half of the hosts calibrate and the others are judged; beside it stands an interval of
    constant width round the median of the calibration rows, made conformal on the same rows.

    Parameters
    ----------
    rows : LabelledArrays
        Labelled hops.
    member_log_barriers : ndarray
        Predictions of ensembles that had not seen a row's host, ``(n, members)``.
    splits : int
        How often to divide.
    seed : int
        Decides the divisions.

    Returns
    -------
    dict
        ``coverage``, ``coverage_li`` and ``median_ratio`` (upper over lower end) of the intervals, and the
        same of the constant ones under ``constant``: each with ``mean``, ``sd``, ``p05``, ``p95`` over the
        splits, and null where no split has such hops. ``share_wanted`` is the share of splits that cover
        88% to 92%, ``share_least`` of those that cover at least 88%.

    Raises
    ------
    InputError
        If there are fewer than two hosts, or no split is asked for.
    """
    hosts = np.asarray(rows.hosts)
    names = np.unique(hosts)
    if len(names) < LEAST_HOSTS or splits < 1:
        raise InputError(
            f"got {len(names)} hosts and {splits} splits; give at least {LEAST_HOSTS} hosts, some to "
            "calibrate and others to judge, and 1 split"
        )
    rng = np.random.default_rng(seed)
    ours, constant = [], []
    for _ in range(splits):
        chosen = rng.permutation(names)[: len(names) // 2]
        calibrating = np.isin(hosts, chosen)
        ours.append(_ours(rows, member_log_barriers, calibrating))
        constant.append(_constant(rows, calibrating))
    covered = np.array([one["coverage"] for one in ours])
    return {
        "n": len(rows),
        "n_hosts": len(names),
        "splits": splits,
        "members": member_log_barriers.shape[1],
        **_summaries(ours),
        "share_wanted": float(((covered >= WANTED[0]) & (covered <= WANTED[1])).mean()),
        "share_least": float((covered >= WANTED[0]).mean()),
        "constant": _summaries(constant),
    }


def _ours(
    rows: LabelledArrays, members: NDArray[np.float64], calibrating: NDArray[np.bool_]
) -> dict[str, float | None]:
    known = np.flatnonzero(calibrating)
    calibration = calibrate(rows.log_barrier()[known], members[known], [rows.hosts[k] for k in known])
    lower, upper = calibration.interval_ev(*log_mean_and_spread(members))
    return _judged(rows, np.log(lower), np.log(upper), ~calibrating)


def _constant(rows: LabelledArrays, calibrating: NDArray[np.bool_]) -> dict[str, float | None]:
    truth = rows.log_barrier()
    middle = float(np.median(truth[calibrating]))
    half = conformal_quantile(np.abs(truth[calibrating] - middle), COVERAGE)
    ends = np.full(len(truth), middle - half), np.full(len(truth), middle + half)
    return _judged(rows, *ends, ~calibrating)


def _judged(
    rows: LabelledArrays,
    lower_log: NDArray[np.float64],
    upper_log: NDArray[np.float64],
    judged: NDArray[np.bool_],
) -> dict[str, float | None]:
    """Return coverage, that of the ion apart, and the median ratio of the ends."""
    truth = rows.log_barrier()
    inside = (truth >= lower_log) & (truth <= upper_log)
    of_ion = judged & (np.asarray(rows.ions) == ION_APART)
    return {
        "coverage": float(inside[judged].mean()),
        "coverage_li": float(inside[of_ion].mean()) if of_ion.any() else None,
        "median_ratio": float(np.median(np.exp(upper_log - lower_log)[judged])),
    }


def _summaries(found: list[dict[str, float | None]]) -> dict[str, dict[str, float] | None]:
    return {key: _summary([one[key] for one in found]) for key in found[0]}


def _summary(values: list[float | None]) -> dict[str, float] | None:
    known = np.array([value for value in values if value is not None])
    if len(known) == 0:
        return None
    p05, p95 = np.quantile(known, [0.05, 0.95])
    return {
        "mean": float(known.mean()),
        "sd": float(known.std(ddof=1)) if len(known) > 1 else 0.0,
        "p05": float(p05),
        "p95": float(p95),
    }
