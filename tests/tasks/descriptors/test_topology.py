"""Group `topology` on hops: which atoms make a cloud, what the moving ion changes, masks and symmetries."""

from __future__ import annotations

from dataclasses import replace
from math import sqrt

import numpy as np
import pytest

from tasks.descriptors.elements import SMALL_CATION_ANG, atomic_number, element_table
from tasks.descriptors.errors import DescriptorError
from tasks.descriptors.keys import group_keys
from tasks.descriptors.persistence import bars_of, persistence
from tasks.descriptors.persistence_settings import DEFAULT, TopologySettings
from tasks.descriptors.registry.topology import descriptors
from tasks.descriptors.scene import survey
from tasks.descriptors.topology import (
    RipsInput,
    cloud_edge_ang,
    clouds,
    element_clouds,
    rips_inputs,
    topology,
)

OCTAHEDRON = np.vstack([np.eye(3), -np.eye(3)])
EVERYTHING = TopologySettings((4.5, 5.5), threshold_ang=6.0, max_dimension=2, ion="full", element_dimension=1)
CHANGES = replace(EVERYTHING, ion="changes")
SHORT_ANG = 0.2
"""Half the length of a path that hardly leaves the middle."""


def described(env, settings=DEFAULT):
    keys = [descriptor.key for descriptor in descriptors(settings)]
    return dict(zip(keys, topology(env, settings=settings).tolist(), strict=True))


@pytest.fixture
def caged(place):
    """An ion that stays in the middle of an octahedron of anions, two cations outside."""

    def build(radius=2.0, **options):
        cations = [[0.0, 0.0, 4.0], [0.0, 0.5, -4.0]]
        return place([-SHORT_ANG, 0.0, 0.0], [SHORT_ANG, 0.0, 0.0], radius * OCTAHEDRON, cations, **options)

    return build


def with_numbers(env, numbers, charges):
    return replace(env, numbers=np.array(numbers, dtype=np.int64), charges=np.array(charges, dtype=float))


def test_registry_is_that_of_the_defaults(caged):
    assert tuple(descriptor.key for descriptor in descriptors()) == group_keys("topology")
    assert topology(caged()).shape == (len(group_keys("topology")),)
    assert topology(caged()).dtype == np.float32


def test_cage_of_anions(caged):
    found = described(caged(2.0), EVERYTHING)
    length = 4.0 - 2.0 * sqrt(2.0)
    assert found["anion_points"] == 6.0
    assert found["anion_h2_count"] == pytest.approx(length**2 / (length**2 + 0.01), rel=1e-5)
    assert found["anion_h2_birth_mean_ang"] == pytest.approx(2.0 * sqrt(2.0), rel=1e-5)
    assert found["anion_h2_death_max_ang"] == pytest.approx(4.0, rel=1e-5)
    assert found["anion_h2_length_min_ang"] == pytest.approx(length, rel=1e-5)
    assert found["anion_h2_entropy"] == pytest.approx(0.0, abs=1e-6)
    assert np.isnan(found["anion_h1_birth_mean_ang"])
    # One bar among six atoms, spread over bins of half an Å.
    curve = [value for key, value in found.items() if key.startswith("anion_h2_betti_")]
    assert sum(curve) * 0.5 * 6 == pytest.approx(length, rel=1e-5)


def test_ion_in_the_middle_fills_the_cage(caged):
    """Every anion is nearer to it than to another anion, so nothing is left but six bars to the ion."""
    found, changed = described(caged(2.0), EVERYTHING), described(caged(2.0), CHANGES)
    length = 4.0 - 2.0 * sqrt(2.0)
    assert found["anion_ion_h2_count"] == pytest.approx(0.0, abs=1e-6)
    assert np.isnan(found["anion_ion_h2_length_max_ang"])
    assert found["anion_ion_h0_length_sum_ang"] == pytest.approx(12.0, rel=1e-5)
    assert changed["anion_ion_h2_count"] == pytest.approx(-found["anion_h2_count"], rel=1e-5)
    assert changed["anion_ion_h2_length_sum_ang"] == pytest.approx(-length, rel=1e-5)
    # A change from a cage to none has no mean.
    assert np.isnan(changed["anion_ion_h2_birth_mean_ang"])
    assert changed["anion_ion_h0_length_sum_ang"] == pytest.approx(12.0 - 10.0 * sqrt(2.0), rel=1e-4)
    # Curves of changes count bars: the cage is one bar less, whatever the cloud's size.
    curve = [value for key, value in changed.items() if key.startswith("anion_ion_h2_betti_")]
    assert sum(curve) * 0.5 == pytest.approx(-length, rel=1e-5)


