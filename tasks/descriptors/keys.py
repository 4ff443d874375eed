"""The registry of descriptors: key, group, shape, unit, meaning and reference of each number a model sees.

The order of a group's keys is the order of its array. Raise a group's version whenever a value changes.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from functools import lru_cache
from itertools import pairwise
from typing import get_args

from models.specs import GROUP_NAMES, GroupName
from tasks.descriptors.errors import DescriptorError

GROUP_VERSIONS: dict[GroupName, int] = {"local": 2, "profile": 2, "topology": 2, "chemistry": 2}

WORKING_IONS = ("Li", "Na", "K", "Rb", "Mg", "Ca", "Zn", "Al", "Sr")
ANION_ELEMENTS = ("O", "F", "S", "Se", "Cl", "Br", "I", "N")
BETTI_BINS = (1.0, 1.5, 2.0, 2.5, 3.0, 3.5, 4.0, 4.5, 5.0, 5.5, 6.0)
"""Edges in Å of the bins of the Betti curves."""

N_POSITIONS = 21

SHANNON = "10.1107/S0567739476001551"
HOPPE = "10.1524/zkri.1979.150.14.23"
BOND_VALENCE = "10.1021/ja00009a002"
BOND_VALENCE_VECTOR = "10.1107/S0108768106026553"
DISTORTION = "10.1107/S0567740874004560"
BVSE = "10.1039/b901753d"
RIPSER = "10.21105/joss.00925"
ENTROPY = "10.1016/j.patcog.2020.107509"
BETTI_CURVE = "10.1527/tjsai.D-G72"


@dataclass(frozen=True)
class Descriptor:
    """One registered descriptor.

    Parameters
    ----------
    key : str
        Name, unique within its group.
    group : str
        Group whose array holds it.
    shape : tuple of int
        Shape of one hop's value: () for a number, (21,) for a channel of an image.
    unit : str
        Unit; "1" for a pure number.
    meaning : str
        What it is.
    reference : str or None
        DOI of the definition or of the figures that it rests on.
    """

    key: str
    group: GroupName
    shape: tuple[int, ...]
    unit: str
    meaning: str
    reference: str | None = None


_Entry = tuple[str, str, str, str | None]

_CHANNELS: tuple[_Entry, ...] = (
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
    ("off_middle_ang", "Å", "distance along the path from its middle", None),
    ("bvse_ev", "eV", "bond-valence site energy above the lower end", BVSE),
)  # fmt: skip

_POLYHEDRON: tuple[_Entry, ...] = (
    ("d_min_ang", "Å", "least ion-anion distance in the polyhedron", None),
    ("d_mean_ang", "Å", "mean ion-anion distance in the polyhedron", None),
    ("d_std_ang", "Å", "standard deviation of the ion-anion distances", None),
    ("d_max_ang", "Å", "greatest ion-anion distance in the polyhedron", None),
    ("coordination_number", "1", "anions in the polyhedron: within 1.25 times Hoppe's mean distance", HOPPE),
    ("volume_ang3", "Å³", "volume of the hull of the polyhedron, or of the nearest four anions", None),
    ("distortion", "1", "mean relative deviation of the distances from their mean", DISTORTION),
    ("off_centre_ang", "Å", "distance of the ion from the anions' centroid", None),
    ("flatness", "1", "least eigenvalue of the second moment of directions: 1/3 isotropic, 0 planar", None),
    ("cation_charge", "e", "charge of the nearest cation", None),
)

_STATE_CHANNELS = (
    "anion_2_ang", "anion_3_ang", "anion_4_ang", "anion_5_ang", "anion_6_ang", "cation_1_ang", "cation_2_ang",
    "working_ion_ang", "gap_1_ang", "gap_2_ang", "soft_gap_ang", "framework_gap_ang", "coordination",
    "bond_valence_sum", "bond_valence_mismatch", "bond_valence_vector", "cation_crowding",
    "cation_repulsion_ev", "screened_potential_ev",
)  # fmt: skip

ALONG_CHANNELS = (
    "anion_1_ang", "gap_1_ang", "soft_gap_ang", "framework_gap_ang", "cation_1_ang", "coordination",
    "bond_valence_sum", "bond_valence_vector", "cation_crowding", "cation_repulsion_ev",
    "screened_potential_ev",
)  # fmt: skip
"""Channels of the profile whose course along the path enters the local vector."""

STATE_QUANTITIES = (*(entry[0] for entry in _POLYHEDRON), *_STATE_CHANNELS)
"""What is said of each state, in order."""

STATES = {
    "ends": "mean of the initial and final states",
    "ends_difference": "absolute difference of the initial and final states",
    "saddle": "transition state of the relaxed path, or middle of a straight one",
    "tight": "tightest point of the path's middle half",
}

_COURSES = {
    "min": "least along the path",
    "max": "greatest along the path",
    "mean": "mean along the path",
    "rise": "greatest along the path less the mean of the ends",
    "fall": "mean of the ends less the least along the path",
}

RELAXATION: tuple[_Entry, ...] = (
    ("bvse_barrier_ev", "eV", "relaxation: saddle above the lower end", BVSE),
    ("bvse_site_difference_ev", "eV", "relaxation: absolute difference of the ends' energies", BVSE),
    ("bvse_lowest_ev", "eV", "relaxation: least energy along the path above the lower end", BVSE),
    ("bvse_mean_ev", "eV", "relaxation: mean energy along the path above the lower end", BVSE),
    ("saddle_off_middle", "1", "relaxation: distance of the saddle from the middle, as a share", BVSE),
    ("end_shift_ang", "Å", "relaxation: furthest that an end moved from its site", BVSE),
    ("collapsed", "1", "relaxation: 1 when an end left its site, else 0", BVSE),
)
"""What the relaxation of a path says of the hop."""

_WINDOW: tuple[_Entry, ...] = (
    ("window_radius_ang", "Å", "bottleneck triangle: circumradius", None),
    ("window_free_radius_ang", "Å", "bottleneck triangle: circumradius less the anions' radius", SHANNON),
    ("window_fit_ang", "Å", "bottleneck triangle: free radius less the ion's radius", SHANNON),
    ("window_area_ang2", "Å²", "bottleneck triangle: area", None),
    ("window_shortest_edge_ang", "Å", "bottleneck triangle: shortest edge", None),
    ("window_offset_ang", "Å", "bottleneck triangle: circumcentre to crossing", None),
    ("window_crossed", "1", "1 when the path crosses a triangle of anions, else 0", None),
)

CLOUDS = {
    "anion": "anions",
    "cation": "cations, other working ions included",
    "framework": "all atoms but other working ions",
}

_H0: tuple[_Entry, ...] = (
    ("count", "1", "bars, short ones fading", None),
    ("death_mean_ang", "Å", "mean death, weighed by length", None),
    ("death_std_ang", "Å", "standard deviation of deaths, weighed by length", None),
    ("death_min_ang", "Å", "least death", None),
    ("death_max_ang", "Å", "greatest death", None),
    ("length_sum_ang", "Å", "total length", None),
    ("entropy", "1", "persistent entropy", ENTROPY),
)
_H1: tuple[_Entry, ...] = (
    *_H0,
    ("birth_mean_ang", "Å", "mean birth, weighed by length", None),
    ("birth_min_ang", "Å", "least birth", None),
    ("birth_max_ang", "Å", "greatest birth", None),
    ("length_mean_ang", "Å", "mean length, weighed by length", None),
    ("length_std_ang", "Å", "standard deviation of lengths, weighed by length", None),
    ("length_max_ang", "Å", "greatest length", None),
)

_SPREADS = (("mean", "mean"), ("std", "standard deviation of the"), ("min", "least"), ("max", "greatest"))

_CHEMISTRY: tuple[_Entry, ...] = (
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
    ("small_cation_share", "1", "share of cations below 0.6 Å, which make polyanions", SHANNON),
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
    ("cation_row_mean", "1", "mean period of the host's cations", None),
    ("transition_metal_group", "1", "mean group of the transition metals", None),
    ("transition_metal_row", "1", "mean period of the transition metals", None),
)  # fmt: skip


def _profile() -> list[Descriptor]:
    """Return the image's channels."""
    return [Descriptor(k, "profile", (N_POSITIONS,), u, m, r) for k, u, m, r in _CHANNELS]


