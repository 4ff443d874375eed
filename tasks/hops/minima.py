"""Minima of the BVSE of an ion in a periodic rigid host: a grid finds them, Newton's method settles them."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING

import numpy as np
import torch
from scipy.spatial import cKDTree

from tasks.hops.bvse import PairParameters
from tasks.hops.field import Field, Host
from tasks.hops.path import images_in_box

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray
    from torch import Tensor

    Vectors = NDArray[np.float64]

GRID_SPACING_ANG = 0.2
"""Longest edge of a grid cell: wells deep enough for a site are then found wherever the origin lies.

At 0.3 Å it depends on the origin whether wells up to 0.04 eV deep are.
"""

REACH_ANG = 9.0
"""Host atoms within this of the ion count, as for relaxed paths."""

BLOCK_POINTS = 8
"""Grid points along each edge of a block that shares a list of host atoms."""

ROOM_ANG = 1.5
"""How far from its start an ion may slide before it runs out of the atoms listed for it."""

MAX_ENTRIES = 1_500_000
"""Grid points times atoms worked on at once, which bounds memory to some 100 MB whatever the cell."""

IONS_AT_ONCE = 64
"""Ions that settle together, some 500 atoms round each."""

SEED_SLACK_EV = 0.5
"""How much higher than the minimum the nearest grid point may lie."""

JIGGLE_ANG = np.array([0.031, -0.019, 0.023])
"""Start off the grid point, which may be a saddle that holds an ion by symmetry."""

DIFFERENCE_ANG = 1e-3
"""Step of the differences of forces that make the second derivatives."""

LONGEST_STEP_ANG = 0.2
"""No step of Newton's method is longer."""

SOFTEST_EV_ANG2 = 0.005
"""Curvatures enter steps no smaller than this, so that soft directions do not run away."""

DOWNWARDS_EV_ANG2 = -1e-3
"""A minimum curves downwards by no more than this, which is rounding where the bottom is flat."""

FORCE_TOLERANCE_EV_ANG = 1e-6
"""A settled ion feels no more."""

SETTLED_EV_ANG = 1e-4
"""An ion that still feels more than this after `MAX_STEPS` found no minimum."""

MAX_STEPS = 100
"""Steps of Newton's method at most."""

CUBE = np.stack(np.meshgrid(*[[-1.0, 0.0, 1.0]] * 3, indexing="ij"), axis=-1).reshape(-1, 3)
"""Displacements to a cube's corners, edges, faces and middle."""

WAYS_OUT = 200
"""Directions out of a place that are tried first."""

BEST_WAYS = 6
"""How many of them are looked round for better ones; many are equivalent."""

ZOOMS = 2
"""How often that is done, each time three times as fine: it leaves errors below 1 meV."""

RISE_STEP_ANG = 0.05
"""Distance between the places on a way out at which the energy is looked at."""


@dataclass(frozen=True)
class PeriodicHost:
    """A rigid periodic host.

    Parameters
    ----------
    lattice : ndarray of shape (3, 3)
        Lattice vectors as rows, in Å; best short ones.
    frac : ndarray of shape (M, 3)
        Its atoms in the cell.
    parameters : PairParameters
        What the moving ion's energy needs of each.
    """

    lattice: Vectors
    frac: Vectors
    parameters: PairParameters


@dataclass(frozen=True)
class Minima:
    """Minima of the energy, the same one possibly several times.

    Parameters
    ----------
    positions_ang : ndarray of shape (S, 3)
        Where, in Å.
    energies_ev : ndarray of shape (S,)
        How deep.
    """

    positions_ang: Vectors
    energies_ev: Vectors


class Surroundings:
    """The atoms round any place in the cell of a periodic host.

    Parameters
    ----------
    host : PeriodicHost
        The host.
    margin_ang : float
        How far beyond the cell atoms are known.
    """

    def __init__(self, host: PeriodicHost, margin_ang: float = REACH_ANG + 2.0 * ROOM_ANG) -> None:
        self.host = host
        frac = host.frac % 1.0
        corners = np.array([[0.0, 0.0, 0.0], [1.0, 1.0, 1.0]])
        self._sites, shifts = images_in_box(frac, host.lattice, corners, margin_ang)
        self._coords = (frac[self._sites] + shifts) @ host.lattice
        self._tree = cKDTree(self._coords)

    def nearest_ang(self, positions_ang: Vectors) -> Vectors:
        """Return the distance from each place to the nearest atom."""
        return np.asarray(self._tree.query(positions_ang)[0], dtype=np.float64)

    def around(self, centre_ang: Vectors, reach_ang: float) -> Host:
        """Return the atoms within reach of a place, with this place as origin."""
        near = np.sort(np.asarray(self._tree.query_ball_point(centre_ang, reach_ang), dtype=np.int64))
        sites = self._sites[near]
        mine = self.host.parameters
        parameters = PairParameters(**{f.name: getattr(mine, f.name)[sites] for f in fields(PairParameters)})
        return Host(self._coords[near] - centre_ang, parameters)