def test_compact_form_is_a_part_of_all_changes(crystal_hops):
    env = crystal_hops["olivine"].environment()
    compact, changes = described(env, replace(CHANGES, ion="compact")), described(env, CHANGES)
    assert {key for key in changes if "_ion_" in key} > {key for key in compact if "_ion_" in key} != set()
    for key, value in compact.items():
        assert value == pytest.approx(changes[key], nan_ok=True), key


def test_ion_far_from_every_atom_is_a_piece_of_its_own(place):
    """Farther than the threshold from all, it adds a bar of H0 that stays open, and nothing else."""
    settings = TopologySettings(
        edge_window_ang=(7.0, 7.99), threshold_ang=3.0, ion="changes", element_dimension=None
    )
    env = place([-SHORT_ANG, 0.0, 0.0], [SHORT_ANG, 0.0, 0.0], 1.5 * OCTAHEDRON + [0.0, 5.5, 0.0])
    found = described(env, settings)
    assert found["anion_points"] == 6.0
    for dimension in (0, 1, 2):
        for key, value in found.items():
            if not key.startswith(f"anion_ion_h{dimension}"):
                continue
            if dimension:
                assert np.isnan(value) or value == pytest.approx(0.0, abs=1e-6), key
            elif "_betti_" in key:
                assert value == pytest.approx(1.0, rel=1e-5), key
    assert found["anion_ion_h0_length_sum_ang"] == pytest.approx(3.0, rel=1e-5)
    assert found["anion_ion_h0_count"] == pytest.approx(9.0 / 9.01, rel=1e-5)
    assert found["anion_ion_h2_length_sum_ang"] == pytest.approx(0.0, abs=1e-6)
    assert found["anion_h2_length_sum_ang"] == pytest.approx(3.0 - 1.5 * sqrt(2.0), rel=1e-5)


def test_ripser_is_given_each_cloud_once(crystal_hops):
    scene = survey(crystal_hops["olivine"].environment())
    given = {one.cloud: one for one in rips_inputs(scene, EVERYTHING)}
    assert list(given) == [
        "anion", "anion_ion", "cation", "cation_ion", "framework", "framework_ion",
        "metal", "polyanion", "working",
    ]  # fmt: skip
    assert all(isinstance(one, RipsInput) and one.threshold_ang == 6.0 for one in given.values())
    assert [one.max_dimension for one in given.values()] == [2] * 6 + [1] * 3
    members = clouds(scene, EVERYTHING)
    for name, atoms in members.items():
        bars = persistence(scene.env.coords_ang[atoms], 2, 6.0)
        one = given[name]
        for found, known in zip(
            bars_of(one.distances_ang, one.max_dimension, one.threshold_ang), bars, strict=True
        ):
            np.testing.assert_allclose(found, known, atol=1e-5)
        joined = given[f"{name}_ion"].distances_ang
        np.testing.assert_array_equal(joined[:-1, :-1], one.distances_ang)
        np.testing.assert_allclose(joined[-1, :-1], scene.distances_ang[-1, atoms])
    without = rips_inputs(scene, TopologySettings(ion="none", element_dimension=None))
    assert [one.cloud for one in without] == ["anion", "cation", "framework"]


def test_clouds_by_role(place):
    env = place([-1.0, 0, 0], [1.0, 0, 0], 2.0 * OCTAHEDRON, [[0, 3.0, 0], [0, -3.0, 0], [0, 0, 7.0]])
    env = with_numbers(env, [8] * 6 + [27, 3, 27], [-2.0] * 6 + [3.0, 1.0, 3.0])
    found = {name: atoms.tolist() for name, atoms in clouds(survey(env)).items()}
    # The lithium is a cation outside the framework; the last cobalt is too far.
    assert found == {"anion": list(range(6)), "cation": [6, 7], "framework": [*range(6), 6]}


