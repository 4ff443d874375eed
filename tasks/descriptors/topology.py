"""Group `topology`: persistent homology, H0 and H1, of the anion, cation and framework clouds round the path.

A cloud holds the atoms within about 5 Å of the path; its edge falls into the widest gap between atoms'
distances from 4.5 to 5.5 Å, so that no atom, and no shell of equivalent atoms, sits on it. Vietoris-Rips
complexes grow to 6 Å (an edge appears at its length). Bars are summed up by statistics that fade with the
bar's length, and by curves averaged over bins, so that bars that come and go with rounding weigh nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from ripser import ripser
from scipy.spatial.distance import pdist, squareform

from tasks.descriptors.keys import group_keys
from tasks.descriptors.registry.topology import BETTI_BINS
from tasks.descriptors.scene import Scene, survey

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from tasks.hops.path import HopEnvironment

EDGE_WINDOW_ANG = (4.5, 5.5)
"""Where a cloud's edge may fall, as the distance from the nearest path point."""

THRESHOLD_ANG = 6.0
"""Longest edge of a complex."""

SHORTEST_BAR_ANG = 0.1
"""Bars shorter than this count for little; much shorter ones, which rounding makes, for nothing."""

GAP_TIE_ANG = 1e-3
MIN_POINTS = 2


def topology(env: HopEnvironment, scene: Scene | None = None) -> NDArray[np.float32]:
    """Return the vector of persistent homology of one hop.

    Parameters
    ----------
    env : HopEnvironment
        The path and its surroundings.
    scene : Scene, optional
        What `survey` makes of it, when it is at hand.

    Returns
    -------
    ndarray of shape (keys,), float32
        In the registry's order; NaN where a cloud has fewer than two atoms or a statistic has no bar.

    References
    ----------
    Ripser.py: Tralie, Saul and Bar-On, 10.21105/joss.00925.
    """
    scene = survey(env) if scene is None else scene
    values: dict[str, float] = {}
    for cloud, members in clouds(scene).items():
        diagrams = persistence(scene.env.coords_ang[members])
        values[f"{cloud}_points"] = float(len(members))
        for dimension, bars in enumerate(diagrams):
            for name, value in summarise(bars, len(members)).items():
                values[f"{cloud}_h{dimension}_{name}"] = value
    return np.array([values[key] for key in group_keys("topology")], dtype=np.float32)


def clouds(scene: Scene) -> dict[str, NDArray[np.int64]]:
    """Return the atoms of each cloud around the path, by index.

    Other working ions belong to the cation cloud and not to the framework.
    """
    to_path = scene.distances_ang.min(axis=0)
    masks = {"anion": scene.is_anion, "cation": scene.is_cation, "framework": ~scene.is_working}
    return {name: _within(to_path, mask) for name, mask in masks.items()}


