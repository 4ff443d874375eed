"""Places under a limit of the Prefect server: leased for as long as the work takes, and given back."""

from __future__ import annotations

import threading
import time
from contextlib import contextmanager, nullcontext, suppress
from contextvars import copy_context
from http import HTTPStatus
from typing import TYPE_CHECKING
from uuid import UUID

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager

    from httpx import HTTPError
    from prefect.client.orchestration import SyncPrefectClient

LEASE_S = 60.0
"""After so long the server gives the place of who was killed to the next one."""

AWAY_S = 60.0
"""Longest wait for a server that does not answer, when it is started again say."""

LOOK_S = 0.5
"""How often who waits asks again."""

ANSWER_S = 60.0
"""Longest wait for an answer; who has less time waits less."""

RENEWALS = 3
"""How often a lease is renewed in the time that it has."""

LEAVE_S = 2.0
"""Longest wait, at the end, for a renewal that is under way: a server that hangs must not hold up an end."""


class LimitTakenError(RuntimeError):
    """Others held a limit for too long."""


@contextmanager
def place_of(
    limit: str,
    wait_s: float,
    tell: Callable[[str], None],
    without: str,
    client: SyncPrefectClient | None = None,
) -> Iterator[None]:
    """Hold a place under a limit inside the body; go on without it where the server cannot be asked.

    Whatever the body raises comes out of it, also where the server is gone when the place is given back.

    Parameters
    ----------
    limit : str
        The limit; a server that has none of that name is told of.
    wait_s : float
        Longest wait for others, in seconds.
    tell : callable
        Is told, in words, when the place could not be had or not be given back.
    without : str
        What is done without the place, for that telling: "recording ...".
    client : SyncPrefectClient, optional
        Who asks the server, where there is time to wait for its answers; one that is made for it otherwise.

    Raises
    ------
    LimitTakenError
        When others hold it for too long.
    """
    # Not by Prefect's `concurrency`: told to wait, it gives the place also to one who was interrupted
    # meanwhile, until its lease runs out; told not to wait, it logs each refusal as an error.
    hurried = wait_s < ANSWER_S
    own = client_of(wait_s) if client is None or hurried else nullcontext(client)
    with own as asking:
        with _once() if hurried else nullcontext():
            lease = _acquire(asking, limit, wait_s, lambda why: tell(_unheld(limit, why, without)))
        if lease is None:
            yield
            return
        over = threading.Event()
        renewing = threading.Thread(
            # What Prefect is set to lies in the context.
            target=copy_context().run, args=(_renew, asking, lease, over), name="lihop-lease", daemon=True
        )  # fmt: skip
        renewing.start()
        try:
            yield
        finally:
            over.set()
            renewing.join(LEAVE_S)
            with _once() if hurried else nullcontext():
                _give_back(asking, lease, lambda why: tell(_kept(limit, why)))


def client_of(answer_s: float = ANSWER_S) -> SyncPrefectClient:
    """Return a client that waits so long (s) for an answer, at most."""
    from prefect.client.orchestration import get_client

    return get_client(sync_client=True, httpx_settings={"timeout": max(1.0, min(answer_s, ANSWER_S))})


def _once() -> AbstractContextManager[object]:
    """Inside the body Prefect's client asks once: it would ask again past the time that there is."""
    from prefect.settings import PREFECT_CLIENT_MAX_RETRIES, temporary_settings

    return temporary_settings({PREFECT_CLIENT_MAX_RETRIES: 0})


def _acquire(
    client: SyncPrefectClient, limit: str, wait_s: float, tell_why_not: Callable[[str], None]
) -> UUID | None:
    """Return the lease of a place, or nothing where the server does not answer as it should."""
    from httpx import HTTPError

    begun = time.monotonic()
    while True:
        try:
            answer = client.increment_concurrency_slots_with_lease([limit], 1, "concurrency", LEASE_S)
        except HTTPError as error:
            waited_s = time.monotonic() - begun + LOOK_S
            if _is_taken(error):
                if waited_s > wait_s:
                    raise LimitTakenError(
                        f"others hold the limit {limit} of the Prefect server; waited {wait_s:.3g} s"
                    ) from None
            elif waited_s > min(wait_s, AWAY_S) or not _may_pass(error):
                tell_why_not(type(error).__name__)
                return None
        else:
            found = answer.json()
            if found["limits"]:
                return UUID(found["lease_id"])
            tell_why_not("the Prefect server has none of that name")
            return None
        time.sleep(LOOK_S)


def _unheld(limit: str, why: str, without: str) -> str:
    return f"the limit {limit} could not be held ({why}): {without}"


def _kept(limit: str, why: str) -> str:
    return (
        f"the limit {limit} could not be given back ({why}): the Prefect server does not answer as it "
        f"should. Others wait until its lease runs out, {LEASE_S:g} s at most"
    )


def _renew(client: SyncPrefectClient, lease: UUID, over: threading.Event) -> None:
    """Keep a lease from running out. One that could not be renewed is asked for again at the next turn."""
    with _once():
        while not over.wait(LEASE_S / RENEWALS):
            # Any error: at the end nobody waits for us for long, and the client is closed.
            with suppress(Exception):
                client.renew_concurrency_lease(lease, LEASE_S)


def _give_back(client: SyncPrefectClient, lease: UUID, tell_why_not: Callable[[str], None]) -> None:
    """Leave the limit; who cannot says so, and what was done meanwhile is done."""
    try:
        client.release_concurrency_slots_with_lease(lease)
    except Exception as error:  # noqa: BLE001 - whatever it is, it must not end a run that has done its work
        tell_why_not(type(error).__name__)


def _is_taken(error: HTTPError) -> bool:
    """Tell whether the server said that others hold the limit."""
    return _status(error) == HTTPStatus.LOCKED


def _may_pass(error: HTTPError) -> bool:
    """Tell whether the server may answer otherwise in a while: nobody listens, or it is at its limit."""
    status = _status(error)
    return status is None or status == HTTPStatus.TOO_MANY_REQUESTS or status >= HTTPStatus.BAD_GATEWAY


def _status(error: HTTPError) -> int | None:
    response = getattr(error, "response", None)
    return None if response is None else response.status_code
