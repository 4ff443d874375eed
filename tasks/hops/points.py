"""Points of a crystal, and the space group as exact integer maps of (point, image) pairs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from tasks.hops.isometries import direct_operations
from tasks.hops.symmetry import dataset_of, identity_map, primitive_of

if TYPE_CHECKING:
    import spglib
    from numpy.typing import NDArray

    from tasks.hops.isometries import Operations
    from tasks.hops.symmetry import CellArrays, PrimitiveCell

MATCH_SLACK = 4.0
"""Multiples of symprec within which an operation's image of a site must meet a site."""

MAX_DENSE_DISTANCES = 20_000
"""Pairs of points up to which comparing all with all is quicker than a tree."""


@dataclass(frozen=True)
class SiteOperations:
    """Space-group operations acting on sites and images of a cell.

    An operation k takes site s in image R to site ``permutation[k, s]`` in image
    ``rotations[k] @ R + shift[k, s]``: integers throughout.

    Parameters
    ----------
    rotations : ndarray of shape (K, 3, 3), int64
        Rotation parts, acting on column vectors of fractional coordinates.
    permutation : ndarray of shape (K, N), int64
        Site that each site is taken to.
    shift : ndarray of shape (K, N, 3), int64
        Lattice vector that comes with it.
    found : bool
        False when the symmetry could not be found and only the identity is used (P1).
    """

    rotations: NDArray[np.int64]
    permutation: NDArray[np.int64]
    shift: NDArray[np.int64]
    found: bool


@dataclass(frozen=True)
class PointSymmetry:
    """Points of a crystal, stored and in a primitive cell, and how the space group moves them.

    Parameters
    ----------
    stored_lattice : ndarray of shape (3, 3)
        Stored lattice vectors as rows, in Å.
    stored_frac : ndarray of shape (N, 3)
        The points in the stored cell.
    lattice : ndarray of shape (3, 3)
        Primitive lattice vectors as rows, in Å.
    frac : ndarray of shape (n, 3)
        The points in the primitive cell.
    index : ndarray of shape (N,), int64
        Primitive point of each stored one.
    offset : ndarray of shape (N, 3), int64
        Primitive lattice vector from that primitive point to the stored one.
    multiples : ndarray of shape (3, 3), int64
        Stored lattice vectors as rows, in primitive ones.
    operations : SiteOperations
        The space group acting on the primitive points.
    is_stored : bool
        Whether the primitive cell is the stored cell itself.
    """

    stored_lattice: NDArray[np.float64]
    stored_frac: NDArray[np.float64]
    lattice: NDArray[np.float64]
    frac: NDArray[np.float64]
    index: NDArray[np.int64]
    offset: NDArray[np.int64]
    multiples: NDArray[np.int64]
    operations: SiteOperations
    is_stored: bool


def point_symmetry(
    cell: CellArrays,
    atoms: NDArray[np.int64],
    empty_frac: NDArray[np.float64],
    symprec: float,
) -> PointSymmetry:
    """Return the space group of a crystal as permutations and lattice shifts of some points in it.

    The operations are those of the primitive cell, of which a supercell may break some. Spglib is asked only
    where the stored cell is not primitive, or where a direct search does not tell.

    Parameters
    ----------
    cell : tuple of ndarray
        Lattice, fractional coordinates and atomic numbers, as of `spglib_cell`.
    atoms : ndarray of shape (a,)
        The atoms among the points.
    empty_frac : ndarray of shape (e, 3)
        Fractional coordinates of further points, which hold no atom; they come after the atoms.
    symprec : float
        Distance tolerance in Å.

    Returns
    -------
    PointSymmetry
        The points in a primitive cell, and the operations on them: only the identity of the stored cell, with
        ``found`` false, when none is found or an operation does not map the points one to one.
    """
    lattice, frac, numbers = cell
    points = np.vstack([frac[atoms], empty_frac]) if len(empty_frac) else frac[atoms]
    placed: tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]] | None
    found = direct_operations(cell, symprec)
    if found is not None:
        primitive, placed = primitive_of(lattice, frac, None), identity_map(len(points))
    else:
        dataset = dataset_of(cell, symprec)
        primitive = primitive_of(lattice, frac, dataset)
        placed = _place(primitive, lattice, atoms, empty_frac, MATCH_SLACK * symprec)
        found = _operations(primitive, numbers, dataset, symprec)
    if found is None or placed is None:
        return _without_symmetry(lattice, points)
    first, index, offset = placed
    in_primitive = points if primitive.is_stored else points @ lattice @ np.linalg.inv(primitive.lattice)
    operations = _match(primitive.lattice, in_primitive[first], *found, MATCH_SLACK * symprec)
    if operations is None:
        return _without_symmetry(lattice, points)
    return PointSymmetry(
        stored_lattice=lattice,
        stored_frac=points,
        lattice=primitive.lattice,
        frac=in_primitive[first],
        index=index,
        offset=offset,
        multiples=primitive.stored_lattice,
        operations=operations,
        is_stored=primitive.is_stored,
    )


