"""The image against plain Python loops, and under reversal."""

from __future__ import annotations

import math

import numpy as np
import pytest

from tasks.descriptors.elements import atomic_number, bond_valence_distance_ang, element_table
from tasks.descriptors.keys import group_keys
from tasks.descriptors.profile import (
    channels,
    curvature_per_ang,
    effective_coordination,
    hoppe_weights,
    profile,
)
from tasks.descriptors.scene import survey


def naive(env, point):
    """All channels but the middle's distance at one path point, one atom at a time."""
    table, ion = element_table(), env.path_ang[point]
    r_ion, z_ion = table.cation_radius_ang[3], env.working_ion_charge
    anions, cations, others, gaps, framework = [], [], [], [], []
    total, crowd, repulsion, potential, vector = 0.0, 0.0, 0.0, 0.0, np.zeros(3)
    shells = {f"{kind}_density_{r}": 0.0 for kind in ("anion", "cation") for r in (2, 3, 4)}
    for kind, radii in (("anion", (2, 3)), ("cation", (3, 4))):
        shells |= {f"{kind}_density_{w}_{r}": 0.0 for w in ("charge", "electronegativity") for r in radii}
    for xyz, z, q in zip(env.coords_ang, env.numbers, env.charges, strict=True):
        d = math.dist(ion, xyz)
        fade = 0.5 * (1.0 + math.cos(math.pi * d / 8.0)) if d < 8.0 else 0.0
        screen = math.exp(-d / 2.0) / math.sqrt(d**2 + 0.25) * fade
        potential += 14.399645 * z_ion * q * screen
        for r in (2, 3, 4):
            kind, shell = "anion" if q < 0 else "cation", math.exp(-0.5 * ((d - r) / 0.5) ** 2)
            shells[f"{kind}_density_{r}"] += shell
            if r in ((2, 3) if q < 0 else (3, 4)):
                shells[f"{kind}_density_charge_{r}"] += shell * q
                shells[f"{kind}_density_electronegativity_{r}"] += shell * table.electronegativity[z]
        if q < 0:
            anions.append(d)
            gaps.append(d - r_ion - table.anion_radius_ang[z])
            valence = math.exp((bond_valence_distance_ang(3, np.array([z]))[0] - d) / 0.37)
            if d > 6.0:
                valence *= 0.5 * (1.0 + math.cos(math.pi * (d - 6.0) / 2.0)) if d < 8.0 else 0.0
            total += valence
            vector += valence * (xyz - ion) / d
        else:
            cations.append(d)
            crowd += screen
            repulsion += 14.399645 * z_ion * q * screen
            if z == 3:
                others.append(d)
            else:
                framework.append(d - r_ion - table.cation_radius_ang[z])
    found = {f"anion_{k + 1}_ang": d for k, d in enumerate(sorted(anions)[:6])}
    found |= {f"cation_{k + 1}_ang": d for k, d in enumerate(sorted(cations)[:4])}
    found |= {f"gap_{k + 1}_ang": g for k, g in enumerate(sorted(gaps)[:3])}
    mean = min(anions)
    for _ in range(50):
        weights = [math.exp(1.0 - min(d / mean, 3.0) ** 6) for d in anions]
        mean = sum(w * d for w, d in zip(weights, anions, strict=True)) / sum(weights)
    return found | shells | {
        "working_ion_ang": min(others, default=math.nan),
        "soft_gap_ang": -0.3 * math.log(sum(math.exp(-g / 0.3) for g in gaps)),
        "framework_gap_ang": min(framework),
        "coordination": sum(weights),
        "mean_anion_ang": mean,
        "bond_valence_sum": total,
        "bond_valence_mismatch": total - z_ion,
        "bond_valence_vector": float(np.linalg.norm(vector)),
        "cation_crowding": crowd,
        "cation_repulsion_ev": repulsion,
        "screened_potential_ev": potential,
    }  # fmt: skip


