"""Predictors side by side: differences in pairs against closed forms, and what each row of the table says."""

from __future__ import annotations

import json

import numpy as np
import pytest

from models.comparison import Contestant, comparison_rows, paired_difference
from models.errors import InputError
from models.evaluation import barrier_metrics

NONE = np.nan


class TestPairedDifference:
    def test_is_the_mean_of_differences_with_the_width_of_their_standard_error(self):
        rng = np.random.default_rng(0)
        truth = np.full(400, 1.0)
        hard = rng.exponential(size=400)
        first, second = truth + hard, truth - (hard + 0.1 + 0.2 * rng.normal(size=400)) * 1.0
        found = paired_difference(truth, first, second, [f"h{k}" for k in range(400)])
        delta = np.abs(first - truth) - np.abs(second - truth)
        assert found["n"] == 400
        assert found["delta_mae_ev"] == pytest.approx(delta.mean())
        lower, upper = found["delta_ci_ev"]
        assert (upper - lower) / 2 == pytest.approx(1.96 * delta.std() / 20, rel=0.1)
        # What is hard for both cancels: the difference is far surer than either error.
        assert (upper - lower) < 0.5 * 2 * 1.96 * hard.std() / 20
        assert upper < 0

    def test_hosts_that_err_alike_widen_it(self):
        rng = np.random.default_rng(1)
        truth = np.ones(200)
        shared = np.repeat(0.2 * rng.normal(size=20), 10)
        hosts = [f"h{k // 10}" for k in range(200)]
        found = paired_difference(truth, truth + 1 + shared, truth + 1, hosts)
        rows, whole = (np.ptp(found[key]) for key in ("delta_ci_ev", "delta_ci_hosts_ev"))
        assert whole == pytest.approx(rows * np.sqrt(10), rel=0.35)

    def test_only_rows_that_both_have_count(self):
        truth = np.array([1.0, 1.0, 1.0, 1.0])
        first, second = np.array([NONE, 1.5, 1.5, 1.0]), np.array([9.0, 1.0, NONE, 1.2])
        found = paired_difference(truth, first, second, ["a", "b", "c", "d"])
        assert found["n"] == 2
        assert found["delta_mae_ev"] == pytest.approx((0.5 - 0.2) / 2)
        with pytest.raises(InputError, match="no row in common"):
            paired_difference(truth[:1], first[:1], second[:1], ["a"])

    def test_of_a_predictor_with_itself_is_nothing(self):
        truth = np.array([1.0, 2.0])
        found = paired_difference(truth, truth + 1, truth + 1, ["a", "b"])
        assert found["delta_ci_ev"] == found["delta_ci_hosts_ev"] == [0, 0]


@pytest.fixture(scope="module")
def table(rows):
    truth = rows.barrier_ev
    some = truth * 1.3
    some[:5] = NONE
    contestants = [
        Contestant("ours", truth * 1.1, {"parameters": 7}),
        Contestant("peer", some, {"parameters": None}),
        Contestant("silent", truth * NONE),
        Contestant("only_na", np.where(np.array(rows.ions) == "Na", truth + 1, NONE)),
    ]
    return comparison_rows(rows, contestants, "ours")


class TestTable:
    def test_a_row_a_predictor_that_has_barriers(self, table):
        assert [row["predictor"] for row in table] == ["ours", "peer", "only_na"]
        json.loads(json.dumps(table, allow_nan=False))

    def test_rows_without_a_figure_are_left_out(self, table, rows):
        ours, peer, _ = table
        assert (ours["n"], peer["n"]) == (len(rows), len(rows) - 5)
        expected = barrier_metrics(rows.barrier_ev[5:], rows.barrier_ev[5:] * 1.3)
        assert {name: peer[name] for name in expected} == pytest.approx(expected)
        assert (ours["parameters"], peer["parameters"]) == (7, None)

    def test_every_metric_has_its_intervals(self, table):
        for row in table:
            for kind in ("intervals", "intervals_over_hosts"):
                assert {"n", *row[kind]} <= set(row)
                lower, upper = row[kind]["mae_ev"]
                assert lower <= row["mae_ev"] <= upper

    def test_differences_are_from_the_reference(self, table, rows):
        ours, peer, _ = table
        assert ours["difference"] is None
        assert peer["difference"]["n"] == len(rows) - 5
        assert peer["difference"]["delta_mae_ev"] == pytest.approx(0.2 * rows.barrier_ev[5:].mean())
        assert peer["difference"]["delta_ci_ev"][0] > 0

    def test_lithium_by_itself(self, table, rows):
        ours, _, only_na = table
        lithium = np.array(rows.ions) == "Li"
        assert ours["by_ion"]["Li"]["n"] == lithium.sum()
        assert ours["by_ion"]["Li"]["mae_ev"] == pytest.approx(0.1 * rows.barrier_ev[lithium].mean())
        assert only_na["by_ion"] == {}

    def test_no_reference_is_refused(self, rows):
        with pytest.raises(InputError, match="'ours' is to be compared with"):
            comparison_rows(rows, [Contestant("peer", rows.barrier_ev)], "ours")