def _operations(
    primitive: PrimitiveCell, numbers: NDArray[np.int64], dataset: spglib.SpglibDataset | None, symprec: float
) -> Operations | None:
    """Return the space group of a primitive cell, given what spglib says of the stored one; None if none."""
    if dataset is None:
        return None
    if not primitive.is_stored:
        cell = (primitive.lattice, primitive.frac, numbers[primitive.sites])
        found = direct_operations(cell, symprec)
        if found is not None:
            return found
        dataset = dataset_of(cell, symprec)
        if dataset is None:
            return None
    return np.asarray(dataset.rotations, dtype=np.int64), np.asarray(dataset.translations, dtype=np.float64)


def _place(
    primitive: PrimitiveCell,
    lattice: NDArray[np.float64],
    atoms: NDArray[np.int64],
    empty_frac: NDArray[np.float64],
    tolerance_ang: float,
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]] | None:
    """Find the points of the primitive cell; None unless all its translations keep the empty points.

    Returned are the stored point that stands for each, and for each stored point its class and offset.
    """
    _, first, index = np.unique(primitive.index_of_site[atoms], return_index=True, return_inverse=True)
    offset = primitive.offset_of_site[atoms] - primitive.offset_of_site[atoms][first][index]
    if not len(empty_frac):
        return first, index, offset
    frac = empty_frac @ lattice @ np.linalg.inv(primitive.lattice)
    delta = frac[:, None] - frac[None]
    shift = np.rint(delta)
    same = np.linalg.norm((delta - shift) @ primitive.lattice, axis=-1) <= tolerance_ang
    stands = same.argmax(axis=1)
    multiple = round(abs(float(np.linalg.det(primitive.stored_lattice))))
    empty_first, empty_index, counts = np.unique(stands, return_inverse=True, return_counts=True)
    if (counts != multiple).any():
        return None
    empty_offset = shift[np.arange(len(frac)), stands].astype(np.int64)
    return (
        np.concatenate([first, len(atoms) + empty_first]),
        np.concatenate([index, len(first) + empty_index]),
        np.concatenate([offset, empty_offset]),
    )


def _without_symmetry(lattice: NDArray[np.float64], points: NDArray[np.float64]) -> PointSymmetry:
    """Return the stored cell's points with nothing but the identity."""
    _, index, offset = identity_map(len(points))
    return PointSymmetry(
        stored_lattice=lattice,
        stored_frac=points,
        lattice=lattice,
        frac=points,
        index=index,
        offset=offset,
        multiples=np.eye(3, dtype=np.int64),
        operations=SiteOperations(
            rotations=np.eye(3, dtype=np.int64)[None],
            permutation=index[None],
            shift=offset[None],
            found=False,
        ),
        is_stored=True,
    )


def _match(
    lattice: NDArray[np.float64],
    frac: NDArray[np.float64],
    rotations: NDArray[np.int64],
    translations: NDArray[np.float64],
    tolerance_ang: float,
) -> SiteOperations | None:
    """Find, for each operation, the site that each site lands on; None unless all land one to one."""
    n_ops, n_sites = len(rotations), len(frac)
    landed = frac @ rotations.transpose(0, 2, 1).astype(np.float64) + translations[:, None, :]
    permutation = _nearest(landed.reshape(-1, 3), frac).reshape(n_ops, n_sites)
    delta = landed - frac[permutation]
    shift = np.rint(delta).astype(np.int64)
    off = (delta - shift) @ lattice
    one_to_one = (np.sort(permutation, axis=1) == np.arange(n_sites)).all()
    if np.einsum("knx,knx->kn", off, off).max(initial=0.0) > tolerance_ang**2 or not one_to_one:
        return None
    return SiteOperations(rotations, permutation, shift, found=True)


def _nearest(landed: NDArray[np.float64], frac: NDArray[np.float64]) -> NDArray[np.int64]:
    """Propose a site for each point, by fractional coordinates; a Cartesian distance is to decide."""
    if len(landed) * len(frac) <= MAX_DENSE_DISTANCES:
        delta = landed[:, None] - frac[None]
        delta -= np.rint(delta)
        nearest: NDArray[np.int64] = np.einsum("abx,abx->ab", delta, delta).argmin(axis=1)
        return nearest
    # Loaded late: few crystals have so many sites, and loading takes a while.
    from scipy.spatial import cKDTree

    _, found = cKDTree(_wrapped(frac), boxsize=1.0).query(_wrapped(landed))
    return np.asarray(found, dtype=np.int64)


def _wrapped(frac: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return coordinates in [0, 1): the remainder of a tiny negative number rounds to 1 itself."""
    inside: NDArray[np.float64] = frac % 1.0
    inside[inside >= 1.0] = 0.0
    return inside
