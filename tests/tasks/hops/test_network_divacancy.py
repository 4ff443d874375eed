"""Divacancy hops: which hosts have them, how many, and that symmetry groups them rightly."""

from __future__ import annotations

import numpy as np
import pytest
from pymatgen.core import Structure

from tasks.candidates import reference
from tasks.hops.divacancy import NEIGHBOUR_SPREAD
from tasks.hops.network import hop_network, percolating_orbits
from tests.tasks.hops import crystals
from tests.tasks.hops.conftest import lithium_cobaltate, lithium_manganate, olivine

LAYERED = {
    "LiCoO2": ("Li", lithium_cobaltate),
    "NaCoO2": ("Na", lambda: crystals.octahedral_layers("Na", "Co", "O", 2.889, 15.609, 0.2311)),
    "KCrS2": ("K", lambda: crystals.octahedral_layers("K", "Cr", "S", 3.602, 21.16, 0.2640)),
    "LiTiS2": ("Li", crystals.single_layers),
    "NaMnO2": ("Na", crystals.distorted_layers),
}
NOT_LAYERED = {
    "LiFePO4": ("Li", olivine),
    "LiMn2O4": ("Li", crystals.spinel),
    "Li3PO4": ("Li", crystals.phosphate),
    "Li2O": ("Li", crystals.antifluorite),
    # Its layers share edges with lithium in the metal layers, so that nearest neighbours connect in space.
    "Li2MnO3": ("Li", lithium_manganate),
    # Prisms have no tetrahedron beside them: half of the triangles are capped on both sides, half on neither.
    "P2": ("Na", crystals.prismatic_layers),
}


def divacancies(network):
    return [hop for hop in network.hops if hop.mechanism == "divacancy"]


def members_of(hop):
    return tuple((*edge, *vacancy) for edge, vacancy in zip(hop.orbit, hop.orbit_also_vacant, strict=True))


def test_lithium_cobaltate_has_one_of_each_for_its_short_hop():
    crystal = lithium_cobaltate().get_primitive_structure()
    isolated, divacancy, *longer = hop_network(crystal, "Li", cutoff_ang=5.0).hops
    assert [h.mechanism for h in (isolated, divacancy)] == ["isolated", "divacancy"]
    assert {h.mechanism for h in longer} == {"isolated"}
    assert (divacancy.i, divacancy.j, divacancy.image) == (isolated.i, isolated.j, isolated.image)
    assert divacancy.distance_ang == isolated.distance_ang == pytest.approx(2.8161, abs=1e-4)
    # Three hops a lithium, each between two triangles of its layer.
    assert (isolated.multiplicity, divacancy.multiplicity) == (3, 6)
    assert (isolated.also_vacant, isolated.orbit_also_vacant) == (None, ())
    assert divacancy.also_vacant == divacancy.orbit_also_vacant[0]
    assert divacancy.blocked_by is None


@pytest.mark.parametrize("name", LAYERED)
def test_all_divacancy_hops_of_layered_hosts_by_brute_force(name):
    ion, make = LAYERED[name]
    for crystal in (make().get_primitive_structure(), make()):
        network = hop_network(crystal, ion, cutoff_ang=4.5)
        shortest = min(h.distance_ang for h in network.hops)
        triangles = crystals.naive_triangles(crystal, NEIGHBOUR_SPREAD * shortest, ion)
        found = divacancies(network)
        assert sum(h.multiplicity for h in found) == len(triangles) > 0
        assert sorted(members_of(h) for h in found) == crystals.naive_triangle_orbits(crystal, triangles, ion)
        for hop in found:
            assert members_of(hop)[0] == (hop.i, hop.j, *hop.image, *hop.also_vacant)
            assert list(members_of(hop)) == sorted(set(members_of(hop)))
            isolated = next(h for h in network.hops if h.orbit[0] == hop.orbit[0])
            assert set(hop.orbit) == set(isolated.orbit)


def test_distorted_layers_have_a_divacancy_hop_for_each_pair_of_sides():
    # Isosceles triangles: along the short side k lies on the mirror, along the long sides it does not.
    found = divacancies(hop_network(crystals.distorted_layers(), "Na", cutoff_ang=4.0))
    assert [round(h.distance_ang, 2) for h in found] == [2.86, 3.17]
    assert [h.direction_symmetric for h in found] == [True, False]


def test_vacancies_are_common_neighbours_of_both_ends():
    crystal = lithium_cobaltate() * (2, 1, 1)
    (hop,) = divacancies(hop_network(crystal, "Li", cutoff_ang=3.0))
    for (i, j, *image), (k, *cell) in zip(hop.orbit, hop.orbit_also_vacant, strict=True):
        assert crystal[k].specie.symbol == "Li"
        assert crystal.get_distance(i, k, jimage=cell) == pytest.approx(2.8161, abs=1e-4)
        assert crystal.get_distance(j, k, jimage=np.subtract(cell, image)) == pytest.approx(2.8161, abs=1e-4)


@pytest.mark.parametrize("name", NOT_LAYERED)
def test_other_hosts_have_none(name):
    ion, make = NOT_LAYERED[name]
    assert divacancies(hop_network(make(), ion, cutoff_ang=5.0)) == []


def test_corrugated_slabs_are_no_layers():
    # Nearest neighbours connect in two dimensions, and hops of 3.13 Å, 1.17 times as long, in three.
    structure = reference.structure(reference.get("ref-li2iro3-beta"))
    assert divacancies(hop_network(structure, "Li", cutoff_ang=3.0)) == []
    assert divacancies(hop_network(structure, "Li")) == []


def test_a_short_cutoff_does_not_hide_the_third_side():
    # 2.86 Å lies within 3 Å, the triangles' long sides of 3.17 Å do not.
    (short,) = divacancies(hop_network(crystals.distorted_layers(), "Na", cutoff_ang=3.0))
    assert short == divacancies(hop_network(crystals.distorted_layers(), "Na", cutoff_ang=4.0))[0]


def test_a_layer_without_anions_has_none():
    bare = lithium_cobaltate()
    bare.replace_species({"O": "Al"})
    assert divacancies(hop_network(bare, "Li", cutoff_ang=3.0)) == []


def test_divacancy_hops_carry_no_percolation():
    network = hop_network(lithium_cobaltate(), "Li", cutoff_ang=3.0)
    isolated, divacancy = network.hops
    assert percolating_orbits(network) == (isolated.orbit, ())
    assert divacancy.orbit
    assert network.reached_dim == 2


def test_without_symmetry_every_pair_of_hop_and_vacancy_stands_alone():
    # Every lithium of a supercell is moved a little: no operation is left.
    crystal = lithium_cobaltate().get_primitive_structure() * (3, 3, 1)
    rng = np.random.default_rng(0)
    moved = Structure(
        crystal.lattice,
        crystal.species,
        crystal.frac_coords
        + rng.normal(scale=0.02, size=(len(crystal), 3)) @ np.linalg.inv(crystal.lattice.matrix),
    )
    network = hop_network(moved, "Li", cutoff_ang=4.0, symprec=1e-3)
    assert [h.multiplicity for h in network.hops] == [1] * 81
    assert len(divacancies(network)) == 54