def _local() -> list[Descriptor]:
    """Return lengths, states, courses along the path, and the window."""
    channel = {entry[0]: entry for entry in _CHANNELS}
    described = (*_POLYHEDRON, *(channel[key] for key in _STATE_CHANNELS))
    lengths: tuple[_Entry, ...] = (
        ("hop_length_ang", "Å", "distance between the end sites", None),
        ("path_length_ang", "Å", "length of the path", None),
        ("tortuosity", "1", "path length over that distance; 1 for a straight path", None),
    )
    states = [
        (f"{state}_{key}", unit, f"{where}: {meaning}", reference)
        for state, where in STATES.items()
        for key, unit, meaning, reference in described
    ]
    along = [
        (f"along_{key}_{course}", channel[key][1], f"{channel[key][2]}: {words}", channel[key][3])
        for key in ALONG_CHANNELS
        for course, words in _COURSES.items()
    ]
    return [
        Descriptor(k, "local", (), u, m, r)
        for k, u, m, r in (*lengths, *RELAXATION, *states, *along, *_WINDOW)
    ]


def _topology() -> list[Descriptor]:
    """Return bar statistics and Betti curves of each cloud."""
    found: list[Descriptor] = []
    for cloud, what in CLOUDS.items():
        found.append(Descriptor(f"{cloud}_points", "topology", (), "1", f"{what}: atoms in the cloud"))
        for dimension, entries in enumerate((_H0, _H1)):
            stem = f"{cloud}_h{dimension}"
            for key, unit, words, reference in entries:
                meaning = f"{what}, H{dimension}: {words}"
                doi = RIPSER if reference is None else reference
                found.append(Descriptor(f"{stem}_{key}", "topology", (), unit, meaning, doi))
            for k, (low, high) in enumerate(pairwise(BETTI_BINS)):
                meaning = f"{what}, H{dimension}: mean bars alive per atom from {low} to {high} Å"
                found.append(Descriptor(f"{stem}_betti_{k}", "topology", (), "1", meaning, BETTI_CURVE))
    return found


