"""The training domain: how far a hop's descriptors lie from the hops that a model has learned from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from models.arrays import FloatArray

# Chosen on hosts held out of the training rows of devi2025: with fewer outside, errors within stay larger.
THRESHOLD_QUANTILE = 0.85
IMAGE_NDIM = 3
CHUNK = 2048  # rows whose distances to all reference points are held at once


def summary_features(z_scores: Mapping[str, FloatArray]) -> dict[str, FloatArray]:
    """Return one direction-invariant vector a group: an image becomes its mean, minimum and maximum.

    Parameters
    ----------
    z_scores : mapping of str to ndarray
        What ``Standardiser.z_scores`` returns: vectors ``(n, keys)``, images ``(n, channels, positions)``.
    """
    features: dict[str, FloatArray] = {}
    for name, array in z_scores.items():
        if array.ndim == IMAGE_NDIM:
            # Summed in sorted order, so that a reversed path gives the same mean to the last bit.
            mean = np.sort(array, axis=-1).mean(axis=-1)
            features[name] = np.concatenate([mean, array.min(axis=-1), array.max(axis=-1)], axis=1)
        else:
            features[name] = array
    return features


def domain_points(z_scores: Mapping[str, FloatArray]) -> FloatArray:
    """Return one point a hop, ``(n, d)``, scaled so that every descriptor group weighs the same.

    The squared Euclidean distance of two points is the mean over groups of the mean squared difference.
    """
    groups = summary_features(z_scores)
    weighted = [features / np.sqrt(features.shape[1] * len(groups)) for features in groups.values()]
    return np.concatenate(weighted, axis=1).astype(np.float32)


@dataclass(frozen=True)
class Domain:
    """The training hops as points, and how far from them a hop of an unseen host usually lies.

    Attributes
    ----------
    points : ndarray
        ``(n_training, d)``.
    threshold : float
        85th percentile, over the training hops, of the mean distance to the nearest hops of other hosts.
    neighbours : int
        How many nearest hops a distance averages.
    """

    points: FloatArray
    threshold: float
    neighbours: int

    def distance(self, z_scores: Mapping[str, FloatArray]) -> NDArray[np.float64]:
        """Return the mean distance to the nearest training hops over the threshold, ``(n,)``."""
        points = domain_points(z_scores)
        nearest = [
            _nearest_mean(_squared_distances(points[start : start + CHUNK], self.points), self.neighbours)
            for start in range(0, len(points), CHUNK)
        ]
        return np.concatenate([np.zeros(0), *nearest]) / self.threshold


def fit_domain(z_scores: Mapping[str, FloatArray], hosts: tuple[str, ...], neighbours: int) -> Domain:
    """Set the threshold from distances between hops of different hosts.

    A screened host is new, so the fair yardstick is how far training hosts lie from one another: a hop that
    is farther than 85% of those is called outside the domain.
    """
    points = domain_points(z_scores)
    names = np.asarray(hosts)
    squared = _squared_distances(points, points)
    squared[names[:, None] == names[None, :]] = np.inf
    mean = _nearest_mean(squared, neighbours)
    mean = mean[np.isfinite(mean)]
    threshold = float(np.quantile(mean, THRESHOLD_QUANTILE)) if len(mean) else 1.0
    return Domain(points=points, threshold=threshold if threshold > 0 else 1.0, neighbours=neighbours)


def _squared_distances(first: FloatArray, second: FloatArray) -> NDArray[np.float64]:
    a, b = first.astype(np.float64), second.astype(np.float64)
    # In place: between a batch and all training hops these are the largest arrays here.
    squared: NDArray[np.float64] = (-2 * a) @ b.T
    squared += (a**2).sum(axis=1)[:, None] + (b**2).sum(axis=1)[None, :]
    return np.maximum(squared, 0.0, out=squared)


def _nearest_mean(squared: NDArray[np.float64], neighbours: int) -> NDArray[np.float64]:
    count = min(neighbours, squared.shape[1])
    nearest = np.partition(squared, count - 1, axis=1)[:, :count]
    # The root of the few that count, and not of all.
    return np.asarray(np.sqrt(np.sort(nearest, axis=1)).mean(axis=1))
