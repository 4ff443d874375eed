"""Empty sites: crystals with known interstices, brute force over the energy, and what must not matter."""

from __future__ import annotations

import math

import numpy as np
import pytest
from pymatgen.core import Lattice, Structure, SymmOp
from scipy.optimize import minimize, minimize_scalar

from tasks.candidates import reference
from tasks.hops import empty_sites as module
from tasks.hops.bvse import pair_parameters, site_energy_ev
from tasks.hops.empty_sites import HOST_CLEARANCE_ANG, OCCUPIED_WITHIN_ANG, empty_sites
from tasks.hops.errors import HopsError
from tasks.hops.network import hop_network
from tasks.hops.path import images_in_box
from tasks.hops.sites import Charges, assign_charges
from tasks.hops.symmetry import symmetry_dataset
from tests.tasks.hops.conftest import BUILDERS, build

SAME_ANG = 1e-3


def found_in(structure, ion="Li", **kwargs):
    return empty_sites(structure, assign_charges(structure), ion, **kwargs)


def apart_ang(structure, here, there):
    """Distances between fractional places, by looking at all neighbouring cells."""
    return structure.lattice.get_all_distances(here, there)


def assert_same_places(structure, found, expected, tolerance_ang=SAME_ANG):
    distances = apart_ang(structure, found, expected)
    assert distances.shape == (len(expected), len(expected))
    assert distances.min(axis=1).max() < tolerance_ang
    assert sorted(distances.argmin(axis=1)) == list(range(len(expected)))


class BruteForce:
    """The energy of the ion in the framework, summed over all atoms within 12 Å of the cell."""

    def __init__(self, structure, ion="Li"):
        charges = np.array(assign_charges(structure).values)
        keep = np.array([site.specie.symbol != ion for site in structure])
        frac, lattice = structure.frac_coords[keep], structure.lattice.matrix
        numbers = np.array(structure.atomic_numbers)[keep]
        sites, shifts = images_in_box(frac, lattice, np.array([[-0.1] * 3, [1.1] * 3]), 12.0)
        self.lattice = lattice
        self.coords = (frac[sites] + shifts) @ lattice
        self.parameters = pair_parameters(ion, numbers[sites], charges[keep][sites])

    def __call__(self, positions_ang):
        return site_energy_ev(np.atleast_2d(positions_ang), self.coords, self.parameters)

    def at(self, frac):
        return self(np.atleast_2d(frac) @ self.lattice)