def test_no_transition_metal_is_as_small_as_a_polyanion_centre():
    table = element_table()
    assert np.nanmin(table.cation_radius_ang[table.transition_metal]) > SMALL_CATION_ANG + 0.02
    assert not (table.polyanion_centre & table.transition_metal).any()
    centres = [atomic_number(symbol) for symbol in ("B", "C", "N", "Si", "P", "S")]
    assert table.polyanion_centre[centres].all()
    # Shannon has no radius of hydrogen, and no ion of it centres a polyanion.
    assert not table.polyanion_centre[[1, atomic_number("Al"), atomic_number("Li")]].any()


def test_clouds_by_element(caged):
    rng = np.random.default_rng(0)
    points = rng.uniform(-3.0, 3.0, (10, 3))
    env = replace(caged(), coords_ang=points)
    # O, O, Fe, Fe3+, P, Na of a polyanionic lithium compound, Li, Li, S of a sulfate, S of a sulfide.
    env = with_numbers(env, [8, 8, 26, 26, 15, 11, 3, 3, 16, 16], [-2, -2, 2, 3, 5, 1, 1, 1, 6, -2])
    found = {name: atoms.tolist() for name, atoms in element_clouds(survey(env), EVERYTHING).items()}
    assert found == {"metal": [2, 3], "polyanion": [4, 8], "working": [6, 7]}
    unknown = with_numbers(env, env.numbers, [-2, -2, 2, np.nan, 5, 1, 1, 1, 6, -2])
    masked = element_clouds(survey(unknown), EVERYTHING)
    assert masked["metal"] is None
    assert masked["polyanion"] is None
    assert masked["working"].tolist() == [6, 7]
    # A working ion's charge decides on nothing.
    unknown = with_numbers(env, env.numbers, [-2, -2, 2, 3, 5, 1, np.nan, np.nan, 6, -2])
    assert element_clouds(survey(unknown), EVERYTHING)["metal"].tolist() == [2, 3]
    assert element_clouds(survey(env), replace(EVERYTHING, element_dimension=None)) == {}


def test_unknown_charges_mask_clouds_by_element(crystal_hops):
    env = crystal_hops["olivine"].environment()
    blind = described(replace(env, charges=np.full(len(env.numbers), np.nan)), EVERYTHING)
    known = described(env, EVERYTHING)
    for key, value in blind.items():
        if key.startswith(("metal_", "polyanion_")):
            assert np.isnan(value), key
        else:
            assert value == pytest.approx(known[key], nan_ok=True), key
    assert known["metal_points"] > 2
    assert known["polyanion_points"] > 2
    assert known["working_points"] > 2


def test_clouds_too_small_are_masked(place):
    env = place([-1.0, 0, 0], [1.0, 0, 0], 2.0 * OCTAHEDRON, [[0, 3.0, 0]])
    found = described(env, EVERYTHING)
    assert found["cation_points"] == found["metal_points"] == 1.0
    assert found["polyanion_points"] == found["working_points"] == 0.0
    for key, value in found.items():
        if key.startswith(("cation_", "metal_", "polyanion_", "working_")) and not key.endswith("_points"):
            assert np.isnan(value), key
    # Two atoms have one bar of H0 and no ring: counts and curves are 0, means do not exist.
    env = place([-1.0, 0, 0], [1.0, 0, 0], 2.0 * OCTAHEDRON, [[0, 3.0, 0], [0, 3.0, 2.5]])
    found = described(env, EVERYTHING)
    assert found["cation_h0_death_mean_ang"] == pytest.approx(2.5)
    assert found["cation_h1_count"] == found["cation_h1_betti_0"] == found["cation_h2_length_sum_ang"] == 0.0
    assert np.isnan(found["cation_h1_length_max_ang"])


