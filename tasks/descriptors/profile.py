"""Group `profile`: what the ion sees at each of 21 points of its path, an image of channels by positions."""

from __future__ import annotations

from functools import lru_cache
from itertools import product
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from tasks.descriptors.elements import element_table
from tasks.descriptors.keys import group_keys
from tasks.descriptors.registry.profile import WEIGHTED_RADII_ANG
from tasks.descriptors.scene import CUTOFF_ANG, N_POINTS, Scene, survey

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from tasks.hops.path import HopEnvironment

Image: TypeAlias = "dict[str, NDArray[np.float64]]"
"""Channels by key: 21 numbers along the path, then the transition state's."""

N_ANIONS = 6
N_CATIONS = 4
N_GAPS = 3

SOFTNESS_ANG = 0.3
"""Length over which overlap with neighbouring ions decays in `soft_gap`; that of a Born-Mayer repulsion."""

SCREENING_ANG = 2.0
"""Decay length of the screened Coulomb sums."""

CORE_ANG = 0.5
"""Keeps screened Coulomb sums finite when a straight path runs through an atom."""

HOPPE_ROUNDS = 20
"""A contraction: so many rounds settle Hoppe's mean far below what float32 holds."""

HOPPE_SETTLED_ANG = 1e-10

HOPPE_NEIGHBOURS = 40
"""Nearest neighbours that are weighed: those after them weigh less than 1e-9 in any packing of spheres."""

FURTHEST_RATIO = 2.0
"""Distances count as at most this times the mean, where the weight is 1e-27: smaller numbers are slow."""

DENSITY_WIDTH_ANG = 0.5
DENSITY_RADII_ANG = (2, 3, 4)

CURVATURE_POINTS = 5
"""Path points to which a parabola is fitted: what a relaxation leaves of kinks is smoothed out."""

SLOWEST_SHARE = 0.2
"""Bounds the curvature where a path doubles back: steps count as at least this share of the mean one."""

COULOMB_EV_ANG = 14.399645
"""e² / (4 pi epsilon_0), CODATA 2018."""


def profile(
    env: HopEnvironment, scene: Scene | None = None, image: Image | None = None
) -> NDArray[np.float32]:
    """Return the image of one hop.

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
    ndarray of shape (channels, 21), float32
        Channels in the registry's order, NaN where a quantity does not exist. Reversing the hop reverses the
        last axis and changes nothing else.
    """
    scene = survey(env) if scene is None else scene
    image = channels(scene) if image is None else image
    return np.array([image[key][:N_POINTS] for key in group_keys("profile")], dtype=np.float32)


def channels(scene: Scene) -> Image:
    """Return every channel by its key: 21 numbers along the path, and the transition state's."""
    return {
        **_distances(scene),
        **_gaps(scene),
        **_bonding(scene),
        **_electrostatics(scene),
        **_densities(scene),
        "curvature_per_ang": _curvature(scene),
        "off_middle_ang": _off_middle(scene),
        "bvse_ev": scene.energies_ev,
    }


def nearest(distances_ang: NDArray[np.float64], count: int, limit_ang: float) -> NDArray[np.float64]:
    """Return the `count` least distances of each row in rising order, NaN where there are fewer in reach."""
    rows = len(distances_ang)
    found = np.full((rows, count), np.nan)
    have = min(count, distances_ang.shape[1])
    if have > 0:
        part = np.sort(np.partition(distances_ang, have - 1, axis=1)[:, :have], axis=1)
        found[:, :have] = np.where(part < limit_ang, part, np.nan)
    return found