class TestKnownAnswers:
    def test_spinel_has_16c(self, structures):
        spinel = structures["LiMn2O4"]
        found = found_in(spinel)
        sites = build("Fd-3m", spinel.lattice, ["X"], [[0.125] * 3]).frac_coords
        assert len(sites) == 16
        assert_same_places(spinel, found.frac_coords, sites)
        energy = BruteForce(spinel)
        expected_ev = float(energy.at([0.125] * 3)[0] - energy.at([0, 0, 0])[0])
        assert found.energies_ev == pytest.approx([expected_ev] * 16, abs=1e-3)
        assert expected_ev == pytest.approx(0.208, abs=1e-3)
        assert found.orbits.tolist() == [0] * 16
        assert found.occupied_energies_ev == pytest.approx([0.0] * 8, abs=1e-6)
        assert found.skipped is None

    def test_lithiated_spinel_has_8a(self):
        filled = build(
            "Fd-3m", Lattice.cubic(8.3), ["Li", "Ti", "O"], [[0.125] * 3, [0.625] * 3, [0.3886] * 3]
        )
        found = found_in(filled)
        assert_same_places(
            filled, found.frac_coords, build("Fd-3m", filled.lattice, ["X"], [[0] * 3]).frac_coords
        )

    def test_layers_have_tetrahedra_between_them(self, structures):
        layered = structures["LiCoO2"]
        found = found_in(layered)
        energy = BruteForce(layered)
        best = minimize_scalar(
            lambda z: energy.at([0, 0, z])[0], bounds=(0.11, 0.15), options={"xatol": 1e-7}, method="bounded"
        )
        sites = build("R-3m", layered.lattice, ["X"], [[0, 0, best.x]]).frac_coords
        assert len(sites) == 6
        assert_same_places(layered, found.frac_coords, sites)
        assert found.energies_ev == pytest.approx([best.fun - energy.at([0, 0, 0.5])[0]] * 6, abs=1e-3)
        assert found.energies_ev[0] == pytest.approx(2.620, abs=1e-3)
        # Four oxygen atoms round each; three lithium octahedra and one of cobalt share its faces.
        for place in found.frac_coords:
            near = layered.get_sites_in_sphere(place @ layered.lattice.matrix, 2.0)
            assert sorted(site.specie.symbol for site in near) == ["Co", "Li", "Li", "Li", "O", "O", "O", "O"]

    def test_olivine_has_tetrahedra_on_its_channel(self, structures):
        # On the mirrors, half way along [010] between two lithium sites and off the straight line between
        # them, where the curved path of diffusion runs (Morgan, Van der Ven and Ceder, Electrochem.
        # Solid-State Lett. 7, A30 (2004), doi:10.1149/1.1633511).
        olivine = structures["LiFePO4"]
        found = found_in(olivine)
        energy = BruteForce(olivine)
        best = minimize(
            lambda xz: energy.at([xz[0], 0.75, xz[1]])[0], [0.08, 0.10], method="Nelder-Mead",
            options={"xatol": 1e-6, "fatol": 1e-9},
        )  # fmt: skip
        assert best.x == pytest.approx([0.0836, 0.0967], abs=1e-4)
        sites = build("Pnma", olivine.lattice, ["X"], [[best.x[0], 0.75, best.x[1]]]).frac_coords
        assert_same_places(olivine, found.frac_coords, sites)
        assert found.energies_ev == pytest.approx([0.390] * 4, abs=1e-3)
        distances = np.sort(apart_ang(olivine, found.frac_coords, olivine.frac_coords[:4]), axis=1)
        assert distances[:, 1] - distances[:, 0] == pytest.approx([0.0] * 4, abs=1e-3)

    @pytest.mark.parametrize(
        ("anion", "lithium", "empty", "size"),
        # Rock salt has its tetrahedra empty, antifluorite its octahedra.
        [("F", [0.5] * 3, [0.25] * 3, 8), ("O", [0.25] * 3, [0.5] * 3, 4)],
    )
    def test_simple_structures_have_the_other_interstices(self, anion, lithium, empty, size):
        crystal = build(
            "Fm-3m", Lattice.cubic(4.026 if anion == "F" else 4.619), ["Li", anion], [lithium, [0] * 3]
        )
        found = found_in(crystal)
        assert_same_places(
            crystal, found.frac_coords, build("Fm-3m", crystal.lattice, ["X"], [empty]).frac_coords
        )
        assert len(found) == size

    def test_lithium_phosphate_has_interstices_as_deep_as_its_sites(self):
        # Nothing symmetric to compare with: what the energy gives, which the tests below check independently.
        crystal = reference.structure(reference.get("ref-li3po4-gamma"))
        found = found_in(crystal)
        assert np.bincount(found.orbits).tolist() == [4, 4, 8]
        assert found.energies_ev[[0, 4, 8]] == pytest.approx([0.0, 0.072, 0.516], abs=2e-3)
        # The first two lie on the mirrors of Pnma, which stand on the short axis.
        assert found.frac_coords[:8, 0] % 0.5 == pytest.approx([0.25] * 8, abs=1e-4)
        assert found.occupied_energies_ev.min() > 0.05

    def test_minima_of_one_split_site_count_once(self):
        # In a simple cube of fluorine that is a little too wide for lithium it sits off the middle, in one of
        # six places 0.6 Å apart; in a narrower one in the middle; in a wider one on the faces.
        for edge_ang, places in ((2.65, [[0.5] * 3]), (2.75, [[0.5] * 3]), (2.9, [[0, 0.5, 0.5]])):
            cube = Structure(Lattice.cubic(edge_ang), ["F"], [[0, 0, 0]])
            found = empty_sites(cube, Charges((-1.0,), None), "Li")
            expected = build("Pm-3m", cube.lattice, ["X"], places).frac_coords
            assert_same_places(cube, found.frac_coords, expected)
            # The middle of the split site lies a few meV above its minima.
            assert (found.energies_ev[0] > 1e-3) == (edge_ang == 2.75)


CRYSTALS = [*BUILDERS, "ref-li3po4-gamma", pytest.param("ref-li3v2po43", marks=pytest.mark.slow)]


