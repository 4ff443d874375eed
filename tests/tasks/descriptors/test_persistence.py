"""Persistent homology against closed forms, and against a reduction of boundary matrices in plain Python."""

from __future__ import annotations

from itertools import combinations
from math import ceil, log, sin, sqrt

import numpy as np
import pytest
from scipy.spatial.distance import pdist, squareform

from tasks.descriptors.persistence import STATISTICS, bar_statistics, bars_of, betti_curve, persistence

CUBE = np.array([[x, y, z] for x in (0.0, 1.0) for y in (0.0, 1.0) for z in (0.0, 1.0)])
OCTAHEDRON = np.vstack([np.eye(3), -np.eye(3)])
TETRAHEDRON = CUBE[[0, 3, 5, 6]]
GOLDEN = (1.0 + sqrt(5.0)) / 2.0
ICOSAHEDRON = np.array([np.roll([0.0, a, b * GOLDEN], k) for a in (1, -1) for b in (1, -1) for k in range(3)])
DUST = 1e-5
"""Bars that float32 rounding of equal distances makes are shorter."""


def ring(n, radius):
    angles = 2.0 * np.pi * np.arange(n) / n
    return radius * np.stack([np.cos(angles), np.sin(angles)], axis=1)


def chord(n, radius, steps=1):
    return 2.0 * radius * sin(np.pi * steps / n)


def real_bars(bars):
    """Bars that are no rounding, by birth and death."""
    kept = bars[bars[:, 1] - bars[:, 0] > DUST]
    return kept[np.lexsort((kept[:, 1], kept[:, 0]))]


def naive_persistence(distances, max_dimension, threshold):
    """Reduce the boundary matrix over Z/2, simplex by simplex in the order of the filtration."""
    n = len(distances)
    simplices = []
    for size in range(1, max_dimension + 3):
        for simplex in combinations(range(n), size):
            born = max((distances[a][b] for a, b in combinations(simplex, 2)), default=0.0)
            if born <= threshold:
                simplices.append((born, size, simplex))
    simplices.sort()
    place = {simplex: k for k, (_, _, simplex) in enumerate(simplices)}
    column_of_low, paired = {}, set()
    bars = [[] for _ in range(max_dimension + 1)]
    for k, (death, size, simplex) in enumerate(simplices):
        column = {place[face] for face in combinations(simplex, size - 1)} if size > 1 else set()
        while column and max(column) in column_of_low:
            column ^= column_of_low[max(column)]
        if column:
            low = max(column)
            column_of_low[low] = column
            paired |= {low, k}
            bars[size - 2].append((simplices[low][0], death))
    for k, (born, size, _) in enumerate(simplices):
        if k not in paired and size <= max_dimension + 1:
            bars[size - 1].append((born, threshold))
    bars[0].remove((0.0, threshold))
    return [real_bars(np.array(found, dtype=float).reshape(-1, 2)) for found in bars]


@pytest.mark.parametrize("seed", range(8))
def test_plain_python_finds_the_same_bars(seed):
    rng = np.random.default_rng(seed)
    # Points on a sphere, a little off it, so that there are cages too.
    points = rng.normal(size=(8 + seed % 4, 3))
    points = 2.5 * points / np.linalg.norm(points, axis=1, keepdims=True) + rng.normal(0.0, 0.1, points.shape)
    distances = squareform(pdist(points))
    for threshold in (3.0, 6.0):
        expected = naive_persistence(distances.tolist(), 2, threshold)
        got = persistence(points, 2, threshold)
        assert len(got) == 3
        for bars, known in zip(got, expected, strict=True):
            np.testing.assert_allclose(real_bars(bars), known, atol=2e-6)


def test_plain_python_meets_cages():
    """The comparison above would be idle in H2 if no cloud had a cage."""
    distances = squareform(pdist(2.0 * OCTAHEDRON)).tolist()
    *_, cages = naive_persistence(distances, 2, 6.0)
    np.testing.assert_allclose(cages, [[2.0 * sqrt(2.0), 4.0]])


@pytest.mark.parametrize("n", [8, 9, 10, 12, 17])
def test_ring_of_evenly_spaced_points(n):
    radius, threshold = 2.9, 6.0
    _, h1 = persistence(ring(n, radius), 1, threshold)
    # The ring closes at the shortest chord and fills at the first that spans a third of it.
    death = min(chord(n, radius, ceil(n / 3)), threshold)
    np.testing.assert_allclose(real_bars(h1), [[chord(n, radius), death]], atol=1e-5)


def test_square():
    h0, h1, h2 = persistence(2.0 * ring(4, 1.0) / sqrt(2.0), 2, 6.0)
    np.testing.assert_allclose(h0, [[0.0, 2.0]] * 3, atol=1e-6)
    np.testing.assert_allclose(real_bars(h1), [[2.0, 2.0 * sqrt(2.0)]], atol=1e-6)
    assert len(h2) == 0


