"""The flow `sync-candidates`: what a remote database has for a query, brought into the store."""

from __future__ import annotations

from typing import Any

from prefect import flow

from flows.parameters import SyncParameters
from flows.sync import sync

DEFAULTS = SyncParameters()


def _name() -> str:
    from prefect.runtime import flow_run

    parameters = SyncParameters.model_validate(flow_run.parameters["parameters"])
    return f"{parameters.working_ion} {parameters.source}"


@flow(name="sync-candidates", flow_run_name=_name, persist_result=False)
def sync_candidates(parameters: SyncParameters = DEFAULTS) -> dict[str, Any]:
    """Fetch what is new or changed in a remote database, and mark what vanished."""
    return sync(parameters).as_dict()
