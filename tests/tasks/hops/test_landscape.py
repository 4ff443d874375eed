"""Percolation where sites differ in energy: closed forms, and brute force over every threshold."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tasks.hops.draws import percolate_draws
from tasks.hops.errors import HopsError
from tasks.hops.percolation import percolate

X, Y, Z = (0, 0, 1, 0, 0), (0, 0, 0, 1, 0), (0, 0, 0, 0, 1)
ALTERNATING = ((0, 1, 0, 0, 0), (0, 1, -1, 0, 0))
"""A chain along x of two sites a cell."""

PLANE = ((1, 1, 1, 0, 0), (1, 1, 0, 1, 0))
"""A square lattice of site 1, apart from any other site."""


def levels(result):
    return {dim: pytest.approx(level.barrier_ev) for dim, level in result.levels.items()}


@pytest.mark.parametrize("sites", [{0: 0.0}, {0: 1.5}, {0: -0.7}])
def test_one_energy_for_all_changes_nothing(sites):
    orbits, barriers = [[X], [Y], [Z]], [0.2, 0.5, 0.9]
    result = percolate(orbits, barriers, site_energies_ev=sites)
    assert levels(percolate(orbits, barriers)) == {d: v.barrier_ev for d, v in result.levels.items()}
    assert result.percolation_dim == 2
    assert (result.site_energies, result.site_energy_difference_ev) == ("known", 0.0)
    assert [v.directions for v in result.levels.values()] == [
        v.directions for v in percolate(orbits, barriers).levels.values()
    ]


@pytest.mark.parametrize(("low", "high"), [(0.0, 0.25), (-0.4, 0.1), (0.25, 0.0)])
def test_alternating_chain_counts_from_the_lower_site(low, high):
    # Both hops leave the lower site, so the higher barrier is the level, whatever the step between the sites.
    result = percolate([ALTERNATING[:1], ALTERNATING[1:]], [0.3, 0.5], site_energies_ev={0: low, 1: high})
    assert levels(result) == {1: 0.5}
    assert result.site_energy_difference_ev == pytest.approx(abs(high - low))
    assert result.levels[1].sites == (0, 1)


def test_no_way_leads_over_a_site_below_it():
    # Barriers of 0.5 eV up to a site at 0.9 eV, and on from there: whoever stands there has climbed 0.9.
    result = percolate([[(0, 1, 0, 0, 0)], [(0, 1, 1, 0, 0)]], [0.5, 0.5], site_energies_ev={0: 0.0, 1: 0.9})
    assert levels(result) == {1: 0.9}


def test_staircase_adds_its_steps():
    # Sites 0, 1, 2 at 0, 0.2, 0.35 eV; the hop 1-2 lies 0.4 above site 1, so 0.6 above the lowest.
    orbits = [[(0, 1, 0, 0, 0)], [(1, 2, 0, 0, 0)], [(0, 2, -1, 0, 0)]]
    result = percolate(orbits, [0.3, 0.4, 0.5], site_energies_ev={0: 0.0, 1: 0.2, 2: 0.35})
    assert levels(result) == {1: 0.6}
    assert result.levels[1].limiting == 1
    assert result.site_energy_difference_ev == pytest.approx(0.35)


@pytest.mark.parametrize(("upper", "one", "two"), [(0.0, 0.3, 0.5), (0.5, 0.3, 0.4), (-0.5, 0.3, 0.4)])
def test_interpenetrating_nets_each_count_from_their_own_lowest_site(upper, one, two):
    # Net A: site 0, chain at 0.3, plane at 0.5. Net B: site 1, plane at 0.4, somewhere above or below.
    orbits = [[X], [Y], PLANE]
    result = percolate(orbits, [0.3, 0.5, 0.4], site_energies_ev={0: 0.0, 1: upper})
    if upper == 0.0:
        two = 0.4
    assert levels(result) == {1: one, 2: two}
    assert result.levels[2].limiting == 2
    assert result.levels[2].sites == (1,)
    assert result.site_energy_difference_ev == 0.0


def test_the_higher_component_is_easier_before_it_meets_the_lower():
    # A chain of site 1, 0.6 above site 0, over 0.2: it is worth 0.8 once it meets site 0.
    orbits = [[(1, 1, 1, 0, 0)], [(0, 1, 0, 0, 0)]]
    apart = percolate(orbits, [0.2, 0.9], site_energies_ev={0: 0.0, 1: 0.6})
    assert levels(apart) == {1: 0.2}
    assert apart.levels[1].sites == (1,)
    # With the way down open first, the chain counts from site 0.
    joined = percolate(orbits, [0.2, 0.7], site_energies_ev={0: 0.0, 1: 0.6})
    assert levels(joined) == {1: 0.8}
    assert joined.levels[1].sites == (0, 1)
    assert joined.site_energy_difference_ev == pytest.approx(0.6)


def test_saddles_that_differ_by_rounding_open_together():
    # 0.1 + 0.2 and 0.3 are one saddle: site 0 belongs to the component whichever is added first.
    orbits = [[(1, 1, 1, 0, 0)], [(0, 1, 0, 0, 0)]]
    for barrier in (0.3, 0.1 + 0.2):
        result = percolate(orbits, [barrier - 0.1, 0.3], site_energies_ev={0: 0.0, 1: 0.1})
        assert levels(result) == {1: 0.3}


def test_unknown_energies_count_as_0_and_say_so():
    orbits = [ALTERNATING[:1], ALTERNATING[1:], [(2, 2, 0, 1, 0)]]
    for missing in ({0: 0.4}, {0: 0.4, 1: None}, {0: 0.4, 1: math.nan}):
        result = percolate(orbits, [0.3, 0.5, 0.8], site_energies_ev=missing)
        assert result.site_energies == "partial"
        assert result.site_energy_difference_ev is None
        assert levels(result) == {1: 0.5}
    for none in (None, {}, {0: None}, {9: 0.2}):
        result = percolate(orbits, [0.3, 0.5, 0.8], site_energies_ev=none)
        assert (result.site_energies, result.site_energy_difference_ev) == ("unknown", None)
    # The component that percolates is known whole, though another is not.
    known = percolate(orbits, [0.3, 0.5, 0.8], site_energies_ev={0: 0.4, 1: 0.1})
    assert (known.site_energies, known.site_energy_difference_ev) == ("partial", pytest.approx(0.3))


def test_energies_that_break_the_symmetry_are_refused():
    with pytest.raises(HopsError, match=r"hop 1 differ by 0.2 eV .*give equivalent sites"):
        percolate([[X], [X, (1, 1, 1, 0, 0)]], [0.3, 0.3], site_energies_ev={0: 0.1, 1: 0.3})
    # Members of an orbit may be listed in either direction.
    turned = [[(0, 1, 0, 0, 0), (2, 3, 0, 0, 0)]]
    percolate(turned, [0.3], site_energies_ev={0: 0.1, 1: 0.3, 2: 0.3, 3: 0.1})
    with pytest.raises(HopsError, match="infinite"):
        percolate([[X]], [0.3], site_energies_ev={0: math.inf})


def wraps(edges, energies, block):
    """What closes on itself in a block of cells: rank and sites of each component, by walking.

    A walk through the infinite crystal, bounded to a block; the images of the start that it meets span the
    lattice along which the component repeats.
    """
    neighbours = {site: [] for site in energies}
    for i, j, *image in edges:
        neighbours[i].append((j, tuple(image)))
        neighbours[j].append((i, tuple(-x for x in image)))
    found = []
    for start in energies:
        seen, queue = {(start, (0, 0, 0))}, [(start, (0, 0, 0))]
        while queue:
            site, cell = queue.pop()
            for other, image in neighbours[site]:
                there = tuple(a + b for a, b in zip(cell, image, strict=True))
                if max(map(abs, there)) <= block and (other, there) not in seen:
                    seen.add((other, there))
                    queue.append((other, there))
        cells = np.array([cell for site, cell in seen if site == start])
        found.append((int(np.linalg.matrix_rank(cells)), {site for site, _ in seen}))
    return found


def by_brute_force(case, energies, block):
    """The least level in each dimension, over every saddle as a threshold and every component there."""
    saddles = []
    for edge, barrier in case:
        low, high = sorted((energies[edge[0]], energies[edge[1]]))
        saddles.append(max(low + barrier, high))
    best = {}
    for threshold in saddles:
        edges = [edge for (edge, _), saddle in zip(case, saddles, strict=True) if saddle <= threshold + 1e-9]
        for rank, sites in wraps(edges, energies, block):
            level = threshold - min(energies[site] for site in sites)
            for dim in range(1, rank + 1):
                best[dim] = min(best.get(dim, math.inf), level)
    return best


SMALL = st.integers(-1, 1)
EDGE = st.tuples(st.integers(0, 3), st.integers(0, 3), SMALL, SMALL, SMALL).filter(
    lambda edge: edge[0] != edge[1] or any(edge[2:])
)
CASE = st.lists(st.tuples(EDGE, st.sampled_from([0.1, 0.2, 0.3, 0.45, 0.8])), min_size=1, max_size=6)
ENERGIES = st.lists(st.sampled_from([0.0, 0.1, 0.25, 0.4, -0.3]), min_size=4, max_size=4)


@given(CASE, ENERGIES)
@settings(max_examples=60, deadline=None, derandomize=True)
def test_brute_force_over_all_thresholds(case, heights):
    energies = dict(enumerate(heights))
    expected = by_brute_force(case, energies, block=4)
    orbits, barriers = [[edge] for edge, _ in case], [barrier for _, barrier in case]
    result = percolate(orbits, barriers, site_energies_ev=energies)
    assert levels(result) == expected
    draws = percolate_draws(
        orbits, barriers, np.array(barriers)[:, None],
        sigma_hop=0.0, sigma_material=0.0, seed=0, n_draws=2, site_energies_ev=energies,
    )  # fmt: skip
    assert {d: pytest.approx(low) for d, (low, _) in draws.levels_ev.items()} == expected
    assert {d: pytest.approx(high) for d, (_, high) in draws.levels_ev.items()} == expected


@given(CASE, st.floats(-2.0, 2.0))
@settings(max_examples=40, deadline=None, derandomize=True)
def test_a_common_shift_of_all_sites_changes_nothing(case, shift):
    orbits, barriers = [[edge] for edge, _ in case], [barrier for _, barrier in case]
    flat = percolate(orbits, barriers)
    raised = percolate(orbits, barriers, site_energies_ev=dict.fromkeys(range(4), shift))
    assert levels(flat) == {d: v.barrier_ev for d, v in raised.levels.items()}
    assert flat.percolation_dim == raised.percolation_dim
    for dim, level in flat.levels.items():
        assert level.directions == raised.levels[dim].directions
        assert barriers[level.limiting] == barriers[raised.levels[dim].limiting]


class TestDraws:
    def test_fixed_energies_shift_the_interval_by_the_step(self):
        # The staircase's limiting hop starts 0.2 above the lowest site: the level is its barrier plus 0.2.
        orbits = [[(0, 1, 0, 0, 0)], [(1, 2, 0, 0, 0)], [(0, 2, -1, 0, 0)]]
        members = np.array([[0.01], [0.4], [0.01]])
        result = percolate_draws(
            orbits, [0.01, 0.4, 0.01], members, sigma_hop=[0.0, 0.3, 0.0], sigma_material=0.0, seed=2,
            n_draws=4000, site_energies_ev={0: 0.0, 1: 0.2, 2: 0.35},
        )  # fmt: skip
        for value, sign in zip(result.levels_ev[1], (-1.645, 1.645), strict=True):
            assert value == pytest.approx(0.2 + 0.4 * math.exp(0.3 * sign), rel=0.03)
        # Now and then the step up to site 2 is all that is left to climb.
        assert result.bottlenecks[1][1] > 0.999

    def test_drawn_energies_replace_fixed_ones(self):
        orbits = [[(0, 1, 0, 0, 0)], [(1, 2, 0, 0, 0)], [(0, 2, -1, 0, 0)]]
        members = np.array([[0.01], [0.4], [0.01]])
        heights = np.linspace(0.0, 1.0, 201)
        result = percolate_draws(
            orbits, [0.01, 0.4, 0.01], members, sigma_hop=0.0, sigma_material=0.0, seed=2, n_draws=201,
            site_energies_ev={0: 0.0, 1: 0.5, 2: 0.7},
            drawn_site_energies_ev={1: heights, 2: heights + 0.2},
        )  # fmt: skip
        # The level is site 1 plus 0.4 throughout, and site 1 is drawn evenly.
        assert result.levels_ev[1] == pytest.approx((0.45, 1.35))
        assert result.at_dim_ev == result.levels_ev[1]

    def test_the_easier_net_is_chosen_anew_in_each_draw(self):
        orbits = [[X], [(1, 1, 1, 0, 0)]]
        members = np.array([[0.3, 0.5], [0.4, 0.4]])
        result = percolate_draws(
            orbits, [0.35, 0.4], members, sigma_hop=0.0, sigma_material=0.0, seed=0, n_draws=2000,
            site_energies_ev={0: 0.0, 1: 5.0},
        )  # fmt: skip
        assert result.levels_ev[1] == pytest.approx((0.3, 0.4))
        assert result.bottlenecks[1] == pytest.approx({0: 0.5, 1: 0.5}, abs=0.05)

    def test_energies_of_no_site_in_the_graph_change_nothing(self):
        args = ([[X], [Y]], [0.3, 0.5], [[0.3], [0.5]])
        spread = {"sigma_hop": 0.2, "sigma_material": 0.1, "seed": 5}
        plain = percolate_draws(*args, **spread)
        assert percolate_draws(*args, **spread, site_energies_ev={7: 1.0}) == plain
        flat = percolate_draws(*args, **spread, site_energies_ev={0: 1.0})
        for dim in (1, 2):
            assert flat.levels_ev[dim] == pytest.approx(plain.levels_ev[dim])
        assert (flat.bottlenecks, flat.dims) == (plain.bottlenecks, plain.dims)

    @pytest.mark.parametrize("drawn", [[0.1], [0.1, math.nan], [[0.1, 0.2]]])
    def test_bad_draws_of_energies_are_refused(self, drawn):
        with pytest.raises(HopsError, match="site 0 have shape"):
            percolate_draws(
                [[X]], [0.3], [[0.3]], sigma_hop=0.1, sigma_material=0.1, seed=0, n_draws=2,
                drawn_site_energies_ev={0: drawn},
            )  # fmt: skip