def test_tetrahedron_has_neither_ring_nor_cage():
    h0, h1, h2 = persistence(1.7 * TETRAHEDRON, 2, 6.0)
    np.testing.assert_allclose(h0, [[0.0, 1.7 * sqrt(2.0)]] * 3, atol=1e-6)
    assert len(real_bars(h1)) == len(real_bars(h2)) == 0


def test_cube_has_five_rings_and_no_cage():
    """Its 12 edges close 12 - 8 + 1 rings; the face diagonals fill them, and make a sphere of dimension 3."""
    a = 2.4
    _, h1, h2 = persistence(a * CUBE, 2, 6.0)
    np.testing.assert_allclose(real_bars(h1), [[a, a * sqrt(2.0)]] * 5, atol=1e-5)
    assert len(real_bars(h2)) == 0


def test_octahedron_is_a_sphere():
    """The cage closes with the edges and fills with the diagonals through the centre."""
    r = 2.1
    _, h1, h2 = persistence(r * OCTAHEDRON, 2, 6.0)
    assert len(real_bars(h1)) == 0
    np.testing.assert_allclose(real_bars(h2), [[r * sqrt(2.0), 2.0 * r]], atol=1e-5)


def test_icosahedron_is_a_sphere():
    """Second neighbours, the golden ratio times as far as the first, fill it."""
    _, h1, h2 = persistence(ICOSAHEDRON, 2, 6.0)
    assert len(real_bars(h1)) == 0
    np.testing.assert_allclose(real_bars(h2), [[2.0, 2.0 * GOLDEN]], atol=1e-5)


def test_sphere_of_many_points():
    """A golden spiral of 60 points: one cage stands out from whatever rings and cages unevenness makes."""
    k = np.arange(60) + 0.5
    height, turn = 1.0 - 2.0 * k / 60, 2.0 * np.pi * k / GOLDEN
    flat = np.sqrt(1.0 - height**2)
    points = 3.0 * np.stack([flat * np.cos(turn), flat * np.sin(turn), height], axis=1)
    *_, h2 = persistence(points, 2, 6.0)
    lengths = np.sort(h2[:, 1] - h2[:, 0])[::-1]
    assert lengths[0] > 2.0
    assert len(lengths) == 1 or lengths[1] < 0.2


@pytest.mark.parametrize(("n", "m"), [(5, 5), (7, 7), (7, 10), (8, 5)])
def test_torus(n, m):
    """Of a product, with the larger of both distances, the complex is the product of the complexes.

    So the two rings are those of the circles, and the cage lasts while both do (Künneth). The circles have
    equal steps. A number of points that 3 divides would make more spheres as a ring fills.

    Reference: Adamaszek and Adams 2017, 10.2140/pjm.2017.290.1, proposition 10.2.
    """
    step = 1.5
    first, second = step / (2.0 * sin(np.pi / n)), step / (2.0 * sin(np.pi / m))
    one, two = squareform(pdist(ring(n, first))), squareform(pdist(ring(m, second)))
    distances = np.maximum(np.kron(one, np.ones((m, m))), np.kron(np.ones((n, n)), two))
    h0, h1, h2 = bars_of(distances, 2, 6.0)
    np.testing.assert_allclose(h0, [[0.0, step]] * (n * m - 1), atol=1e-5)
    deaths = sorted([chord(n, first, ceil(n / 3)), chord(m, second, ceil(m / 3))])
    np.testing.assert_allclose(real_bars(h1), [[step, death] for death in deaths], atol=1e-5)
    np.testing.assert_allclose(real_bars(h2), [[step, deaths[0]]], atol=1e-5)


def test_flat_torus_in_four_dimensions():
    """With Euclidean distances the squares close first, and fill with their diagonals."""
    n, radius = 10, 2.0
    circle = ring(n, radius)
    points = np.concatenate([np.repeat(circle, n, axis=0), np.tile(circle, (n, 1))], axis=1)
    step = chord(n, radius)
    _, h1, h2 = persistence(points, 2, 3.5)
    rings = real_bars(h1)
    short = np.isclose(rings[:, 1], step * sqrt(2.0), atol=1e-5)
    assert short.sum() == n * n - 1
    np.testing.assert_allclose(rings[~short][:, 0], [step, step], atol=1e-5)
    cages = real_bars(h2)
    longest = cages[np.argmax(cages[:, 1] - cages[:, 0])]
    assert longest[0] == pytest.approx(step * sqrt(2.0), abs=1e-5)
    assert longest[1] - longest[0] > 1.0


def test_h0_deaths_are_the_edges_of_a_minimum_spanning_tree():
    points = np.random.default_rng(3).uniform(0.0, 6.0, (25, 3))
    h0, *_ = persistence(points, 0, 6.0)
    inside, tree = {0}, []
    while len(inside) < len(points):
        length, new = min(
            (float(np.linalg.norm(points[a] - points[b])), b)
            for a in inside for b in range(len(points)) if b not in inside
        )  # fmt: skip
        inside.add(new)
        tree.append(length)
    assert np.sort(h0[:, 1]) == pytest.approx(np.sort(np.minimum(tree, 6.0)), abs=1e-5)


