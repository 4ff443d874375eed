"""The cluster around a hop: complete, and the same whichever cell was stored."""

from __future__ import annotations

import numpy as np
import pytest
from pymatgen.core import Structure

from tasks.hops.errors import InvalidHopError
from tasks.hops.network import hop_network
from tasks.hops.path import hop_environment, straight_path
from tasks.hops.sites import Charges


def charges_of(structure):
    """Charges that tell the elements apart, so that a mix-up would show."""
    return Charges(values=tuple(float(z) for z in structure.atomic_numbers), method=None)


def environment_of(structure, hop, **settings):
    """The environment of a hop of a network."""
    return hop_environment(
        structure, charges_of(structure), hop.i, hop.j, hop.image, working_ion="Li", **settings
    )


def fingerprint(env):
    """Distances of every host atom from the path's points, in an order and frame of their own."""
    distances = np.linalg.norm(env.coords_ang[:, None] - env.path_ang[None], axis=2)
    forward = np.column_stack([env.numbers, env.charges, distances])
    backward = np.column_stack([env.numbers, env.charges, distances[:, ::-1]])
    both = [np.array(sorted(rows.round(5).tolist())) for rows in (forward, backward)]
    return min(both, key=lambda rows: rows.sum(axis=0).round(3).tolist())


def variants(structure):
    """The same crystal in other cells: primitive, supercell, shifted, permuted, rotated."""
    yield structure.get_primitive_structure()
    yield structure * (2, 1, 1)
    yield structure * [[1, 1, 0], [0, 1, 0], [0, 1, 2]]
    shifted = structure.copy()
    shifted.translate_sites(range(len(shifted)), [0.13, 0.71, 0.42], to_unit_cell=False)
    yield shifted
    order = np.random.default_rng(0).permutation(len(structure))
    yield Structure.from_sites([structure[int(k)] for k in order])
    turn, _ = np.linalg.qr(np.random.default_rng(1).normal(size=(3, 3)))
    yield Structure(structure.lattice.matrix @ turn, structure.species, structure.frac_coords)


@pytest.mark.parametrize("name", ["LiCoO2", "LiFePO4", "LiMn2O4"])
def test_cloud_does_not_depend_on_the_cell(structures, name):
    crystal = structures[name]
    reference = environment_of(crystal, hop_network(crystal, "Li").hops[0])
    for other in variants(crystal):
        env = environment_of(other, hop_network(other, "Li").hops[0])
        assert len(env.numbers) == len(reference.numbers)
        np.testing.assert_allclose(fingerprint(env), fingerprint(reference), atol=2e-4)
        assert env.host_working_ion_fraction == 1.0
        per_atom = env.volume_ang3 / env.n_sites
        assert per_atom == pytest.approx(reference.volume_ang3 / reference.n_sites)


def test_cluster_equals_a_search_over_images(structures):
    crystal = structures["LiFePO4"]
    hop = hop_network(crystal, "Li", cutoff_ang=6.0).hops[-1]
    env = environment_of(crystal, hop, radius_ang=5.0, n_points=11)
    expected = []
    span = range(-3, 4)
    for site, coords in enumerate(crystal.cart_coords):
        for shift in ((x, y, z) for x in span for y in span for z in span):
            if (site, shift) in {(hop.i, (0, 0, 0)), (hop.j, hop.image)}:
                continue
            position = coords + np.array(shift) @ crystal.lattice.matrix
            if min(np.linalg.norm(position - point) for point in env.path_ang) <= 5.0:
                expected.append([crystal[site].specie.Z, *position])
    got = np.column_stack([env.numbers, env.coords_ang])
    assert sorted(got.round(6).tolist()) == sorted(np.round(expected, 6).tolist())


def test_only_the_two_end_images_are_left_out(structures):
    crystal = structures["LiCoO2"].get_primitive_structure()
    hop = hop_network(crystal, "Li").hops[0]
    assert hop.i == hop.j
    env = environment_of(crystal, hop)
    to_ends = np.linalg.norm(env.coords_ang[:, None] - env.path_ang[None, [0, -1]], axis=2)
    assert to_ends.min() > 1.5
    # The images of the moving ion next to its ends stay, though the cell holds but one lithium.
    neighbours = (env.numbers == 3) & (abs(to_ends[:, 0] - hop.distance_ang) < 1e-3)
    assert neighbours.sum() == 5


def test_reversed_hop_has_the_same_cloud(structures):
    crystal = structures["Li2MnO3"]
    hop = next(h for h in hop_network(crystal, "Li", cutoff_ang=5.0).hops if not h.direction_symmetric)
    forward = environment_of(crystal, hop)
    back = hop_environment(
        crystal, charges_of(crystal), hop.j, hop.i, tuple(-x for x in hop.image), working_ion="Li"
    )
    np.testing.assert_allclose(fingerprint(forward), fingerprint(back), atol=2e-4)


