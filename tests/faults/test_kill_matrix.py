"""The kill matrix: kill -9 of a screening or of what it runs on costs no row and no finished batch."""

from __future__ import annotations

import pytest

from tests.faults import kill_commands
from tests.faults.kill_cases import COMMANDS, FOUND_WITHIN_S, undisturbed

QUICK = {"reading-1-112", "featurizing-3-103"}


@pytest.fixture(scope="module")
def expected(tmp_path_factory, checkpoint):
    return undisturbed(tmp_path_factory.mktemp("undisturbed"), checkpoint)


def _marked(case):
    marks = () if case.name in QUICK else pytest.mark.slow
    return pytest.param(case, id=case.name, marks=marks)


@pytest.mark.parametrize("case", [_marked(case) for case in COMMANDS])
def test_a_killed_command_loses_and_doubles_nothing(case, tmp_path, checkpoint, expected):
    found = kill_commands.outcome_of(case, tmp_path, checkpoint, expected)
    assert (found.rows_lost, found.rows_doubled, found.recomputed) == (0, 0, 0)
    assert found.found_s < FOUND_WITHIN_S
