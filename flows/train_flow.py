"""The flow `train-barrier-model`: labelled hops in, a checkpoint out."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from prefect import flow, task
from prefect.artifacts import create_markdown_artifact
from prefect.cache_policies import NO_CACHE
from prefect.logging import get_run_logger

from flows.orchestration.at_work import at_work
from flows.orchestration.names import GPU_SLOT
from flows.train import logs_folder, train
from flows.train_parameters import TrainParameters
from tasks.datasets.registry import own_names
from tasks.reports.artifacts import training_markdown

DEFAULTS = TrainParameters()


def _name() -> str:
    from prefect.runtime import flow_run

    parameters = TrainParameters.model_validate(flow_run.parameters["parameters"])
    named = [*parameters.datasets, "own"] if parameters.own else parameters.datasets
    return f"{parameters.settings.arch} on {parameters.rows} of {', '.join(named)}"


@task(name="train", tags=[GPU_SLOT], cache_policy=NO_CACHE, persist_result=False)
def fit(parameters: TrainParameters) -> dict[str, Any]:
    """Train, with a GPU to itself where the server has a limit for that."""
    output = Path(parameters.output)
    return train(
        parameters.settings,
        output,
        datasets=_datasets(parameters),
        rows=parameters.rows,
        name=parameters.name,
        data_dir=parameters.data_dir,
        workers=parameters.workers,
        accelerator=parameters.accelerator,
        logs=logs_folder(output) if parameters.logs else None,
        fresh=parameters.fresh,
        fresh_if_changed=parameters.fresh_if_changed,
    )


def _datasets(parameters: TrainParameters) -> list[str]:
    """Return the names of the data sets, with the user's own of today where these are asked for."""
    own = own_names(parameters.data_dir) if parameters.own else []
    return [*parameters.datasets, *(name for name in own if name not in parameters.datasets)]


@flow(name="train-barrier-model", flow_run_name=_name, persist_result=False, result_serializer="json")
def train_barrier_model(parameters: TrainParameters = DEFAULTS) -> dict[str, Any]:
    """Learn barriers from labelled hops and write a checkpoint; cut off, the same training goes on."""
    # Here, since a server that only reads the parameters need not wait for torch.
    from models.recipe import OUT_OF_FOLD

    # Hops, networks and epochs are counted, so that none of them is the unit.
    with at_work(""):
        found = fit(parameters)
    get_run_logger().info("Checkpoint %s, digest %s", found["path"], found["model_digest"])
    held_out = found["metrics"].get(OUT_OF_FOLD, {})
    create_markdown_artifact(training_markdown(found, held_out), key="training-summary")
    return found
