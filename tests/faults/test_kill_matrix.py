"""The kill matrix: kill -9 of a screening or of what it runs on costs no row and no finished batch."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from storage import queries
from tests.faults import kill_commands
from tests.faults.kill_cases import BATCHES, COMMANDS, FOUND_WITHIN_S, Outcome, undisturbed
from tests.faults.kill_matrix import CASES, HEAD, UNPLAYED, page
from tests.faults.killing import lost_and_doubled, results
from tests.servers.workstation import environment

PAGE = Path(__file__).resolve().parents[2] / "docs" / "kill-matrix.md"


@pytest.fixture(scope="module")
def expected(tmp_path_factory, checkpoint):
    return undisturbed(tmp_path_factory.mktemp("undisturbed"), checkpoint)


@pytest.fixture(scope="module")
def forks(tmp_path_factory):
    with kill_commands.nursery(tmp_path_factory.mktemp("home")) as found:
        yield found


@pytest.mark.slow
@pytest.mark.matrix
@pytest.mark.parametrize("case", COMMANDS, ids=lambda case: case.name)
def test_a_killed_command_loses_and_doubles_nothing(case, tmp_path, checkpoint, expected, forks):
    found = kill_commands.outcome_of(case, tmp_path, checkpoint, expected, forks)
    assert (found.rows_lost, found.rows_doubled, found.recomputed) == (0, 0, 0)
    assert found.found_s < FOUND_WITHIN_S


@pytest.mark.slow
def test_two_runs_of_one_campaign_at_once_double_nothing(tmp_path, checkpoint, expected):
    arguments = kill_commands.arguments(checkpoint, tmp_path, 1, prefect=False)
    both = [
        subprocess.Popen(
            [sys.executable, "-m", "flows.cli.main", *arguments], stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, text=True, cwd=kill_commands.ROOT, env=environment(tmp_path),
        )
        for _ in range(2)
    ]  # fmt: skip
    said = [one.communicate(timeout=kill_commands.PATIENCE_S)[0] for one in both]
    assert [one.returncode for one in both] == [0, 0], said
    assert lost_and_doubled(results(tmp_path / "lihop.duckdb"), expected) == (0, 0)
    # One did the work, and the other found it there.
    assert sorted(run["n_computed"] for run in queries.runs(tmp_path / "lihop.duckdb")) == [0, BATCHES]


def test_what_is_lost_or_doubled_is_counted(expected):
    assert lost_and_doubled(expected, expected) == (0, 0)
    hops, percolation = expected["hops"], expected["percolation"]
    assert len(percolation) == BATCHES
    one = dict(percolation[0], barrier_1d_ev=(percolation[0]["barrier_1d_ev"] or 0.0) + 0.1)
    changed = expected | {"hops": [*hops[1:], hops[-1]], "percolation": [one, *percolation[1:]]}
    assert lost_and_doubled(changed, expected) == (2, 2)


def test_the_page_lists_these_cases():
    """Its figures are of the day that it was written; that nothing is lost is what tests see to."""
    rows = [
        [cell.strip() for cell in line.strip("|").split("|")]
        for line in PAGE.read_text().splitlines()
        if line.startswith("| ")
    ]
    assert rows[0] == list(HEAD)
    measured, _, unplayed = PAGE.read_text().partition(UNPLAYED)
    told = [
        [case.what, str(case.moment)] for case in CASES if f"- {case.what}: {case.moment}\n" not in unplayed
    ]
    assert [row[:2] for row in rows[2:]] == told
    assert f"\n{len(told)} cases: 0 rows lost, 0 doubled" in measured
    assert {tuple(row[4:]) for row in rows[2:]} == {("0", "0", "0")}
    assert len(told) >= 40


def test_the_page_tells_what_was_measured():
    found = dict.fromkeys(CASES, Outcome(97.0, "Prefect's retry", 0, 0, 0))
    found[CASES[0]] = Outcome(0.1, "the same command", 3, 2, 1)
    told = page(found, 100)
    assert f"{len(CASES)} cases: 3 rows lost, 2 doubled" in told
    assert UNPLAYED not in told
    told_of_one = page({CASES[0]: found[CASES[0]]}, 100)
    assert "\n1 cases: 3 rows lost" in told_of_one
    assert f"- {CASES[1].what}: {CASES[1].moment}\n" in told_of_one
    assert f"| {CASES[0].what} | {CASES[0].moment} | 0.1 | the same command | 3 | 2 | 1 |" in told