def crystal_named(name):
    return BUILDERS[name]() if name in BUILDERS else reference.structure(reference.get(name))


@pytest.mark.parametrize("name", CRYSTALS)
def test_sites_are_minima_by_brute_force(name):
    crystal = crystal_named(name)
    found, energy = found_in(crystal), BruteForce(crystal)
    assert len(found)
    directions = np.random.default_rng(0).normal(size=(40, 3))
    directions /= np.linalg.norm(directions, axis=1)[:, None]
    for place, above_ev in zip(found.frac_coords, found.energies_ev, strict=True):
        here_ang = place @ crystal.lattice.matrix
        here_ev = energy(here_ang)[0]
        for step_ang in (0.02, 0.1):
            assert energy(here_ang + step_ang * directions).min() > here_ev
        lithium = [site.frac_coords for site in crystal if site.specie.symbol == "Li"]
        differences = above_ev - found.occupied_energies_ev
        assert here_ev - energy.at(lithium) == pytest.approx(differences, abs=1e-3)


@pytest.mark.parametrize("name", ["LiFePO4", "LiMn2O4", "ref-li3po4-gamma"])
def test_no_minimum_is_missed(name):
    # Lithium dropped at random slides, by another optimiser, into a site that is known or was left out.
    crystal = crystal_named(name)
    found, energy = found_in(crystal), BruteForce(crystal)
    lithium = np.array([site.frac_coords for site in crystal if site.specie.symbol == "Li"])
    others = np.array([site.frac_coords for site in crystal if site.specie.symbol != "Li"])
    lowest_ev = float(energy.at(lithium).min() - found.occupied_energies_ev.min())
    reached = set()
    for start in np.random.default_rng(1).uniform(size=(120, 3)):
        if apart_ang(crystal, [start], others).min() < HOST_CLEARANCE_ANG:
            continue
        end = minimize(lambda x: energy(x)[0], start @ crystal.lattice.matrix, tol=1e-5)
        place = end.x @ np.linalg.inv(crystal.lattice.matrix)
        left_out = (
            np.abs(place - 0.5).max() > 0.6
            or end.fun > lowest_ev + module.MAX_ABOVE_LOWEST_EV
            or apart_ang(crystal, [place], others).min() < HOST_CLEARANCE_ANG
        )
        if left_out:
            continue
        to_empty = apart_ang(crystal, [place], found.frac_coords)[0]
        to_occupied = apart_ang(crystal, [place], lithium).min()
        assert to_empty.min() < 0.02 or to_occupied < OCCUPIED_WITHIN_ANG
        if to_empty.min() < 0.02:
            reached.add(int(found.orbits[to_empty.argmin()]))
    assert reached == set(found.orbits.tolist())


@pytest.mark.parametrize("name", CRYSTALS)
def test_sites_are_closed_under_the_space_group(name):
    crystal = crystal_named(name) * (1, 1, 2)
    found = found_in(crystal)
    dataset = symmetry_dataset(crystal, 0.01)
    for rotation, translation in zip(dataset.rotations, dataset.translations, strict=True):
        landed = found.frac_coords @ rotation.T + translation
        distances = apart_ang(crystal, landed, found.frac_coords)
        assert distances.min(axis=1).max() < 0.01
        assert (found.orbits[distances.argmin(axis=1)] == found.orbits).all()
    assert (apart_ang(crystal, found.frac_coords, found.frac_coords) + np.eye(len(found))).min() > 0.7


@pytest.mark.parametrize("name", CRYSTALS)
def test_neither_frame_nor_cell_matters(name):
    crystal = crystal_named(name)
    found = found_in(crystal)
    rng = np.random.default_rng(7)
    order = rng.permutation(len(crystal))
    turned = SymmOp.from_axis_angle_and_translation(rng.normal(size=3), 77.0)
    changed = {
        "translation": crystal.copy().translate_sites(range(len(crystal)), rng.uniform(size=3)),
        "rotation": crystal.copy().apply_operation(turned),
        "order": Structure.from_sites([crystal[int(k)] for k in order]),
        "supercell": crystal * [[1, 0, 0], [1, 2, 0], [0, 0, 1]],
        "primitive": crystal.get_primitive_structure(),
    }
    for other in changed.values():
        again = found_in(other)
        assert again.symmetry_found
        assert len(again) * len(crystal) == len(found) * len(other)
        sizes = np.bincount(again.orbits) * len(crystal) / len(other)
        assert sizes.tolist() == np.bincount(found.orbits).tolist()
        first = [np.argmax(found.orbits == k) for k in range(len(sizes))]
        first_again = [np.argmax(again.orbits == k) for k in range(len(sizes))]
        assert again.energies_ev[first_again] == pytest.approx(found.energies_ev[first], abs=2e-4)
    assert_same_places(crystal, found_in(changed["order"]).frac_coords, found.frac_coords)
    assert found_in(changed["order"]).frac_coords == pytest.approx(found.frac_coords, abs=1e-4)


