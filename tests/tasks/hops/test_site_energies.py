"""Site energies from differences along hops: exact where they agree, least squares where they do not."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tasks.hops.site_energies import Step, fit_site_energies, site_classes


def test_consistent_differences_are_found_again():
    classes = {0: 0, 1: 0, 2: 1, 3: 2}
    found = fit_site_energies(classes, [Step(0, 2, 0.2, 4), Step(2, 3, 0.1, 2), Step(0, 3, 0.3, 1)])
    assert found.range_ev([0, 2, 3]) == pytest.approx(0.3)
    assert found.range_ev([0, 2]) == pytest.approx(0.2)
    assert found.range_ev([0, 1]) == 0.0
    assert sum(found.energies_ev.values()) == pytest.approx(0.0)
    assert found.energies_ev[3] > found.energies_ev[2] > found.energies_ev[0] == found.energies_ev[1]


def test_contradictions_are_shared_by_weight():
    # Two hops between the same two sites say 0.1 and 0.4; the first counts twice.
    found = fit_site_energies({0: 0, 1: 1}, [Step(0, 1, 0.1, 2), Step(1, 0, -0.4, 1)])
    assert found.range_ev([0, 1]) == pytest.approx((2 * 0.1 + 0.4) / 3)


def test_what_no_difference_connects_is_unknown():
    found = fit_site_energies({0: 0, 1: 1, 2: 2, 3: 3}, [Step(0, 1, 0.2, 1), Step(2, 3, -0.1, 1)])
    assert found.range_ev([0, 1]) == pytest.approx(0.2)
    assert found.range_ev([3, 2]) == pytest.approx(0.1)
    assert found.range_ev([0, 2]) is None
    assert found.range_ev([9]) is None
    assert fit_site_energies({0: 0, 1: 1}, []).range_ev([0, 1]) is None


def test_equivalent_sites_are_equal_without_any_energy():
    # Known by symmetry alone, and a difference along a hop between them tells nothing.
    assert fit_site_energies({0: 0, 1: 0}, []).range_ev([0, 1]) == 0.0
    assert fit_site_energies({0: 0, 1: 0}, [Step(0, 1, 0.01, 1)]).range_ev([0, 1]) == 0.0


@given(st.integers(0, 10_000))
@settings(max_examples=25, deadline=None, derandomize=True)
def test_agrees_with_the_normal_equations(seed):
    rng = np.random.default_rng(seed)
    n = 4
    steps = [Step(k, k + 1, float(rng.normal()), float(rng.integers(1, 9))) for k in range(n - 1)]
    steps += [
        Step(int(a), int(b), float(rng.normal()), float(rng.integers(1, 9)))
        for a, b in rng.integers(n, size=(5, 2))
        if a != b
    ]
    found = fit_site_energies({site: site for site in range(n)}, steps)
    laplacian, right = np.zeros((n, n)), np.zeros(n)
    for step in steps:
        for here, there, sign in ((step.i, step.j, -1.0), (step.j, step.i, 1.0)):
            laplacian[here, here] += step.weight
            laplacian[here, there] -= step.weight
            right[here] += sign * step.weight * step.difference_ev
    # The weighted graph Laplacian is singular along a common shift; a mean of zero fixes it.
    expected = np.linalg.solve(laplacian + np.ones((n, n)), right)
    assert [found.energies_ev[site] for site in range(n)] == pytest.approx(expected.tolist(), abs=1e-9)


def all_pairs(structure, symbol):
    sites = [k for k, site in enumerate(structure) if site.specie.symbol == symbol]
    return [[(a, b, 0, 0, 0)] for a in sites for b in sites if a < b]


@pytest.mark.parametrize(("name", "sizes"), [("LiFePO4", [4]), ("LiCoO2", [3]), ("Li2MnO3", [2, 2, 4])])
def test_classes_are_the_wyckoff_orbits_in_any_cell(structures, name, sizes):
    crystal = structures[name]
    for cell, times in ((crystal, 1), (crystal * (1, 2, 1), 2), (crystal * (3, 1, 1), 3)):
        classes = list(site_classes(cell, all_pairs(cell, "Li")).values())
        assert sorted(classes.count(c) for c in set(classes)) == sorted(times * size for size in sizes)


def test_empty_sites_are_told_apart_by_the_hops_that_lead_there(structures):
    crystal = structures["LiCoO2"]
    a, b, *_ = (k for k, site in enumerate(crystal) if site.specie.symbol == "Li")
    first, second, third, fourth = (len(crystal) + k for k in range(4))
    orbits = [
        [(a, first, 0, 0, 0), (b, second, 0, 0, 0)],
        [(first, third, 0, 0, 0), (second, third, 1, 0, 0)],
        [(third, fourth, 0, 0, 0)],
    ]
    classes = site_classes(crystal, orbits)
    assert classes[a] == classes[b]
    assert classes[first] == classes[second]
    assert len({classes[site] for site in (a, first, third, fourth)}) == 4