def test_bars_end_at_the_threshold():
    (h0,) = persistence(np.array([[0.0, 0, 0], [9.0, 0, 0]]), 0, 6.0)
    np.testing.assert_array_equal(h0, [[0.0, 6.0]])
    *_, h2 = persistence(2.1 * OCTAHEDRON, 2, 3.5)
    np.testing.assert_allclose(h2, [[2.1 * sqrt(2.0), 3.5]], atol=1e-5)


def test_a_single_point_has_no_bars():
    assert [len(bars) for bars in persistence(np.zeros((1, 3)), 2, 6.0)] == [0, 0, 0]
    assert [len(bars) for bars in persistence(np.empty((0, 3)), 1, 6.0)] == [0, 0]


def naive_statistics(bars):
    """The same figures by loops."""
    fading = [(d - b) ** 2 / ((d - b) ** 2 + 0.1**2) for b, d in bars]
    found = dict.fromkeys(STATISTICS, float("nan"))
    found["count"], found["length_sum_ang"] = sum(fading), sum(d - b for b, d in bars)
    kept = [(b, d) for b, d in bars if d - b > 0.1]
    if not kept:
        return found
    weights = [share * (d - b) for share, (b, d) in zip(fading, bars, strict=True)]
    weights = [weight / sum(weights) for weight in weights]
    for name, read in {
        "birth": lambda bar: bar[0],
        "death": lambda bar: bar[1],
        "length": lambda bar: bar[1] - bar[0],
    }.items():
        mean = sum(w * read(bar) for w, bar in zip(weights, bars, strict=True))
        found[f"{name}_mean_ang"] = mean
        found[f"{name}_std_ang"] = sqrt(
            sum(w * (read(bar) - mean) ** 2 for w, bar in zip(weights, bars, strict=True))
        )
        found[f"{name}_min_ang"] = min(read(bar) for bar in kept)
        found[f"{name}_max_ang"] = max(read(bar) for bar in kept)
    found["entropy"] = -sum(w * log(w) for w in weights if w > 0.0)
    return found


def test_statistics_of_several_diagrams_against_loops():
    rng = np.random.default_rng(5)
    diagrams = []
    for n in (6, 0, 1, 40, 3):
        births = rng.uniform(1.0, 5.0, n)
        diagrams.append(np.stack([births, births + rng.exponential(0.3, n)], axis=1))
    # Bars too short to count, some of no length at all, and a good one among those.
    diagrams.append(np.array([[2.0, 2.05], [3.0, 3.0]]))
    diagrams.append(np.array([[2.0, 2.05], [3.0, 3.0], [1.0, 2.0]]))
    got = bar_statistics(diagrams)
    assert got.shape == (7, len(STATISTICS))
    for row, bars in zip(got, diagrams, strict=True):
        expected = naive_statistics([(float(b), float(d)) for b, d in bars])
        np.testing.assert_allclose(row, [expected[name] for name in STATISTICS], rtol=1e-9, atol=1e-12)
    assert bar_statistics([]).shape == (0, len(STATISTICS))


def test_equal_bars_have_the_entropy_of_a_fair_die():
    (row,) = bar_statistics([np.array([[0.0, 2.0]] * 6)])
    figures = dict(zip(STATISTICS, row, strict=True))
    assert figures["entropy"] == pytest.approx(log(6.0))
    assert figures["death_std_ang"] == pytest.approx(0.0, abs=1e-9)
    assert figures["length_sum_ang"] == pytest.approx(12.0)
    assert figures["count"] == pytest.approx(6.0 * 4.0 / 4.01)


def test_bars_that_rounding_makes_weigh_nothing():
    bars = np.array([[2.0, 3.0], [2.5, 3.5], [1.0, 3.3]])
    dust = np.concatenate([bars, np.array([[3.0, 3.0 + 1e-6]] * 50)])
    got = bar_statistics([dust, bars])
    np.testing.assert_allclose(got[0], got[1], rtol=1e-4, atol=1e-4)
    edges = (1.0, 2.0, 4.0)
    np.testing.assert_allclose(betti_curve(dust, edges), betti_curve(bars, edges), atol=1e-4)
    # Dust alone is no bar: nothing to take a mean of.
    alone = dict(zip(STATISTICS, bar_statistics([dust[3:]])[0], strict=True))
    assert alone["count"] < 1e-6
    assert np.isnan(alone["birth_mean_ang"])


def test_curve_is_the_mean_number_of_bars_alive():
    bars = np.array([[0.0, 2.25], [1.5, 6.0], [3.1, 3.2]])
    edges = (1.0, 1.5, 2.0, 2.5, 3.0, 3.5)
    fine = np.linspace(1.0, 3.5, 250001)
    fine = (fine[1:] + fine[:-1]) / 2.0
    alive = ((bars[:, 0, None] <= fine) & (fine < bars[:, 1, None])).sum(axis=0)
    np.testing.assert_allclose(betti_curve(bars, edges), alive.reshape(5, -1).mean(axis=1), atol=1e-4)
    np.testing.assert_array_equal(betti_curve(np.empty((0, 2)), edges), np.zeros(5))
