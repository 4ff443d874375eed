"""The bottleneck triangle against closed forms and a direct search."""

from __future__ import annotations

from dataclasses import replace
from itertools import combinations

import numpy as np
import pytest

from tasks.descriptors.elements import element_table
from tasks.descriptors.scene import survey
from tasks.descriptors.window import circumcircle, find_window

EDGE = 2.8
OCTAHEDRON = (
    EDGE / np.sqrt(2.0) * np.array([[1, 0, 0], [-1, 0, 0], [0, 1, 0], [0, -1, 0], [0, 0, 1], [0, 0, -1]])
)


def test_face_of_a_regular_octahedron(place):
    # Out of the octahedron's centre through the middle of a face: an equilateral triangle of edge a.
    env = place([0, 0, 0], [1.7, 1.7, 1.7], OCTAHEDRON)
    window = find_window(survey(env))
    oxygen, lithium = element_table().anion_radius_ang[8], element_table().cation_radius_ang[3]
    assert window.crossed == 1.0
    assert window.radius_ang == pytest.approx(EDGE / np.sqrt(3.0))
    assert window.free_radius_ang == pytest.approx(EDGE / np.sqrt(3.0) - oxygen)
    assert window.fit_ang == pytest.approx(EDGE / np.sqrt(3.0) - oxygen - lithium)
    assert window.area_ang2 == pytest.approx(np.sqrt(3.0) / 4.0 * EDGE**2)
    assert window.shortest_edge_ang == pytest.approx(EDGE)
    assert window.offset_ang == pytest.approx(0.0, abs=1e-9)


def test_square_face_of_a_cubic_site(place):
    # Each half of the square has the square's circumcircle, and the ion passes the edge that they share.
    cube = EDGE / 2.0 * np.array([[x, y, z] for x in (-1, 1) for y in (-1, 1) for z in (-1, 1)], dtype=float)
    window = find_window(survey(place([0, 0, 0], [0, 0, EDGE], cube)))
    oxygen, lithium = element_table().anion_radius_ang[8], element_table().cation_radius_ang[3]
    assert window.radius_ang == pytest.approx(EDGE / np.sqrt(2.0))
    assert window.free_radius_ang == pytest.approx(EDGE / np.sqrt(2.0) - oxygen)
    assert window.fit_ang == pytest.approx(EDGE / np.sqrt(2.0) - oxygen - lithium)
    assert window.area_ang2 == pytest.approx(EDGE**2 / 2.0)
    assert window.offset_ang == pytest.approx(0.0, abs=1e-9)


def test_the_window_is_that_of_the_path_taken(place):
    # The straight line runs through a narrow triangle, the bent path through a wide one beside it.
    angles = 2.0 * np.pi / 3.0 * np.arange(3)
    ring = np.stack([np.cos(angles), np.sin(angles), 0.0 * angles], axis=1)
    anions = np.concatenate([1.5 * ring, 2.2 * ring + [6.0, 0.0, 0.0]])
    env = place([0, 0, -2], [0, 0, 2], anions)
    assert find_window(survey(env)).radius_ang == pytest.approx(1.5)
    bend = np.sin(np.pi * np.linspace(0.0, 1.0, 21))[:, None] * [6.0, 0.0, 0.0]
    bent = find_window(survey(replace(env, path_ang=env.path_ang + bend)))
    assert bent.radius_ang == pytest.approx(2.2)
    assert bent.offset_ang == pytest.approx(0.0, abs=1e-9)


def test_path_beside_the_centre_has_an_offset(place):
    triangle = np.array([[0.0, 0.0, 0.0], [3.0, 0.0, 0.0], [1.5, 1.5 * np.sqrt(3.0), 0.0]])
    centre = triangle.mean(axis=0)
    shift = np.array([0.2, 0.1, 0.0])
    env = place((centre + shift - [0, 0, 1.5]).tolist(), (centre + shift + [0, 0, 1.5]).tolist(), triangle)
    assert find_window(survey(env)).offset_ang == pytest.approx(np.linalg.norm(shift))


def test_path_that_crosses_nothing_has_no_window(place):
    triangle = np.array([[2.0, 0.0, 0.0], [3.0, 1.0, 0.0], [3.0, -1.0, 0.5]])
    window = find_window(survey(place([0, 0, -1], [0, 0, 1], triangle)))
    assert window.crossed == 0.0
    assert np.isnan(window.radius_ang)
    assert np.isnan(find_window(survey(place([0, 0, -1], [0, 0, 1], triangle[:2]))).area_ang2)


def test_smallest_of_crossed_triangles_is_found_as_by_brute_force(place):
    rng = np.random.default_rng(5)
    for _ in range(20):
        anions = rng.uniform(-3.0, 3.0, (10, 3))
        start, end = rng.uniform(-2.0, 0.0, 3), rng.uniform(0.0, 2.0, 3)
        best = np.inf
        for triple in combinations(anions, 3):
            # Solve start + t (end - start) = a + u (b - a) + v (c - a).
            a, b, c = triple
            t, u, v = np.linalg.solve(np.array([start - end, b - a, c - a]).T, start - a)
            if 0 <= t <= 1 and min(u, v, 1 - u - v) >= -0.02:
                sides = [np.linalg.norm(b - c), np.linalg.norm(a - c), np.linalg.norm(a - b)]
                area = np.linalg.norm(np.cross(b - a, c - a)) / 2.0
                best = min(best, np.prod(sides) / (4.0 * area))
        window = find_window(survey(place(start.tolist(), end.tolist(), anions)))
        if np.isinf(best):
            assert window.crossed == 0.0
        else:
            assert window.radius_ang == pytest.approx(best, abs=2e-3)


def test_circumcircle_of_corners_on_a_line_does_not_exist():
    centres, areas = circumcircle(np.array([[[0.0, 0, 0], [1.0, 0, 0], [2.0, 0, 0]]]))
    assert np.isnan(centres).all()
    assert areas[0] == 0.0
