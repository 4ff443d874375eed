"""The ablation finds the group that carries the signal, on whole hosts held out, with intervals that hold."""

from __future__ import annotations

import dataclasses
import json

import numpy as np
import pytest

from models.ablation import (
    AblationSettings,
    ablate,
    ablation_jobs,
    ablation_table,
    fold_of_each_row,
    group_sets,
    run_job,
)
from models.arrays import host_folds
from models.crossval import out_of_fold
from models.errors import InputError
from models.evaluation import barrier_metrics

KEYS = {
    "predictor", "groups", "what", "mae_ev", "mae_ci_ev", "mae_below_3ev", "spearman", "delta_mae_ev",
    "delta_ci_ev",
}  # fmt: skip
# Without the image, whose branch takes most of the time; other tests have it.
VECTORS = ("local", "topology", "chemistry")
ALL = list(VECTORS)
SMALL = AblationSettings(n_folds=2, members=1)


@pytest.fixture(scope="module")
def table(make, tiny):
    """Of rows whose barrier follows from the group `local` alone."""
    return ablate(make(160).only(VECTORS), tiny.model_copy(update={"epochs": 60}), SMALL)


def _row(table, predictor, what, groups):
    (row,) = [r for r in table if (r["predictor"], r["what"], r["groups"]) == (predictor, what, groups)]
    return row


def _without(name):
    return [other for other in ALL if other != name]


def test_a_row_a_predictor_and_set_of_groups(table):
    expected = [("all", ALL), *(("alone", [g]) for g in ALL), *(("left_out", _without(g)) for g in ALL)]
    for predictor in ("cnn", "extra_trees"):
        assert [(r["what"], r["groups"]) for r in table if r["predictor"] == predictor] == expected
    assert all(set(row) == KEYS for row in table)
    json.loads(json.dumps(table, allow_nan=False))


@pytest.mark.parametrize("predictor", ["cnn", "extra_trees"])
def test_the_group_with_the_signal_is_found(table, predictor):
    alone = {name: _row(table, predictor, "alone", [name]) for name in ALL}
    assert min(alone, key=lambda name: alone[name]["mae_ev"]) == "local"
    assert alone["local"]["spearman"] > 0.8
    assert abs(alone["topology"]["spearman"]) < 0.4
    left_out = {name: _row(table, predictor, "left_out", _without(name)) for name in ALL}
    lower, _ = left_out["local"]["delta_ci_ev"]
    assert lower > 0, "without the signal it must be worse beyond doubt"
    for name in ("topology", "chemistry"):
        assert left_out[name]["delta_mae_ev"] < 0.5 * left_out["local"]["delta_mae_ev"]


def test_intervals_hold_their_figures(table):
    for row in table:
        lower, upper = row["mae_ci_ev"]
        assert lower < row["mae_ev"] < upper
        lower, upper = row["delta_ci_ev"]
        if row["what"] == "all":
            assert row["delta_mae_ev"] == lower == upper == 0
        else:
            assert lower < row["delta_mae_ev"] < upper
            every = _row(table, row["predictor"], "all", ALL)
            assert row["delta_mae_ev"] == pytest.approx(row["mae_ev"] - every["mae_ev"])


def test_leaving_out_nothing_is_cross_validation(make, tiny, table):
    rows, settings = (
        make(160).only(VECTORS),
        tiny.model_copy(update={"epochs": 60, "groups": VECTORS, "trees": 0}),
    )
    predicted = out_of_fold(rows, settings, host_folds(rows.hosts, 2, seed=0), members=1)
    metrics = barrier_metrics(rows.barrier_ev, np.exp(predicted.mean(axis=1)))
    row = _row(table, "cnn", "all", ALL)
    for key in ("mae_ev", "mae_below_3ev", "spearman"):
        assert row[key] == pytest.approx(metrics[key], rel=1e-9), key


