"""A workstation that is served, and disturbed: runs, workers and servers that end, and two of a kind."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
from contextlib import closing, suppress
from itertools import pairwise
from pathlib import Path
from uuid import UUID

import duckdb
import httpx
import pytest

from flows.orchestration.names import TAG
from flows.orchestration.serving import _refuse_taken
from storage.places import paths_of
from storage.results_folder import shards_of
from tests.processes import lives, with_variable
from tests.servers.workstation import SMALL, environment, workstation

CRASHED_WITHIN_S = 240.0
"""Two minutes from the last heartbeat are what is promised; the rest is for a busy machine."""

RECORDS = """
import json, sys, time
from flows.orchestration.one_writer import writing_alone
from storage.database import writing
from storage.places import paths_of
paths = paths_of(sys.argv[1])
with writing_alone():
    print("ready", flush=True)
    sys.stdin.readline()
    for _ in range(4):
        with writing(paths) as connection:
            begun = time.monotonic()
            connection.execute("SELECT sum(range) FROM range(30000000)").fetchall()
            print(json.dumps([begun, time.monotonic()]), flush=True)
"""

GONE_WITHIN_S = 60.0
"""How long a port may be taken after `lihop serve` was killed."""

STOPPED_WITHIN_S = 10.0
"""How long the processes of a pool may go on after somebody pressed Cancel."""


def _lihop(home, *arguments):
    command = [sys.executable, "-m", "flows.cli.main", *map(str, arguments)]
    return subprocess.run(
        command, capture_output=True, text=True, check=False, env=environment(home), cwd=home
    )


@pytest.mark.slow
@pytest.mark.timeout(1200)
class TestServed:
    """The tests share one workstation, in this order."""

    def test_a_run_killed_with_its_worker_is_found(self, served):
        """Its worker is started again, the run is marked as crashed, and retrying it completes it.

        So is a run that the worker had taken, and that had not begun. A night that was killed is not in the
        way of the next one, though two of them never run at once.
        """
        nightly = served.deployment("screen-cathodes", "nightly")
        identifier = served.start(nightly, limit=8, workers=1)
        served.until(lambda: served.run(identifier)["state"]["type"] == "RUNNING")
        unbegun = served.start(
            served.deployment("screen-cathodes", "custom"), database="unbegun.duckdb", **SMALL
        )
        served.until(lambda: served.run(unbegun)["state"]["type"] != "SCHEDULED")
        (worker,) = [pid for pid, command in _commands(served).items() if "--pool lihop-cpu" in command]
        # Stopped, it starts nothing more, and its processes stay in the list until it is gone.
        os.kill(worker, signal.SIGSTOP)
        for pid in _of_worker(served):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        run = served.over(identifier, CRASHED_WITHIN_S)
        assert run["state"]["type"] == "CRASHED", served.logs()
        assert served.over(unbegun, CRASHED_WITHIN_S)["state"]["type"] == "CRASHED", served.logs()
        states = served.ask("GET", f"/flow_run_states/?flow_run_id={unbegun}")
        assert "RUNNING" not in {state["type"] for state in states}
        assert "starting it again" in (served.root / "errors").read_text()
        again = {"state": {"type": "SCHEDULED", "name": "AwaitingRetry"}, "force": True}
        served.ask("POST", f"/flow_runs/{identifier}/set_state", again)
        served.until(lambda: served.run(identifier)["state"]["id"] != run["state"]["id"])
        assert served.over(identifier)["state"]["type"] == "COMPLETED", (served.states(), served.logs())
        # All its attempts are one run.
        own = f"%-{UUID(identifier).hex[-8:]}"
        with duckdb.connect(str(served.folder / "lihop.duckdb"), read_only=True) as connection:
            found = connection.execute("SELECT status, n_candidates FROM runs WHERE run_id LIKE ?", [own])
            assert found.fetchall() == [("completed", 8)]
        assert served.over(served.start(nightly, **SMALL))["state"]["type"] == "COMPLETED", served.logs()

    def test_a_place_that_is_held_outlives_the_server(self, served):
        """A server that has forgotten who holds the place of the recorder never gives it to another."""
        asked = {"slots": 1, "names": ["duckdb-writer"], "mode": "concurrency", "lease_duration": 600}
        lease = served.ask("POST", "/v2/concurrency_limits/increment-with-lease", asked)["lease_id"]
        server = [pid for pid, command in _commands(served).items() if _is_server(command)]
        for pid in server:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        served.until(lambda: not any(Path(f"/proc/{pid}").exists() for pid in server))
        served.until(lambda: _answers(served))
        assert served.ask("GET", "/v2/concurrency_limits/duckdb-writer")["active_slots"] == 1
        served.ask("POST", "/v2/concurrency_limits/decrement-with-lease", {"lease_id": lease})
        served.until(lambda: served.ask("GET", "/v2/concurrency_limits/duckdb-writer")["active_slots"] == 0)

    def test_recorders_of_two_machines_take_turns(self, served, tmp_path):
        """Each at a database of its own, as if the lock of the other's machine did not reach it."""
        variables = environment(served.root / "home") | {"PREFECT_API_URL": served.api}
        recorders = [
            subprocess.Popen(
                [sys.executable, "-c", RECORDS, f"{number}.duckdb"], stdin=subprocess.PIPE,
                stdout=subprocess.PIPE, text=True, env=variables, cwd=tmp_path,
            )
            for number in range(2)
        ]  # fmt: skip
        assert [one.stdout.readline() for one in recorders] == ["ready\n"] * 2
        for one in recorders:
            one.stdin.write("go\n")
            one.stdin.flush()
        spans = sorted(
            json.loads(line) for one in recorders for line in one.communicate(timeout=120)[0].splitlines()
        )
        assert [one.returncode for one in recorders] == [0, 0]
        assert len(spans) == 8
        assert all(end <= begun for (_, end), (begun, _) in pairwise(spans))
        served.until(lambda: served.ask("GET", "/v2/concurrency_limits/duckdb-writer")["active_slots"] == 0)

    def test_of_two_runs_of_one_campaign_one_does_the_work(self, served):
        screening, database = served.deployment("screen-cathodes", "custom"), served.folder / "twice.duckdb"
        both = [served.start(screening, database=str(database), **SMALL) for _ in range(2)]
        assert [served.over(one)["state"]["type"] for one in both] == ["COMPLETED"] * 2, served.logs()
        with duckdb.connect(str(database), read_only=True) as connection:
            found = connection.execute("SELECT status, n_computed, n_reused FROM runs ORDER BY n_computed")
            assert found.fetchall() == [("completed", 0, 2), ("completed", 2, 0)]

    @pytest.mark.parametrize("runner", ["process", "dask", "ray"])
    def test_what_is_cancelled_stops_and_can_be_gone_on_with(self, served, runner):
        database = served.folder / f"cancelled-{runner}.duckdb"
        asked = {"limit": 16, "batch_size": 1, "database": str(database), "runner": runner}
        identifier = served.start(served.deployment("screen-cathodes", "custom"), **asked)
        # It is well under way: something is computed, and more of the like is being computed.
        served.until(lambda: list(shards_of(paths_of(database)).glob("hops-*.hops.parquet")))
        assert _computing(identifier)
        asked_at = time.monotonic()
        served.ask("POST", f"/flow_runs/{identifier}/set_state", {"state": {"type": "CANCELLING"}})
        served.until(lambda: not _computing(identifier))
        assert time.monotonic() - asked_at < STOPPED_WITHIN_S
        # Its flow says that it crashed, and the worker, when the flow is gone, that it was cancelled.
        served.until(lambda: served.run(identifier)["state"]["type"] == "CANCELLED")
        run = UUID(identifier).hex[-8:]
        with duckdb.connect(str(database), read_only=True) as connection:
            ((name, status),) = connection.execute(
                "SELECT run_id, status FROM runs WHERE run_id LIKE ?", [f"%-{run}"]
            ).fetchall()
        assert status == "failed"
        home = served.root / "home"
        done = _lihop(home, "screen", "--resume", name, "--database", database, "--no-prefect", "--json")
        assert done.returncode == 0, done.stderr
        assert json.loads(done.stdout)["run_id"] == name
        assert json.loads(done.stdout)["n_with_result"] == 16

    def test_an_interrupt_stops_it_without_a_trace(self, served):
        identifier = served.start(served.deployment("screen-cathodes", "custom"), limit=12, workers=1)
        served.until(lambda: served.run(identifier)["state"]["type"] == "RUNNING")
        started = served.descendants()
        assert started
        of_a_command = _begin_elsewhere(served, identifier)
        assert served.stop() == 0
        assert [pid for pid in started if Path(f"/proc/{pid}").exists()] == []
        # What somebody screens in another terminal goes on.
        assert _states_left(served, identifier, of_a_command) == ["CRASHED", "RUNNING"]


