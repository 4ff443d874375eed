"""A run that is taken for dead while it lives says so: a server that was away had heard of none."""

from __future__ import annotations

import contextvars
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING
from uuid import UUID

from flows.orchestration.names import TAKEN_FOR_DEAD

if TYPE_CHECKING:
    import logging
    from collections.abc import Iterator

    from prefect.client.orchestration import SyncPrefectClient
    from prefect.client.schemas.objects import State

LIVES = "It was taken for dead, while the server was away say, and goes on."
"""What the state says of a run that lived."""

LOOK_S = 10.0
"""How often a run looks what it is taken for."""

ANSWER_S = 10.0
"""How long the server may take to say so. Who does not hear of it in time asks again at the next look."""


def is_taken_for_dead(state: State | None) -> bool:
    """Tell whether a state is that of a run of which nothing was heard, whatever may be true of it.

    Parameters
    ----------
    state : State or None
        The state of a flow run.
    """
    return state is not None and state.is_crashed() and (state.message or "").startswith(TAKEN_FOR_DEAD)


def say_that_it_lives(client: SyncPrefectClient, run: UUID) -> bool:
    """Mark a run as running again if it was taken for dead; return whether it was.

    Parameters
    ----------
    client : SyncPrefectClient
        A client of the server.
    run : UUID
        The flow run that this process is at work on.
    """
    from prefect.states import Running

    if not is_taken_for_dead(client.read_flow_run(run).state):
        return False
    lives: State = Running(message=LIVES)
    # Prefect lets a run leave that state by a retry alone.
    client.set_flow_run_state(run, lives, force=True)
    return True


class _Living:
    """Looks from a thread of its own, so that a run never waits for the server.

    Parameters
    ----------
    run : UUID
        The flow run that this process is at work on.
    log : logging.Logger or logging.LoggerAdapter
        The run's log.
    """

    def __init__(self, run: UUID, log: logging.Logger | logging.LoggerAdapter[logging.Logger]) -> None:
        self._run = run
        self._log = log
        self._over = threading.Event()
        # What Prefect knows of the run, the server's address among it, lies in the context.
        context = contextvars.copy_context()
        self._thread = threading.Thread(
            target=context.run, args=(self._keep_looking,), name="lihop-living", daemon=True
        )

    def start(self) -> None:
        """Begin to look."""
        self._thread.start()

    def close(self) -> None:
        """Look no more. A run that is over must not be marked as running, hence the wait."""
        self._over.set()
        self._thread.join()

    def _keep_looking(self) -> None:
        from prefect.client.orchestration import get_client
        from prefect.settings import PREFECT_CLIENT_MAX_RETRIES, temporary_settings

        # Prefect's client would wait longer and longer for a server that is away; we ask anew at each look.
        with temporary_settings({PREFECT_CLIENT_MAX_RETRIES: 0}):
            while not self._over.wait(LOOK_S):
                try:
                    with get_client(sync_client=True, httpx_settings={"timeout": ANSWER_S}) as client:
                        revived = say_that_it_lives(client, self._run)
                except Exception:  # noqa: BLE001, S112 - a proxy answers anything while the server is away
                    continue
                if revived:
                    self._log.warning("The server took this run for dead; it lives, and goes on")


@contextmanager
def staying_alive() -> Iterator[None]:
    """Inside the body, the flow run that this is called in stays at work on the server as long as it is."""
    from prefect.logging import get_run_logger
    from prefect.runtime import flow_run
    from prefect.settings import PREFECT_API_URL

    if PREFECT_API_URL.value() is None:
        # A server that lives as long as this run has nobody who could take it for dead.
        yield
        return
    living = _Living(UUID(flow_run.id), get_run_logger())
    living.start()
    try:
        yield
    finally:
        living.close()
