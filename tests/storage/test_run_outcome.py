"""What one run came to, whatever else the database holds."""

from storage.records import Reason
from storage.run_outcome import run_outcome


def _two_runs(make):
    old = make.failure("old", reason=Reason.NO_HOPS)
    cut = [make.failure(name, reason=Reason.LIMIT) for name in ("x", "y")]
    bad = make.failure("bad", reason=Reason.TIME_LIMIT)
    return [
        make.run("r1", day=0, status="completed"), make.run("r2", day=1, status="failed"),
        *[make.candidate(name) for name in ("old", "slow", "fast", "bad", "both")],
        make.run_material("r1", "old"), old, make.run_failure(old, "r1"),
        make.run_material("r1", "both"), make.percolation("both", 0.3),
        *[make.run_material("r2", name) for name in ("slow", "fast", "bad", "both")],
        make.percolation("slow", 0.9), make.percolation("fast", 0.2),
        *cut, bad, *[make.run_failure(one, "r2") for one in (*cut, bad)],
    ]  # fmt: skip


def test_only_what_took_part_in_the_run_is_there(publish, make):
    found = run_outcome(publish(_two_runs(make)), "r2", limit=10)
    assert [row["material_id"] for row in found.ranking] == ["fast", "both", "slow", "bad"]
    assert found.barriers == [(0.2, 1), (0.3, 1), (0.9, 1)]
    assert found.n_without == 1
    assert [(row["reason"], row["n_failures"]) for row in found.failures] == [("limit", 2), ("time_limit", 1)]


def test_the_ranking_is_as_long_as_was_asked_and_the_rest_is_counted(publish, make):
    found = run_outcome(publish(_two_runs(make)), "r2", limit=1)
    assert [row["material_id"] for row in found.ranking] == ["fast"]
    assert len(found.barriers) == 3


def test_of_a_run_that_is_not_there_there_is_nothing(publish, make):
    found = run_outcome(publish(_two_runs(make)), "r9", limit=10)
    assert (found.ranking, found.barriers, found.n_without, found.failures) == ([], [], 0, [])
