"""Pairs of sites up to a distance, grouped by the space group in exact integer arithmetic."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from tasks.hops.symmetry import primitive_cell, site_operations

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from pymatgen.core import Structure

    from tasks.hops.symmetry import PrimitiveCell, SiteOperations

ENUMERATION_MARGIN_ANG = 0.1
"""Reach beyond the distance asked for while orbits are built, so that noise cannot cut one in two."""

CHUNK_ENTRIES = 1_000_000
"""Pairs times images that are looked at at once, so that memory stays bounded."""


@dataclass(frozen=True)
class Orbit:
    """Symmetry-equivalent undirected pairs.

    Parameters
    ----------
    length_ang : float
        Mean length of its members in the stored cell, in Å.
    edges : ndarray of shape (m, 5), int64
        Members (i, j, ox, oy, oz) in the stored cell, canonical and ascending; stored site indices.
    primitive_edges : ndarray of shape (p, 5), int64
        Members in the primitive cell; i and j count its working-ion sites.
    direction_symmetric : bool
        Whether an operation maps a member onto its own reverse.
    """

    length_ang: float
    edges: NDArray[np.int64]
    primitive_edges: NDArray[np.int64]
    direction_symmetric: bool


@dataclass(frozen=True)
class Orbits:
    """All orbits of a structure's working-ion pairs up to a distance.

    Parameters
    ----------
    orbits : tuple of Orbit
        Shortest first.
    n_primitive_sites : int
        Working-ion sites in the primitive cell.
    symmetry_found : bool
        False when spglib failed.
    """

    orbits: tuple[Orbit, ...]
    n_primitive_sites: int
    symmetry_found: bool


def find_orbits(structure: Structure, sites: tuple[int, ...], reach_ang: float, symprec: float) -> Orbits:
    """Group all pairs of the given sites, up to a distance, by the space group.

    The space group of the primitive cell acts on (site, image) pairs there; pairs of the stored cell are
    looked up in it. So a supercell gives the same orbits, even one that breaks the crystal's own rotations.

    Parameters
    ----------
    structure : Structure
        An ordered crystal.
    sites : tuple of int
        Sites of the working ion.
    reach_ang : float
        Largest distance in Å.
    symprec : float
        Distance tolerance of the space group, in Å.

    Returns
    -------
    Orbits
        Orbits whose mean length lies within the distance and a margin of 0.1 Å, shortest first.
    """
    cell = primitive_cell(structure, symprec)
    numbers = np.asarray(structure.atomic_numbers, dtype=np.int64)[cell.sites]
    working = np.unique(cell.index_of_site[list(sites)])
    operations = site_operations(cell, numbers, working, symprec)
    # Noise may put a pair inside the reach in one cell and outside in the other: look further in primitive.
    primitive, _ = enumerate_edges(cell.frac[working], cell.lattice, reach_ang + 2.0 * ENUMERATION_MARGIN_ANG)
    table = _EdgeTable(primitive, len(working))
    label, symmetric = _label(primitive, table, operations)
    stored, lengths = enumerate_edges(
        np.asarray(structure.frac_coords)[list(sites)],
        np.asarray(structure.lattice.matrix),
        reach_ang + ENUMERATION_MARGIN_ANG,
    )
    stored_label = label[table.find(_to_primitive(stored, sites, cell, working))]
    site_index = np.asarray(sites, dtype=np.int64)
    orbits = []
    # A pair that is not in the table is longer than its image in the primitive cell by more than the margin:
    # noise far beyond symprec, which the space group would not have overlooked.
    for number in np.unique(stored_label[stored_label < len(primitive)]):
        members = stored[stored_label == number]
        # Ascending local indices are ascending stored indices, so the order and the canonical form hold.
        edges = np.column_stack([site_index[members[:, :2]], members[:, 2:]])
        orbits.append(
            Orbit(
                length_ang=float(lengths[stored_label == number].mean()),
                edges=edges,
                primitive_edges=primitive[label[:-1] == number],
                direction_symmetric=bool(symmetric[number]),
            )
        )
    orbits.sort(key=lambda orbit: (round(orbit.length_ang, 6), orbit.edges[0].tolist()))
    return Orbits(tuple(orbits), len(working), operations.found)


def enumerate_edges(
    frac: NDArray[np.float64], lattice: NDArray[np.float64], reach_ang: float
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """List all undirected pairs of sites up to a distance.

    Parameters
    ----------
    frac : ndarray of shape (n, 3)
        Fractional coordinates.
    lattice : ndarray of shape (3, 3)
        Lattice vectors as rows, in Å.
    reach_ang : float
        Largest distance in Å.

    Returns
    -------
    edges : ndarray of shape (E, 5), int64
        (i, j, ox, oy, oz), each the smaller of its two directions, in ascending order.
    lengths : ndarray of shape (E,)
        Their lengths in Å.
    """
    first, second = np.triu_indices(len(frac))
    delta = frac[second] - frac[first]
    margin = reach_ang * np.linalg.norm(np.linalg.inv(lattice), axis=0)
    low = np.ceil(-margin - delta.max(axis=0)).astype(np.int64)
    high = np.floor(margin - delta.min(axis=0)).astype(np.int64)
    grid = np.meshgrid(*(np.arange(a, b + 1) for a, b in zip(low, high, strict=True)), indexing="ij")
    shifts = np.stack(grid, axis=-1).reshape(-1, 3)
    step = max(1, CHUNK_ENTRIES // len(shifts))
    found = []
    for start in range(0, len(delta), step):
        vectors = (delta[start : start + step, None, :] + shifts) @ lattice
        pair, cell = np.nonzero(np.einsum("psk,psk->ps", vectors, vectors) <= reach_ang**2)
        found.append((pair + start, cell))
    pair = np.concatenate([p for p, _ in found])
    image = shifts[np.concatenate([c for _, c in found])]
    lengths = np.linalg.norm((delta[pair] + image) @ lattice, axis=1)
    keep = (first[pair] != second[pair]) | (_sign(image) < 0)
    edges = np.column_stack([first[pair], second[pair], image])[keep]
    order = np.lexsort(edges.T[::-1])
    return edges[order], lengths[keep][order]


def canonical(edges: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return each edge in the smaller of its two directions.

    Parameters
    ----------
    edges : ndarray of shape (E, 5)
        (i, j, ox, oy, oz).

    Returns
    -------
    ndarray of shape (E, 5)
        Those, or (j, i, -ox, -oy, -oz).
    """
    i, j, image = edges[:, 0], edges[:, 1], edges[:, 2:]
    swap = (i > j) | ((i == j) & (_sign(image) > 0))
    reverse = np.column_stack([j, i, -image])
    return np.where(swap[:, None], reverse, edges)


