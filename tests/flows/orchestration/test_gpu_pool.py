"""Asking the GPU pool, on a Prefect server of the tests' own; the test does what the pool's worker would."""

from __future__ import annotations

import contextvars
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from uuid import uuid4

import pytest
from httpx import ConnectError

from flows.inference import ElsewhereError, PredictParameters
from flows.prefect_environment import prepare_prefect

prepare_prefect()
from prefect.flow_engine import run_flow  # noqa: E402
from prefect.states import Cancelled, Completed, Crashed, Pending, Running, Scheduled  # noqa: E402

from flows import predict_flow  # noqa: E402
from flows.orchestration import gpu_pool  # noqa: E402
from flows.orchestration.gpu_pool import GpuPool, cancel, was_cancelled  # noqa: E402
from flows.orchestration.living import say_that_it_lives  # noqa: E402
from flows.orchestration.names import GPU, GPU_LIMIT, GPU_TAKEN, PREDICT, TAG, TAKEN_FOR_DEAD  # noqa: E402
from flows.predict_flow import predict_barriers  # noqa: E402
from tests.processes import PATIENCE_S  # noqa: E402
from tests.servers.gpu_pool import hold, release, runs, state_of, until  # noqa: E402

DEAD = f"{TAKEN_FOR_DEAD} for 90 s: it or its worker was killed."


@pytest.fixture
def pool(monkeypatch):
    monkeypatch.setattr(gpu_pool, "LOOK_S", 0.05)
    return GpuPool()


@pytest.fixture
def ask(checkpoint):
    return PredictParameters(folder="nowhere", stems=("one",), model=str(checkpoint), model_digest="0")


@contextmanager
def _asking(pool, asked, client):
    """Ask in a thread; yield the answer to come and the run that was made."""
    known = {run.id for run in runs(client)}
    with ThreadPoolExecutor(max_workers=1) as thread:
        answer = thread.submit(contextvars.copy_context().run, pool, asked)
        try:
            new = until(lambda: [run for run in runs(client) if run.id not in known], answer)
            yield answer, new[0]
        finally:
            pool.give_up()


def test_a_server_that_lihop_was_not_brought_to_says_what_to_do(server, pool, ask, client):
    if client.read_work_pools():
        pytest.fail("this test wants an empty server: it comes first in this file")
    with pytest.raises(
        ElsewhereError, match=f"no pool {GPU} with the deployment {PREDICT}; run `lihop deploy`"
    ):
        pool(ask)


def test_a_pool_that_nobody_works_for_is_not_asked(deployed, pool, ask, client):
    with pytest.raises(ElsewhereError, match=f"no worker of the pool {GPU} is alive"):
        pool(ask)
    assert runs(client) == []


def test_a_worker_that_was_not_heard_of_lately_is_not_alive(manned, pool, ask, client, monkeypatch):
    monkeypatch.setattr(gpu_pool, "FRESH_S", 0.0)
    with pytest.raises(ElsewhereError, match="is alive"):
        pool(ask)
    assert runs(client) == []


def test_what_is_completed_is_there(manned, pool, ask, client):
    with _asking(pool, ask, client) as (answer, run):
        assert TAG in run.tags
        client.set_flow_run_state(run.id, Running(), force=True)
        client.set_flow_run_state(run.id, Completed(), force=True)
        assert answer.result(PATIENCE_S) is None


def test_a_run_that_nobody_begins_is_cancelled(manned, pool, ask, client, monkeypatch):
    monkeypatch.setattr(gpu_pool, "PICK_UP_S", 0.3)
    with _asking(pool, ask, client) as (answer, run):
        with pytest.raises(ElsewhereError, match="began the run within"):
            answer.result(PATIENCE_S)
        assert state_of(client, run).is_cancelled()
    # Whoever is at work there has the GPU, and the next group does not wait for it as long.
    lease = hold(client)
    with pytest.raises(ElsewhereError, match="others still hold the GPU"):
        pool(ask)
    release(client, lease)


