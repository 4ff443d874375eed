"""One at a time at the GPU: predictions hold the server's limit for that, and wait for it for a while."""

from __future__ import annotations

from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING

from flows.orchestration.names import GPU_LIMIT

if TYPE_CHECKING:
    from collections.abc import Iterator

WAIT_S = 300.0
"""Longest wait for others: a place that a kill left held is free in little more than a minute, while training
may take hours, in which whoever waits for us could have predicted without a GPU."""

LEASE_S = 60.0
"""After so long the server gives the place of who was killed to the next one."""


class GpuTakenError(RuntimeError):
    """Others held the GPU for too long."""


@contextmanager
def gpu_slot() -> Iterator[None]:
    """Hold the GPU's place inside the body, where the server has a limit for that.

    Raises
    ------
    GpuTakenError
        When others hold it for too long.
    """
    from prefect.concurrency.sync import concurrency

    with ExitStack() as held:
        try:
            held.enter_context(
                concurrency(GPU_LIMIT, occupy=1, lease_duration=LEASE_S, timeout_seconds=WAIT_S)
            )
        except TimeoutError as error:
            raise GpuTakenError(f"others held the GPU (the limit {GPU_LIMIT}) for {WAIT_S:g} s") from error
        yield
