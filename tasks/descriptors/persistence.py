"""Persistent homology of a cloud of points: Vietoris-Rips bars by ripser, and figures that sum bars up.

Distances are what ripser works on, as float32. Equivalent atoms at equal distances make bars whose length is
rounding; every figure fades with a bar's length, so that such bars weigh nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from ripser import ripser
from scipy.spatial.distance import pdist, squareform
from scipy.special import xlogy

from tasks.descriptors.persistence_settings import DEFAULT

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

SHORTEST_BAR_ANG = 0.1
"""Bars shorter than this count for little; much shorter ones, which rounding makes, for nothing."""

MIN_POINTS = 2
"""Fewer points have no homology worth the name."""

STATISTICS = (
    "count",
    "birth_mean_ang", "birth_std_ang", "birth_min_ang", "birth_max_ang",
    "death_mean_ang", "death_std_ang", "death_min_ang", "death_max_ang",
    "length_mean_ang", "length_std_ang", "length_min_ang", "length_max_ang",
    "length_sum_ang", "entropy",
)  # fmt: skip
"""Order of the columns of `bar_statistics`."""


def persistence(
    points_ang: NDArray[np.float64],
    max_dimension: int = DEFAULT.max_dimension,
    threshold_ang: float = DEFAULT.threshold_ang,
) -> tuple[NDArray[np.float64], ...]:
    """Return the bars of a cloud of points.

    Parameters
    ----------
    points_ang : ndarray of shape (m, 3)
        The cloud.
    max_dimension : int
        Highest homology.
    threshold_ang : float
        Longest edge of the complex.

    Returns
    -------
    tuple of ndarray of shape (bars, 2)
        Birth and death in Å for H0, H1, ... up to `max_dimension`, as `bars_of` gives them.
    """
    if len(points_ang) < MIN_POINTS:
        return tuple(np.empty((0, 2)) for _ in range(max_dimension + 1))
    return bars_of(squareform(pdist(points_ang)), max_dimension, threshold_ang)


def bars_of(
    distances_ang: NDArray[np.float64], max_dimension: int, threshold_ang: float
) -> tuple[NDArray[np.float64], ...]:
    """Return the bars of a cloud given by its distance matrix.

    Parameters
    ----------
    distances_ang : ndarray of shape (m, m)
        Distances between at least two points.
    max_dimension : int
        Highest homology.
    threshold_ang : float
        Longest edge of the complex. An edge appears at its length.

    Returns
    -------
    tuple of ndarray of shape (bars, 2)
        Birth and death in Å, a diagram a dimension. Bars still open at the threshold end there; the one H0
        bar that never dies is left out.

    References
    ----------
    Ripser.py: Tralie, Saul and Bar-On, 10.21105/joss.00925.
    """
    found = ripser(distances_ang, maxdim=max_dimension, thresh=threshold_ang, distance_matrix=True)["dgms"]
    h0, *higher = (np.minimum(np.asarray(bars, dtype=np.float64), threshold_ang) for bars in found)
    everlasting = int(np.argmax(h0[:, 1]))
    return (np.delete(h0, everlasting, axis=0), *higher)


def bar_statistics(diagrams: Sequence[NDArray[np.float64]]) -> NDArray[np.float64]:
    """Return the statistics of several diagrams at once.

    Parameters
    ----------
    diagrams : sequence of ndarray of shape (bars, 2)
        Birth and death in Å.

    Returns
    -------
    ndarray of shape (diagrams, 15)
        In the order of `STATISTICS`. `count` is the sum of l²/(l² + 0.1²) over bars of length l; means,
        spreads and the entropy weigh a bar by its length times its share in that count; least and greatest
        are over bars longer than 0.1 Å. Without such a bar all is NaN but the count and the total length.
    """
    n = len(diagrams)
    owner = np.repeat(np.arange(n), [len(bars) for bars in diagrams])
    bars = np.concatenate([np.empty((0, 2)), *diagrams])
    values = np.column_stack([bars, bars[:, 1] - bars[:, 0]])
    lengths = values[:, 2]
    share = lengths**2 / (lengths**2 + SHORTEST_BAR_ANG**2)
    count = np.bincount(owner, share, n)
    total = np.bincount(owner, lengths, n)
    real = lengths > SHORTEST_BAR_ANG
    least, greatest = np.full((n, 3), np.inf), np.full((n, 3), -np.inf)
    np.minimum.at(least, owner[real], values[real])
    np.maximum.at(greatest, owner[real], values[real])
    # Weighed by bare length, a bar of 1e-6 Å, which rounding makes, would still move a standard deviation.
    weights = share * lengths
    whole = np.bincount(owner, weights, n)
    weights = weights / np.where(whole > 0.0, whole, 1.0)[owner]
    mean = np.stack([np.bincount(owner, weights * column, n) for column in values.T], axis=1)
    off = (values - mean[owner]) ** 2
    std = np.sqrt(np.stack([np.bincount(owner, weights * column, n) for column in off.T], axis=1))
    entropy = -np.bincount(owner, xlogy(weights, weights), n)
    # By diagram; then birth, death or length; then which figure of it.
    spread = np.stack([mean, std, least, greatest], axis=2).reshape(n, 12)
    found = np.column_stack([count, spread, total, entropy])
    barless = ~np.isfinite(least[:, 0])
    found[barless, 1:-2] = np.nan
    found[barless, -1] = np.nan
    return found


def betti_curve(bars: NDArray[np.float64], edges_ang: Sequence[float]) -> NDArray[np.float64]:
    """Return the mean number of bars alive within each bin of the filtration.

    Parameters
    ----------
    bars : ndarray of shape (bars, 2)
        Birth and death in Å.
    edges_ang : sequence of float
        Edges of the bins, rising.

    Returns
    -------
    ndarray of shape (len(edges_ang) - 1,)
        The Betti number averaged over each bin.
    """
    edges = np.asarray(edges_ang)
    overlap = np.minimum(bars[:, 1, None], edges[1:]) - np.maximum(bars[:, 0, None], edges[:-1])
    curve: NDArray[np.float64] = np.maximum(overlap, 0.0).sum(axis=0) / np.diff(edges)
    return curve
