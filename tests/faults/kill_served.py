"""Kills under `lihop serve`: of flows, workers, the server and all of it, several runs at a time.

Runs are stopped (SIGSTOP) at their moments, one after the other, until all stand where they should; then what
the case says is killed, and the rest goes on. So one wait for the heartbeats finds many runs.
"""

from __future__ import annotations

import signal
import time
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx

from tests.faults.kill_cases import (
    AT_ONCE,
    EVERYTHING,
    FLOWS,
    SERVERS,
    WORKER_AND_FLOW,
    Outcome,
    asked_for,
)
from tests.faults.killing import (
    Victim,
    command_of,
    hold,
    lives,
    lost_and_doubled,
    results,
    send,
)
from tests.processes import descendants
from tests.servers.workstation import OVER, workstation

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.faults.kill_cases import Case
    from tests.servers.workstation import Workstation

PATIENCE_S = 600.0
LOOK_S, ASK_S = 0.5, 3.0
SETTLED_S = 10.0
SERVED = ("--runs", "5", "--no-schedules")
RUN_ID = b"PREFECT__FLOW_RUN_ID="
RETRY = {"state": {"type": "SCHEDULED", "name": "AwaitingRetry"}, "force": True}
DONE = "COMPLETED"


@dataclass
class Run:
    """A run of a case, and what is learned of it."""

    case: Case
    identifier: str
    victim: Victim
    killed_at: float = 0.0
    found_s: float = 0.0
    starts: int = 0
    is_done: bool = False


class Matrix:
    """The rounds of kills, on one workstation's home and folder.

    Parameters
    ----------
    root : Path
        Folder for both.
    checkpoint : Path
        The model.
    """

    def __init__(self, root: Path, checkpoint: Path) -> None:
        self.root = root
        self.checkpoint = checkpoint
        self.runs: list[Run] = []

    def play(self) -> list[Run]:
        """Play all rounds; return their runs, each of which is completed."""
        with workstation(self.root, *SERVED) as here:
            at_once = self._start(here, AT_ONCE)
            self._kill_worker(here, at_once)
            # While the heartbeats that no longer come are missed, flows are killed whose worker lives.
            flows = self._start(here, FLOWS)
            self._kill_flows(flows)
            self._complete(here, [*at_once, *flows])
            servers = self._start(here, SERVERS)
            self._kill_server(here, servers)
            self._complete(here, servers)
            last = self._start(here, EVERYTHING)
            self._kill_everything(here, last)
        with workstation(self.root, *SERVED) as here:
            self._complete(here, last)
        return self.runs

    def _start(self, here: Workstation, cases: Sequence[Case]) -> list[Run]:
        """Start a run a case."""
        screening = here.deployment("screen-cathodes", "custom")
        found = []
        for case in cases:
            database = here.folder / case.name / "lihop.duckdb"
            identifier = here.start(screening, **asked_for(self.checkpoint, database))
            victim = Victim(database, case.moment, _processes_of(identifier), _Asking(here, identifier))
            found.append(Run(case, identifier, victim))
        self.runs += found
        return found

    def _kill_worker(self, here: Workstation, runs: list[Run]) -> None:
        """Kill the worker, some of its flows with it."""
        hold([run.victim for run in runs], PATIENCE_S)
        (worker,) = [pid for pid in descendants(here.process.pid) if "--pool lihop-cpu" in command_of(pid)]
        send(worker, signal.SIGKILL)
        for run in runs:
            run.killed_at = time.time()
            if run.case.what == WORKER_AND_FLOW:
                _kill_held(run)
            run.victim.go_on()

    def _kill_flows(self, runs: list[Run]) -> None:
        """Kill each flow at its moment."""
        left = list(runs)
        end = time.monotonic() + PATIENCE_S
        while left:
            for run in [one for one in left if one.victim.look()]:
                _kill_held(run)
                run.victim.go_on()
                left.remove(run)
            assert time.monotonic() < end, [str(one.case.moment) for one in left]
            time.sleep(0.005)

    def _kill_server(self, here: Workstation, runs: list[Run]) -> None:
        """Kill the server under its flows, which go on."""
        hold([run.victim for run in runs], PATIENCE_S)
        server = [pid for pid in descendants(here.process.pid) if _is_server(command_of(pid))]
        assert server
        for pid in server:
            send(pid, signal.SIGKILL)
        for run in runs:
            run.killed_at = time.time()
            run.victim.go_on()

    def _kill_everything(self, here: Workstation, runs: list[Run]) -> None:
        """Kill all that there is, as when the power fails."""
        hold([run.victim for run in runs], PATIENCE_S)
        everything = [here.process.pid, *descendants(here.process.pid)]
        for run in runs:
            _kill_held(run)
        for pid in everything:
            send(pid, signal.SIGKILL)
        end = time.monotonic() + PATIENCE_S
        here.process.wait()
        while any(map(lives, everything)):
            assert time.monotonic() < end
            time.sleep(LOOK_S)

    def _complete(self, here: Workstation, runs: list[Run]) -> None:
        """Wait until every run is found to be over; retry those that did not complete, until they have."""
        left = list(runs)
        end = time.monotonic() + PATIENCE_S
        while left:
            for run in left:
                self._look_after(here, run)
            left = [run for run in left if not run.is_done]
            assert time.monotonic() < end, [(run.case, here.run(run.identifier)["state"]) for run in left]
            time.sleep(LOOK_S)

    def _look_after(self, here: Workstation, run: Run) -> None:
        try:
            state = here.run(run.identifier)["state"]
        except httpx.HTTPError:
            # The server was killed, and is not there again yet.
            return
        if state["type"] not in OVER:
            return
        since = _second_of(state)
        run.is_done = state["type"] == DONE
        if run.is_done:
            self._sum_up(here, run)
        # Both the process that watched over a flow and its worker may tell of its death, one after the other.
        elif time.time() - since > SETTLED_S:
            here.ask("POST", f"/flow_runs/{run.identifier}/set_state", RETRY)

    def _sum_up(self, here: Workstation, run: Run) -> None:
        """Note how often a run began, and when it was first known to have ended otherwise than it should."""
        states = here.ask("GET", f"/flow_run_states/?flow_run_id={run.identifier}")
        run.starts = sum(state["type"] == "RUNNING" for state in states)
        ends = [_second_of(state) for state in states if state["type"] in OVER - {DONE}]
        run.found_s = min(ends) - run.killed_at if ends else 0.0


