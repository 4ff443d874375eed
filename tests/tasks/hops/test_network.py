"""The hop network: complete, grouped rightly, and the same however the crystal is written down."""

from __future__ import annotations

import pickle
import time
import warnings

import numpy as np
import pytest
from pymatgen.analysis.diffusion.neb.pathfinder import DistinctPathFinder
from pymatgen.core import Lattice, Structure

from tasks.hops import symmetry
from tasks.hops.errors import HopsError, NoWorkingIonError, TooManyHopsError
from tasks.hops.network import hop_network, percolating_orbits
from tasks.hops.symmetry import symmetry_dataset
from tests.tasks.hops.crystals import naive_pair_orbits, naive_pairs

NAMES = ["LiCoO2", "LiFePO4", "Li2MnO3", "LiMn2O4"]


def isolated(network):
    """The hops with nothing but their two ends vacant."""
    return [hop for hop in network.hops if hop.mechanism == "isolated"]


@pytest.mark.parametrize(("name", "count"), [("LiCoO2", 3), ("LiFePO4", 2), ("Li2MnO3", 18), ("LiMn2O4", 1)])
def test_known_counts_and_the_peer(structures, name, count):
    crystal = structures[name]
    hops = isolated(hop_network(crystal, "Li", cutoff_ang=5.0))
    assert len(hops) == count
    with warnings.catch_warnings():
        # The peer uses calls that its own libraries call outdated.
        warnings.simplefilter("ignore")
        peer = DistinctPathFinder(crystal, "Li", max_path_length=5.0, symprec=0.01).get_paths()
    np.testing.assert_allclose([h.distance_ang for h in hops], [p.length for p in peer], atol=1e-3)


def test_olivine_lengths(structures):
    hops = hop_network(structures["LiFePO4"], "Li", cutoff_ang=5.0).hops
    assert [h.distance_ang for h in hops] == pytest.approx([3.005, 4.692], abs=1e-3)
    assert [h.multiplicity for h in hops] == [4, 4]


@pytest.mark.parametrize("name", ["LiCoO2", "LiFePO4", "Li2MnO3"])
def test_orbits_equal_brute_force(structures, name):
    crystal = structures[name].get_primitive_structure()
    hops = isolated(hop_network(crystal, "Li", cutoff_ang=5.0))
    pairs = naive_pairs(crystal, 5.0)
    assert sum(h.multiplicity for h in hops) == len(pairs)
    assert sorted(h.orbit for h in hops) == naive_pair_orbits(crystal, pairs)


@pytest.mark.parametrize("name", NAMES)
def test_orbits_are_canonical_and_of_one_length(structures, name):
    crystal = structures[name]
    for hop in hop_network(crystal, "Li", cutoff_ang=5.0).hops:
        assert hop.orbit[0] == (hop.i, hop.j, *hop.image)
        members = list(zip(hop.orbit, hop.orbit_also_vacant or [None] * len(hop.orbit), strict=True))
        assert len(members) == hop.multiplicity == len(set(members))
        assert members == sorted(members)
        for i, j, *image in hop.orbit:
            assert (i, j, *image) < (j, i, *(-x for x in image))
            assert crystal.get_distance(i, j, jimage=image) == pytest.approx(hop.distance_ang, abs=1e-3)


def test_default_cutoff_is_the_least_that_connects_in_three_dimensions(structures):
    for name, expected in {"LiCoO2": 4.957, "LiMn2O4": 3.571, "LiFePO4": 5.673, "Li2MnO3": 2.896}.items():
        network = hop_network(structures[name], "Li")
        assert network.cutoff_ang == pytest.approx(expected, abs=2e-3)
        assert network.reached_dim == 3
        assert max(h.distance_ang for h in network.hops) <= network.cutoff_ang + 1e-3
        shorter = hop_network(structures[name], "Li", cutoff_ang=network.cutoff_ang - 0.01)
        assert shorter.reached_dim < 3


def test_default_cutoff_falls_back_to_the_largest_dimension_in_reach():
    layers = Structure(Lattice.tetragonal(3.0, 9.0), ["Li", "O"], [[0, 0, 0], [0.5, 0.5, 0.25]])
    network = hop_network(layers, "Li")
    assert network.reached_dim == 2
    assert network.cutoff_ang == pytest.approx(3.0)
    assert [h.multiplicity for h in network.hops] == [2]