def find_minima(
    surroundings: Surroundings, *, clear_ang: float, window_ev: float, farthest_ang: float = np.inf
) -> Minima:
    """Find the minima of the energy of an ion in a rigid periodic host.

    Parameters
    ----------
    surroundings : Surroundings
        The host's atoms.
    clear_ang : float
        Places nearer to an atom than this are not looked at.
    window_ev : float
        Minima that lie further above the lowest may be left out.
    farthest_ang : float
        Nor are places further than this from every atom.

    Returns
    -------
    Minima
        All minima, in no particular order and some of them more than once.
    """
    energies = _grid_energies(surroundings, clear_ang, farthest_ang)
    lowest = energies.min()
    if not np.isfinite(lowest):
        return Minima(np.empty((0, 3)), np.empty(0))
    is_seed = energies <= lowest + window_ev + SEED_SLACK_EV
    rises = np.zeros_like(is_seed)
    for axis in range(3):
        for step in (-1, 1):
            neighbour = np.roll(energies, step, axis)
            # Ties count: two points that straddle a minimum are both seeds. Nothing but ties is a vacuum.
            is_seed &= energies <= neighbour
            rises |= energies < neighbour
    is_seed &= rises
    seeds = np.argwhere(is_seed) / energies.shape @ surroundings.host.lattice
    return settle(surroundings, seeds + JIGGLE_ANG)


def settle(surroundings: Surroundings, start_ang: Vectors) -> Minima:
    """Let ions slide to the minima next to where they are.

    Parameters
    ----------
    surroundings : Surroundings
        The host's atoms.
    start_ang : ndarray of shape (S, 3)
        Places in or near the cell, in Å.

    Returns
    -------
    Minima
        Where they end; those that end in no minimum are left out.
    """
    found, depths = [np.empty((0, 3))], [np.empty(0)]
    for first in range(0, len(start_ang), IONS_AT_ONCE):
        start = start_ang[first : first + IONS_AT_ONCE]
        hosts = [surroundings.around(place, REACH_ANG + ROOM_ANG) for place in start]
        with torch.no_grad():
            offset, energy, good = _newton(Field(hosts, torch.device("cpu")), len(hosts))
        found.append((start + offset)[good])
        depths.append(energy[good])
    return Minima(np.concatenate(found), np.concatenate(depths))


def energies_at(surroundings: Surroundings, positions_ang: Vectors) -> Vectors:
    """Return the energies of the ion at places in or near the cell.

    Parameters
    ----------
    surroundings : Surroundings
        The host's atoms.
    positions_ang : ndarray of shape (S, 3)
        Places in Å.

    Returns
    -------
    ndarray of shape (S,)
        Energies in eV.
    """
    cpu, here = torch.device("cpu"), torch.zeros((1, 1, 3), dtype=torch.float64)
    energies = []
    with torch.no_grad():
        for place in positions_ang:
            field = Field([surroundings.around(place, REACH_ANG + ROOM_ANG)], cpu)
            energies.append(float(field.energy_and_force(here)[0][0, 0]))
    return np.array(energies)


def lowest_pass_ev(surroundings: Surroundings, place_ang: Vectors, radius_ang: float) -> float:
    """Return how high an ion must climb at least to leave a place straight on.

    Parameters
    ----------
    surroundings : Surroundings
        The host's atoms.
    place_ang : ndarray of shape (3,)
        A place in or near the cell, in Å.
    radius_ang : float
        How far from there it has left, in Å.

    Returns
    -------
    float
        The highest energy on the way out, that of the place itself aside (the middle of a split site may
        lie above its minima), least over all directions, in eV.
    """
    host = surroundings.around(place_ang, REACH_ANG + radius_ang)
    radii_ang = np.linspace(0.0, radius_ang, 1 + math.ceil(radius_ang / RISE_STEP_ANG))[1:]

    def tops_ev(ways: Vectors) -> Vectors:
        places = (ways[:, None] * radii_ang[:, None]).reshape(-1, 3)
        tops: Vectors = _energies_in_parts(host, places).reshape(len(ways), -1).max(axis=1)
        return tops

    ways = _sphere(WAYS_OUT)
    tops = tops_ev(ways)
    spread = math.sqrt(4.0 * math.pi / WAYS_OUT)
    for _ in range(ZOOMS):
        spread /= 3.0
        best = np.argsort(tops, kind="stable")[:BEST_WAYS]
        near = (ways[best, None] + spread * CUBE).reshape(-1, 3)
        near /= np.linalg.norm(near, axis=1)[:, None]
        ways, tops = np.concatenate([ways[best], near]), np.concatenate([tops[best], tops_ev(near)])
    return float(tops.min())