@pytest.mark.slow
def test_it_takes_all_with_it_when_it_is_killed(tmp_path):
    """Runs too; that the next one finds them is in the kill matrix."""
    with workstation(tmp_path, "--no-schedules") as here:
        here.start(here.deployment("screen-cathodes", "custom"), limit=12, workers=1)
        here.until(lambda: _of_pool(here))
        left = here.descendants()
        here.process.kill()
        here.process.wait()
        end = time.monotonic() + GONE_WITHIN_S
        while left := {pid for pid in left if lives(pid)}:
            assert time.monotonic() < end, left
            time.sleep(0.2)
        _refuse_taken(here.port)


def _begin_elsewhere(served, identifier):
    """Have the server take the like of a run for one of a command: that has no deployment."""
    asked = {"flow_id": served.run(identifier)["flow_id"], "tags": [TAG], "state": {"type": "PENDING"}}
    found = served.ask("POST", "/flow_runs/", asked)["id"]
    served.ask("POST", f"/flow_runs/{found}/set_state", {"state": {"type": "RUNNING"}})
    return found


def _states_left(served, *identifiers):
    """Return the states of runs in the database of a server that has ended."""
    (database,) = served.root.rglob("prefect.db")
    with closing(sqlite3.connect(database)) as connection:
        left = dict(connection.execute("SELECT id, state_type FROM flow_run").fetchall())
    return [left[identifier] for identifier in identifiers]


