"""What `deployments/prefect.yaml` says: which flows can be run, where, and when by themselves."""

from __future__ import annotations

import importlib.resources
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ConfigDict, Field

if TYPE_CHECKING:
    from collections.abc import Iterator


class Schedule(BaseModel):
    """When a deployment runs by itself."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    cron: str
    timezone: str = "UTC"


class Limit(BaseModel):
    """How many runs of a deployment may be at work at once, and what becomes of one more."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    limit: int = Field(ge=1)
    collision_strategy: str


class Place(BaseModel):
    """The work pool that a deployment runs in, and what of the pool's settings is the deployment's own."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    job_variables: dict[str, Any] = {}


class Planned(BaseModel):
    """One deployment, as Prefect's own command would read it too."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    entrypoint: str
    description: str
    tags: tuple[str, ...] = ()
    parameters: dict[str, Any] = {}
    schedules: tuple[Schedule, ...] = ()
    concurrency_limit: Limit | None = None
    work_pool: Place


def planned() -> Iterator[Planned]:
    """Yield the deployments that ship with this lihop."""
    import yaml

    text = (importlib.resources.files("deployments") / "prefect.yaml").read_text(encoding="utf-8")
    for stanza in yaml.safe_load(text)["deployments"]:
        yield Planned.model_validate(stanza)