@lru_cache(maxsize=1)
def registry() -> dict[GroupName, tuple[Descriptor, ...]]:
    """Return every descriptor by group, in the order of the group's array."""
    chemistry = [Descriptor(k, "chemistry", (), u, m, r) for k, u, m, r in _CHEMISTRY]
    return {
        "local": tuple(_local()),
        "profile": tuple(_profile()),
        "topology": tuple(_topology()),
        "chemistry": tuple(chemistry),
    }


@lru_cache(maxsize=len(GROUP_NAMES))
def group_keys(group: GroupName) -> tuple[str, ...]:
    """Return the keys of a group in the order of its array.

    Parameters
    ----------
    group : {"local", "profile", "topology", "chemistry"}
        Name of the group.

    Returns
    -------
    tuple of str
        The keys.

    Raises
    ------
    DescriptorError
        If there is no such group.
    """
    if group not in get_args(GroupName):
        raise DescriptorError(f"No descriptor group {group!r}: choose one of {', '.join(GROUP_NAMES)}.")
    return tuple(descriptor.key for descriptor in registry()[group])


def descriptor_table() -> list[dict[str, object]]:
    """Return the registry as rows for people: key, group, version, shape, unit, meaning, reference."""
    return [
        {**asdict(descriptor), "version": GROUP_VERSIONS[group]}
        for group in GROUP_NAMES
        for descriptor in registry()[group]
    ]