def test_no_host_is_split_and_every_row_held_out_once(rows, tiny):
    settings = AblationSettings(n_folds=3, members=1, repeats=2)
    for repeat in range(2):
        folds = fold_of_each_row(rows.hosts, settings, repeat=repeat)
        for host in set(rows.hosts):
            assert len({int(f) for f, h in zip(folds, rows.hosts, strict=True) if h == host}) == 1
    jobs = [j for j in ablation_jobs(rows, tiny, settings) if j.predictor != "cnn" and j.groups == ("local",)]
    assert [(j.repeat, j.fold) for j in jobs] == [(r, f) for r in range(2) for f in range(3)]
    found = [run_job(job) for job in jobs]
    for repeat in range(2):
        held_out = np.concatenate([part.held_out for part in found if part.repeat == repeat])
        assert sorted(held_out) == list(range(len(rows)))
    assert (found[0].held_out.tolist()) != (found[3].held_out.tolist())


@pytest.mark.parametrize("predictor", ["cnn", "extra_trees"])
def test_a_held_out_barrier_changes_no_prediction_of_its_own(rows, tiny, predictor):
    jobs = [j for j in ablation_jobs(rows, tiny, SMALL) if j.predictor == predictor]
    first = next(job for job in jobs if job.groups == ("local", "profile", "topology"))
    found = run_job(first)
    changed = rows.barrier_ev.copy()
    changed[found.held_out] *= 7
    other = dataclasses.replace(first, rows=dataclasses.replace(rows, barrier_ev=changed))
    np.testing.assert_array_equal(run_job(other).barrier_ev, found.barrier_ev)


def test_a_group_left_out_is_not_looked_at(rows, tiny):
    wild = {**rows.inputs, "chemistry": rows.inputs["chemistry"] * -3}
    for job in ablation_jobs(rows, tiny, SMALL):
        if job.fold == 0 and job.groups == ("local", "profile", "topology"):
            other = dataclasses.replace(job, rows=dataclasses.replace(rows, inputs=wild))
            np.testing.assert_array_equal(run_job(other).barrier_ev, run_job(job).barrier_ev)


def test_neither_the_order_of_the_jobs_nor_another_run_changes_the_table(rows, tiny):
    quick = tiny.model_copy(update={"epochs": 1})
    some = rows.only(("local", "topology"))
    found = [run_job(job) for job in ablation_jobs(some, quick, SMALL)]
    table = ablation_table(some, quick, SMALL, found)
    assert ablation_table(some, quick, SMALL, reversed(found)) == table == ablate(some, quick, SMALL)
    with pytest.raises(InputError, match="no complete results"):
        ablation_table(some, quick, SMALL, found[1:])


def test_the_groups_of_the_settings_are_not_looked_at(rows, tiny):
    quick = tiny.model_copy(update={"epochs": 1, "groups": ("profile",)})
    some = rows.only(("local", "topology"))
    table = ablate(some, quick, SMALL)
    assert [row["groups"] for row in table][:5] == [
        ["local", "topology"], ["local"], ["topology"], ["topology"], ["local"]
    ]  # fmt: skip
    # With two groups one alone is the other left out.
    assert table[1]["mae_ev"] == table[4]["mae_ev"] != table[2]["mae_ev"]


def test_repeats_average_over_folds_and_seeds(rows, tiny):
    quick = tiny.model_copy(update={"epochs": 1})
    some = rows.only(("local", "topology"))
    settings = AblationSettings(n_folds=2, members=1, repeats=2)
    jobs = ablation_jobs(some, quick, settings)
    assert len(jobs) == 2 * 3 * 2 * 2
    results = [run_job(job) for job in jobs]
    both = ablation_table(some, quick, settings, results)
    single = [
        ablation_table(
            some, quick, SMALL, [dataclasses.replace(r, repeat=0) for r in results if r.repeat == k]
        )
        for k in range(2)
    ]
    for row, first, second in zip(both, *single, strict=True):
        assert first["mae_ev"] != second["mae_ev"]
        for key in ("mae_ev", "mae_below_3ev", "spearman", "delta_mae_ev"):
            assert row[key] == pytest.approx((first[key] + second[key]) / 2)


def test_one_group_alone_is_all_there_is():
    assert group_sets(("local",)) == [("all", ("local",))]


def test_too_few_hosts_or_folds_are_refused(rows, tiny):
    with pytest.raises(InputError, match="31 folds need as many hosts, got 30; use fewer folds"):
        ablation_jobs(rows, tiny, AblationSettings(n_folds=31))
    for bad in ({"n_folds": 1}, {"members": 0}, {"repeats": 0}):
        with pytest.raises(InputError, match="at least 2 folds, 1 member and 1 repeat"):
            AblationSettings(**bad)
