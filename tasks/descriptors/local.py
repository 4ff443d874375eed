"""Group `local`: anion polyhedra of the initial, transition and final states, and the bottleneck between.

The initial and final states enter as their mean and their absolute difference, so that a hop and its reverse
have one vector. `saddle` is the transition state of the relaxed path, or the middle of a straight one.
`tight` is where the nearest anion is closest within the path's middle half; points that tie within 1e-3 Å, as
the two windows of a symmetric hop do, are averaged. The polyhedron of a state is that of the anions whose
Voronoi facets take at least half of the largest facet's solid angle; where the ion's cell is not closed, of
those within 1.25 times Hoppe's weighted mean distance. What the profile's channels do along the path is added
as their least, greatest and mean values and as their rise above the mean of the ends, and so is what the
relaxation said of the path.
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np
from scipy.spatial import ConvexHull, QhullError

from tasks.descriptors import voronoi
from tasks.descriptors.keys import group_keys
from tasks.descriptors.profile import Image, channels
from tasks.descriptors.registry.local import ALONG_CHANNELS, RELAXATION, STATE_QUANTITIES
from tasks.descriptors.scene import CUTOFF_ANG, N_POINTS, SADDLE, Scene, survey
from tasks.descriptors.window import find_window

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from tasks.hops.path import HopEnvironment

NEIGHBOUR_FACTOR = 1.25
"""Fallback: anions within this times Hoppe's mean are the polyhedron; his weight is 0.06 there."""

TIE_ANG = 1e-3

ON_ATOM_ANG = 1e-3
"""An ion this near to its one anion is on it: there is no polyhedron to speak of."""

SHARING_ANG = 0.1
"""A cation this much further away than the nearest counts 1/e in the nearest cation's charge."""

MAX_CATIONS = 16
"""Nearest cations looked at for the charges of the two nearest."""

CORNER_TIE_ANG = 0.01
"""Anions this little beyond the fourth belong to the hull with it."""

