"""The kill matrix under `lihop serve`: what is killed is found in two minutes and completed by a retry."""

from __future__ import annotations

import pytest

from tests.faults.kill_cases import FOUND_WITHIN_S, SERVED, undisturbed
from tests.faults.kill_served import Matrix, outcome_of

PATIENCE_S = 1500


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory, checkpoint):
    """Everything that is killed under a server, and what came of it: all of it in one go, and once."""
    root = tmp_path_factory.mktemp("matrix")
    expected = undisturbed(root, checkpoint)
    return {run.case: outcome_of(run, expected) for run in Matrix(root, checkpoint).play()}


@pytest.mark.slow
@pytest.mark.timeout(PATIENCE_S)
@pytest.mark.parametrize("case", SERVED, ids=[case.name for case in SERVED])
def test_a_killed_run_is_found_and_completed(case, outcomes):
    found = outcomes[case]
    assert (found.rows_lost, found.rows_doubled, found.recomputed) == (0, 0, 0)
    assert found.found_s < FOUND_WITHIN_S
