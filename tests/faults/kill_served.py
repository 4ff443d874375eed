"""Kills under `lihop serve`: of flows, workers, the server and all of it, several runs at a time.

Runs wait just before their moments until all are there. Then they are let come to them and stopped (SIGSTOP),
what the case says is killed, and the rest goes on. So one wait for the heartbeats finds many runs.
"""

from __future__ import annotations

import signal
import time
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING, Any

import httpx

from flows.orchestration.living import LIVES
from tests.faults.kill_cases import (
    AT_ONCE,
    BY_ITSELF,
    EVERYTHING,
    FLOWS,
    GPU_RUN,
    GPU_WORKER,
    IN_GPU_POOL,
    PREDICTING,
    SERVERS,
    WORKER_AND_FLOW,
    Outcome,
    asked_for,
)
from tests.faults.killing import (
    Victim,
    command_of,
    gather,
    hold,
    lost_and_doubled,
    results,
    send,
)
from tests.faults.pace.pacing import paced
from tests.processes import descendants, lives, with_variable
from tests.servers.workstation import OVER, workstation

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from tests.faults.kill_cases import Case
    from tests.servers.workstation import Workstation

PATIENCE_S = 600.0
LOOK_S, ASK_S = 0.5, 3.0
# A run that is taken for dead and lives says so within 10 s, if the server answers.
SETTLED_S = 30.0
# As many as one round has: of more, the server's database, a file, makes each wait for all others.
FLAGS = ("--runs", "6", "--no-schedules")
RUN_ID = "PREFECT__FLOW_RUN_ID"
"""Prefect names the run in the environment of its processes."""
RETRY = {"state": {"type": "SCHEDULED", "name": "AwaitingRetry"}, "force": True}
DONE = "COMPLETED"
HERE = "barriers are predicted in this process"
"""What a screening says that learned that nobody else predicts them."""


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
        with workstation(self.root, *FLAGS, variables=paced) as here:
            at_once = self._start(here, AT_ONCE)
            self._kill_worker(here, at_once)
            # While the heartbeats that no longer come are missed, others come to their moments.
            everything = self._start(here, EVERYTHING)
            gather([run.victim for run in everything], PATIENCE_S)
            self._find(here, at_once)
            self._kill_everything(here, everything)
        with workstation(self.root, *FLAGS, variables=paced) as here:
            # Heartbeats are missed again, and again others come to their moments meanwhile.
            flows = self._start(here, FLOWS)
            self._kill_each(here, flows)
            self._complete(here, [*at_once, *everything, *flows])
            servers = self._start(here, SERVERS)
            self._kill_server(here, servers)
            self._complete(here, servers)
        return self.runs

    def _start(self, here: Workstation, cases: Sequence[Case]) -> list[Run]:
        """Start a run for each case, behind its gate."""
        screening = here.deployment("screen-cathodes", "custom")
        found = []
        for case in cases:
            database = here.folder / case.name / "lihop.duckdb"
            case.moment.before.close(database)
            asked = asked_for(self.checkpoint, database, case.inference)
            identifier = here.start(screening, **asked)
            processes = _Processes(here, identifier, predicts_elsewhere=case.what in IN_GPU_POOL)
            victim = Victim(database, case.moment, processes, _Asking(here, identifier))
            found.append(Run(case, identifier, victim))
        self.runs += found
        return found

    def _kill_worker(self, here: Workstation, runs: list[Run]) -> None:
        """Kill the worker, some of its flows with it."""
        victims = [run.victim for run in runs]
        gather(victims, PATIENCE_S)
        hold(victims, PATIENCE_S)
        send(_worker_of(here, "lihop-cpu"), signal.SIGKILL)
        for run in runs:
            run.killed_at = time.time()
            if run.case.what == WORKER_AND_FLOW:
                _kill_held(run)
            run.victim.go_on()

    def _kill_each(self, here: Workstation, runs: list[Run]) -> None:
        """Kill each flow, or what predicts for it, at its moment."""
        gather([run.victim for run in runs], PATIENCE_S)
        left = list(runs)
        end = time.monotonic() + PATIENCE_S
        while left:
            for run in [one for one in left if one.victim.look()]:
                if run.case.what == GPU_WORKER:
                    send(_worker_of(here, "lihop-gpu"), signal.SIGKILL)
                _kill_held(run)
                run.victim.go_on()
                left.remove(run)
            assert time.monotonic() < end, [str(one.case.moment) for one in left]
            time.sleep(0.005)

    def _kill_server(self, here: Workstation, runs: list[Run]) -> None:
        """Kill the server under its flows, which go on; before, the run in the GPU pool."""
        elsewhere = [run for run in runs if run.case.what == GPU_RUN]
        self._kill_each(here, elsewhere)
        for run in elsewhere:
            here.until(partial(_told_at, here, run, HERE))
        others = [run for run in runs if run not in elsewhere]
        victims = [run.victim for run in others]
        gather(victims, PATIENCE_S)
        hold(victims, PATIENCE_S)
        server = [pid for pid in descendants(here.process.pid) if _is_server(command_of(pid))]
        assert server
        for pid in server:
            send(pid, signal.SIGKILL)
        for run in others:
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

    def _find(self, here: Workstation, runs: list[Run]) -> None:
        """Wait until every run is found to be over."""
        for run in runs:
            here.over(run.identifier, PATIENCE_S)

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
        """Retry a run that ended otherwise than it should; sum up one that is completed."""
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
        run.starts, ends = starts_and_ends(states)
        if run.case.what in {GPU_RUN, GPU_WORKER}:
            ends = [here.until(lambda: _told_at(here, run, HERE))]
        run.found_s = min(ends) - run.killed_at if ends else 0.0


