"""How anions are packed near the path: their spacing, their neighbours and the order of their lattice.

Ions move along tetrahedra in bcc frameworks of anions, and over octahedra in fcc and hcp ones (Wang et al.,
Nature Materials 14, 1026 (2015), 10.1038/nmat4369). Steinhardt's q4 and q6 tell these apart: 0.19 and 0.57
for the 12 neighbours in fcc, 0.10 and 0.48 in hcp, 0.04 and 0.51 for the 14 in bcc. Here neighbours carry
Hoppe's weights, which move the last pair.

References
----------
Steinhardt, Nelson and Ronchetti, Phys. Rev. B 28, 784 (1983), 10.1103/PhysRevB.28.784.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy.spatial.distance import cdist

from tasks.descriptors.profile import hoppe_weights
from tasks.descriptors.scene import N_POINTS, Scene, switch

if TYPE_CHECKING:
    from numpy.typing import NDArray

PATH_REACH_ANG = 3.0
"""Anions fade out of the mean towards this distance from the path."""

PAIR_FADE_ANG = 4.0
PAIR_REACH_ANG = 5.0
"""Neighbours fade out between these distances: with `PATH_REACH_ANG`, all lie within the environment."""

MAX_NEIGHBOURS = 32
"""Nearest anions looked at for each: Hoppe's weight is far below 1e-6 for what comes after them."""


def anion_framework(scene: Scene) -> dict[str, float]:
    """Return spacing, neighbours and bond order of the anions near the path.

    Parameters
    ----------
    scene : Scene
        One hop.

    Returns
    -------
    dict of str to float
        Means over anions that are weighed by their distance from the path; NaN where none is in reach.
    """
    keys = ("anion_anion_ang", "anion_neighbours", "anion_q4", "anion_q6")
    coords = scene.env.coords_ang[scene.is_anion]
    to_path = scene.distances_ang[:N_POINTS, scene.is_anion].min(axis=0)
    near = np.flatnonzero(to_path < PATH_REACH_ANG)
    distances = cdist(coords[near], coords)
    distances[np.arange(len(near)), near] = np.inf
    paired = distances.min(axis=1, initial=np.inf) < PAIR_REACH_ANG
    near, distances = near[paired], distances[paired]
    if near.size == 0:
        return dict.fromkeys(keys, float("nan"))
    count = min(MAX_NEIGHBOURS, len(coords) - 1)
    partners = np.argpartition(distances, count - 1, axis=1)[:, :count]
    distances = np.take_along_axis(distances, partners, axis=1)
    towards = (coords[partners] - coords[near][:, None, :]) / np.maximum(distances, 1e-6)[:, :, None]
    weights, _ = hoppe_weights(distances, switch(distances, PAIR_FADE_ANG, PAIR_REACH_ANG))
    q4, q6 = bond_order(towards, weights)
    shares = 0.5 * (1.0 + np.cos(np.pi * to_path[near] / PATH_REACH_ANG))
    shares /= shares.sum()
    found = (distances.min(axis=1), weights.sum(axis=1), q4, q6)
    return {key: float(values @ shares) for key, values in zip(keys, found, strict=True)}


def bond_order(
    units: NDArray[np.float64], weights: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return Steinhardt's q4 and q6 of weighted neighbours.

    By the addition theorem the sum over spherical harmonics is one over Legendre polynomials of the cosines
    between neighbours.

    Parameters
    ----------
    units : ndarray of shape (n, m, 3)
        Directions from each of n atoms to its m neighbours.
    weights : ndarray of shape (n, m)
        Their weights, not all 0.

    Returns
    -------
    q4, q6 : ndarray of shape (n,)
        Between 0 and 1.
    """
    square = np.einsum("nik,njk->nij", units, units) ** 2
    p4 = ((35.0 * square - 30.0) * square + 3.0) / 8.0
    p6 = (((231.0 * square - 315.0) * square + 105.0) * square - 5.0) / 16.0
    shares = weights / weights.sum(axis=1, keepdims=True)
    q4, q6 = (np.sqrt(np.maximum(np.einsum("ni,nij,nj->n", shares, p, shares), 0.0)) for p in (p4, p6))
    return q4, q6
