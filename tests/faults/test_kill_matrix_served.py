"""The kill matrix under `lihop serve`: what is killed is found in two minutes, and completed."""

from __future__ import annotations

import pytest

from flows.orchestration.living import LIVES
from tests.faults.kill_cases import (
    FOUND_WITHIN_S,
    GPU_RUN,
    GPU_WORKER,
    PREDICTING,
    SERVED,
    SILENT,
    undisturbed,
)
from tests.faults.kill_served import Matrix, outcome_of, starts_and_ends

PATIENCE_S = 2400


@pytest.mark.slow
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
    assert {case: one for case, one in found.items() if case.what in SILENT and one.found_s == 0.0} == {}
    went_on = {case.what for case, one in found.items() if one.completed_by == PREDICTING}
    assert went_on == {GPU_RUN, GPU_WORKER}


def _states(*told):
    return [
        {"timestamp": f"2026-01-01T00:00:{second:02}+00:00", "type": kind, "message": message}
        for second, (kind, message) in enumerate(told)
    ]


def test_an_end_that_a_run_takes_back_is_none():
    lived = _states(("RUNNING", None), ("CRASHED", "no heartbeat"), ("RUNNING", LIVES), ("COMPLETED", None))
    assert starts_and_ends(lived) == (1, [])
    died = _states(("RUNNING", None), ("CRASHED", "no heartbeat"), ("SCHEDULED", None), ("RUNNING", None))
    starts, ends = starts_and_ends(died[::-1])
    assert (starts, len(ends)) == (2, 1)
    assert ends[0] % 60 == 1
