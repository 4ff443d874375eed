"""Cross-validation sees nothing of what it holds out, and compares candidates on the same folds."""

from __future__ import annotations

import dataclasses

import numpy as np

from models.arrays import host_folds
from models.crossval import out_of_fold
from models.selection import as_markdown, compare


def test_a_held_out_label_changes_no_prediction_of_its_own(rows, tiny):
    folds = host_folds(rows.hosts, 3, seed=0)
    before = out_of_fold(rows, tiny, folds, members=1)
    changed = rows.barrier_ev.copy()
    changed[folds == 1] *= 7.0
    after = out_of_fold(dataclasses.replace(rows, barrier_ev=changed), tiny, folds, members=1)
    assert before.shape == (len(rows), 1)
    np.testing.assert_array_equal(after[folds == 1], before[folds == 1])
    assert (after[folds != 1] != before[folds != 1]).all()


def test_progress_counts_over_all_folds(rows, tiny):
    calls = []
    folds = host_folds(rows.hosts, 2, seed=0)
    out_of_fold(rows, tiny, folds, members=2, on_fit=lambda *call: calls.append(call))
    assert calls == [("calibration", k, 4) for k in range(1, 5)]


def test_comparison_has_a_row_a_candidate_and_split(rows, tiny):
    found = compare(rows, {"a": tiny, "b": tiny.model_copy(update={"seed": 3})}, n_folds=2)
    names = [(row["split"], row["candidate"]) for row in found]
    assert names == [(s, c) for s in ("grouped", "random") for c in ("extra trees", "a", "b")]
    assert found[1]["mae_ev"] != found[2]["mae_ev"]
    table = as_markdown(found).splitlines()
    assert len(table) == 8
    assert all(line.count("|") == table[0].count("|") for line in table)
    assert f"| {found[0]['mae_ev']:.3f} |" in table[2]