def _commands(served):
    """Return the processes that it has started, and what each runs."""
    found = {}
    for pid in served.descendants():
        with suppress(FileNotFoundError, ProcessLookupError):
            found[pid] = Path(f"/proc/{pid}/cmdline").read_text().replace("\0", " ")
    return found


def _computing(identifier):
    """Return what computes for a run, whoever has started it: all of its processes but that of its flow.

    Python's own process that tidies up after others ends when they have ended.
    """
    found = {}
    for pid in with_variable("PREFECT__FLOW_RUN_ID", str(UUID(identifier))):
        with suppress(FileNotFoundError, ProcessLookupError):
            found[pid] = Path(f"/proc/{pid}/cmdline").read_text().replace("\0", " ")
    others = ("prefect", "resource_tracker")
    return {pid: command for pid, command in found.items() if not any(one in command for one in others)}


def _of_pool(served):
    """Return the processes that featurize."""
    return [pid for pid, command in _commands(served).items() if "spawn_main" in command]


def _is_server(command):
    return "server start" in command


def _answers(served):
    with suppress(httpx.TransportError):
        return httpx.get(f"{served.api}/health", timeout=5).is_success
    return False


def _of_worker(served):
    """Return the worker of the CPU pool and all that it has started."""
    others = ("server start", "uvicorn", "lihop-gpu")
    return [pid for pid, command in _commands(served).items() if not any(one in command for one in others)]
