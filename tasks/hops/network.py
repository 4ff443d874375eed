"""The hop network: every hop of the working ion up to a cutoff, grouped by the space group."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

import numpy as np
from pymatgen.core import Element

from tasks.hops.blocking import blocked_by
from tasks.hops.divacancy import LAYER_SPREAD, NEIGHBOUR_SPREAD, find_divacancies, is_layered, shell
from tasks.hops.errors import HopsError, NoWorkingIonError, TooManyHopsError
from tasks.hops.orbits import find_orbits
from tasks.hops.periodic import MAX_RANK, PeriodicGraph
from tasks.hops.points import point_symmetry
from tasks.hops.symmetry import DEFAULT_SYMPREC_ANG, spglib_cell

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from pymatgen.core import Structure

    from tasks.hops.blocking import BlockedBy
    from tasks.hops.divacancy import Divacancy
    from tasks.hops.orbits import Orbit, Orbits
    from tasks.hops.periodic import Edge
    from tasks.hops.points import PointSymmetry

STAGE_VERSION = 2
"""Raised whenever the same structure gives other results: it is part of the keys that results stand under."""

DEFAULT_MAX_CUTOFF_ANG = 6.0
"""Longest hop that the default cutoff may choose: beyond it lies hardly any hop of the literature."""

FIRST_REACH_ANG = 4.0
"""Where the default cutoff is looked for first: most crystals connect by then, and looking far costs."""

SHELL_TOLERANCE_ANG = 1e-3
"""Hops this little longer than the cutoff belong to its shell and count too."""

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
        Whether only the two ends are vacant or a common neighbour of theirs too, so that the ion may go
        through the tetrahedron between the three. A divacancy hop comes after the isolated hop of the same
        ends; it carries no percolation of its own.
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
    empty_sites_frac: NDArray[np.float64] | None = None,
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
    empty_sites_frac : ndarray of shape (E, 3), optional
        Further sites of the network that hold no atom, in fractional coordinates of the stored cell: all
        that are equivalent to any of them. They are numbered on after the stored sites.

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
        If a cutoff is not positive, or the empty sites are not an array of three columns of numbers.
    """
    reach_ang = max_cutoff_ang if cutoff_ang is None else cutoff_ang
    if not reach_ang > 0.0:
        raise HopsError(f"A cutoff of {reach_ang} Å was given: it must be positive; 6 Å is usual.")
    crystal = _Crystal.of(structure, working_ion, empty_sites_frac, symprec)
    shells = _Shells.within(crystal, reach_ang if cutoff_ang is not None else min(FIRST_REACH_ANG, reach_ang))
    if cutoff_ang is None and shells.dimension < MAX_RANK and reach_ang > FIRST_REACH_ANG:
        shells = _Shells.within(crystal, reach_ang)
    if cutoff_ang is None and shells.last_rise_ang is not None:
        reach_ang = shells.last_rise_ang
    hops = _hops(crystal, shells, reach_ang)
    if max_hops is not None and len(hops) > max_hops:
        raise TooManyHopsError(len(hops), max_hops, reach_ang)
    return HopNetwork(
        working_ion=working_ion,
        cutoff_ang=reach_ang,
        reached_dim=shells.dimension,
        hops=hops,
        symmetry_found=crystal.points.operations.found,
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


def isolated_only(network: HopNetwork) -> HopNetwork:
    """Return a network without its divacancy hops: in a host without other ions every neighbour is vacant.

    Parameters
    ----------
    network : HopNetwork
        The network.

    Returns
    -------
    HopNetwork
        The same otherwise.
    """
    return replace(network, hops=tuple(hop for hop in network.hops if hop.mechanism == "isolated"))


@dataclass(frozen=True)
class _Crystal:
    """A structure as arrays, with its network's sites as points: first occupied ones, then empty ones."""

    lattice: NDArray[np.float64]
    frac: NDArray[np.float64]
    numbers: NDArray[np.int64]
    """All sites, the empty ones last; 0 for these."""
    sites: NDArray[np.int64]
    """Which of them the points are."""
    n_occupied: int
    points: PointSymmetry

    @classmethod
    def of(
        cls, structure: Structure, working_ion: str, empty: NDArray[np.float64] | None, symprec: float
    ) -> _Crystal:
        """Read a structure."""
        lattice, frac, numbers = cell = spglib_cell(structure)
        is_known = Element.is_valid_symbol(working_ion)
        occupied = np.flatnonzero(numbers == Element(working_ion).Z) if is_known else np.array([], dtype=int)
        if len(occupied) == 0:
            raise NoWorkingIonError(
                f"{structure.composition.reduced_formula} holds no {working_ion}: name an ion that it has."
            )
        empty_frac = _checked(empty)
        n_empty = len(empty_frac)
        return cls(
            lattice=lattice,
            frac=np.concatenate([frac, empty_frac]),
            numbers=np.concatenate([numbers, np.zeros(n_empty, dtype=np.int64)]),
            sites=np.concatenate([occupied, len(frac) + np.arange(n_empty)]).astype(np.int64),
            n_occupied=len(occupied),
            points=point_symmetry(cell, occupied, empty_frac, symprec),
        )

    def edges_of(self, edges: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return pairs of points as pairs of sites."""
        # Ascending points are ascending sites, so the order and the canonical form hold.
        return np.concatenate([self.sites[edges[:, :2]], edges[:, 2:]], axis=1)


@dataclass(frozen=True)
class _Shells:
    """Orbits up to a distance, what blocks each, and how far the unblocked ones connect."""

    reach_ang: float
    found: Orbits
    orbits: tuple[Orbit, ...]
    blocks: tuple[BlockedBy | None, ...]
    dimension: int
    last_rise_ang: float | None

    @classmethod
    def within(cls, crystal: _Crystal, reach_ang: float) -> _Shells:
        """Look for orbits up to a distance."""
        found = find_orbits(crystal.points, reach_ang)
        orbits = tuple(o for o in found.orbits if o.length_ang <= reach_ang + SHELL_TOLERANCE_ANG)
        first = found.edges[[int(orbit.members[0]) for orbit in orbits]]
        is_network = np.zeros(len(crystal.frac), dtype=np.bool_)
        is_network[crystal.sites] = True
        blocks = blocked_by(crystal.frac, crystal.lattice, is_network, crystal.edges_of(first))
        graph = PeriodicGraph(range(len(crystal.points.frac)))
        primitive_edges = _tuples(found.primitive_edges)
        last_rise_ang: float | None = None
        for orbit, block in zip(orbits, blocks, strict=True):
            before = graph.dimension
            if before == MAX_RANK:
                break
            if block is not None:
                continue
            for member in orbit.primitive_members.tolist():
                graph.add(primitive_edges[member])
            if graph.dimension > before:
                last_rise_ang = orbit.length_ang
        return cls(reach_ang, found, orbits, tuple(blocks), graph.dimension, last_rise_ang)


def _checked(empty: NDArray[np.float64] | None) -> NDArray[np.float64]:
    """Return the empty sites as an array, none of them given as no rows."""
    if empty is None:
        return np.empty((0, 3))
    frac = np.asarray(empty, dtype=np.float64)
    if frac.size == 0:
        return np.empty((0, 3))
    if frac.ndim != 2 or frac.shape[1] != 3 or not np.isfinite(frac).all():  # noqa: PLR2004
        raise HopsError(
            f"Empty sites of shape {frac.shape} were given: give a row of three finite fractional "
            "coordinates for each."
        )
    return frac


def _hops(crystal: _Crystal, shells: _Shells, reach_ang: float) -> tuple[NetworkHop, ...]:
    """Put orbits into plain numbers, each followed by its divacancy hops."""
    divacancies = _divacancies(crystal, shells)
    all_edges = _tuples(crystal.edges_of(shells.found.edges))
    hops: list[NetworkHop] = []
    for orbit, block in zip(shells.orbits, shells.blocks, strict=True):
        if orbit.length_ang > reach_ang + SHELL_TOLERANCE_ANG:
            break
        edges = tuple([all_edges[member] for member in orbit.members.tolist()])
        hop = NetworkHop(
            i=edges[0][0],
            j=edges[0][1],
            image=edges[0][2:],
            distance_ang=orbit.first_length_ang,
            multiplicity=len(edges),
            orbit=edges,
            direction_symmetric=orbit.direction_symmetric,
            blocked_by=block,
        )
        hops.append(hop)
        hops += [_divacancy_hop(crystal, hop, one) for one in divacancies.get(edges[0], ())]
    return tuple(hops)


def _divacancies(crystal: _Crystal, shells: _Shells) -> dict[Edge, list[Divacancy]]:
    """Return the divacancy hops by the hop that they are listed after; none unless the host is layered.

    Empty sites take no part: a hop through them is a composition of hops that are listed themselves.
    """
    orbits = _open_orbits(crystal, shells)
    if orbits and LAYER_SPREAD * orbits[0].length_ang > shells.reach_ang:
        # A short cutoff must hide neither the third sides of triangles nor what lies between layers.
        shells = _Shells.within(crystal, LAYER_SPREAD * orbits[0].length_ang + SHELL_TOLERANCE_ANG)
        orbits = _open_orbits(crystal, shells)
    if not orbits or not is_layered(shells.found, orbits, len(crystal.points.frac)):
        return {}
    host = crystal.numbers > 0
    host[crystal.sites] = False
    found = find_divacancies(
        shells.found,
        shell(orbits, NEIGHBOUR_SPREAD),
        np.concatenate([crystal.points.stored_frac, crystal.frac[host]]),
        np.concatenate([np.zeros(len(crystal.sites), dtype=np.int64), crystal.numbers[host]]),
        crystal.lattice,
    )
    return {_tuples(crystal.edges_of(shells.found.edges[[row]]))[0]: some for row, some in found.items()}


def _open_orbits(crystal: _Crystal, shells: _Shells) -> list[Orbit]:
    """Return the unblocked orbits between occupied sites."""
    edges = shells.found.edges
    return [
        orbit
        for orbit, block in zip(shells.orbits, shells.blocks, strict=True)
        if block is None and edges[orbit.members[0], 1] < crystal.n_occupied
    ]


def _divacancy_hop(crystal: _Crystal, hop: NetworkHop, found: Divacancy) -> NetworkHop:
    """Return a divacancy hop beside the isolated one of the same ends."""
    members = np.column_stack([crystal.sites[found.vacancies[:, 0]], found.vacancies[:, 1:]])
    vacancies: tuple[Vacancy, ...] = tuple((k, kx, ky, kz) for k, kx, ky, kz in members.tolist())
    return replace(
        hop,
        multiplicity=len(vacancies),
        orbit=_tuples(crystal.edges_of(found.edges)),
        direction_symmetric=found.direction_symmetric,
        mechanism="divacancy",
        also_vacant=vacancies[0],
        orbit_also_vacant=vacancies,
    )


def _tuples(edges: NDArray[np.int64]) -> tuple[Edge, ...]:
    """Return pairs as plain tuples."""
    return tuple((i, j, ox, oy, oz) for i, j, ox, oy, oz in edges.tolist())
