"""Hops and their orbits by plain loops over every symmetry operation, written to be obviously right.

Nothing is shared with `tasks.hops` but spglib. A hop is a pair of points in space; an operation moves both
points; where they land is looked up by distance. Hops that an operation takes into each other are one orbit.
"""

from __future__ import annotations

import itertools
import math
import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import spglib
from numpy.typing import NDArray

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pymatgen.core import Structure

SYMPREC_ANG = 0.01
"""The tolerance at which lihop looks for the space group unless told otherwise."""

LANDING_ANG = 0.05
"""How near to a site an operation must bring an ion: several times what noise within symprec amounts to."""

Directed = tuple[int, int, tuple[int, int, int]]
"""From site i in the home cell to site j in a cell; sites are counted over all of the structure's."""

Operation = tuple[NDArray[np.int64], NDArray[np.float64]]
"""A rotation and a translation of fractional coordinates, as columns."""

Hop = frozenset[Directed]
"""A hop without direction: both of its directions, seen from the home cell."""


class NoSuchSiteError(AssertionError):
    """An operation takes an ion to where no site is, or more than one."""


@dataclass(frozen=True)
class BruteOrbit:
    """Hops that the space group takes into each other."""

    hops: frozenset[Hop]
    lengths_ang: tuple[float, ...]
    direction_symmetric: bool

    @property
    def spread_ang(self) -> float:
        """How much its members' lengths differ, which exact symmetry would forbid."""
        return max(self.lengths_ang) - min(self.lengths_ang)


def reverse(hop: Directed) -> Directed:
    """The same hop from its other end."""
    i, j, (x, y, z) = hop
    return j, i, (-x, -y, -z)


def undirected(hops: Iterable[Directed]) -> frozenset[Hop]:
    """Forget the direction of hops."""
    return frozenset(frozenset({hop, reverse(hop)}) for hop in hops)


@dataclass(frozen=True)
class Ions:
    """Where the ions that hop are."""

    sites: list[int]
    frac: NDArray[np.float64]
    lattice: NDArray[np.float64]

    @classmethod
    def of(cls, structure: Structure, ion: str) -> Ions:
        """Find them in a structure."""
        sites = [k for k, site in enumerate(structure) if site.specie.symbol == ion]
        return cls(sites, structure.frac_coords[sites], structure.lattice.matrix)

    def at(self, points: NDArray[np.float64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Return, for each point, the one of them that lies there, counted among themselves, and its cell."""
        apart = points[:, None] - self.frac
        cells = np.rint(apart).astype(np.int64)
        there = np.linalg.norm((apart - cells) @ self.lattice, axis=2) < LANDING_ANG
        if (there.sum(axis=1) != 1).any():
            raise NoSuchSiteError(f"not one site within {LANDING_ANG} Å but {sorted(set(there.sum(axis=1)))}")
        which = there.argmax(axis=1)
        return which, cells[np.arange(len(points)), which]

    def moved(self, hops: list[Directed], operation: Operation) -> list[Directed]:
        """Return the hops that an operation makes of hops, seen from the home cell."""
        rotation, translation = operation
        starts = np.array([self.frac[self.sites.index(i)] for i, _, _ in hops])
        ends = np.array([self.frac[self.sites.index(j)] + cell for _, j, cell in hops])
        at_start, start_cells = self.at(starts @ rotation.T + translation)
        at_end, end_cells = self.at(ends @ rotation.T + translation)
        return [
            (self.sites[a], self.sites[b], (int(x), int(y), int(z)))
            for a, b, (x, y, z) in zip(at_start, at_end, end_cells - start_cells, strict=True)
        ]


def all_hops(structure: Structure, ion: str, cutoff_ang: float) -> dict[Directed, float]:
    """Every hop up to a cutoff in both directions, with its length."""
    ions = Ions.of(structure, ion)
    cells = _cells(ions, cutoff_ang)
    found = {}
    for (a, i), (b, j) in itertools.product(enumerate(ions.sites), repeat=2):
        lengths_ang = np.linalg.norm((ions.frac[b] + cells - ions.frac[a]) @ ions.lattice, axis=1)
        for n in np.flatnonzero(lengths_ang <= cutoff_ang):
            x, y, z = (int(c) for c in cells[n])
            if i != j or (x, y, z) != (0, 0, 0):
                found[i, j, (x, y, z)] = float(lengths_ang[n])
    return found


def operations(structure: Structure) -> list[Operation]:
    """Every operation of the space group."""
    found = dataset(structure)
    return list(zip(found.rotations, found.translations, strict=True))


def dataset(structure: Structure) -> spglib.SpglibDataset:
    """What spglib says of a structure."""
    with warnings.catch_warnings():
        # spglib announces coming changes of its error handling on every call.
        warnings.simplefilter("ignore", DeprecationWarning)
        found = spglib.get_symmetry_dataset(
            (structure.lattice.matrix, structure.frac_coords, structure.atomic_numbers), symprec=SYMPREC_ANG
        )
    if found is None:
        raise NoSuchSiteError(f"spglib finds no space group of {structure.formula}")
    return found


def orbits(structure: Structure, ion: str, cutoff_ang: float) -> list[BruteOrbit]:
    """Group all hops up to a cutoff by the operations, shortest first."""
    ions = Ions.of(structure, ion)
    lengths_ang = all_hops(structure, ion, cutoff_ang)
    group_of: dict[Directed, set[Directed]] = {}
    for hop in lengths_ang:
        group_of.setdefault(min(hop, reverse(hop)), set()).add(hop)
    group_of |= {hop: group_of[min(hop, reverse(hop))] for hop in lengths_ang}
    turned_round = set()
    for operation in operations(structure):
        hops = list(lengths_ang)
        for hop, landed in zip(hops, ions.moved(hops, operation) if hops else [], strict=True):
            if landed == reverse(hop):
                turned_round.add(hop)
            # A cutoff must lie away from all lengths: then no operation leads out of the list.
            one, other = group_of[hop], group_of[landed]
            if one is not other:
                one |= other
                for member in other:
                    group_of[member] = one
    groups = {id(group): group for group in group_of.values()}.values()
    found = [
        BruteOrbit(
            hops=undirected(group),
            lengths_ang=tuple(sorted(lengths_ang[hop] for hop in group)),
            direction_symmetric=not turned_round.isdisjoint(group),
        )
        for group in groups
    ]
    return sorted(found, key=lambda orbit: orbit.lengths_ang)


def _cells(ions: Ions, cutoff_ang: float) -> NDArray[np.int64]:
    """All cells that a sphere about any ion can reach into, and more."""
    lattice = ions.lattice
    volume_ang3 = abs(np.linalg.det(lattice))
    axes = []
    for k in range(3):
        height_ang = volume_ang3 / np.linalg.norm(np.cross(lattice[(k + 1) % 3], lattice[(k + 2) % 3]))
        n = math.ceil(cutoff_ang / height_ang + np.ptp(ions.frac[:, k])) + 1
        axes.append(range(-n, n + 1))
    return np.array(list(itertools.product(*axes)), dtype=np.int64)
