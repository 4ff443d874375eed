"""One recorder on all machines: the limit of a Prefect server, held beside the file lock of this machine."""

from __future__ import annotations

import threading
import time
from contextlib import contextmanager, nullcontext, suppress
from contextvars import copy_context
from functools import partial
from http import HTTPStatus
from typing import TYPE_CHECKING
from uuid import UUID

from flows.orchestration.names import WRITER
from flows.progress import reporter
from storage.database import also_holding
from storage.errors import DatabaseLockedError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from contextlib import AbstractContextManager

    from httpx import HTTPError
    from prefect.client.orchestration import SyncPrefectClient

LEASE_S = 60.0
"""After so long the server gives the place of a recorder that was killed to the next one."""

WAIT_S = 300.0
"""Longest wait for other machines: several of those that were killed one after the other."""

AWAY_S = 60.0
"""Longest wait for a server that does not answer, when it is started again say."""

LOOK_S = 0.5
"""How often who waits asks again."""

ANSWER_S = 60.0
"""Longest wait for an answer; who has less time waits less."""

RENEWALS = 3
"""How often a lease is renewed in the time that it has."""


@contextmanager
def writing_alone() -> Iterator[None]:
    """Let no other machine record inside the body while we do, where the server has a limit for that.

    Every flow that records does so within this.
    """
    if limits_writers():
        # One for all: making a client takes longer than asking.
        with _client(ANSWER_S) as client, also_holding(partial(one_writer, client=client)):
            yield
    else:
        yield


def limits_writers() -> bool:
    """Tell whether the server has the limit; one that `lihop deploy` was never run on has none."""
    from httpx import HTTPError
    from prefect.client.orchestration import get_client
    from prefect.exceptions import ObjectNotFound

    try:
        with get_client(sync_client=True) as client:
            client.read_global_concurrency_limit_by_name(WRITER)
    except ObjectNotFound:
        return False
    except HTTPError:
        # It may be there again when there is something to record; each time it is asked anew.
        return True
    return True


@contextmanager
def one_writer(wait_s: float = WAIT_S, client: SyncPrefectClient | None = None) -> Iterator[None]:
    """Hold the server's limit inside the body; go on under the file lock alone where it cannot be asked.

    Whatever the body raises comes out of it, also where the server is gone when the limit is given back.

    Parameters
    ----------
    wait_s : float
        Longest wait for others (s), of at most `WAIT_S`.
    client : SyncPrefectClient, optional
        Who asks the server, where there is time to wait for its answers; one that is made for it otherwise.

    Raises
    ------
    DatabaseLockedError
        When others hold it for too long.
    """
    wait_s = min(wait_s, WAIT_S)
    # Not by Prefect's `concurrency`: told to wait, it gives the place also to one who was interrupted
    # meanwhile, until its lease runs out; told not to wait, it logs each refusal as an error.
    hurried = wait_s < ANSWER_S
    own = _client(wait_s) if client is None or hurried else nullcontext(client)
    with own as asking:
        with _once() if hurried else nullcontext():
            lease = _acquire(asking, wait_s)
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
            renewing.join()
            with _once() if hurried else nullcontext():
                _give_back(asking, lease)


def _client(answer_s: float) -> SyncPrefectClient:
    """Return a client that waits so long for an answer, at most."""
    from prefect.client.orchestration import get_client

    return get_client(sync_client=True, httpx_settings={"timeout": max(1.0, min(answer_s, ANSWER_S))})


def _once() -> AbstractContextManager[object]:
    """Inside the body Prefect's client asks once: it would ask again past the time that there is."""
    from prefect.settings import PREFECT_CLIENT_MAX_RETRIES, temporary_settings

    return temporary_settings({PREFECT_CLIENT_MAX_RETRIES: 0})


def _acquire(client: SyncPrefectClient, wait_s: float) -> UUID | None:
    """Return the lease of the limit, or nothing where the server does not answer as it should."""
    from httpx import HTTPError

    begun = time.monotonic()
    while True:
        try:
            answer = client.increment_concurrency_slots_with_lease([WRITER], 1, "concurrency", LEASE_S)
        except HTTPError as error:
            waited_s = time.monotonic() - begun + LOOK_S
            if _is_taken(error):
                if waited_s > wait_s:
                    raise DatabaseLockedError(
                        f"others hold the limit {WRITER} of the Prefect server; waited {wait_s:.3g} s. Wait "
                        "until they have finished, or look at it under Concurrency in the Prefect UI"
                    ) from None
            elif waited_s > min(wait_s, AWAY_S) or not _may_pass(error):
                _tell_of_lock_alone(type(error).__name__)
                return None
        else:
            found = answer.json()
            if found["limits"]:
                return UUID(found["lease_id"])
            _tell_of_lock_alone("it is not there any more")
            return None
        time.sleep(LOOK_S)


def _tell_of_lock_alone(why: str) -> None:
    reporter().message(
        f"the limit {WRITER} could not be held ({why}): recording under the file lock of this machine alone"
    )


def _renew(client: SyncPrefectClient, lease: UUID, over: threading.Event) -> None:
    """Keep a lease from running out. One that could not be renewed is asked for again at the next turn."""
    from httpx import HTTPError

    while not over.wait(LEASE_S / RENEWALS):
        with suppress(HTTPError):
            client.renew_concurrency_lease(lease, LEASE_S)


def _give_back(client: SyncPrefectClient, lease: UUID) -> None:
    """Leave the limit; who cannot says so, and what was recorded meanwhile is recorded."""
    try:
        client.release_concurrency_slots_with_lease(lease)
    except Exception as error:  # noqa: BLE001 - whatever it is, it must not end a run that has recorded
        reporter().message(
            f"the limit {WRITER} could not be given back ({type(error).__name__}): the Prefect server does "
            f"not answer as it should. Others wait until its lease runs out, {LEASE_S:g} s at most"
        )


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
