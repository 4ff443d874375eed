"""Places under a limit of the Prefect server: leased for as long as the work takes, and given back."""

from __future__ import annotations

import threading
import time
from contextlib import ExitStack, contextmanager, nullcontext
from contextvars import copy_context
from http import HTTPStatus
from typing import TYPE_CHECKING, Self
from uuid import UUID

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager
    from types import TracebackType

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

LEAVE_S = 3.0
"""Longest wait for an answer, and for a renewal under way, at the end: a run that is told to stop has little
time, and a place that could not be given back is free when its lease runs out."""


class LimitTakenError(RuntimeError):
    """Others held a limit for too long."""


class Desk:
    """Where a process asks a server for places, again and again: making a client takes longer than asking.

    To be used as a context. It remembers whether the server answered: who found it away asks once each time,
    and waits no more until it is back.

    Parameters
    ----------
    answer_s : float
        Longest wait for an answer, in seconds.
    """

    def __init__(self, answer_s: float = ANSWER_S) -> None:
        self._answer_s = answer_s
        self._clients = ExitStack()
        self.is_away = False

    def __enter__(self) -> Self:
        """Make the clients."""
        with self._clients as clients:
            self.patient = clients.enter_context(_client(self._answer_s))
            self.hurried = clients.enter_context(_client(LEAVE_S))
            self._clients = clients.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close them."""
        self._clients.close()

    @property
    def asking(self) -> SyncPrefectClient:
        """Who asks for a place."""
        return self.hurried if self.is_away else self.patient


@contextmanager
def place_of(
    limit: str,
    wait_s: float,
    tell: Callable[[str], None],
    without: str,
    desk: Desk | None = None,
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
        Is told, in words, when the place could not be had, was lost, or could not be given back.
    without : str
        What is done without the place, for that telling: "recording ...".
    desk : Desk, optional
        Where to ask, if there is time to wait for its answers; otherwise at one that is made for it.

    Raises
    ------
    LimitTakenError
        When others hold it for too long.
    """
    # Not by Prefect's `concurrency`: told to wait, it gives the place also to one who was interrupted
    # meanwhile, until its lease runs out; told not to wait, it logs each refusal as an error.
    own = Desk(wait_s) if desk is None or wait_s < ANSWER_S else nullcontext(desk)
    with own as at:
        if desk is not None:
            at.is_away = desk.is_away
        lease = _acquire(at, limit, wait_s, lambda why: tell(_unheld(limit, why, without)))
        if desk is not None:
            desk.is_away = at.is_away
        if lease is None:
            yield
            return
        renewing = _Renewing(at.hurried, lease, lambda: tell(_lost(limit, without)))
        renewing.start()
        try:
            yield
        finally:
            renewing.stop()
            if not renewing.is_lost:
                _give_back(at.hurried, lease, lambda why: tell(_kept(limit, why)))


class _Renewing:
    """Keeps a lease from running out, from a thread of its own, until told to stop."""

    def __init__(self, client: SyncPrefectClient, lease: UUID, tell_of_loss: Callable[[], None]) -> None:
        self.is_lost = False
        self._client = client
        self._lease = lease
        self._tell_of_loss = tell_of_loss
        self._over = threading.Event()
        # What Prefect is set to lies in the context.
        self._thread = threading.Thread(
            target=copy_context().run, args=(self._renew,), name="lihop-lease", daemon=True
        )

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """Renew no more. Whoever hangs is left behind: nobody is to wait for it."""
        self._over.set()
        self._thread.join(LEAVE_S)

    def _renew(self) -> None:
        from httpx import HTTPError

        with asking_once():
            while not self._over.wait(LEASE_S / RENEWALS):
                try:
                    self._client.renew_concurrency_lease(self._lease, LEASE_S)
                except HTTPError as error:
                    # Of a server that is away we ask again at the next turn; one that says this is not.
                    if _status(error) == HTTPStatus.GONE:
                        self.is_lost = True
                        self._tell_of_loss()
                        return
                except RuntimeError:
                    # We were left behind, and the client is closed.
                    return


def _client(answer_s: float) -> SyncPrefectClient:
    """Return a client that waits so long (s) for an answer, at most."""
    from prefect.client.orchestration import get_client

    return get_client(sync_client=True, httpx_settings={"timeout": max(1.0, min(answer_s, ANSWER_S))})


def asking_once() -> AbstractContextManager[object]:
    """Have Prefect's client ask once inside the body: it would ask again past the time that there is."""
    from prefect.settings import PREFECT_CLIENT_MAX_RETRIES, temporary_settings

    return temporary_settings({PREFECT_CLIENT_MAX_RETRIES: 0})


def _acquire(at: Desk, limit: str, wait_s: float, tell_why_not: Callable[[str], None]) -> UUID | None:
    """Return the lease of a place, or nothing where the server does not answer as it should."""
    from httpx import HTTPError

    begun = time.monotonic()
    while True:
        try:
            with asking_once():
                answer = at.asking.increment_concurrency_slots_with_lease([limit], 1, "concurrency", LEASE_S)
        except HTTPError as error:
            waited_s = time.monotonic() - begun + LOOK_S
            if _is_taken(error):
                at.is_away = False
                if waited_s > wait_s:
                    raise LimitTakenError(
                        f"others hold the limit {limit} of the Prefect server; waited {wait_s:.3g} s"
                    ) from None
            elif at.is_away or waited_s > min(wait_s, AWAY_S) or not _may_pass(error):
                at.is_away = _may_pass(error)
                tell_why_not(type(error).__name__)
                return None
        else:
            at.is_away = False
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


def _lost(limit: str, without: str) -> str:
    return (
        f"the place under the limit {limit} was lost: it was not renewed within {LEASE_S:g} s, the Prefect "
        f"server being away say, and others may have it. Going on, {without}"
    )


def _give_back(client: SyncPrefectClient, lease: UUID, tell_why_not: Callable[[str], None]) -> None:
    """Leave the limit; who cannot says so, and what was done meanwhile is done."""
    try:
        with asking_once():
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
