"""A CPU machine and a GPU machine with one server on PostgreSQL and one results folder; one is cut off."""

from __future__ import annotations

import json
import re
import subprocess
import time
from contextlib import contextmanager
from datetime import UTC, datetime

import pytest

from flows.orchestration.names import GPU_LIMIT
from tests.campaigns import assert_same, tables, write_checkpoint
from tests.servers.machines import HUB, Machine, machines
from tests.servers.postgresql import postgresql

PATIENCE_S = 300.0
FOUND_WITHIN_S = 240.0
"""Two minutes are what is promised; the rest is for a busy machine."""

BEGUN = {"PENDING", "RUNNING"}
OVER = {"COMPLETED", "FAILED", "CRASHED", "CANCELLED"}
SMALL = {"source": "reference", "limit": 4, "paths": "straight", "batch_size": 1}


class Cluster:
    """The machines, and what a test asks the server through the hub."""

    def __init__(self, found: dict[str, Machine], shared) -> None:
        self.hub, self.cpu, self.gpu, self.spare = (found[name] for name in (HUB, "cpu", "gpu", "spare"))
        self.shared = shared

    def ask(self, method, path, body=None):
        """Ask from the hub: nothing else reaches its server."""
        code = (
            "import httpx, sys, json; a = httpx.request(sys.argv[1], sys.argv[2], "
            "json=json.loads(sys.argv[3]), timeout=60, trust_env=False); a.raise_for_status(); "
            "print(a.text or 'null')"
        )
        return self._python(code, method, f"{self.hub.api}{path}", json.dumps(body))

    def _python(self, code, *arguments):
        command = self.hub.command("")[:-2]
        done = subprocess.run([*command, "-c", code, *arguments], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    def start(self, **parameters):
        deployment = self.ask("GET", "/deployments/name/screen-cathodes/custom")
        body = {"parameters": {"parameters": parameters}, "state": {"type": "SCHEDULED"}}
        return self.ask("POST", f"/deployments/{deployment['id']}/create_flow_run", body)["id"]

    def run(self, identifier):
        return self.ask("GET", f"/flow_runs/{identifier}")

    def predictions(self):
        """Return the runs that predict barriers, the newest last."""
        deployment = self.ask("GET", "/deployments/name/predict-barriers/gpu")
        asked = {"flow_runs": {"deployment_id": {"any_": [deployment["id"]]}}}
        return self.ask("POST", "/flow_runs/filter", asked | {"sort": "EXPECTED_START_TIME_ASC"})

    def until(self, condition, patience_s=PATIENCE_S):
        end = time.monotonic() + patience_s
        while not (found := condition()):
            assert time.monotonic() < end, self.logs()
            time.sleep(0.5)
        return found

    @contextmanager
    def held(self, limit):
        """Hold the one place of a limit."""
        asked = {"slots": 1, "names": [limit], "mode": "concurrency", "lease_duration": 600}
        lease = self.ask("POST", "/v2/concurrency_limits/increment-with-lease", asked)["lease_id"]
        try:
            yield
        finally:
            self.ask("POST", "/v2/concurrency_limits/decrement-with-lease", {"lease_id": lease})

    def heard(self, pool):
        """Return when each worker of a pool was heard last."""
        workers = self.ask("POST", f"/work_pools/{pool}/workers/filter", {})
        return [datetime.fromisoformat(one["last_heartbeat_time"]) for one in workers]

    def over(self, identifier, patience_s=PATIENCE_S):
        self.until(lambda: self.run(identifier)["state"]["type"] in OVER, patience_s)
        return self.run(identifier)["state"]

    def said(self, identifier):
        asked = {"logs": {"flow_run_id": {"any_": [identifier]}}, "limit": 200}
        return [line["message"] for line in self.ask("POST", "/logs/filter", asked)]

    def logs(self):
        hosts = (self.hub, self.cpu, self.gpu, self.spare)
        return {str(path): path.read_text()[-1500:] for one in hosts for path in one.home.glob("*.log")}

    def work(self, machine, pool):
        machine.start("prefect", "worker", "start", "--pool", pool, "--type", "process", "--limit", "2")


@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
    root = tmp_path_factory.mktemp("machines")
    shared = root / "shared"
    shared.mkdir()
    with postgresql() as database, machines(root, "cpu", "gpu", "spare") as found:
        here = Cluster(found, shared)
        url = f"postgresql+asyncpg://postgres@/postgres?host={database.folder}&port={database.port}"
        port = re.search(r":(\d+)/api$", here.hub.api)[1]
        host = "127.0.0.1" if here.hub.namespace is None else "0.0.0.0"
        here.hub.start(
            "prefect", "server", "start", "--host", host, "--port", port,
            PREFECT_SERVER_DATABASE_CONNECTION_URL=url,
        )  # fmt: skip
        here.until(lambda: _answers(here))
        deployed = subprocess.run(
            here.hub.command("flows.cli.main", "deploy", "--folder", str(shared)), capture_output=True,
            text=True, check=False, env=here.hub.environment(), cwd=root,
        )  # fmt: skip
        assert deployed.returncode == 0, deployed.stderr
        here.work(here.cpu, "lihop-cpu")
        here.work(here.gpu, "lihop-gpu")
        yield here


def _answers(here):
    code = f"import httpx; httpx.get('{here.hub.api}/health', trust_env=False)"
    command = [*here.hub.command("")[:-2], "-c", code]
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return write_checkpoint(tmp_path_factory.mktemp("model") / "tiny")


@pytest.fixture(scope="module")
def expected(tmp_path_factory, model):
    from flows.campaign import screen
    from flows.parameters import ScreenParameters

    database = tmp_path_factory.mktemp("expected") / "lihop.duckdb"
    screen(ScreenParameters(**SMALL, database=str(database), model=str(model)))
    return tables(database)


@pytest.mark.slow
@pytest.mark.timeout(1200)
class TestTwoMachines:
    """The tests share the machines, in this order."""

    def test_a_gpu_machine_that_is_cut_off_is_done_without(self, cluster, model, expected):
        database = cluster.shared / "cut.duckdb"
        # It waits for the GPU then, and is not done before it is cut off.
        with cluster.held(GPU_LIMIT):
            run = cluster.start(**SMALL, model=str(model), database=str(database))
            cluster.until(lambda: [run for run in cluster.predictions() if run["state"]["type"] in BEGUN])
            cluster.gpu.cut()
        assert cluster.over(run, FOUND_WITHIN_S)["type"] == "COMPLETED", cluster.logs()
        assert_same(tables(database), expected)
        cluster.until(
            lambda: any("barriers are predicted in this process" in line for line in cluster.said(run))
        )
        (prediction,) = cluster.predictions()
        assert prediction["state"]["type"] in {"CRASHED", "CANCELLED"}

    def test_it_is_used_again_when_it_is_back(self, cluster, model, expected):
        joined = datetime.now(UTC)
        cluster.gpu.join()
        cluster.until(lambda: any(one > joined for one in cluster.heard("lihop-gpu")))
        database = cluster.shared / "both.duckdb"
        before = len(cluster.predictions())
        run = cluster.start(**SMALL, model=str(model), database=str(database))
        assert cluster.over(run)["type"] == "COMPLETED", cluster.logs()
        assert_same(tables(database), expected)
        newest = cluster.predictions()[-1]
        assert len(cluster.predictions()) == before + 1
        assert (newest["state"]["type"], newest["work_pool_name"]) == ("COMPLETED", "lihop-gpu")
        assert newest["parent_task_run_id"] is not None

    def test_a_cpu_machine_that_is_cut_off_is_replaced(self, cluster, model, expected):
        database = cluster.shared / "replaced.duckdb"
        run = cluster.start(**SMALL, model=str(model), database=str(database))
        shards = database.with_name("replaced.duckdb.work") / "shards"
        cluster.until(lambda: list(shards.glob("hops-*.hops.parquet")))
        cluster.cpu.cut()
        state = cluster.over(run, FOUND_WITHIN_S)
        assert state["type"] == "CRASHED", cluster.logs()
        assert "Nothing was heard of this run" in state["message"]
        cluster.cpu.switch_off()
        cluster.work(cluster.spare, "lihop-cpu")
        scheduled = {"type": "SCHEDULED", "name": "AwaitingRetry"}
        cluster.ask("POST", f"/flow_runs/{run}/set_state", {"state": scheduled, "force": True})
        assert cluster.over(run)["type"] == "COMPLETED", cluster.logs()
        assert_same(tables(database), expected)
