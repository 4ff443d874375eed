"""One recorder on all machines: the limit of a Prefect server, held beside the file lock of this machine."""

from __future__ import annotations

from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING

from flows.orchestration.names import WRITER
from flows.progress import reporter
from storage.errors import DatabaseLockedError

if TYPE_CHECKING:
    from collections.abc import Iterator

LEASE_S = 60.0
"""After so long the server gives the place of a recorder that was killed to the next one."""

WAIT_S = 300.0
"""Longest wait for other machines: several of those that were killed one after the other."""


def limits_writers() -> bool:
    """Tell whether the server has the limit; one that `lihop deploy` was never run on has none."""
    from prefect.client.orchestration import get_client
    from prefect.exceptions import ObjectNotFound

    with get_client(sync_client=True) as client:
        try:
            client.read_global_concurrency_limit_by_name(WRITER)
        except ObjectNotFound:
            return False
    return True


@contextmanager
def one_writer() -> Iterator[None]:
    """Hold the server's limit inside the body; go on under the file lock alone where it cannot be asked.

    Raises
    ------
    DatabaseLockedError
        When others hold it for too long.
    """
    from httpx import HTTPError
    from prefect.concurrency.asyncio import ConcurrencySlotAcquisitionError
    from prefect.concurrency.sync import concurrency

    with ExitStack() as held:
        try:
            held.enter_context(
                concurrency(WRITER, occupy=1, lease_duration=LEASE_S, timeout_seconds=WAIT_S, strict=True,
                            raise_on_lease_renewal_failure=False)
            )  # fmt: skip
        except (HTTPError, ConcurrencySlotAcquisitionError) as error:
            reporter().message(
                f"the limit {WRITER} could not be held ({type(error).__name__}): recording under the file "
                "lock of this machine alone"
            )
        except TimeoutError as error:
            raise DatabaseLockedError(
                f"others hold the limit {WRITER} of the Prefect server; waited {WAIT_S:g} s. Wait until they "
                "have finished, or look at it under Concurrency in the Prefect UI"
            ) from error
        yield
