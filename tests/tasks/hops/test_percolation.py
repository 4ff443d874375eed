"""Minimax percolation: known lattices, brute force over thresholds, and intervals by draws."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tasks.candidates.reference import ReferenceSource
from tasks.hops.directions import conventional_direction
from tasks.hops.draws import percolate_draws
from tasks.hops.errors import HopsError
from tasks.hops.network import hop_network, percolating_orbits
from tasks.hops.percolation import percolate

X, Y, Z = (0, 0, 1, 0, 0), (0, 0, 0, 1, 0), (0, 0, 0, 0, 1)
HONEYCOMB = ((0, 1, 0, 0, 0), (0, 1, -1, 0, 0), (0, 1, 0, -1, 0))
DIAMOND = (*HONEYCOMB, (0, 1, 0, 0, -1))


def unrolled_dimension(edges, box=5):
    """Dimensions of the largest component, by walking through a finite block of cells."""
    neighbours = {}
    for i, j, *image in edges:
        neighbours.setdefault(i, []).append((j, np.array(image)))
        neighbours.setdefault(j, []).append((i, -np.array(image)))
    best = 0
    for start in neighbours:
        seen = {(start, (0, 0, 0))}
        queue = [(start, (0, 0, 0))]
        while queue:
            site, cell = queue.pop()
            for other, image in neighbours[site]:
                there = tuple(int(x) for x in np.array(cell) + image)
                if max(map(abs, there)) <= box and (other, there) not in seen:
                    seen.add((other, there))
                    queue.append((other, there))
        images = np.array([cell for site, cell in seen if site == start])
        best = max(best, int(np.linalg.matrix_rank(images)))
    return best


@pytest.mark.parametrize(
    ("orbits", "barriers", "levels", "dim"),
    [
        ([[X]], [0.4], {1: 0.4}, 1),
        ([[X, Y]], [0.4], {1: 0.4, 2: 0.4}, 2),
        ([[X, Y, Z]], [0.4], {1: 0.4, 2: 0.4, 3: 0.4}, 3),
        ([[X], [Y], [Z]], [0.2, 0.5, 0.9], {1: 0.2, 2: 0.5, 3: 0.9}, 2),
        ([[X], [Y], [Z]], [0.9, 0.2, 0.5], {1: 0.2, 2: 0.5, 3: 0.9}, 2),
        ([[X], [Y], [Z]], [0.2, 0.6, 0.9], {1: 0.2, 2: 0.6, 3: 0.9}, 1),
        ([HONEYCOMB], [0.3], {1: 0.3, 2: 0.3}, 2),
        ([HONEYCOMB[:1], HONEYCOMB[1:]], [0.7, 0.3], {1: 0.3, 2: 0.7}, 1),
        ([HONEYCOMB[:2], HONEYCOMB[2:]], [0.3, 0.5], {1: 0.3, 2: 0.5}, 2),
        ([DIAMOND], [0.3], {1: 0.3, 2: 0.3, 3: 0.3}, 3),
        ([DIAMOND[:1], DIAMOND[1:]], [0.1, 0.6], {1: 0.6, 2: 0.6, 3: 0.6}, 3),
        ([[(0, 1, 0, 0, 0)]], [0.1], {}, 0),
        ([], [], {}, 0),
    ],
)
def test_known_lattices(orbits, barriers, levels, dim):
    result = percolate(orbits, barriers)
    assert {d: level.barrier_ev for d, level in result.levels.items()} == levels
    assert result.percolation_dim == dim
    assert result.barrier_at_dim_ev == levels.get(dim)


def test_limiting_hop_and_directions():
    result = percolate([[Z], [X], [Y]], [0.5, 0.2, 0.6])
    assert {d: level.limiting for d, level in result.levels.items()} == {1: 1, 2: 0, 3: 2}
    assert result.levels[1].directions == ((1, 0, 0),)
    assert result.levels[2].directions == ((1, 0, 0), (0, 0, 1))


def test_hops_of_equal_barrier_open_together():
    forward = percolate([[X], [Y]], [0.4, 0.4])
    backward = percolate([[Y], [X]], [0.4, 0.4])
    assert forward.levels[1].directions == backward.levels[1].directions == ((1, 0, 0), (0, 1, 0))


def test_window_is_inclusive_and_can_be_set():
    orbits, barriers = [[X], [Y]], [0.25, 0.5]
    assert percolate(orbits, barriers, dim_window_ev=0.25).percolation_dim == 2
    assert percolate(orbits, barriers, dim_window_ev=0.24).percolation_dim == 1


@pytest.mark.parametrize("unknown", [None, math.nan])
def test_unknown_barriers_and_blocked_hops_carry_nothing(unknown):
    result = percolate([[X], [Y], []], [0.4, unknown, 0.1])
    assert set(result.levels) == {1}
    assert result.levels[1].limiting == 0


SMALL = st.integers(-1, 1)
EDGE = st.tuples(st.integers(0, 2), st.integers(0, 2), SMALL, SMALL, SMALL).filter(
    lambda e: e[0] != e[1] or any(e[2:])
)


@given(st.lists(st.tuples(EDGE, st.sampled_from([0.1, 0.2, 0.3, 0.5, 0.8])), min_size=1, max_size=6))
@settings(max_examples=25, deadline=None)
def test_brute_force_over_all_thresholds(case):
    edges, barriers = zip(*case, strict=True)
    expected = {}
    for level in sorted(set(barriers)):
        open_edges = [e for e, b in case if b <= level]
        for dim in range(1, unrolled_dimension(open_edges) + 1):
            expected.setdefault(dim, level)
    result = percolate([[e] for e in edges], barriers)
    assert {d: level.barrier_ev for d, level in result.levels.items()} == expected
    for level in result.levels.values():
        assert barriers[level.limiting] == level.barrier_ev
    # A single draw without any spread is the point estimate itself.
    draws = percolate_draws(
        [[e] for e in edges], barriers, np.array(barriers)[:, None],
        sigma_hop=0.0, sigma_material=0.0, seed=0, n_draws=1,
    )  # fmt: skip
    assert set(draws.levels_ev) == set(expected)
    for dim, (low, high) in draws.levels_ev.items():
        assert low == pytest.approx(expected[dim])
        assert high == pytest.approx(expected[dim])


@given(st.lists(st.tuples(EDGE, st.floats(0.05, 3.0)), min_size=1, max_size=8), st.floats(0.1, 10.0))
@settings(max_examples=30, deadline=None)
def test_levels_scale_with_the_barriers(case, factor):
    orbits, barriers = [[e] for e, _ in case], np.array([b for _, b in case])
    one, other = percolate(orbits, barriers), percolate(orbits, barriers * factor)
    assert {d: v.barrier_ev * factor for d, v in one.levels.items()} == pytest.approx(
        {d: v.barrier_ev for d, v in other.levels.items()}
    )
    # Hops whose barriers differ by less than a product can tell may swap; the lattice they open may not.
    assert set(one.levels) == set(other.levels)


def draw(orbits, barriers, **kwargs):
    """Draws with one ensemble member that agrees with the point estimate."""
    settings_ = {"sigma_hop": 0.0, "sigma_material": 0.0, "seed": 1, "n_draws": 4000} | kwargs
    return percolate_draws(orbits, barriers, np.array(barriers)[:, None], **settings_)


def test_shared_residual_gives_the_lognormal_interval():
    result = draw([[X], [Y]], [0.3, 0.4], sigma_material=0.5)
    for dim, barrier in {1: 0.3, 2: 0.4}.items():
        expected = barrier * np.exp(np.array([-1.645, 1.645]) * 0.5)
        np.testing.assert_allclose(result.levels_ev[dim], expected, rtol=0.06)
    # What is shared cannot change which hop limits.
    assert result.bottlenecks == {1: {0: 1.0}, 2: {1: 1.0}}


def test_hop_residuals_follow_order_statistics():
    # Two equal chains: 1-D takes the lower of two draws, 2-D the higher.
    result = draw([[X], [Y]], [0.3, 0.3], sigma_hop=0.4)
    z = 1.9545  # P(min < -z) = 1 - (1 - p)**2 = 0.05
    assert result.levels_ev[1][0] == pytest.approx(0.3 * math.exp(-0.4 * z), rel=0.05)
    assert result.levels_ev[2][1] == pytest.approx(0.3 * math.exp(0.4 * z), rel=0.05)
    assert result.bottlenecks[1][0] == pytest.approx(0.5, abs=0.05)
    assert sum(result.bottlenecks[2].values()) == pytest.approx(1.0)


def test_members_are_drawn_for_all_hops_together():
    members = np.array([[0.2, 0.6], [0.3, 0.9]])
    result = percolate_draws(
        [[X], [Y]], [0.35, 0.5], members, sigma_hop=0.0, sigma_material=0.0, seed=0, n_draws=500
    )
    assert result.levels_ev[1] == pytest.approx((0.2, 0.6))
    # Drawn apart, the 2-D level could be 0.6 over 0.3; together it is 0.3 or 0.9.
    assert result.levels_ev[2] == pytest.approx((0.3, 0.9))
    assert result.dims == pytest.approx({2: 1.0})


def test_intervals_hold_the_point_estimate_and_are_seeded():
    members = np.array([[0.2, 0.21], [0.5, 0.52]])
    args = ([[X], [Y]], [0.9, 0.1], members)
    spread = {"sigma_hop": [0.1, 0.2], "sigma_material": 0.1}
    one = percolate_draws(*args, **spread, seed=3)
    assert one == percolate_draws(*args, **spread, seed=3)
    assert one != percolate_draws(*args, **spread, seed=4)
    assert one.levels_ev[1][0] == 0.1
    assert one.levels_ev[2][1] == 0.9
    assert one.at_dim_ev == one.levels_ev[1]
    assert one.draws == 200


def test_blocked_hops_need_no_member_barriers():
    members = np.array([[0.2], [np.nan], [np.nan]])
    result = percolate_draws(
        [[X], [], [Y]], [0.2, 0.1, None], members, sigma_hop=0.1, sigma_material=0.1, seed=0
    )
    assert set(result.levels_ev) == {1}


def test_a_network_without_percolation_has_no_interval():
    result = percolate_draws([[(0, 1, 0, 0, 0)]], [0.2], [[0.2]], sigma_hop=0.1, sigma_material=0.1, seed=0)
    assert (result.levels_ev, result.at_dim_ev, result.dims) == ({}, None, {0: 1.0})


@pytest.mark.parametrize(
    ("barriers", "members", "draws", "message"),
    [
        ([0.1, 0.2], [[0.1]], 10, "2 barriers"),
        ([0.1], [[0.1], [0.2]], 10, "shape"),
        ([0.1], [[0.0]], 10, "positive"),
        ([0.1], [[0.1]], 0, "at least 1"),
    ],
)
def test_bad_draws_are_refused(barriers, members, draws, message):
    with pytest.raises(HopsError, match=message):
        percolate_draws([[X]], barriers, members, sigma_hop=0.1, sigma_material=0.1, seed=0, n_draws=draws)


@pytest.mark.parametrize(
    ("name", "barriers", "dim", "words"),
    [
        ("LiFePO4", [0.3, 2.0, 2.0, 2.0], 1, "[010]"),
        ("LiCoO2", [0.3, 0.2, 2.0, 2.0], 2, "(001)"),
        ("LiMn2O4", [0.4], 3, "isotropic"),
    ],
)
def test_known_conductors_in_conventional_terms(structures, name, barriers, dim, words):
    crystal = structures[name]
    # The same words must come out of other cells of the same crystal.
    for cell in (crystal, crystal.get_primitive_structure(), crystal * (2, 1, 1)):
        network = hop_network(cell, "Li")
        result = percolate(percolating_orbits(network), barriers)
        assert result.percolation_dim == dim
        assert conventional_direction(cell, result.levels[dim].directions) == words


def test_direction_in_another_setting(structures):
    olivine = structures["LiFePO4"].copy()
    turned = olivine * [[0, 1, 0], [0, 0, 1], [1, 0, 0]]
    assert conventional_direction(turned, [(1, 0, 0)]) == "[010]"
    assert conventional_direction(olivine, [(1, 0, 0), (0, 0, 1)]) == "(010)"
    assert conventional_direction(olivine, []) == ""


def test_centred_vectors_become_whole(structures):
    primitive = structures["LiMn2O4"].get_primitive_structure()
    words = conventional_direction(primitive, [(1, 0, 0)])
    # Primitive vectors of a face-centred lattice lie along face diagonals.
    assert sorted(words.strip("[]").replace("-", "")) == ["0", "1", "1"]


def test_draws_on_a_large_graph_agree_with_the_point_estimate(structures):
    crystal = structures["Li2MnO3"] * (2, 2, 2)
    orbits = percolating_orbits(hop_network(crystal, "Li", cutoff_ang=5.0))
    assert sum(map(len, orbits)) > 650
    barriers = np.random.default_rng(0).uniform(0.2, 1.0, len(orbits)).tolist()
    point = percolate(orbits, barriers)
    # The draws leave out edges that tell nothing new; without spread they must come to the same.
    result = draw(orbits, barriers, n_draws=3)
    for dim, level in point.levels.items():
        assert result.levels_ev[dim] == pytest.approx((level.barrier_ev, level.barrier_ev))
        assert result.bottlenecks[dim] == {level.limiting: 1.0}


@pytest.mark.parametrize(
    ("name", "dim", "words"),
    [
        ("ref-lifepo4", 1, "[010]"),
        ("ref-limnpo4", 1, "[010]"),
        ("ref-licoo2", 2, "(001)"),
        ("ref-limn2o4", 3, "isotropic"),
        ("ref-li3po4-gamma", 3, "isotropic"),
        ("ref-li3po4-beta", 3, "isotropic"),
    ],
)
def test_the_reference_set_where_longer_hops_are_harder(name, dim, words):
    source = ReferenceSource()
    (item,) = (item for item in source.items() if item.item_id == name)
    crystal = source.read(item)[0].structure
    network = hop_network(crystal, "Li", cutoff_ang=4.0 if dim == 3 else 5.0)
    orbits = percolating_orbits(network)
    # A barrier of 1 eV an ångström: only the order matters, and that a shell more is more than the window.
    lengths = [hop.distance_ang for hop in network.hops]
    result = percolate(orbits, lengths)
    assert result.percolation_dim == dim
    assert conventional_direction(crystal, result.levels[dim].directions) == words
    expected = {}
    for length in sorted(set(lengths)):
        shorter = [edge for orbit, d in zip(orbits, lengths, strict=True) if d <= length for edge in orbit]
        for reached in range(1, unrolled_dimension(shorter, box=2) + 1):
            expected.setdefault(reached, length)
    assert {d: level.barrier_ev for d, level in result.levels.items()} == expected
