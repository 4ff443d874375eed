"""Runs on a server of the tests' own: known for ours, alive as long as they are, and without a pickle."""

from __future__ import annotations

import json
import time

import pytest
from pydantic import BaseModel

from flows.inference import PredictParameters
from flows.prefect_environment import prepare_prefect

prepare_prefect()
from prefect import flow, task  # noqa: E402
from prefect.runtime import flow_run, task_run  # noqa: E402
from prefect.settings import (  # noqa: E402
    PREFECT_LOCAL_STORAGE_PATH,
    PREFECT_RESULTS_DEFAULT_SERIALIZER,
    PREFECT_RESULTS_PERSIST_BY_DEFAULT,
    temporary_settings,
)
from prefect.states import Crashed  # noqa: E402
from prefect.utilities.annotations import quote  # noqa: E402

from flows.orchestration import living  # noqa: E402
from flows.orchestration.living import staying_alive  # noqa: E402
from flows.orchestration.names import TAG, TAKEN_FOR_DEAD  # noqa: E402
from flows.orchestration.starting import run_as_ours  # noqa: E402
from flows.predict_flow import predict_barriers  # noqa: E402
from tasks.stages import Parcel, run_here, run_in_pool  # noqa: E402

pytestmark = pytest.mark.usefixtures("server")
PATIENCE_S = 60.0


class Asked(BaseModel):
    number: int = 1


def test_a_run_by_command_has_the_tag_and_its_tasks_have_none(client):
    """A tag of a task run is a limit that it asks the server for: one a batch."""

    @task(persist_result=False)
    def tags():
        return sorted(task_run.tags)

    @flow(name="tagged", persist_result=False)
    def tagged(parameters: Asked):
        return {"run": flow_run.id, "number": parameters.number, "tags": tags()}

    found = run_as_ours(tagged, Asked(number=7))
    assert (found["number"], found["tags"]) == (7, [])
    run = client.read_flow_run(found["run"])
    assert (run.tags, run.parameters) == ([TAG], {"parameters": {"number": 7}})
    assert run.state.is_completed()


def test_an_error_of_a_run_by_command_comes_out():
    @flow(name="failing", persist_result=False)
    def failing(parameters: Asked):
        raise LookupError(parameters.number)

    with pytest.raises(LookupError, match="3"):
        run_as_ours(failing, Asked(number=3))


def test_who_is_taken_for_dead_says_that_it_lives(client, monkeypatch):
    monkeypatch.setattr(living, "LOOK_S", 0.1)

    @flow(name="living", persist_result=False)
    def lives(parameters: Asked):
        with staying_alive():
            dead = Crashed(message=f"{TAKEN_FOR_DEAD} for 90 s")
            client.set_flow_run_state(flow_run.id, dead, force=True)
            end = time.monotonic() + PATIENCE_S
            while not client.read_flow_run(flow_run.id).state.is_running():
                assert time.monotonic() < end
                time.sleep(0.05)
        return {"run": flow_run.id}

    run = client.read_flow_run(run_as_ours(lives, Asked())["run"])
    assert run.state.is_completed()
    states = client.read_flow_run_states(run.id)
    assert [state.name for state in states] == ["Pending", "Running", "Crashed", "Running", "Completed"]


def test_nothing_is_pickled_also_where_results_are_to_be_kept(tmp_path, checkpoint):
    """A pickle runs whatever is in it. Of a flow that failed Prefect always keeps the error."""
    asked = PredictParameters(folder="nowhere", stems=("one",), model=str(checkpoint), model_digest="0")

    @flow(name="stages", persist_result=False)
    def stages():
        run_here("step", quote(Parcel(str, 1)))
        run_in_pool("batch", 1, quote(Parcel(str, 1)))

    theirs = {
        PREFECT_RESULTS_PERSIST_BY_DEFAULT: True,
        PREFECT_RESULTS_DEFAULT_SERIALIZER: "pickle",
        PREFECT_LOCAL_STORAGE_PATH: tmp_path / "kept",
    }
    with temporary_settings(theirs):
        assert stages(return_state=True).is_completed()
        assert predict_barriers(asked, return_state=True).is_failed()
    (error,) = [path.read_text(encoding="utf-8") for path in tmp_path.rglob("*") if path.is_file()]
    assert json.loads(error)["__exc_type__"].endswith("OtherModelError")


def test_prefect_writes_json_where_nothing_else_is_said():
    assert PREFECT_RESULTS_DEFAULT_SERIALIZER.value() == "json"
