"""The kill matrix under `lihop serve`: what is killed is found in two minutes, and completed."""

from __future__ import annotations

import pytest

from tests.faults.kill_cases import FOUND_WITHIN_S, GPU_RUN, GPU_WORKER, PREDICTING, SERVED, undisturbed
from tests.faults.kill_served import Matrix, outcome_of

PATIENCE_S = 1800


@pytest.mark.matrix
@pytest.mark.timeout(PATIENCE_S)
def test_what_is_killed_is_found_and_completed(tmp_path, checkpoint):
    """All of it in one go: so one wait for the heartbeats finds many runs."""
    expected = undisturbed(tmp_path, checkpoint)
    found = {run.case: outcome_of(run, expected) for run in Matrix(tmp_path, checkpoint).play()}
    assert set(found) == set(SERVED)
    flawed = {case: one for case, one in found.items() if one.rows_lost or one.rows_doubled or one.recomputed}
    assert flawed == {}
    assert {case: one for case, one in found.items() if one.found_s > FOUND_WITHIN_S} == {}
    went_on = {case.what for case, one in found.items() if one.completed_by == PREDICTING}
    assert went_on == {GPU_RUN, GPU_WORKER}
