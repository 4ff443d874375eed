"""Persistent homology against closed forms and a spanning tree in plain Python."""

from __future__ import annotations

import numpy as np
import pytest

from tasks.descriptors.registry.topology import BETTI_BINS
from tasks.descriptors.topology import (
    EDGE_WINDOW_ANG,
    THRESHOLD_ANG,
    cloud_edge_ang,
    persistence,
    summarise,
)


@pytest.mark.parametrize("n", [8, 9, 10, 12, 17])
def test_ring_of_evenly_spaced_points(n):
    radius = 2.9
    angles = 2.0 * np.pi * np.arange(n) / n
    _, h1 = persistence(radius * np.stack([np.cos(angles), np.sin(angles), 0.0 * angles], axis=1))
    # The ring closes at the shortest chord and fills at the first that spans a third of it.
    birth = 2.0 * radius * np.sin(np.pi / n)
    death = 2.0 * radius * np.sin(np.pi * np.ceil(n / 3.0) / n)
    longest = h1[np.argmax(h1[:, 1] - h1[:, 0])]
    assert longest == pytest.approx([birth, min(death, THRESHOLD_ANG)], abs=1e-5)
    assert summarise(h1, n)["length_max_ang"] == pytest.approx(min(death, THRESHOLD_ANG) - birth, abs=1e-5)


def test_square():
    a = 2.0
    h0, h1 = persistence(a * np.array([[0, 0, 0], [1, 0, 0], [1, 1, 0], [0, 1, 0]], dtype=float))
    assert h0 == pytest.approx(np.array([[0.0, a]] * 3))
    assert h1 == pytest.approx(np.array([[a, a * np.sqrt(2.0)]]), abs=1e-6)
    figures = summarise(h1, 4)
    length = a * (np.sqrt(2.0) - 1.0)
    assert figures["count"] == pytest.approx(length**2 / (length**2 + 0.01))
    assert figures["entropy"] == pytest.approx(0.0, abs=1e-9)
    assert figures["birth_mean_ang"] == pytest.approx(a)
    # One bar of that length among four atoms, spread over the bins.
    curve = [figures[f"betti_{k}"] for k in range(len(BETTI_BINS) - 1)]
    assert sum(curve) * 0.5 * 4 == pytest.approx(length)


def test_equal_bars_have_the_entropy_of_a_fair_die():
    figures = summarise(np.array([[0.0, 2.0]] * 6), 7)
    assert figures["entropy"] == pytest.approx(np.log(6.0))
    assert figures["death_std_ang"] == pytest.approx(0.0, abs=1e-9)
    assert figures["length_sum_ang"] == pytest.approx(12.0)


def test_bars_that_rounding_makes_weigh_nothing():
    bars = np.array([[2.0, 3.0], [2.5, 3.5], [1.0, 3.3]])
    dust = np.concatenate([bars, np.array([[3.0, 3.0 + 1e-6]] * 50)])
    assert summarise(dust, 9) == pytest.approx(summarise(bars, 9), rel=1e-4, abs=1e-4)


def test_h0_deaths_are_the_edges_of_a_minimum_spanning_tree():
    points = np.random.default_rng(3).uniform(0.0, 6.0, (25, 3))
    h0, _ = persistence(points)
    inside, tree = {0}, []
    while len(inside) < len(points):
        length, new = min(
            (float(np.linalg.norm(points[a] - points[b])), b)
            for a in inside for b in range(len(points)) if b not in inside
        )  # fmt: skip
        inside.add(new)
        tree.append(length)
    assert np.sort(h0[:, 1]) == pytest.approx(np.sort(np.minimum(tree, THRESHOLD_ANG)), abs=1e-5)


def test_clouds_too_small_or_without_loops():
    h0, h1 = persistence(np.zeros((1, 3)))
    assert len(h0) == len(h1) == 0
    assert np.isnan(list(summarise(h0, 1).values())).all()
    lonely = summarise(np.empty((0, 2)), 3)
    assert lonely["count"] == 0.0
    assert np.isnan(lonely["death_mean_ang"])
    assert lonely["betti_0"] == 0.0
    far_apart, _ = persistence(np.array([[0.0, 0, 0], [9.0, 0, 0]]))
    assert far_apart == pytest.approx(np.array([[0.0, THRESHOLD_ANG]]))


def test_edge_of_a_cloud_keeps_away_from_atoms():
    low, high = EDGE_WINDOW_ANG
    assert cloud_edge_ang(np.array([2.0, 7.0])) == pytest.approx((low + high) / 2.0)
    assert cloud_edge_ang(np.array([5.0, 5.0, 5.0])) == pytest.approx((low + 5.0) / 2.0)
    distances = np.random.default_rng(1).uniform(3.0, 7.0, 60)
    edge = cloud_edge_ang(distances)
    noisy = distances + np.random.default_rng(2).uniform(-1e-6, 1e-6, 60)
    assert ((noisy < cloud_edge_ang(noisy)) == (distances < edge)).all()
