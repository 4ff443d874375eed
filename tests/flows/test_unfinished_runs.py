"""A run that does not reach its end: what it recorded is published, and what ended it is what is told."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import pytest

from flows import campaign, computing, leaving
from flows.campaign import run_campaign
from flows.progress import reporting
from flows.running.plain import PlainSteps
from flows.running.processes import BatchPool
from storage import queries
from storage.errors import StorageError
from storage.recorder import Recorder
from tasks.candidates.source import EmptySourceError
from tests.campaigns import GOOD, write_good
from tests.flows.test_turns import Told
from tests.processes import descendants


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


HOLD_LOCK = """
import sys
from storage.database import locked
from storage.places import paths_of
with locked(paths_of(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.read()
"""


def _of_pool():
    """Return the processes that were spawned for a pool; that which tidies up after them is none."""
    found = set()
    for pid in descendants(os.getpid()):
        with suppress(OSError):
            if "spawn_main" in Path(f"/proc/{pid}/cmdline").read_text():
                found.add(pid)
    return found


class ToldToStop(BaseException):
    """As Prefect raises one when a run is cancelled."""


def test_who_is_told_to_stop_waits_for_nobody(bench, monkeypatch):
    """Its processes are gone before others are waited for, and these only for a moment."""
    write_good(bench.folder)
    monkeypatch.setattr(leaving, "HURRY_S", 0.5)
    held, at_work, left = [], [], []
    finish_run = Recorder.finish_run

    def cancelled(_self, batches):
        next(iter(batches))
        command = [sys.executable, "-c", HOLD_LOCK, str(bench.database)]
        held.append(subprocess.Popen(command, stdout=subprocess.PIPE, stdin=subprocess.PIPE, text=True))
        assert held[0].stdout.readline() == "held\n"
        at_work.extend(_of_pool())
        raise ToldToStop

    def finished(*given, **named):
        left.append((_of_pool(), time.monotonic()))
        return finish_run(*given, **named)

    monkeypatch.setattr(computing.Pass, "_predicted", cancelled)
    monkeypatch.setattr(Recorder, "finish_run", finished)
    pool, told = BatchPool(2), Told()
    asked = bench.parameters(paths="straight", batch_size=1)
    try:
        with reporting(told), pytest.raises(ToldToStop):
            run_campaign(asked, PlainSteps(pool), pool=pool)
        assert time.monotonic() - left[0][1] < 10
    finally:
        held[0].communicate()
    assert at_work
    assert [processes for processes, _ in left] == [set()]
    assert f"could not be recorded: {Recorder(bench.database).paths.working} is in use" in told.messages[-1]
    # It can be gone on with all the same.
    monkeypatch.undo()
    assert bench.screen(paths="straight").n_with_result == len(GOOD)
