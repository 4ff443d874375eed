"""Bringing lihop to a Prefect server: pools, deployments and the automation, as often as one likes."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from flows.orchestration.errors import OrchestrationError
from flows.orchestration.names import CPU, GPU, GPU_LIMIT, TAG, TAKEN_FOR_DEAD, WRITER
from flows.orchestration.plan import planned
from flows.orchestration.reaching import API, unreachable, without_password

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from prefect.client.orchestration import SyncPrefectClient

    from flows.orchestration.plan import Planned

POOLS = {
    CPU: "Screenings and syncs: workers with cores.",
    GPU: "Training and inference: workers with a GPU, where there is one.",
}
"""The work pools, and what runs in them."""

LIMITS = (GPU_LIMIT, WRITER)
"""Limits of one at a time. A limit by a tag is one of the tag's name behind this word."""

SILENT_S, BEGIN_S = 90, 110
"""After how long without a heartbeat a run is taken for dead, which sends one every 30 s, as its deployment
says; and how long it may take from its worker's hands to its beginning, on a busy machine."""

SILENT, UNBEGUN = "lihop: crashed without a word", "lihop: never began"
"""The automations."""

BEGUN = ("Running", "Retrying")
"""How Prefect calls the state of a run that begins, the first time and later."""


@dataclass(frozen=True)
class Deployed:
    """What a server has now.

    Parameters
    ----------
    api : str
        The server's API.
    folder : str
        Folder in which runs work, on the machine of the worker.
    pools, limits, deployments, automations : tuple of str
        Names of what is there.
    scheduled : dict of str to str
        Deployments that run by themselves, and when.
    """

    api: str
    folder: str
    pools: tuple[str, ...]
    limits: tuple[str, ...]
    deployments: tuple[str, ...]
    automations: tuple[str, ...]
    scheduled: dict[str, str]

    def as_dict(self) -> dict[str, Any]:
        """Return the fields, for JSON."""
        return asdict(self)


def deploy(folder: Path, *, schedules: bool = True) -> Deployed:
    """Make pools, deployments and automations on the server that is set up, or bring them up to date.

    Parameters
    ----------
    folder : Path
        Folder in which runs work.
    schedules : bool
        Whether deployments run by themselves, where they have a schedule.

    Raises
    ------
    OrchestrationError
        When no server is set up, or it cannot be reached.
    """
    with _server() as (api, client):
        for pool, description in POOLS.items():
            _make_pool(client, pool, description)
        for limit in LIMITS:
            _make_limit(client, limit)
        plan = list(planned())
        names = [_deploy(one, folder, schedules=schedules) for one in plan]
        _automate(client)
    return Deployed(
        api=api,
        folder=str(folder),
        pools=tuple(POOLS),
        limits=LIMITS,
        deployments=tuple(names),
        automations=(SILENT, UNBEGUN),
        scheduled={
            name: ", ".join(f"{when.cron} {when.timezone}" for when in one.schedules)
            for name, one in zip(names, plan, strict=True)
            if one.schedules and schedules
        },
    )


@contextmanager
def _server() -> Iterator[tuple[str, SyncPrefectClient]]:
    """Yield the API that is set up and a client of it, or say that there is none."""
    from httpx import TransportError
    from prefect.client.orchestration import get_client
    from prefect.exceptions import PrefectHTTPStatusError
    from prefect.settings import PREFECT_API_URL

    api = PREFECT_API_URL.value()
    if api is None:
        raise OrchestrationError(
            f"no Prefect server is set up: run `lihop serve` for one on this machine, or set {API}, say to "
            "http://127.0.0.1:4200/api"
        )
    try:
        with get_client(sync_client=True) as client:
            client.hello()
            yield without_password(api), client
    except (TransportError, PrefectHTTPStatusError) as error:
        raise unreachable(api, error) from error


def _make_pool(client: SyncPrefectClient, name: str, description: str) -> None:
    """Make a pool of processes, unless one of that name is there: it may have been changed by its owner."""
    from prefect.client.schemas.actions import WorkPoolCreate
    from prefect.exceptions import ObjectAlreadyExists
    from prefect.workers.process import ProcessWorker

    pool = WorkPoolCreate(
        name=name,
        type=ProcessWorker.type,
        description=description,
        base_job_template=ProcessWorker.get_default_base_job_template(),
    )
    try:
        client.create_work_pool(pool)
    except ObjectAlreadyExists:
        return


