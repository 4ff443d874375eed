"""Which pool goes with which runner."""

from __future__ import annotations

from importlib.util import find_spec
from typing import TYPE_CHECKING

from flows.orchestration.errors import OrchestrationError
from flows.running.on_dask import DaskPool
from flows.running.on_ray import RayPool
from flows.running.processes import BatchPool
from flows.running.threads import ThreadPool

if TYPE_CHECKING:
    from flows.parameters import ScreenParameters

NEEDED = {"dask": "distributed", "ray": "ray"}
"""The package that a runner needs. Its extra has the runner's name."""


class MissingRunnerError(OrchestrationError):
    """A runner whose package is not installed."""


def pool_of(parameters: ScreenParameters) -> BatchPool | ThreadPool | DaskPool | RayPool:
    """Return the pool that a screening asks for. Nothing is started before the first batch.

    Raises
    ------
    MissingRunnerError
        When the runner needs a package that is not installed.
    """
    runner, workers = parameters.runner, parameters.workers
    if runner in NEEDED and find_spec(NEEDED[runner]) is None:
        raise MissingRunnerError(
            f'the runner {runner!r} needs the package {NEEDED[runner]}: pip install "lihop[{runner}]", or '
            "take the runner 'process'"
        )
    if runner == "dask":
        return DaskPool(workers, parameters.scheduler)
    if runner == "ray":
        return RayPool(workers, parameters.scheduler)
    return ThreadPool(workers) if runner == "thread" else BatchPool(workers)
