"""The hop network is the same however the crystal is written down, for crystals of many space groups."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pymatgen.core import Structure

from tasks.hops.network import hop_network
from tests.tasks.hops import crystals
from tests.tasks.hops.conftest import lithium_cobaltate, lithium_manganate, olivine

CRYSTALS = {
    "P1": crystals.featureless,
    "P-1": crystals.triclinic,
    "C2/m": lithium_manganate,
    "Pmn2_1": crystals.phosphate,
    "Pnma": olivine,
    "P4mm": crystals.tetragonal,
    "P3_121": crystals.trigonal,
    "P-3m1": crystals.single_layers,
    "R-3m": lithium_cobaltate,
    "Fm-3m": crystals.antifluorite,
    "Fd-3m": crystals.spinel,
}
LONGEST_ANG = 5.4
NOISE_ANG = 3e-4
"""Standard deviation: three of them in three directions stay well within symprec, 0.01 Å."""

SHEARS = st.lists(
    st.tuples(st.integers(0, 2), st.integers(0, 2), st.integers(-1, 1)).filter(lambda s: s[0] != s[1]),
    max_size=3,
)
WAYS = settings(max_examples=25, deadline=None, derandomize=True)
NAMES = st.sampled_from(sorted(CRYSTALS))
SEEDS = st.integers(0, 2**32 - 1)


@lru_cache
def crystal_and_network(name):
    """A crystal, the network up to a length that no hop is near, and that length."""
    crystal = CRYSTALS[name]()
    lengths = [h.distance_ang for h in hop_network(crystal, "Li", cutoff_ang=LONGEST_ANG).hops]
    lengths = np.array([2.5, *lengths, LONGEST_ANG])
    # The widest gap of the last ones: noise must not take a hop across the cutoff.
    gaps = np.diff(lengths) * (lengths[1:] > 4.0)
    cutoff_ang = float(lengths[gaps.argmax()] + gaps.max() / 2)
    return crystal, hop_network(crystal, "Li", cutoff_ang=cutoff_ang), cutoff_ang


def facts(network, n_sites):
    """What must not depend on how the crystal is written down, apart from lengths; multiplicities a site."""
    return sorted(
        (h.mechanism, round(h.multiplicity / n_sites, 9), h.direction_symmetric, h.blocked_by or "")
        for h in network.hops
    )


def check_same(other, name, tolerance_ang=1e-6):
    """Compare another description of a crystal with the first one."""
    crystal, expected, cutoff_ang = crystal_and_network(name)
    got = hop_network(other, "Li", cutoff_ang=cutoff_ang)
    assert len(expected.hops) > 0
    assert (got.symmetry_found, got.reached_dim) == (expected.symmetry_found, expected.reached_dim)
    assert facts(got, len(other)) == facts(expected, len(crystal))
    lengths = [sorted(h.distance_ang for h in network.hops) for network in (got, expected)]
    np.testing.assert_allclose(*lengths, atol=tolerance_ang)


def rebuilt(lattice, structure, frac):
    """A structure of the same species."""
    return Structure(lattice, structure.species, frac)


@given(name=NAMES, shift=st.tuples(*[st.floats(-3, 3, allow_nan=False)] * 3), seed=SEEDS)
@WAYS
def test_translation_also_of_single_sites_by_whole_cells(name, shift, seed):
    crystal = crystal_and_network(name)[0]
    cells = np.random.default_rng(seed).integers(-2, 3, (len(crystal), 3))
    check_same(rebuilt(crystal.lattice, crystal, crystal.frac_coords + shift + cells), name)


@given(name=NAMES, seed=SEEDS)
@WAYS
def test_rotation_and_reflection(name, seed):
    crystal = crystal_and_network(name)[0]
    turn, _ = np.linalg.qr(np.random.default_rng(seed).normal(size=(3, 3)))
    check_same(rebuilt(crystal.lattice.matrix @ turn, crystal, crystal.frac_coords), name)


@given(name=NAMES, seed=SEEDS)
@WAYS
def test_order_of_sites(name, seed):
    crystal = crystal_and_network(name)[0]
    order = np.random.default_rng(seed).permutation(len(crystal))
    species = [crystal.species[k] for k in order]
    check_same(Structure(crystal.lattice, species, crystal.frac_coords[order]), name)


@given(name=NAMES, shears=SHEARS)
@WAYS
def test_another_setting_of_the_lattice(name, shears):
    crystal = crystal_and_network(name)[0]
    basis = np.eye(3, dtype=int)
    for row, other, times in shears:
        basis[row] += times * basis[other]
    frac = crystal.frac_coords @ np.linalg.inv(basis)
    check_same(rebuilt(basis @ crystal.lattice.matrix, crystal, frac), name)


@given(
    name=NAMES,
    multiples=st.sampled_from(
        [
            (2, 1, 1),
            (1, 2, 1),
            (1, 1, 2),
            [[1, 1, 0], [-1, 1, 0], [0, 0, 1]],
            [[1, 0, 1], [0, 2, 0], [0, 0, 1]],
        ]
    ),
    primitive=st.booleans(),
)
@WAYS
def test_primitive_conventional_and_supercells(name, multiples, primitive):
    crystal = crystal_and_network(name)[0]
    if primitive:
        crystal = crystal.get_primitive_structure(tolerance=1e-3)
        check_same(crystal, name, tolerance_ang=1e-4)
    check_same(crystal * multiples, name, tolerance_ang=1e-4)


@given(name=NAMES, seed=SEEDS)
@WAYS
def test_noise_within_symprec(name, seed):
    crystal = crystal_and_network(name)[0]
    rng = np.random.default_rng(seed)
    noise = rng.normal(scale=NOISE_ANG, size=(len(crystal), 3)) @ np.linalg.inv(crystal.lattice.matrix)
    strain = np.eye(3) + rng.normal(scale=3e-5, size=(3, 3))
    moved = rebuilt(crystal.lattice.matrix @ strain, crystal, crystal.frac_coords + noise)
    check_same(moved, name, tolerance_ang=6e-3)


@pytest.mark.parametrize("name", CRYSTALS)
def test_the_crystals_are_of_their_groups(name):
    crystal, network, _ = crystal_and_network(name)
    assert crystals.dataset_of(crystal).international.replace("_", "") == name.replace("_", "")
    assert network.symmetry_found
    assert sum(h.multiplicity for h in network.hops if h.mechanism == "isolated") == len(
        crystals.naive_pairs(crystal, crystal_and_network(name)[2])
    )


@pytest.mark.parametrize("name", CRYSTALS)
def test_orbits_by_brute_force(name):
    crystal, network, cutoff_ang = crystal_and_network(name)
    pairs = crystals.naive_pairs(crystal, cutoff_ang)
    isolated = [h for h in network.hops if h.mechanism == "isolated"]
    assert sorted(h.orbit for h in isolated) == crystals.naive_pair_orbits(crystal, pairs)