def _make_limit(client: SyncPrefectClient, name: str) -> None:
    """Make a limit of one, unless it is there: whoever has two GPUs has changed it."""
    from prefect.client.schemas.actions import GlobalConcurrencyLimitCreate
    from prefect.exceptions import ObjectAlreadyExists

    try:
        client.create_global_concurrency_limit(GlobalConcurrencyLimitCreate(name=name, limit=1, active=True))
    except ObjectAlreadyExists:
        return


def _deploy(one: Planned, folder: Path, *, schedules: bool) -> str:
    """Make a deployment or bring it up to date; return its full name."""
    from prefect.client.schemas.objects import ConcurrencyLimitConfig, ConcurrencyLimitStrategy
    from prefect.deployments.runner import RunnerDeployment
    from prefect.runner.storage import LocalStorage
    from prefect.schedules import Cron

    limit = one.concurrency_limit
    # The slug by which a schedule is known again. One that is left out would stay as it is, and go on firing.
    timetable = [
        Cron(when.cron, timezone=when.timezone, active=schedules, slug=f"{one.name}-{number}")
        for number, when in enumerate(one.schedules)
    ]
    deployment = RunnerDeployment.from_entrypoint(
        one.entrypoint,
        name=one.name,
        description=one.description,
        tags=list(one.tags),
        parameters=one.parameters,
        schedules=timetable,
        concurrency_limit=None
        if limit is None
        else ConcurrencyLimitConfig(
            limit=limit.limit, collision_strategy=ConcurrencyLimitStrategy(limit.collision_strategy)
        ),
        work_pool_name=one.work_pool.name,
        job_variables=one.work_pool.job_variables,
    )
    # As `pull` in the file: a run starts in the folder, and nothing is copied there.
    deployment.storage = LocalStorage(str(folder))
    deployment.apply()
    return f"{deployment.flow_name}/{deployment.name}"


def _automate(client: SyncPrefectClient) -> None:
    """See to it that a run whose process and worker died together does not stay at work for ever."""
    from prefect.client.schemas.objects import TERMINAL_STATES

    alive = {"prefect.flow-run.heartbeat", *map(_event, BEGUN)}
    ends = {_event(state.value.capitalize()) for state in TERMINAL_STATES}
    # The state is the server's own word, while the first heartbeat may die with the process that sends it.
    _automate_one(
        client,
        SILENT,
        "Marks runs as crashed of which no heartbeat is heard any more.",
        f"{TAKEN_FOR_DEAD} for {SILENT_S} s: it or its worker was killed. Retry it to go on, or run its "
        "command again.",
        after=alive,
        expect=alive | ends,
        within_s=SILENT_S,
    )
    _automate_one(
        client,
        UNBEGUN,
        "Marks runs as crashed that a worker took and that never began.",
        f"A worker took this run, and it had not begun {BEGIN_S} s later: the worker was killed, or is very "
        "slow. Retry it to go on.",
        after={_event("Pending")},
        # A heartbeat too: a busy server may hear that a run began before it hears that it was taken.
        expect=alive | ends | set(map(_event, ("Scheduled", "AwaitingConcurrencySlot", "AwaitingRetry"))),
        within_s=BEGIN_S,
    )


def _event(state: str) -> str:
    """Return the event that tells that a run came into a state."""
    return f"prefect.flow-run.{state}"


def _automate_one(
    client: SyncPrefectClient,
    name: str,
    description: str,
    message: str,
    *,
    after: set[str],
    expect: set[str],
    within_s: int,
) -> None:
    """Mark those of our runs as crashed of which something is not heard in time after something else."""
    from prefect.client.schemas.objects import StateType
    from prefect.events.actions import ChangeFlowRunState
    from prefect.events.schemas.automations import AutomationCore, EventTrigger, Posture
    from prefect.events.schemas.events import ResourceSpecification

    trigger = EventTrigger(
        after=after,
        expect=expect,
        match=ResourceSpecification({"prefect.resource.id": "prefect.flow-run.*"}),
        match_related=ResourceSpecification(
            {"prefect.resource.id": f"prefect.tag.{TAG}", "prefect.resource.role": "tag"}
        ),
        for_each={"prefect.resource.id"},
        posture=Posture.Proactive,
        threshold=1,
        within=timedelta(seconds=within_s),
    )
    automation = AutomationCore(
        name=name,
        description=description,
        trigger=trigger,
        actions=[ChangeFlowRunState(state=StateType.CRASHED, message=message)],
    )
    there = client.read_automations_by_name(name)
    if not there:
        client.create_automation(automation)
    # One that is written anew waits for no run any more that it has heard of: those that were killed together
    # with the server would never be found by the next one.
    elif (
        AutomationCore.model_validate(there[0].model_dump(include=set(AutomationCore.model_fields)))
        != automation
    ):
        client.update_automation(there[0].id, automation)
