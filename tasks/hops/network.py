"""The hop network: every hop of the working ion up to a cutoff, grouped by the space group."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

from tasks.hops.errors import HopsError, NoWorkingIonError, TooManyHopsError
from tasks.hops.orbits import find_orbits
from tasks.hops.path import images_in_box
from tasks.hops.periodic import MAX_RANK, PeriodicGraph
from tasks.hops.sites import working_ion_sites
from tasks.hops.symmetry import DEFAULT_SYMPREC_ANG

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from pymatgen.core import Structure

    from tasks.hops.orbits import Orbit
    from tasks.hops.periodic import Edge

STAGE_VERSION = 1
"""Raised whenever the same structure gives other results: it is part of the keys that results stand under."""

DEFAULT_MAX_CUTOFF_ANG = 6.0
"""Longest hop that the default cutoff may choose: beyond it lies hardly any hop of the literature."""

SHELL_TOLERANCE_ANG = 1e-3
"""Hops this little longer than the cutoff belong to its shell and count too."""

MIN_LENGTH_SQUARED = 1e-12
"""Keeps the distance from a segment of no length, between overlapping sites, a number."""

HOST_ATOM_TOLERANCE_ANG = 0.5
"""A host atom this near to the straight path blocks it.

Of the 619 hops of the literature in devi2025, 98% stay clear of it by this much; half an ångström from a
nucleus the straight path says nothing about the way that an ion would take round it.
"""

NETWORK_SITE_TOLERANCE_ANG = 0.7
"""A third site of the network this near to the straight path makes the hop a composition of shorter ones.