def outcome_of(run: Run, expected: dict[str, list[Any]]) -> Outcome:
    """Return what became of a run."""
    lost, doubled = lost_and_doubled(results(run.victim.database), expected)
    alone = PREDICTING if run.case.what in {GPU_RUN, GPU_WORKER} else BY_ITSELF
    by = {1: alone, 2: "Prefect's retry"}.get(run.starts, f"Prefect's retry, {run.starts - 1} times")
    return Outcome(run.found_s, by, lost, doubled, run.victim.recomputed())


def starts_and_ends(states: Sequence[dict[str, Any]]) -> tuple[int, list[float]]:
    """Return how often a run began, and when (s) it ended otherwise than it should.

    An end that the run itself took back, since it lived, is none.
    """
    starts, ends = 0, []
    for state in sorted(states, key=_second_of):
        if state["message"] == LIVES:
            ends.pop()
        elif state["type"] == "RUNNING":
            starts += 1
        elif state["type"] in OVER - {DONE}:
            ends.append(_second_of(state))
    return starts, ends


def _kill_held(run: Run) -> None:
    """Kill the flow of a run that stands still, or what predicts for it: it was last alive when stopped."""
    run.killed_at = run.victim.held_at
    elsewhere = run.case.what in {GPU_RUN, GPU_WORKER}
    own = with_variable(RUN_ID, run.identifier)
    (flow,) = [pid for pid in run.victim.held if _is_flow(pid) and (pid not in own) == elsewhere]
    send(flow, signal.SIGKILL)


def _is_flow(pid: int) -> bool:
    """Tell whether a process of a run is the one that is none of its pool."""
    command = command_of(pid)
    return not any(one in command for one in ("spawn_main", "resource_tracker"))


def _worker_of(here: Workstation, pool: str) -> int:
    (worker,) = [pid for pid in descendants(here.process.pid) if f"--pool {pool}" in command_of(pid)]
    return worker


class _Processes:
    """Returns the processes of a run, and of the run that predicts its barriers elsewhere."""

    def __init__(self, here: Workstation, identifier: str, *, predicts_elsewhere: bool) -> None:
        self.here = here
        self.identifier = identifier
        self.predicts_elsewhere = predicts_elsewhere

    def __call__(self) -> list[int]:
        runs = {self.identifier}
        if self.predicts_elsewhere:
            asked = {"flow_runs": {"parent_flow_run_id": {"any_": [self.identifier]}}}
            runs |= {run["id"] for run in self.here.ask("POST", "/flow_runs/filter", asked)}
        return sorted(pid for run in runs for pid in with_variable(RUN_ID, run))


def _told_at(here: Workstation, run: Run, what: str) -> float | None:
    """Return when a run first said something, if it has."""
    said = [line["timestamp"] for line in here.log_of(run.identifier) if what in line["message"]]
    return datetime.fromisoformat(min(said)).timestamp() if said else None


def _second_of(state: dict[str, Any]) -> float:
    return datetime.fromisoformat(state["timestamp"]).timestamp()


class _Asking:
    """Returns what a run that is over went through and said, asking for it only now and then."""

    def __init__(self, here: Workstation, identifier: str) -> None:
        self.here = here
        self.identifier = identifier
        self.again_at = 0.0

    def __call__(self) -> str:
        if time.monotonic() < self.again_at:
            return ""
        self.again_at = time.monotonic() + ASK_S
        with suppress(httpx.TransportError):
            if self.here.run(self.identifier)["state"]["type"] in OVER:
                said = [f"{one['timestamp']} {one['message']}" for one in self.here.log_of(self.identifier)]
                return "\n".join([self.identifier, *self.here.states(), *said])
        return ""


def _is_server(command: str) -> bool:
    return "server start" in command
