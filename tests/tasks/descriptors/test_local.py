"""Local geometry against perfect polyhedra."""

from __future__ import annotations

import numpy as np
import pytest

from tasks.descriptors.keys import group_keys
from tasks.descriptors.local import hull_volume_ang3, local, polyhedron
from tasks.descriptors.profile import effective_coordination
from tasks.descriptors.scene import survey

OCTAHEDRON = np.array([[1, 0, 0], [-1, 0, 0], [0, 1, 0], [0, -1, 0], [0, 0, 1], [0, 0, -1]], dtype=float)
TETRAHEDRON = np.array([[1, 1, 1], [1, -1, -1], [-1, 1, -1], [-1, -1, 1]]) / np.sqrt(3.0)


def named(values):
    return dict(zip(group_keys("local"), values.tolist(), strict=True))


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
