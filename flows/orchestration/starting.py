"""Starting a flow from a command, so that its run is known for one of ours, as a deployment's are."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from flows.orchestration.names import TAG

if TYPE_CHECKING:
    from prefect import Flow
    from pydantic import BaseModel


def run_as_ours(flow: Flow[Any, dict[str, Any]], parameters: BaseModel) -> dict[str, Any]:
    """Run a flow in this process under the tag that the automations look for; return what it returns.

    Prefect's `tags` would tag every task run too, and each would ask the server for a limit of that name.

    Parameters
    ----------
    flow : Flow
        A flow with one parameter, `parameters`.
    parameters : BaseModel
        Its value.
    """
    from prefect.client.orchestration import get_client
    from prefect.flow_engine import run_flow

    given: dict[str, Any] = {"parameters": parameters}
    with get_client(sync_client=True) as client:
        run = client.create_flow_run(flow, parameters=flow.serialize_parameters(given), tags=[TAG])
    return cast("dict[str, Any]", run_flow(flow, flow_run=run, parameters=given))
