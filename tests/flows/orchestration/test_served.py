"""A workstation that is served: it runs what is asked and what is due, and says how that went."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from uuid import UUID

import duckdb
import httpx
import pytest
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from models.locate import read_digest
from tests.servers.materials_project import KEY
from tests.servers.objects import serving_objects
from tests.servers.workstation import SMALL, environment

TRAINED_WITHIN_S = 600.0
"""Most of it is describing hops."""


@pytest.mark.slow
@pytest.mark.timeout(1200)
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
        (prediction,) = _predictions(served)
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

    def test_shards_lie_in_an_object_store(self, served, tmp_path):
        """Those of a run, and those that the pool makes for it of them."""
        given = {"database": "stored.duckdb", **SMALL}
        with serving_objects(tmp_path) as store:
            identifier = served.start(
                served.deployment("screen-cathodes", "custom"), shards=store.uri("served"), **given
            )
            assert served.over(identifier)["state"]["type"] == "COMPLETED", served.logs()
            _assert_quiet(served, identifier)
            kinds = {name.split(".")[-2] for name in store.names("served") if name.endswith(".parquet")}
        assert {"candidates", "hops", "descriptors", "predictions", "percolation"} <= kinds
        assert list((served.folder / "stored.duckdb.work").rglob("*.parquet")) == []
        assert len(_predictions(served)) == 2
        assert {run["state"]["type"] for run in _predictions(served)} == {"COMPLETED"}
        with duckdb.connect(str(served.folder / "stored.duckdb"), read_only=True) as connection:
            assert connection.execute("SELECT count(*) FROM rankings").fetchone() == (2,)

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
    def test_a_week_ends_with_a_model_that_is_trained_in_the_gpu_pool(self, served, devi2025_dir):
        """By the parameters of the deployment, and others by which it does not take hours."""
        tiny = {"members": 1, "epochs": 1, "trees": 10, "calibration_folds": 2, "calibration_members": 1}
        weekly = served.deployment("train-barrier-model", "weekly")
        theirs = weekly["parameters"]["parameters"]
        identifier = served.start(
            weekly, **theirs, accelerator="cpu", data_dir=str(devi2025_dir.parent), settings=tiny
        )
        run = served.over(identifier, TRAINED_WITHIN_S)
        assert run["state"]["type"] == "COMPLETED", served.logs()
        gpu = served.deployment("train-barrier-model", "gpu")["id"]
        (below,) = served.ask("POST", "/flow_runs/filter", {"flow_runs": {"deployment_id": {"any_": [gpu]}}})
        assert (below["state"]["type"], below["work_pool_name"]) == ("COMPLETED", "lihop-gpu")
        digest = read_digest(served.folder / theirs["output"])
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

        deploy()
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
        deploy("--no-schedules")

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


def _assert_quiet(served, identifier):
    """See that the log of a run has something to say, and nothing to worry about."""
    said = served.log_of(identifier)
    assert said
    assert [line["message"] for line in said if line["level"] > 20 or "Traceback" in line["message"]] == []


def _predictions(served):
    """Return the runs that predict barriers."""
    gpu = served.deployment("predict-barriers", "gpu")["id"]
    return served.ask("POST", "/flow_runs/filter", {"flow_runs": {"deployment_id": {"any_": [gpu]}}})


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
