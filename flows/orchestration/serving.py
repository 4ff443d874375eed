"""A workstation's Prefect in one command: server, UI, schedules and workers, on this machine alone."""

from __future__ import annotations

import os
import signal
import socket
import sys
import threading
import time
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from flows.orchestration.deploying import deploy
from flows.orchestration.errors import OrchestrationError
from flows.orchestration.names import CPU, GPU, TAG
from flows.orchestration.own_pages import own_origins
from flows.orchestration.processes import Kept
from flows.orchestration.reaching import API
from flows.prefect_environment import prefect_home, prepare_prefect

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    from prefect.client.schemas.filters import FlowRunFilter
    from prefect.client.schemas.objects import State

    from flows.orchestration.deploying import Deployed

HOST = "127.0.0.1"
BOUND = "flows.orchestration.bound"
"""What has a process end when this one is gone."""

PATIENT = "flows.orchestration.patient_server"
"""Prefect, with a server that does not stand still while it waits for its database."""

START_S = 180.0
"""How long a server may take to answer: its first start migrates a database."""

LOOK_S = 0.5
STOP_S = 30.0
"""How long a run has to record what it has, and a server to end, before they are killed."""

ENDS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
"""An interrupt, a stop, and a terminal that was closed."""


@dataclass(frozen=True)
class Workstation:
    """What is to be served.

    Parameters
    ----------
    folder : Path
        Folder in which runs work.
    port : int
        Port of the server and its UI, on this machine alone.
    runs : int
        Screenings and syncs that may be at work at once; more wait.
    schedules : bool
        Whether deployments run by themselves, where they have a schedule.
    """

    folder: Path
    port: int = 4200
    runs: int = 2
    schedules: bool = True

    @property
    def url(self) -> str:
        """Where the UI is."""
        return f"http://{HOST}:{self.port}"


def serve(asked: Workstation, *, on_ready: Callable[[Deployed], None], tell: Callable[[str], None]) -> None:
    """Run a server, its UI, schedules and workers until somebody interrupts it.

    Parameters
    ----------
    asked : Workstation
        What is to be served.
    on_ready : callable
        Called once runs can be started.
    tell : callable
        Called with what people should know meanwhile.

    Raises
    ------
    OrchestrationError
        When the port is taken, or the server does not start.
    """
    prepare_prefect()
    _refuse_taken(asked.port)
    logs = prefect_home() / "lihop-serve"
    logs.mkdir(parents=True, exist_ok=True)
    environment = _environment(asked)
    server = _kept(
        "server",
        [PATIENT, "server", "start", "--host", HOST, "--port", str(asked.port)],
        environment,
        logs,
    )
    workers = [
        _kept(
            f"worker of {pool}",
            ["prefect", "worker", "start", "--pool", pool, "--type", "process", "--limit", str(limit)],
            environment,
            logs,
            before=server,
        )
        for pool, limit in ((CPU, asked.runs), (GPU, 1))
    ]
    with _until_told_to_end() as end:
        try:
            server.start()
            if _wait_for(server, asked, end):
                found = deploy(asked.folder, schedules=asked.schedules)
                for worker in workers:
                    worker.start()
                on_ready(found)
            while not end.wait(LOOK_S):
                for told in filter(None, [one.keep() for one in (server, *workers)]):
                    tell(told)
        finally:
            _stop(server, workers, tell)


def _environment(asked: Workstation) -> Mapping[str, str]:
    """Return the environment of the processes; this process talks to the server by the same variables."""
    os.environ[API] = f"{asked.url}/api"
    os.environ["PREFECT_UI_API_URL"] = f"{asked.url}/api"
    # What they print goes to files, for whoever looks for a reason.
    return dict(os.environ) | {
        "PREFECT_LOGGING_LEVEL": "INFO",
        "PREFECT_LOGGING_HANDLERS_CONSOLE_LEVEL": "INFO",
        "PREFECT_LOGGING_SERVER_LEVEL": "WARNING",
        # It has no password: its answers are for its own UI, and not for every page that a browser has open.
        "PREFECT_SERVER_API_CORS_ALLOWED_ORIGINS": ",".join(own_origins(asked.port)),
        # Its database is a file, for which a busy machine has to queue longer than Prefect would wait.
        "PREFECT_SERVER_DATABASE_TIMEOUT": "60",
        "PREFECT_SERVER_DATABASE_CONNECTION_TIMEOUT": "60",
        # A server that is killed would otherwise forget who holds a limit, and never free the place.
        "PREFECT_SERVER_CONCURRENCY_LEASE_STORAGE": "prefect.server.concurrency.lease_storage.filesystem",
    }