def _sphere(n_points: int) -> Vectors:
    """Return unit vectors spread evenly over the sphere, on a spiral."""
    k = np.arange(n_points) + 0.5
    z = 1.0 - 2.0 * k / n_points
    turn = math.pi * (1.0 + math.sqrt(5.0)) * k
    across = np.sqrt(1.0 - z**2)
    return np.stack([across * np.cos(turn), across * np.sin(turn), z], axis=1)


def _grid_energies(surroundings: Surroundings, clear_ang: float, farthest_ang: float) -> Vectors:
    """Return the energies on a grid over the cell; infinite too near to an atom or too far from all."""
    lattice = surroundings.host.lattice
    shape = np.maximum(np.ceil(np.linalg.norm(lattice, axis=1) / GRID_SPACING_ANG).astype(int), 3)
    energies = np.full(tuple(shape), np.inf)
    for block in _blocks(tuple(shape)):
        index = np.stack(np.meshgrid(*block, indexing="ij"), axis=-1).reshape(-1, 3)
        places = index / shape @ lattice
        nearest_ang = surroundings.nearest_ang(places)
        looked_at = (nearest_ang >= clear_ang) & (nearest_ang <= farthest_ang)
        index, places = index[looked_at], places[looked_at]
        if not len(places):
            continue
        centre = 0.5 * (places.min(axis=0) + places.max(axis=0))
        radius = float(np.linalg.norm(places - centre, axis=1).max())
        host = surroundings.around(centre, REACH_ANG + radius)
        energies[tuple(index.T)] = _energies_in_parts(host, places - centre)
    return energies


def _energies_in_parts(host: Host, positions_ang: Vectors) -> Vectors:
    """Return energies in one host, of so many places at a time as memory allows."""
    field = Field([host], torch.device("cpu"))
    size = max(1, MAX_ENTRIES // max(1, host.n_atoms))
    with torch.no_grad():
        parts = [
            field.energy_and_force(torch.from_numpy(positions_ang[None, first : first + size]))[0][0].numpy()
            for first in range(0, len(positions_ang), size)
        ]
    return np.concatenate(parts)


def _blocks(shape: tuple[int, ...]) -> Iterator[tuple[NDArray[np.int64], ...]]:
    """Yield the grid in blocks, as indices along each axis."""
    runs = [[np.arange(a, min(a + BLOCK_POINTS, n)) for a in range(0, n, BLOCK_POINTS)] for n in shape]
    for x in runs[0]:
        for y in runs[1]:
            for z in runs[2]:
                yield x, y, z


def _newton(field: Field, n_ions: int) -> tuple[Vectors, Vectors, NDArray[np.bool_]]:
    """Return where ions that start at the origins settle, their energies, and whether in a minimum.

    Steps go downhill along every axis of curvature, whatever its sign, and are taken back where the energy
    rises, so that no ion settles on a saddle.
    """
    x = torch.zeros((n_ions, 3), dtype=torch.float64)
    trust = torch.full((n_ions,), LONGEST_STEP_ANG, dtype=torch.float64)
    energy, force, hessian = _derivatives(field, x)
    for _ in range(MAX_STEPS):
        moving = torch.nonzero(force.norm(dim=1) > FORCE_TOLERANCE_EV_ANG)[:, 0]
        if not len(moving):
            break
        values, axes = torch.linalg.eigh(hessian[moving])
        along = (axes.mT @ force[moving, :, None])[:, :, 0] / values.abs().clamp(min=SOFTEST_EV_ANG2)
        step = (axes @ along[:, :, None])[:, :, 0]
        length = step.norm(dim=1)
        step *= (trust[moving] / length.clamp(min=1e-12)).clamp(max=1.0)[:, None]
        there = x[moving] + step
        new_energy, new_force, new_hessian = _derivatives(field.take(moving), there)
        better = new_energy <= energy[moving] + 1e-12
        trust[moving] = torch.where(better, 1.5 * trust[moving], 0.25 * torch.minimum(trust[moving], length))
        trust = trust.clamp(max=LONGEST_STEP_ANG)
        kept = moving[better]
        x[kept], energy[kept] = there[better], new_energy[better]
        force[kept], hessian[kept] = new_force[better], new_hessian[better]
    settled = (force.norm(dim=1) < SETTLED_EV_ANG) & (x.norm(dim=1) <= ROOM_ANG)
    good = settled & (torch.linalg.eigvalsh(hessian)[:, 0] > DOWNWARDS_EV_ANG2)
    return x.numpy(), energy.numpy(), good.numpy()


def _derivatives(field: Field, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return energies, forces and second derivatives, these from differences of forces."""
    h = DIFFERENCE_ANG
    offsets = torch.zeros((7, 3), dtype=torch.float64)
    offsets[1:4] = torch.eye(3, dtype=torch.float64) * h
    offsets[4:7] = -offsets[1:4]
    energy, force = field.energy_and_force(x[:, None] + offsets)
    hessian = (force[:, 4:7] - force[:, 1:4]) / (2.0 * h)
    return energy[:, 0], force[:, 0], 0.5 * (hessian + hessian.mT)
