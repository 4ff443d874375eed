"""Group `topology`: persistent homology of clouds of atoms round the path, with and without the moving ion.

A cloud holds the atoms of one role, or of some elements, near the path. Its edge falls into the widest gap
between atoms' distances within a window, so that no atom, and no shell of equivalent atoms, sits on it. How
wide clouds are and how far complexes grow is in `tasks.descriptors.persistence_settings`.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np
from scipy.spatial.distance import pdist, squareform

from tasks.descriptors.elements import element_table
from tasks.descriptors.persistence import (
    MIN_POINTS,
    STATISTICS,
    bar_statistics,
    bars_of,
    betti_curve,
    persistence,
)
from tasks.descriptors.persistence_settings import DEFAULT, TopologySettings
from tasks.descriptors.registry.topology import CLOUDS, ELEMENT_CLOUDS, descriptors
from tasks.descriptors.scene import SADDLE, Scene, survey

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from tasks.hops.path import HopEnvironment

__all__ = ["MIN_POINTS", "RipsInput", "cloud_edge_ang", "clouds", "persistence", "rips_inputs", "topology"]

GAP_TIE_ANG = 1e-3


@dataclass(frozen=True)
class RipsInput:
    """One cloud as ripser is given it.

    Parameters
    ----------
    cloud : str
        Name: "anion", ..., and "anion_ion", ... for a cloud joined by the moving ion.
    distances_ang : ndarray of shape (m, m)
        Distances within the cloud, the moving ion last.
    max_dimension : int
        Highest homology.
    threshold_ang : float
        Longest edge of the complex.
    """

    cloud: str
    distances_ang: NDArray[np.float64]
    max_dimension: int
    threshold_ang: float


def topology(
    env: HopEnvironment, scene: Scene | None = None, settings: TopologySettings = DEFAULT
) -> NDArray[np.float32]:
    """Return the vector of persistent homology of one hop.

    Parameters
    ----------
    env : HopEnvironment
        The path and its surroundings.
    scene : Scene, optional
        What `survey` makes of it, when it is at hand.
    settings : TopologySettings
        Radii and what is read off; the registry is that of the default.

    Returns
    -------
    ndarray of shape (keys,), float32
        In the order of `registry.topology.descriptors(settings)`; NaN where a cloud has fewer than two atoms,
        where a statistic has no bar, and where charges that decide on a cloud are unknown.
    """
    scene = survey(env) if scene is None else scene
    members = _members(scene, settings)
    inputs = _rips_inputs(scene, members, settings)
    diagrams = [bars_of(given.distances_ang, given.max_dimension, given.threshold_ang) for given in inputs]
    statistics = iter(bar_statistics([bars for found in diagrams for bars in found]))
    values: dict[str, float] = {
        f"{name}_points": float("nan") if atoms is None else float(len(atoms))
        for name, atoms in members.items()
    }
    for given, found in zip(inputs, diagrams, strict=True):
        atoms = len(given.distances_ang) - given.cloud.endswith("_ion")
        for dimension, bars in enumerate(found):
            stem = f"{given.cloud}_h{dimension}"
            row = next(statistics)
            values.update((f"{stem}_{name}", value) for name, value in zip(STATISTICS, row, strict=True))
            curve = betti_curve(bars, settings.bins_ang(dimension)) / atoms
            values.update((f"{stem}_betti_{k}", value) for k, value in enumerate(curve))
    nan = float("nan")
    keys = _keys(settings)
    if settings.ion in {"compact", "changes"}:
        values.update(_changes(keys, values))
    return np.array([values.get(key, nan) for key in keys], dtype=np.float32)


@lru_cache(maxsize=64)
def _keys(settings: TopologySettings) -> tuple[str, ...]:
    """Return the keys of the array under these settings."""
    return tuple(descriptor.key for descriptor in descriptors(settings))


def _changes(keys: tuple[str, ...], values: dict[str, float]) -> dict[str, float]:
    """Return what the moving ion changes; curves change by bars alive, not by bars alive per atom."""
    changed: dict[str, float] = {}
    for key in keys:
        if "_ion_" not in key or key not in values:
            continue
        cloud, figure = key.split("_ion_")
        change = values[key] - values[f"{cloud}_{figure}"]
        changed[key] = change * values[f"{cloud}_points"] if "_betti_" in figure else change
    return changed


def clouds(scene: Scene, settings: TopologySettings = DEFAULT) -> dict[str, NDArray[np.int64]]:
    """Return the atoms of the anion, cation and framework cloud around the path, by index.

    Other working ions belong to the cation cloud and not to the framework.

    Parameters
    ----------
    scene : Scene
        One hop.
    settings : TopologySettings
        Where clouds end.

    Returns
    -------
    dict of str to ndarray
        Indices into the scene's atoms, rising.
    """
    to_path = scene.distances_ang.min(axis=0)
    masks = (scene.is_anion, scene.is_cation, ~scene.is_working)
    return {
        name: _within(to_path, mask, settings.edge_window_ang)
        for name, mask in zip(CLOUDS, masks, strict=True)
    }


def element_clouds(scene: Scene, settings: TopologySettings = DEFAULT) -> dict[str, NDArray[np.int64] | None]:
    """Return the atoms of the clouds by element; None for one whose atoms cannot be told.

    A transition metal or a small atom is a cation only by its charge: where a framework cation's charge is
    unknown, both clouds are. Which atoms are working ions is known always.

    Parameters
    ----------
    scene : Scene
        One hop.
    settings : TopologySettings
        Where clouds end, and whether there are any.

    Returns
    -------
    dict of str to ndarray or None
        Indices into the scene's atoms, rising.
    """
    if settings.element_dimension is None:
        return {}
    table, numbers = element_table(), scene.env.numbers
    to_path = scene.distances_ang.min(axis=0)
    cations = scene.is_cation & ~scene.is_working
    metals = table.transition_metal[numbers]
    # No transition metal is that small.
    centres = table.polyanion_centre[numbers]
    unknown = bool(np.isnan(scene.env.charges[cations]).any())
    masks = (cations & metals, cations & centres, scene.is_working)
    return {
        name: None if unknown and name != "working" else _within(to_path, mask, settings.edge_window_ang)
        for name, mask in zip(ELEMENT_CLOUDS, masks, strict=True)
    }


def _members(scene: Scene, settings: TopologySettings) -> dict[str, NDArray[np.int64] | None]:
    """Return the atoms of every cloud, None where they cannot be told."""
    return {**clouds(scene, settings), **element_clouds(scene, settings)}


def _within(
    to_path_ang: NDArray[np.float64], mask: NDArray[np.bool_], window_ang: tuple[float, float]
) -> NDArray[np.int64]:
    """Return the atoms under the mask that lie inside the widest gap of the edge window."""
    members = np.flatnonzero(mask)
    return members[to_path_ang[members] < cloud_edge_ang(to_path_ang[members], window_ang)]


def cloud_edge_ang(
    to_path_ang: NDArray[np.float64], window_ang: tuple[float, float] = DEFAULT.edge_window_ang
) -> float:
    """Return the distance at which a cloud ends: the middle of the widest gap in the edge window.

    Parameters
    ----------
    to_path_ang : ndarray of shape (m,)
        Distances of the cloud's atoms from the path.
    window_ang : tuple of two floats
        Where the edge may fall.

    Returns
    -------
    float
        A distance in Å that no atom has; the nearer gap where two are equally wide.
    """
    low, high = window_ang
    inside = np.sort(to_path_ang[(to_path_ang > low) & (to_path_ang < high)])
    marks = np.concatenate([[low], inside, [high]])
    gaps = np.diff(marks)
    widest = int(np.flatnonzero(gaps >= gaps.max() - GAP_TIE_ANG)[0])
    return float(marks[widest] + gaps[widest] / 2.0)


def rips_inputs(scene: Scene, settings: TopologySettings = DEFAULT) -> tuple[RipsInput, ...]:
    """Return exactly what ripser is given for one hop.

    Parameters
    ----------
    scene : Scene
        One hop.
    settings : TopologySettings
        Radii.

    Returns
    -------
    tuple of RipsInput
        One a cloud of at least two atoms, and one more where the moving ion joins it.
    """
    return _rips_inputs(scene, _members(scene, settings), settings)


def _rips_inputs(
    scene: Scene, members: dict[str, NDArray[np.int64] | None], settings: TopologySettings
) -> tuple[RipsInput, ...]:
    """Cut every cloud's distances out of one matrix over all atoms and the moving ion."""
    present = {
        name: atoms for name, atoms in members.items() if atoms is not None and len(atoms) >= MIN_POINTS
    }
    rows = np.unique(np.concatenate([np.empty(0, dtype=np.int64), *present.values()]))
    points = np.vstack([scene.env.coords_ang[rows], scene.points_ang[SADDLE]])
    distances = squareform(pdist(points))
    found: list[RipsInput] = []
    for name, atoms in present.items():
        places = np.searchsorted(rows, atoms)
        by_role = name in CLOUDS
        top = settings.max_dimension if by_role else settings.element_dimension
        joined = {name: places}
        if by_role and settings.ion != "none":
            joined[f"{name}_ion"] = np.append(places, len(rows))
        for cloud, cut in joined.items():
            matrix = distances[np.ix_(cut, cut)]
            found.append(RipsInput(cloud, matrix, 0 if top is None else top, settings.threshold_ang))
    return tuple(found)