def _within(to_path_ang: NDArray[np.float64], mask: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Return the atoms under the mask that lie inside the widest gap of the edge window."""
    members = np.flatnonzero(mask)
    return members[to_path_ang[members] < cloud_edge_ang(to_path_ang[members])]


def cloud_edge_ang(to_path_ang: NDArray[np.float64]) -> float:
    """Return the distance at which a cloud ends: the middle of the widest gap in the edge window.

    Parameters
    ----------
    to_path_ang : ndarray of shape (m,)
        Distances of the cloud's atoms from the path.

    Returns
    -------
    float
        A distance in Å that no atom has; the nearer gap where two are equally wide.
    """
    low, high = EDGE_WINDOW_ANG
    inside = np.sort(to_path_ang[(to_path_ang > low) & (to_path_ang < high)])
    marks = np.concatenate([[low], inside, [high]])
    gaps = np.diff(marks)
    widest = int(np.flatnonzero(gaps >= gaps.max() - GAP_TIE_ANG)[0])
    return float(marks[widest] + gaps[widest] / 2.0)


def persistence(points_ang: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the H0 and H1 bars of a cloud, birth and death in Å; death is the threshold for bars still open.

    Parameters
    ----------
    points_ang : ndarray of shape (m, 3)
        The cloud.

    Returns
    -------
    h0, h1 : ndarray of shape (bars, 2)
        The one H0 bar that never dies is left out.
    """
    if len(points_ang) < MIN_POINTS:
        return np.empty((0, 2)), np.empty((0, 2))
    found = ripser(squareform(pdist(points_ang)), maxdim=1, thresh=THRESHOLD_ANG, distance_matrix=True)[
        "dgms"
    ]
    h0, h1 = (np.minimum(np.asarray(bars, dtype=np.float64), THRESHOLD_ANG) for bars in found)
    everlasting = int(np.argmax(h0[:, 1]))
    return np.delete(h0, everlasting, axis=0), h1


def summarise(bars: NDArray[np.float64], n_points: int) -> dict[str, float]:
    """Return statistics and the binned Betti curve of one diagram.

    Parameters
    ----------
    bars : ndarray of shape (bars, 2)
        Birth and death in Å.
    n_points : int
        Atoms of the cloud.

    Returns
    -------
    dict of str to float
        `count` is the sum of l²/(l² + 0.1²) over bars of length l; means, spreads and the entropy weigh a bar
        by its length times its share in that count; the curve is the mean number of bars alive within each
        half-Å bin, per atom of the cloud.
    """
    if n_points < MIN_POINTS:
        return {name: float("nan") for name in STATISTICS} | {
            f"betti_{k}": float("nan") for k in range(len(BETTI_BINS) - 1)
        }
    births, deaths = bars[:, 0], bars[:, 1]
    lengths = deaths - births
    return {**_statistics(births, deaths, lengths), **_betti(births, deaths, n_points)}


STATISTICS = (
    "count", "birth_mean_ang", "birth_min_ang", "birth_max_ang", "death_mean_ang", "death_std_ang",
    "death_min_ang", "death_max_ang", "length_mean_ang", "length_std_ang", "length_max_ang", "length_sum_ang",
    "entropy",
)  # fmt: skip


def _statistics(
    births: NDArray[np.float64], deaths: NDArray[np.float64], lengths: NDArray[np.float64]
) -> dict[str, float]:
    """Bar statistics; those of no bars are NaN, but for their number and their total length, which are 0."""
    real = lengths > SHORTEST_BAR_ANG
    count = float((lengths**2 / (lengths**2 + SHORTEST_BAR_ANG**2)).sum())
    found = dict.fromkeys(STATISTICS, float("nan")) | {"count": count, "length_sum_ang": float(lengths.sum())}
    if not real.any():
        return found
    # Weighed by bare length, a bar of 1e-6 Å, which rounding makes, would still move a standard deviation.
    weights = lengths**3 / (lengths**2 + SHORTEST_BAR_ANG**2)
    weights = weights / weights.sum()
    death_mean = float(weights @ deaths)
    length_mean = float(weights @ lengths)
    positive = weights[weights > 0.0]
    return found | {
        "birth_mean_ang": float(weights @ births),
        "birth_min_ang": float(births[real].min()),
        "birth_max_ang": float(births[real].max()),
        "death_mean_ang": death_mean,
        "death_std_ang": float(np.sqrt(weights @ (deaths - death_mean) ** 2)),
        "death_min_ang": float(deaths[real].min()),
        "death_max_ang": float(deaths[real].max()),
        "length_mean_ang": length_mean,
        "length_std_ang": float(np.sqrt(weights @ (lengths - length_mean) ** 2)),
        "length_max_ang": float(lengths.max()),
        "entropy": float(-(positive * np.log(positive)).sum()),
    }


def _betti(births: NDArray[np.float64], deaths: NDArray[np.float64], n_points: int) -> dict[str, float]:
    """Mean number of bars alive in each bin, per atom of the cloud."""
    edges = np.asarray(BETTI_BINS)
    overlap = np.minimum(deaths[:, None], edges[None, 1:]) - np.maximum(births[:, None], edges[None, :-1])
    alive = np.maximum(overlap, 0.0).sum(axis=0) / np.diff(edges) / n_points
    return {f"betti_{k}": float(value) for k, value in enumerate(alive)}
