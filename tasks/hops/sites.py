"""Sites of a structure: which ones hold the working ion, and what charge each site carries."""

from __future__ import annotations

import math
import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from pymatgen.core import Composition, Element, Structure

from tasks.hops.symmetry import DEFAULT_SYMPREC_ANG, primitive_cell

if TYPE_CHECKING:
    from pymatgen.core import Structure as StructureType

STAGE_VERSION = 1
"""Raised whenever the same structure gives other results: it is part of the keys that results stand under."""

EMPTY_SITES_VERSION = 3
"""The same for `tasks.hops.empty_sites`; kept here, since keys are made without loading torch."""

MAX_BOND_VALENCE_SITES = 300
"""Primitive cells beyond this many sites are charged by composition, since bond valence grows slow there."""

MAX_PERMUTATIONS = 5_000
"""Assignments that the bond-valence analysis may try: about a second at worst."""

MAX_COMPOSITION_TERMS = 200_000
"""Terms that the composition guess may sum: about a second at worst."""

ANION_STATES = {"O": -2, "F": -1}
"""Anions that are taken to have one state: a guess would make peroxide of any oxide that does not balance."""

OXOANION_STATES = {"B": 3, "C": 4, "Si": 4, "P": 5, "S": 6}
"""Centres of borates, carbonates, silicates, phosphates and sulfates, where there is oxygen enough."""

OXYGEN_PER_CENTRE = 2.5
"""Least oxygen a centre of an oxoanion: that of a layered disilicate, Si2O5."""

BOND_VALENCE_SYMPREC_ANG = 0.1
"""How far apart equivalent sites may lie when charges are shared out: pymatgen's own setting."""


STATE_SLACK = 0.5
"""How far the balancing mean may lie outside an element's usual states, as in hosts that lack a few ions."""


@dataclass(frozen=True)
class Charges:
    """Oxidation states of a structure's sites, and how they were found.

    Parameters
    ----------
    values : tuple of float or None
        One a site, in the stored order; None where unknown.
    method : {"bond_valence", "composition"} or None
        How they were assigned; None when neither way worked.
    """

    values: tuple[float | None, ...]
    method: Literal["bond_valence", "composition"] | None


def working_ion_sites(structure: StructureType, working_ion: str) -> tuple[int, ...]:
    """Return the indices of the sites that hold the working ion, over all stored sites.

    Parameters
    ----------
    structure : Structure
        An ordered crystal.
    working_ion : str
        Element symbol.

    Returns
    -------
    tuple of int
        Ascending indices; empty when there is none.
    """
    return tuple(k for k, site in enumerate(structure) if site.specie.symbol == working_ion)


def assign_charges(structure: StructureType) -> Charges:
    """Assign oxidation states: by bond valence, else by composition, else none.

    Both ways are bounded in time, and charges that the structure came with are not used: they have no
    known origin. The composition gives each element its mean, which may be fractional.

    Parameters
    ----------
    structure : Structure
        An ordered crystal.

    Returns
    -------
    Charges
        One value a site, and the method.

    References
    ----------
    O'Keeffe and Brese, J. Am. Chem. Soc. 113, 3226 (1991), doi:10.1021/ja00009a002.
    """
    by_valence = _by_bond_valence(structure)
    if by_valence is not None:
        return Charges(values=by_valence, method="bond_valence")
    by_element = charges_of_composition(structure.composition)
    if by_element is not None:
        values = tuple(by_element[site.specie.symbol] for site in structure)
        return Charges(values=values, method="composition")
    return Charges(values=(None,) * len(structure), method=None)


def charges_of_composition(composition: Composition) -> dict[str, float] | None:
    """Return the mean oxidation state of each element in the likeliest neutral guess.

    Parameters
    ----------
    composition : Composition
        Whole numbers of atoms; oxidation states in it are not used.

    Returns
    -------
    dict of str to float or None
        By element symbol; None where usual states do not balance, or there are too many ways.
    """
    with warnings.catch_warnings():
        # pymatgen warns of elements without an electronegativity or statistics, and then finds nothing.
        warnings.simplefilter("ignore")
        return _by_composition(composition)


