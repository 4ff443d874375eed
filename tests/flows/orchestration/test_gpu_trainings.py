"""Trainings that the GPU pool is asked for; the test does what the pool's worker would."""

from __future__ import annotations

import contextvars
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import pytest

from flows.prefect_environment import prepare_prefect

prepare_prefect()
from prefect.flow_engine import run_flow  # noqa: E402
from prefect.states import Cancelled  # noqa: E402

from flows import train_flow  # noqa: E402
from flows.orchestration import gpu_pool  # noqa: E402
from flows.orchestration.names import GPU, GPU_LIMIT, TAG  # noqa: E402
from flows.train_flow import train_barrier_model  # noqa: E402
from flows.train_parameters import TrainParameters  # noqa: E402
from tests.processes import PATIENCE_S  # noqa: E402
from tests.servers.gpu_pool import runs, until  # noqa: E402

FOUND = {
    "path": "there", "name": "tiny", "model_digest": "d1", "n_training_hops": 3, "trained_on": "devi2025",
    "accelerator": "cpu", "metrics": {},
}  # fmt: skip


@pytest.fixture
def trained(client, monkeypatch):
    """Train in no time; return how many places at the GPU were held by each training of this process."""
    held = []

    def train(*_given, **_named):
        held.append(client.read_global_concurrency_limit_by_name(GPU_LIMIT).active_slots)
        return FOUND

    monkeypatch.setattr(train_flow, "train", train)
    monkeypatch.setattr(gpu_pool, "LOOK_S", 0.05)
    return held


def _summaries(client, run_id):
    of_it = {"flow_runs": {"id": {"any_": [str(run_id)]}}}
    shown = client.request("POST", "/artifacts/filter", json=of_it).json()
    return [one["data"] for one in shown if one["key"] == train_flow.SUMMARY]


def _training(client, deployment):
    """Return a run of a deployment, as its worker begins it, and its state in the end."""
    planned = client.read_deployment_by_name(f"train-barrier-model/{deployment}")
    run = client.create_flow_run_from_deployment(planned.id, tags=[TAG])
    state = run_flow(train_barrier_model, flow_run=run, parameters=ASKED, return_type="state")
    return run, state


ASKED = {"parameters": TrainParameters(output="there")}


@contextmanager
def _asking_for_training(client):
    """Ask in a thread; yield the answer to come and the run that the pool is to do."""
    known = {run.id for run in runs(client)}
    with ThreadPoolExecutor(max_workers=1) as thread:
        asking = thread.submit(contextvars.copy_context().run, _training, client, "custom")

        def asked():
            return [run for run in runs(client) if run.id not in known and run.parent_task_run_id]

        (below,) = until(asked, asking)
        yield asking, below


def test_a_training_is_done_by_the_pool_and_shown_by_who_asked(manned, client, trained):
    with _asking_for_training(client) as (asking, below):
        assert below.work_pool_name == GPU
        assert below.parameters["parameters"]["training"] == "here"
        given = {"parameters": TrainParameters.model_validate(below.parameters["parameters"])}
        assert run_flow(
            train_barrier_model, flow_run=below, parameters=given, return_type="state"
        ).is_completed()
        run, state = asking.result(PATIENCE_S)
    assert state.is_completed()
    # One training, with the GPU to itself.
    assert trained == [1]
    assert _summaries(client, run.id) == _summaries(client, below.id) != []


def test_a_training_that_nobody_takes_is_done_here_and_holds_no_gpu(
    deployed, client, trained, monkeypatch, caplog
):
    monkeypatch.setattr(gpu_pool, "FRESH_S", 0.0)
    run, state = _training(client, "custom")
    assert state.is_completed()
    assert trained == [0]
    (summary,) = _summaries(client, run.id)
    assert "digest `d1`" in summary
    assert "trained in this process: no worker of the pool" in caplog.text


def test_a_training_that_somebody_cancels_is_not_done_here(manned, client, trained):
    with _asking_for_training(client) as (asking, below):
        client.set_flow_run_state(below.id, Cancelled(message="enough"), force=True)
        _, state = asking.result(PATIENCE_S)
    assert state.is_cancelled()
    assert "enough" in state.message
    assert trained == []


def test_a_training_at_the_gpu_asks_nobody(manned, client, trained):
    known = {run.id for run in runs(client)}
    run, state = _training(client, "gpu")
    assert state.is_completed()
    assert trained == [1]
    assert {one.id for one in runs(client)} - known == {run.id}
