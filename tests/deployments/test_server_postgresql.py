"""The guide to a server with PostgreSQL and a password, followed to the letter; who gets in without it."""

from __future__ import annotations

import base64
import configparser
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from tests.deployments.guide import ROOT, Reader, blocks
from tests.processes import descendants
from tests.servers.postgresql import postgresql
from tests.servers.workstation import environment, free_port

GUIDE = "server-postgresql"
UNITS = ROOT / "deployments" / "systemd"
# Its administrator is asked for through the environment, so that nobody has to become another user.
SUDO = '#!/bin/sh\ntest "$1 $2" = "-u postgres" || exit 1\nshift 2\nexec "$@"\n'
LONG = {"limit": 16, "batch_size": 1}
FOUND_WITHIN_S = 180.0
"""Two minutes are what is promised; the rest is for a busy machine."""


class Server:
    """The guide, with the ports and folders of this test."""

    def __init__(self, reader, port):
        self.reader, self.port = reader, port
        self.said = {}

    @property
    def api(self):
        return f"http://127.0.0.1:{self.port}/api"

    @property
    def srv(self):
        return Path(self.reader.instead["/srv/lihop"])

    def password(self, whose):
        return (self.srv / "secrets" / f"{whose}-password").read_text().strip()

    def ask(self, path, body=None, password=None):
        auth = ("lihop", self.password("api") if password is None else password)
        method = "GET" if body is None else "POST"
        answer = httpx.request(method, f"{self.api}{path}", json=body, auth=auth, timeout=60)
        answer.raise_for_status()
        return answer.json()

    def run(self, identifier):
        return self.ask(f"/flow_runs/{identifier}")["state"]["type"]

    def is_up(self):
        try:
            return httpx.get(f"{self.api}/health", timeout=5).is_success
        except httpx.TransportError:
            return False


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    """Return the server of somebody who followed the guide to its end."""
    root = tmp_path_factory.mktemp("followed")
    port = free_port()
    with postgresql() as database:
        instead = {"/srv/lihop": str(root / "srv"), "4200": str(port), ":5432/": f":{database.port}/"}
        (root / "srv").mkdir()
        with Reader(root, instead, database.environment()) as reader:
            reader.program("sudo", SUDO)
            here = Server(reader, port)
            for block in blocks(GUIDE):
                here.said[block.section] = here.said.get(block.section, "") + reader.follow(block)
                if block.is_service and "server start" in block.text:
                    reader.until(here.is_up)
            yield here


ENDED = "SELECT name FROM flow_run WHERE end_time IS NOT NULL AND NOT auto_scheduled"
RUNS = {"Li reference, first 2", "1 batch by production"}
"""The screening of the guide, and what it has predicted by the other worker."""