def test_edge_of_a_cloud_keeps_away_from_atoms():
    window = low, high = 4.5, 5.5
    assert cloud_edge_ang(np.array([2.0, 7.0]), window) == pytest.approx((low + high) / 2.0)
    assert cloud_edge_ang(np.array([5.0, 5.0, 5.0]), window) == pytest.approx((low + 5.0) / 2.0)
    assert cloud_edge_ang(np.array([4.8, 5.2]), window) == pytest.approx(5.0)
    # Of gaps that only rounding tells apart the nearer one is taken, but of others the widest.
    for rounding in (-1e-7, 1e-7):
        assert cloud_edge_ang(np.array([5.0 + rounding]), window) == pytest.approx(4.75)
    assert cloud_edge_ang(np.array([4.95]), window) == pytest.approx(5.225)
    distances = np.random.default_rng(1).uniform(3.0, 7.0, 60)
    edge = cloud_edge_ang(distances, window)
    noisy = distances + np.random.default_rng(2).uniform(-1e-6, 1e-6, 60)
    assert ((noisy < cloud_edge_ang(noisy, window)) == (distances < edge)).all()


@pytest.mark.parametrize("name", ["layered", "olivine", "rocksalt"])
@pytest.mark.parametrize("settings", [DEFAULT, EVERYTHING, replace(CHANGES, edge_window_ang=(5.5, 6.5))])
def test_noise_rotation_and_order_change_nothing(crystal_hops, name, settings):
    env = crystal_hops[name].environment()
    rng = np.random.default_rng(4)
    turn, _ = np.linalg.qr(rng.normal(size=(3, 3)))
    order = rng.permutation(len(env.numbers))
    noise = rng.uniform(-1e-7, 1e-7, env.coords_ang.shape)
    moved = replace(
        env,
        path_ang=(env.path_ang @ turn)[::-1],
        coords_ang=((env.coords_ang + noise) @ turn)[order],
        numbers=env.numbers[order],
        charges=env.charges[order],
    )
    got, expected = described(moved, settings), described(env, settings)
    for key, value in expected.items():
        assert got[key] == pytest.approx(value, rel=2e-4, abs=2e-4, nan_ok=True), key


def test_curves_begin_before_any_bar(crystal_hops):
    """No figure is lost before the first bin: in crystals no ring closes below 1.5 Å, no cage below 2.5."""
    for hop in crystal_hops.values():
        for one in rips_inputs(survey(hop.environment()), EVERYTHING):
            bars = bars_of(one.distances_ang, one.max_dimension, one.threshold_ang)
            for dimension in range(1, one.max_dimension + 1):
                births = bars[dimension][:, 0]
                assert (births > DEFAULT.bins_ang(dimension)[0]).all()


def test_bins_follow_the_threshold():
    assert DEFAULT.bins_ang(0)[0] == 1.0
    assert replace(DEFAULT, threshold_ang=4.0).bins_ang(2) == (2.5, 3.0, 3.5, 4.0)
    assert len(set(np.diff(DEFAULT.bins_ang(1)))) == 1
    assert all(DEFAULT.bins_ang(dimension)[-1] == DEFAULT.threshold_ang for dimension in (0, 1, 2))


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"edge_window_ang": (5.0, 8.0)}, "between 0 and 8.0 Å.*nearer window"),
        ({"edge_window_ang": (5.0, 4.0)}, "must rise"),
        ({"threshold_ang": 5.2}, "5.2; choose a multiple of 0.5 Å from 3.0 up"),
        ({"threshold_ang": 2.5}, "from 3.0 up"),
        ({"threshold_ang": float("inf")}, "multiple of"),
        ({"max_dimension": 3}, "max_dimension is 3; choose 0, 1 or 2"),
        ({"element_dimension": -1}, "element_dimension is -1; choose None, 0, 1 or 2"),
        ({"ion": "some"}, "'some'; choose one of none, compact, changes, full"),
    ],
)
def test_settings_out_of_range_are_refused(wrong, words):
    with pytest.raises(DescriptorError, match=words):
        TopologySettings(**wrong)


@pytest.mark.data
def test_published_hops_are_finite_and_masked_for_a_reason(devi2025_dir):
    from tasks.datasets import devi2025

    for row in devi2025.read_entries(devi2025_dir, "train")[::60]:
        found = described(devi2025.hop_of(row, "train").environment)
        for key, value in found.items():
            assert not np.isinf(value), key
            cloud = key.split("_")[0]
            enough = found[f"{cloud}_points"] >= 2
            if key.endswith(("_count", "_length_sum_ang")) or "_betti_" in key:
                assert np.isfinite(value) == enough, key