MIDDLE_HALF = slice(N_POINTS // 4, N_POINTS - N_POINTS // 4)
MIN_CORNERS = 4

IDEAL_ANGLES = {3: (3, 120.0), 4: (6, math.degrees(math.acos(-1.0 / 3.0))), 6: (12, 90.0)}
"""By coordination number: how many angles neighbouring corners make, and how large they are in degrees."""


def local(env: HopEnvironment, scene: Scene | None = None, image: Image | None = None) -> NDArray[np.float32]:
    """Return the vector of local geometry of one hop.

    Parameters
    ----------
    env : HopEnvironment
        The path and its surroundings.
    scene : Scene, optional
        What `survey` makes of it, when it is at hand.
    image : dict of str to ndarray, optional
        What `channels` makes of that, when it is at hand.

    Returns
    -------
    ndarray of shape (keys,), float32
        In the registry's order, NaN where a quantity does not exist. It does not change when the hop is
        reversed.
    """
    scene = survey(env) if scene is None else scene
    image = channels(scene) if image is None else image
    values = {
        **_path(scene),
        **_relaxation(scene),
        **_states(scene, image),
        **_along(image),
        **_window(scene),
    }
    return np.array([values[key] for key in group_keys("local")], dtype=np.float32)


def neighbours(distances_ang: NDArray[np.float64], mean_ang: float) -> NDArray[np.int64]:
    """Return the anions that make up the polyhedron where no cell is closed, nearest first.

    Parameters
    ----------
    distances_ang : ndarray of shape (m,)
        Distances from the ion to all anions.
    mean_ang : float
        Hoppe's weighted mean distance.

    Returns
    -------
    ndarray of int
        Indices of anions within 1.25 times that mean; at least the nearest one.
    """
    order = np.argsort(distances_ang, kind="stable")
    reach = max(NEIGHBOUR_FACTOR * mean_ang, float(distances_ang[order[0]]))
    return order[distances_ang[order] <= reach]


def coordinating(scene: Scene, point: int, mean_ang: float) -> tuple[NDArray[np.int64], float]:
    """Return the anions of the polyhedron around one path point.

    Parameters
    ----------
    scene : Scene
        One hop.
    point : int
        Index of the path point.
    mean_ang : float
        Hoppe's weighted mean distance there, for the fallback.

    Returns
    -------
    atoms : ndarray of int
        Indices of host atoms, nearest first.
    facets : float
        Smooth count of the facets of the ion's cell; NaN where it is not closed.
    """
    anions = np.flatnonzero(scene.is_anion)
    distances = scene.distances_ang[point, anions]
    # What lies further is in the environment of some hops only.
    within = np.flatnonzero(distances < CUTOFF_ANG)
    angles = voronoi.solid_angles(scene.env.coords_ang[anions[within]] - scene.points_ang[point])
    if angles is None:
        return anions[neighbours(distances, mean_ang)], float("nan")
    chosen = within[voronoi.neighbours(angles)]
    nearest_first = chosen[np.argsort(distances[chosen], kind="stable")]
    return anions[nearest_first], voronoi.facet_count(angles)


def _corners(scene: Scene, point: int, chosen: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the atoms that span the volume: the polyhedron, or the nearest four anions and their ties."""
    anions = np.flatnonzero(scene.is_anion)
    if len(chosen) >= MIN_CORNERS or len(anions) < MIN_CORNERS:
        return chosen
    distances = scene.distances_ang[point, anions]
    reach = np.partition(distances, MIN_CORNERS - 1)[MIN_CORNERS - 1] + CORNER_TIE_ANG
    corners: NDArray[np.int64] = np.union1d(chosen, anions[distances <= reach])
    return corners


@lru_cache(maxsize=8)
def _pairs(count: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the indices of all pairs out of `count`."""
    first, second = np.triu_indices(count, 1)
    return first, second


def bond_angle_variance_deg2(units: NDArray[np.float64]) -> float:
    """Return the variance of the angles between neighbouring corners about those of the regular shape.

    Robinson, Gibbs and Ribbe define it for octahedra (12 angles, taken to be the least of the 15) and
    tetrahedra (6 angles), and divide by the number of angles less one. For three corners their formula is
    used with 120°.

    Parameters
    ----------
    units : ndarray of shape (n, 3)
        Directions from the ion to the corners.

    Returns
    -------
    float
        In square degrees; NaN for other numbers of corners.

    References
    ----------
    Science 172, 567 (1971), 10.1126/science.172.3983.567.
    """
    if len(units) not in IDEAL_ANGLES:
        return float("nan")
    count, ideal = IDEAL_ANGLES[len(units)]
    cosines = (units @ units.T)[_pairs(len(units))]
    angles = np.sort(np.degrees(np.arccos(np.clip(cosines, -1.0, 1.0))))[:count]
    return float(((angles - ideal) ** 2).sum() / (count - 1))


def hull_volume_ang3(corners_ang: NDArray[np.float64]) -> float:
    """Return the volume of the convex hull: NaN for fewer than four corners, 0 for corners in one plane."""
    if len(corners_ang) < MIN_CORNERS:
        return float("nan")
    spread = np.linalg.svd(corners_ang - corners_ang.mean(axis=0), compute_uv=False)
    if spread[2] < 1e-3:  # noqa: PLR2004 - flat within a thousandth of an Å
        return 0.0
    try:
        return float(ConvexHull(corners_ang).volume)
    except QhullError:
        return 0.0


def polyhedron(scene: Scene, point: int, mean_ang: float) -> dict[str, float]:
    """Return what is said of the anion polyhedron around one path point.

    Parameters
    ----------
    scene : Scene
        One hop.
    point : int
        Index of the path point.
    mean_ang : float
        Hoppe's weighted mean distance there.

    Returns
    -------
    dict of str to float
        Quantities by name.
    """
    chosen, facets = coordinating(scene, point, mean_ang)
    near = scene.distances_ang[point, chosen]
    corners = scene.env.coords_ang[chosen]
    ion = scene.points_ang[point]
    mean = float(near.mean())
    units = (corners - ion) / np.maximum(near, 1e-6)[:, None]
    return {
        "d_min_ang": float(near[0]),
        "d_mean_ang": mean,
        "d_std_ang": float(near.std()),
        "d_max_ang": float(near[-1]),
        "coordination_number": float(len(near)),
        "voronoi_facets": facets,
        "volume_ang3": hull_volume_ang3(scene.env.coords_ang[_corners(scene, point, chosen)]),
        "distortion": float(np.abs(near - mean).mean() / mean) if mean > ON_ATOM_ANG else float("nan"),
        "bond_angle_variance_deg2": bond_angle_variance_deg2(units),
        "off_centre_ang": float(np.linalg.norm(corners.mean(axis=0) - ion)),
        # Eigenvalues of the directions' second moment: 1/3 each for an isotropic cage, the least is 0 for a
        # planar one.
        "flatness": float(np.linalg.eigvalsh(units.T @ units / len(units))[0]),
    }


def cation_charges(scene: Scene, point: int) -> tuple[float, float]:
    """Return the charges of the nearest and of the second nearest cation.

    Others hardly further away share in both: cations are drawn without replacement, each in proportion to
    exp(-d / `SHARING_ANG`), and the expected charges of the first and the second drawn are returned.

    Parameters
    ----------
    scene : Scene
        One hop.
    point : int
        Index of the path point.

    Returns
    -------
    first, second : float
        NaN where there is no such cation, or charges are unknown.
    """
    cations = np.flatnonzero(scene.is_cation)
    cations = cations[np.argsort(scene.distances_ang[point, cations], kind="stable")[:MAX_CATIONS]]
    if cations.size == 0:
        return float("nan"), float("nan")
    charges = scene.env.charges[cations]
    energies = scene.distances_ang[point, cations] / SHARING_ANG
    first = _drawn(energies[None, :])[0]
    if cations.size == 1:
        return float(first @ charges), float("nan")
    # Row j: what is drawn once j is gone.
    left = np.where(np.eye(len(cations), dtype=bool), np.inf, energies[None, :])
    return float(first @ charges), float(first @ _drawn(left) @ charges)


def _drawn(energies: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the share of each column under a Boltzmann distribution."""
    weights = np.exp(energies.min(axis=1, keepdims=True) - energies)
    shares: NDArray[np.float64] = weights / weights.sum(axis=1, keepdims=True)
    return shares


def _states(scene: Scene, image: Image) -> dict[str, float]:
    """Return the ends (mean, absolute difference), saddle and tight states."""
    tightness = image["anion_1_ang"][MIDDLE_HALF]
    tight = np.flatnonzero(tightness <= tightness.min() + TIE_ANG) + MIDDLE_HALF.start

    def describe(point: int) -> NDArray[np.float64]:
        found = polyhedron(scene, point, float(image["mean_anion_ang"][point]))
        found["cation_charge"], found["cation_2_charge"] = cation_charges(scene, point)
        found.update({name: float(values[point]) for name, values in image.items()})
        return np.array([found[quantity] for quantity in STATE_QUANTITIES])

    first, last, saddle = describe(0), describe(N_POINTS - 1), describe(SADDLE)
    squeezed = np.mean([describe(int(point)) for point in tight], axis=0)
    states = {
        "ends": (first + last) / 2.0,
        "ends_difference": np.abs(first - last),
        "saddle": saddle,
        "tight": squeezed,
    }
    return {
        f"{state}_{quantity}": float(value)
        for state, values in states.items()
        for quantity, value in zip(STATE_QUANTITIES, values, strict=True)
    }


def _along(image: Image) -> dict[str, float]:
    """Return least, greatest and mean values along the path, and rise and fall from the mean of the ends."""
    found = {}
    for channel in ALONG_CHANNELS:
        values = image[channel]
        ends = (values[0] + values[N_POINTS - 1]) / 2.0
        found[f"along_{channel}_min"] = float(values.min())
        found[f"along_{channel}_max"] = float(values.max())
        found[f"along_{channel}_mean"] = float(values[:N_POINTS].mean())
        found[f"along_{channel}_rise"] = float(values.max() - ends)
        found[f"along_{channel}_fall"] = float(ends - values.min())
    return found


def _path(scene: Scene) -> dict[str, float]:
    """Return the length of the hop and of its path."""
    path = scene.env.path_ang
    direct = float(np.linalg.norm(path[-1] - path[0]))
    length = float(np.linalg.norm(np.diff(path, axis=0), axis=1).sum())
    return {
        "hop_length_ang": direct,
        "path_length_ang": length,
        "tortuosity": length / direct if direct > 0.0 else float("nan"),
    }


def _relaxation(scene: Scene) -> dict[str, float]:
    """Return what the relaxation said of the path; NaN for a straight one."""
    path = scene.env.relaxed
    if path is None or path.kind == "straight":
        return dict.fromkeys((entry[0] for entry in RELAXATION), float("nan"))
    return {
        "bvse_barrier_ev": path.barrier_ev,
        "bvse_site_difference_ev": abs(path.barrier_forward_ev - path.barrier_reverse_ev),
        "bvse_lowest_ev": float(path.energies_ev.min()),
        "bvse_mean_ev": float(path.energies_ev.mean()),
        "saddle_off_middle": abs(path.saddle_fraction - 0.5),
        "end_shift_ang": path.end_shift_ang,
        "collapsed": float(path.collapsed),
    }


def _window(scene: Scene) -> dict[str, float]:
    """Return the bottleneck triangle by key."""
    window = find_window(scene)
    return {
        "window_radius_ang": window.radius_ang,
        "window_free_radius_ang": window.free_radius_ang,
        "window_fit_ang": window.fit_ang,
        "window_area_ang2": window.area_ang2,
        "window_shortest_edge_ang": window.shortest_edge_ang,
        "window_offset_ang": window.offset_ang,
        "window_crossed": window.crossed,
    }