def _kept(
    name: str,
    arguments: list[str],
    environment: Mapping[str, str],
    logs: Path,
    *,
    before: Kept | None = None,
) -> Kept:
    command = [sys.executable, "-m", BOUND, *arguments]
    return Kept(name, command, environment, logs / f"{name.replace(' ', '-')}.log", before)


def _refuse_taken(port: int) -> None:
    """Refuse a port that somebody listens on."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError as error:
            raise OrchestrationError(
                f"port {port} of {HOST} cannot be used: {error.strerror}. Stop what runs there (a `lihop "
                "serve` that was killed lets go of it within a minute), give another --port, or, if it is "
                f"a Prefect server, bring lihop to it: {API}=http://{HOST}:{port}/api lihop deploy"
            ) from error


@contextmanager
def _until_told_to_end() -> Iterator[threading.Event]:
    """Yield what is set when somebody interrupts or ends this process, or closes its terminal.

    Unless it is to outlive its terminal: `nohup` has that signal ignored.
    """
    end = threading.Event()
    heard = [one for one in ENDS if one != signal.SIGHUP or signal.getsignal(one) != signal.SIG_IGN]
    before = {number: signal.signal(number, lambda *_: end.set()) for number in heard}
    try:
        yield end
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _wait_for(server: Kept, asked: Workstation, end: threading.Event) -> bool:
    """Wait until the server answers; return whether it does, which it need not once we are told to end."""
    import httpx

    until = time.monotonic() + START_S
    while not end.wait(LOOK_S):
        try:
            if httpx.get(f"{asked.url}/api/health", timeout=5).is_success:
                return True
        except httpx.TransportError:
            pass
        if not server.is_running() or time.monotonic() > until:
            why = "did not answer in time" if server.is_running() else "ended"
            raise OrchestrationError(f"the Prefect server {why}; {server.log} says why")
    return False


def _stop(server: Kept, workers: list[Kept], tell: Callable[[str], None]) -> None:
    """End workers and what they run, say so of their runs, and end the server last, whatever came before."""
    running = [worker for worker in workers if worker.is_running()]
    try:
        for worker in running:
            worker.ask_to_stop()
        for worker in workers:
            worker.stop(STOP_S)
        if running and server.is_running() and (why := _give_up_runs()) is not None:
            tell(f"{why}; runs that were at work are found as crashed after the next start")
    finally:
        server.ask_to_stop()
        server.stop(STOP_S)


def _give_up_runs() -> str | None:
    """Say of what was at work how it ended: its processes are gone, and nobody else would.

    Return why that could not be said: a server that was just started again does not answer yet.
    """
    from httpx import HTTPError
    from prefect.client.orchestration import get_client
    from prefect.exceptions import ObjectNotFound, PrefectHTTPStatusError

    try:
        with get_client(sync_client=True) as client:
            for run in client.read_flow_runs(flow_run_filter=_at_work()):
                # Somebody may have deleted it meanwhile.
                with suppress(ObjectNotFound):
                    client.set_flow_run_state(run.id, _ended(run.state), force=True)
    except (HTTPError, PrefectHTTPStatusError) as error:
        return f"the Prefect server did not answer when it was stopped ({type(error).__name__})"
    return None


def _at_work() -> FlowRunFilter:
    """Return what finds the runs that have begun, or were about to, and have not ended.

    Those of our workers, that is: of a deployment. Commands of people run on.
    """
    from prefect.client.schemas.filters import FlowRunFilter
    from prefect.client.schemas.objects import StateType

    types = [StateType.RUNNING, StateType.PENDING, StateType.CANCELLING]
    return FlowRunFilter.model_validate(
        {
            "tags": {"all_": [TAG]},
            "deployment_id": {"is_null_": False},
            "state": {"type": {"any_": types}},
        }
    )


def _ended(state: State[Any] | None) -> State[Any]:
    """Return how a run ended that was stopped: as somebody had asked before, or because of us."""
    from prefect.states import Cancelled, Crashed

    if state is not None and state.is_cancelling():
        return Cancelled(message="Somebody cancelled it, and then `lihop serve` was stopped.")
    return Crashed(message="`lihop serve` was stopped. Retry this run to go on with it.")
