"""What spglib says of a crystal, and its primitive cell in the frame of the stored one."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import spglib

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from pymatgen.core import Structure

    CellArrays = tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.int64]]

DEFAULT_SYMPREC_ANG = 0.01
"""How far a site may lie from its ideal place and still count as symmetric."""

WHOLE_NUMBER_TOLERANCE = 0.1
"""How far from whole numbers the relation of two lattices may be before it counts as none."""


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
    is_stored : bool
        Whether it is the stored cell itself.
    """

    lattice: NDArray[np.float64]
    sites: NDArray[np.int64]
    frac: NDArray[np.float64]
    index_of_site: NDArray[np.int64]
    offset_of_site: NDArray[np.int64]
    stored_lattice: NDArray[np.int64]
    is_stored: bool


def spglib_cell(structure: Structure) -> CellArrays:
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
    return dataset_of(spglib_cell(structure), symprec)


def dataset_of(cell: CellArrays, symprec: float) -> spglib.SpglibDataset | None:
    """Return spglib's data set of a cell, or None where it finds none.

    Parameters
    ----------
    cell : tuple of ndarray
        As of `spglib_cell`.
    symprec : float
        Distance tolerance in Å.

    Returns
    -------
    spglib.SpglibDataset or None
        The data set.
    """
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
    lattice, frac, numbers = spglib_cell(structure)
    return primitive_of(lattice, frac, dataset_of((lattice, frac, numbers), symprec))


def primitive_of(
    lattice: NDArray[np.float64], frac: NDArray[np.float64], dataset: spglib.SpglibDataset | None
) -> PrimitiveCell:
    """Return the primitive cell that a data set speaks of; the stored one where it is primitive itself.

    Parameters
    ----------
    lattice : ndarray of shape (3, 3)
        Stored lattice vectors as rows, in Å.
    frac : ndarray of shape (N, 3)
        Fractional coordinates of the stored sites.
    dataset : spglib.SpglibDataset or None
        What spglib found; None stands for no symmetry.

    Returns
    -------
    PrimitiveCell
        The cell.
    """
    everyone, index, offset = identity_map(len(frac))
    stored = PrimitiveCell(
        lattice=lattice,
        sites=everyone,
        frac=frac,
        index_of_site=index,
        offset_of_site=offset,
        stored_lattice=np.eye(3, dtype=np.int64),
        is_stored=True,
    )
    if dataset is None:
        return stored
    if np.bincount(dataset.mapping_to_primitive).max() == 1:
        return stored
    _, sites, index = np.unique(dataset.mapping_to_primitive, return_index=True, return_inverse=True)
    primitive = np.asarray(dataset.primitive_lattice, dtype=np.float64)
    inverse = np.linalg.inv(primitive)
    in_primitive = (frac @ lattice) @ inverse
    multiples = lattice @ inverse
    offset_float = in_primitive - in_primitive[sites][index]
    # Both are whole numbers but for noise within symprec; if not, spglib's cell is not one of this crystal.
    worst = max(
        np.abs(multiples - np.rint(multiples)).max(), np.abs(offset_float - np.rint(offset_float)).max()
    )
    if worst > WHOLE_NUMBER_TOLERANCE or len(sites) * round(abs(np.linalg.det(multiples))) != len(frac):
        return stored
    return PrimitiveCell(
        lattice=primitive,
        sites=sites.astype(np.int64),
        frac=in_primitive[sites],
        index_of_site=index.astype(np.int64),
        offset_of_site=np.rint(offset_float).astype(np.int64),
        stored_lattice=np.rint(multiples).astype(np.int64),
        is_stored=False,
    )


def identity_map(n_points: int) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """Return the map of points to themselves.

    Parameters
    ----------
    n_points : int
        How many there are.

    Returns
    -------
    tuple of ndarray
        Their indices as standing for others, as belonging to others, and no offsets, of shape (n_points, 3).
    """
    everyone = np.arange(n_points, dtype=np.int64)
    return everyone, everyone, np.zeros((n_points, 3), dtype=np.int64)
