"""Curves through images: spacing, ends and extrema with known answers."""

from __future__ import annotations

import numpy as np
import pytest

from tasks.hops.curve import Curve, even_points, find_extrema


def circle(n, jitter=0.0):
    angle = np.linspace(0, np.pi, n)
    angle[1:-1] += jitter * np.random.default_rng(0).uniform(-1, 1, n - 2) * np.pi / n
    return 2.0 * np.column_stack([np.cos(angle), np.sin(angle), np.zeros(n)])


def test_points_are_even_and_on_the_curve():
    points = even_points(circle(15, jitter=0.4), 21)
    steps = np.linalg.norm(np.diff(points, axis=0), axis=1)
    assert steps == pytest.approx(steps.mean(), rel=0.02)
    assert np.linalg.norm(points, axis=1) == pytest.approx(2.0, abs=0.01)


def test_ends_are_the_images_own_to_the_last_bit():
    images = circle(11, jitter=0.4) + 0.1
    points = even_points(images, 21)
    assert np.array_equal(points[[0, -1]], images[[0, -1]])


def test_reversed_images_give_reversed_points():
    images = circle(11, jitter=0.4)
    assert even_points(images[::-1], 21) == pytest.approx(even_points(images, 21)[::-1], abs=1e-12)


def test_images_on_top_of_each_other_count_once():
    images = circle(9)
    twice = np.repeat(images, 2, axis=0)
    assert even_points(twice, 21) == pytest.approx(even_points(images, 21), abs=1e-12)


def test_a_path_that_does_not_move_stays():
    still = np.ones((5, 3))
    assert np.array_equal(even_points(still, 21), np.ones((21, 3)))
    assert Curve(still).length_ang == 0.0


def test_two_points_are_a_line():
    points = even_points(np.array([[0.0, 0, 0], [2.0, 0, 0]]), 5)
    assert points[:, 0] == pytest.approx([0, 0.5, 1, 1.5, 2])


def extrema(energies, least=0.05):
    fractions = np.linspace(0, 1, len(energies))
    found = find_extrema(fractions, np.array(energies, dtype=float), least_ev=least)
    return [(e.kind, round(e.fraction, 3), round(e.energy_ev, 6)) for e in found]


def test_one_barrier():
    assert extrema([0.1, 0.5, 1.0, 0.4, 0.0]) == [("maximum", 0.5, 1.0)]


def test_a_minimum_between_two_barriers():
    found = extrema([0.0, 1.0, 0.3, 0.8, 0.2])
    assert found == [("maximum", 0.25, 1.0), ("minimum", 0.5, 0.3), ("maximum", 0.75, 0.8)]


def test_energies_count_from_the_lower_end():
    assert extrema([2.0, 5.0, 1.0]) == [("maximum", 0.5, 4.0)]


def test_ripples_do_not_count():
    assert extrema([0.0, 1.0, 0.96, 1.02, 0.0]) == [("maximum", 0.75, 1.02)]
    assert extrema([0.0, 1.0, 0.96, 1.02, 0.0], least=0.03) == [
        ("maximum", 0.25, 1.0), ("minimum", 0.5, 0.96), ("maximum", 0.75, 1.02)
    ]  # fmt: skip


def test_slopes_have_none():
    assert extrema([0.0, 0.5, 1.0]) == []
    assert extrema([1.0, 0.5, 0.0]) == []
    assert extrema([1.0, 1.0, 1.0]) == []


def test_a_path_that_starts_downhill_has_a_minimum():
    assert extrema([0.5, 0.0, 0.5, 0.2]) == [("minimum", 0.333, -0.2), ("maximum", 0.667, 0.3)]


def test_reversed_energies_give_the_same_extrema():
    energies = np.random.default_rng(1).normal(size=40)
    ahead, back = extrema(energies, 0.3), extrema(energies[::-1], 0.3)
    assert [(kind, round(1 - f, 3), e) for kind, f, e in back[::-1]] == ahead
    assert len(ahead) > 5