def test_nothing_in_reach_gives_an_empty_network():
    lonely = Structure(Lattice.cubic(8.0), ["Li", "O"], [[0, 0, 0], [0.5, 0.5, 0.5]])
    network = hop_network(lonely, "Li")
    assert (network.hops, network.reached_dim, network.cutoff_ang) == ((), 0, 6.0)


def test_degenerate_shell_is_taken_whole():
    # The two axes differ by less than the shell tolerance; the third is too long to matter.
    near = Structure(Lattice.orthorhombic(3.0, 3.0008, 9.0), ["Li", "O"], [[0, 0, 0], [0.5, 0.5, 0.5]])
    assert len(hop_network(near, "Li", cutoff_ang=3.0, symprec=1e-5).hops) == 2


def test_a_hop_through_a_third_site_is_marked_and_carries_nothing():
    chain = Structure(Lattice.tetragonal(9.0, 2.9), ["Li", "O"], [[0, 0, 0], [0.25, 0.25, 0.5]])
    network = hop_network(chain, "Li", cutoff_ang=6.0)
    assert [h.blocked_by for h in network.hops] == [None, "network_site"]
    assert [len(orbit) for orbit in percolating_orbits(network)] == [1, 0]


def test_a_hop_through_a_host_atom_is_marked_and_does_not_connect():
    perovskite_like = Structure(Lattice.cubic(4.0), ["Li", "O"], [[0, 0, 0], [0.5, 0, 0]])
    network = hop_network(perovskite_like, "Li", cutoff_ang=4.0)
    blocked = {h.blocked_by: h.multiplicity for h in network.hops}
    assert blocked == {"host_atom": 1, None: 2}
    assert network.reached_dim == 2


def test_direction_symmetry():
    # A polar chain: nothing maps +z onto -z, while an in-plane mirror maps +x onto -x.
    polar = Structure(
        Lattice.tetragonal(3.0, 3.5), ["Li", "O", "F"], [[0, 0, 0], [0.5, 0.5, 0.2], [0.5, 0.5, 0.65]]
    )
    hops = hop_network(polar, "Li", cutoff_ang=3.5).hops
    assert {round(h.distance_ang, 1): h.direction_symmetric for h in hops} == {3.0: True, 3.5: False}


def test_failed_symmetry_leaves_every_hop_alone(structures, monkeypatch):
    monkeypatch.setattr(symmetry.spglib, "get_symmetry_dataset", lambda *_, **__: None)
    crystal = structures["LiCoO2"]
    network = hop_network(crystal, "Li", cutoff_ang=3.0)
    assert not network.symmetry_found
    assert [h.multiplicity for h in isolated(network)] == [1] * 9
    assert network.reached_dim == 2
    assert symmetry_dataset(crystal, 0.01) is None


def test_too_many_hops_names_the_count_and_survives_pickling(structures):
    with pytest.raises(TooManyHopsError, match="18 symmetry-distinct hops") as caught:
        hop_network(structures["Li2MnO3"], "Li", cutoff_ang=5.0, max_hops=17)
    again = pickle.loads(pickle.dumps(caught.value))
    assert (again.count, again.max_hops, str(again)) == (18, 17, str(caught.value))
    assert len(hop_network(structures["Li2MnO3"], "Li", cutoff_ang=5.0, max_hops=18).hops) == 18


def test_bad_requests_are_refused(structures):
    with pytest.raises(NoWorkingIonError, match="holds no Na"):
        hop_network(structures["LiCoO2"], "Na")
    with pytest.raises(HopsError, match="must be positive"):
        hop_network(structures["LiCoO2"], "Li", cutoff_ang=0.0)


def test_large_supercell_is_quick(structures):
    crystal = structures["LiFePO4"] * (2, 2, 2)
    hop_network(crystal, "Li")
    start = time.perf_counter()
    hop_network(crystal, "Li")
    # Takes about 0.02 s; the bound only catches a change of order of growth.
    assert time.perf_counter() - start < 1.0
