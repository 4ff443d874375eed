"""Calibration: a conformal interval from out-of-fold residuals, and what part of them a material shares."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, SerializerFunctionWrapHandler, model_serializer

from models.ensemble import log_mean_and_spread

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

COVERAGE = 0.9
NORMAL_90 = 1.6448536269514722  # half-width of a normal's central 90%, in standard deviations
# Candidates for the constant beside the spread, in root-mean-square spreads; infinity is a constant width.
FLOORS = (0.5, 1.0, 2.0, 4.0)
# Errors of log(barrier) are larger for small barriers, of which a few hundredths of an eV are a larger share.
# With this power, widths that do not follow the spread are the same everywhere in barrier**power. Chosen on
# hosts held out of the training rows of devi2025.
WIDTH_POWER = 0.25
# A width that follows the spread must make the residuals likelier by this factor a row; less may be chance.
WORTHWHILE = 1.02


class Calibration(BaseModel):
    """How a prediction becomes a 90% interval: half-widths in log(barrier).

    The half-width is ``quantile / barrier**power`` where ``floor`` is null, else
    ``quantile * sqrt(spread**2 + floor**2) / barrier**power``.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    coverage: float = Field(gt=0, lt=1)
    quantile: float = Field(gt=0)
    floor: float | None = Field(default=None, gt=0)
    power: float = Field(default=0.0, ge=0, le=1, description="of the barrier that narrows intervals")
    mean_half_width_log: float = Field(gt=0, description="mean over the calibration rows")
    hop_residual_log_std: float = Field(ge=0, description="of each hop by itself, beside the member spread")
    material_residual_log_std: float = Field(ge=0, description="shared by all hops of one host")
    n_rows: int = Field(ge=1)
    n_hosts: int = Field(ge=1)

    @model_serializer(mode="wrap")
    def _as_before(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        # Checkpoints older than the power keep their digests.
        fields: dict[str, Any] = handler(self)
        if self.power == 0:
            del fields["power"]
        return fields

    def half_width(
        self, log_mean: NDArray[np.float64], log_spread: NDArray[np.float64]
    ) -> NDArray[np.float64]:
        """Return the half-width of the interval in log(barrier), ``(n,)``."""
        return self.quantile * width_scale(log_mean, log_spread, self.floor, self.power)

    def interval_ev(
        self, log_mean: NDArray[np.float64], log_spread: NDArray[np.float64]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return the lower and upper end of the interval in eV."""
        half = self.half_width(log_mean, log_spread)
        return np.exp(log_mean - half), np.exp(log_mean + half)


def width_scale(
    log_mean: NDArray[np.float64], log_spread: NDArray[np.float64], floor: float | None, power: float
) -> NDArray[np.float64]:
    """Return what the half-width of each row is proportional to, ``(n,)``."""
    scale = np.ones(len(log_mean)) if floor is None else np.sqrt(log_spread**2 + floor**2)
    return np.asarray(scale * np.exp(-power * log_mean))


def conformal_quantile(scores: NDArray[np.float64], coverage: float) -> float:
    """Return the split-conformal quantile: the ceil((n + 1) coverage)-th smallest score.

    Too few scores to reach the coverage give the largest one. Reference: Lei et al. 2018,
    10.1080/01621459.2017.1307116.
    """
    rank = math.ceil((len(scores) + 1) * coverage)
    return float(np.sort(scores)[min(rank, len(scores)) - 1])


def calibrate(
    log_barrier: NDArray[np.float64],
    member_log_barriers: NDArray[np.float64],
    hosts: Sequence[str],
    *,
    power: float = WIDTH_POWER,
) -> Calibration:
    """Fit the interval to predictions of hosts that were held out.

    Of a width without the members' spread and widths that follow it, the one is taken under which residuals
    are likeliest, as of a Laplace distribution whose scale is the width. Unlike the least mean width, that
    looks at all residuals and rewards a width for being large where they are. All of them cover the same
    share of the calibration rows by construction.

    Parameters
    ----------
    log_barrier : ndarray
        The truth, ``(n,)``.
    member_log_barriers : ndarray
        Out-of-fold predictions, ``(n, members)``.
    hosts : sequence of str
        The host of each row.
    power : float
        Of the predicted barrier, by which widths are divided.
    """
    mean, spread = log_mean_and_spread(member_log_barriers)
    residual = log_barrier - mean
    rms_spread = float(np.sqrt((spread**2).mean()))
    floor: float | None = None
    scale = width_scale(mean, spread, None, power)
    least = _surprise(residual, scale) - math.log(WORTHWHILE)
    for factor in FLOORS if rms_spread > 0 else ():
        candidate = width_scale(mean, spread, factor * rms_spread, power)
        surprise = _surprise(residual, candidate)
        if surprise < least:
            floor, scale, least = factor * rms_spread, candidate, surprise
    quantile = conformal_quantile(np.abs(residual) / scale, COVERAGE)
    width = float((quantile * scale).mean())
    hop_std, material_std = residual_parts(residual, hosts, width / NORMAL_90, rms_spread)
    return Calibration(
        coverage=COVERAGE,
        quantile=quantile,
        floor=floor,
        power=power,
        mean_half_width_log=width,
        hop_residual_log_std=hop_std,
        material_residual_log_std=material_std,
        n_rows=len(residual),
        n_hosts=len(set(hosts)),
    )


def _surprise(residual: NDArray[np.float64], scale: NDArray[np.float64]) -> float:
    """Return the mean negative log-likelihood of Laplace residuals, up to a constant, at the best factor."""
    mean_score = float((np.abs(residual) / scale).mean())
    return float(np.log(scale).mean()) + math.log(max(mean_score, np.finfo(np.float64).tiny))


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