def test_what_is_over_stays_as_it_is(manned, pool, ask, client):
    with _asking(pool, ask, client) as (_, run):
        client.set_flow_run_state(run.id, Completed(), force=True)
        cancel(client, run.id)
        assert state_of(client, run).is_completed()
        client.delete_flow_run(run.id)
        cancel(client, run.id)


def test_who_gives_up_waits_for_no_server(ask):
    class Away:
        def read_flow_run(self, _run_id):
            raise ConnectError("nobody listens")

    pool = GpuPool()
    with ThreadPoolExecutor(max_workers=1) as thread:
        answer = thread.submit(pool._state, Away(), uuid4())
        pool.give_up()
        assert answer.result(PATIENCE_S) is None


def test_a_run_that_is_gone_is_said_to_be(manned, pool, ask, client):
    with _asking(pool, ask, client) as (answer, run):
        client.delete_flow_run(run.id)
        with pytest.raises(ElsewhereError, match=f"its run {run.id} is not there any more"):
            answer.result(PATIENCE_S)


def test_what_was_cancelled_before_it_began_ends_when_it_begins(deployed, ask, client):
    """Prefect begins it all the same, where a worker had taken it."""
    given = {"parameters": ask}
    run = client.create_flow_run(predict_barriers, parameters=given, state=Pending())
    assert not was_cancelled(client, run.id)
    cancel(client, run.id)
    assert was_cancelled(client, run.id)
    state = run_flow(predict_barriers, flow_run=run, parameters=given, return_type="state")
    assert state.is_cancelled()
    assert "Nobody waited" in state.message
    # Who asks for it again wants it.
    client.set_flow_run_state(run.id, Scheduled(), force=True)
    assert not was_cancelled(client, run.id)


def test_a_run_that_is_begun_may_take_longer(manned, pool, ask, client, monkeypatch):
    monkeypatch.setattr(gpu_pool, "PICK_UP_S", 0.3)
    start = gpu_pool._start

    def begun(*given):
        run_id = start(*given)
        client.set_flow_run_state(run_id, Running(), force=True)
        return run_id

    # Before anybody waits for it, who may be quicker than this test.
    monkeypatch.setattr(gpu_pool, "_start", begun)
    with _asking(pool, ask, client) as (answer, run):
        looked = []
        state = GpuPool._state

        def counted(*given):
            looked.append(time.monotonic())
            return state(*given)

        monkeypatch.setattr(GpuPool, "_state", counted)
        until(lambda: looked and looked[-1] - looked[0] > 0.6, answer)
        client.set_flow_run_state(run.id, Completed(), force=True)
        assert answer.result(PATIENCE_S) is None


def test_a_run_that_ended_otherwise_says_how(manned, pool, ask, client):
    with _asking(pool, ask, client) as (answer, run):
        client.set_flow_run_state(run.id, Crashed(message="its process is gone\nat line 3"), force=True)
        with pytest.raises(ElsewhereError, match=r"ended as Crashed: its process is gone$"):
            answer.result(PATIENCE_S)


def test_who_gives_up_has_a_running_one_ended_by_its_worker(manned, pool, ask, client):
    with _asking(pool, ask, client) as (answer, run):
        client.set_flow_run_state(run.id, Running(), force=True)
        pool.give_up()
        with pytest.raises(ElsewhereError, match="given up"):
            answer.result(PATIENCE_S)
        assert state_of(client, run).type.value == "CANCELLING"


def test_a_run_of_which_nothing_was_heard_is_done_without(manned, pool, ask, client):
    with _asking(pool, ask, client) as (answer, run):
        client.set_flow_run_state(run.id, Crashed(message=DEAD), force=True)
        with pytest.raises(ElsewhereError, match=TAKEN_FOR_DEAD):
            answer.result(PATIENCE_S)


