"""Puts partly occupied sites in order, in the smallest cell that holds whole atoms, and says how."""

from __future__ import annotations

import itertools
import math
import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from pymatgen.core import Element, Lattice, Structure

from storage.records import Reason
from tasks.candidates.source import RejectedError
from tasks.hops.sites import charges_of_composition

if TYPE_CHECKING:
    from collections.abc import Iterator

MAX_CELLS = 12
"""Primitive cells that are put together at most."""

MAX_ORDERED_SITES = 80
"""Sites of the cell in which atoms are put in order, vacant ones included."""

MAX_ARRANGEMENTS = 1_000_000
"""Ways to put the atoms on the sites, equivalent ones counted apart, beyond which none is chosen."""

OCCUPANCY_TOLERANCE = 0.01
"""Most by which a site's share of an element may change: files round thirds to two or three digits."""

OCCUPANCY_DIGITS = 6
"""Occupancies that agree to so many decimals are those of one kind of site."""


@dataclass(frozen=True)
class _Kind:
    """Sites of the primitive cell that hold the same mixture: how many, and the share of each element."""

    sites: tuple[int, ...]
    shares: tuple[tuple[str, float], ...]

    def counts(self, cells: int) -> tuple[int, ...] | None:
        """Return whole numbers of atoms in some cells, one an element; None where none come near."""
        n_sites = len(self.sites) * cells
        counts = tuple(round(share * n_sites) for _, share in self.shares)
        # What is vacant is a share like the others: of 34 sites of thirds, 3 times 11 would leave one out.
        pairs = [*zip(counts, (share for _, share in self.shares), strict=True)]
        pairs.append((n_sites - sum(counts), 1.0 - sum(share for _, share in self.shares)))
        near = all(
            abs(count / n_sites - share) <= OCCUPANCY_TOLERANCE + 10.0**-OCCUPANCY_DIGITS
            for count, share in pairs
        )
        return counts if near and sum(counts) <= n_sites else None

    def label(self) -> str:
        """Return the mixture as text, such as Li0.5 Ni0.5."""
        return " ".join(f"{symbol}{share:.4g}" for symbol, share in self.shares)


def order(structure: Structure, name: str, symprec_ang: float = 0.01) -> tuple[Structure, str]:
    """Return an ordered structure in place of a disordered one, and in words how it was ordered.

    The smallest supercell of the primitive cell is taken in which every occupancy gives whole atoms, of
    those the one whose shortest period is the longest. In it pymatgen's
    OrderDisorderedStructureTransformation finds the arrangement of lowest Ewald energy. Nothing is random.

    Parameters
    ----------
    structure : Structure
        Without oxidation states; some of its sites are partly occupied.
    name : str
        What messages call it.
    symprec_ang : float
        How far atoms may lie from where the primitive cell would have them, in Å: a wider tolerance would
        average a distortion away.

    Returns
    -------
    structure : Structure
        Ordered, without oxidation states.
    ordering : str
        What was done, for the candidate's row.

    Raises
    ------
    RejectedError
        ``partial_occupancy``, when no such cell is within bounds or oxidation states cannot be told.
    """
    formula = structure.composition.reduced_formula
    primitive = _sorted(structure.get_primitive_structure(tolerance=symprec_ang))
    kinds = _kinds(primitive)
    cells, counts = _smallest(primitive, kinds, name, formula)
    n_ways = math.prod(
        _arrangements(len(kind.sites) * cells, some) for kind, some in zip(kinds, counts, strict=True)
    )
    if n_ways > MAX_ARRANGEMENTS:
        raise _refused(
            f"{name}: there are {n_ways:.2g} ways to put its atoms in order in {cells} primitive cells, "
            f"allowed are {MAX_ARRANGEMENTS}; give an ordered structure",
            formula,
        )
    shape = _shape(primitive, cells)
    whole = _whole(primitive, kinds, counts, cells)
    whole.make_supercell(shape)
    ordered = _lowest(whole, name, formula)
    _check_atoms(ordered, whole, name, formula)
    mixtures = ", ".join(dict.fromkeys(kind.label() for kind in kinds))
    return ordered, (
        f"lowest Ewald energy of {n_ways} arrangements of {mixtures} in "
        f"{'x'.join(map(str, shape))} primitive cells (pymatgen)"
    )


def _refused(message: str, formula: str) -> RejectedError:
    return RejectedError(Reason.PARTIAL_OCCUPANCY, message, formula)


