"""What descriptors know about elements: radii, masses, electronegativities, bond-valence parameters.

Figures come from pymatgen: Shannon crystal radii (10.1107/S0567739476001551), Pauling electronegativities,
and the element parameters of O'Keeffe and Brese (10.1021/ja00009a002), from which bond-valence distances of
any pair follow. Polarisabilities are those of `tasks.descriptors.polarisability`. All are digested in
`table_digest`, since changed figures change descriptors.
"""

from __future__ import annotations

import hashlib
import math
import warnings
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np
from pymatgen.core import Element

from tasks.descriptors.polarisability import ANG3_PER_ATOMIC_UNIT, POLARISABILITY_AU

if TYPE_CHECKING:
    from numpy.typing import NDArray

N_ELEMENTS = 118
BOND_VALENCE_SOFTNESS_ANG = 0.37
"""The universal constant b of the bond-valence method (10.1107/S0108768190011041)."""

SMALL_CATION_ANG = 0.6

ANION_SYMBOLS = ("N", "O", "F", "S", "Cl", "Se", "Br", "Te", "I")
"""Elements that are taken for anions where no charge is known and nothing more electronegative binds them."""


@dataclass(frozen=True)
class ElementTable:
    """Element properties, each an array indexed by atomic number; NaN where a figure does not exist.

    Parameters
    ----------
    anion_radius_ang, cation_radius_ang, covalent_radius_ang : ndarray of shape (119,)
        Shannon crystal radius of the most negative state, mean one over the positive states, and the
        empirical atomic radius, in Å.
    electronegativity : ndarray of shape (119,)
        Pauling's.
    polarisability_ang3 : ndarray of shape (119,)
        Static dipole polarisability of the neutral atom.
    mass_u : ndarray of shape (119,)
        Standard atomic mass.
    row, group : ndarray of shape (119,)
        Place in the periodic table.
    transition_metal, lanthanide, may_be_anion, polyanion_centre : ndarray of shape (119,), bool
        Class membership. Elements whose mean crystal radius as a cation is below 0.6 Å centre polyanions (B,
        C, N, Si, P, S, Be, ...); hydrogen does not, and Shannon has no radius of it.
    bv_size, bv_electronegativity : ndarray of shape (119,)
        Parameters r and c of O'Keeffe and Brese.
    """

    anion_radius_ang: NDArray[np.float64]
    cation_radius_ang: NDArray[np.float64]
    covalent_radius_ang: NDArray[np.float64]
    electronegativity: NDArray[np.float64]
    polarisability_ang3: NDArray[np.float64]
    mass_u: NDArray[np.float64]
    row: NDArray[np.float64]
    group: NDArray[np.float64]
    transition_metal: NDArray[np.bool_]
    lanthanide: NDArray[np.bool_]
    may_be_anion: NDArray[np.bool_]
    polyanion_centre: NDArray[np.bool_]
    bv_size: NDArray[np.float64]
    bv_electronegativity: NDArray[np.float64]


def _number(value: object) -> float:
    """Return a pymatgen figure, with or without a unit, as a float; NaN where there is none."""
    return math.nan if value is None else float(value)  # type: ignore[arg-type]


@lru_cache(maxsize=1)
def element_table() -> ElementTable:
    """Return the table of element properties, read once a process."""
    # Here and not at the top of the file: pymatgen reads two large YAML files when this module is imported.
    from pymatgen.core.bond_valence import BV_PARAMS

    numeric = {name: np.full(N_ELEMENTS + 1, np.nan) for name in ElementTable.__annotations__}
    flags = {
        name: np.zeros(N_ELEMENTS + 1, dtype=bool)
        for name in ("transition_metal", "lanthanide", "may_be_anion", "polyanion_centre")
    }
    numeric["polarisability_ang3"][1:] = ANG3_PER_ATOMIC_UNIT * np.array(POLARISABILITY_AU)
    with warnings.catch_warnings():
        # pymatgen warns for each figure that an element lacks; NaN says the same here.
        warnings.simplefilter("ignore")
        for z in range(1, N_ELEMENTS + 1):
            element = Element.from_Z(z)
            radii = {float(q): float(r) for q, r in element.ionic_radii.items()}
            positive = [r for q, r in radii.items() if q > 0]
            covalent = _number(element.atomic_radius)
            numeric["covalent_radius_ang"][z] = covalent
            numeric["anion_radius_ang"][z] = radii[min(radii)] if radii and min(radii) < 0 else covalent
            numeric["cation_radius_ang"][z] = float(np.mean(positive)) if positive else covalent
            numeric["electronegativity"][z] = _number(element.X)
            numeric["mass_u"][z] = _number(element.atomic_mass)
            numeric["row"][z] = _number(element.row)
            numeric["group"][z] = _number(element.group)
            flags["transition_metal"][z] = bool(element.is_transition_metal)
            flags["lanthanide"][z] = bool(element.is_lanthanoid)
            flags["may_be_anion"][z] = element.symbol in ANION_SYMBOLS
            flags["polyanion_centre"][z] = z > 1 and numeric["cation_radius_ang"][z] < SMALL_CATION_ANG
            if element in BV_PARAMS:
                numeric["bv_size"][z] = float(BV_PARAMS[element]["r"])
                numeric["bv_electronegativity"][z] = float(BV_PARAMS[element]["c"])
    return ElementTable(**{**numeric, **flags})


@lru_cache(maxsize=1)
def table_digest() -> str:
    """Return the digest of every figure that descriptors take from the element table."""
    digest = hashlib.sha256()
    table = element_table()
    for name in ElementTable.__annotations__:
        digest.update(name.encode())
        digest.update(np.round(np.asarray(getattr(table, name), dtype=np.float64), 9).tobytes())
    return digest.hexdigest()


@lru_cache(maxsize=512)
def atomic_number(symbol: str) -> int:
    """Return the atomic number of an element symbol."""
    return int(Element(symbol).Z)


def bond_valence_distance_ang(number: int, partners: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return the distance at which a bond between two elements has valence 1.

    Parameters
    ----------
    number : int
        Atomic number of one element.
    partners : ndarray of int
        Atomic numbers of the others.

    Returns
    -------
    ndarray of float
        Distances in Å; NaN where an element has no parameters.

    References
    ----------
    O'Keeffe and Brese, 10.1021/ja00009a002.
    """
    table = element_table()
    size_a, chi_a = table.bv_size[number], table.bv_electronegativity[number]
    size_b, chi_b = table.bv_size[partners], table.bv_electronegativity[partners]
    correction = size_a * size_b * (np.sqrt(chi_a) - np.sqrt(chi_b)) ** 2 / (chi_a * size_a + chi_b * size_b)
    distance: NDArray[np.float64] = size_a + size_b - correction
    return distance
