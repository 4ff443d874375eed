"""A run that does not reach its end: what it recorded is published, and what ended it is what is told."""

from __future__ import annotations

import pytest

from flows import campaign, computing
from storage import queries
from storage.errors import StorageError
from storage.recorder import Recorder
from tasks.candidates.source import EmptySourceError
from tests.campaigns import GOOD, write_good


def stop(error):
    def raise_it(*_args, **_named):
        raise error

    return raise_it


@pytest.mark.parametrize("error", [RuntimeError("no model"), KeyboardInterrupt()], ids=["error", "interrupt"])
def test_what_was_recorded_is_published(bench, monkeypatch, error):
    write_good(bench.folder)
    monkeypatch.setattr(computing.Pass, "_predicted", stop(error))
    with pytest.raises(type(error)):
        bench.screen()
    rows = bench.rankings()
    assert set(rows) == set(GOOD)
    assert {row["reason"] for row in rows.values()} == {"not_computed"}
    assert [row["status"] for row in queries.runs(bench.database)] == ["failed"]


def test_results_of_a_run_that_failed_late_are_ranked(bench, monkeypatch):
    write_good(bench.folder)
    monkeypatch.setattr(campaign, "_later_failures", stop(RuntimeError("late")))
    with pytest.raises(RuntimeError, match="late"):
        bench.screen()
    assert all(row["barrier_at_dim_ev"] > 0 for row in bench.rankings().values())


def test_a_source_that_cannot_be_used_publishes_nothing(bench):
    with pytest.raises(EmptySourceError):
        bench.screen()
    assert not bench.database.exists()


def test_the_first_error_is_told_when_the_database_fails_too(bench, monkeypatch):
    write_good(bench.folder)
    monkeypatch.setattr(computing, "load_checkpoint", stop(RuntimeError("no model")))
    monkeypatch.setattr(Recorder, "finish_run", stop(StorageError("the disk is full")))
    with pytest.raises(RuntimeError, match="no model"):
        bench.screen()