def outcome_of(run: Run, expected: dict[str, list[Any]]) -> Outcome:
    """Return what became of a run."""
    lost, doubled = lost_and_doubled(results(run.victim.database), expected)
    by = {1: "itself", 2: "Prefect's retry"}.get(run.starts, f"Prefect's retry, {run.starts - 1} times")
    return Outcome(run.found_s, by, lost, doubled, run.victim.recomputed())


def _kill_held(run: Run) -> None:
    """Kill the flow of a run that stands still: it was last alive when it was stopped."""
    run.killed_at = run.victim.held_at
    send(_flow_of(run), signal.SIGKILL)


def _flow_of(run: Run) -> int:
    """Return the process of a run that is stopped: the one that is none of its pool."""
    of_python = ("spawn_main", "resource_tracker")
    commands = {pid: command_of(pid) for pid in run.victim.held}
    (flow,) = [pid for pid, command in commands.items() if not any(one in command for one in of_python)]
    return flow


def _processes_of(identifier: str) -> Any:
    """Return what returns the processes of a run: Prefect names it in their environment."""
    wanted = RUN_ID + identifier.encode()

    def processes() -> list[int]:
        found = []
        for entry in Path("/proc").iterdir():
            with suppress(FileNotFoundError, ProcessLookupError, PermissionError):
                if entry.name.isdigit() and wanted in (entry / "environ").read_bytes().split(b"\0"):
                    found.append(int(entry.name))
        return sorted(found)

    return processes


def _second_of(state: dict[str, Any]) -> float:
    return datetime.fromisoformat(state["timestamp"]).timestamp()


class _Asking:
    """Tells whether a run is over, asking for it only now and then."""

    def __init__(self, here: Workstation, identifier: str) -> None:
        self.here = here
        self.identifier = identifier
        self.again_at = 0.0

    def __call__(self) -> bool:
        if time.monotonic() < self.again_at:
            return False
        self.again_at = time.monotonic() + ASK_S
        return bool(self.here.run(self.identifier)["state"]["type"] in OVER)


def _is_server(command: str) -> bool:
    return "prefect server start" in command or "uvicorn" in command
