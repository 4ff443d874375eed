"""Pairs of points up to a distance, grouped by the space group in exact integer arithmetic."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from tasks.hops.points import PointSymmetry, SiteOperations

ENUMERATION_MARGIN_ANG = 0.1
"""Reach beyond the distance asked for while orbits are built, so that noise cannot cut one in two."""

CHUNK_ENTRIES = 1_000_000
"""Pairs times images, or pairs times operations, that are looked at at once: memory stays bounded."""

MAX_DENSE_KEYS = 300_000
"""Keys up to which a table that holds them all is quicker than a sorted list."""


@dataclass(frozen=True)
class Orbit:
    """Symmetry-equivalent undirected pairs.

    Parameters
    ----------
    length_ang : float
        Mean length of its members in the stored cell, in Å.
    first_length_ang : float
        Length of its first member in Å.
    members : ndarray of shape (m,), int64
        Its members, as rows of the stored pairs.
    primitive_members : ndarray of shape (p,), int64
        Those in the primitive cell, as rows of the primitive pairs.
    direction_symmetric : bool
        Whether an operation maps a member onto its own reverse.
    """

    length_ang: float
    first_length_ang: float
    members: NDArray[np.int64]
    primitive_members: NDArray[np.int64]
    direction_symmetric: bool


@dataclass(frozen=True)
class Orbits:
    """All orbits of a crystal's pairs of points up to a distance.

    A directed pair is named by the row of its undirected pair, or, where it is the reverse of what stands
    there, by that row plus the number of rows.

    Parameters
    ----------
    orbits : tuple of Orbit
        Shortest first.
    edges : ndarray of shape (E, 5), int64
        Undirected pairs (i, j, ox, oy, oz) of the stored cell, canonical and ascending; i and j count points.
    primitive_edges : ndarray of shape (P, 5), int64
        Those of the primitive cell.
    mapped : ndarray of shape (K, 2 P), int64
        Directed primitive pair that each operation takes each directed primitive pair to; -1 for one that is
        longer than those that were enumerated.
    in_primitive : ndarray of shape (2 E,), int64
        Directed primitive pair of each directed stored pair; -1 as above.
    """

    orbits: tuple[Orbit, ...]
    edges: NDArray[np.int64]
    primitive_edges: NDArray[np.int64]
    mapped: NDArray[np.int64]
    in_primitive: NDArray[np.int64]


def find_orbits(points: PointSymmetry, reach_ang: float) -> Orbits:
    """Group all pairs of points, up to a distance, by the space group.

    The space group of the primitive cell acts on (point, image) pairs there; pairs of the stored cell are
    looked up in it. So a supercell gives the same orbits, even one that breaks the crystal's own rotations.

    Parameters
    ----------
    points : PointSymmetry
        The points and their symmetry.
    reach_ang : float
        Largest distance in Å.

    Returns
    -------
    Orbits
        Orbits whose mean length lies within the distance and a margin of 0.1 Å, shortest first.
    """
    reach_ang += ENUMERATION_MARGIN_ANG
    edges, lengths = enumerate_edges(points.stored_frac, points.stored_lattice, reach_ang)
    if points.is_stored:
        primitive = edges
    else:
        # Noise may put a pair inside the reach in one cell and outside in the other: look further here.
        primitive, _ = enumerate_edges(points.frac, points.lattice, reach_ang + ENUMERATION_MARGIN_ANG)
    table = DirectedTable(primitive, points.operations)
    forward = table.map_all(primitive)
    label, symmetric = merge(forward)
    n_edges, n_primitive = len(edges), len(primitive)
    in_primitive = np.arange(n_edges) if points.is_stored else table.find(_to_primitive(edges, points))
    # A pair that is not in the table is longer than its image in the primitive cell by more than the margin:
    # noise far beyond symprec, which the space group would not have overlooked.
    stored_label = label
    if not points.is_stored:
        stored_label = np.where(in_primitive < 0, -1, label[in_primitive % max(n_primitive, 1)])
    groups = _groups(stored_label)
    primitive_groups = groups if points.is_stored else _groups(label)
    total_ang = np.bincount(stored_label[stored_label >= 0], lengths[stored_label >= 0], minlength=1)
    orbits = [
        Orbit(
            length_ang=float(total_ang[number]) / len(members),
            first_length_ang=float(lengths[members[0]]),
            members=members,
            primitive_members=primitive_groups[number],
            direction_symmetric=bool(symmetric[number]),
        )
        for number, members in groups.items()
        if number >= 0
    ]
    # Members ascend, so the first rows compare as the first pairs do.
    orbits.sort(key=lambda orbit: (round(orbit.length_ang, 6), int(orbit.members[0])))
    return Orbits(
        orbits=tuple(orbits),
        edges=edges,
        primitive_edges=primitive,
        mapped=np.concatenate([forward, reverse_of(forward, n_primitive)], axis=1),
        in_primitive=np.concatenate([in_primitive, reverse_of(in_primitive, n_primitive)]),
    )


def reverse_of(directed: NDArray[np.int64], n_edges: int) -> NDArray[np.int64]:
    """Return the reverses of directed pairs.

    Parameters
    ----------
    directed : ndarray of int64
        Directed pairs as `Orbits` names them; -1 for none.
    n_edges : int
        How many undirected pairs there are.

    Returns
    -------
    ndarray of int64
        Their reverses; -1 for none.
    """
    return np.where(directed < 0, -1, np.where(directed < n_edges, directed + n_edges, directed - n_edges))


def merge(mapped: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Group things that have a direction by the operations that map them onto each other.

    Parameters
    ----------
    mapped : ndarray of shape (K, N), int64
        What each operation takes each of N things to: m for the thing m, N + m for its reverse, -1 for what
        is not among them.

    Returns
    -------
    label : ndarray of shape (N,), int64
        First member of the orbit of each.
    symmetric : ndarray of shape (N,), bool
        Whether an operation maps a member of its orbit onto that member's own reverse.
    """
    n_ops, n_things = mapped.shape
    everyone = np.arange(n_things, dtype=np.int64)
    own_reverse = (mapped == everyone + n_things).any(axis=0)
    thing = np.where(mapped < 0, everyone, mapped % max(n_things, 1))
    label: NDArray[np.int64] = thing.min(axis=0, initial=n_things)
    if not (label[thing] == label).all():
        # Operations found within a tolerance need not form a group: then orbits that touch are one.
        label = _components(thing, n_ops, n_things)
    symmetric = np.zeros(n_things, dtype=np.bool_)
    symmetric[label[own_reverse]] = True
    return label, symmetric[label]


