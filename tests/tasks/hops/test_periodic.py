"""Periodic connectivity against known lattices, plain unrolling and integer lattices."""

from __future__ import annotations

import itertools

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from tasks.hops.periodic import PeriodicGraph, prune, short_basis

INT = st.integers(-4, 4)
VECTORS = st.lists(st.tuples(INT, INT, INT), min_size=1, max_size=5)


def lattice_of(vectors):
    """Determinants that name an integer lattice up to its basis: gcds of all minors of each size."""
    rows = np.array(vectors, dtype=object).reshape(-1, 3)
    result = []
    for size in (1, 2, 3):
        minors = [0]
        for chosen in itertools.combinations(range(len(rows)), size):
            for columns in itertools.combinations(range(3), size):
                block = rows[np.ix_(chosen, columns)].astype(float)
                minors.append(round(float(np.linalg.det(block))))
        result.append(int(np.gcd.reduce(minors)))
    return tuple(result)


@given(VECTORS)
@settings(max_examples=200, deadline=None)
def test_loops_span_their_lattice(vectors):
    graph = PeriodicGraph([7])
    for vector in vectors:
        graph.add((7, 7, *vector))
    assert graph.dimension == np.linalg.matrix_rank(np.array(vectors))
    basis = graph.directions()
    assert len(basis) == graph.dimension
    if basis:
        # Same rank, the same divisors of minors, and every vector whole in the basis: the same lattice.
        assert lattice_of(basis) == lattice_of(vectors)
        solved, *_ = np.linalg.lstsq(np.array(basis).T, np.array(vectors).T, rcond=None)
        np.testing.assert_allclose(solved, np.rint(solved), atol=1e-6)
        assert not PeriodicGraph([0]).directions()


@given(VECTORS)
@settings(max_examples=100, deadline=None)
def test_adding_what_is_known_tells_nothing_new(vectors):
    graph = PeriodicGraph([0])
    for vector in vectors:
        graph.add((0, 0, *vector))
    assert not any(graph.add((0, 0, *vector)) for vector in vectors)


def test_short_basis_undoes_shearing():
    assert short_basis([(1, 7, 0), (0, 1, 0), (3, 5, 1)]) == ((1, 0, 0), (0, 1, 0), (0, 0, 1))
    assert short_basis([(-2, 0, 0)]) == ((2, 0, 0),)
    assert short_basis([]) == ()


def test_prune_keeps_what_connects():
    edges = [(0, 1, 0, 0, 0), (0, 1, 1, 0, 0), (0, 1, 2, 0, 0), (0, 0, 1, 0, 0), (1, 1, 0, 1, 0)]
    assert prune([0, 1], edges) == (edges[0], edges[1], edges[4])


def test_components_do_not_add_up():
    graph = PeriodicGraph([0, 1])
    graph.add((0, 0, 1, 0, 0))
    graph.add((1, 1, 0, 1, 0))
    assert graph.dimension == 1
    graph.add((0, 1, 0, 0, 5))
    assert graph.dimension == 2
    assert graph.directions() == ((1, 0, 0), (0, 1, 0))