It is the distance within which an ion counts as being on a site; in devi2025 no hop but two, which start
from sites that overlap, comes nearer than 1.2 Å to another working ion.
"""

BlockedBy = Literal["host_atom", "network_site"]
Mechanism = Literal["isolated", "divacancy"]
Vacancy = tuple[int, int, int, int]
"""A further vacant site (k, kx, ky, kz): site k in image (kx, ky, kz), where site i lies in the home cell."""


@dataclass(frozen=True)
class NetworkHop:
    """A symmetry-distinct hop and its orbit.

    A hop from site i in the home cell to site j in image R is the same as its reverse, (j, i, -R). It is
    stored in the smaller of these two tuples, compared entry by entry, and so is every member of the orbit;
    the hop is the smallest tuple of its orbit.

    Parameters
    ----------
    i, j : int
        Indices of the end sites over all stored sites.
    image : tuple of int
        Cell in which site j lies.
    distance_ang : float
        Length of this hop in Å.
    multiplicity : int
        Members of the orbit in the stored cell.
    orbit : tuple of tuple of int
        Every equivalent hop (i, j, ox, oy, oz), this one included, ascending.
    direction_symmetric : bool
        Whether an operation maps the hop onto its own reverse, so that the profile is symmetric.
    blocked_by : {"host_atom", "network_site"} or None
        What the straight path runs through; both kinds are listed, neither carries percolation: round a host
        atom the straight path does not tell, and a hop through a site is two hops that are listed themselves.
    mechanism : {"isolated", "divacancy"}
        Whether only the two ends are vacant or a common neighbour of theirs too, so that the ion may go through
        the tetrahedron between the three. A divacancy hop is listed after the isolated hop of the same ends;
        it carries no percolation of its own.
    also_vacant : tuple of int or None
        The further vacant site (k, kx, ky, kz) of a divacancy hop, with site i in the home cell.
    orbit_also_vacant : tuple of tuple of int
        That of each member of the orbit, in its order; an edge appears once for each of its vacancies. Empty
        for an isolated hop.
    """

    i: int
    j: int
    image: tuple[int, int, int]
    distance_ang: float
    multiplicity: int
    orbit: tuple[Edge, ...]
    direction_symmetric: bool
    blocked_by: BlockedBy | None
    mechanism: Mechanism = "isolated"
    also_vacant: Vacancy | None = None
    orbit_also_vacant: tuple[Vacancy, ...] = ()


@dataclass(frozen=True)
class HopNetwork:
    """All symmetry-distinct hops of a structure up to a cutoff.

    Parameters
    ----------
    working_ion : str
        Element symbol of the ion that moves.
    cutoff_ang : float
        Longest hop that was asked for or chosen, in Å.
    reached_dim : int
        Dimensions in which the hops that are not blocked connect, 0 to 3.
    hops : tuple of NetworkHop
        Shortest first.
    symmetry_found : bool
        False when spglib failed and every hop stands alone (P1).
    """

    working_ion: str
    cutoff_ang: float
    reached_dim: int
    hops: tuple[NetworkHop, ...]
    symmetry_found: bool


def hop_network(
    structure: Structure,
    working_ion: str,
    *,
    cutoff_ang: float | None = None,
    max_cutoff_ang: float = DEFAULT_MAX_CUTOFF_ANG,
    symprec: float = DEFAULT_SYMPREC_ANG,
    max_hops: int | None = None,
) -> HopNetwork:
    """Find every symmetry-distinct hop between sites of the working ion.

    The default cutoff is the shortest at which the unblocked hops connect in three dimensions, at most
    ``max_cutoff_ang``, or else that at which they reach as many dimensions as they ever do. Where they never
    connect at all, it is ``max_cutoff_ang``.

    Parameters
    ----------
    structure : Structure
        An ordered crystal.
    working_ion : str
        Element symbol of the ion that moves.
    cutoff_ang : float or None
        Longest hop in Å; None for the default above.
    max_cutoff_ang : float
        Bound on the default cutoff, in Å.
    symprec : float
        Distance tolerance of the space group, in Å.
    max_hops : int or None
        Most symmetry-distinct hops that are accepted.

    Returns
    -------
    HopNetwork
        The hops, shortest first.

    Raises
    ------
    NoWorkingIonError
        If no site holds the working ion.
    TooManyHopsError
        If there are more than ``max_hops``.
    HopsError
        If a cutoff is not positive.
    """
    reach = max_cutoff_ang if cutoff_ang is None else cutoff_ang
    if not reach > 0.0:
        raise HopsError(f"A cutoff of {reach} Å was given: it must be positive; 6 Å is usual.")
    sites = working_ion_sites(structure, working_ion)
    if not sites:
        raise NoWorkingIonError(
            f"{structure.composition.reduced_formula} holds no {working_ion}: name an ion that it has."
        )
    found = find_orbits(structure, sites, reach, symprec)
    orbits = [orbit for orbit in found.orbits if orbit.length_ang <= reach + SHELL_TOLERANCE_ANG]
    blocks = _Blocks(structure, working_ion)
    graph = PeriodicGraph(range(found.n_primitive_sites))
    chosen_ang = _grow(graph, orbits, blocks, stop_at_full_rank=cutoff_ang is None)
    if cutoff_ang is None and chosen_ang is not None:
        reach = chosen_ang
        orbits = [orbit for orbit in orbits if orbit.length_ang <= reach + SHELL_TOLERANCE_ANG]
    if max_hops is not None and len(orbits) > max_hops:
        raise TooManyHopsError(len(orbits), max_hops, reach)
    return HopNetwork(
        working_ion=working_ion,
        cutoff_ang=reach,
        reached_dim=graph.dimension,
        hops=tuple(_network_hop(structure, orbit, blocks.of(orbit)) for orbit in orbits),
        symmetry_found=found.symmetry_found,
    )


def percolating_orbits(network: HopNetwork) -> tuple[tuple[Edge, ...], ...]:
    """Return the orbit of each hop that may carry percolation, and nothing for those that may not.

    Parameters
    ----------
    network : HopNetwork
        The network.

    Returns
    -------
    tuple of tuple of tuple of int
        One entry a hop, in the network's order; empty for a hop that is blocked.
    """
    return tuple(
        hop.orbit if hop.blocked_by is None and hop.mechanism == "isolated" else () for hop in network.hops
    )


class _Blocks:
    """What each orbit's straight path runs through, worked out once and only when asked for."""

    def __init__(self, structure: Structure, working_ion: str) -> None:
        self._frac = np.asarray(structure.frac_coords, dtype=np.float64)
        self._lattice = np.asarray(structure.lattice.matrix, dtype=np.float64)
        self._mobile = np.array([site.specie.symbol == working_ion for site in structure])
        self._known: dict[int, BlockedBy | None] = {}

    def of(self, orbit: Orbit) -> BlockedBy | None:
        """Return what blocks an orbit."""
        key = id(orbit)
        if key not in self._known:
            self._known[key] = self._look(orbit.edges[0])
        return self._known[key]

    def _look(self, edge: NDArray[np.int64]) -> BlockedBy | None:
        """Measure the atoms near the straight path of one hop."""
        i, j, image = edge[0], edge[1], edge[2:]
        ends_frac = np.array([self._frac[i], self._frac[j] + image])
        reach_ang = max(HOST_ATOM_TOLERANCE_ANG, NETWORK_SITE_TOLERANCE_ANG)
        sites, shifts = images_in_box(self._frac, self._lattice, ends_frac, reach_ang)
        is_end = ((sites == i) & ~shifts.any(axis=1)) | ((sites == j) & (shifts == image).all(axis=1))
        sites, shifts = sites[~is_end], shifts[~is_end]
        start, end = ends_frac @ self._lattice
        distance_ang = distance_to_segment_ang((self._frac[sites] + shifts) @ self._lattice, start, end)
        mobile = self._mobile[sites]
        if (distance_ang[~mobile] < HOST_ATOM_TOLERANCE_ANG).any():
            return "host_atom"
        if (distance_ang[mobile] < NETWORK_SITE_TOLERANCE_ANG).any():
            return "network_site"
        return None


