"""Further sites for the network: minima of the working ion's BVSE where no atom is.

Which host. The energy is that of one ion in the framework: the crystal without any of its working ions. With
the others kept, sites that share faces with occupied ones are no minima or lie eV higher, and what is found
depends on how full the crystal happens to be: spinel's 16c, 1.79 Å from two lithium ions, stands 1.6 eV above
8a instead of 0.2, and the tetrahedra on olivine's channel vanish. Which sites there are is a question to the
framework; what it costs to get there is one to the hop's path and host.

A minimum counts as an empty site if it is no nearer than 1 Å to an occupied one (else it is that site) and
1.2 Å to an atom, no further than 4 Å from all atoms, no more than 4 eV above the lowest, and in a well at
least 0.02 eV deep. The space group completes what is found.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from pymatgen.core import Element, Lattice

from tasks.hops.bvse import missing_parameters, pair_parameters
from tasks.hops.errors import HopsError
from tasks.hops.minima import Minima, PeriodicHost, Surroundings, energies_at, find_minima, lowest_pass_ev
from tasks.hops.symmetry import DEFAULT_SYMPREC_ANG, dataset_of, primitive_of, spglib_cell

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from pymatgen.core import Structure

    from tasks.hops.sites import Charges
    from tasks.hops.symmetry import PrimitiveCell

    Vectors = NDArray[np.float64]

OCCUPIED_WITHIN_ANG = 1.0
"""A minimum this near to an occupied site is that site: the framework alone may shift it a little."""

HOST_CLEARANCE_ANG = 1.2
"""No ion sits nearer to an atom; the shortest bonds of lithium are 1.5 Å."""

FARTHEST_ANG = 4.0
"""An ion with no atom within this is in a void: the longest bond of the tables, of K with Te, is 3.74 Å."""

SAME_SITE_ANG = 0.7
"""Minima nearer than this to each other are one site: the lower one, or the middle of equivalent ones.

It is the distance within which a network counts an ion as being on a site.
"""

WIDEST_SITE_ANG = 1.2
"""Equivalent minima further apart than this are no split site, however many lie between them."""

SAME_PLACE_ANG = 0.05
"""Minima nearer than this to a known one are the same one."""

MAX_ABOVE_LOWEST_EV = 4.0
"""How far above the lowest minimum of the framework a site may lie.

The BVSE overrates differences: the tetrahedra of layered LiCoO2 lie 2.6 eV above its octahedra.
"""

LEAST_WELL_EV = 0.02
"""An ion in a well shallower than this is on no site: it leaves at room temperature, kT being 0.026 eV.

