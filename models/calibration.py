"""Calibration: a conformal interval from out-of-fold residuals, and what part of them a material shares."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from models.ensemble import log_mean_and_spread

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

COVERAGE = 0.9
NORMAL_90 = 1.6448536269514722  # half-width of a normal's central 90%, in standard deviations
# Candidates for the constant beside the spread, in root-mean-square spreads; infinity is a constant width.
FLOORS = (0.5, 1.0, 2.0, 4.0)
# A width that follows the spread must beat a constant one by this much; less may be chance.
WORTHWHILE = 0.98


class Calibration(BaseModel):
    """How a prediction becomes a 90% interval: half-widths in log(barrier).

    The half-width is ``quantile`` where ``floor`` is null, else ``quantile * sqrt(spread**2 + floor**2)``.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    coverage: float = Field(gt=0, lt=1)
    quantile: float = Field(gt=0)
    floor: float | None = Field(default=None, gt=0)
    mean_half_width_log: float = Field(gt=0, description="mean over the calibration rows")
    hop_residual_log_std: float = Field(ge=0, description="of each hop by itself, beside the member spread")
    material_residual_log_std: float = Field(ge=0, description="shared by all hops of one host")
    n_rows: int = Field(ge=1)
    n_hosts: int = Field(ge=1)

    def half_width(self, log_spread: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the half-width of the interval in log(barrier), ``(n,)``."""
        if self.floor is None:
            return np.full(len(log_spread), self.quantile)
        return np.asarray(self.quantile * np.sqrt(log_spread**2 + self.floor**2))

    def interval_ev(
        self, log_mean: NDArray[np.float64], log_spread: NDArray[np.float64]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return the lower and upper end of the interval in eV."""
        half = self.half_width(log_spread)
        return np.exp(log_mean - half), np.exp(log_mean + half)


def conformal_quantile(scores: NDArray[np.float64], coverage: float) -> float:
    """Return the split-conformal quantile: the ceil((n + 1) coverage)-th smallest score.

    Too few scores to reach the coverage give the largest one. Reference: Lei et al. 2018,
    10.1080/01621459.2017.1307116.
    """
    rank = math.ceil((len(scores) + 1) * coverage)
    return float(np.sort(scores)[min(rank, len(scores)) - 1])


def calibrate(
    log_barrier: NDArray[np.float64], member_log_barriers: NDArray[np.float64], hosts: Sequence[str]
) -> Calibration:
    """Fit the interval to predictions of hosts that were held out.

    Among a constant width and widths that follow the members' spread, the one with the least mean width is
    taken; all of them cover the same share of the calibration rows by construction.

    Parameters
    ----------
    log_barrier : ndarray
        The truth, ``(n,)``.
    member_log_barriers : ndarray
        Out-of-fold predictions, ``(n, members)``.
    hosts : sequence of str
        The host of each row.
    """
    mean, spread = log_mean_and_spread(member_log_barriers)
    residual = log_barrier - mean
    scores = np.abs(residual)
    floor: float | None = None
    quantile = conformal_quantile(scores, COVERAGE)
    width = quantile
    rms_spread = float(np.sqrt((spread**2).mean()))
    for factor in FLOORS if rms_spread > 0 else ():
        scale = np.sqrt(spread**2 + (factor * rms_spread) ** 2)
        candidate = conformal_quantile(scores / scale, COVERAGE)
        candidate_width = float((candidate * scale).mean())
        if candidate_width < width * WORTHWHILE:
            floor, quantile, width = factor * rms_spread, candidate, candidate_width
    hop_std, material_std = residual_parts(residual, hosts, width / NORMAL_90, rms_spread)
    return Calibration(
        coverage=COVERAGE,
        quantile=quantile,
        floor=floor,
        mean_half_width_log=width,
        hop_residual_log_std=hop_std,
        material_residual_log_std=material_std,
        n_rows=len(residual),
        n_hosts=len(set(hosts)),
    )


def residual_parts(
    residual: NDArray[np.float64], hosts: Sequence[str], total_std: float, member_spread: float
) -> tuple[float, float]:
    """Split the residual's variance into a part of each hop and a part that a host's hops share.

    The share comes from a one-way random-effects analysis of variance by the method of moments. The total is
    the standard deviation of the normal whose central 90% is as wide as the calibrated interval, so that a
    few extreme residuals do not widen every draw; the members' own spread is taken off it, because draws
    over the members add it again.

    Returns
    -------
    tuple of float
        Standard deviations in log(barrier): a hop's own, and the shared one.
    """
    share = shared_share(residual, hosts)
    rest = max(total_std**2 - member_spread**2, 0.0)
    return math.sqrt(rest * (1 - share)), math.sqrt(rest * share)


def shared_share(residual: NDArray[np.float64], hosts: Sequence[str]) -> float:
    """Return the intraclass correlation of residuals within hosts, between 0 and 1."""
    _, index, counts = np.unique(np.asarray(hosts), return_inverse=True, return_counts=True)
    n_rows, n_hosts = len(residual), len(counts)
    if n_hosts < 2 or n_rows == n_hosts:  # noqa: PLR2004 - one host, or one hop a host, tells nothing
        return 0.0
    means = np.bincount(index, weights=residual) / counts
    within = float(((residual - means[index]) ** 2).sum()) / (n_rows - n_hosts)
    between = float((counts * (means - residual.mean()) ** 2).sum()) / (n_hosts - 1)
    effective = (n_rows - float((counts**2).sum()) / n_rows) / (n_hosts - 1)
    shared = max((between - within) / effective, 0.0)
    total = shared + within
    return shared / total if total > 0 else 0.0
