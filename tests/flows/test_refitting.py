"""Refits over processes give what one process gives, and folds are those of the file."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from flows import refitting
from flows.progress import reporting
from models.arrays import host_folds
from models.refits import assemble, refits, run_refit
from tasks.datasets.devi2025_folds import read_folds
from tasks.datasets.errors import DatasetError
from tests.flows.test_ablation_flow import Counting
from tests.models.conftest import TINY, make_rows


def test_in_other_processes_as_in_this_one():
    rows = make_rows(40)
    quick = TINY.model_copy(update={"groups": ("local", "topology"), "epochs": 1})
    folds = host_folds(rows.hosts, 2, 0)
    jobs = [job for name in ("cnn", "median") for job in refits(name, rows, folds, quick, members=1)]
    counting = Counting()
    with reporting(counting):
        found = refitting.run_refits(jobs, workers=2)
    assert counting.stages == {refitting.FITTING: [4, 4]}
    expected = assemble(len(rows), map(run_refit, jobs))
    assert set(found) == {"cnn", "median"}
    for name, one in found.items():
        np.testing.assert_array_equal(one.member_log_barriers, expected[name].member_log_barriers)
        np.testing.assert_array_equal(one.domain_distance, expected[name].domain_distance)


def test_an_error_of_a_fit_is_the_callers():
    rows = make_rows(8)
    jobs = refits("cnn", rows, host_folds(rows.hosts, 2, 0), TINY.model_copy(update={"arch": "x"}), members=1)
    with pytest.raises(ValueError, match="'x'"):
        refitting.run_refits(jobs, workers=1)


def test_nothing_to_fit_starts_nothing():
    assert refitting.run_refits([], workers=2) == {}


def test_folds_are_those_of_the_file():
    folds = read_folds()["folds"]
    rows = make_rows(len(folds))
    rows = dataclasses.replace(rows, ids=tuple(folds))
    found = refitting.committed_folds("devi2025", rows)
    assert found.tolist() == list(folds.values())
    with pytest.raises(DatasetError, match="no file of folds"):
        refitting.committed_folds("mine", rows)
