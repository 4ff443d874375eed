"""Families of descriptors: those that say nearly the same of a hop, across groups."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from tasks.descriptors.keys import registry

if TYPE_CHECKING:
    from models.specs import GroupName

_STATE = re.compile(r"^(ends_difference|ends|saddle|tight|along)_")

# Of these the first that fits decides; patterns are of a key without the state that it is of.
_LOCAL: tuple[tuple[str, str], ...] = (
    ("d_min", r"d_min_ang|anion_1_ang.*"),
    ("d_std", r"d_std_ang"),
    ("d_mean and d_max", r"d_mean_ang|d_max_ang|mean_anion_ang"),
    ("anions 2 to 6", r"anion_[2-6]_ang.*"),
    ("gaps to anions", r"gap_[123]_ang.*|soft_gap_ang.*"),
    ("window", r"window_.*"),
    ("shape of the polyhedron", r"distortion|bond_angle_variance_deg2|off_centre_ang|flatness"),
    ("coordination and volume", r"coordination.*|voronoi_facets|volume_ang3"),
    ("bond valence", r"bond_valence_.*"),
    ("nearest cations", r"cation_([1-4]_ang|charge|2_charge).*|framework_gap_ang.*|working_ion_ang"),
    ("electrostatics", r"cation_crowding.*|cation_repulsion_ev.*|screened_potential_ev.*"),
    ("soft shells", r"(anion|cation)_density_.*"),
    ("bond-valence site energy", r"bvse_.*|saddle_off_middle|end_shift_ang|collapsed"),
    ("length and course of the path", r"(hop|path)_length_ang|tortuosity|curvature_per_ang|off_middle_ang"),
)  # fmt: skip
_TOPOLOGY: tuple[tuple[str, str], ...] = (
    ("H0 bars", r".*_h0_.*"),
    ("H1 bars", r".*_h1_.*"),
    ("H2 bars", r".*_h2_.*"),
    ("atoms in the clouds", r".*_points"),
)
_CHEMISTRY: tuple[tuple[str, str], ...] = (
    ("which ion moves", r"ion_.*"),
    ("which anions", r"anion_.*"),
    ("composition and cations", r".*"),
)
_RULES: dict[GroupName, tuple[tuple[str, str], ...]] = {
    "local": _LOCAL,
    "profile": _LOCAL,
    "topology": _TOPOLOGY,
    "chemistry": _CHEMISTRY,
}
TOGETHER = {"d_min, gaps and window together": ("d_min", "gaps to anions", "window")}
"""Families that say nearly the same in their turn, beside the division into families."""


def family_of(group: GroupName, key: str) -> str:
    """Return the family of a descriptor.

    Raises
    ------
    KeyError
        When there is none; every registered descriptor has one.
    """
    stem = _STATE.sub("", key) if group == "local" else key
    for family, pattern in _RULES[group]:
        if re.fullmatch(pattern, stem) or re.fullmatch(pattern, key):
            return family
    raise KeyError(f"no family holds the descriptor {key!r} of group {group!r}")


def families() -> dict[str, dict[GroupName, tuple[str, ...]]]:
    """Return every family with its keys by group, and those of `TOGETHER`."""
    found: dict[str, dict[GroupName, list[str]]] = {}
    for group, descriptors in registry().items():
        for descriptor in descriptors:
            family = found.setdefault(family_of(group, descriptor.key), {})
            family.setdefault(group, []).append(descriptor.key)
    for name, parts in TOGETHER.items():
        joined: dict[GroupName, list[str]] = {}
        for part in parts:
            for group, keys in found[part].items():
                joined.setdefault(group, []).extend(keys)
        found[name] = joined
    return {name: {group: tuple(keys) for group, keys in members.items()} for name, members in found.items()}
