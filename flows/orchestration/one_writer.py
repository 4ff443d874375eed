"""One recorder on all machines: the limit of a Prefect server, held beside the file lock of this machine."""

from __future__ import annotations

import time
from contextlib import ExitStack, contextmanager
from http import HTTPStatus
from typing import TYPE_CHECKING

from flows.orchestration.names import WRITER
from flows.progress import reporter
from storage.database import also_holding
from storage.errors import DatabaseLockedError

if TYPE_CHECKING:
    from collections.abc import Iterator

LEASE_S = 60.0
"""After so long the server gives the place of a recorder that was killed to the next one."""

WAIT_S = 300.0
"""Longest wait for other machines: several of those that were killed one after the other."""

LOOK_S = 0.5
"""How often who waits asks again."""

ANSWER_S = 1.0
"""How long the server is given to answer at least, however little time is left."""


@contextmanager
def writing_alone() -> Iterator[None]:
    """Let no other machine record inside the body while we do, where the server has a limit for that.

    Every flow that records does so within this.
    """
    if limits_writers():
        with also_holding(one_writer):
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
def one_writer(wait_s: float = WAIT_S) -> Iterator[None]:
    """Hold the server's limit inside the body; go on under the file lock alone where it cannot be asked.

    Whatever the body raises comes out of it, also where the server is gone when the limit is given back.

    Parameters
    ----------
    wait_s : float
        Longest wait for others (s), of at most `WAIT_S`.

    Raises
    ------
    DatabaseLockedError
        When others hold it for too long.
    """
    held = ExitStack()
    _acquire(held, min(wait_s, WAIT_S))
    try:
        yield
    finally:
        _give_back(held)


def _acquire(held: ExitStack, wait_s: float) -> None:
    """Enter the limit, unless the server does not answer as it should.

    A single try is made at a time: whoever is interrupted while Prefect waits is given the place all the
    same, later, and nobody else gets it until its lease runs out.
    """
    from httpx import HTTPError
    from prefect.concurrency.asyncio import ConcurrencySlotAcquisitionError
    from prefect.concurrency.sync import concurrency

    end = time.monotonic() + wait_s
    while True:
        answer_s = max(ANSWER_S, end - time.monotonic())
        try:
            held.enter_context(
                concurrency(WRITER, occupy=1, lease_duration=LEASE_S, timeout_seconds=answer_s, max_retries=0,
                            strict=True, raise_on_lease_renewal_failure=False)
            )  # fmt: skip
        except (HTTPError, ConcurrencySlotAcquisitionError, TimeoutError) as error:
            if not _is_taken(error):
                reporter().message(
                    f"the limit {WRITER} could not be held ({_why(error)}): recording under the file lock of "
                    "this machine alone"
                )
                return
        else:
            return
        if time.monotonic() + LOOK_S > end:
            raise DatabaseLockedError(
                f"others hold the limit {WRITER} of the Prefect server; waited {wait_s:.3g} s. Wait until "
                "they have finished, or look at it under Concurrency in the Prefect UI"
            )
        time.sleep(LOOK_S)


def _give_back(held: ExitStack) -> None:
    """Leave the limit; who cannot says so, and what was recorded meanwhile is recorded."""
    try:
        held.close()
    except Exception as error:  # noqa: BLE001 - whatever it is, it must not end a run that has recorded
        reporter().message(
            f"the limit {WRITER} could not be given back ({type(error).__name__}): the Prefect server does "
            f"not answer as it should. Others wait until its lease runs out, {LEASE_S:g} s at most"
        )


def _is_taken(error: Exception) -> bool:
    """Tell whether the server said that others hold the limit."""
    response = getattr(error.__cause__, "response", None)
    return response is not None and response.status_code == HTTPStatus.LOCKED


def _why(error: Exception) -> str:
    """Return the kind of an error, or of what it came from where Prefect has wrapped that."""
    return type(error.__cause__ or error).__name__
