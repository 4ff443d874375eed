"""The standardiser against naive numpy; fitted on training rows only."""

from __future__ import annotations

import numpy as np
import pytest

from models.standardise import Standardiser, fit_standardiser


def test_matches_naive_statistics(rows):
    scale = fit_standardiser(rows, clip=5.0).groups["profile"]
    for channel in range(4):
        values = [float(v) for v in rows.inputs["profile"][:, channel].ravel() if not np.isnan(v)]
        mean = sum(values) / len(values)
        std = (sum((v - mean) ** 2 for v in values) / len(values)) ** 0.5
        np.testing.assert_allclose((scale.mean[channel], scale.std[channel]), (mean, std), rtol=1e-9)
    assert scale.ever_missing == (2,)


def test_missing_becomes_zero_and_is_indicated(rows):
    standardiser = fit_standardiser(rows, clip=5.0)
    out = standardiser.transform(rows.inputs)
    absent = np.isnan(rows.inputs["topology"][:, 1])
    assert out["topology"].shape == (len(rows), 4)
    assert (out["topology"][absent, 1] == 0).all()
    np.testing.assert_array_equal(out["topology"][:, 3], absent.astype(np.float32))
    assert standardiser.sizes(rows.spec) == {name: array.shape[1:] for name, array in out.items()}


def test_only_training_rows_are_looked_at(rows):
    train = rows.take(range(60))
    changed = {name: array.copy() for name, array in rows.inputs.items()}
    for array in changed.values():
        array[60:] = 1e6
    other = type(rows)(changed, rows.barrier_ev, rows.ids, rows.hosts, rows.ions, rows.spec).take(range(60))
    first, second = fit_standardiser(train, 5.0), fit_standardiser(other, 5.0)
    assert first.to_dict() == second.to_dict()
    assert first.to_dict() != fit_standardiser(rows, 5.0).to_dict()


def test_extremes_are_clipped_and_constants_stay_zero(rows):
    inputs = {name: array.copy() for name, array in rows.inputs.items()}
    inputs["chemistry"][:, 0] = 7.0
    train = type(rows)(inputs, rows.barrier_ev, rows.ids, rows.hosts, rows.ions, rows.spec)
    standardiser = fit_standardiser(train, clip=4.0)
    assert (standardiser.transform(inputs)["chemistry"][:, 0] == 0).all()
    inputs["local"][0, 0] = 1e9
    assert standardiser.z_scores(inputs)["local"][0, 0] == 4.0
    highest = standardiser.transform(rows.inputs)["local"][:, 0].max()
    assert standardiser.transform(inputs)["local"][0, 0] == highest


def test_scores_follow_ranks_and_look_normal(make):
    rows = make(2000)
    skewed = {name: np.exp(array) for name, array in rows.inputs.items()}
    train = type(rows)(skewed, rows.barrier_ev, rows.ids, rows.hosts, rows.ions, rows.spec)
    out = fit_standardiser(train, clip=5.0).transform(skewed)["local"][:, 0]
    order = np.argsort(skewed["local"][:, 0])
    assert (np.diff(out[order]) >= 0).all()
    share_within_one = (np.abs(out) < 1).mean()
    assert 0.64 < share_within_one < 0.72
    assert abs(out.mean()) < 1e-5


def test_two_values_become_their_z_scores(rows):
    inputs = {name: array.copy() for name, array in rows.inputs.items()}
    inputs["chemistry"][:, 1] = (np.arange(len(rows)) % 4 == 0).astype(np.float32)
    train = type(rows)(inputs, rows.barrier_ev, rows.ids, rows.hosts, rows.ions, rows.spec)
    standardiser = fit_standardiser(train, clip=5.0)
    expected = standardiser.z_scores(inputs)["chemistry"][:, 1]
    np.testing.assert_allclose(standardiser.transform(inputs)["chemistry"][:, 1], expected, atol=1e-5)


def test_a_key_that_is_always_missing_is_zero(rows):
    inputs = {name: array.copy() for name, array in rows.inputs.items()}
    inputs["local"][:, 2] = np.nan
    train = type(rows)(inputs, rows.barrier_ev, rows.ids, rows.hosts, rows.ions, rows.spec)
    out = fit_standardiser(train, clip=5.0).transform(inputs)["local"]
    assert (out[:, 2] == 0).all()
    assert (out[:, 5] == 1).all()


def test_targets_and_json_round_trip(rows):
    standardiser = fit_standardiser(rows, clip=5.0)
    again = Standardiser.from_dict(standardiser.to_dict())
    logs = rows.log_barrier()
    np.testing.assert_allclose(again.log_barrier(standardiser.target(logs)), logs, atol=1e-6)
    assert abs(float(standardiser.target(logs).mean())) < 1e-6


def test_rounding_errors_round_a_common_value_do_not_move_its_score(make):
    rows = make(600)
    rng = np.random.default_rng(3)
    inputs = {name: array.copy() for name, array in rows.inputs.items()}
    # Four hops in five are symmetric: the difference of their ends is 0 but for rounding.
    values = np.where(rng.random(len(rows)) < 0.8, 0.0, rng.random(len(rows)))
    values += np.abs(rng.normal(scale=1e-6, size=len(rows)))
    inputs["local"][:, 0] = values
    train = type(rows)(inputs, rows.barrier_ev, rows.ids, rows.hosts, rows.ions, rows.spec)
    standardiser = fit_standardiser(train, clip=5.0)
    moved = {name: array.copy() for name, array in inputs.items()}
    moved["local"][:, 0] += rng.uniform(0, 1e-5, size=len(rows)).astype(np.float32)
    before, after = (standardiser.transform(given)["local"][:, 0] for given in (inputs, moved))
    assert np.abs(after - before).max() < 1e-2


def test_every_value_is_that_of_a_slow_reading(rows):
    standardiser = fit_standardiser(rows.take(range(90)), clip=1.5)
    scores, z_scores = standardiser.transform(rows.inputs), standardiser.z_scores(rows.inputs)
    for name, scale in standardiser.groups.items():
        n_keys = len(scale.mean)
        for place, value in np.ndenumerate(rows.inputs[name][::9]):
            row, key, *at = place
            found = (scores[name][::9][row, key, *at], z_scores[name][::9][row, key, *at])
            assert found == pytest.approx(_slowly(float(value), scale, key, clip=1.5), abs=1e-6), place
        for nth, key in enumerate(scale.ever_missing):
            absent = np.isnan(rows.inputs[name][:, key]).astype(np.float32)
            np.testing.assert_array_equal(scores[name][:, n_keys + nth], absent)
        assert scores[name].shape[1] == n_keys + len(scale.ever_missing)
        assert scores[name].dtype == np.float32


def _slowly(value, scale, key, *, clip):
    """Return one value's standardised normal score and its z-score, without arrays."""
    if np.isnan(value):
        return 0.0, 0.0
    knots, values = scale.knots[key], scale.scores[key]
    score = values[0] if value <= knots[0] else values[-1]
    for low, high, first, last in zip(knots, knots[1:], values, values[1:], strict=False):
        if low <= value <= high:
            score = first + (last - first) * (value - low) / (high - low)
    found = (
        (score - scale.score_mean[key]) / scale.score_std[key],
        (value - scale.mean[key]) / scale.std[key],
    )
    return tuple(min(max(part, -clip), clip) for part in found)