Whether a grid finds the shallowest minima hangs on where it starts, so a bound has to leave them all out. No
well of the reference materials is within 1 meV of this one. It leaves out the tetrahedra on the channel of
LiMnPO4 (0.009 eV), and keeps those of LiMgPO4 (0.030) and LiFePO4 (0.042) and those between layers (LiRhO2
0.024, LiCoO2 0.037).
"""

MAX_SITES = 300
"""Primitive cells beyond this many sites are not searched: it would take minutes."""

ORDER_TOLERANCE = 1e-4
"""Coordinates and energies this near to each other count as equal when sites are put in order."""


MATCH_SLACK = 4.0
"""Multiples of symprec within which an operation must leave a place where it is, as for occupied sites."""

SAME_POINT_ANG = 0.01
"""Equivalents nearer than this are one point, however small symprec is."""

NEIGHBOURS = np.stack(np.meshgrid(*[[-1.0, 0.0, 1.0]] * 3, indexing="ij"), axis=-1).reshape(-1, 3)
"""The cells around one: with a reduced lattice the nearest image lies in one of them."""


@dataclass(frozen=True)
class EmptySites:
    """The empty sites of a crystal.

    Parameters
    ----------
    frac_coords : ndarray of shape (E, 3)
        Fractional coordinates in the stored cell, from 0 to 1: all equivalents of each site, orbit by orbit,
        the lowest first, within an orbit by coordinates.
    energies_ev : ndarray of shape (E,)
        BVSE in the framework above its lowest site, occupied ones included, in eV.
    orbits : ndarray of shape (E,), int64
        Number of the orbit that each belongs to, from 0; equivalent sites share it.
    occupied_energies_ev : ndarray of shape (n,)
        The same energies of the stored working ions where they stand, in their order.
    missing : tuple of str
        What parameters are missing, as `missing_parameters` names it.
    skipped : str or None
        Why no sites were looked for; None where they were.
    symmetry_found : bool
        False when spglib failed and every site stands alone (P1).
    """

    frac_coords: Vectors
    energies_ev: Vectors
    orbits: NDArray[np.int64]
    occupied_energies_ev: Vectors
    missing: tuple[str, ...] = ()
    skipped: str | None = None
    symmetry_found: bool = True

    def __len__(self) -> int:
        """Return how many there are in the stored cell."""
        return len(self.frac_coords)


def empty_sites(
    structure: Structure,
    charges: Charges,
    working_ion: str,
    *,
    symprec: float = DEFAULT_SYMPREC_ANG,
    max_above_lowest_ev: float = MAX_ABOVE_LOWEST_EV,
    max_sites: int = MAX_SITES,
) -> EmptySites:
    """Find the empty minima of the BVSE of the working ion in the framework of a crystal.

    Parameters
    ----------
    structure : Structure
        An ordered crystal.
    charges : Charges
        Oxidation states of its sites.
    working_ion : str
        Element symbol of the ion that moves.
    symprec : float
        Distance tolerance of the space group, in Å.
    max_above_lowest_ev : float
        How far above the lowest site of the framework an empty one may lie, in eV.
    max_sites : int
        Sites of the largest primitive cell that is searched.

    Returns
    -------
    EmptySites
        The sites, closed under the space group. None, and why, where parameters are missing or the cell is
        too large.

    Raises
    ------
    HopsError
        If there are not as many charges as sites.
    """
    if len(charges.values) != len(structure):
        raise HopsError(
            f"{len(charges.values)} charges for {len(structure)} sites: give one a site, None if unknown."
        )
    frame = _Frame.of(structure, working_ion, symprec)
    site_charges = np.array([np.nan if q is None else q for q in charges.values], dtype=np.float64)
    numbers, known = frame.numbers[~frame.is_ion], site_charges[frame.cell.sites][~frame.is_ion]
    missing = missing_parameters(working_ion, numbers, known)
    skipped = _why_skipped(missing, len(numbers), len(frame.numbers), max_sites)
    if skipped is not None:
        return _none(frame, missing, skipped)
    host = PeriodicHost(
        lattice=frame.reduced,
        frac=frame.cell.frac[~frame.is_ion] @ frame.cell.lattice @ np.linalg.inv(frame.reduced),
        parameters=pair_parameters(working_ion, numbers, known),
    )
    surroundings = Surroundings(host)
    minima = find_minima(
        surroundings,
        clear_ang=HOST_CLEARANCE_ANG,
        farthest_ang=FARTHEST_ANG,
        window_ev=max_above_lowest_ev,
    )
    return _choose(frame, surroundings, minima, max_above_lowest_ev)


@dataclass(frozen=True)
class _Frame:
    """A primitive cell, its space group and its relation to the stored cell."""

    cell: PrimitiveCell
    reduced: Vectors
    numbers: NDArray[np.int64]
    is_ion: NDArray[np.bool_]
    rotations: NDArray[np.int64]
    translations: Vectors
    symprec: float
    found: bool

    @classmethod
    def of(cls, structure: Structure, working_ion: str, symprec: float) -> _Frame:
        """Read a structure."""
        lattice, frac, numbers = stored = spglib_cell(structure)
        dataset = dataset_of(stored, symprec)
        cell = primitive_of(lattice, frac, dataset)
        own = numbers[cell.sites]
        if dataset is not None and not cell.is_stored:
            # A supercell may break operations that its primitive cell has.
            dataset = dataset_of((cell.lattice, cell.frac, own), symprec)
        is_known = Element.is_valid_symbol(working_ion)
        return cls(
            cell=cell,
            reduced=np.array(Lattice(cell.lattice).get_lll_reduced_lattice().matrix),
            numbers=own,
            is_ion=own == Element(working_ion).Z if is_known else np.zeros(len(own), dtype=np.bool_),
            rotations=np.eye(3, dtype=np.int64)[None] if dataset is None else np.asarray(dataset.rotations),
            translations=np.zeros((1, 3)) if dataset is None else np.asarray(dataset.translations),
            symprec=symprec,
            found=dataset is not None,
        )

    def inside_ang(self, frac: Vectors) -> Vectors:
        """Return places of the primitive cell moved into the reduced cell, in Å."""
        in_reduced = frac @ self.cell.lattice @ np.linalg.inv(self.reduced)
        inside: Vectors = (in_reduced - np.floor(in_reduced)) @ self.reduced
        return inside

    def way_ang(self, start: Vectors, ends: Vectors) -> Vectors:
        """Return the shortest vectors in Å from a place to others or their periodic images."""
        apart = (ends - start) @ self.cell.lattice @ np.linalg.inv(self.reduced)
        ways = ((apart - np.rint(apart))[:, None] + NEIGHBOURS) @ self.reduced
        shortest = np.linalg.norm(ways, axis=2).argmin(axis=1)
        chosen: Vectors = ways[np.arange(len(ways)), shortest]
        return chosen

    def distance_ang(self, start: Vectors, ends: Vectors) -> float:
        """Return the shortest distance from a place to any of others."""
        return float(np.linalg.norm(self.way_ang(start, ends), axis=1).min(initial=np.inf))

    def images(self, place: Vectors) -> Vectors:
        """Return where the operations take a place."""
        images: Vectors = self.rotations @ place + self.translations
        return images

    def centred(self, place: Vectors) -> Vectors:
        """Return the middle of a place and those of its equivalents that belong to the same site.

        Equivalents that small steps link are one site. The operations permute such clusters, so those that
        keep this one leave its middle where it is.
        """
        ways = self.way_ang(place, self.images(place))
        for step_ang in (SAME_SITE_ANG, MATCH_SLACK * self.symprec):
            linked = _linked(ways, step_ang)
            if np.linalg.norm(ways[linked], axis=1).max() <= WIDEST_SITE_ANG:
                break
        middle: Vectors = place + ways[linked].mean(axis=0) @ np.linalg.inv(self.cell.lattice)
        return middle

    def orbit(self, place: Vectors) -> Vectors:
        """Return a place and all its equivalents in the primitive cell, each once."""
        left, orbit = self.images(place), []
        while len(left):
            orbit.append(left[0])
            ways = self.way_ang(left[0], left)
            left = left[np.linalg.norm(ways, axis=1) > max(MATCH_SLACK * self.symprec, SAME_POINT_ANG)]
        return np.array(orbit)

    def stored(self, frac: Vectors) -> Vectors:
        """Return places of the primitive cell in the stored cell, with all their copies there, in order."""
        copies = self.cell.offset_of_site[self.cell.index_of_site == 0]
        everywhere = (frac[:, None] + copies).reshape(-1, 3)
        in_stored = (
            everywhere @ self.cell.lattice @ np.linalg.inv(self.cell.stored_lattice @ self.cell.lattice)
        )
        in_stored -= np.floor(in_stored + ORDER_TOLERANCE)
        ordered: Vectors = in_stored[_row_order(in_stored)]
        return ordered

    def of_stored_ions(self, of_ions: Vectors) -> Vectors:
        """Return figures of the primitive working ions for the stored ones, in their order."""
        rank = np.cumsum(self.is_ion) - 1
        index = self.cell.index_of_site
        figures: Vectors = of_ions[rank[index][self.is_ion[index]]]
        return figures


def _why_skipped(missing: tuple[str, ...], n_framework: int, n_sites: int, max_sites: int) -> str | None:
    """Return why no sites can be looked for, or None."""
    if missing == ("charges",):
        return "not all oxidation states are known"
    if missing:
        return f"no BVSE parameters for {', '.join(missing)}"
    if not n_framework:
        return "no atom but working ions"
    if n_sites > max_sites:
        return f"{n_sites} sites in the primitive cell, more than {max_sites}"
    return None


def _none(frame: _Frame, missing: tuple[str, ...], skipped: str | None) -> EmptySites:
    """Return no sites, and why."""
    unknown = np.full(int(frame.is_ion[frame.cell.index_of_site].sum()), np.nan)
    return EmptySites(
        frac_coords=np.empty((0, 3)),
        energies_ev=np.empty(0),
        orbits=np.empty(0, dtype=np.int64),
        occupied_energies_ev=unknown,
        missing=missing,
        skipped=skipped,
        symmetry_found=frame.found,
    )


def _choose(
    frame: _Frame, surroundings: Surroundings, minima: Minima, max_above_lowest_ev: float
) -> EmptySites:
    """Take the minima that are sites of their own, each with all its equivalents."""
    occupied = frame.cell.frac[frame.is_ion]
    at_ions = energies_at(surroundings, frame.inside_ang(occupied))
    lowest = min(minima.energies_ev.min(initial=np.inf), at_ions.min(initial=np.inf))
    taken, known = np.empty((0, 3)), np.empty((0, 3))
    found: list[tuple[float, Vectors]] = []
    places = minima.positions_ang @ np.linalg.inv(frame.cell.lattice)
    for k in np.argsort(minima.energies_ev, kind="stable"):
        if minima.energies_ev[k] > lowest + max_above_lowest_ev:
            break
        if frame.distance_ang(places[k], known) <= SAME_PLACE_ANG:
            # Most are equivalents of one that is known already.
            continue
        known = np.vstack([known, frame.images(places[k])])
        place = frame.centred(places[k])
        if frame.distance_ang(place, taken) <= SAME_SITE_ANG:
            continue
        is_occupied = frame.distance_ang(place, occupied) <= OCCUPIED_WITHIN_ANG
        if not is_occupied and not _holds(frame, surroundings, place, places[k], minima.energies_ev[k]):
            # It must not matter whether it was found, so it keeps no other minimum from being a site.
            continue
        orbit = frame.orbit(place)
        taken = np.vstack([taken, orbit])
        inside = frame.inside_ang(place[None])
        if not is_occupied and HOST_CLEARANCE_ANG < surroundings.nearest_ang(inside)[0] < FARTHEST_ANG:
            above_ev = max(float(energies_at(surroundings, inside)[0] - lowest), 0.0)
            found.append((above_ev, frame.stored(orbit)))
    return _gathered(frame, found, at_ions - lowest)


def _holds(
    frame: _Frame, surroundings: Surroundings, place: Vectors, minimum: Vectors, energy_ev: float
) -> bool:
    """Say whether the well of a site at a place, with one of its minima, is deep enough."""
    radius_ang = SAME_SITE_ANG + frame.distance_ang(place, minimum[None])
    inside = frame.inside_ang(place[None])[0]
    return lowest_pass_ev(surroundings, inside, radius_ang) >= energy_ev + LEAST_WELL_EV


def _linked(ways: Vectors, step_ang: float) -> NDArray[np.bool_]:
    """Say which ends of vectors from a place can be reached from there in steps from end to end."""
    linked = np.linalg.norm(ways, axis=1) <= step_ang
    while True:
        apart = np.linalg.norm(ways[:, None] - ways[None, linked], axis=2).min(axis=1)
        grown: NDArray[np.bool_] = linked | (apart <= step_ang)
        if (grown == linked).all():
            return grown
        linked = grown


def _gathered(frame: _Frame, found: list[tuple[float, Vectors]], at_ions_ev: Vectors) -> EmptySites:
    """Put the orbits in order, the lowest first and equally low ones by where they are."""
    if not found:
        nothing = _none(frame, (), None)
        return replace(nothing, occupied_energies_ev=frame.of_stored_ions(at_ions_ev))
    energies = _ranks(np.array([energy for energy, _ in found]))
    by_place = _row_order(np.array([orbit[0] for _, orbit in found]))
    order = by_place[np.argsort(energies[by_place], kind="stable")]
    sizes = [len(found[k][1]) for k in order]
    return EmptySites(
        frac_coords=np.concatenate([found[k][1] for k in order]),
        energies_ev=np.repeat([found[k][0] for k in order], sizes),
        orbits=np.repeat(np.arange(len(order)), sizes),
        occupied_energies_ev=frame.of_stored_ions(at_ions_ev),
        symmetry_found=frame.found,
    )


def _ranks(values: Vectors) -> NDArray[np.int64]:
    """Return the rank of each number, the same for numbers that only rounding tells apart."""
    order = np.argsort(values, kind="stable")
    ranks = np.empty(len(values), dtype=np.int64)
    ranks[order] = np.concatenate([[0], np.cumsum(np.diff(values[order]) > ORDER_TOLERANCE)])
    return ranks


def _row_order(rows: Vectors) -> NDArray[np.int64]:
    """Return the order of rows by their entries, the first foremost, rounding aside."""
    return np.lexsort([_ranks(column) for column in rows.T[::-1]])
