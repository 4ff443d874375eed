"""Bootstrap intervals against rows drawn out one by one, and against the standard error."""

from __future__ import annotations

import numpy as np
import pytest

from models.bootstrap import (
    host_draws,
    host_weights,
    interval_over_hosts,
    mean_interval,
    metric_intervals,
    metrics_of_draws,
    row_weights,
)
from models.errors import InputError
from models.evaluation import barrier_metrics


def _barriers(n=40, seed=3):
    rng = np.random.default_rng(seed)
    truth = np.round(np.exp(rng.normal(-0.4, 0.9, size=n)), 1) + 0.1
    truth[:2] = 4.0
    # Rounded, so that there are ties on both sides.
    return truth, np.round(truth * np.exp(0.4 * rng.normal(size=n)), 1) + 0.1


@pytest.mark.parametrize("n", [40, 41])
def test_metrics_of_a_draw_are_those_of_the_rows_drawn_out(n):
    truth, predicted = _barriers(n)
    weights = row_weights(n, seed=1, draws=25)
    found = metrics_of_draws(truth, predicted, weights)
    assert (weights.sum(axis=1) == n).all()
    for k, counts in enumerate(weights):
        rows = np.repeat(np.arange(n), counts)
        expected = barrier_metrics(truth[rows], predicted[rows])
        assert set(expected) == {"n", *found}
        for name, drawn in found.items():
            assert drawn[k] == pytest.approx(expected[name], rel=1e-9), name


def test_whole_hosts_are_drawn_together():
    hosts = ["b", "a", "c", "a", "b", "a"]
    weights = host_weights(hosts, seed=0, draws=50)
    np.testing.assert_array_equal(weights[:, 0], weights[:, 4])
    np.testing.assert_array_equal(weights[:, 1], weights[:, 5])
    assert len({tuple(row) for row in weights.tolist()}) > 5
    np.testing.assert_array_equal(weights[:, [1, 0, 2]], host_draws(hosts, seed=0, draws=50))


def test_what_is_not_defined_is_left_out_and_not_a_warning():
    truth, predicted = np.array([4.0, 0.5, 0.6]), np.array([3.0, 0.5, 0.5])
    weights = np.array([[3, 0, 0], [1, 1, 1], [0, 1, 2]])
    found = metrics_of_draws(truth, predicted, weights)
    np.testing.assert_array_equal(np.isnan(found["mae_below_3ev"]), [True, False, False])
    np.testing.assert_array_equal(np.isnan(found["r2"]), [True, False, False])
    np.testing.assert_array_equal(np.isnan(found["spearman"]), [True, False, True])
    assert metric_intervals(truth, predicted, weights[:1])["r2"] is None
    lower, upper = metric_intervals(truth, predicted, weights)["mae_below_3ev"]
    assert 0.05 <= lower <= upper <= 0.2 / 3 + 1e-12


def test_every_metric_lies_in_its_interval():
    truth, predicted = _barriers(200)
    metrics = barrier_metrics(truth, predicted)
    for weights in (row_weights(200, seed=0), host_weights([f"h{k // 2}" for k in range(200)], seed=0)):
        for name, (lower, upper) in metric_intervals(truth, predicted, weights).items():
            assert lower <= metrics[name] <= upper, name
            assert lower < upper, name


def test_width_is_that_of_the_standard_error():
    values = np.random.default_rng(5).normal(size=500)
    lower, upper = mean_interval(values, row_weights(500, seed=2))
    assert (upper - lower) / 2 == pytest.approx(1.96 * values.std() / np.sqrt(500), rel=0.1)
    assert [lower, upper] == mean_interval(values, row_weights(500, seed=2))


def test_draws_of_other_rows_are_refused():
    with pytest.raises(InputError, match="draw the same rows"):
        metric_intervals(np.ones(3), np.ones(3), row_weights(4, seed=0))


class TestHostBootstrap:
    def test_width_follows_the_hosts_and_not_the_rows(self):
        # Ten rows of a host err exactly alike: the interval is that of one row a host.
        rng = np.random.default_rng(4)
        per_host = rng.normal(size=200)
        hosts = [f"h{k:03d}" for k in range(200)]
        counts = host_draws(hosts, seed=0)
        alone = interval_over_hosts(per_host, hosts, counts)
        tenfold = interval_over_hosts(np.repeat(per_host, 10), np.repeat(hosts, 10).tolist(), counts)
        assert tenfold == pytest.approx(alone)
        half_width = 1.96 * per_host.std() / np.sqrt(200)
        assert (alone[1] - alone[0]) / 2 == pytest.approx(half_width, rel=0.1)

    def test_matches_drawing_hosts_by_hand(self):
        rng = np.random.default_rng(2)
        hosts = ["b", "a", "c", "a", "b", "a", "d", "e", "e"]
        values = rng.normal(size=9)
        counts = host_draws(hosts, seed=1, draws=300)
        names = sorted(set(hosts))
        means = []
        for draw in counts:
            chosen = [name for name, times in zip(names, draw, strict=True) for _ in range(times)]
            drawn = [v for name in chosen for v, h in zip(values, hosts, strict=True) if h == name]
            assert len(chosen) == len(names)
            means.append(np.mean(drawn))
        expected = np.quantile(means, [0.025, 0.975])
        np.testing.assert_allclose(interval_over_hosts(values, hosts, counts), expected)
        np.testing.assert_allclose(mean_interval(values, host_weights(hosts, seed=1, draws=300)), expected)

    def test_covers_the_truth_about_as_often_as_it_says(self):
        rng = np.random.default_rng(8)
        hosts = [f"h{k // 3:02d}" for k in range(180)]
        counts = host_draws(hosts, seed=0, draws=500)
        inside = 0
        for _ in range(200):
            values = np.repeat(rng.normal(size=60), 3) + 0.3 * rng.normal(size=180)
            lower, upper = interval_over_hosts(values, hosts, counts)
            inside += lower <= 0 <= upper
        # Binomial: 190 of 200 expected, three standard deviations are 9; a little less is usual at 60 hosts.
        assert 176 <= inside <= 199
