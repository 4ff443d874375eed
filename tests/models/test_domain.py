"""Domain distances against brute force."""

from __future__ import annotations

import numpy as np
import pytest

from models.domain import Domain, domain_points, fit_domain


def _groups(n, seed=0):
    rng = np.random.default_rng(seed)
    shapes = {"local": (3,), "profile": (2, 5)}
    return {name: rng.normal(size=(n, *shape)).astype(np.float32) for name, shape in shapes.items()}


def test_distance_weighs_groups_alike():
    groups = _groups(2)
    a, b = domain_points(groups)
    image = groups["profile"]
    summary = np.concatenate([image.mean(-1), image.min(-1), image.max(-1)], axis=1)
    vector = ((groups["local"][0] - groups["local"][1]) ** 2).mean()
    expected = (vector + ((summary[0] - summary[1]) ** 2).mean()) / 2
    assert ((a - b) ** 2).sum() == pytest.approx(expected, rel=1e-5)


def test_distance_is_the_mean_of_the_nearest():
    domain = Domain(domain_points(_groups(40)), threshold=0.5, neighbours=3)
    queries = _groups(6, seed=1)
    points = domain_points(queries).astype(float)
    for point, found in zip(points, domain.distance(queries), strict=True):
        nearest = sorted(float(np.linalg.norm(point - other)) for other in domain.points.astype(float))[:3]
        assert found == pytest.approx(sum(nearest) / 3 / 0.5, rel=1e-9)


def test_threshold_looks_at_other_hosts_only():
    groups = _groups(60)
    doubled = {name: np.concatenate([array, array]) for name, array in groups.items()}
    hosts = tuple(f"h{k}" for k in range(60)) * 2
    single = fit_domain(groups, hosts[:60], neighbours=1)
    # Each hop has a twin in its own host; were twins counted, the threshold would be 0.
    assert fit_domain(doubled, hosts, neighbours=1).threshold == pytest.approx(single.threshold, rel=1e-6)


def test_about_one_in_seven_is_outside_and_strangers_are():
    groups = _groups(400)
    domain = fit_domain(groups, tuple(f"h{k}" for k in range(400)), neighbours=5)
    fresh = domain.distance(_groups(400, seed=2))
    assert 0.08 < (fresh > 1).mean() < 0.25
    assert (domain.distance({name: array + 4 for name, array in _groups(20, seed=3).items()}) > 1).all()
