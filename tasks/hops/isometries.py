"""The space group of a primitive cell by direct search: a quick way to what spglib finds with more besides.

Spglib names the space group, refines the cell and finds the Wyckoff letters too, which takes several times as
long as all else that the hop network needs. Here the operations alone are looked for, with spglib's own
criteria; wherever they do not form a group, or the cell is not primitive, the answer is left to spglib.
"""

from __future__ import annotations

import warnings
from itertools import product
from typing import TYPE_CHECKING

import numpy as np
import spglib

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from tasks.hops.symmetry import CellArrays

Operations = tuple["NDArray[np.int64]", "NDArray[np.float64]"]

STEPS: NDArray[np.float64] = np.array(
    [step for step in product((-1.0, 0.0, 1.0), repeat=3) if any(step)], dtype=np.float64
)
"""Lattice vectors that a vector of a reduced cell may be taken to.

Grosse-Kunstleve, Sauter and Adams, Acta Cryst. A60, 1 (2004), doi:10.1107/S010876730302186X.
"""

PRODUCT_WEIGHTS: NDArray[np.float64] = np.power(7.0, np.arange(9.0), dtype=np.float64).reshape(3, 3)
"""Packs products of matrices of -1, 0 and 1, whose entries lie between -3 and 3, into one number each."""

MAX_DISTANCES = 500_000
"""Distances that are compared at once at most; spglib does not take longer beyond."""

MANY_DISTANCES = 10_000
FEW_SITES = 2


def direct_operations(cell: CellArrays, symprec: float) -> Operations | None:
    """Find the space-group operations of a primitive cell.

    Parameters
    ----------
    cell : tuple of ndarray
        Lattice rows in Å, fractional coordinates, atomic numbers.
    symprec : float
        Distance tolerance in Å.

    Returns
    -------
    tuple of ndarray, or None
        Rotations of shape (K, 3, 3), acting on columns of fractional coordinates, and translations of shape
        (K, 3). None where the cell is not primitive or large, and where what was found is no group: ask
        spglib.
    """
    lattice, frac, numbers = cell
    elements, counts = np.unique(numbers, return_counts=True)
    reduced = _reduced(lattice, symprec)
    if reduced is None:
        return None
    # Rows of the reduced lattice are whole combinations of the stored ones.
    basis = np.rint(reduced @ np.linalg.inv(lattice))
    inverse = np.linalg.inv(basis)
    reduced = basis @ lattice
    positions = frac @ inverse
    groups = [positions[numbers == element] for element in elements[np.argsort(counts, kind="stable")]]
    # With one atom of an element no translation maps the cell onto itself; else that is soon found out.
    if len(groups[0]) > 1 and _may_repeat(reduced, groups, symprec):
        return None
    rotations = _lattice_rotations(reduced, symprec)
    found = _translations(reduced, groups, rotations, symprec)
    if found is None:
        return None
    which, translations = found
    rotations = rotations[which]
    if not _is_group(rotations):
        return None
    # In rows x = y B, so in columns x = B^T y, and an operation on y is B^T W B^-T on x.
    turned = np.rint(basis.T @ rotations @ inverse.T).astype(np.int64)
    return turned, translations @ basis


def _reduced(lattice: NDArray[np.float64], symprec: float) -> NDArray[np.float64] | None:
    """Return Niggli's reduced cell, or None where spglib finds none."""
    try:
        with warnings.catch_warnings():
            # spglib announces coming changes of its error handling on every call.
            warnings.simplefilter("ignore")
            reduced = spglib.niggli_reduce(lattice, eps=symprec * symprec)
    except Exception:  # noqa: BLE001 - spglib's error classes differ between versions; none means to ask it
        return None
    return None if reduced is None else np.asarray(reduced, dtype=np.float64)


