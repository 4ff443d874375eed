"""The flow `predict-barriers`: descriptors of batches in, shards of barriers out, on a worker with a GPU."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from prefect import flow, task
from prefect.cache_policies import NO_CACHE
from prefect.client.orchestration import get_client
from prefect.client.schemas.objects import State  # noqa: TC002 - Prefect reads it
from prefect.logging import get_run_logger
from prefect.runtime import flow_run
from prefect.states import Cancelled

from flows.inference import PredictParameters
from flows.orchestration.gpu_pool import was_cancelled
from flows.orchestration.leases import LimitTakenError, place_of
from flows.orchestration.living import staying_alive
from flows.orchestration.names import GPU_LIMIT, GPU_TAKEN

GPU_WAIT_S = 300.0
"""Longest wait for others: a place that a kill left held is free in little more than a minute, while training
may take hours, in which whoever waits for us could have predicted without a GPU."""


def _name() -> str:
    parameters = PredictParameters.model_validate(flow_run.parameters["parameters"])
    count = len(parameters.stems)
    return f"{count} {'batch' if count == 1 else 'batches'} by {parameters.model}"


@task(name="predict", cache_policy=NO_CACHE, persist_result=False)
def predict(parameters: PredictParameters) -> int:
    """Predict barriers of batches and write their shards; return how many batches."""
    from flows.predicting import predict_batches

    return predict_batches(parameters)


@flow(name="predict-barriers", flow_run_name=_name, persist_result=False, result_serializer="json")
def predict_barriers(parameters: PredictParameters) -> dict[str, Any] | State[Any]:
    """Predict barriers of batches that a screening has featurized; screenings start this by themselves."""
    logger = get_run_logger()
    with get_client(sync_client=True) as client:
        if was_cancelled(client, UUID(flow_run.id)):
            return Cancelled(message="Nobody waited for it any more when it began.")
    # Held here and not by a tag of the task, which would wait for it without end, and the screening with it.
    with staying_alive():
        try:
            with place_of(GPU_LIMIT, GPU_WAIT_S, logger.warning, "predicting beside whoever holds it"):
                return {"batches": predict(parameters)}
        except LimitTakenError as error:
            logger.warning("Nothing is predicted here: %s", error)
            return Cancelled(name=GPU_TAKEN, message=str(error))
