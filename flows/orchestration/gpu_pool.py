"""Predicting and training in the GPU pool: a run of a deployment, watched until it ends or is given up."""

from __future__ import annotations

import threading
import time
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING, Any

from flows.inference import CancelledElsewhereError, ElsewhereError
from flows.orchestration.leases import asking_once
from flows.orchestration.living import is_taken_for_dead
from flows.orchestration.names import GPU, GPU_LIMIT, GPU_TAKEN, PREDICT, TAG
from models.locate import find_checkpoint

if TYPE_CHECKING:
    from collections.abc import Iterator
    from uuid import UUID

    from prefect.client.orchestration import SyncPrefectClient
    from prefect.client.schemas.objects import State
    from pydantic import BaseModel

    from flows.inference import PredictParameters

PICK_UP_S = 60.0
"""How long a run waits for a worker to begin it: one that died is taken for alive for about as long."""

FRESH_S = 75.0
"""A worker says every 30 s that it is alive; who was silent for so long is not."""

LOOK_S = 1.0
ANSWER_S = 10.0
"""How long the server may take to say how a run is; who does not hear of it in time asks again."""

UNREACHABLE_S = 300.0
"""How long the server may be out of reach, as while it is brought up to date, before we go on without it."""

AWAY_S = 20.0
"""A server that was silent for so long was away, and may take for dead what lives."""

REVIVED_S = 60.0
"""How long a run that lives has then to say so."""


class GpuPool:
    """Has something done by a worker of the GPU pool; called, barriers predicted."""

    def __init__(self) -> None:
        self._given_up = threading.Event()
        self._was_taken = False

    def give_up(self) -> None:
        """Cancel what is under way: nobody waits for it any more."""
        self._given_up.set()

    def __call__(self, asked: PredictParameters) -> None:
        """Predict barriers in the pool and wait.

        Raises
        ------
        ElsewhereError
            When no worker of the pool is alive or begins the run, when others hold the GPU, or when the run
            fails.
        """
        self.run(PREDICT, asked.model_copy(update={"model": _as_known_elsewhere(asked.model)}))

    def run(self, deployment: str, parameters: BaseModel, pick_up_s: float | None = None) -> UUID:
        """Run a deployment of the pool and wait until it is completed.

        Parameters
        ----------
        deployment : str
            The deployment.
        parameters : BaseModel
            What its flow is asked for.
        pick_up_s : float, optional
            How long (s) it may take until a worker begins it; `PICK_UP_S` unless told otherwise.

        Returns
        -------
        UUID
            The run.

        Raises
        ------
        CancelledElsewhereError
            When somebody cancelled the run.
        ElsewhereError
            When no worker of the pool is alive or begins the run, when others hold the GPU, or when the run
            fails.
        """
        from httpx import HTTPError
        from prefect.client.orchestration import get_client
        from prefect.exceptions import ObjectNotFound, PrefectHTTPStatusError

        try:
            with get_client(sync_client=True, httpx_settings={"timeout": ANSWER_S}) as client:
                if not _is_manned(client):
                    raise ElsewhereError(f"no worker of the pool {GPU} is alive")
                # Who has waited for it in vain once does not wait again for each group.
                if self._was_taken and _is_taken(client):
                    raise ElsewhereError(f"others still hold the GPU (the limit {GPU_LIMIT})")
                run_id = _start(deployment, parameters)
                # Prefect's client would go on asking while nobody waits for it any more.
                with asking_once(), _ending_with_us(client, run_id):
                    self._wait(client, run_id, PICK_UP_S if pick_up_s is None else pick_up_s)
        except (HTTPError, PrefectHTTPStatusError, ObjectNotFound) as error:
            raise ElsewhereError(_why(error, deployment)) from error
        return run_id

    def _wait(self, client: SyncPrefectClient, run_id: UUID, pick_up_s: float) -> None:
        """Watch a run until it ends; cancel it when nobody begins it in time."""
        begun_by = time.monotonic() + pick_up_s
        may_live_until = float("-inf")
        while not self._given_up.wait(LOOK_S):
            asked_at = time.monotonic()
            state = self._state(client, run_id)
            if state is None:
                break
            now = time.monotonic()
            if now - asked_at > AWAY_S:
                # Nobody can have begun it meanwhile, either.
                may_live_until, begun_by = now + REVIVED_S, max(begun_by, now + pick_up_s)
            if state.is_completed():
                self._was_taken = False
                return
            if is_taken_for_dead(state) and now < may_live_until:
                continue
            if state.is_final():
                self._was_taken = state.name == GPU_TAKEN
                kind = CancelledElsewhereError if _is_unwanted(state) else ElsewhereError
                raise kind(f"its run {run_id} in {GPU} ended as {state.name}: {_said(state)}")
            if not state.is_running() and now > begun_by:
                # Where the worker is at work on another run, the next group would wait as long.
                self._was_taken = True
                cancel(client, run_id)
                raise ElsewhereError(f"no worker of the pool {GPU} began the run within {pick_up_s:.0f} s")
        cancel(client, run_id)
        raise ElsewhereError("the screening was given up")

    def _state(self, client: SyncPrefectClient, run_id: UUID) -> State[Any] | None:
        """Return the state of a run, waiting for a server that is started again; None once given up."""
        from httpx import TransportError
        from prefect.exceptions import ObjectNotFound, PrefectHTTPStatusError

        until = time.monotonic() + UNREACHABLE_S
        while True:
            try:
                state = client.read_flow_run(run_id).state
            except ObjectNotFound:
                raise ElsewhereError(f"its run {run_id} is not there any more") from None
            except (TransportError, PrefectHTTPStatusError):
                if time.monotonic() > until:
                    raise
                if self._given_up.wait(LOOK_S):
                    return None
                continue
            if state is None:
                raise ElsewhereError(f"its run {run_id} has no state")
            return state