def _lattice_rotations(lattice: NDArray[np.float64], symprec: float) -> NDArray[np.float64]:
    """Return the rotations of a reduced lattice, by spglib's criteria for lengths and angles."""
    vectors = STEPS @ lattice
    lengths = np.sqrt(np.einsum("vx,vx->v", vectors, vectors))
    own = np.sqrt(np.einsum("ax,ax->a", lattice, lattice))
    images = [(np.abs(lengths - length) <= symprec).nonzero()[0] for length in own]
    products, own_products = vectors @ vectors.T, lattice @ lattice.T

    def fit(a: int, b: int) -> NDArray[np.bool_]:
        """Say which images of two vectors make the same angle, within symprec at their ends."""
        norms = lengths[images[a], None] * lengths[images[b]]
        cosine = np.clip(products[np.ix_(images[a], images[b])] / norms, -1.0, 1.0)
        own_norm = own[a] * own[b]
        own_cosine = min(max(own_products[a, b] / own_norm, -1.0), 1.0)
        sine = np.sqrt(1.0 - cosine**2) * own_cosine - cosine * np.sqrt(1.0 - own_cosine**2)
        ends: NDArray[np.bool_] = sine**2 * (norms + own_norm) / 2.0 <= symprec**2
        return ends

    together = fit(0, 1)[:, :, None] & fit(0, 2)[:, None, :] & fit(1, 2)[None]
    first, second, third = (image[k] for image, k in zip(images, together.nonzero(), strict=True))
    # What the three vectors are taken to stands in rows; coordinates in columns go by the transpose.
    rotations: NDArray[np.float64] = STEPS[np.stack([first, second, third], axis=1)].transpose(0, 2, 1)
    return rotations


def _may_repeat(lattice: NDArray[np.float64], groups: list[NDArray[np.float64]], symprec: float) -> bool:
    """Say whether a translation takes a few sites of each element to sites of the same."""
    translations = groups[0][1:] - groups[0][0]
    for group in groups:
        kept = _land(lattice, group[:FEW_SITES] + translations[:, None], group, symprec)
        translations = translations[kept]
        if len(translations) == 0:
            return False
    return True


def _land(
    lattice: NDArray[np.float64], landed: NDArray[np.float64], group: NDArray[np.float64], symprec: float
) -> NDArray[np.bool_]:
    """Say of each row of points whether all of them lie on sites of a group."""
    delta = landed[:, :, None] - group
    delta -= np.rint(delta)
    off = delta @ lattice
    squared = np.einsum("cabx,cabx->cab", off, off)
    result: NDArray[np.bool_] = (squared.min(axis=2) <= symprec**2).all(axis=1)
    return result


def _translations(
    lattice: NDArray[np.float64],
    groups: list[NDArray[np.float64]],
    rotations: NDArray[np.float64],
    symprec: float,
) -> tuple[NDArray[np.int64], NDArray[np.float64]] | None:
    """Find the translation that goes with each rotation which has one; None if one has several."""
    rarest = groups[0]
    which = np.repeat(np.arange(len(rotations)), len(rarest))
    turned = rotations @ rarest[0]
    translations = (rarest[None] - turned[:, None]).reshape(-1, 3)
    for group in groups:
        # Where much is to be compared, a few sites rule out most candidates first.
        few = [group[:FEW_SITES]] if len(which) * len(group) ** 2 > MANY_DISTANCES else []
        for some in [*few, group]:
            if len(which) * len(some) * len(group) > MAX_DISTANCES:
                return None
            landed = some @ rotations[which].transpose(0, 2, 1) + translations[:, None]
            kept = _land(lattice, landed, group, symprec)
            which, translations = which[kept], translations[kept]
    if len(np.unique(which)) != len(which):
        return None
    return which, translations


def _is_group(rotations: NDArray[np.float64]) -> bool:
    """Say whether the rotations hold all their products; finitely many invertible ones are a group then."""
    keys = np.sort(np.einsum("kab,ab->k", rotations, PRODUCT_WEIGHTS))
    # Packing is linear, so the packed product of two matrices is a scalar product of nine numbers.
    right = np.einsum("lcb,ab->acl", rotations, PRODUCT_WEIGHTS).reshape(9, -1)
    products = rotations.reshape(-1, 9) @ right
    where = np.minimum(np.searchsorted(keys, products), len(keys) - 1)
    return len(keys) > 0 and bool((keys[where] == products).all())
