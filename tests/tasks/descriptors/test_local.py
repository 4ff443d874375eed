"""Local geometry against perfect polyhedra."""

from __future__ import annotations

import math
from dataclasses import replace
from itertools import combinations

import numpy as np
import pytest

from tasks.descriptors.keys import group_keys
from tasks.descriptors.local import (
    bond_angle_variance_deg2,
    cation_charges,
    coordinating,
    hull_volume_ang3,
    local,
    polyhedron,
)
from tasks.descriptors.profile import effective_coordination
from tasks.descriptors.scene import survey

OCTAHEDRON = np.array([[1, 0, 0], [-1, 0, 0], [0, 1, 0], [0, -1, 0], [0, 0, 1], [0, 0, -1]], dtype=float)
TETRAHEDRON = np.array([[1, 1, 1], [1, -1, -1], [-1, 1, -1], [-1, -1, 1]]) / np.sqrt(3.0)


def named(values):
    return dict(zip(group_keys("local"), values.tolist(), strict=True))


def survey_facets(place, corners):
    """The smooth facet count and the polyhedron of an ion at the origin."""
    atoms, facets = coordinating(survey(place([0, 0, 0], [0.5, 0.6, 0.7], corners)), 0, 2.0)
    return facets, atoms


@pytest.mark.parametrize(
    ("corners", "volume"),
    [(OCTAHEDRON, 4.0 / 3.0), (TETRAHEDRON, 8.0 / (9.0 * np.sqrt(3.0)))],
    ids=["octahedron", "tetrahedron"],
)
def test_perfect_polyhedron(place, corners, volume):
    d = 2.1
    far = 6.0 * OCTAHEDRON  # a shell that is no neighbour
    scene = survey(place([0, 0, 0], [0.5, 0.6, 0.7], np.concatenate([d * corners, far])))
    coordination, mean = effective_coordination(scene.distances_ang[:1, scene.is_anion])
    assert coordination[0] == pytest.approx(len(corners), abs=1e-6)
    assert mean[0] == pytest.approx(d)
    found = polyhedron(scene, 0, float(mean[0]))
    assert found["coordination_number"] == len(corners)
    for key in ("d_min_ang", "d_mean_ang", "d_max_ang"):
        assert found[key] == pytest.approx(d)
    assert found["d_std_ang"] == pytest.approx(0.0, abs=1e-9)
    assert found["distortion"] == pytest.approx(0.0, abs=1e-9)
    assert found["bond_angle_variance_deg2"] == pytest.approx(0.0, abs=1e-9)
    alone, _ = survey_facets(place, d * corners)
    assert alone == pytest.approx(len(corners))
    assert found["off_centre_ang"] == pytest.approx(0.0, abs=1e-9)
    assert found["flatness"] == pytest.approx(1.0 / 3.0)
    assert found["volume_ang3"] == pytest.approx(volume * d**3)


def test_distances_of_a_stretched_octahedron(place):
    stretched = OCTAHEDRON * np.array([2.0, 2.0, 2.3])
    scene = survey(place([0, 0, 0], [1, 1, 1], stretched))
    found = polyhedron(scene, 0, 2.1)
    distances = np.array([2.0, 2.0, 2.0, 2.0, 2.3, 2.3])
    assert found["d_mean_ang"] == pytest.approx(distances.mean())
    assert found["d_std_ang"] == pytest.approx(distances.std())
    assert found["distortion"] == pytest.approx(np.abs(distances / distances.mean() - 1.0).mean())

    assert found["volume_ang3"] == pytest.approx(4.0 / 3.0 * 2.0 * 2.0 * 2.3)
    assert found["bond_angle_variance_deg2"] == pytest.approx(0.0, abs=1e-9)


def test_an_anion_in_the_shade_of_others_is_no_neighbour(place):
    # Nearer than 1.25 mean distances, but behind the face of three others.
    shaded = np.array([1.0, 1.0, 1.0]) * 2.5 / np.sqrt(3.0)
    corners = np.concatenate([2.1 * OCTAHEDRON, [shaded]])
    scene = survey(place([0, 0, 0], [0.5, 0.6, 0.7], corners))
    atoms, facets = coordinating(scene, 0, 2.1)
    assert sorted(atoms.tolist()) == [0, 1, 2, 3, 4, 5]
    assert 6.0 < facets < 7.0
    assert polyhedron(scene, 0, 2.1)["coordination_number"] == 6.0


def test_without_a_closed_cell_hoppes_mean_decides(place):
    # All anions on one side of the ion: four near ones, one just out of reach.
    half = np.array([[2, 0, 0], [-2, 0, 0], [0, 2, 0], [0, -2, 0], [1.9, 1.9, 0]], dtype=float)
    scene = survey(place([0, 0, -0.5], [0.0, 0.0, -3.0], half))
    atoms, facets = coordinating(scene, 0, 2.1)
    distances = scene.distances_ang[0]
    assert np.isnan(facets)
    assert atoms.tolist() == [k for k in np.argsort(distances, kind="stable") if distances[k] <= 1.25 * 2.1]
    assert np.isnan(polyhedron(scene, 0, 2.1)["voronoi_facets"])
    assert polyhedron(scene, 0, 2.1)["coordination_number"] == len(atoms) == 4


def naive_variance(corners, count, ideal):
    angles = []
    for a, b in combinations(corners, 2):
        cosine = sum(x * y for x, y in zip(a, b, strict=True)) / math.hypot(*a) / math.hypot(*b)
        angles.append(math.degrees(math.acos(max(-1.0, min(1.0, cosine)))))
    return sum((angle - ideal) ** 2 for angle in sorted(angles)[:count]) / (count - 1)