# Shallow wells that a coarse grid finds from some origins only, and materials with wells just deep enough.
ORIGINS_MATTERED = ["linio2", "limno2-monoclinic", "li2ruo3", "liruo2", "li2fesio4", "livopo4-alpha"]
JUST_DEEP_ENOUGH = ["li3fe2po43", "licoo2", "lirho2", "licro2", "limgpo4", "li4p2o7"]


@pytest.mark.parametrize("name", [*ORIGINS_MATTERED, *JUST_DEEP_ENOUGH])
def test_the_origin_does_not_matter(name):
    crystal = reference.structure(reference.get(f"ref-{name}"))
    charges, found = assign_charges(crystal), found_in(crystal)
    for shift in np.random.default_rng(3).random((3, 3)):
        again = empty_sites(
            Structure(crystal.lattice, crystal.species, crystal.frac_coords + shift), charges, "Li"
        )
        assert np.bincount(again.orbits).tolist() == np.bincount(found.orbits).tolist()
        assert again.energies_ev == pytest.approx(found.energies_ev, abs=2e-4)
        if len(found):
            assert_same_places(crystal, again.frac_coords - shift, found.frac_coords)


@pytest.mark.parametrize(("name", "well_ev"), [("limnpo4", 0.0087), ("limgpo4", 0.0295), ("lirho2", 0.0244)])
def test_shallow_wells_are_no_sites(name, well_ev, monkeypatch):
    crystal = reference.structure(reference.get(f"ref-{name}"))
    n_sites = 4 if "po4" in name else 2 * crystal.composition["Li"]
    assert len(found_in(crystal)) == (n_sites if well_ev > module.LEAST_WELL_EV else 0)
    for least_ev, expected in ((well_ev - 5e-4, n_sites), (well_ev + 5e-4, 0)):
        monkeypatch.setattr(module, "LEAST_WELL_EV", least_ev)
        assert len(found_in(crystal)) == expected


def test_noise_within_symprec_does_not_matter(structures):
    spinel = structures["LiMn2O4"]
    noisy = spinel.copy().perturb(0.001)
    found = found_in(noisy)
    assert found.symmetry_found
    assert_same_places(spinel, found.frac_coords, found_in(spinel).frac_coords, tolerance_ang=0.02)


def test_without_symmetry_every_site_stands_alone(structures, monkeypatch):
    spinel = structures["LiMn2O4"].get_primitive_structure()
    monkeypatch.setattr(module, "dataset_of", lambda cell, symprec: None)
    found = found_in(spinel)
    assert not found.symmetry_found
    assert found.orbits.tolist() == [0, 1, 2, 3]
    assert found.energies_ev == pytest.approx([0.208] * 4, abs=1e-3)


def test_sites_come_in_order(structures):
    found = found_in(crystal_named("ref-li3po4-gamma"))
    assert (np.diff(found.orbits) >= 0).all()
    assert (np.diff(found.energies_ev) >= 0.0).all()
    assert found.frac_coords.min() > -1e-3
    assert found.frac_coords.max() < 1.0
    for orbit in range(3):
        rows = np.round(found.frac_coords[found.orbits == orbit], 4).tolist()
        assert rows == sorted(rows)


def test_the_window_leaves_out_what_lies_above_it(structures):
    layered = structures["LiCoO2"]
    assert len(found_in(layered, max_above_lowest_ev=2.7)) == 6
    below = found_in(layered, max_above_lowest_ev=2.5)
    assert (len(below), below.skipped) == (0, None)
    assert below.occupied_energies_ev == pytest.approx([0.0] * 3, abs=1e-6)


