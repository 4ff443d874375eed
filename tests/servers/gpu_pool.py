"""What tests of the GPU pool ask of their Prefect server, and do there in the place of its worker."""

from __future__ import annotations

from prefect.client.schemas.filters import FlowRunFilter

from flows.orchestration.names import GPU_LIMIT, TAG
from tests import processes


def runs(client):
    """Return the runs that are ours."""
    ours = FlowRunFilter.model_validate({"tags": {"all_": [TAG]}, "name": {"like_": ""}})
    return client.read_flow_runs(flow_run_filter=ours)


def until(condition, answer=None):
    """Return what the condition finds, once it does; raise what an answer that came first did."""

    def looked():
        found = condition()
        if not found and answer is not None and answer.done():
            answer.result()
        return found

    return processes.until(looked)


def state_of(client, run):
    return client.read_flow_run(run.id).state


def hold(client):
    """Take the place at the GPU; return what it is given back by."""
    held = {"slots": 1, "names": [GPU_LIMIT], "mode": "concurrency", "lease_duration": 600}
    answer = client.request("POST", "/v2/concurrency_limits/increment-with-lease", json=held)
    return answer.json()["lease_id"]


def release(client, lease):
    client.request("POST", "/v2/concurrency_limits/decrement-with-lease", json={"lease_id": lease})
