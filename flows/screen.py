"""The flow `screen-cathodes`: candidates in, ranked barriers out, each batch a task run."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from uuid import UUID

from prefect import flow
from prefect.artifacts import create_markdown_artifact, create_table_artifact

from flows.campaign import run_campaign, run_name
from flows.naming import new_run_id, run_id_of
from flows.parameters import ScreenParameters
from flows.running.pools import pool_of
from flows.running.through_prefect import PrefectSteps
from storage.queries import rankings
from tasks.reports.artifacts import ranking_table, summary_markdown

if TYPE_CHECKING:
    from flows.campaign import Summary

DEFAULTS = ScreenParameters()
RANKING_ROWS = 50


def _name() -> str:
    from prefect.runtime import flow_run

    return run_name(ScreenParameters.model_validate(flow_run.parameters["parameters"]))


@flow(name="screen-cathodes", flow_run_name=_name, persist_result=False)
def screen_cathodes(parameters: ScreenParameters = DEFAULTS) -> dict[str, Any]:
    """Screen battery cathodes for fast ion migration and rank them in a DuckDB file."""
    summary = _screen(parameters)
    _show(summary)
    return summary.as_dict()


def _screen(parameters: ScreenParameters) -> Summary:
    with pool_of(parameters) as pool:
        return run_campaign(parameters, PrefectSteps(pool), _run_id())


def _run_id() -> str:
    """Return the identifier of this run, by which a retry goes on with what an earlier attempt began."""
    from prefect.client.orchestration import get_client
    from prefect.runtime import flow_run

    identifier = UUID(flow_run.id)
    with get_client(sync_client=True) as client:
        created = client.read_flow_run(identifier).created
    return new_run_id() if created is None else run_id_of(created, identifier)


def _show(summary: Summary) -> None:
    rows = rankings(summary.database, limit=RANKING_ROWS)
    create_markdown_artifact(summary_markdown(summary.as_dict()), key="screening-summary")
    create_table_artifact(ranking_table(rows), key="ranking", description="The best ranked materials.")