def test_a_vacuum_holds_no_sites(monkeypatch):
    pair = Structure(Lattice.tetragonal(8.0, 24.0), ["Na", "Cl"], [[0, 0, 0], [0, 0, 0.1]])
    found = empty_sites(pair, Charges((1.0, -1.0), None), "Li")
    assert len(found) == 0
    # The only minimum, beyond chlorine in line with sodium, is flat across that line and so no site.
    monkeypatch.setattr(module, "LEAST_WELL_EV", -1.0)
    found = empty_sites(pair, Charges((1.0, -1.0), None), "Li")
    assert len(found) == 1
    place_ang = found.frac_coords[0] @ pair.lattice.matrix
    assert place_ang == pytest.approx([0.0, 0.0, 4.8], abs=0.02)


class TestNothingToFind:
    def test_missing_parameters_are_named(self):
        phosphide = build("Fm-3m", Lattice.cubic(6.0), ["Li", "P"], [[0.25] * 3, [0] * 3])
        found = empty_sites(phosphide, Charges((1.0,) * 8 + (-2.0,) * 4, "composition"), "Li")
        assert len(found) == 0
        assert found.missing == ("Li-P2-",)
        assert found.skipped == "no BVSE parameters for Li-P2-"
        assert found.frac_coords.shape == (0, 3)
        assert np.isnan(found.occupied_energies_ev).tolist() == [True] * 8

    def test_unknown_charges_and_ions(self, structures):
        layered = structures["LiCoO2"]
        unknown = empty_sites(layered, Charges((None,) * 12, None), "Li")
        assert unknown.missing == ("charges",)
        assert unknown.skipped == "not all oxidation states are known"
        assert empty_sites(layered, assign_charges(layered), "Rb").missing == ("Rb",)
        assert empty_sites(layered, assign_charges(layered), "Xx").missing == ("Xx",)

    def test_charges_of_the_working_ions_do_not_matter(self, structures):
        layered = structures["LiCoO2"]
        values = tuple(
            None if site.specie.symbol == "Li" else q
            for site, q in zip(layered, assign_charges(layered).values, strict=True)
        )
        assert len(empty_sites(layered, Charges(values, "composition"), "Li")) == 6

    def test_large_cells_and_pure_metal_are_left_alone(self, structures):
        assert (
            found_in(structures["LiFePO4"], max_sites=27).skipped
            == "28 sites in the primitive cell, more than 27"
        )
        # The bound is on the primitive cell.
        assert found_in(structures["LiFePO4"] * (1, 2, 1), max_sites=28).skipped is None
        metal = build("Im-3m", Lattice.cubic(3.5), ["Li"], [[0] * 3])
        assert empty_sites(metal, Charges((0.0,) * 2, None), "Li").skipped == "no atom but working ions"

    def test_charges_must_fit(self, structures):
        with pytest.raises(HopsError, match=r"3 charges for 12 sites: give one a site"):
            empty_sites(structures["LiCoO2"], Charges((1.0,) * 3, None), "Li")


class TestNetwork:
    def test_spinel_hops_from_8a_to_16c(self, structures):
        spinel = structures["LiMn2O4"]
        network = hop_network(spinel, "Li", empty_sites_frac=found_in(spinel).frac_coords)
        assert network.symmetry_found
        (hop,) = network.hops
        assert (hop.i < len(spinel)) != (hop.j < len(spinel))
        assert hop.distance_ang == pytest.approx(spinel.lattice.a * math.sqrt(3) / 8, abs=1e-4)
        # Each of 8 tetrahedra shares its faces with 4 octahedra.
        assert hop.multiplicity == 32
        assert network.reached_dim == 3

    def test_layers_hop_from_octahedra_to_tetrahedra(self, structures):
        layered = structures["LiCoO2"]
        network = hop_network(layered, "Li", cutoff_ang=2.0, empty_sites_frac=found_in(layered).frac_coords)
        assert network.symmetry_found
        first, second = network.hops
        # Three tetrahedra above and three below each of 3 octahedra; each tetrahedron meets three others.
        assert (first.i < len(layered) <= first.j, first.multiplicity) == (True, 18)
        assert (second.i >= len(layered), second.multiplicity) == (True, 9)
        z = found_in(layered).frac_coords[:, 2].min()
        assert first.distance_ang == pytest.approx(
            math.hypot(layered.lattice.a / math.sqrt(3), (1 / 6 - z) * layered.lattice.c), abs=1e-4
        )
        assert network.reached_dim == 2
