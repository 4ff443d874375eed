"""Importances find what carries the signal, on hosts held out, with a spread."""

from __future__ import annotations

import dataclasses
import json

import numpy as np
import pytest
from scipy import stats

from models.arrays import host_folds
from models.crossval import out_of_fold
from models.errors import InputError
from models.importance import (
    ImportanceSettings,
    importance_jobs,
    importance_table,
    importances,
    run_job,
    univariate,
)

GROUPS = ("local", "topology")
FAMILIES = {
    "signal": {"local": ("local_0", "local_1")},
    "noise": {"local": ("local_2",), "topology": ("topology_0",)},
    "elsewhere": {"profile": ("profile_1",)},
}
SMALL = ImportanceSettings(n_folds=2, members=1, repeats=2)
KEYS = {
    "what", "name", "groups", "n_keys", "rise_ev", "rise_ci_ev", "repeat_std_ev", "spearman", "strongest_key"
}  # fmt: skip


@pytest.fixture(scope="module")
def settings(tiny):
    return tiny.model_copy(update={"epochs": 40, "groups": GROUPS})


@pytest.fixture(scope="module")
def many(make):
    """Rows whose barrier follows from `local_0` alone."""
    return make(200)


@pytest.fixture(scope="module")
def found(many, settings):
    return importances(many, settings, SMALL, FAMILIES)


def _row(found, name):
    (row,) = [row for row in found["rows"] if row["name"] == name]
    return row


def test_the_signal_is_found(found):
    first = {what: next(row["name"] for row in found["rows"] if row["what"] == what)
             for what in ("group", "family", "key")}  # fmt: skip
    assert first == {"group": "local", "family": "signal", "key": "local_0"}
    assert _row(found, "local_0")["rise_ci_ev"][0] > 0
    for name in ("local_2", "topology_2", "noise", "topology"):
        assert abs(_row(found, name)["rise_ev"]) < 0.3 * _row(found, "local_0")["rise_ev"], name
    assert _row(found, "local_0")["spearman"] > 0.9
    assert _row(found, "signal")["strongest_key"] == "local_0"


def test_rows_are_complete_ordered_and_plain(found, many):
    assert [row["what"] for row in found["rows"]] == ["group"] * 2 + ["family"] * 2 + ["key"] * 8
    for what in ("group", "family", "key"):
        rises = [row["rise_ev"] for row in found["rows"] if row["what"] == what]
        assert rises == sorted(rises, reverse=True)
    for row in found["rows"]:
        assert set(row) == KEYS
        assert row["rise_ci_ev"][0] <= row["rise_ev"] <= row["rise_ci_ev"][1]
        assert row["repeat_std_ev"] >= 0
    json.loads(json.dumps(found, allow_nan=False))


def test_error_is_that_of_cross_validation(found, many, settings):
    predicted = out_of_fold(many, settings, host_folds(many.hosts, 2, seed=0), members=1)
    expected = np.abs(np.exp(predicted[:, 0]) - many.barrier_ev).mean()
    assert found["mae_ev"] == pytest.approx(expected, rel=1e-5)


def test_rows_are_shuffled_within_their_fold_and_barriers_held_out_unseen(many, settings):
    quick = settings.model_copy(update={"epochs": 1})
    job = importance_jobs(many, quick, SMALL, FAMILIES)[0]
    before = run_job(job)
    others = np.setdiff1d(np.arange(len(many)), before.held_out)
    assert not {many.hosts[k] for k in before.held_out} & {many.hosts[k] for k in others}
    changed = many.barrier_ev.copy()
    changed[before.held_out] *= 2
    after = run_job(dataclasses.replace(job, rows=dataclasses.replace(job.rows, barrier_ev=changed)))
    predicted = many.barrier_ev[before.held_out] + np.array([before.error_ev, -before.error_ev])
    again = changed[before.held_out] + np.array([after.error_ev, -after.error_ev])
    nearest = np.abs(predicted[:, None] - again[None]).min(axis=(0, 1))
    np.testing.assert_allclose(nearest, 0, atol=1e-9)


def test_another_run_gives_the_same_and_the_order_of_jobs_does_not_matter(many, settings):
    quick = settings.model_copy(update={"epochs": 1})
    parts = [run_job(job) for job in importance_jobs(many, quick, SMALL, FAMILIES)]
    table = importance_table(many, quick, SMALL, FAMILIES, reversed(parts))
    assert table == importances(many, quick, SMALL, FAMILIES)
    with pytest.raises(InputError, match="a fold are missing"):
        importance_table(many, quick, SMALL, FAMILIES, parts[1:])


def test_correlation_by_hand(rows):
    found = univariate(rows)
    assert set(found) == set(rows.spec.names())
    present = np.isfinite(rows.inputs["topology"][:, 1])
    expected = stats.spearmanr(rows.inputs["topology"][present, 1], rows.barrier_ev[present]).statistic
    assert found["topology"][1] == pytest.approx(expected)
    least = np.nanmin(rows.inputs["profile"][:, 2], axis=-1)
    assert found["profile"][2] == pytest.approx(stats.spearmanr(least, rows.barrier_ev).statistic)


def test_what_never_varies_or_is_never_there_has_no_correlation(rows):
    inputs = {name: array.copy() for name, array in rows.inputs.items()}
    inputs["local"][:, 0] = 3.0
    inputs["local"][:, 1] = np.nan
    inputs["profile"][:, 0] = np.nan
    found = univariate(dataclasses.replace(rows, inputs=inputs))
    assert np.isnan(found["local"][:2]).all()
    assert np.isnan(found["profile"][0])
    assert np.isfinite(found["local"][2:]).all()


def test_what_cannot_be_measured_is_refused(rows, tiny):
    with pytest.raises(InputError, match="31 folds need as many hosts"):
        importance_jobs(rows, tiny, ImportanceSettings(n_folds=31), {})
    for bad in ({"n_folds": 1}, {"members": 0}, {"repeats": 0}):
        with pytest.raises(InputError, match="at least 2 folds, 1 member and 1 repeat"):
            ImportanceSettings(**bad)
