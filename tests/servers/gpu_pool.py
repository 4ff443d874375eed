"""What tests of the GPU pool ask of their Prefect server, and do there in the place of its worker."""

from __future__ import annotations

import time

from prefect.client.schemas.filters import FlowRunFilter

from flows.orchestration.names import GPU_LIMIT, TAG

PATIENCE_S = 60.0


def runs(client):
    """Return the runs that are ours."""
    ours = FlowRunFilter.model_validate({"tags": {"all_": [TAG]}, "name": {"like_": ""}})
    return client.read_flow_runs(flow_run_filter=ours)


def until(condition, answer=None):
    """Return what the condition finds, once it does; raise what an answer that came first did."""
    end = time.monotonic() + PATIENCE_S
    while not (found := condition()):
        if answer is not None and answer.done():
            answer.result()
        assert time.monotonic() < end
        time.sleep(0.02)
    return found


def state_of(client, run):
    return client.read_flow_run(run.id).state


def hold(client):
    """Take the place at the GPU; return what it is given back by."""
    held = {"slots": 1, "names": [GPU_LIMIT], "mode": "concurrency", "lease_duration": 600}
    answer = client.request("POST", "/v2/concurrency_limits/increment-with-lease", json=held)
    return answer.json()["lease_id"]


def release(client, lease):
    client.request("POST", "/v2/concurrency_limits/decrement-with-lease", json={"lease_id": lease})
