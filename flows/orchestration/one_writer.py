"""One recorder on all machines: the limit of a Prefect server, held beside the file lock of this machine."""

from __future__ import annotations

from contextlib import ExitStack, contextmanager
from functools import partial
from typing import TYPE_CHECKING

from flows.orchestration.leases import Desk, LimitTakenError, asking_once, place_of
from flows.orchestration.names import WRITER
from flows.progress import reporter
from storage.database import also_holding
from storage.errors import DatabaseLockedError

if TYPE_CHECKING:
    from collections.abc import Iterator

WAIT_S = 300.0
"""Longest wait for other machines: several of those that were killed one after the other."""


@contextmanager
def writing_alone() -> Iterator[None]:
    """Let no other machine record inside the body while we do, where the server has a limit for that.

    Every flow that records does so within this.
    """
    if limits_writers():
        with Desk() as desk, also_holding(partial(one_writer, desk=desk)):
            yield
    else:
        yield


def limits_writers() -> bool:
    """Tell whether the server has the limit; one that `lihop deploy` was never run on has none."""
    from httpx import HTTPError
    from prefect.client.orchestration import get_client
    from prefect.exceptions import ObjectNotFound

    try:
        with asking_once(), get_client(sync_client=True) as client:
            client.read_global_concurrency_limit_by_name(WRITER)
    except ObjectNotFound:
        return False
    except HTTPError:
        # It may be there again when there is something to record; each time it is asked anew.
        return True
    return True


@contextmanager
def one_writer(wait_s: float = WAIT_S, desk: Desk | None = None) -> Iterator[None]:
    """Hold the server's limit inside the body; go on under the file lock alone where it cannot be asked.

    Parameters
    ----------
    wait_s : float
        Longest wait for others (s), of at most `WAIT_S`.
    desk : Desk, optional
        Where to ask, if there is time to wait for its answers; otherwise at one that is made for it.

    Raises
    ------
    DatabaseLockedError
        When others hold it for too long.
    """
    place = place_of(
        WRITER,
        min(wait_s, WAIT_S),
        tell=lambda text: reporter().warning(text),
        without="recording under the file lock of this machine alone",
        desk=desk,
    )
    with ExitStack() as held:
        try:
            held.enter_context(place)
        except LimitTakenError as error:
            raise DatabaseLockedError(
                f"{error}. Wait until they have finished, or look at it under Concurrency in the Prefect UI"
            ) from None
        yield
