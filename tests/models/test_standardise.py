"""The standardiser against naive numpy; fitted on training rows only."""

from __future__ import annotations

import numpy as np

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
    assert standardiser.transform(inputs)["local"][0, 0] == 4.0


def test_targets_and_json_round_trip(rows):
    standardiser = fit_standardiser(rows, clip=5.0)
    again = Standardiser.from_dict(standardiser.to_dict())
    logs = rows.log_barrier()
    np.testing.assert_allclose(again.log_barrier(standardiser.target(logs)), logs, atol=1e-6)
    assert abs(float(standardiser.target(logs).mean())) < 1e-6
