"""A server that was away, as for an upgrade: who lives goes on, and who died meanwhile is found."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from contextlib import suppress

import httpx
import pytest

from flows.prefect_environment import SETTINGS
from tests.campaigns import assert_same, tables
from tests.faults.pace.pacing import Gate, lift, paced, waits
from tests.processes import descendants
from tests.servers.workstation import environment, free_port

SILENT_S = 35
"""In the place of what is deployed: little more than the time between two heartbeats, which is 30 s at least.
So the server need not be away for long."""

PATIENCE_S = 240.0
SMALL = {"source": "reference", "limit": 2, "paths": "straight", "batch_size": 1}
GATE = Gate("featurizing", 1)

LEASES = {"PREFECT_SERVER_CONCURRENCY_LEASE_STORAGE": "prefect.server.concurrency.lease_storage.filesystem"}
"""As the guides say: who holds a limit when the server ends would be forgotten, and never give it back."""

DEPLOY = """
import pathlib, sys
from flows.orchestration import deploying
deploying.SILENT_S = int(sys.argv[1])
deploying.deploy(pathlib.Path(sys.argv[2]), schedules=False)
"""


class Away:
    """A server that can be away, and commands that report to it."""

    def __init__(self, root, model):
        self.root, self.model = root, model
        self.home = root / "home"
        self.home.mkdir()
        self.port = free_port()
        self.api = f"http://127.0.0.1:{self.port}/api"
        self.server = None
        self.commands = {}

    def environment(self):
        return environment(self.home) | {"PREFECT_API_URL": self.api}

    def start(self):
        command = ["prefect", "server", "start", "--host", "127.0.0.1", "--port", str(self.port)]
        with (self.root / "server.log").open("ab") as log:
            self.server = subprocess.Popen(
                [sys.executable, "-m", *command], stdout=log, stderr=log, cwd=self.root,
                env=self.environment() | SETTINGS | LEASES,
            )  # fmt: skip
        self.until(self.answers)

    def stop(self):
        self.server.send_signal(signal.SIGINT)
        self.server.wait(PATIENCE_S)

    def answers(self):
        with suppress(httpx.TransportError):
            return httpx.get(f"{self.api}/health", timeout=10).is_success
        return False

    def deploy(self):
        subprocess.run(
            [sys.executable, "-c", DEPLOY, str(SILENT_S), str(self.root)], check=True, capture_output=True,
            env=self.environment(), cwd=self.root,
        )  # fmt: skip

    def database(self, name):
        return self.root / name / "lihop.duckdb"

    def screen(self, name):
        """Start a screening, which goes as far as its gate."""
        GATE.close(self.database(name))
        flags = [f"--{key.replace('_', '-')}={value}" for key, value in SMALL.items()]
        with (self.root / f"{name}.log").open("ab") as log:
            self.commands[name] = subprocess.Popen(
                [sys.executable, "-m", "flows.cli.main", "screen", *flags, "--model", str(self.model),
                 "--database", str(self.database(name)), "--workers=1", "--inference=here", "--json"],
                stdout=log, stderr=log, env=paced(self.environment()), cwd=self.root,
            )  # fmt: skip

    def kill(self, name):
        process = self.commands[name]
        for pid in (process.pid, *descendants(process.pid)):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        process.wait(PATIENCE_S)

    def run_of(self, name):
        """Return the flow run of a screening, found by the database that it was given."""
        runs = self.ask("/flow_runs/filter", {})
        (run,) = [run for run in runs if str(self.database(name)) in json.dumps(run["parameters"])]
        return run

    def states(self, name):
        answer = httpx.get(f"{self.api}/flow_run_states/?flow_run_id={self.run_of(name)['id']}", timeout=60)
        return [(state["type"], state["message"]) for state in answer.json()]

    def ask(self, path, body):
        answer = httpx.post(f"{self.api}{path}", json=body, timeout=60)
        answer.raise_for_status()
        return answer.json()

    def until(self, condition, patience_s=PATIENCE_S):
        end = time.monotonic() + patience_s
        while not (found := condition()):
            assert time.monotonic() < end, self.logs()
            time.sleep(0.3)
        return found

    def logs(self):
        return {path.name: path.read_text()[-3000:] for path in self.root.glob("*.log")}


@pytest.fixture
def away(tmp_path, checkpoint):
    here = Away(tmp_path, checkpoint)
    here.start()
    try:
        yield here
    finally:
        for name, process in here.commands.items():
            if process.poll() is None:
                here.kill(name)
        here.stop()


@pytest.fixture
def expected(tmp_path, checkpoint):
    from flows.campaign import screen
    from flows.parameters import ScreenParameters

    database = tmp_path / "expected" / "lihop.duckdb"
    screen(ScreenParameters(**SMALL, database=str(database), model=str(checkpoint)))
    return tables(database)


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_who_lives_goes_on_and_who_died_is_found(away, expected):
    """Both are screenings by command, which no worker watches over.

    It takes more than a minute, since heartbeats come every 30 s at the most.
    """
    away.deploy()
    for name in ("lives", "dies"):
        away.screen(name)
    away.until(lambda: all(waits(away.database(name), GATE.stage) for name in ("lives", "dies")))
    for name in ("lives", "dies"):
        assert away.run_of(name)["tags"] == ["lihop"]
        assert [kind for kind, _ in away.states(name)] == ["PENDING", "RUNNING"]
    away.stop()
    gone = time.monotonic()
    away.kill("dies")
    away.until(lambda: time.monotonic() - gone > SILENT_S + 5)
    away.start()
    for name in ("lives", "dies"):
        away.until(lambda name=name: "CRASHED" in [kind for kind, _ in away.states(name)])
    away.until(lambda: away.run_of("lives")["state"]["type"] == "RUNNING")
    lift(away.database("lives"))
    assert away.commands["lives"].wait(PATIENCE_S) == 0, away.logs()
    assert [kind for kind, _ in away.states("lives")][-2:] == ["RUNNING", "COMPLETED"]
    assert_same(tables(away.database("lives")), expected)
    assert away.run_of("dies")["state"]["type"] == "CRASHED"
    assert away.run_of("dies")["state"]["message"].startswith("Nothing was heard of this run")