def _sorted(structure: Structure) -> Structure:
    """Put sites into an order of their own, so that the order of a file does not decide between equals."""
    sites = sorted(structure, key=lambda s: (s.species_string, *np.round(s.frac_coords % 1.0, 4).tolist()))
    return Structure(
        structure.lattice, [site.species for site in sites], [site.frac_coords for site in sites]
    )


def _kinds(structure: Structure) -> list[_Kind]:
    """Return the mixtures of a structure with the sites that hold them."""
    found: dict[tuple[tuple[str, float], ...], list[int]] = {}
    for place, site in enumerate(structure):
        if not site.is_ordered:
            shares = tuple(
                sorted(
                    (symbol, round(float(share), OCCUPANCY_DIGITS))
                    for symbol, share in site.species.get_el_amt_dict().items()
                )
            )
            found.setdefault(shares, []).append(place)
    return [_Kind(tuple(sites), shares) for shares, sites in found.items()]


def _smallest(
    structure: Structure, kinds: list[_Kind], name: str, formula: str
) -> tuple[int, list[tuple[int, ...]]]:
    """Return how many cells hold whole atoms of all mixtures, and how many atoms those are."""
    most = min(MAX_CELLS, MAX_ORDERED_SITES // len(structure))
    for cells in range(1, most + 1):
        counts = [found for kind in kinds if (found := kind.counts(cells)) is not None]
        if len(counts) == len(kinds):
            return cells, counts
    mixtures = ", ".join(dict.fromkeys(kind.label() for kind in kinds))
    raise _refused(
        f"{name}: {mixtures} give whole atoms in no cell of at most {MAX_CELLS} primitive ones and "
        f"{MAX_ORDERED_SITES} sites (the primitive one has {len(structure)}); give an ordered structure",
        formula,
    )


def _arrangements(n_sites: int, counts: tuple[int, ...]) -> int:
    """Return in how many ways some atoms can be put on some sites."""
    ways, free = 1, n_sites
    for count in counts:
        ways *= math.comb(free, count)
        free -= count
    return ways


def _shape(structure: Structure, cells: int) -> tuple[int, int, int]:
    """Return the diagonal supercell of some cells whose shortest period is the longest."""

    def shortest_ang(shape: tuple[int, int, int]) -> float:
        matrix = structure.lattice.matrix * np.array(shape)[:, None]
        return round(float(min(Lattice(matrix).get_lll_reduced_lattice().abc)), 4)

    return max(_shapes(cells), key=lambda shape: (shortest_ang(shape), shape))


def _shapes(cells: int) -> Iterator[tuple[int, int, int]]:
    divisors = [k for k in range(1, cells + 1) if cells % k == 0]
    for a, b in itertools.product(divisors, repeat=2):
        if cells % (a * b) == 0:
            yield a, b, cells // (a * b)


def _whole(structure: Structure, kinds: list[_Kind], counts: list[tuple[int, ...]], cells: int) -> Structure:
    """Return the structure with occupancies that give whole atoms, to the last digit."""
    exact = structure.copy()
    for kind, some in zip(kinds, counts, strict=True):
        n_sites = len(kind.sites) * cells
        shares = {
            Element(symbol): count / n_sites
            for count, (symbol, _) in zip(some, kind.shares, strict=True)
            if count > 0
        }
        for place in kind.sites:
            exact[place] = shares
    return exact


def _check_atoms(ordered: Structure, whole: Structure, name: str, formula: str) -> None:
    """Refuse an arrangement that has not all the atoms that it was to be made of."""
    wanted, found = (one.composition.get_el_amt_dict() for one in (whole, ordered))
    if {symbol: round(amount) for symbol, amount in wanted.items()} != found:
        atoms, left = whole.composition.formula, ordered.composition.formula
        raise _refused(
            f"{name}: putting {atoms} in order left {left}, which is another material; give an ordered "
            "structure",
            formula,
        )


def _lowest(structure: Structure, name: str, formula: str) -> Structure:
    """Return the arrangement of lowest Ewald energy, without oxidation states."""
    from pymatgen.transformations.standard_transformations import OrderDisorderedStructureTransformation

    if structure.is_ordered:
        return structure
    charges = charges_of_composition(structure.composition)
    if charges is None:
        raise _refused(
            f"{name}: its atoms cannot be put in order, since no usual oxidation states balance {formula}; "
            "give an ordered structure",
            formula,
        )
    charged = structure.copy()
    charged.add_oxidation_state_by_element(charges)
    with warnings.catch_warnings():
        # What pymatgen remarks on charges and cells is checked above.
        warnings.simplefilter("ignore")
        ordered = OrderDisorderedStructureTransformation().apply_transformation(charged)
    ordered.remove_oxidation_states()
    return ordered
