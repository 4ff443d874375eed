"""Group `local`: lengths, states, courses along the path, the relaxation and the window."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tasks.descriptors.registry.base import BVSE, SHANNON, Entry, registered
from tasks.descriptors.registry.profile import CHANNELS

if TYPE_CHECKING:
    from tasks.descriptors.registry.base import Descriptor

VERSION = 3
SOLID_ANGLE = "10.1107/S0567739479001765"
ANGLE_VARIANCE = "10.1126/science.172.3983.567"
DISTORTION = "10.1107/S0567740874004560"

_POLYHEDRON: tuple[Entry, ...] = (
    ("d_min_ang", "Å", "least ion-anion distance in the polyhedron", None),
    ("d_mean_ang", "Å", "mean ion-anion distance in the polyhedron", None),
    ("d_std_ang", "Å", "standard deviation of the ion-anion distances", None),
    ("d_max_ang", "Å", "greatest ion-anion distance in the polyhedron", None),
    (
        "coordination_number",
        "1",
        "anions in the polyhedron: Voronoi facets of at least half the largest solid angle; "
        "where the cell is open, within 1.25 times Hoppe's mean distance (10.1524/zkri.1979.150.14.23)",
        SOLID_ANGLE,
    ),
    (
        "voronoi_facets",
        "1",
        "facets of the ion's cell: square of the summed solid angles over the sum of "
        "squares; missing where the cell is open",
        SOLID_ANGLE,
    ),
    ("volume_ang3", "Å³", "volume of the hull of the polyhedron, or of the nearest four anions", None),
    ("distortion", "1", "mean relative deviation of the distances from their mean", DISTORTION),
    (
        "bond_angle_variance_deg2",
        "deg²",
        "variance of the angles of 3, 4 or 6 corners about the ideal ones",
        ANGLE_VARIANCE,
    ),
    ("off_centre_ang", "Å", "distance of the ion from the anions' centroid", None),
    ("flatness", "1", "least eigenvalue of the second moment of directions: 1/3 isotropic, 0 planar", None),
    ("cation_charge", "e", "charge of the nearest cation, shared over 0.1 Å", None),
    ("cation_2_charge", "e", "charge of the second nearest cation, shared over 0.1 Å", None),
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

RELAXATION: tuple[Entry, ...] = (
    ("bvse_barrier_ev", "eV", "relaxation: saddle above the lower end", BVSE),
    ("bvse_site_difference_ev", "eV", "relaxation: absolute difference of the ends' energies", BVSE),
    ("bvse_lowest_ev", "eV", "relaxation: least energy along the path above the lower end", BVSE),
    ("bvse_mean_ev", "eV", "relaxation: mean energy along the path above the lower end", BVSE),
    ("saddle_off_middle", "1", "relaxation: distance of the saddle from the middle, as a share", BVSE),
    ("end_shift_ang", "Å", "relaxation: furthest that an end moved from its site", BVSE),
    ("collapsed", "1", "relaxation: 1 when an end left its site, else 0", BVSE),
)
"""What the relaxation of a path says of the hop."""

_WINDOW: tuple[Entry, ...] = (
    ("window_radius_ang", "Å", "bottleneck triangle: circumradius", None),
    ("window_free_radius_ang", "Å", "bottleneck triangle: circumradius less anions' mean radius", SHANNON),
    ("window_fit_ang", "Å", "bottleneck triangle: free radius less the ion's radius", SHANNON),
    ("window_area_ang2", "Å²", "bottleneck triangle: area", None),
    ("window_shortest_edge_ang", "Å", "bottleneck triangle: shortest edge", None),
    ("window_offset_ang", "Å", "bottleneck triangle: circumcentre to crossing", None),
    ("window_crossed", "1", "1 when the path crosses a triangle of anions, else 0", None),
)


def descriptors() -> tuple[Descriptor, ...]:
    """Return what is said of a hop's local geometry, in order."""
    channel = {entry[0]: entry for entry in CHANNELS}
    described = (*_POLYHEDRON, *(channel[key] for key in _STATE_CHANNELS))
    lengths: tuple[Entry, ...] = (
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
    return registered("local", (*lengths, *RELAXATION, *states, *along, *_WINDOW))
