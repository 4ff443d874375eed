"""Simple predictors against closed forms."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from models.arrays import LabelledArrays
from models.baselines import (
    AFFINE_BVSE,
    EXTRA_TREES,
    MEDIAN,
    bvse_barrier_ev,
    predict_affine_bvse,
    predict_baseline,
    predict_baselines,
)
from models.specs import GroupSpec, InputSpec


def with_bvse(bvse_ev, barrier_ev):
    """Hops whose second local key is the bond-valence barrier."""
    n = len(bvse_ev)
    keys = ("other", "bvse_barrier_ev")
    spec = InputSpec(groups=(GroupSpec(name="local", version=1, keys=keys, shape=(2,)),))
    local = np.stack([np.zeros(n), np.asarray(bvse_ev, dtype=np.float64)], axis=1).astype(np.float32)
    return LabelledArrays(
        inputs={"local": local},
        barrier_ev=np.asarray(barrier_ev, dtype=np.float64),
        ids=tuple(f"hop-{k}" for k in range(n)),
        hosts=tuple(f"host-{k}" for k in range(n)),
        ions=("Li",) * n,
        spec=spec,
    )


def test_the_line_is_that_of_least_absolute_error():
    x = np.array([0.5, 1.0, 1.5, 2.0, 3.0, 4.0, 2.5])
    y = 0.2 + 0.5 * x
    y[3] = 9.0  # one wild row does not move it
    training = with_bvse([*x, np.nan], [*y, 0.3])
    test = with_bvse([1.2, np.nan, 0.5, -9.0], [1.0] * 4)
    found = predict_affine_bvse(training, test)
    assert found[[0, 2]] == pytest.approx([0.8, 0.45], abs=1e-5)
    # Without parameters the median of all training rows; below the least training barrier that one.
    assert found[1] == pytest.approx(np.median([*y, 0.3]))
    assert found[3] == 0.3


def test_no_parameters_at_all_is_the_median():
    nothing = with_bvse([np.nan, np.nan, np.nan], [0.2, 0.4, 0.9])
    assert predict_affine_bvse(nothing, nothing).tolist() == [0.4] * 3


def test_the_barrier_is_found_by_its_key(make):
    assert bvse_barrier_ev(with_bvse([0.5, 0.25], [1, 1])).tolist() == [0.5, 0.25]
    assert bvse_barrier_ev(make(8)) is None


def test_what_the_descriptors_do_not_allow_is_left_out(make):
    training, test = make(60), make(10, seed=1)
    found = predict_baselines(training, test)
    assert set(found) == {EXTRA_TREES, MEDIAN}
    assert found[MEDIAN].tolist() == [np.median(training.barrier_ev)] * 10
    assert AFFINE_BVSE in predict_baselines(with_bvse([1, 2, 3], [1, 2, 3]), with_bvse([1], [1]))


@pytest.mark.parametrize("name", [EXTRA_TREES, AFFINE_BVSE, MEDIAN])
def test_barriers_that_are_asked_for_are_not_looked_at(name):
    rng = np.random.default_rng(0)
    training = with_bvse(rng.uniform(0.2, 2, 30), rng.uniform(0.2, 2, 30))
    test = with_bvse(rng.uniform(0.2, 2, 5), np.ones(5))
    other = dataclasses.replace(test, barrier_ev=np.full(5, 7.0))
    np.testing.assert_array_equal(
        predict_baseline(name, training, test), predict_baseline(name, training, other)
    )
