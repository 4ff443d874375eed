"""What is deployed: every flow, under parameters that its form explains, at times that exist."""

from __future__ import annotations

import importlib
import pkgutil
from pathlib import Path
from typing import get_type_hints

import pytest
from prefect import Flow
from prefect.client.schemas.schedules import CronSchedule
from prefect.utilities.importtools import import_object
from pydantic import BaseModel, ValidationError

import flows
from flows.inference import PredictParameters
from flows.orchestration.deploying import POOLS
from flows.orchestration.names import CPU, GPU, GPU_SLOT, PREDICT, TAG, TRAIN
from flows.orchestration.plan import planned
from flows.parameters import ScreenParameters, SyncParameters
from flows.predict_flow import predict
from flows.train_flow import fit, fit_without_gpu
from flows.train_parameters import TrainParameters

PLAN = list(planned())
BY_OTHERS = "predict-barriers"
"""Started by screenings, which say of what."""

STEMS = {"folder": "shards", "stems": ["hops-1"], "model_digest": "0"}


def _flows():
    """Return every flow of ours by its name."""
    found = {}
    for module in pkgutil.iter_modules(flows.__path__):
        file = Path(flows.__path__[0]) / f"{module.name}.py"
        if not module.ispkg and "@flow(" in file.read_text():
            things = vars(importlib.import_module(f"flows.{module.name}")).values()
            found |= {thing.name: thing for thing in things if isinstance(thing, Flow)}
    return found


FORMS = {name: get_type_hints(flow.fn)["parameters"] for name, flow in _flows().items()}
BY_HAND = [model for name, model in FORMS.items() if name != BY_OTHERS]


def test_every_flow_can_be_run_by_hand():
    by_hand = {import_object(one.entrypoint).name for one in PLAN if not one.schedules}
    assert by_hand == FORMS.keys()
    assert {ScreenParameters, SyncParameters, TrainParameters, PredictParameters} <= set(FORMS.values())


def test_no_two_are_called_the_same():
    names = [(one.entrypoint, one.name) for one in PLAN]
    assert len(set(names)) == len(names)


@pytest.mark.parametrize("one", PLAN, ids=lambda one: f"{one.entrypoint}/{one.name}")
def test_what_is_planned_can_run(one):
    flow = import_object(one.entrypoint)
    given = {"parameters": STEMS} if flow.name == BY_OTHERS else one.parameters
    assert flow.validate_parameters(given) is not None
    assert one.work_pool.name in POOLS
    # Automations know our runs by it, and take one without heartbeats for dead.
    assert TAG in one.tags
    assert one.work_pool.job_variables["env"] == {"PREFECT_FLOWS_HEARTBEAT_FREQUENCY": "30"}
    for when in one.schedules:
        assert CronSchedule(cron=when.cron, timezone=when.timezone)


def test_what_runs_by_itself_never_runs_twice_at_once():
    assert all(one.concurrency_limit.limit == 1 for one in PLAN if one.schedules)
    assert any(one.schedules for one in PLAN)


def test_a_night_has_what_is_new_and_a_week_a_model():
    scheduled = {import_object(one.entrypoint).name: one for one in PLAN if one.schedules}
    night = ScreenParameters.model_validate(scheduled["screen-cathodes"].parameters["parameters"])
    assert (night.source, night.sync) == ("mp", True)
    assert scheduled["screen-cathodes"].schedules[0].cron.endswith("* * *")
    assert scheduled["train-barrier-model"].schedules[0].cron.endswith("* * 0")


def _fields(model):
    for name, field in model.model_fields.items():
        yield model, name, field
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            yield from _fields(field.annotation)


@pytest.mark.parametrize(
    ("model", "name", "field"),
    [found for model in BY_HAND for found in _fields(model)],
    ids=lambda value: value.__name__ if isinstance(value, type) else value if isinstance(value, str) else "",
)
def test_a_form_explains_itself(model, name, field):
    assert field.description, f"{model.__name__}.{name}"
    # Of one that has none pydantic makes one out of its name.
    assert field.title, f"{model.__name__}.{name}"
    # A factory's value would show as nothing in the form.
    assert field.default_factory is None
    assert not field.is_required()


def test_what_screenings_ask_for_is_there_and_goes_to_a_gpu():
    (one,) = [one for one in PLAN if import_object(one.entrypoint).name == BY_OTHERS]
    assert f"{BY_OTHERS}/{one.name}" == PREDICT
    assert one.work_pool.name == GPU
    assert all(field.description and field.title for field in PredictParameters.model_fields.values())
    with pytest.raises(ValidationError):
        PredictParameters.model_validate(STEMS | {"stems": []})


def test_trainings_are_asked_for_anywhere_and_done_at_a_gpu():
    pools = {one.name: one.work_pool.name for one in PLAN if one.entrypoint.endswith(".train_barrier_model")}
    assert pools == {"weekly": CPU, "custom": CPU, TRAIN.partition("/")[2]: GPU}


def test_what_needs_a_gpu_holds_its_slot():
    """A prediction holds it by itself, for which see test_gpu_pool.py: by a tag it would wait without end."""
    assert fit.tags == {GPU_SLOT}
    assert fit_without_gpu.tags == set()
    assert predict.tags == set()


@pytest.mark.parametrize("model", FORMS.values())
def test_parameters_are_frozen_and_know_their_names(model):
    assert model.model_config["frozen"]
    with pytest.raises(ValidationError):
        model.model_validate({"colour": "red"})


@pytest.mark.parametrize(
    "bad", [{"datasets": []}, {"workers": 0}, {"accelerator": "tpu"}, {"rows": "test"}, {"output": ""},
            {"datasets": ["devi2026"]}, {"datasets": ["own-"]}, {"datasets": ["devi2025", "devi2025"]},
            {"settings": {"arch": "mlp"}},
            {"settings": {"members": 0}}, {"settings": {"groups": ["local", "local"]}}]
)  # fmt: skip
def test_bad_trainings_are_refused(bad):
    with pytest.raises(ValidationError):
        TrainParameters.model_validate(bad)


@pytest.mark.parametrize("bad", [{"database": ""}, {"model": ""}, {"source": "files", "path": ""}])
def test_screenings_of_nothing_are_refused(bad):
    with pytest.raises(ValidationError, match="at least 1 character"):
        ScreenParameters.model_validate(bad)


def test_a_week_learns_from_what_was_added_and_is_not_stopped_by_an_earlier_one():
    (weekly,) = [one for one in PLAN if one.name == "weekly"]
    parameters = TrainParameters.model_validate(weekly.parameters["parameters"])
    assert (parameters.own, parameters.rows, parameters.fresh_if_changed) == (True, "all", True)
