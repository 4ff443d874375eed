"""A workstation that is served: it runs what is asked and what is due, and stops without a trace."""

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
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from flows.orchestration.names import TAG
from flows.orchestration.serving import _refuse_taken
from models.locate import read_digest
from storage.places import paths_of
from storage.results_folder import shards_of
from tests.processes import lives
from tests.servers.materials_project import KEY, World, serving
from tests.servers.workstation import environment, workstation

SMALL = {"limit": 2, "paths": "straight"}
CRASHED_WITHIN_S = 240.0
"""Two minutes from the last heartbeat are what is promised; the rest is for a busy machine."""

TRAINED_WITHIN_S = 600.0
"""Most of it is describing hops."""

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


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    """Return a workstation that all tests of this file share; the last one stops it.

    The Materials Project that it knows is a server of the tests.
    """
    with serving(World(materials=6, max_sites=8)) as remote:
        theirs = {"LIHOP_MP_ENDPOINT": remote.endpoint, "LIHOP_MP_API_KEY": KEY, "NO_PROXY": "127.0.0.1"}
        with workstation(tmp_path_factory.mktemp("served"), variables=lambda own: own | theirs) as here:
            yield here


@pytest.mark.slow
class TestServed:
    """The tests share one workstation, in this order."""

    def test_it_says_where_it_is(self, served):
        assert f"http://127.0.0.1:{served.port}" in served.said[0]
        assert str(served.folder) in served.said[0]

    def test_others_on_the_network_do_not_reach_it(self, served):
        listening = subprocess.run(["ss", "-ltn"], capture_output=True, text=True, check=False)
        text = listening.stdout if listening.returncode == 0 else Path("/proc/net/tcp").read_text()
        if listening.returncode == 0:
            addresses = [line.split()[3] for line in text.splitlines()[1:]]
            assert {one for one in addresses if one.endswith(f":{served.port}")} == {
                f"127.0.0.1:{served.port}"
            }
        else:
            rows = [line.split() for line in text.splitlines()[1:]]
            mine = {row[1] for row in rows if row[3] == "0A" and row[1].endswith(f":{served.port:04X}")}
            assert mine == {f"0100007F:{served.port:04X}"}

    def test_pages_of_others_start_nothing(self, served):
        """Not by a request that a browser asks leave for, and not by one for which it does not."""
        screening = served.deployment("screen-cathodes", "custom")
        start = f"{served.api}/deployments/{screening['id']}/create_flow_run"
        # Nothing but that starts runs of it.
        of_it = {"deployments": {"id": {"any_": [screening["id"]]}}}
        there = served.ask("POST", "/flow_runs/count", of_it)
        foreign = {"Origin": "https://evil.example"}
        asks = {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "content-type"}
        refused = [
            httpx.options(start, headers=foreign | asks),
            httpx.post(start, json={}, headers=foreign),
            # For these two a browser asks no leave; Prefect takes what has no type for JSON.
            httpx.post(start, content=b"{}", headers=foreign),
            httpx.post(start, content=b"{}", headers=foreign | {"Content-Type": "text/plain"}),
            # By a name that was pointed to this machine after the page was loaded.
            httpx.post(start, json={}, headers={"Host": f"evil.example:{served.port}"}),
            httpx.get(f"{served.api}/health", headers=foreign),
        ]
        assert [answer.status_code for answer in refused] == [403] * len(refused)
        assert not any("access-control-allow-origin" in answer.headers for answer in refused)
        assert served.ask("POST", "/flow_runs/count", of_it) == there

    def test_pages_of_others_hear_and_tell_no_events(self, served):
        address = f"ws://127.0.0.1:{served.port}/api/events/in"
        with pytest.raises(InvalidStatus, match="403"), connect(address, origin="https://evil.example"):
            pass
        with connect(address, origin=f"http://localhost:{served.port}") as own:
            assert own.ping().wait(60)

    def test_its_own_pages_are_answered(self, served):
        for name in ("127.0.0.1", "localhost"):
            own = {"Origin": f"http://{name}:{served.port}"}
            asks = {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "content-type"}
            leave = httpx.options(f"{served.api}/flow_runs/filter", headers=own | asks)
            assert (leave.status_code, leave.headers["access-control-allow-origin"]) == (200, own["Origin"])
            found = httpx.post(f"{served.api}/flow_runs/filter", json={}, headers=own)
            assert (found.status_code, found.headers["access-control-allow-origin"]) == (200, own["Origin"])
            page = httpx.get(f"http://{name}:{served.port}/", follow_redirects=True)
            assert "text/html" in page.headers["content-type"]

    def test_bad_parameters_are_refused_before_there_is_a_run(self, served):
        screening = served.deployment("screen-cathodes", "custom")
        of_it = {"deployments": {"id": {"any_": [screening["id"]]}}}
        there = served.ask("POST", "/flow_runs/count", of_it)
        for bad in ({"workers": 0}, {"colour": "red"}, {"limit": "many"}):
            with pytest.raises(httpx.HTTPStatusError) as refused:
                served.start(screening, **bad)
            assert refused.value.response.status_code == 409
        assert served.ask("POST", "/flow_runs/count", of_it) == there

    def test_what_is_asked_for_is_screened(self, served):
        identifier = served.start(served.deployment("screen-cathodes", "custom"), **SMALL)
        run = served.over(identifier)
        assert (run["state"]["type"], run["name"]) == ("COMPLETED", "Li reference, first 2"), served.logs()
        with duckdb.connect(str(served.folder / "lihop.duckdb"), read_only=True) as connection:
            assert connection.execute("SELECT count(*) FROM rankings").fetchone() == (2,)
        assert {"ranking", "screening-summary", "failures", "progress-reading"} <= served.artifacts().keys()
        # Its barriers were predicted in the pool for that, below it in the UI.
        gpu = served.deployment("predict-barriers", "gpu")["id"]
        asked = {"flow_runs": {"deployment_id": {"any_": [gpu]}}}
        (prediction,) = served.ask("POST", "/flow_runs/filter", asked)
        assert (prediction["state"]["type"], prediction["work_pool_name"]) == ("COMPLETED", "lihop-gpu")
        assert prediction["parent_task_run_id"] is not None
        for one in (identifier, prediction["id"]):
            _assert_quiet(served, one)
        # Nor has a worker. (Of its database, a file, Prefect's server may say in its log that it was locked.)
        logs = list((served.root / "home" / "lihop-serve").glob("worker-*.log"))
        assert len(logs) == 2
        assert [path.name for path in logs if "Traceback" in path.read_text()] == []
        # Nothing but the results: Prefect would copy the folder that the server was started in.
        assert {path.name for path in served.folder.iterdir()} == {"lihop.duckdb", "lihop.duckdb.work"}

    def test_a_night_brings_what_is_new_and_screens_it(self, served):
        """By the parameters of the deployment, as its schedule would."""
        nightly = served.deployment("screen-cathodes", "nightly")
        rows = []
        for _ in range(2):
            identifier = served.start(nightly)
            run = served.over(identifier)
            assert (run["state"]["type"], run["name"]) == ("COMPLETED", "Li mp electrodes"), served.logs()
            _assert_quiet(served, identifier)
            rows += _of_run(served, identifier, "status, n_candidates, n_computed, n_reused")
        (_, count, computed, _), second = rows
        assert computed == count > 0
        assert second == ("completed", count, 0, count)
        assert KEY not in served.logs()

    def test_what_is_new_is_brought_without_a_screening(self, served):
        identifier = served.start(served.deployment("sync-candidates", "custom"), database="synced.duckdb")
        run = served.over(identifier)
        assert (run["state"]["type"], run["name"]) == ("COMPLETED", "Li mp electrodes"), served.logs()
        _assert_quiet(served, identifier)
        with duckdb.connect(str(served.folder / "synced.duckdb"), read_only=True) as connection:
            ((entries,),) = connection.execute("SELECT count(*) FROM source_entries").fetchall()
            ((candidates,),) = connection.execute("SELECT count(*) FROM candidates").fetchall()
        assert entries > 0
        assert candidates == 0
        asked = {"flow_runs": {"id": {"any_": [identifier]}}}
        shown = served.ask("POST", "/artifacts/filter", asked)
        assert {one["data"] for one in shown if one["type"] == "progress"} == {100.0}

    def test_progress_moves(self, served):
        identifier = served.start(
            served.deployment("screen-cathodes", "custom"), workers=1, batch_size=1, database="moving.duckdb"
        )
        first = served.until(lambda: _progress(served, identifier))
        assert first < 100
        served.until(lambda: first < _progress(served, identifier) < 100)
        assert served.run(identifier)["state"]["type"] == "RUNNING"
        served.ask("POST", f"/flow_runs/{identifier}/set_state", {"state": {"type": "CANCELLING"}})
        served.until(lambda: served.run(identifier)["state"]["type"] == "CANCELLED")

    @pytest.mark.data
    def test_a_model_is_trained_in_the_gpu_pool(self, served, devi2025_dir):
        tiny = {"members": 1, "epochs": 1, "trees": 10, "calibration_folds": 2, "calibration_members": 1}
        identifier = served.start(
            served.deployment("train-barrier-model", "custom"),
            output="tiny", accelerator="cpu", data_dir=str(devi2025_dir.parent), settings=tiny,
        )  # fmt: skip
        run = served.over(identifier, TRAINED_WITHIN_S)
        assert run["state"]["type"] == "COMPLETED", served.logs()
        gpu = served.deployment("train-barrier-model", "gpu")["id"]
        (below,) = served.ask("POST", "/flow_runs/filter", {"flow_runs": {"deployment_id": {"any_": [gpu]}}})
        assert (below["state"]["type"], below["work_pool_name"]) == ("COMPLETED", "lihop-gpu")
        digest = read_digest(served.folder / "tiny")
        for one in (identifier, below["id"]):
            _assert_quiet(served, one)
            asked = {"flow_runs": {"id": {"any_": [one]}}}
            shown = {one["key"]: one["data"] for one in served.ask("POST", "/artifacts/filter", asked)}
            assert digest in shown["training-summary"]

    def test_deploying_again_changes_nothing(self, served):
        def there():
            kept = ("name", "entrypoint", "schedules", "parameters", "pull_steps", "work_pool_name",
                    "tags", "job_variables", "concurrency_options", "enforce_parameter_schema")  # fmt: skip
            schedules = ("schedule", "active", "slug")
            found = []
            for one in served.ask("POST", "/deployments/filter", {}):
                row = {name: one[name] for name in kept}
                limit = one["global_concurrency_limit"]
                row["runs_at_once"] = None if limit is None else limit["limit"]
                row["schedules"] = [{name: when[name] for name in schedules} for when in one["schedules"]]
                found.append(row)
            # Under another identifier a trigger waits no more for the runs that it has heard of.
            automations = {one["name"]: one["trigger"]["id"]
                           for one in served.ask("POST", "/automations/filter", {})}  # fmt: skip
            names = ("tag:gpu-slot", "duckdb-writer")
            limits = {name: served.ask("GET", f"/v2/concurrency_limits/{name}") for name in names}
            assert all(one["active"] for one in limits.values())
            places = {name: one["limit"] for name, one in limits.items()}
            pools = sorted(one["name"] for one in served.ask("POST", "/work_pools/filter", {}))
            return sorted(found, key=lambda row: (row["entrypoint"], row["name"])), automations, pools, places

        def deploy(*flags):
            done = subprocess.run(
                [sys.executable, "-m", "flows.cli.main", "deploy", "--folder", str(served.folder), *flags],
                capture_output=True, text=True, check=False, cwd=served.root,
                env=environment(served.root / "home") | {"PREFECT_API_URL": served.api},
            )  # fmt: skip
            assert done.returncode == 0, done.stderr
            return done

        before = there()
        assert "UTC" not in deploy("--no-schedules").stdout
        assert [when["active"] for row in there()[0] for when in row["schedules"]] == [False, False]
        done = deploy()
        assert "screen-cathodes/nightly: 0 2 * * * UTC" in done.stdout
        assert there() == before
        assert sum(len(row["schedules"]) for row in before[0]) == 2
        assert before[2] == ["lihop-cpu", "lihop-gpu"]
        assert before[3] == {"tag:gpu-slot": 1, "duckdb-writer": 1}
        # How many GPUs there are is up to who has them.
        served.ask("PATCH", "/v2/concurrency_limits/tag:gpu-slot", {"limit": 2})
        deploy()
        assert there()[3] == {"tag:gpu-slot": 2, "duckdb-writer": 1}
        served.ask("PATCH", "/v2/concurrency_limits/tag:gpu-slot", {"limit": 1})

    def test_a_schedule_fires_by_itself(self, served):
        screening = served.deployment("screen-cathodes", "custom")
        every = {"schedule": {"interval": 20}, "active": True, "parameters": {"parameters": SMALL}}
        (schedule,) = served.ask("POST", f"/deployments/{screening['id']}/schedules", [every])
        asked = {"flow_runs": {"state": {"type": {"any_": ["COMPLETED"]}}}}

        def fired():
            return [run for run in served.ask("POST", "/flow_runs/filter", asked) if run["auto_scheduled"]]

        (run, *_) = served.until(fired)
        served.ask("DELETE", f"/deployments/{screening['id']}/schedules/{schedule['id']}")
        assert run["created_by"]["type"] == "SCHEDULE"

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
        for pid in _of_worker(served):
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
        assert served.ask("GET", "/v2/concurrency_limits/duckdb-writer")["active_slots"] == 0

    def test_of_two_runs_of_one_campaign_one_does_the_work(self, served):
        screening, database = served.deployment("screen-cathodes", "custom"), served.folder / "twice.duckdb"
        both = [served.start(screening, database=str(database), **SMALL) for _ in range(2)]
        assert [served.over(one)["state"]["type"] for one in both] == ["COMPLETED"] * 2, served.logs()
        with duckdb.connect(str(database), read_only=True) as connection:
            found = connection.execute("SELECT status, n_computed, n_reused FROM runs ORDER BY n_computed")
            assert found.fetchall() == [("completed", 0, 2), ("completed", 2, 0)]

    def test_what_is_cancelled_stops_and_can_be_gone_on_with(self, served):
        database = served.folder / "cancelled.duckdb"
        asked = {"limit": 16, "batch_size": 1, "database": str(database)}
        identifier = served.start(served.deployment("screen-cathodes", "custom"), **asked)
        # It is well under way: something is computed, and more of the like is being computed.
        served.until(lambda: list(shards_of(paths_of(database)).glob("hops-*.hops.parquet")))
        pool = _of_pool(served)
        assert pool
        asked_at = time.monotonic()
        served.ask("POST", f"/flow_runs/{identifier}/set_state", {"state": {"type": "CANCELLING"}})
        served.until(lambda: not any(Path(f"/proc/{pid}").exists() for pid in pool))
        assert time.monotonic() - asked_at < STOPPED_WITHIN_S
        assert _of_pool(served) == []
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


def _assert_quiet(served, identifier):
    """See that the log of a run has something to say, and nothing to worry about."""
    said = served.log_of(identifier)
    assert said
    assert [line["message"] for line in said if line["level"] > 20 or "Traceback" in line["message"]] == []


def _of_run(served, identifier, columns):
    """Return columns of a run's row in the database."""
    with duckdb.connect(str(served.folder / "lihop.duckdb"), read_only=True) as connection:
        asked = f"SELECT {columns} FROM runs WHERE run_id LIKE ?"
        return connection.execute(asked, [f"%-{UUID(identifier).hex[-8:]}"]).fetchall()


def _progress(served, identifier):
    """Return how many per cent of a screening's materials are featurized, or nothing before the first."""
    shown = served.ask("POST", "/artifacts/filter", {"flow_runs": {"id": {"any_": [identifier]}}})
    (found,) = [one["data"] for one in shown if one["key"] == "progress-hops-and-descriptors"] or [None]
    return found


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
