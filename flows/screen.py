"""The flow `screen-cathodes`: candidates in, ranked barriers out, each batch a task run."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any
from uuid import UUID

from prefect import flow
from prefect.logging import get_run_logger

from flows.campaign import carry_out
from flows.naming import new_run_id, run_id_of
from flows.orchestration.at_work import at_work
from flows.orchestration.gpu_pool import GpuPool
from flows.orchestration.one_writer import writing_alone
from flows.orchestration.screening_artifacts import show_screening, show_unfinished
from flows.parameters import ScreenParameters
from flows.resuming import anchored, resumed
from flows.run_names import run_name
from flows.running.pools import pool_of
from flows.running.through_prefect import PrefectSteps
from storage.errors import StorageError

if TYPE_CHECKING:
    from flows.campaign import Summary
    from flows.inference import Elsewhere

DEFAULTS = ScreenParameters()


def _name() -> str:
    from prefect.runtime import flow_run

    asked = ScreenParameters.model_validate(flow_run.parameters["parameters"])
    with suppress(StorageError):
        # What a run that is gone on with screens is told by its manifest. Without one it ends, and says why.
        return run_name(asked, resumed(asked)[0])
    return run_name(asked)


@flow(name="screen-cathodes", flow_run_name=_name, persist_result=False, result_serializer="json")
def screen_cathodes(parameters: ScreenParameters = DEFAULTS) -> dict[str, Any]:
    """Screen battery cathodes for fast ion migration and rank them in a DuckDB file."""
    # Once: another run may be the latest one a moment later.
    settings, known = resumed(parameters)
    run_id = known or _run_id()
    try:
        with at_work():
            summary = _screen(settings if known else anchored(settings), run_id)
    except Exception as error:
        show_unfinished(settings.database, run_id, error)
        raise
    get_run_logger().info(_told(summary))
    show_screening(summary)
    return summary.as_dict()


def _screen(settings: ScreenParameters, run_id: str) -> Summary:
    pool = pool_of(settings)
    with writing_alone():
        return carry_out(settings, run_id, PrefectSteps(pool), _elsewhere(settings), pool)


def _elsewhere(parameters: ScreenParameters) -> Elsewhere | None:
    """Return the GPU pool where there is a server: one that lives as long as this run has no workers."""
    from prefect.settings import PREFECT_API_URL

    return None if parameters.inference == "here" or PREFECT_API_URL.value() is None else GpuPool()


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