def test_path_is_even_and_hits_its_ends():
    start, end = np.array([0.1, 0.2, 0.3]), np.array([1.1, -2.2, 0.7])
    path = straight_path(start, end, 21)
    assert (path[0] == start).all()
    assert (path[-1] == end).all()
    np.testing.assert_allclose(np.diff(path, axis=0), np.tile((end - start) / 20, (20, 1)))


def test_unknown_charges_are_nan(structures):
    crystal = structures["LiCoO2"]
    hop = hop_network(crystal, "Li").hops[0]
    charges = Charges(values=(None,) * len(crystal), method=None)
    env = hop_environment(crystal, charges, hop.i, hop.j, hop.image, working_ion="Li")
    assert np.isnan(env.charges).all()
    assert np.isnan(env.working_ion_charge)
    assert env.composition == {"Li": 3.0, "Co": 3.0, "O": 6.0}


@pytest.mark.parametrize(
    ("i", "j", "image", "message"),
    [
        (0, 99, (0, 0, 0), "does not exist"),
        (0, -1, (0, 0, 0), "does not exist"),
        (0, 4, (0, 0, 0), "not Li"),
        (0, 0, (0, 0, 0), "is no hop"),
    ],
)
def test_hops_that_do_not_exist_are_refused(structures, i, j, image, message):
    crystal = structures["LiCoO2"]
    with pytest.raises(InvalidHopError, match=message):
        hop_environment(crystal, charges_of(crystal), i, j, image, working_ion="Li")


def test_charges_of_another_structure_are_refused(structures):
    with pytest.raises(InvalidHopError, match="charges for 12 sites"):
        hop_environment(structures["LiCoO2"], Charges((1.0,), None), 0, 1, (0, 0, 0), working_ion="Li")


@pytest.mark.parametrize("name", ["LiCoO2", "LiFePO4", "LiMn2O4"])
def test_a_stripped_host_is_that_of_a_supercell_without_other_ions(structures, name):
    """Written out: so many cells that no image of the two ends is near, all other ions taken off."""
    crystal = structures[name].get_primitive_structure()
    for hop in hop_network(crystal, "Li", cutoff_ang=5.0).hops:
        if hop.also_vacant is not None:
            continue
        stripped = environment_of(crystal, hop, stripped=True)
        written, ends, image = written_out(crystal, hop)
        found = hop_environment(
            written, charges_of(written), *ends, image, working_ion="Li", host_working_ion_fraction=0.0
        )
        assert len(found.numbers) == len(stripped.numbers) > 0
        assert 3 not in stripped.numbers
        np.testing.assert_allclose(fingerprint(found), fingerprint(stripped), atol=1e-4)
        np.testing.assert_allclose(
            np.linalg.norm(np.diff(found.path_ang, axis=0), axis=1),
            np.linalg.norm(np.diff(stripped.path_ang, axis=0), axis=1),
        )
        assert stripped.host_working_ion_fraction == found.host_working_ion_fraction == 0.0
        # The two ions of the supercell are none in an infinite host.
        anions = [env.composition["O"] / env.volume_ang3 for env in (found, stripped)]
        assert anions[0] == pytest.approx(anions[1])
        assert stripped.composition["Li"] == 0.0
        assert stripped.n_sites == sum(stripped.composition.values())
        assert stripped.working_ion_charge == found.working_ion_charge


def written_out(crystal, hop, reach_ang=30.0):
    """A supercell that holds one copy of a hop's ends and no other ion."""
    heights_ang = 1.0 / np.linalg.norm(np.linalg.inv(crystal.lattice.matrix), axis=0)
    sizes = np.ceil(reach_ang / heights_ang).astype(int)
    matrix = crystal.lattice.matrix * sizes[:, None]
    species, coords, ends = [], [], {}
    for shift in np.ndindex(*sizes):
        for site, frac in enumerate(crystal.frac_coords):
            is_start = site == hop.i and shift == (0, 0, 0)
            is_end = site == hop.j and shift == tuple(np.mod(hop.image, sizes))
            if crystal[site].specie.symbol == "Li" and not (is_start or is_end):
                continue
            if is_start:
                ends["i"] = len(coords)
            if is_end:
                ends["j"] = len(coords)
            species.append(crystal[site].specie)
            coords.append((frac + shift) / sizes)
    image = tuple(int(n) for n in np.floor_divide(hop.image, sizes))
    return Structure(matrix, species, coords), (ends["i"], ends["j"]), image
