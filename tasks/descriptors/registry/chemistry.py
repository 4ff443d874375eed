"""Group `chemistry`: the working ion, the composition, and charges near the path."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tasks.descriptors.registry.base import HOPPE, SHANNON, Entry, registered

if TYPE_CHECKING:
    from tasks.descriptors.registry.base import Descriptor

VERSION = 3
POLARISABILITY = "10.1080/00268976.2018.1535143"
BOND_ORDER = "10.1103/PhysRevB.28.784"

WORKING_IONS = ("Li", "Na", "K", "Rb", "Mg", "Ca", "Zn", "Al", "Sr")
ANION_ELEMENTS = ("O", "F", "S", "Se", "Cl", "Br", "I", "N")

_SPREADS = (("mean", "mean"), ("std", "standard deviation of the"), ("min", "least"), ("max", "greatest"))

_CHEMISTRY: tuple[Entry, ...] = (
    *((f"ion_is_{symbol}", "1", f"1 when the working ion is {symbol}", None) for symbol in WORKING_IONS),
    ("ion_charge", "e", "oxidation state of the working ion", None),
    ("ion_radius_ang", "Å", "crystal radius of the working ion", SHANNON),
    ("ion_potential_per_ang", "e/Å", "its charge over its radius", SHANNON),
    ("ion_mass_u", "u", "its mass", None),
    ("ion_electronegativity", "1", "its electronegativity (Pauling)", None),
    *((f"anion_is_{symbol}", "1", f"share of {symbol} among the anions", None) for symbol in ANION_ELEMENTS),
    ("volume_per_atom_ang3", "Å³", "volume per atom", None),
    ("volume_per_anion_ang3", "Å³", "volume per anion", None),
    ("working_ion_share", "1", "share of working ions in the composition", None),
    ("working_ions_per_anion", "1", "working ions per anion", None),
    ("host_working_ion_share", "1", "working ions left in the host over those of the full structure", None),
    ("nearby_working_ion_share", "1", "share of working ions among the atoms near the path", None),
    ("nearby_anion_share", "1", "share of anions among the atoms near the path", None),
    ("transition_metal_share", "1", "share of transition metals in the composition", None),
    ("lanthanide_share", "1", "share of lanthanides in the composition", None),
    ("small_cation_share", "1", "share of cations but hydrogen below 0.6 Å, which make polyanions", SHANNON),
    ("n_elements", "1", "number of elements", None),
    ("electronegativity_mean", "1", "mean electronegativity of the composition", None),
    ("electronegativity_std", "1", "its standard deviation", None),
    ("anion_electronegativity", "1", "mean electronegativity of the anions", None),
    ("anion_radius_ang", "Å", "mean crystal radius of the anions", SHANNON),
    ("anion_charge_mean", "e", "mean charge of the anions near the path", None),
    ("cation_charge_mean", "e", "mean charge of the host's cations near the path", None),
    ("cation_charge_std", "e", "its standard deviation", None),
    *(
        (f"cation_{name}_{course}", unit, f"{words} {what} of the host's cations", reference)
        for name, unit, what, reference in (
            ("electronegativity", "1", "electronegativity", None),
            ("radius_ang", "Å", "crystal radius", SHANNON),
        )
        for course, words in _SPREADS
    ),
    ("polarisability_ang3", "Å³", "mean polarisability of the composition's neutral atoms", POLARISABILITY),
    ("anion_polarisability_ang3", "Å³", "mean polarisability of the anions' neutral atoms", POLARISABILITY),
    ("cation_polarisability_ang3", "Å³", "the same of the host's cations", POLARISABILITY),
    ("anion_anion_ang", "Å", "distance of an anion near the path to its nearest anion, mean", None),
    ("anion_neighbours", "1", "effective number of anions around an anion near the path, mean", HOPPE),
    ("anion_q4", "1", "bond order q4 of anions around an anion near the path, mean", BOND_ORDER),
    ("anion_q6", "1", "bond order q6 of anions around an anion near the path, mean", BOND_ORDER),
    ("cation_row_mean", "1", "mean period of the host's cations", None),
    ("transition_metal_group", "1", "mean group of the transition metals", None),
    ("transition_metal_row", "1", "mean period of the transition metals", None),
)  # fmt: skip


def descriptors() -> tuple[Descriptor, ...]:
    """Return what is said of a hop's chemistry, in order."""
    return registered("chemistry", _CHEMISTRY)