def test_bond_angle_variance_as_by_a_loop_and_by_hand():
    rng = np.random.default_rng(9)
    tetrahedral = math.degrees(math.acos(-1.0 / 3.0))
    triangle = np.array([[np.cos(a), np.sin(a), 0.0] for a in 2.0 * np.pi / 3.0 * np.arange(3)])
    for shape, count, ideal in ((OCTAHEDRON, 12, 90.0), (TETRAHEDRON, 6, tetrahedral), (triangle, 3, 120.0)):
        corners = shape + rng.normal(size=shape.shape) * 0.1
        units = corners / np.linalg.norm(corners, axis=1)[:, None]
        got = bond_angle_variance_deg2(units)
        assert got == pytest.approx(naive_variance(corners, count, ideal))
        assert bond_angle_variance_deg2(shape) == pytest.approx(0.0, abs=1e-9)
    # One axis of an octahedron tilted by 5 degrees towards a second: two angles 5 less, two 5 more.
    tilt = np.radians(5.0)
    tilted = OCTAHEDRON.copy()
    tilted[4], tilted[5] = [np.sin(tilt), 0, np.cos(tilt)], [-np.sin(tilt), 0, -np.cos(tilt)]
    assert bond_angle_variance_deg2(tilted) == pytest.approx(4 * 25.0 / 11.0)
    for count in (1, 2, 5):
        assert np.isnan(bond_angle_variance_deg2(OCTAHEDRON[:count]))


def test_charges_of_the_two_nearest_cations(place):
    anions, ion = 2.0 * OCTAHEDRON, [0, 0, 0]

    def charges(distances, values):
        cations = np.array([[d, 0.1 * k, 0.0] for k, d in enumerate(distances)])
        cations *= (np.array(distances) / np.linalg.norm(cations, axis=1))[:, None]
        env = place(ion, [0.5, 0.6, 0.7], anions, cations)
        return cation_charges(survey(replace(env, charges=np.array([-2.0] * 6 + list(values)))), 0)

    assert charges([2.5, 4.5], [3.0, 5.0]) == pytest.approx((3.0, 5.0))
    assert charges([4.5, 2.5], [3.0, 5.0]) == pytest.approx((5.0, 3.0))
    # Two alike at the least distance share both places, a third is out of reach.
    assert charges([2.5, 2.5, 5.0], [2.0, 4.0, 9.0]) == pytest.approx((3.0, 3.0))
    # Drawn by hand: weights 1 and exp(-1) for 2.5 and 2.6 Å.
    near = 1.0 / (1.0 + math.exp(-1.0))
    first, second = near * 2.0 + (1.0 - near) * 4.0, near * 4.0 + (1.0 - near) * 2.0
    assert charges([2.5, 2.6], [2.0, 4.0]) == pytest.approx((first, second))
    one = charges([3.0], [2.0])
    assert one[0] == pytest.approx(2.0)
    assert np.isnan(one[1])
    assert np.isnan(cation_charges(survey(place(ion, [1, 1, 1], anions)), 0)).all()
    assert np.isnan(charges([2.5, 4.5], [np.nan, np.nan])).all()


def test_volume_of_flat_and_of_too_few_corners():
    square = np.array([[0, 0, 0], [1, 0, 0], [1, 1, 0], [0, 1, 0]], dtype=float)
    assert hull_volume_ang3(square) == 0.0
    assert np.isnan(hull_volume_ang3(square[:3]))


def test_two_windows_of_a_symmetric_hop_count_alike(place):
    # Which of two equal triangles is tighter is a matter of rounding and must not matter.
    triangle = 1.7 * np.array([[np.cos(a), np.sin(a), 0.0] for a in 2.0 * np.pi / 3.0 * np.arange(3)])
    first, second = triangle + np.array([0, 0, 1.2]), triangle * [-1, -1, 1] + [0, 0, 2.8]
    base = named(local(place([0, 0, 0], [0, 0, 4], np.concatenate([first, second]))))
    for scale in (1.0 + 1e-7, 1.0 - 1e-7):
        moved = named(local(place([0, 0, 0], [0, 0, 4], np.concatenate([first, second * [scale, scale, 1]]))))
        assert {k: v for k, v in moved.items() if k.startswith("tight")} == pytest.approx(
            {k: v for k, v in base.items() if k.startswith("tight")}, rel=1e-5, abs=1e-5, nan_ok=True
        )
    assert base["tight_d_min_ang"] == pytest.approx(1.7, abs=1e-3)


def test_what_does_not_exist_is_nan_and_nothing_else(place):
    values = named(local(place([0, 0, 0], [0, 0, 3], 2.0 * OCTAHEDRON[:2])))
    assert np.isnan(values["saddle_volume_ang3"])
    assert np.isnan(values["saddle_cation_1_ang"])
    assert np.isnan(values["saddle_anion_3_ang"])
    assert np.isnan(values["saddle_working_ion_ang"])
    assert np.isnan(values["window_radius_ang"])
    assert values["hop_length_ang"] == pytest.approx(3.0)
    assert values["tortuosity"] == pytest.approx(1.0)
    assert values["ends_d_min_ang"] == pytest.approx((2.0 + np.sqrt(13.0)) / 2.0)
    assert values["ends_difference_d_min_ang"] == pytest.approx(np.sqrt(13.0) - 2.0)