@pytest.mark.parametrize("name", ["layered", "olivine"])
def test_fast_path_equals_plain_python(crystal_hops, name):
    env = crystal_hops[name].environment()
    image = dict(zip(group_keys("profile"), profile(env), strict=True))
    for point in (0, 4, 10, 17):
        expected = naive(env, point)
        assert set(expected) == set(image) - {"off_middle_ang", "bvse_ev", "curvature_per_ang"}
        got = {key: float(image[key][point]) for key in expected}
        assert got == pytest.approx(expected, rel=2e-5, abs=2e-5, nan_ok=True)


def test_middle_of_the_path(place):
    image = profile(place([0, 0, 0], [0, 0, 4.0], np.array([[2.0, 0.0, 2.0]])))
    channel = image[group_keys("profile").index("off_middle_ang")]
    assert channel == pytest.approx(np.abs(np.linspace(-2.0, 2.0, 21)), abs=1e-6)


def test_unknown_charges_leave_geometry_and_mask_energies(place):
    env = place([0, 0, 0], [0, 0, 3], np.array([[2.0, 0, 0]]), np.array([[0, 3.0, 0]]), cation_charge=np.nan)
    image = dict(zip(group_keys("profile"), profile(env), strict=True))
    assert np.isnan(image["cation_repulsion_ev"]).all()
    assert np.isfinite(image["cation_crowding"]).all()
    assert image["cation_1_ang"][0] == pytest.approx(3.0)
    assert np.isnan(image["cation_2_ang"]).all()
    assert np.isnan(image["cation_density_charge_3"]).all()
    assert np.isfinite(image["anion_density_charge_3"]).all()
    assert np.isfinite(image["cation_density_electronegativity_3"]).all()


def arc(radius, degrees, *, wobble=0.0):
    """21 points on a circle about the z axis, lifted by a wobble."""
    angles = np.radians(np.linspace(0.0, degrees, 21))
    return np.stack([radius * np.cos(angles), radius * np.sin(angles), wobble * angles**2], axis=1)


@pytest.mark.parametrize(("radius", "degrees"), [(2.0, 90.0), (5.0, 40.0), (1.0, 170.0), (3.0, 10.0)])
def test_curvature_of_a_circle(radius, degrees):
    # A parabola is off by about the square of the angle between points, and by six times that at the ends.
    error = np.radians(degrees / 20.0) ** 2
    got = curvature_per_ang(arc(radius, degrees))
    assert got[2:-2] == pytest.approx(np.full(17, 1.0 / radius), rel=2.0 * error)
    assert got == pytest.approx(np.full(21, 1.0 / radius), rel=6.0 * error)


def test_curvature_of_a_straight_path_is_zero_and_of_a_helix_is_known():
    straight = np.linspace([0.1, 0.2, 0.3], [1.7, -2.0, 0.9], 21)
    assert curvature_per_ang(straight) == pytest.approx(np.zeros(21), abs=1e-12)
    t = np.linspace(0.0, 0.8, 21)
    helix = np.stack([1.5 * np.cos(t), 1.5 * np.sin(t), 0.7 * t], axis=1)
    assert curvature_per_ang(helix) == pytest.approx(np.full(21, 1.5 / (1.5**2 + 0.7**2)), rel=1e-2)


def test_curvature_is_that_of_the_parabola_through_five_points():
    path = arc(2.0, 120.0, wobble=0.4)
    rng = np.random.default_rng(1)
    path += rng.normal(size=path.shape) * 0.01
    got = curvature_per_ang(path)
    for k in range(21):
        window = np.arange(5) + min(max(k - 2, 0), 16)
        fits = [np.polyfit(window - k, path[window, axis], 2) for axis in range(3)]
        speed, bend = np.array([f[1] for f in fits]), np.array([2.0 * f[0] for f in fits])
        across = bend - (bend @ speed) * speed / (speed @ speed)
        assert got[k] == pytest.approx(np.linalg.norm(across) / (speed @ speed), rel=1e-6)
    np.testing.assert_allclose(curvature_per_ang(path[::-1]), got[::-1], rtol=1e-9)


