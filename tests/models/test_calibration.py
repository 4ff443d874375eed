"""Conformal intervals and variance parts against known noise."""

from __future__ import annotations

import numpy as np
import pytest

from models.calibration import (
    NORMAL_90,
    Calibration,
    calibrate,
    conformal_quantile,
    shared_share,
)


def _members(rng, truth, scale, members=5):
    """Return members' predictions whose mean errs by a normal of ``scale`` a row."""
    noise = rng.normal(size=(len(truth), members))
    mean = truth + scale * rng.normal(size=len(truth))
    return mean[:, None] + (noise - noise.mean(axis=1, keepdims=True)) * np.reshape(scale, (-1, 1)) * 0.5


def test_quantile_is_the_textbook_rank():
    scores = np.arange(1.0, 20.0)
    assert conformal_quantile(scores, 0.9) == 18.0
    assert conformal_quantile(np.array([3.0, 1.0]), 0.9) == 3.0


def test_covers_new_rows_and_finds_the_known_width():
    rng = np.random.default_rng(0)
    truth = rng.normal(size=4000)
    members = _members(rng, truth, np.full(4000, 0.3))
    calibration = calibrate(truth[:2000], members[:2000], [f"h{k}" for k in range(2000)], power=0.0)
    mean, spread = members[2000:].mean(axis=1), members[2000:].std(axis=1, ddof=1)
    lower, upper = calibration.interval_ev(mean, spread)
    covered = ((np.exp(truth[2000:]) >= lower) & (np.exp(truth[2000:]) <= upper)).mean()
    assert 0.88 < covered < 0.92
    assert calibration.mean_half_width_log == pytest.approx(0.3 * NORMAL_90, rel=0.05)


def test_spread_is_used_only_where_it_tells_something():
    rng = np.random.default_rng(1)
    truth = rng.normal(size=3000)
    hosts = [f"h{k}" for k in range(3000)]
    telling = np.exp(rng.normal(size=3000) - 1.5)
    assert calibrate(truth, _members(rng, truth, telling), hosts, power=0.0).floor is not None
    silent = _members(rng, truth, telling)
    silent = silent[:, :1] * 0 + truth[:, None] + 0.3 * rng.normal(size=(3000, 1)) + 0.0 * silent
    assert calibrate(truth, silent, hosts).floor is None
    # Members that differ, but not where their mean errs.
    apart = 0.1 * telling[:, None] * rng.normal(size=(3000, 4))
    idle = (truth + 0.3 * rng.normal(size=3000))[:, None] + apart - apart.mean(axis=1, keepdims=True)
    assert calibrate(truth, idle, hosts, power=0.0).floor is None


def test_a_power_evens_out_coverage_where_small_barriers_err_more():
    rng = np.random.default_rng(5)
    truth = rng.normal(size=4000)
    predicted = truth + 0.3 * np.exp(-0.5 * truth) * rng.normal(size=4000)
    hosts = [f"h{k}" for k in range(2000)]
    low = truth[2000:] < -1
    covered = {}
    for power in (0.0, 0.5):
        calibration = calibrate(truth[:2000], predicted[:2000, None], hosts, power=power)
        lower, upper = calibration.interval_ev(predicted[2000:], np.zeros(2000))
        inside = (np.exp(truth[2000:]) >= lower) & (np.exp(truth[2000:]) <= upper)
        assert 0.88 < inside.mean() < 0.92
        covered[power] = inside[low].mean()
    assert covered[0.0] < 0.8
    assert covered[0.5] > 0.86


def test_widths_fall_with_the_barrier_by_the_power():
    calibration = calibrate(np.zeros(50), np.full((50, 1), 0.2), ["h"] * 50, power=0.5)
    half = calibration.half_width(np.log([0.25, 1.0, 4.0]), np.zeros(3))
    assert half == pytest.approx(half[1] * np.array([2.0, 1.0, 0.5]))
    # Scored at a predicted log barrier of 0.2: there it is as wide as the residual.
    assert calibration.half_width(np.array([0.2]), np.zeros(1)) == pytest.approx([0.2])


def test_without_a_power_it_is_written_as_before_there_was_one():
    made = [calibrate(np.zeros(9), np.full((9, 1), 0.2), ["h"] * 9, power=power) for power in (0.0, 0.5)]
    assert "power" not in made[0].model_dump(mode="json")
    assert made[1].model_dump(mode="json")["power"] == 0.5
    for one in made:
        assert Calibration.model_validate_json(one.model_dump_json()) == one


def test_single_member_gets_a_constant_width():
    rng = np.random.default_rng(2)
    truth = rng.normal(size=100)
    calibration = calibrate(truth, truth[:, None] + 0.1, [f"h{k}" for k in range(100)], power=0.0)
    assert calibration.floor is None
    assert calibration.quantile == pytest.approx(0.1)


@pytest.mark.parametrize("share", [0.0, 0.3, 0.8])
def test_shared_share_of_known_components(share):
    rng = np.random.default_rng(3)
    index = np.repeat(np.arange(800), rng.integers(1, 8, size=800))
    residual = np.sqrt(share) * rng.normal(size=800)[index] + np.sqrt(1 - share) * rng.normal(size=len(index))
    assert shared_share(residual, [f"h{k}" for k in index]) == pytest.approx(share, abs=0.05)


def test_one_host_or_one_hop_a_host_shares_nothing():
    residual = np.array([0.1, -0.4, 0.3])
    assert shared_share(residual, ["a", "a", "a"]) == 0.0
    assert shared_share(residual, ["a", "b", "c"]) == 0.0


def test_parts_and_spread_add_up_to_the_interval():
    rng = np.random.default_rng(4)
    index = np.repeat(np.arange(500), 4)
    truth = rng.normal(size=2000)
    shift = 0.2 * rng.normal(size=500)[index] + 0.2 * rng.normal(size=2000)
    members = (truth + shift)[:, None] + 0.1 * rng.normal(size=(2000, 5))
    calibration = calibrate(truth, members, [f"h{k}" for k in index])
    spread = np.sqrt(members.var(axis=1, ddof=1).mean())
    total = calibration.hop_residual_log_std**2 + calibration.material_residual_log_std**2 + spread**2
    assert np.sqrt(total) * NORMAL_90 == pytest.approx(calibration.mean_half_width_log, rel=1e-6)
    assert calibration.hop_residual_log_std == pytest.approx(calibration.material_residual_log_std, rel=0.2)
