"""The bond-valence site energy (BVSE) of a moving ion in a rigid host: parameters, and slow, obvious sums.

The energy is a Morse term with every anion plus a screened Coulomb repulsion with every cation:

    E = sum over anions   of d0/2 * ((exp(alpha * (r_min - r)) - 1)^2 - 1)
      + sum over cations  of k * q1 * q2 / sqrt(n1 * n2) / r * erfc(r / (f * (R1 + R2)))

with n the principal quantum number of the valence shell (the period), R the covalent radius, k Coulomb's
constant and f the screening factor.

References
----------
Adams and Rao, Phys. Chem. Chem. Phys. 11, 3210 (2009), doi:10.1039/b901753d; Chen, Wong and Adams (softBV),
Acta Cryst. B 75, 18 (2019), doi:10.1107/S2052520618015718.
"""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np
from ase.data import covalent_radii
from pymatgen.core import Element
from scipy.special import erfc

from tasks.hops.bvse_table import ION_CHARGES, MORSE

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import ArrayLike, NDArray

COULOMB_EV_ANG = 14.4
"""Coulomb's constant as the parameters were made with."""

SCREENING_FACTOR = 0.74
"""f, the screening of the repulsion between cations."""

STATE_TOLERANCE = 0.5
"""An anion whose charge is this near to a tabulated state takes that state's parameters.

Charges by composition are means: an oxygen of -1.9 beside a few peroxide neighbours is bound as O2- is.
"""


@dataclass(frozen=True)
class PairParameters:
    """What the moving ion's energy needs of each host atom; zeros where an atom takes no part in a term.

    Parameters
    ----------
    depth_ev : ndarray of shape (M,)
        d0 of the Morse term in eV.
    alpha_per_ang : ndarray of shape (M,)
        Its steepness in 1/Å.
    r_min_ang : ndarray of shape (M,)
        Its minimum in Å.
    coulomb_ev_ang : ndarray of shape (M,)
        k q1 q2 / sqrt(n1 n2) in eV Å.
    screening_per_ang : ndarray of shape (M,)
        1 / (f (R1 + R2)) in 1/Å.
    """

    depth_ev: NDArray[np.float64]
    alpha_per_ang: NDArray[np.float64]
    r_min_ang: NDArray[np.float64]
    coulomb_ev_ang: NDArray[np.float64]
    screening_per_ang: NDArray[np.float64]


def missing_parameters(
    working_ion: str, numbers: ArrayLike, charges: Sequence[float | None] | NDArray[np.float64]
) -> tuple[str, ...]:
    """Name what keeps a host from having a BVSE.

    Parameters
    ----------
    working_ion : str
        Element symbol of the moving ion.
    numbers : array_like of shape (M,), int
        Atomic numbers of the host atoms.
    charges : sequence of float or None, of length M
        Their oxidation states; None or NaN where unknown.

    Returns
    -------
    tuple of str
        Such as ``Li-P3-``, ``Sr`` (no parameters for this ion) or ``charges``; empty when nothing is missing.
    """
    if working_ion not in ION_CHARGES:
        return (working_ion,)
    missing = set()
    for z, charge in set(zip(np.asarray(numbers).tolist(), map(_number, charges), strict=True)):
        if math.isnan(charge):
            return ("charges",)
        symbol = Element.from_Z(int(z)).symbol
        if charge < 0.0 and _morse(working_ion, symbol, charge) is None:
            missing.add(f"{working_ion}-{symbol}{-charge:g}-")
    return tuple(sorted(missing))


def pair_parameters(
    working_ion: str, numbers: NDArray[np.int64], charges: NDArray[np.float64]
) -> PairParameters:
    """Return the parameters of the moving ion with each host atom.

    Parameters
    ----------
    working_ion : str
        Element symbol of the moving ion; its charge is the tabulated one.
    numbers : ndarray of shape (M,)
        Atomic numbers.
    charges : ndarray of shape (M,)
        Oxidation states; an atom without charge takes no part.

    Returns
    -------
    PairParameters
        One entry an atom.

    Raises
    ------
    KeyError
        If something is missing: ask `missing_parameters` first.
    """
    found = {name: np.zeros(len(numbers)) for name in PairParameters.__annotations__}
    ion = Element(working_ion)
    kinds, which = np.unique(np.column_stack([numbers, charges]), axis=0, return_inverse=True)
    for kind, (z, charge) in enumerate(kinds.tolist()):
        atoms = which.reshape(-1) == kind
        other = Element.from_Z(int(z))
        # Every atom gets a screening length, so that no term divides by zero.
        radii_ang = float(covalent_radii[ion.Z] + covalent_radii[int(z)])
        found["screening_per_ang"][atoms] = 1.0 / (SCREENING_FACTOR * radii_ang)
        if charge < 0.0:
            morse = _morse(working_ion, other.symbol, charge)
            if morse is None:
                raise KeyError(f"no BVSE parameters for {working_ion} with {other.symbol}{-charge:g}-")
            found["r_min_ang"][atoms], found["alpha_per_ang"][atoms], found["depth_ev"][atoms] = morse
        elif charge > 0.0:
            scale = COULOMB_EV_ANG / math.sqrt(ion.row * other.row)
            found["coulomb_ev_ang"][atoms] = scale * ION_CHARGES[working_ion] * charge
    return PairParameters(**found)


def site_energy_ev(
    positions_ang: NDArray[np.float64], coords_ang: NDArray[np.float64], parameters: PairParameters
) -> NDArray[np.float64]:
    """Return the BVSE of the ion at some positions, summed over given atoms as it is written above.

    Parameters
    ----------
    positions_ang : ndarray of shape (P, 3)
        Where the ion is, in Å.
    coords_ang : ndarray of shape (M, 3)
        Host atoms in the same frame, in Å.
    parameters : PairParameters
        One entry a host atom.

    Returns
    -------
    ndarray of shape (P,)
        Energies in eV.
    """
    p = parameters
    r = np.linalg.norm(positions_ang[:, None] - coords_ang[None], axis=-1)
    morse = 0.5 * p.depth_ev * ((np.exp(p.alpha_per_ang * (p.r_min_ang - r)) - 1.0) ** 2 - 1.0)
    coulomb = p.coulomb_ev_ang / r * erfc(r * p.screening_per_ang)
    total: NDArray[np.float64] = (morse + coulomb).sum(axis=1)
    return total


@lru_cache(maxsize=1)
def bvse_tables_digest() -> str:
    """Return the digest of every figure that the BVSE rests on, for the stage key."""
    radii = [round(float(radius), 6) for radius in covalent_radii]
    rows = [int(Element.from_Z(z).row) for z in range(1, 104)]
    parts = (
        sorted(MORSE.items()),
        sorted(ION_CHARGES.items()),
        radii,
        rows,
        COULOMB_EV_ANG,
        SCREENING_FACTOR,
        STATE_TOLERANCE,
    )
    return hashlib.sha256(repr(parts).encode()).hexdigest()


def _number(charge: float | None) -> float:
    return math.nan if charge is None else float(charge)


def _morse(working_ion: str, anion: str, charge: float) -> tuple[float, float, float] | None:
    """Return r_min, alpha and d0 of a pair; None where the table has none for that anion and state."""
    found = MORSE.get((working_ion, anion))
    if found is None or abs(charge - found[0]) > STATE_TOLERANCE:
        return None
    return found[1:]
