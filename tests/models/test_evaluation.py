"""Metrics against naive Python, and the keys that scripts rely on."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest

from models.baselines import predict_baselines
from models.errors import InputError
from models.evaluation import barrier_metrics, bootstrap_mae_ev, evaluate_arrays
from models.predictor import Predictions

KEYS = {
    "dataset", "split", "n", "mae_ev", "median_error_ev", "rmse_ev", "r2", "spearman", "accuracy_050",
    "accuracy_065", "mae_ci_ev", "mae_below_3ev", "coverage_90", "baselines", "by_ion", "model_digest",
}  # fmt: skip


def _naive(truth, predicted):
    n = len(truth)
    errors = [abs(p - t) for t, p in zip(truth, predicted, strict=True)]
    mean = sum(truth) / n
    ranks = [[sorted(v).index(x) for x in v] for v in (truth, predicted)]
    d2 = sum((a - b) ** 2 for a, b in zip(*ranks, strict=True))
    below = [e for e, t in zip(errors, truth, strict=True) if t < 3]
    return {
        "mae_ev": sum(errors) / n,
        "median_error_ev": (sorted(errors)[(n - 1) // 2] + sorted(errors)[n // 2]) / 2,
        "rmse_ev": math.sqrt(sum(e * e for e in errors) / n),
        "r2": 1 - sum(e * e for e in errors) / sum((t - mean) ** 2 for t in truth),
        "spearman": 1 - 6 * d2 / (n * (n * n - 1)),
        "mae_below_3ev": sum(below) / len(below),
        "accuracy_050": sum((t <= 0.5) == (p <= 0.5) for t, p in zip(truth, predicted, strict=True)) / n,
        "accuracy_065": sum((t <= 0.65) == (p <= 0.65) for t, p in zip(truth, predicted, strict=True)) / n,
    }


@pytest.mark.parametrize("n", [7, 40])
def test_metrics_match_naive_python(n):
    rng = np.random.default_rng(n)
    truth = np.exp(rng.normal(-0.5, 0.9, size=n))
    truth[0] = 4.0
    predicted = truth * np.exp(0.4 * rng.normal(size=n))
    found = barrier_metrics(truth, predicted)
    for name, value in _naive(truth.tolist(), predicted.tolist()).items():
        assert found[name] == pytest.approx(value, rel=1e-9), name


def test_the_boundary_counts_as_below():
    found = barrier_metrics(np.array([0.50, 0.65, 0.651]), np.array([0.40, 0.70, 0.66]))
    assert found["accuracy_050"] == 1.0
    assert found["accuracy_065"] == pytest.approx(2 / 3)


def test_a_constant_guess_has_no_correlation():
    found = barrier_metrics(np.array([0.3, 0.6]), np.array([0.5, 0.5]))
    assert found["spearman"] is None
    assert barrier_metrics(np.array([4.0]), np.array([3.0]))["mae_below_3ev"] is None


def test_nothing_or_unequal_lengths_are_refused():
    with pytest.raises(InputError, match="at least one hop"):
        barrier_metrics(np.zeros(0), np.zeros(0))
    with pytest.raises(InputError, match="one of each"):
        barrier_metrics(np.ones(3), np.ones(2))


def test_bootstrap_is_as_wide_as_the_standard_error():
    error = np.abs(np.random.default_rng(0).normal(size=400))
    lower, upper = bootstrap_mae_ev(error)
    standard_error = error.std() / math.sqrt(len(error))
    assert (upper - lower) / 2 == pytest.approx(1.96 * standard_error, rel=0.1)
    assert lower < error.mean() < upper
    assert [lower, upper] == bootstrap_mae_ev(error)


def test_keys_and_values_that_scripts_rely_on(make):
    training, test = make(160), make(30, seed=1)
    truth = test.barrier_ev
    predictions = Predictions(
        barrier_ev=truth * 1.1, log_spread=np.zeros(30), member_barriers_ev=truth[:, None],
        lower_ev=np.where(np.arange(30) < 27, truth * 0.9, truth * 1.01), upper_ev=truth * 1.2,
        in_domain=np.arange(30) < 20, domain_distance=np.ones(30),
    )  # fmt: skip
    some = np.where(np.arange(30) < 4, np.nan, 1.0)
    others = {**predict_baselines(training, test), "peer": some, "silent": np.full(30, np.nan)}
    result = evaluate_arrays(test, predictions, dataset="d", split="s", model_digest="m", others=others)
    assert set(result) >= KEYS
    assert result["coverage_90"] == pytest.approx(0.9)
    assert result["mae_ev"] == pytest.approx(0.1 * truth.mean())
    assert result["share_in_domain"] == pytest.approx(2 / 3)
    lithium = np.array(test.ions) == "Li"
    assert list(result["by_ion"]) == ["Li", "Na"]
    assert result["by_ion"]["Li"] == {
        "n": 20,
        "mae_ev": pytest.approx(0.1 * truth[lithium].mean()),
        "coverage_90": pytest.approx((np.flatnonzero(lithium) < 27).mean()),
    }
    assert set(result["baselines"]) == {"median", "extra_trees", "peer"}
    assert result["baselines"]["peer"]["n"] == 26
    assert result["baselines"]["peer"]["mae_ev"] == pytest.approx(np.abs(truth[4:] - 1).mean())
    lower, upper = result["mae_ci_hosts_ev"]
    assert lower < result["mae_ev"] < upper
    median = np.abs(np.median(training.barrier_ev) - truth).mean()
    assert result["baselines"]["median"]["mae_ev"] == pytest.approx(median)
    assert result["baselines"]["extra_trees"]["mae_ev"] < 0.7 * median
    json.loads(json.dumps(result, allow_nan=False))
