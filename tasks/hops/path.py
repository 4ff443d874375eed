"""The path of a hop and what surrounds it: a finite cluster cut out of the infinite crystal."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy.spatial.distance import cdist

from tasks.hops.errors import InvalidHopError
from tasks.hops.sites import working_ion_sites

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from pymatgen.core import Structure

    from tasks.hops.relaxed_path import RelaxedPath
    from tasks.hops.sites import Charges

STAGE_VERSION = 2
"""Raised whenever the same structure gives other results: it is part of the keys that results stand under."""

DEFAULT_RADIUS_ANG = 8.0
"""Reach of the cluster around each path point: beyond the second anion shell of every ion on the path."""

DEFAULT_N_POINTS = 21
"""Points of a path, ends included: odd, so that one lies in the middle."""

EDGE_TOLERANCE_ANG = 1e-6
"""Atoms this little beyond the radius still count, so that rounding cannot split a symmetric shell."""


@dataclass(frozen=True)
class HopEnvironment:
    """Everything that descriptors may look at: a finite cluster around the path, and no lattice.

    Parameters
    ----------
    working_ion : str
        Element symbol of the ion that moves.
    path_ang : ndarray of shape (P, 3), float64
        Cartesian positions of the moving ion in Å from site i to site j, about evenly spaced. The first and
        the last are the crystal sites themselves, also where a relaxed path starts a little off them.
    coords_ang : ndarray of shape (M, 3), float64
        Host atoms within ``radius_ang`` of any path point, in the same frame. Periodic images are included,
        the two end sites of this hop (one image each) are not, and nothing else is left out; of a stripped
        host all working ions are.
    numbers : ndarray of shape (M,), int64
        Atomic numbers of the host atoms.
    charges : ndarray of shape (M,), float64
        Oxidation states of the host atoms, cations positive; NaN where unknown.
    radius_ang : float
        Reach of the cluster in Å.
    composition : dict of str to float
        Count of each element in the full structure's cell, both end ions present. In a stripped host one ion
        is shared by infinitely many cells, so that it counts as 0.
    volume_ang3 : float
        Volume of that cell in Å³.
    n_sites : int
        Sites in that cell that hold an atom.
    host_working_ion_fraction : float
        Working ions left in the host over those of the full structure. It is 1 for a hop of an infinite
        crystal, where two ions out of infinitely many are gone, whichever cell was stored; labelled data
        whose host was stripped of its other working ions say how many are left.
    working_ion_charge : float
        Oxidation state of the moving ion, the mean of its two end sites; NaN where unknown.
    relaxed : RelaxedPath or None
        What the path was taken from; None for the straight line.
    """

    working_ion: str
    path_ang: NDArray[np.float64]
    coords_ang: NDArray[np.float64]
    numbers: NDArray[np.int64]
    charges: NDArray[np.float64]
    radius_ang: float
    composition: dict[str, float]
    volume_ang3: float
    n_sites: int
    host_working_ion_fraction: float
    working_ion_charge: float
    relaxed: RelaxedPath | None = None


def straight_path(
    start_ang: NDArray[np.float64], end_ang: NDArray[np.float64], n_points: int
) -> NDArray[np.float64]:
    """Return evenly spaced points from start to end, both included.

    Parameters
    ----------
    start_ang, end_ang : ndarray of shape (3,)
        Cartesian ends in Å.
    n_points : int
        Points, at least 2.

    Returns
    -------
    ndarray of shape (n_points, 3)
        The points in Å.
    """
    share = np.linspace(0.0, 1.0, n_points)[:, None]
    # The two-term form hits both ends exactly, and reversing the hop reverses the points exactly.
    return (1.0 - share) * start_ang + share * end_ang


def hop_environment(
    structure: Structure,
    charges: Charges,
    i: int,
    j: int,
    image: tuple[int, int, int],
    *,
    working_ion: str,
    radius_ang: float = DEFAULT_RADIUS_ANG,
    n_points: int = DEFAULT_N_POINTS,
    host_working_ion_fraction: float = 1.0,
    also_vacant: tuple[int, int, int, int] | None = None,
    empty_sites_frac: NDArray[np.float64] | None = None,
    relaxed: RelaxedPath | None = None,
    stripped: bool = False,
) -> HopEnvironment:
    """Cut the cluster around the path from site i to site j in an image of the cell.

    Parameters
    ----------
    structure : Structure
        The full crystal, both end sites filled, with whole occupancies.
    charges : Charges
        Oxidation states of its sites.
    i, j : int
        Indices of the end sites over all stored sites, and then over the empty ones.
    image : tuple of int
        Cell in which site j lies, in lattice vectors of the stored cell.
    working_ion : str
        Element symbol of the ion that moves.
    radius_ang : float
        Reach of the cluster around each path point, in Å.
    n_points : int
        Points of the path, ends included.
    host_working_ion_fraction : float
        See `HopEnvironment`; 1 unless the host was stripped of other working ions.
    also_vacant : tuple of int or None
        A further site (k, kx, ky, kz) that is vacant, as in a divacancy hop.
    empty_sites_frac : ndarray of shape (E, 3) or None
        Further sites that hold no atom, in fractional coordinates; their indices follow the stored sites'.
    relaxed : RelaxedPath or None
        The relaxed path of this hop, in the frame of the structure; None for the straight line.
    stripped : bool
        Whether the moving ion is the only one: all others of its kind are off the host, as when charged.

    Returns
    -------
    HopEnvironment
        The path and its surroundings.

    Raises
    ------
    InvalidHopError
        If an index is out of range, a site holds another element, the two ends coincide, or fewer than two
        points are asked for.
    """
    empty = np.empty((0, 3)) if empty_sites_frac is None else np.asarray(empty_sites_frac, dtype=np.float64)
    named = (i, j) if also_vacant is None else (i, j, also_vacant[0])
    _check(structure, charges, named, len(empty), working_ion)
    _check_ends(i, j, image, n_points)
    atoms = np.asarray(structure.frac_coords, dtype=np.float64)
    frac = np.vstack([atoms, empty])
    lattice = np.asarray(structure.lattice.matrix, dtype=np.float64)
    ends = np.array([frac[i], frac[j] + np.asarray(image)]) @ lattice
    if relaxed is None:
        path = straight_path(ends[0], ends[1], n_points)
    else:
        path = np.vstack([ends[:1], relaxed.positions_ang[1:-1], ends[1:]])
    sites, shifts = images_in_box(
        atoms, lattice, path @ np.linalg.inv(lattice), radius_ang + EDGE_TOLERANCE_ANG
    )
    vacant = [(i, 0, 0, 0), (j, *image), *([] if also_vacant is None else [also_vacant])]
    is_vacant = np.zeros(len(sites), dtype=bool)
    for site, *cell in vacant:
        is_vacant |= (sites == site) & (shifts == cell).all(axis=1)
    amounts = {symbol: float(count) for symbol, count in structure.composition.get_el_amt_dict().items()}
    if stripped:
        is_vacant |= np.isin(sites, working_ion_sites(structure, working_ion))
        amounts[working_ion] = 0.0
    sites, shifts = sites[~is_vacant], shifts[~is_vacant]
    coords = (atoms[sites] + shifts) @ lattice
    near = cdist(coords, path).min(axis=1, initial=np.inf) <= radius_ang + EDGE_TOLERANCE_ANG
    sites = sites[near]
    site_charges = np.array([np.nan if q is None else q for q in charges.values], dtype=np.float64)
    return HopEnvironment(
        working_ion=working_ion,
        path_ang=path,
        coords_ang=np.ascontiguousarray(coords[near]),
        numbers=np.asarray(structure.atomic_numbers, dtype=np.int64)[sites],
        charges=site_charges[sites],
        radius_ang=radius_ang,
        composition=amounts,
        volume_ang3=float(structure.volume),
        n_sites=round(sum(amounts.values())),
        host_working_ion_fraction=0.0 if stripped else host_working_ion_fraction,
        working_ion_charge=_ion_charge(structure, site_charges, (i, j), working_ion),
        relaxed=relaxed,
    )


def _ion_charge(
    structure: Structure, site_charges: NDArray[np.float64], ends: tuple[int, int], working_ion: str
) -> float:
    """Return the mean charge of the end sites that hold an ion, or of all working ions where neither does."""
    filled = [site for site in ends if site < len(structure)]
    if not filled:
        filled = [k for k, site in enumerate(structure) if site.specie.symbol == working_ion]
    return float(site_charges[filled].mean())


def images_in_box(
    frac: NDArray[np.float64], lattice: NDArray[np.float64], ends_frac: NDArray[np.float64], reach_ang: float
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return every atom in the box, in fractional coordinates, that encloses a path and a reach around it.

    Parameters
    ----------
    frac : ndarray of shape (N, 3)
        Fractional coordinates of the sites.
    lattice : ndarray of shape (3, 3)
        Lattice vectors as rows, in Å.
    ends_frac : ndarray of shape (P, 3)
        Fractional points of the path; the ends of a straight one are enough.
    reach_ang : float
        Distance from the path that the box must hold, in Å.

    Returns
    -------
    tuple of ndarray
        Sites of shape (M,) and the lattice shifts of shape (M, 3) that they come with.
    """
    # A sphere of radius r spans r * |reciprocal vector| on either side in each fractional coordinate.
    margin = reach_ang * np.linalg.norm(np.linalg.inv(lattice), axis=0)
    low, high = ends_frac.min(axis=0) - margin, ends_frac.max(axis=0) + margin
    first = np.ceil(low - frac.max(axis=0)).astype(np.int64)
    last = np.floor(high - frac.min(axis=0)).astype(np.int64)
    grid = np.meshgrid(*(np.arange(a, b + 1) for a, b in zip(first, last, strict=True)), indexing="ij")
    shifts = np.stack(grid, axis=-1).reshape(-1, 3)
    where = frac[None, :, :] + shifts[:, None, :]
    cell, site = np.nonzero(((where >= low) & (where <= high)).all(axis=2))
    return site, shifts[cell]


def _check(
    structure: Structure, charges: Charges, indices: tuple[int, ...], n_empty: int, working_ion: str
) -> None:
    """Refuse sites that the structure does not have."""
    n_sites = len(structure)
    if len(charges.values) != n_sites:
        raise InvalidHopError(
            f"{len(charges.values)} charges for {n_sites} sites: give one a site, None if unknown."
        )
    for index in indices:
        if not 0 <= index < n_sites + n_empty:
            raise InvalidHopError(
                f"Site {index} does not exist: the structure has sites 0 to {n_sites + n_empty - 1}."
            )
        if index < n_sites and structure[index].specie.symbol != working_ion:
            raise InvalidHopError(
                f"Site {index} holds {structure[index].specie.symbol}, not {working_ion}: "
                f"give a {working_ion} site."
            )


def _check_ends(i: int, j: int, image: tuple[int, int, int], n_points: int) -> None:
    """Refuse ends that coincide, and paths of one point."""
    if i == j and not any(image):
        raise InvalidHopError(f"Site {i} to itself in the same cell is no hop: give another image.")
    if n_points < 2:  # noqa: PLR2004
        raise InvalidHopError(f"A path of {n_points} points was asked for: it needs at least its 2 ends.")
