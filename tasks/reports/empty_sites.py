"""Where the empty sites of a stored hop network lie: what the hops' ends say, completed by symmetry."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from tasks.hops.symmetry import DEFAULT_SYMPREC_ANG, symmetry_dataset

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray
    from pymatgen.core import Structure

Record = dict[str, Any]

LENGTH_TOLERANCE_ANG = 0.05
"""How far the length of a hop may be from its orbit's and the site still be the right one."""

SHIFTS = np.stack(np.meshgrid(*[[-1, 0, 1]] * 3, indexing="ij"), axis=-1).reshape(-1, 3)


def empty_site_positions(structure: Structure, hops: Sequence[Record]) -> dict[int, list[float] | None]:
    """Return the fractional coordinates of the network's sites that hold no atom.

    Of each distinct hop the ends are stored, of its equivalents only the indices. An empty site that is no
    end of a distinct hop lies on an image of one that is, where its hops are as long as they should be.

    Parameters
    ----------
    structure : Structure
        The crystal; sites from its number of atoms on hold none.
    hops : sequence of dict
        Rows of hops, each with ``orbit``, ``distance_ang``, ``frac_i`` and ``frac_j``.

    Returns
    -------
    dict of int to list of float or None
        By site, in the stored cell; None for one that could not be placed.
    """
    edges: dict[int, list[tuple[int, NDArray[np.float64], float]]] = {}
    for hop in hops:
        for i, j, *image in hop["orbit"]:
            shift = np.array(image, dtype=np.float64)
            edges.setdefault(i, []).append((j, shift, hop["distance_ang"]))
            edges.setdefault(j, []).append((i, -shift, hop["distance_ang"]))
    empty = sorted(site for site in edges if site >= len(structure))
    if not empty:
        return {}
    known = {k: np.asarray(site.frac_coords, dtype=np.float64) for k, site in enumerate(structure)}
    for hop in hops:
        for end, frac, image in (
            (hop["i"], hop["frac_i"], [0, 0, 0]),
            (hop["j"], hop["frac_j"], [hop["ox"], hop["oy"], hop["oz"]]),
        ):
            if end in empty and frac is not None:
                known[end] = np.subtract(frac, image)
    candidates = _images(structure, [known[site] for site in empty if site in known])
    lattice = np.asarray(structure.lattice.matrix, dtype=np.float64)
    placed = True
    while placed:
        placed = False
        for site in empty:
            place = None if site in known else _fitting(site, edges[site], known, candidates, lattice)
            if place is not None:
                known[site], placed = place, True
    return {site: known[site].tolist() if site in known else None for site in empty}


def _images(structure: Structure, places: Sequence[NDArray[np.float64]]) -> NDArray[np.float64]:
    """Return the places that the space group takes some places to, in the home cell and those around it."""
    dataset = symmetry_dataset(structure, DEFAULT_SYMPREC_ANG)
    if dataset is None or not places:
        return np.empty((0, 3))
    landed = np.einsum("kab,nb->kna", dataset.rotations, np.array(places)) + dataset.translations[:, None]
    inside = landed.reshape(-1, 3) % 1.0
    kept: list[NDArray[np.float64]] = []
    for place in inside:
        if all(np.abs(place - other - np.rint(place - other)).max() > 1e-3 for other in kept):  # noqa: PLR2004
            kept.append(place)
    everywhere: NDArray[np.float64] = (np.array(kept)[:, None] + SHIFTS).reshape(-1, 3)
    return everywhere


def _fitting(
    site: int,
    edges: Sequence[tuple[int, NDArray[np.float64], float]],
    known: dict[int, NDArray[np.float64]],
    candidates: NDArray[np.float64],
    lattice: NDArray[np.float64],
) -> NDArray[np.float64] | None:
    """Return the first free place where all hops to known sites are as long as they should be."""
    fits = np.ones(len(candidates), dtype=np.bool_)
    told = [(known[other] + shift, length_ang) for other, shift, length_ang in edges if other in known]
    for there, length_ang in told:
        found_ang = np.linalg.norm((candidates - there) @ lattice, axis=1)
        fits &= np.abs(found_ang - length_ang) < LENGTH_TOLERANCE_ANG
    for other, taken in known.items():
        apart = candidates - taken
        if other != site:
            fits &= np.linalg.norm((apart - np.rint(apart)) @ lattice, axis=1) > LENGTH_TOLERANCE_ANG
    if not told or not fits.any():
        return None
    place: NDArray[np.float64] = candidates[np.argmax(fits)]
    return place
