"""Who coordinates an ion: the anions whose Voronoi facets fill its sky, by solid angle.

The Voronoi cell of the ion among the anions is dual to a convex hull: an anion at v bounds the cell by the
plane x·v = |v|²/2, and is turned into the point 2v/|v|². Corners of that hull are the cell's facets, and its
faces the cell's corners, so that one small hull gives everything.

References
----------
O'Keeffe, Acta Cryst. A35, 772 (1979), 10.1107/S0567739479001765.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy.spatial import ConvexHull, QhullError

if TYPE_CHECKING:
    from numpy.typing import NDArray

MIN_SHARE = 0.5
"""Anions whose facet has at least this share of the largest facet's solid angle are neighbours.

Half is between the bonds of known lithium sites, which have more, and the next anions, which have less: a
test holds it against their coordination. Of close packed or prismatic sites none lies near it.
"""

N_NEAREST = 28
"""Anions tried first; all of them where the cell reaches further than these can vouch for."""

MIN_ANIONS = 4
"""Fewer cannot close a cell."""

OPEN = 1e-6
"""A face of the dual hull this near to the ion, in 1/Å, puts a corner of the cell beyond any distance."""


def solid_angles(vectors_ang: NDArray[np.float64]) -> NDArray[np.float64] | None:
    """Return the solid angle that the Voronoi facet shared with each anion takes of the ion's sky.

    Parameters
    ----------
    vectors_ang : ndarray of shape (m, 3)
        From the ion to the anions.

    Returns
    -------
    ndarray of shape (m,) or None
        In steradian; 0 for an anion without a facet. They sum up to 4 pi. None where the cell is not
        closed: fewer than four anions, all on one side, in one plane, or one on the ion.
    """
    count = len(vectors_ang)
    square = (vectors_ang**2).sum(axis=1)
    if count < MIN_ANIONS or square.min() < OPEN:
        return None
    order = np.argsort(square, kind="stable")
    near = order[:N_NEAREST]
    cell = _cell(2.0 * vectors_ang[near] / square[near, None])
    # An anion twice as far away as the furthest corner cuts nothing off the cell.
    if count > N_NEAREST and (cell is None or 4.0 * cell[1] > square[order[N_NEAREST]]):
        near = order
        cell = _cell(2.0 * vectors_ang[near] / square[near, None])
    if cell is None:
        return None
    found = np.zeros(count)
    found[near] = cell[0]
    return found


def _cell(dual: NDArray[np.float64]) -> tuple[NDArray[np.float64], float] | None:
    """Return the facets' solid angles and the square of the distance to the furthest corner."""
    try:
        hull = ConvexHull(dual)
    except QhullError:
        return None
    if hull.equations[:, 3].max() > -OPEN:
        return None
    corners = -hull.equations[:, :3] / hull.equations[:, 3:]
    # The edge between the corners of two adjoining faces lies on the facets of both points that they share.
    face, side = np.nonzero(np.arange(len(corners))[:, None] < hull.neighbors)
    first, second = corners[face], corners[hull.neighbors[face, side]]
    centres = _facet_centres(hull.simplices, corners, len(dual))
    facets = np.concatenate([hull.simplices[face, (side + turn) % 3] for turn in (1, 2)])
    angles = _triangles(centres[facets], np.tile(first, (2, 1)), np.tile(second, (2, 1)))
    found = np.bincount(facets, angles, minlength=len(dual)).astype(np.float64)
    return found, float((corners**2).sum(axis=1).max())


def _facet_centres(
    simplices: NDArray[np.int64], corners: NDArray[np.float64], count: int
) -> NDArray[np.float64]:
    """Return a point inside each facet: the mean of its corners."""
    flat = simplices.ravel()
    spread = np.repeat(corners, 3, axis=0)
    total = np.stack([np.bincount(flat, spread[:, axis], minlength=count) for axis in range(3)], axis=1)
    centres: NDArray[np.float64] = total / np.maximum(np.bincount(flat, minlength=count), 1)[:, None]
    return centres


def _triangles(a: NDArray[np.float64], b: NDArray[np.float64], c: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the solid angles of triangles seen from the origin (10.1109/TBME.1983.325207)."""
    la, lb, lc = (np.sqrt(np.einsum("ij,ij->i", v, v)) for v in (a, b, c))
    ab, bc, ca = (np.einsum("ij,ij->i", u, v) for u, v in ((a, b), (b, c), (c, a)))
    triple = np.abs(
        a[:, 0] * (b[:, 1] * c[:, 2] - b[:, 2] * c[:, 1])
        + a[:, 1] * (b[:, 2] * c[:, 0] - b[:, 0] * c[:, 2])
        + a[:, 2] * (b[:, 0] * c[:, 1] - b[:, 1] * c[:, 0])
    )
    angles: NDArray[np.float64] = 2.0 * np.arctan2(triple, la * lb * lc + ab * lc + bc * la + ca * lb)
    return angles


def neighbours(angles_sr: NDArray[np.float64]) -> NDArray[np.int64]:
    """Return the indices of the anions that coordinate the ion.

    Parameters
    ----------
    angles_sr : ndarray of shape (m,)
        What `solid_angles` returned.

    Returns
    -------
    ndarray of int
        Those with at least `MIN_SHARE` of the largest solid angle.
    """
    return np.flatnonzero(angles_sr >= MIN_SHARE * angles_sr.max())


def facet_count(angles_sr: NDArray[np.float64]) -> float:
    """Return how many facets share the sky, as a smooth number: (sum of angles)² over the sum of squares.

    Parameters
    ----------
    angles_sr : ndarray of shape (m,)
        What `solid_angles` returned.

    Returns
    -------
    float
        n for n equal facets.
    """
    return float(angles_sr.sum() ** 2 / (angles_sr**2).sum())
