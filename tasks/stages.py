"""The Prefect tasks: thin wrappers that hand a batch to a pool's process, or run a step where they are."""

from __future__ import annotations

from typing import Any

from prefect import task
from prefect.cache_policies import NO_CACHE


# Callers quote what they pass, and Prefect unwraps it: hence no narrower types than Any. Our stage keys say
# what need not be computed again; Prefect's cache would only hash the payload for nothing.
@task(name="batch", task_run_name="{stage} {number}", cache_policy=NO_CACHE, persist_result=False)
def run_in_pool(stage: str, number: int, pool: Any, call: Any, payload: Any) -> Any:  # noqa: ANN401, ARG001 - named for the UI
    """Run one batch in a process of the pool and wait for it."""
    return pool.run(call, payload)


@task(name="step", task_run_name="{stage}", cache_policy=NO_CACHE, persist_result=False)
def run_here(stage: str, call: Any, payload: Any) -> Any:  # noqa: ANN401, ARG001 - named for the UI
    """Run one step in this process."""
    return call(payload)
