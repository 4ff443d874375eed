"""Group `profile`: the channels of the image."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tasks.descriptors.registry.base import (
    BOND_VALENCE,
    BOND_VALENCE_VECTOR,
    BVSE,
    HOPPE,
    SHANNON,
    Entry,
    registered,
)

if TYPE_CHECKING:
    from tasks.descriptors.registry.base import Descriptor

VERSION = 3
N_POSITIONS = 21

WEIGHTED_RADII_ANG = {"anion": (2, 3), "cation": (3, 4)}
"""Soft shells that are also summed by charge and by electronegativity: where each kind is near the ion."""

CHANNELS: tuple[Entry, ...] = (
    *((f"anion_{k}_ang", "Å", f"distance to anion {k} in order of distance", None) for k in range(1, 7)),
    *((f"cation_{k}_ang", "Å", f"distance to cation {k} in order of distance", None) for k in range(1, 5)),
    ("working_ion_ang", "Å", "distance to the nearest other working ion", None),
    *((f"gap_{k}_ang", "Å", f"distance to an anion less both radii, rank {k}", SHANNON) for k in range(1, 4)),
    ("soft_gap_ang", "Å", "room to all anions, as a soft minimum over 0.3 Å", SHANNON),
    ("framework_gap_ang", "Å", "room to the nearest cation other than a working ion", SHANNON),
    ("coordination", "1", "effective coordination number by anions", HOPPE),
    ("mean_anion_ang", "Å", "weighted mean distance that goes with it", HOPPE),
    ("bond_valence_sum", "v.u.", "sum of bond valences with anions", BOND_VALENCE),
    ("bond_valence_mismatch", "v.u.", "that sum less the ion's charge", BOND_VALENCE),
    ("bond_valence_vector", "v.u.", "length of the vector sum of bond valences", BOND_VALENCE_VECTOR),
    ("cation_crowding", "1/Å", "screened sum over cations without charges", None),
    ("cation_repulsion_ev", "eV", "screened Coulomb energy with cations", None),
    ("screened_potential_ev", "eV", "screened Coulomb energy with all ions", None),
    *((f"anion_density_{r}", "1", f"anions in a soft shell at {r} Å", None) for r in (2, 3, 4)),
    *((f"cation_density_{r}", "1", f"cations in a soft shell at {r} Å", None) for r in (2, 3, 4)),
    *(
        (f"{kind}_density_{weight}_{r}", unit, f"{weight} of {kind}s in a soft shell at {r} Å, summed", None)
        for kind, radii in WEIGHTED_RADII_ANG.items()
        for weight, unit in (("charge", "e"), ("electronegativity", "1"))
        for r in radii
    ),
    ("curvature_per_ang", "1/Å", "curvature of the path between its relaxed ends", None),
    ("off_middle_ang", "Å", "distance along the path from its middle", None),
    ("bvse_ev", "eV", "bond-valence site energy above the lower end, both ends relaxed", BVSE),
)  # fmt: skip


def descriptors() -> tuple[Descriptor, ...]:
    """Return the image's channels, in order."""
    return registered("profile", CHANNELS, (N_POSITIONS,))
