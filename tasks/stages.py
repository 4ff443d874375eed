"""The Prefect tasks: thin wrappers that hand a batch to a pool's process, or run a step where they are."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from prefect import task
from prefect.cache_policies import NO_CACHE

if TYPE_CHECKING:
    from collections.abc import Callable


@dataclass(eq=False)
class Parcel:
    """A call, what it is called with, and what came of it.

    Tasks return nothing, since Prefect keeps what it knows of every result for as long as a flow runs.

    Parameters
    ----------
    call : callable
        A function of one argument.
    payload : object
        Its argument.
    """

    call: Callable[[Any], Any]
    payload: Any
    found: Any = None

    def deliver(self) -> None:
        """Make the call and keep what it returns."""
        self.found = self.call(self.payload)


# Callers quote what they pass, and Prefect unwraps it: hence no narrower types than Any. Our stage keys say
# what need not be computed again; Prefect's cache would only hash the payload for nothing.
@task(name="batch", task_run_name="{stage} {number}", cache_policy=NO_CACHE, persist_result=False)
def run_in_pool(stage: str, number: int, parcel: Any) -> None:  # noqa: ANN401, ARG001 - named for the UI
    """Run some batches in the pool and wait for them."""
    parcel.deliver()


@task(name="step", task_run_name="{stage}", cache_policy=NO_CACHE, persist_result=False)
def run_here(stage: str, parcel: Any) -> None:  # noqa: ANN401, ARG001 - named for the UI
    """Run one step in this process."""
    parcel.deliver()