def _sign(image: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the sign of each vector's first entry that is not zero."""
    sign = np.sign(image)
    result: NDArray[np.int64] = np.where(
        sign[:, 0] != 0, sign[:, 0], np.where(sign[:, 1] != 0, sign[:, 1], sign[:, 2])
    )
    return result


class _EdgeTable:
    """Finds edges by one integer made of their five."""

    def __init__(self, edges: NDArray[np.int64], n_sites: int) -> None:
        self._n = n_sites
        self._half = int(np.abs(edges[:, 2:]).max(initial=0)) + 1
        self._keys = self._key(edges)

    def find(self, edges: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return the index of each edge; -1 where the table does not hold it."""
        if len(self._keys) == 0:
            return np.full(len(edges), -1, dtype=np.int64)
        keys = self._key(edges)
        where = np.minimum(np.searchsorted(self._keys, keys), len(self._keys) - 1)
        outside = (np.abs(edges[:, 2:]) >= self._half).any(axis=1)
        return np.where((self._keys[where] == keys) & ~outside, where, -1)

    def _key(self, edges: NDArray[np.int64]) -> NDArray[np.int64]:
        """Pack edges so that ascending edges have ascending keys."""
        width = 2 * self._half + 1
        key = edges[:, 0] * self._n + edges[:, 1]
        for column in (2, 3, 4):
            key = key * width + (edges[:, column] + self._half)
        return key


def _label(
    edges: NDArray[np.int64], table: _EdgeTable, operations: SiteOperations
) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Return the orbit of each edge, named by its first member, and whether orbits are reversible.

    The arrays have one entry more than there are edges: -1, for edges that are not in the table, names it.
    """
    label = np.full(len(edges) + 1, -1, dtype=np.int64)
    symmetric = np.zeros(len(edges) + 1, dtype=np.bool_)
    label[-1] = len(edges)
    for seed in range(len(edges)):
        if label[seed] >= 0:
            continue
        i, j, image = edges[seed, 0], edges[seed, 1], edges[seed, 2:]
        raw = np.column_stack(
            [
                operations.permutation[:, i],
                operations.permutation[:, j],
                operations.rotations @ image + operations.shift[:, j] - operations.shift[:, i],
            ]
        )
        reverse = np.concatenate([[j, i], -image])
        members = table.find(canonical(raw))
        members = members[members >= 0]
        # Operations found within a tolerance need not form a group: then orbits that touch are one.
        touched = np.unique(label[members])
        for old in touched[touched >= 0]:
            label[label == old] = seed
            symmetric[seed] |= symmetric[old]
        label[members] = seed
        label[seed] = seed
        symmetric[seed] |= bool((raw == reverse).all(axis=1).any())
    return label, symmetric


def _to_primitive(
    edges: NDArray[np.int64], sites: tuple[int, ...], cell: PrimitiveCell, working: NDArray[np.int64]
) -> NDArray[np.int64]:
    """Return stored edges as canonical edges between the primitive cell's working-ion sites."""
    stored = np.asarray(sites, dtype=np.int64)[edges[:, :2]]
    ends = np.searchsorted(working, cell.index_of_site[stored])
    offset = cell.offset_of_site[stored]
    image = edges[:, 2:] @ cell.stored_lattice + offset[:, 1] - offset[:, 0]
    return canonical(np.column_stack([ends, image]))