def _is_unwanted(state: State[Any]) -> bool:
    """Tell whether somebody cancelled a run, which did not end so by itself."""
    return state.is_cancelled() and state.name != GPU_TAKEN


@contextmanager
def _ending_with_us(client: SyncPrefectClient, run_id: UUID) -> Iterator[None]:
    """Cancel a run when whoever waits for it is told to stop, or cannot see it any more."""
    try:
        yield
    except ElsewhereError:
        raise
    except BaseException:
        with suppress(Exception):
            cancel(client, run_id)
        raise


def _why(error: Exception, deployment: str) -> str:
    """Return what an answer of the server means, or that there is none."""
    from prefect.exceptions import ObjectNotFound, PrefectHTTPStatusError

    # Of a pool that is not there Prefect's client says another thing than of a deployment.
    status = error.response.status_code if isinstance(error, PrefectHTTPStatusError) else None
    if isinstance(error, ObjectNotFound) or status == HTTPStatus.NOT_FOUND:
        return f"the server knows no pool {GPU} with the deployment {deployment}; run `lihop deploy`"
    said = type(error).__name__ if status is None else f"status {status}"
    return f"the Prefect server does not answer as it should: {said}"


def _is_manned(client: SyncPrefectClient) -> bool:
    """Tell whether a worker of the pool was heard of lately."""
    now = datetime.now(UTC)
    heard = [worker.last_heartbeat_time for worker in client.read_workers_for_work_pool(GPU)]
    return any(at is not None and (now - at).total_seconds() < FRESH_S for at in heard)


def _is_taken(client: SyncPrefectClient) -> bool:
    """Tell whether all places at the GPU are held."""
    from prefect.exceptions import ObjectNotFound

    try:
        limit = client.read_global_concurrency_limit_by_name(GPU_LIMIT)
    except ObjectNotFound:
        return False
    return limit.active and limit.active_slots >= limit.limit


def _start(deployment: str, parameters: BaseModel) -> UUID:
    from prefect.deployments import run_deployment

    # As a subflow, so that the UI shows it below the run that asked.
    run: Any = run_deployment(
        deployment, parameters={"parameters": parameters.model_dump(mode="json")}, timeout=0, tags=[TAG]
    )
    found: UUID = run.id
    return found


def _as_known_elsewhere(model: str) -> str:
    """Return a model by a name that means the same in another folder: a worker works in its own."""
    own = Path(model).expanduser()
    return str(own.absolute()) if find_checkpoint(model) == own else model


def _said(state: State[Any]) -> str:
    return (state.message or "no reason is given").split("\n", maxsplit=1)[0]


def cancel(client: SyncPrefectClient, run_id: UUID) -> None:
    """Cancel a run that nobody waits for: by its worker where it runs; what is over stays as it is.

    One that a worker has taken and not begun begins nevertheless, and ends when it sees this.

    Parameters
    ----------
    client : SyncPrefectClient
        A client of the server.
    run_id : UUID
        The flow run.
    """
    from prefect.exceptions import ObjectNotFound
    from prefect.states import Cancelled, Cancelling

    # Somebody may have deleted it.
    with suppress(ObjectNotFound):
        state = client.read_flow_run(run_id).state
        if state is not None and not state.is_final():
            begun = state.is_running()
            client.set_flow_run_state(run_id, Cancelling() if begun else Cancelled(), force=not begun)


def was_cancelled(client: SyncPrefectClient, run_id: UUID) -> bool:
    """Tell whether a run was cancelled since it was last scheduled, whatever it is now.

    Prefect lets a run begin that was cancelled after a worker had taken it.

    Parameters
    ----------
    client : SyncPrefectClient
        A client of the server.
    run_id : UUID
        The flow run.
    """
    cancelled = False
    for state in sorted(client.read_flow_run_states(run_id), key=lambda one: one.timestamp):
        cancelled = not state.is_scheduled() and (cancelled or state.is_cancelled() or state.is_cancelling())
    return cancelled
