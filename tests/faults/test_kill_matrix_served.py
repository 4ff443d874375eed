"""The kill matrix under `lihop serve`: what is killed is found in two minutes, and completed."""

from __future__ import annotations

import pytest

from tests.faults.kill_cases import (
    FOUND_WITHIN_S,
    GPU_RUN,
    GPU_WORKER,
    ONE_OF_EACH,
    PREDICTING,
    SERVED,
    undisturbed,
)
from tests.faults.kill_served import Matrix, outcome_of

PATIENCE_S = 1800


@pytest.mark.timeout(PATIENCE_S)
@pytest.mark.parametrize(
    "cases",
    [
        pytest.param(ONE_OF_EACH, marks=pytest.mark.slow, id="one of each"),
        pytest.param(SERVED, marks=pytest.mark.matrix, id="all"),
    ],
)
def test_what_is_killed_is_found_and_completed(tmp_path, checkpoint, cases):
    """All of it in one go: so one wait for the heartbeats finds many runs."""
    expected = undisturbed(tmp_path, checkpoint)
    found = {run.case: outcome_of(run, expected) for run in Matrix(tmp_path, checkpoint, cases).play()}
    assert set(found) == set(cases)
    flawed = {case: one for case, one in found.items() if one.rows_lost or one.rows_doubled or one.recomputed}
    assert flawed == {}
    assert {case: one for case, one in found.items() if one.found_s > FOUND_WITHIN_S} == {}
    went_on = {case.what for case, one in found.items() if one.completed_by == PREDICTING}
    assert went_on == {GPU_RUN, GPU_WORKER}


def test_of_each_thing_that_is_killed_there_is_one():
    assert [case.what for case in ONE_OF_EACH] == list(dict.fromkeys(case.what for case in SERVED))
