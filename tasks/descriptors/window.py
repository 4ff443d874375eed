"""The bottleneck: the tightest triangle of anions that the ion squeezes through on its path."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from itertools import combinations
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from tasks.descriptors.scene import Scene

MAX_ANIONS = 14
"""Anions nearest to the path whose triangles are looked at: 364 triangles."""

EDGE_TOLERANCE = 0.02
"""Share of a triangle's height by which a path may miss it: an ion that passes a shared edge meets both."""

BESIDE_ANG = 0.05
"""A path point this near to a triangle's plane is on neither side of it."""

TIE_ANG = 1e-3
"""Triangles whose free radii differ by less are one bottleneck, and are averaged."""


@dataclass(frozen=True)
class Window:
    """The bottleneck triangle; every figure but `crossed` is NaN when the path crosses none.

    Parameters
    ----------
    radius_ang : float
        Circumradius, from the centre to the anions' centres.
    free_radius_ang : float
        Circumradius less the mean crystal radius of the three anions.
    fit_ang : float
        Free radius less the working ion's radius: what is missing, when negative.
    area_ang2 : float
        Area of the triangle.
    shortest_edge_ang : float
        Its shortest edge.
    offset_ang : float
        From the circumcentre to where the path crosses.
    crossed : float
        1 when the path crosses a triangle, else 0.
    """

    radius_ang: float
    free_radius_ang: float
    fit_ang: float
    area_ang2: float
    shortest_edge_ang: float
    offset_ang: float
    crossed: float


def _no_window(*, crossed: float) -> Window:
    """Return a window without figures."""
    nan = float("nan")
    return Window(nan, nan, nan, nan, nan, nan, crossed)


@lru_cache(maxsize=32)
def _triples(count: int) -> NDArray[np.int64]:
    """Return all index triples out of `count`."""
    return np.array(list(combinations(range(count), 3)), dtype=np.int64).reshape(-1, 3)


def find_window(scene: Scene) -> Window:
    """Return the crossed triangle with the least free radius.

    Parameters
    ----------
    scene : Scene
        One hop.

    Returns
    -------
    Window
        Averaged over triangles that tie.
    """
    anions = np.flatnonzero(scene.is_anion)
    to_path = scene.distances_ang[:, anions].min(axis=0)
    order = np.argsort(to_path, kind="stable")[:MAX_ANIONS]
    coords = scene.env.coords_ang[anions[order]]
    radii = -(scene.gap_ang[0] - scene.distances_ang[0])[anions[order]] - scene.ion_radius_ang
    triples = _triples(len(order))
    if len(triples) == 0:
        return _no_window(crossed=0.0)
    corners = coords[triples]
    crossings = _crossings(corners, scene.env.path_ang)
    hit = ~np.isnan(crossings[:, 0])
    if not hit.any():
        return _no_window(crossed=0.0)
    return _summarise(corners[hit], radii[triples[hit]], crossings[hit], scene.ion_radius_ang)


