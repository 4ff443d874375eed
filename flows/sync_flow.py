"""The flow `sync-candidates`: what a remote database has for a query, brought into the store."""

from __future__ import annotations

from typing import Any

from prefect import flow
from prefect.logging import get_run_logger

from flows.orchestration.at_work import at_work
from flows.orchestration.one_writer import writing_alone
from flows.parameters import SyncParameters
from flows.run_names import sync_name
from flows.sync import sync
from flows.syncing import counts_of

DEFAULTS = SyncParameters()


def _name() -> str:
    from prefect.runtime import flow_run

    parameters = SyncParameters.model_validate(flow_run.parameters["parameters"])
    return sync_name(parameters)


@flow(name="sync-candidates", flow_run_name=_name, persist_result=False, result_serializer="json")
def sync_candidates(parameters: SyncParameters = DEFAULTS) -> dict[str, Any]:
    """Fetch what is new or changed in a remote database, and mark what vanished."""
    with at_work("entries"), writing_alone():
        done = sync(parameters)
    get_run_logger().info(counts_of(done))
    return done.as_dict()