def test_after_the_server_was_away_a_run_may_say_that_it_lives(manned, pool, ask, client, monkeypatch):
    """The server takes for dead what it could not hear of, and the run says so soon after."""
    monkeypatch.setattr(gpu_pool, "AWAY_S", 0.2)
    state, seen = GpuPool._state, []

    def slow_once(*given):
        if not seen:
            time.sleep(0.3)
        found = state(*given)
        seen.append(found.name)
        return found

    monkeypatch.setattr(GpuPool, "_state", slow_once)
    with _asking(pool, ask, client) as (answer, run):
        client.set_flow_run_state(run.id, Running(), force=True)
        until(lambda: seen, answer)
        client.set_flow_run_state(run.id, Crashed(message=DEAD), force=True)
        until(lambda: seen.count("Crashed") > 2, answer)
        assert say_that_it_lives(client, run.id)
        until(lambda: seen[-1] == "Running", answer)
        client.set_flow_run_state(run.id, Completed(), force=True)
        assert answer.result(PATIENCE_S) is None


def test_after_the_server_was_away_who_says_nothing_is_dead(manned, pool, ask, client, monkeypatch):
    monkeypatch.setattr(gpu_pool, "AWAY_S", -1.0)
    monkeypatch.setattr(gpu_pool, "REVIVED_S", -0.5)
    with _asking(pool, ask, client) as (answer, run):
        client.set_flow_run_state(run.id, Crashed(message=DEAD), force=True)
        with pytest.raises(ElsewhereError, match=TAKEN_FOR_DEAD):
            answer.result(PATIENCE_S)


@pytest.mark.parametrize(
    "state", [Crashed(message="its process is gone"), Cancelled(message=DEAD), Completed()]
)
def test_only_who_is_taken_for_dead_says_that_it_lives(manned, pool, ask, client, state):
    with _asking(pool, ask, client) as (_, run):
        client.set_flow_run_state(run.id, state, force=True)
        assert not say_that_it_lives(client, run.id)
        assert state_of(client, run).type == state.type


def test_who_waited_for_the_gpu_in_vain_does_not_wait_for_it_again(manned, pool, ask, client):
    with _asking(pool, ask, client) as (answer, run):
        client.set_flow_run_state(run.id, Cancelled(name=GPU_TAKEN, message="others held it"), force=True)
        with pytest.raises(ElsewhereError, match="others held it"):
            answer.result(PATIENCE_S)
    pool = GpuPool()
    pool._was_taken = True
    lease = hold(client)
    known = len(runs(client))
    with pytest.raises(ElsewhereError, match="others still hold the GPU"):
        pool(ask)
    assert len(runs(client)) == known
    release(client, lease)
    with _asking(pool, ask, client) as (answer, run):
        client.set_flow_run_state(run.id, Completed(), force=True)
        assert answer.result(PATIENCE_S) is None


def test_a_model_of_this_machine_is_named_so_that_another_folder_does_not_matter(
    manned, pool, ask, client, checkpoint, monkeypatch
):
    monkeypatch.chdir(checkpoint.parent)
    for given, sent in ((checkpoint.name, str(checkpoint)), ("production", "production")):
        asked = ask.model_copy(update={"model": given})
        with _asking(GpuPool(), asked, client) as (answer, run):
            assert run.parameters["parameters"] == asked.model_dump(mode="json") | {"model": sent}
            client.set_flow_run_state(run.id, Completed(), force=True)
            answer.result(PATIENCE_S)


def test_a_prediction_waits_for_the_gpu_for_a_while(deployed, ask, client, monkeypatch):
    monkeypatch.setattr(predict_flow, "GPU_WAIT_S", 1.0)
    lease = hold(client)
    state = predict_barriers(ask, return_state=True)
    assert (state.name, state.is_cancelled()) == (GPU_TAKEN, True)
    assert "waited 1 s" in state.message
    release(client, lease)
    # Its turn now, and the digest is another one.
    state = predict_barriers(ask, return_state=True)
    assert state.is_failed()
    assert "OtherModelError" in state.message
    until(lambda: client.read_global_concurrency_limit_by_name(GPU_LIMIT).active_slots == 0)


def test_who_is_told_to_stop_has_it_cancelled(manned, ask, client, monkeypatch):
    def interrupted(*_given):
        raise KeyboardInterrupt

    monkeypatch.setattr(GpuPool, "_state", interrupted)
    known = {run.id for run in runs(client)}
    with pytest.raises(KeyboardInterrupt):
        GpuPool()(ask)
    (run,) = [run for run in runs(client) if run.id not in known]
    assert state_of(client, run).is_cancelled()
