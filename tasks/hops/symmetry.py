"""Space-group operations as exact integer maps of (site, image) pairs, and the primitive cell."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import spglib
from scipy.spatial import cKDTree

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from pymatgen.core import Structure

DEFAULT_SYMPREC_ANG = 0.01
"""How far a site may lie from its ideal place and still count as symmetric."""

MATCH_SLACK = 4.0
"""Multiples of symprec within which an operation's image of a site must meet a site."""

WHOLE_NUMBER_TOLERANCE = 0.1
"""How far from whole numbers the relation of two lattices may be before it counts as none."""


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
class PrimitiveCell:
    """A primitive cell in the frame of the stored one.

    Parameters
    ----------
    lattice : ndarray of shape (3, 3)
        Its lattice vectors as rows, in Å.
    sites : ndarray of shape (n,)
        Stored site that stands for each of its sites.
    frac : ndarray of shape (n, 3)
        Their fractional coordinates in the primitive lattice.
    index_of_site : ndarray of shape (N,)
        Primitive site of each stored site.
    offset_of_site : ndarray of shape (N, 3), int64
        Primitive lattice vector from that primitive site to the stored site.
    stored_lattice : ndarray of shape (3, 3), int64
        Stored lattice vectors as rows, in primitive ones.
    """

    lattice: NDArray[np.float64]
    sites: NDArray[np.int64]
    frac: NDArray[np.float64]
    index_of_site: NDArray[np.int64]
    offset_of_site: NDArray[np.int64]
    stored_lattice: NDArray[np.int64]


def spglib_cell(
    structure: Structure,
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.int64]]:
    """Return lattice, fractional coordinates and atomic numbers as spglib takes them.

    Parameters
    ----------
    structure : Structure
        An ordered crystal.

    Returns
    -------
    tuple of ndarray
        Lattice rows in Å, fractional coordinates, atomic numbers.
    """
    return (
        np.asarray(structure.lattice.matrix, dtype=np.float64),
        np.asarray(structure.frac_coords, dtype=np.float64),
        np.asarray(structure.atomic_numbers, dtype=np.int64),
    )


def symmetry_dataset(structure: Structure, symprec: float) -> spglib.SpglibDataset | None:
    """Return spglib's data set, or None where it finds none.

    Parameters
    ----------
    structure : Structure
        An ordered crystal.
    symprec : float
        Distance tolerance in Å.

    Returns
    -------
    spglib.SpglibDataset or None
        The data set.
    """
    return _dataset(spglib_cell(structure), symprec)


def _dataset(
    cell: tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.int64]], symprec: float
) -> spglib.SpglibDataset | None:
    """Return spglib's data set of a cell, or None where it finds none."""
    try:
        with warnings.catch_warnings():
            # spglib announces coming changes of its error handling on every call.
            warnings.simplefilter("ignore")
            return spglib.get_symmetry_dataset(cell, symprec=symprec)
    except Exception:  # noqa: BLE001 - spglib's error classes differ between versions; none means P1
        return None


def primitive_cell(structure: Structure, symprec: float = DEFAULT_SYMPREC_ANG) -> PrimitiveCell:
    """Return a primitive cell in the stored orientation; the stored cell itself if symmetry fails.

    Parameters
    ----------
    structure : Structure
        An ordered crystal.
    symprec : float
        Distance tolerance in Å.

    Returns
    -------
    PrimitiveCell
        The cell and the map from stored sites to its sites.
    """
    lattice, frac, _ = spglib_cell(structure)
    dataset = symmetry_dataset(structure, symprec)
    everyone = np.arange(len(structure), dtype=np.int64)
    stored = PrimitiveCell(
        lattice=lattice,
        sites=everyone,
        frac=frac,
        index_of_site=everyone,
        offset_of_site=np.zeros((len(structure), 3), dtype=np.int64),
        stored_lattice=np.eye(3, dtype=np.int64),
    )
    if dataset is None:
        return stored
    _, sites, index = np.unique(dataset.mapping_to_primitive, return_index=True, return_inverse=True)
    primitive = np.asarray(dataset.primitive_lattice, dtype=np.float64)
    inverse = np.linalg.inv(primitive)
    in_primitive = (frac @ lattice) @ inverse
    multiples = lattice @ inverse
    offset = in_primitive - in_primitive[sites][index]
    # Both are whole numbers but for noise within symprec; if not, spglib's cell is not one of this crystal.
    worst = max(np.abs(multiples - np.rint(multiples)).max(), np.abs(offset - np.rint(offset)).max())
    if worst > WHOLE_NUMBER_TOLERANCE or len(sites) * round(abs(np.linalg.det(multiples))) != len(structure):
        return stored
    return PrimitiveCell(
        lattice=primitive,
        sites=sites.astype(np.int64),
        frac=in_primitive[sites],
        index_of_site=index.astype(np.int64),
        offset_of_site=np.rint(offset).astype(np.int64),
        stored_lattice=np.rint(multiples).astype(np.int64),
    )


def site_operations(
    cell: PrimitiveCell, numbers: NDArray[np.int64], sites: NDArray[np.int64], symprec: float
) -> SiteOperations:
    """Return the space group of a primitive cell as permutations and lattice shifts of some of its sites.

    Parameters
    ----------
    cell : PrimitiveCell
        The cell.
    numbers : ndarray of shape (n,)
        Atomic numbers of its sites.
    sites : ndarray of shape (m,)
        Sites to act on, as indices of the cell; indices in the result count within these.
    symprec : float
        Distance tolerance in Å.

    Returns
    -------
    SiteOperations
        The operations, the identity among them. Only the identity, with ``found`` false, when spglib fails or
        an operation does not map the sites one to one.
    """
    dataset = _dataset((cell.lattice, cell.frac, numbers), symprec)
    if dataset is not None:
        operations = _match(
            cell.lattice,
            cell.frac[sites],
            np.asarray(dataset.rotations, dtype=np.int64),
            np.asarray(dataset.translations, dtype=np.float64),
            MATCH_SLACK * symprec,
        )
        if operations is not None:
            return operations
    return SiteOperations(
        rotations=np.eye(3, dtype=np.int64)[None],
        permutation=np.arange(len(sites), dtype=np.int64)[None],
        shift=np.zeros((1, len(sites), 3), dtype=np.int64),
        found=False,
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
    landed = np.einsum("kab,nb->kna", rotations, frac) + translations[:, None, :]
    # A periodic tree in fractional space proposes the site; the Cartesian distance decides.
    tree = cKDTree(_wrapped(frac), boxsize=1.0)
    _, permutation = tree.query(_wrapped(landed.reshape(-1, 3)))
    permutation = np.asarray(permutation, dtype=np.int64).reshape(n_ops, n_sites)
    delta = landed - frac[permutation]
    shift = np.rint(delta).astype(np.int64)
    distance_ang = np.linalg.norm((delta - shift) @ lattice, axis=-1)
    one_to_one = (np.sort(permutation, axis=1) == np.arange(n_sites)).all()
    if (distance_ang > tolerance_ang).any() or not one_to_one:
        return None
    return SiteOperations(rotations, permutation, shift, found=True)


def _wrapped(frac: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return coordinates in [0, 1): the remainder of a tiny negative number rounds to 1 itself."""
    inside: NDArray[np.float64] = frac % 1.0
    inside[inside >= 1.0] = 0.0
    return inside