def test_curvature_survives_noise_standstill_and_a_path_that_doubles_back():
    path = arc(2.0, 90.0)
    noise = np.random.default_rng(0).uniform(-1e-7, 1e-7, path.shape)
    np.testing.assert_allclose(curvature_per_ang(path + noise), curvature_per_ang(path), atol=5e-5)
    back = np.abs(np.linspace(-1.0, 1.0, 21))[:, None] * [1.0, 0.0, 0.0] + 1e-3 * arc(1.0, 90.0)
    assert np.isfinite(curvature_per_ang(back)).all()
    assert curvature_per_ang(np.zeros((21, 3))) == pytest.approx(np.zeros(21))


def test_curvature_at_the_transition_state_lies_between_its_neighbours(crystal_hops):
    for name in ("layered", "olivine"):
        env = crystal_hops[name].relaxed()
        values = channels(survey(env))["curvature_per_ang"]
        assert values.shape == (22,)
        position = env.relaxed.saddle_fraction * 20
        pair = values[[int(np.floor(position)), min(int(np.ceil(position)), 20)]]
        assert pair.min() - 1e-12 <= values[21] <= pair.max() + 1e-12
        assert values[:21].max() > 0.05
        straight = channels(survey(crystal_hops[name].environment()))["curvature_per_ang"]
        assert straight == pytest.approx(np.zeros(22), abs=1e-9)


def test_far_neighbours_may_be_left_out_of_hoppes_sum():
    grid = np.array(
        [[x, y, z] for x in range(-4, 5) for y in range(-4, 5) for z in range(-4, 5)], dtype=float
    )
    distances = np.linalg.norm(2.0 * grid[grid.sum(axis=1) % 2 == 1] - [[[0.2, 0.4, 0.1]]], axis=2)
    weights, mean = hoppe_weights(distances)
    coordination, near_mean = effective_coordination(distances)
    assert distances.shape[1] > 100
    assert coordination == pytest.approx(weights.sum(axis=1), rel=1e-8)
    assert near_mean == pytest.approx(mean, rel=1e-8)


def test_path_through_an_atom_stays_finite(place):
    env = place(
        [0, 0, 0], [0, 0, 4], np.array([[0, 0, 2.0], [2.0, 0, 0], [0, 2.0, 0]]), np.array([[0, 0, 1.0]])
    )
    image = profile(env)
    assert not np.isinf(image).any()
    assert np.isfinite(image[group_keys("profile").index("bond_valence_vector")]).all()


def test_bond_valence_distance_of_equal_and_of_unlisted_elements():
    table = element_table()
    oxygen, promethium = atomic_number("O"), atomic_number("Pm")
    distance = bond_valence_distance_ang(oxygen, np.array([oxygen, promethium]))
    assert distance[0] == pytest.approx(2.0 * table.bv_size[oxygen])
    assert np.isnan(distance[1])
    # Tabulated for the pair by Brese and O'Keeffe: 1.466; the element figures come within 0.05 Å of it.
    assert bond_valence_distance_ang(oxygen, np.array([3]))[0] == pytest.approx(1.466, abs=0.05)


def test_bonds_of_a_valence_of_one_sixth_each_sum_up_to_one(place):
    # Six oxide ions as far as the bond-valence method puts them round an ion of charge 1.
    distance = float(bond_valence_distance_ang(3, np.array([8]))[0]) + 0.37 * np.log(6.0)
    octahedron = distance * np.array([[1, 0, 0], [-1, 0, 0], [0, 1, 0], [0, -1, 0], [0, 0, 1], [0, 0, -1.0]])
    image = channels(survey(place([0, 0, 0], [0.1, 0, 0], octahedron)))
    assert image["bond_valence_sum"][0] == pytest.approx(1.0, abs=1e-9)
    assert image["bond_valence_mismatch"][0] == pytest.approx(0.0, abs=1e-9)
    assert image["bond_valence_vector"][0] == pytest.approx(0.0, abs=1e-9)
