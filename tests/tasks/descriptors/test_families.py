"""Every descriptor is of one family, and the families are those that chemists would name."""

from __future__ import annotations

from collections import Counter

import pytest

from tasks.descriptors.assemble import INPUT_SPEC
from tasks.descriptors.families import TOGETHER, families, family_of


def test_every_descriptor_is_of_exactly_one_family():
    counts = Counter(
        (group, key)
        for name, members in families().items()
        if name not in TOGETHER
        for group, keys in members.items()
        for key in keys
    )
    assert counts == Counter((group.name, key) for group in INPUT_SPEC.groups for key in group.keys)


@pytest.mark.parametrize(
    ("group", "key", "family"),
    [
        ("local", "saddle_d_min_ang", "d_min"),
        ("local", "ends_difference_d_min_ang", "d_min"),
        ("local", "along_anion_1_ang_min", "d_min"),
        ("profile", "anion_1_ang", "d_min"),
        ("local", "ends_d_std_ang", "d_std"),
        ("local", "tight_anion_2_ang", "anions 2 to 6"),
        ("local", "bvse_barrier_ev", "bond-valence site energy"),
        ("profile", "bvse_ev", "bond-valence site energy"),
        ("profile", "off_middle_ang", "length and course of the path"),
        ("local", "along_soft_gap_ang_fall", "gaps to anions"),
        ("topology", "framework_ion_h0_death_max_ang", "H0 bars"),
        ("topology", "metal_h1_betti_3", "H1 bars"),
        ("chemistry", "ion_radius_ang", "which ion moves"),
        ("chemistry", "cation_radius_ang_min", "composition and cations"),
    ],
)
def test_of_which_family(group, key, family):
    assert family_of(group, key) == family
    assert key in families()[family][group]


def test_families_that_go_together_hold_all_of_their_parts():
    found = families()
    for name, parts in TOGETHER.items():
        for group, keys in found[name].items():
            assert sorted(keys) == sorted(key for part in parts for key in found[part].get(group, ()))


def test_what_is_not_registered_has_none():
    with pytest.raises(KeyError, match="no family holds"):
        family_of("topology", "anion_h7_count")