def _by_bond_valence(structure: StructureType) -> tuple[float, ...] | None:
    """Return the most likely neutral assignment on the primitive cell, copied to every stored site."""
    # Loaded late: the module reads its parameter files when imported.
    from pymatgen.analysis.bond_valence import BVAnalyzer

    cell = primitive_cell(structure, DEFAULT_SYMPREC_ANG)
    if len(cell.sites) > MAX_BOND_VALENCE_SITES:
        return None
    symbols = [structure[int(k)].specie.symbol for k in cell.sites]
    primitive = Structure(cell.lattice, symbols, cell.frac)
    analyzer = BVAnalyzer(symm_tol=BOND_VALENCE_SYMPREC_ANG, max_permutations=MAX_PERMUTATIONS)
    try:
        with warnings.catch_warnings():
            # Missing electronegativities and spglib's own notes are no reason to stop here.
            warnings.simplefilter("ignore")
            valences = analyzer.get_valences(primitive)
    except Exception:  # noqa: BLE001 - any failure of the peer means that this way does not work
        return None
    if len(valences) != len(symbols) or sum(valences) != 0:
        return None
    return tuple(float(valences[k]) for k in cell.index_of_site)


def _by_composition(composition: Composition) -> dict[str, float] | None:
    """Return the mean oxidation state of each element in the likeliest neutral guess."""
    reduced = Composition(composition.get_el_amt_dict()).reduced_composition
    amounts = reduced.get_el_amt_dict()
    states = _usual_states(amounts)
    if any(not some for some in states.values()) or any(n != int(n) for n in amounts.values()):
        return None
    balanced = _balance_one(amounts, states)
    if balanced is not None:
        return balanced
    if not _is_quick(amounts, states):
        return None
    try:
        guesses = reduced.oxi_state_guesses(oxi_states_override={k: list(v) for k, v in states.items()})
    except Exception:  # noqa: BLE001 - any failure of the peer means that this way does not work
        return None
    # A guess of zeros, as for a metal, is no charge assignment.
    if not guesses or not any(guesses[0].values()):
        return None
    return {str(symbol): float(state) for symbol, state in guesses[0].items()}


def _usual_states(amounts: dict[str, float]) -> dict[str, tuple[int, ...]]:
    """Return the oxidation states that each element may take beside the others of the formula."""
    states: dict[str, tuple[int, ...]] = {}
    oxygen = amounts.get("O", 0.0)
    centres = sum(amounts.get(symbol, 0.0) for symbol in OXOANION_STATES)
    in_oxoanion = oxygen >= OXYGEN_PER_CENTRE * centres
    for symbol in amounts:
        element = Element(symbol)
        if symbol in OXOANION_STATES and oxygen > 0 and in_oxoanion:
            states[symbol] = (OXOANION_STATES[symbol],)
        elif symbol in ANION_STATES:
            states[symbol] = (ANION_STATES[symbol],)
        else:
            states[symbol] = tuple(element.icsd_oxidation_states or element.common_oxidation_states)
    return states


def _balance_one(amounts: dict[str, float], states: dict[str, tuple[int, ...]]) -> dict[str, float] | None:
    """Return the mean states in closed form where only one element is free to balance the rest."""
    free = [symbol for symbol, some in states.items() if len(some) > 1]
    if len(free) != 1:
        return None
    fixed = {symbol: float(some[0]) for symbol, some in states.items() if symbol != free[0]}
    mean = -sum(amounts[symbol] * state for symbol, state in fixed.items()) / amounts[free[0]]
    if not min(states[free[0]]) - STATE_SLACK <= mean <= max(states[free[0]]) + STATE_SLACK:
        return None
    return fixed | {free[0]: mean}


def _is_quick(amounts: dict[str, float], states: dict[str, tuple[int, ...]]) -> bool:
    """Say whether the guess stays within bounds: it sums all multisets, then combines all sums."""
    terms, sums = 0, 1
    for symbol, amount in amounts.items():
        n, some = int(amount), states[symbol]
        terms += n * math.comb(n + len(some) - 1, len(some) - 1)
        sums *= n * (max(some) - min(some)) + 1
    return max(terms, sums) <= MAX_COMPOSITION_TERMS
