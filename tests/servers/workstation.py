"""`lihop serve` in a home and a folder of its own, and what a test asks its server for."""

from __future__ import annotations

import json
import os
import random
import signal
import socket
import subprocess
import sys
import time
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import httpx

from tests.processes import descendants

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

PORTS = random.SystemRandom()
PATIENCE_S, STOP_S = 240.0, 90.0
BUSY = 503
OVER = {"COMPLETED", "FAILED", "CRASHED", "CANCELLED"}
SMALL: dict[str, Any] = {"limit": 2, "paths": "straight"}
"""A screening of seconds."""


def free_port() -> int:
    """Return a port that nobody listens at, and that the kernel gives to nobody who asks for any."""
    while True:
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("127.0.0.1", PORTS.randrange(20_000, 32_000)))
            return int(probe.getsockname()[1])


def environment(home: Path) -> dict[str, str]:
    """Return an environment that no setting of whoever runs the tests leaks into."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("PREFECT_", "LIHOP_"))}
    kept.pop("MP_API_KEY", None)
    return kept | {
        "PREFECT_HOME": str(home),
        "OMP_NUM_THREADS": "1",
    }


@dataclass
class Workstation:
    """A workstation at work."""

    root: Path
    port: int
    process: subprocess.Popen[str]
    said: list[str] = field(default_factory=list)

    @property
    def folder(self) -> Path:
        return self.root / "folder"

    @property
    def api(self) -> str:
        return f"http://127.0.0.1:{self.port}/api"

    def ask(self, method: str, path: str, body: object = None) -> Any:
        """Ask the server; what is asked must mean the same when it is asked twice."""
        end = time.monotonic() + PATIENCE_S
        # A server whose database is busy asks to come again, or is silent. Prefect's clients ask again too.
        while (answer := self._asked(method, path, body)) is None or answer.status_code == BUSY:
            assert time.monotonic() < end, f"{method} {path}: busy for {PATIENCE_S:g} s"
            time.sleep(0.5)
        answer.raise_for_status()
        return answer.json() if answer.content else None

    def _asked(self, method: str, path: str, body: object) -> httpx.Response | None:
        with suppress(httpx.ReadTimeout):
            return httpx.request(method, f"{self.api}{path}", json=body, timeout=60)
        return None

    def deployment(self, flow: str, name: str) -> dict[str, Any]:
        found: dict[str, Any] = self.ask("GET", f"/deployments/name/{flow}/{name}")
        return found

    def start(self, deployment: dict[str, Any], **parameters: object) -> str:
        """Start a run; without parameters, as its schedule would."""
        body: dict[str, Any] = {"state": {"type": "SCHEDULED"}, "idempotency_key": uuid4().hex}
        if parameters:
            body["parameters"] = {"parameters": parameters}
        return str(self.ask("POST", f"/deployments/{deployment['id']}/create_flow_run", body)["id"])

    def run(self, identifier: str) -> dict[str, Any]:
        found: dict[str, Any] = self.ask("GET", f"/flow_runs/{identifier}")
        return found

    def until(self, condition: Callable[[], Any], patience_s: float = PATIENCE_S) -> Any:
        """Wait until something holds and return it; say what the processes printed when it never does."""
        end = time.monotonic() + patience_s
        while not (found := condition()):
            if time.monotonic() > end or self.process.poll() is not None:
                raise AssertionError(f"it never came; {self.states()} {self.logs()}")
            time.sleep(0.5)
        return found

    def over(self, identifier: str, patience_s: float = PATIENCE_S) -> dict[str, Any]:
        """Wait until a run is over and return it."""
        self.until(lambda: self.run(identifier)["state"]["type"] in OVER, patience_s)
        return self.run(identifier)

    def log_of(self, identifier: str) -> list[dict[str, Any]]:
        asked = {"logs": {"flow_run_id": {"any_": [identifier]}}, "limit": 200}
        found: list[dict[str, Any]] = self.ask("POST", "/logs/filter", asked)
        return found

    def artifacts(self) -> dict[str, dict[str, Any]]:
        return {one["key"]: one for one in self.ask("POST", "/artifacts/filter", {})}

    def states(self) -> list[str]:
        """Return what became of every run, for whoever looks for a reason."""
        runs = self.ask("POST", "/flow_runs/filter", {})
        return [f"{run['id'][-8:]} {one['timestamp']} {one['name']} {one['message']}" for run in runs
                for one in self.ask("GET", f"/flow_run_states/?flow_run_id={run['id']}")]  # fmt: skip

    def logs(self) -> str:
        folder = self.root / "home" / "lihop-serve"
        return json.dumps({path.name: path.read_text()[-2000:] for path in folder.glob("*.log")}, indent=1)

    def descendants(self) -> set[int]:
        """Return the processes that it has started, and those that these have."""
        return descendants(self.process.pid)

    def stop(self) -> int:
        """Press Ctrl-C and return the exit code."""
        self.process.send_signal(signal.SIGINT)
        return self.process.wait(STOP_S)


@contextmanager
def workstation(
    root: Path, *flags: str, variables: Callable[[dict[str, str]], dict[str, str]] = dict
) -> Iterator[Workstation]:
    """Serve in a home and a folder below `root`; `variables` changes the environment that is served in."""
    (root / "home").mkdir(exist_ok=True)
    (root / "elsewhere").mkdir(exist_ok=True)
    port = free_port()
    command = [sys.executable, "-m", "flows.cli.main", "serve", "--port", str(port), "--folder",
               str(root / "folder"), *flags]  # fmt: skip
    with (root / "errors").open("w") as errors:
        process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=errors, text=True,
            env=variables(environment(root / "home")), cwd=root / "elsewhere",
        )  # fmt: skip
    here = Workstation(root, port, process)
    try:
        assert process.stdout is not None
        here.said.append(process.stdout.readline())
        assert here.said[0], (root / "errors").read_text() + here.logs()
        yield here
    finally:
        left = here.descendants()
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(STOP_S)
            except subprocess.TimeoutExpired:
                process.kill()
        for pid in left:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                continue
        process.wait()
        if process.stdout is not None:
            process.stdout.close()