def effective_coordination(
    distances_ang: NDArray[np.float64],
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return Hoppe's effective coordination number and weighted mean distance of each row.

    A neighbour at distance d weighs exp(1 - (d / d_mean)^6), and d_mean is the mean under those weights.

    Parameters
    ----------
    distances_ang : ndarray of shape (n, m)
        Distances in Å from n points to their m possible neighbours.

    Returns
    -------
    coordination, mean_ang : ndarray of shape (n,)
        Both smooth in the distances.

    References
    ----------
    Hoppe, 10.1524/zkri.1979.150.14.23.
    """
    near = distances_ang
    if near.shape[1] > HOPPE_NEIGHBOURS:
        near = np.partition(near, HOPPE_NEIGHBOURS, axis=1)[:, :HOPPE_NEIGHBOURS]
    weights, mean = hoppe_weights(near)
    return weights.sum(axis=1), mean


def hoppe_weights(
    distances_ang: NDArray[np.float64], switch: NDArray[np.float64] | None = None
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the weights whose sum is Hoppe's coordination number, and the mean distance under them.

    Parameters
    ----------
    distances_ang : ndarray of shape (n, m)
        Distances in Å from n points to their m possible neighbours.
    switch : ndarray of shape (n, m), optional
        Factors on the weights, which let far neighbours fade; above 0 for at least one a row.

    Returns
    -------
    weights : ndarray of shape (n, m)
        Of each neighbour.
    mean_ang : ndarray of shape (n,)
        The mean that the weights rest on, found by repetition.
    """
    mean = np.maximum(distances_ang.min(axis=1), CORE_ANG)
    for _ in range(HOPPE_ROUNDS):
        ratio = np.minimum(distances_ang / mean[:, None], FURTHEST_RATIO)
        square = ratio * ratio
        weights: NDArray[np.float64] = np.exp(1.0 - square * square * square)
        if switch is not None:
            weights *= switch
        before, mean = mean, (weights * distances_ang).sum(axis=1) / weights.sum(axis=1)
        mean = np.maximum(mean, CORE_ANG)
        if np.abs(mean - before).max() < HOPPE_SETTLED_ANG:
            break
    return weights, mean


def _columns(stem: str, values: NDArray[np.float64]) -> dict[str, NDArray[np.float64]]:
    """Name the columns stem_1_ang, stem_2_ang, ..."""
    return {f"{stem}_{k + 1}_ang": values[:, k] for k in range(values.shape[1])}


def _distances(scene: Scene) -> dict[str, NDArray[np.float64]]:
    """Sorted distances to anions, to cations, and to the nearest other working ion."""
    d = scene.distances_ang
    return {
        **_columns("anion", nearest(d[:, scene.is_anion], N_ANIONS, CUTOFF_ANG)),
        **_columns("cation", nearest(d[:, scene.is_cation], N_CATIONS, CUTOFF_ANG)),
        "working_ion_ang": nearest(d[:, scene.is_working], 1, CUTOFF_ANG)[:, 0],
    }


def _gaps(scene: Scene) -> dict[str, NDArray[np.float64]]:
    """Room between the ion and its neighbours, as spheres of their crystal radii."""
    gaps = scene.gap_ang[:, scene.is_anion]
    soft = -SOFTNESS_ANG * np.log(np.exp(-gaps / SOFTNESS_ANG).sum(axis=1))
    framework = scene.is_cation & ~scene.is_working
    return {
        **_columns("gap", nearest(gaps, N_GAPS, CUTOFF_ANG)),
        "soft_gap_ang": soft,
        "framework_gap_ang": nearest(scene.gap_ang[:, framework], 1, CUTOFF_ANG)[:, 0],
    }


def _bonding(scene: Scene) -> dict[str, NDArray[np.float64]]:
    """Coordination, bond-valence sum, its mismatch, and the length of the bond-valence vector sum."""
    coordination, mean = effective_coordination(scene.distances_ang[:, scene.is_anion])
    valences = scene.valences[:, scene.is_anion]
    total = valences.sum(axis=1)
    towards = scene.env.coords_ang[scene.is_anion][None, :, :] - scene.points_ang[:, None, :]
    lengths = np.maximum(scene.distances_ang[:, scene.is_anion], CORE_ANG)
    vector = (valences[:, :, None] * towards / lengths[:, :, None]).sum(axis=1)
    return {
        "coordination": coordination,
        "mean_anion_ang": mean,
        "bond_valence_sum": total,
        "bond_valence_mismatch": total - scene.ion_charge,
        "bond_valence_vector": np.linalg.norm(vector, axis=1),
    }


def _electrostatics(scene: Scene) -> dict[str, NDArray[np.float64]]:
    """Screened Coulomb sums over cations, over all ions, and the cations' crowding without charges."""
    d = scene.distances_ang
    screen = np.exp(-d / SCREENING_ANG) / np.sqrt(d**2 + CORE_ANG**2) * scene.fade
    charges = scene.env.charges
    cations = screen[:, scene.is_cation]
    return {
        "cation_crowding": cations.sum(axis=1),
        "cation_repulsion_ev": COULOMB_EV_ANG * scene.ion_charge * (cations @ charges[scene.is_cation]),
        "screened_potential_ev": COULOMB_EV_ANG * scene.ion_charge * (screen @ charges),
    }


def _densities(scene: Scene) -> dict[str, NDArray[np.float64]]:
    """Return anions and cations in soft shells around the ion: counts, charges and electronegativities."""
    weights = {
        "": np.ones(len(scene.env.numbers)),
        "charge_": scene.env.charges,
        "electronegativity_": element_table().electronegativity[scene.env.numbers],
    }
    masks = {"anion": scene.is_anion, "cation": scene.is_cation}
    columns = np.stack(
        [np.where(mask, values, 0.0) for mask in masks.values() for values in weights.values()], axis=1
    )
    found = {}
    for radius in DENSITY_RADII_ANG:
        shell = np.exp(-0.5 * ((scene.distances_ang - radius) / DENSITY_WIDTH_ANG) ** 2) @ columns
        for k, (name, weight) in enumerate(product(masks, weights)):
            if not weight or radius in WEIGHTED_RADII_ANG[name]:
                found[f"{name}_density_{weight}{radius}"] = shell[:, k]
    return found


@lru_cache(maxsize=4)
def _derivatives(count: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return what turns evenly spaced values into first and second derivatives by index.

    A parabola is fitted to the nearest five points, which are those at the end for the last two.
    """
    first, second = np.zeros((count, count)), np.zeros((count, count))
    for k in range(count):
        start = min(max(k - CURVATURE_POINTS // 2, 0), count - CURVATURE_POINTS)
        window = np.arange(start, start + CURVATURE_POINTS)
        fit = np.linalg.pinv(np.vander(window - k, 3, increasing=True).astype(np.float64))
        first[k, window], second[k, window] = fit[1], 2.0 * fit[2]
    return first, second


def curvature_per_ang(path_ang: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the curvature of a path at its points, one over the radius of the circle that fits there.

    Parameters
    ----------
    path_ang : ndarray of shape (n, 3)
        At least five points, about evenly spaced.

    Returns
    -------
    ndarray of shape (n,)
        In 1/Å; 0 for a straight path, the same in both directions.
    """
    first, second = _derivatives(len(path_ang))
    velocity, acceleration = first @ path_ang, second @ path_ang
    speed = np.sqrt((velocity**2).sum(axis=1))
    step = np.linalg.norm(np.diff(path_ang, axis=0), axis=1).mean()
    turn = np.linalg.norm(np.cross(velocity, acceleration), axis=1)
    curvature: NDArray[np.float64] = turn / np.maximum(np.maximum(speed, SLOWEST_SHARE * step), 1e-6) ** 3
    return curvature


def _curvature(scene: Scene) -> NDArray[np.float64]:
    """Curvature of the path, and at the transition state between the points that it lies between."""
    relaxed = scene.env.relaxed
    # The relaxed path's own ends: the step from there to the crystal's site, where the path of the
    # descriptors ends, has a corner that the relaxation knows nothing of.
    along = curvature_per_ang(scene.env.path_ang if relaxed is None else relaxed.positions_ang)
    share = 0.5 if relaxed is None else relaxed.saddle_fraction
    return np.append(along, np.interp(share * (N_POINTS - 1), np.arange(N_POINTS), along))


def _off_middle(scene: Scene) -> NDArray[np.float64]:
    """Distance along the path from its middle."""
    steps = np.linalg.norm(np.diff(scene.env.path_ang, axis=0), axis=1)
    along = np.concatenate([[0.0], np.cumsum(steps)])
    relaxed = scene.env.relaxed
    saddle = along[-1] * (0.5 if relaxed is None else relaxed.saddle_fraction)
    off: NDArray[np.float64] = np.abs(np.append(along, saddle) - along[-1] / 2.0)
    return off
