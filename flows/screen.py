"""The flow `screen-cathodes`: candidates in, ranked barriers out, each batch a task run."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar, cast
from uuid import UUID

from prefect import Flow, flow
from prefect.futures import PrefectFuture, as_completed
from prefect.logging import get_run_logger
from prefect.task_runners import TaskRunner, ThreadPoolTaskRunner
from prefect.utilities.annotations import quote

from flows.campaign import run_campaign
from flows.naming import new_run_id, run_id_of
from flows.orchestration.screening_artifacts import show_screening, show_unfinished
from flows.orchestration.showing import shown_in_prefect
from flows.parameters import ScreenParameters
from flows.resuming import resumed
from flows.run_names import run_name
from flows.runners import BatchPool
from tasks.stages import run_here, run_in_pool

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from flows.campaign import Summary

DEFAULTS = ScreenParameters()

P = TypeVar("P")
R = TypeVar("R")


class PrefectSteps:
    """Steps as Prefect task runs, whose threads hand batches to the pool.

    Parameters
    ----------
    pool : BatchPool
        Where batches run.
    """

    def __init__(self, pool: BatchPool) -> None:
        self.pool = pool

    def over_pool(
        self, stage: str, call: Callable[[P], R], payloads: Sequence[P]
    ) -> Iterator[tuple[P, R | Exception]]:
        """Run a call for every payload in the pool; yield each with its result, or its error, as it comes."""
        # Quoted values are passed on as they are: Prefect would otherwise look through them for futures.
        futures: dict[PrefectFuture[Any], P] = {
            run_in_pool.submit(stage, number, quote(self.pool), quote(call), quote(payload)): payload
            for number, payload in enumerate(payloads, start=1)
        }
        for future in as_completed(list(futures)):
            yield futures[future], future.result(raise_on_failure=False)

    def here(self, stage: str, call: Callable[[P], R], payload: P) -> R:
        """Run a call in this process and wait for it."""
        found: Any = run_here(stage, quote(call), quote(payload))
        return cast("R", found)


def _name() -> str:
    from prefect.runtime import flow_run

    return run_name(ScreenParameters.model_validate(flow_run.parameters["parameters"]))


@flow(name="screen-cathodes", flow_run_name=_name, persist_result=False)
def screen_cathodes(parameters: ScreenParameters = DEFAULTS) -> dict[str, Any]:
    """Screen battery cathodes for fast ion migration and rank them in a DuckDB file."""
    settings, known = resumed(parameters)
    run_id = known or _run_id()
    try:
        with shown_in_prefect():
            summary = _screen(parameters, run_id)
    except Exception as error:
        show_unfinished(settings.database, run_id, error)
        raise
    get_run_logger().info(_told(summary))
    show_screening(summary)
    return summary.as_dict()


def _screen(parameters: ScreenParameters, run_id: str) -> Summary:
    with BatchPool(parameters.workers) as pool:
        return run_campaign(parameters, PrefectSteps(pool), run_id)


def _told(summary: Summary) -> str:
    """Return what came of a screening, in a line."""
    return (
        f"{summary.n_candidates} materials of {summary.n_items} source items: {summary.n_computed} computed, "
        f"{summary.n_reused} known already, {summary.n_with_result} with a percolation result; in "
        f"{summary.database} as run {summary.run_id}"
    )


def _run_id() -> str:
    """Return the identifier of this run, by which a retry goes on with what an earlier attempt began."""
    from prefect.client.orchestration import get_client
    from prefect.runtime import flow_run

    identifier = UUID(flow_run.id)
    with get_client(sync_client=True) as client:
        created = client.read_flow_run(identifier).created
    return new_run_id() if created is None else run_id_of(created, identifier)


def screening_flow(workers: int) -> Flow[[ScreenParameters], dict[str, Any]]:
    """Return the flow with as many threads as keep so many processes busy."""
    # Threads only wait for the pool's processes, so more of them than processes keep the pool fed.
    runner: ThreadPoolTaskRunner[Any] = ThreadPoolTaskRunner(max_workers=workers + 2)
    return screen_cathodes.with_options(task_runner=cast("TaskRunner[PrefectFuture[Any]]", runner))