def distance_to_segment_ang(
    coords_ang: NDArray[np.float64], start_ang: NDArray[np.float64], end_ang: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return the distance of points from a straight segment.

    Parameters
    ----------
    coords_ang : ndarray of shape (M, 3)
        Cartesian points in Å.
    start_ang, end_ang : ndarray of shape (3,)
        Ends of the segment in Å.

    Returns
    -------
    ndarray of shape (M,)
        Distances in Å.
    """
    along = end_ang - start_ang
    share = np.clip(
        (coords_ang - start_ang) @ along / max(float(along @ along), MIN_LENGTH_SQUARED), 0.0, 1.0
    )
    distances: NDArray[np.float64] = np.linalg.norm(coords_ang - start_ang - share[:, None] * along, axis=1)
    return distances


def _grow(
    graph: PeriodicGraph, orbits: list[Orbit], blocks: _Blocks, *, stop_at_full_rank: bool
) -> float | None:
    """Add unblocked orbits, shortest first; return the length at which the dimension last rose."""
    last_rise_ang: float | None = None
    for orbit in orbits:
        if stop_at_full_rank and graph.dimension == MAX_RANK:
            break
        if blocks.of(orbit) is not None:
            continue
        before = graph.dimension
        for i, j, ox, oy, oz in orbit.primitive_edges.tolist():
            graph.add((i, j, ox, oy, oz))
        if graph.dimension > before:
            last_rise_ang = orbit.length_ang
    return last_rise_ang


def _network_hop(structure: Structure, orbit: Orbit, blocked_by: BlockedBy | None) -> NetworkHop:
    """Put an orbit into plain numbers, named by its smallest member."""
    edges: tuple[Edge, ...] = tuple((i, j, ox, oy, oz) for i, j, ox, oy, oz in orbit.edges.tolist())
    i, j, ox, oy, oz = edges[0]
    frac = np.asarray(structure.frac_coords, dtype=np.float64)
    vector = (frac[j] + (ox, oy, oz) - frac[i]) @ np.asarray(structure.lattice.matrix, dtype=np.float64)
    return NetworkHop(
        i=i,
        j=j,
        image=(ox, oy, oz),
        distance_ang=float(np.linalg.norm(vector)),
        multiplicity=len(edges),
        orbit=edges,
        direction_symmetric=orbit.direction_symmetric,
        blocked_by=blocked_by,
    )
