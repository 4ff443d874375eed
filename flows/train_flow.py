"""The flow `train-barrier-model`: labelled hops in, a checkpoint out."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from uuid import UUID

from prefect import flow, task
from prefect.artifacts import create_markdown_artifact
from prefect.cache_policies import NO_CACHE
from prefect.client.orchestration import get_client
from prefect.client.schemas.filters import ArtifactFilter
from prefect.client.schemas.objects import State  # noqa: TC002 - Prefect reads it
from prefect.logging import get_run_logger
from prefect.runtime import flow_run
from prefect.settings import PREFECT_API_URL
from prefect.states import Cancelled

from flows.inference import CancelledElsewhereError, ElsewhereError
from flows.orchestration.at_work import at_work
from flows.orchestration.gpu_pool import GpuPool
from flows.orchestration.names import GPU, GPU_SLOT, TRAIN
from flows.train import logs_folder, train
from flows.train_parameters import TrainParameters
from tasks.datasets.registry import own_names
from tasks.reports.artifacts import training_markdown

DEFAULTS = TrainParameters()
SUMMARY = "training-summary"

PATIENCE_S = 900.0
"""How long a training waits for a worker of the GPU pool that is at work on something else: predictions take
minutes, and who trains without a GPU takes hours."""


def _name() -> str:
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


fit_without_gpu = task(name="train", cache_policy=NO_CACHE, persist_result=False)(fit.fn)
"""The same, and keeps nobody from a GPU."""


def _datasets(parameters: TrainParameters) -> list[str]:
    """Return the names of the data sets, with the user's own of today where these are asked for."""
    own = own_names(parameters.data_dir) if parameters.own else []
    return [*parameters.datasets, *(name for name in own if name not in parameters.datasets)]


@flow(name="train-barrier-model", flow_run_name=_name, persist_result=False, result_serializer="json")
def train_barrier_model(parameters: TrainParameters = DEFAULTS) -> dict[str, Any] | State[Any]:
    """Learn barriers from labelled hops and write a checkpoint; cut off, the same training goes on."""
    at_a_gpu = _is_in_gpu_pool()
    # Hops, networks and epochs are counted, so that none of them is the unit.
    with at_work(""):
        if parameters.training == "pool" and not at_a_gpu and PREFECT_API_URL.value() is not None:
            try:
                return _train_in_pool(parameters)
            except CancelledElsewhereError as error:
                return Cancelled(message=str(error))
            except ElsewhereError as error:
                get_run_logger().warning("It is trained in this process: %s", error)
        found = (fit if at_a_gpu else fit_without_gpu)(parameters)
    get_run_logger().info("Checkpoint %s, digest %s", found["path"], found["model_digest"])
    # Here, since a server that only reads the parameters need not wait for torch.
    from models.recipe import OUT_OF_FOLD

    held_out = found["metrics"].get(OUT_OF_FOLD, {})
    create_markdown_artifact(training_markdown(found, held_out), key=SUMMARY)
    return found


def _train_in_pool(parameters: TrainParameters) -> dict[str, Any]:
    """Have it trained by a worker of the GPU pool, and show here what is shown there.

    Raises
    ------
    ElsewhereError
        When nobody there does it.
    """
    run = GpuPool().run(TRAIN, parameters.model_copy(update={"training": "here"}), PATIENCE_S)
    of_it = ArtifactFilter.model_validate({"flow_run_id": {"any_": [run]}, "key": {"any_": [SUMMARY]}})
    with get_client(sync_client=True) as client:
        for shown in client.read_artifacts(artifact_filter=of_it):
            create_markdown_artifact(str(shown.data), key=SUMMARY)
    get_run_logger().info("Checkpoint %s, trained in the pool %s by the run %s", parameters.output, GPU, run)
    return {"path": parameters.output, "trained_by": str(run)}


def _is_in_gpu_pool() -> bool:
    """Tell whether a worker of the GPU pool runs this."""
    with get_client(sync_client=True) as client:
        return client.read_flow_run(UUID(flow_run.id)).work_pool_name == GPU