def circumcircle(corners_ang: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return circumcentres and areas of triangles.

    Parameters
    ----------
    corners_ang : ndarray of shape (n, 3, 3)
        Corners by triangle.

    Returns
    -------
    centres_ang : ndarray of shape (n, 3)
        Centres; NaN for corners on one line.
    areas_ang2 : ndarray of shape (n,)
        Areas.
    """
    u, v = corners_ang[:, 1] - corners_ang[:, 0], corners_ang[:, 2] - corners_ang[:, 0]
    normal = np.cross(u, v)
    square = (normal**2).sum(axis=1)
    safe = np.where(square > 1e-12, square, np.nan)[:, None]  # noqa: PLR2004 - far below any triangle of atoms
    uu, vv = (u**2).sum(axis=1)[:, None], (v**2).sum(axis=1)[:, None]
    centres = corners_ang[:, 0] + (np.cross(normal, u) * vv + np.cross(v, normal) * uu) / (2.0 * safe)
    return centres, np.sqrt(square) / 2.0


def _crossings(corners: NDArray[np.float64], path: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return where the path crosses each triangle, NaN where it does not.

    A path crosses where it goes from clearly one side of the plane to clearly the other. A path point
    within `BESIDE_ANG` of the plane is on neither side: an end that stands in a triangle does not squeeze
    through it, and a path within the plane slides along it. Several crossings of a triangle are averaged.
    """
    a, u, v = corners[:, 0], corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]
    normal = np.cross(u, v)
    square = np.maximum((normal**2).sum(axis=1), 1e-12)
    height = (path @ normal.T - np.einsum("tk,tk->t", a, normal)[None, :]) / np.sqrt(square)[None, :]
    beside = np.abs(height) < BESIDE_ANG
    # For each point the last one before it that is on a side.
    places = np.where(beside, -1, np.arange(len(path))[:, None])
    before = np.vstack([np.full(len(corners), -1), np.maximum.accumulate(places, axis=0)[:-1]])
    sides = np.take_along_axis(height, np.maximum(before, 0), axis=0)
    last, triangle = np.nonzero(~beside & (before >= 0) & (height * sides < 0.0))
    points = _meet_plane(path, height, before[last, triangle], last, triangle)
    w, un, vn = points - a[triangle], np.cross(normal, u), np.cross(v, normal)
    # Barycentric coordinates are triple products, turned so that crosses are taken once a triangle.
    beta = np.einsum("pk,pk->p", w, un[triangle]) / square[triangle]
    gamma = np.einsum("pk,pk->p", w, vn[triangle]) / square[triangle]
    inside = (beta >= -EDGE_TOLERANCE) & (gamma >= -EDGE_TOLERANCE) & (beta + gamma <= 1.0 + EDGE_TOLERANCE)
    met = triangle[inside]
    count = np.bincount(met, minlength=len(corners))
    found = np.full((len(corners), 3), np.nan)
    for axis in range(3):
        total = np.bincount(met, points[inside, axis], minlength=len(corners))
        found[count > 0, axis] = total[count > 0] / count[count > 0]
    return found


def _meet_plane(
    path: NDArray[np.float64],
    height: NDArray[np.float64],
    first: NDArray[np.int64],
    last: NDArray[np.int64],
    triangle: NDArray[np.int64],
) -> NDArray[np.float64]:
    """Return where the path meets the planes of triangles between points on either side of them.

    One point between them that lies in the plane says where, on whichever side of it rounding puts it. Of
    several none does, and the crossing is where the heights of the outer ones put it along the path.
    """
    one_between = last - first == 2  # noqa: PLR2004 - a point apart
    before_it = one_between & (height[first, triangle] * height[first + 1, triangle] <= 0.0)
    start = np.where(one_between & ~before_it, first + 1, first)
    end = np.where(before_it, first + 1, last)
    low, high = height[start, triangle], height[end, triangle]
    place = start + (end - start) * low / (low - high)
    whole = np.minimum(place.astype(np.int64), len(path) - 2)
    points: NDArray[np.float64] = path[whole] + (place - whole)[:, None] * (path[whole + 1] - path[whole])
    return points


def _summarise(
    corners: NDArray[np.float64],
    radii: NDArray[np.float64],
    crossings: NDArray[np.float64],
    ion_radius: float,
) -> Window:
    """Pick the triangle with the least free radius, or the mean over those that tie."""
    centres, areas = circumcircle(corners)
    circumradii = np.linalg.norm(corners[:, 0] - centres, axis=1)
    free = circumradii - radii.mean(axis=1)
    if np.isnan(free).all():
        return _no_window(crossed=1.0)
    tied = free <= np.nanmin(free) + TIE_ANG
    edges = np.linalg.norm(corners - np.roll(corners, 1, axis=1), axis=2).min(axis=1)
    offsets = np.linalg.norm(centres - crossings, axis=1)
    return Window(
        radius_ang=float(circumradii[tied].mean()),
        free_radius_ang=float(free[tied].mean()),
        fit_ang=float(free[tied].mean() - ion_radius),
        area_ang2=float(areas[tied].mean()),
        shortest_edge_ang=float(edges[tied].mean()),
        offset_ang=float(offsets[tied].mean()),
        crossed=1.0,
    )
