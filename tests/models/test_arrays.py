"""Labelled arrays and folds: checks, and hosts kept whole."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from models.arrays import host_folds, random_folds
from models.errors import InputError


def test_folds_keep_hosts_whole_and_sizes_even():
    rng = np.random.default_rng(0)
    hosts = [f"h{k}" for k in rng.integers(0, 60, size=400)]
    folds = host_folds(hosts, 10, seed=1)
    for host in set(hosts):
        assert len({int(f) for f, h in zip(folds, hosts, strict=True) if h == host}) == 1
    sizes = np.bincount(folds, minlength=10)
    assert sizes.sum() == 400
    assert np.ptp(sizes) <= max(hosts.count(host) for host in set(hosts))


def test_folds_follow_the_seed_and_not_the_order():
    hosts = [f"h{k % 40}" for k in range(200)]
    first = host_folds(hosts, 5, seed=0)
    np.testing.assert_array_equal(first, host_folds(hosts, 5, seed=0))
    assert (first != host_folds(hosts, 5, seed=1)).any()
    np.testing.assert_array_equal(first[::-1], host_folds(hosts[::-1], 5, seed=0))


def test_random_folds_are_even():
    assert np.ptp(np.bincount(random_folds(103, 10, seed=0))) == 1


def test_too_few_hosts_are_refused():
    with pytest.raises(InputError, match="5 folds need as many hosts, got 2"):
        host_folds(["a", "b", "b"], 5, seed=0)


def test_take_keeps_rows_together(rows):
    part = rows.take([5, 2])
    assert part.ids == (rows.ids[5], rows.ids[2])
    assert part.barrier_ev[1] == rows.barrier_ev[2]
    np.testing.assert_array_equal(part.inputs["profile"][0], rows.inputs["profile"][5])


@pytest.mark.parametrize("bad", [0.0, -0.1, np.nan, np.inf])
def test_impossible_barriers_are_refused(rows, bad):
    barriers = rows.barrier_ev.copy()
    barriers[3] = bad
    with pytest.raises(InputError, match="above zero"):
        type(rows)(rows.inputs, barriers, rows.ids, rows.hosts, rows.ions, rows.spec)


def test_duplicate_ids_are_refused(rows):
    with pytest.raises(InputError, match="duplicates"):
        rows.take([1, 1])


def test_only_some_groups(rows):
    some = rows.only(("topology", "local"))
    assert list(some.inputs) == ["local", "topology"]
    assert some.spec.groups == (rows.spec.groups[0], rows.spec.groups[2])
    np.testing.assert_array_equal(some.inputs["topology"], rows.inputs["topology"])
    assert (some.ids, some.hosts, some.ions) == (rows.ids, rows.hosts, rows.ions)
    assert list(rows.inputs) == ["local", "profile", "topology", "chemistry"]


@pytest.mark.parametrize("groups", [(), ("profile",), ("local", "geometry")])
def test_groups_that_are_not_there_are_refused(rows, groups):
    with pytest.raises(InputError, match=r"at hand are \['local', 'topology'\]"):
        rows.only(("local", "topology")).only(groups)


def test_methods_go_with_their_rows(rows):
    told = replace(rows, methods=tuple(f"method {k % 3}" for k in range(len(rows))))
    assert told.take([4, 0]).methods == ("method 1", "method 0")
    assert rows.take([4, 0]).methods == ()
    with pytest.raises(InputError, match="one entry a hop"):
        replace(rows, methods=("one",))