@pytest.mark.slow
@pytest.mark.timeout(1200)
class TestFollowed:
    """The tests share one server."""

    def test_a_screening_is_asked_for_and_ranked(self, server):
        said = server.said["See that it works"]
        assert said.startswith("401\n")
        assert "Completed" in said
        assert "ref-lifebo3" in said
        # Beside those that wait for their time.
        over = [run for run in server.ask("/flow_runs/filter", {}) if not run["auto_scheduled"]]
        assert {(run["state"]["type"], run["name"]) for run in over} == {("COMPLETED", name) for name in RUNS}

    def test_prefect_keeps_its_history_in_postgresql(self, server):
        found = subprocess.run(
            ["psql", "-At", "--command", ENDED, "prefect"],
            env=server.reader.environment(), capture_output=True, text=True, check=True,
        )  # fmt: skip
        assert set(found.stdout.splitlines()) == RUNS
        assert not list((server.reader.root / "home").rglob("prefect.db"))

    def test_secrets_are_for_their_owner_alone(self, server):
        files = list((server.srv / "secrets").iterdir())
        assert len(files) == 4
        assert {oct(path.stat().st_mode & 0o777) for path in files} == {"0o600"}

    def test_passwords_are_told_to_nobody(self, server):
        passwords = [server.password("api"), server.password("database")]
        encoded = base64.b64encode(f"lihop:{passwords[0]}".encode()).decode()
        asked = {"env": server.reader.environment(), "text": True}
        dump = subprocess.check_output(["pg_dump", "prefect"], **asked)
        for secret in (*passwords, encoded):
            assert secret not in server.reader.printed()
            assert secret not in dump

    @pytest.mark.parametrize("password", ["wrong", None])
    def test_who_has_no_password_is_refused_and_told_what_to_do(self, server, password):
        given = {} if password is None else {"PREFECT_API_AUTH_STRING": f"lihop:{password}-secret"}
        done = subprocess.run(
            [sys.executable, "-m", "flows.cli.main", "deploy", "--folder", str(server.srv)],
            capture_output=True, text=True, check=False, cwd=server.srv,
            env=environment(server.srv / "nobody") | {"PREFECT_API_URL": server.api} | given,
        )  # fmt: skip
        assert done.returncode == 2
        assert f"the Prefect server at {server.api} refused the password" in done.stderr
        assert "PREFECT_API_AUTH_STRING" in done.stderr
        assert "secret" not in done.stdout + done.stderr
        assert done.stderr.count("\n") == 1
        with pytest.raises(httpx.HTTPStatusError) as refused:
            server.ask("/flow_runs/filter", {}, password="wrong")
        assert refused.value.response.status_code == 401

    def test_a_backup_can_be_put_back(self, server):
        """Into a database beside it: the server goes on."""
        dump = server.srv / "prefect.dump"
        commands = [["createdb", "again"], ["pg_restore", "--dbname", "again", str(dump)],
                    ["psql", "-At", "--command", "SELECT count(*) FROM deployment", "again"]]  # fmt: skip
        for command in commands:
            done = subprocess.run(
                command, env=server.reader.environment(), capture_output=True, text=True, check=False
            )
            assert done.returncode == 0, done.stderr
        assert int(done.stdout) == len(server.ask("/deployments/filter", {}))

    def test_a_run_killed_with_its_worker_is_found(self, server):
        """Nobody starts this worker again: its silence alone tells."""
        deployment = server.ask("/deployments/name/screen-cathodes/custom")
        body = {"parameters": {"parameters": LONG}, "state": {"type": "SCHEDULED"}}
        identifier = server.ask(f"/deployments/{deployment['id']}/create_flow_run", body)["id"]
        server.reader.until(lambda: server.run(identifier) not in {"SCHEDULED", "PENDING"})
        assert server.run(identifier) == "RUNNING"
        worker = next(one for one in server.reader.services if "lihop-cpu" in one.args[-1])
        server.reader.services.remove(worker)
        _kill_with_children(worker)
        server.reader.until(lambda: server.run(identifier) == "CRASHED", FOUND_WITHIN_S)


def _kill_with_children(worker):
    """Kill a worker and what it has started, which has sessions of its own."""
    for pid in {worker.pid} | descendants(worker.pid):
        subprocess.run(["kill", "-KILL", str(pid)], check=False, capture_output=True)
    worker.wait()


def _unit(name):
    """Return a unit as systemd reads it, but for keys that are given twice."""
    parser = configparser.ConfigParser(interpolation=None)
    parser.optionxform = str
    parser.read(UNITS / name, encoding="utf-8")
    return parser["Service"]


@pytest.mark.parametrize(
    ("unit", "environment_file", "started"),
    [("lihop-server.service", "server.env", ["server start"]),
     ("lihop-worker@.service", "client.env", ["lihop-cpu", "lihop-gpu"])],
)  # fmt: skip
def test_units_start_what_the_guide_starts(unit, environment_file, started):
    service = _unit(unit)
    command = shlex.split(service["ExecStart"])
    for what in started:
        block = next(one for one in blocks(GUIDE) if one.is_service and what in one.text)
        by_hand = shlex.split(block.text.splitlines()[-1])
        assert [Path(command[0]).name, *(part.replace("%i", what) for part in command[1:])] == by_hand
        assert f"secrets/{environment_file}" in block.text
    assert service["EnvironmentFile"] == f"/srv/lihop/secrets/{environment_file}"


def test_systemd_understands_the_units(tmp_path):
    """The programs that they start are put in the place of those of a server."""
    assert shutil.which("systemd-analyze"), "systemd is not here: install it, as .ci/run does"
    for unit in UNITS.iterdir():
        text = unit.read_text(encoding="utf-8").replace(
            "/srv/lihop/lihop/.venv/bin/prefect", shutil.which("true")
        )
        (tmp_path / unit.name).write_text(text.replace("User=lihop", "User=root"), encoding="utf-8")
    names = ["lihop-server.service", "lihop-worker@lihop-cpu.service"]
    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", "--recursive-errors=no", *names],
        capture_output=True, text=True, check=False, cwd=tmp_path, env={"SYSTEMD_UNIT_PATH": f"{tmp_path}:"},
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")
