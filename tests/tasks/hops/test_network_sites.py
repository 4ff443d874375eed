"""Any working ion, and sites of the network that hold no atom."""

from __future__ import annotations

import numpy as np
import pytest
from pymatgen.core import Lattice, Structure

from tasks.hops.errors import HopsError
from tasks.hops.network import hop_network, percolating_orbits
from tests.tasks.hops import crystals
from tests.tasks.hops.conftest import lithium_cobaltate

A_ANG = 8.247


def ordered(*elements):
    """Rock-salt-like crystal with the ion on one site of a face-centred cubic lattice."""
    return crystals.build("Fm-3m", Lattice.cubic(5.0), list(elements), [[0, 0, 0], [0.5, 0.5, 0.5]])


@pytest.mark.parametrize(
    ("ion", "crystal", "length_ang", "multiplicity"),
    [
        ("Li", crystals.antifluorite("Li", "O", 4.619), 4.619 / 2, 24),
        ("Na", crystals.antifluorite("Na", "O", 5.55), 5.55 / 2, 24),
        ("K", crystals.antifluorite("K", "S", 7.406), 7.406 / 2, 24),
        ("Mg", crystals.spinel("Mg", "Cr", 8.333), 8.333 * np.sqrt(3) / 4, 16),
        ("Ca", ordered("Ca", "O"), 5.0 / np.sqrt(2), 24),
        ("Zn", crystals.spinel("Zn", "Mn", 8.087), 8.087 * np.sqrt(3) / 4, 16),
        ("Al", ordered("Al", "N"), 5.0 / np.sqrt(2), 24),
    ],
)
def test_any_working_ion(ion, crystal, length_ang, multiplicity):
    network = hop_network(crystal, ion)
    assert (network.working_ion, network.reached_dim, len(network.hops)) == (ion, 3, 1)
    assert network.hops[0].distance_ang == pytest.approx(length_ang, abs=1e-4)
    assert network.hops[0].multiplicity == multiplicity
    assert network.cutoff_ang == pytest.approx(length_ang, abs=1e-3)


@pytest.mark.parametrize("primitive", [False, True])
def test_spinel_with_its_empty_octahedra(primitive):
    crystal = crystals.spinel("Li", "Mn", A_ANG)
    with_empty = crystal.copy()
    for frac in crystals.empty_octahedra(crystal):
        with_empty.append("He", frac)
    if primitive:
        with_empty = with_empty.get_primitive_structure()
    empty = np.array([site.frac_coords for site in with_empty if site.specie.symbol == "He"])
    with_empty.remove_species(["He"])
    n_li, n_sites = (2, 14) if primitive else (8, 56)
    assert (len(with_empty), len(empty)) == (n_sites, 2 * n_li)
    network = hop_network(with_empty, "Li", cutoff_ang=3.6, empty_sites_frac=empty)
    assert network.symmetry_found
    assert network.reached_dim == 3
    short, between, through = network.hops
    # Each tetrahedron shares its four faces with octahedra; each octahedron has two such faces.
    assert short.distance_ang == pytest.approx(A_ANG * np.sqrt(3) / 8, abs=1e-4)
    assert short.multiplicity == 4 * n_li
    assert not short.direction_symmetric
    assert all(i < n_sites <= j < n_sites + len(empty) for i, j, *_ in short.orbit)
    # Octahedra share edges; a tetrahedron to the next one leads through the octahedron between them.
    assert between.distance_ang == pytest.approx(A_ANG / np.sqrt(8), abs=1e-4)
    assert all(i >= n_sites for i, *_ in between.orbit)
    assert through.distance_ang == pytest.approx(A_ANG * np.sqrt(3) / 4, abs=1e-4)
    assert through.blocked_by == "network_site"
    assert percolating_orbits(network)[2] == ()


def test_empty_sites_change_nothing_between_occupied_ones_but_what_blocks():
    crystal = lithium_cobaltate()
    alone = hop_network(crystal, "Li", cutoff_ang=5.0)
    # Tetrahedra between the layers: over the middles of the triangles, below and above an oxygen.
    empty = crystals.build("R-3m", crystal.lattice, ["He"], [[0, 0, 0.37]]).frac_coords
    network = hop_network(crystal, "Li", cutoff_ang=5.0, empty_sites_frac=empty)
    occupied = [h for h in network.hops if max(h.i, h.j) < len(crystal)]
    assert [(h.orbit, h.orbit_also_vacant) for h in occupied] == [
        (h.orbit, h.orbit_also_vacant) for h in alone.hops
    ]
    assert len(network.hops) > len(alone.hops)
    assert network.symmetry_found


def test_empty_sites_in_a_supercell():
    crystal = crystals.spinel("Li", "Mn", A_ANG)
    empty = crystals.empty_octahedra(crystal)
    both = np.concatenate([empty * [0.5, 1, 1], empty * [0.5, 1, 1] + [0.5, 0, 0]])
    small = hop_network(crystal, "Li", cutoff_ang=3.6, empty_sites_frac=empty)
    large = hop_network(crystal * (2, 1, 1), "Li", cutoff_ang=3.6, empty_sites_frac=both)
    assert large.symmetry_found
    assert [h.multiplicity for h in large.hops] == [2 * h.multiplicity for h in small.hops]


@pytest.mark.parametrize("primitive", [False, True])
def test_empty_sites_that_symmetry_does_not_keep_leave_every_hop_alone(primitive):
    crystal = crystals.spinel("Li", "Mn", A_ANG)
    empty = crystals.empty_octahedra(crystal)[:3]
    if primitive:
        crystal = crystal.get_primitive_structure()
        empty = np.array([[0.31, 0.12, 0.27]])
    network = hop_network(crystal, "Li", cutoff_ang=3.6, empty_sites_frac=empty)
    assert not network.symmetry_found
    assert {h.multiplicity for h in network.hops} == {1}


def test_no_empty_sites_are_as_none():
    crystal = lithium_cobaltate()
    assert hop_network(crystal, "Li", empty_sites_frac=np.empty((0, 3))) == hop_network(crystal, "Li")


@pytest.mark.parametrize("empty", [[0.1, 0.2, 0.3], [[0.1, 0.2]], [[0.1, np.nan, 0.2]]])
def test_empty_sites_of_another_shape_are_refused(empty):
    with pytest.raises(HopsError, match="Empty sites of shape"):
        hop_network(lithium_cobaltate(), "Li", empty_sites_frac=np.array(empty))


def test_an_empty_site_on_a_path_blocks_it_as_a_site_of_the_network():
    chain = Structure(Lattice.tetragonal(9.0, 3.4), ["Li", "O"], [[0, 0, 0], [0.25, 0.25, 0.5]])
    network = hop_network(chain, "Li", cutoff_ang=3.5, empty_sites_frac=np.array([[0, 0, 0.5]]))
    assert [(h.i, h.j, h.blocked_by) for h in network.hops] == [
        (0, 2, None),
        (0, 0, "network_site"),
        (2, 2, "network_site"),
    ]