def _components(thing: NDArray[np.int64], n_ops: int, n_things: int) -> NDArray[np.int64]:
    """Return the first member of the connected component of each thing."""
    # Loaded late: it is hardly ever needed.
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    links = (np.ones(n_ops * n_things, dtype=np.int8), (np.tile(np.arange(n_things), n_ops), thing.ravel()))
    _, component = connected_components(coo_array(links, shape=(n_things, n_things)), directed=False)
    _, first = np.unique(component, return_index=True)
    label: NDArray[np.int64] = first[component].astype(np.int64)
    return label


def enumerate_edges(
    frac: NDArray[np.float64], lattice: NDArray[np.float64], reach_ang: float
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """List all undirected pairs of points up to a distance.

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
    everyone = np.arange(len(frac))
    first, second = (everyone[:, None] <= everyone).nonzero()
    # Within one cell, however far from it the coordinates are given: else the box of images grows.
    cells = np.floor(frac)
    delta = (frac - cells)[second] - (frac - cells)[first]
    margin = reach_ang * sphere_margins(lattice)
    low = np.ceil(-margin - delta.max(axis=0)).astype(np.int64)
    high = np.floor(margin - delta.min(axis=0)).astype(np.int64)
    shifts = lattice_box(low, high)
    shifts_ang, delta_ang = shifts @ lattice, delta @ lattice
    step = max(1, CHUNK_ENTRIES // len(shifts))
    found = []
    for start in range(0, len(delta), step):
        vectors = delta_ang[start : start + step, None, :] + shifts_ang
        squared = np.einsum("psk,psk->ps", vectors, vectors)
        pair, cell = (squared <= reach_ang**2).nonzero()
        found.append((pair + start, cell, squared[pair, cell]))
    pair, cell, squared = (np.concatenate(parts) for parts in zip(*found, strict=True))
    # Shifts ascend, so those before the one in the middle, zero, are negative: one direction of each pair.
    zero = int(np.ravel_multi_index(-low, high - low + 1))
    keep = ((first[pair] != second[pair]) | (cell < zero)).nonzero()[0]
    pair = pair[keep]
    # Pairs ascend, and so do the shifts of each: the edges come out in ascending order.
    edges = np.empty((len(keep), 5), dtype=np.int64)
    edges[:, 0], edges[:, 1] = first[pair], second[pair]
    edges[:, 2:] = shifts[cell[keep]] + (cells[first[pair]] - cells[second[pair]]).astype(np.int64)
    return edges, np.sqrt(squared[keep])


def sphere_margins(lattice: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return how far a sphere of 1 Å reaches along each fractional coordinate.

    Parameters
    ----------
    lattice : ndarray of shape (3, 3)
        Lattice vectors as rows, in Å.

    Returns
    -------
    ndarray of shape (3,)
        The lengths of the reciprocal vectors, in 1/Å.
    """
    inverse = np.linalg.inv(lattice)
    margins: NDArray[np.float64] = np.sqrt(np.einsum("xa,xa->a", inverse, inverse))
    return margins


def lattice_box(low: NDArray[np.int64], high: NDArray[np.int64]) -> NDArray[np.int64]:
    """List all lattice vectors between two corners, both included, in ascending order.

    Parameters
    ----------
    low, high : ndarray of shape (3,)
        The corners.

    Returns
    -------
    ndarray of shape (S, 3), int64
        The vectors.
    """
    shape = np.maximum(high - low + 1, 0)
    return np.indices(shape, dtype=np.int64).reshape(3, -1).T + low


class DirectedTable:
    """Finds directed pairs by one integer made of their five.

    Parameters
    ----------
    edges : ndarray of shape (E, 5)
        Undirected pairs.
    operations : SiteOperations
        What may act on them.
    """

    def __init__(self, edges: NDArray[np.int64], operations: SiteOperations) -> None:
        self._operations = operations
        self._n = operations.permutation.shape[1]
        # No operation takes an image out of this box, so no two pairs that are looked up share a key.
        reach = np.abs(edges[:, 2:]).max(axis=0, initial=0)
        turned = (np.abs(operations.rotations) @ reach).max(axis=0)
        half = np.maximum(turned, reach) + 2 * np.abs(operations.shift).max(axis=(0, 1)) + 1
        self._half = half.astype(np.int64)
        width = 2 * self._half + 1
        self._weights = np.array([width[1] * width[2], width[2], 1], dtype=np.int64)
        self._cells = int(width.prod())
        self._size = self._n * self._n * self._cells
        reverse = np.concatenate([edges[:, 1::-1], -edges[:, 2:]], axis=1)
        keys = self._key(np.concatenate([edges, reverse]))
        self._dense: NDArray[np.int64] | None = None
        if self._size <= MAX_DENSE_KEYS:
            self._dense = np.full(self._size, -1, dtype=np.int64)
            self._dense[keys] = np.arange(len(keys))
        else:
            self._order = np.argsort(keys, kind="stable")
            self._sorted = keys[self._order]

    def find(self, edges: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return the directed pair that each row names; -1 where the table does not hold it.

        Parameters
        ----------
        edges : ndarray of shape (M, 5)
            Directed pairs.

        Returns
        -------
        ndarray of shape (M,), int64
            Their names.
        """
        inside = (np.abs(edges[:, 2:]) <= self._half).all(axis=1)
        return np.where(inside, self._find_keys(np.where(inside, self._key(edges), 0)), -1)

    def map_all(self, edges: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return the directed pair that each operation takes each pair of the table to.

        Parameters
        ----------
        edges : ndarray of shape (E, 5)
            The undirected pairs of the table.

        Returns
        -------
        ndarray of shape (K, E), int64
            Directed pairs; -1 for those that the table does not hold.
        """
        operations = self._operations
        i, j, image = edges[:, 0], edges[:, 1], edges[:, 2:]
        # A key is linear in the image, so operations act on keys without images being written out.
        turn = self._weights @ operations.rotations
        move = operations.shift @ self._weights
        start = operations.permutation * (self._n * self._cells) - move
        end = operations.permutation * self._cells + move + self._half @ self._weights
        mapped = np.empty((len(turn), len(edges)), dtype=np.int64)
        step = max(1, CHUNK_ENTRIES // max(len(edges), 1))
        for k in range(0, len(turn), step):
            some = slice(k, k + step)
            mapped[some] = self._find_keys(turn[some] @ image.T + start[some][:, i] + end[some][:, j])
        return mapped

    def _key(self, edges: NDArray[np.int64]) -> NDArray[np.int64]:
        """Pack directed pairs."""
        pair = edges[:, 0] * self._n + edges[:, 1]
        key: NDArray[np.int64] = pair * self._cells + (edges[:, 2:] + self._half) @ self._weights
        return key

    def _find_keys(self, keys: NDArray[np.int64]) -> NDArray[np.int64]:
        """Look packed pairs up."""
        if self._dense is not None:
            return self._dense[keys]
        if len(self._sorted) == 0:
            return np.full(keys.shape, -1, dtype=np.int64)
        where = np.minimum(np.searchsorted(self._sorted, keys), len(self._sorted) - 1)
        return np.where(self._sorted[where] == keys, self._order[where], -1)


def _groups(label: NDArray[np.int64]) -> dict[int, NDArray[np.int64]]:
    """Return the ascending rows that carry each label."""
    order = np.argsort(label, kind="stable")
    ordered = label[order]
    bounds = [0, *(np.flatnonzero(ordered[1:] != ordered[:-1]) + 1).tolist(), len(label)]
    # Slices beyond the end of no labels at all would be one empty group.
    pairs = pairwise(bounds) if len(label) else ()
    return {int(ordered[start]): order[start:end] for start, end in pairs}


def _to_primitive(edges: NDArray[np.int64], points: PointSymmetry) -> NDArray[np.int64]:
    """Return stored pairs as directed pairs of the primitive cell."""
    ends, offset = points.index[edges[:, :2]], points.offset[edges[:, :2]]
    image = edges[:, 2:] @ points.multiples + offset[:, 1] - offset[:, 0]
    return np.column_stack([ends, image])
