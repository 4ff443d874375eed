"""What a screening is asked to do: the flow's parameters, which are also the form in the Prefect UI."""

from __future__ import annotations

import hashlib
import json
import re
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from flows.orchestration.errors import OrchestrationError
from storage.folder_names import PATTERN, normalised
from storage.records import Reason
from tasks.candidates.materials_project_query import MaterialsProjectQuery, WorkingIon
from tasks.candidates.optimade import OptimadeQuery

Query = MaterialsProjectQuery | OptimadeQuery
QUERIES: dict[str, type[Query]] = {"mp": MaterialsProjectQuery, "optimade": OptimadeQuery}
"""The remote databases by their names, and what may be asked of each: parameters have a field a name."""

IDLE = frozenset(
    {"database", "shards", "batch_size", "workers", "runner", "scheduler", "inference"}
    | {"retry", "time_limit_s", "sync"}
)
"""Parameters of a screening that decide nothing of its results."""

_HOST_AND_PORT = re.compile(r"([A-Za-z0-9_.-]+|\[[0-9A-Fa-f:.]+\]):[0-9]{1,5}")

MOST_WORKERS = 256
"""As many batches are worked on at a time, at most."""

MP_FIELD = Field(
    default=MaterialsProjectQuery(),
    title="Materials Project",
    description="With source 'mp': which of its materials. The working ion asked for is the one above.",
)
OPTIMADE_FIELD = Field(
    default=OptimadeQuery(),
    title="OPTIMADE",
    description="With source 'optimade': which databases, and which of their structures. The working ion "
    "asked for is the one above.",
)


class Asking(BaseModel):
    """What screenings and syncs have in common: a source, and what is asked of it if it is a remote one."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    source: str
    working_ion: WorkingIon = "Li"
    database: str = "lihop.duckdb"

    def query(self) -> Query | None:
        """Return what is asked of the remote database, for the working ion; None for another source.

        Raises
        ------
        pydantic.ValidationError
            When it does not go with the working ion.
        """
        if self.source not in QUERIES:
            return None
        asked: Query = getattr(self, self.source)
        given = asked.model_dump(exclude_unset=True) | {"working_ion": self.working_ion}
        return type(asked).model_validate(given)


class SyncParameters(Asking):
    """Parameters of `sync-candidates`; bad values are refused before anything is asked for."""

    model_config = ConfigDict(frozen=True, extra="forbid", title="Sync candidates")

    source: Literal["mp", "optimade"] = Field(
        default="mp", title="Source", description="The remote database to sync from."
    )
    working_ion: WorkingIon = Field(
        default="Li", title="Working ion", description="Element symbol of the ion that moves."
    )
    database: str = Field(
        default="lihop.duckdb",
        min_length=1,
        title="Database",
        description="DuckDB file that is published to; entries lie in its working folder FILE.work.",
    )
    mp: MaterialsProjectQuery = MP_FIELD
    optimade: OptimadeQuery = OPTIMADE_FIELD
    refresh: bool = Field(
        default=False,
        title="Refresh",
        description="Compare the index also when the version of the database is the one of the last sync.",
    )
    dry_run: bool = Field(
        default=False, title="Dry run", description="Say what would change, and write nothing."
    )

    @model_validator(mode="after")
    def _query_fits(self) -> SyncParameters:
        self.query()
        return self


class ScreenParameters(Asking):
    """Parameters of `screen-cathodes`; bad values are refused before a run exists."""

    model_config = ConfigDict(frozen=True, extra="forbid", title="Screen cathodes")

    source: Literal["reference", "files", "mp", "optimade"] = Field(
        default="reference", title="Source", description="Where the candidate structures come from."
    )
    path: str | None = Field(
        default=None,
        min_length=1,
        title="Path",
        description="With source 'files': a structure file (CIF, POSCAR, extxyz, JSON), a table (CSV, "
        "Parquet), an archive (zip, tar), or a folder of all these.",
    )
    working_ion: WorkingIon = Field(
        default="Li", title="Working ion", description="Element symbol of the ion that moves."
    )
    state: Literal["discharged", "charged", "both"] = Field(
        default="discharged",
        title="State of charge",
        description="Discharged: the host as it is. Charged: the same host with all working ions off it but "
        "the one that hops. Both: a row for each.",
    )
    symprec_ang: float = Field(
        default=0.01,
        ge=1e-5,
        le=0.2,
        title="Tolerance of the primitive cell (Å)",
        description="How far atoms may lie from where a smaller cell would have them.",
    )
    order_disorder: bool = Field(
        default=False,
        title="Order disorder",
        description="Put partly occupied sites in order by lowest Ewald energy and say so in the row, "
        "instead of refusing them.",
    )
    database: str = Field(
        default="lihop.duckdb",
        min_length=1,
        title="Database",
        description="DuckDB file that the results are published to, beside its working folder FILE.work.",
    )
    shards: Annotated[str, Field(json_schema_extra={"pattern": PATTERN})] | None = Field(
        default=None,
        title="Results folder",
        description="Where batches of results travel from workers to the database: a path, or the URI of an "
        "object store as in s3://bucket/prefix, without keys. Left out: the last one that was given for the "
        "database, or else FILE.work/shards.",
    )
    mp: MaterialsProjectQuery = MP_FIELD
    optimade: OptimadeQuery = OPTIMADE_FIELD
    sync: bool = Field(
        default=True,
        title="Sync first",
        description="With a remote source: fetch what changed there first, or screen what is stored.",
    )
    model: str = Field(
        default="production",
        min_length=1,
        title="Model",
        description="Name of a shipped checkpoint, or the folder of one of your own.",
    )
    limit: int | None = Field(
        default=None,
        ge=1,
        title="Limit",
        description="Read at most this many source items (files, entries) and screen at most as many "
        "materials; the rest is listed with the reason limit.",
    )
    max_sites: int = Field(
        default=300, ge=2, le=2000, title="Most sites", description="Largest primitive cell that is screened."
    )
    max_hops: int = Field(
        default=400,
        ge=1,
        le=20000,
        title="Most hops",
        description="Most symmetry-distinct hops of a material.",
    )
    cutoff_ang: float | None = Field(
        default=None,
        gt=0,
        le=12,
        title="Hop cutoff (Å)",
        description="Longest hop. Left out: the smallest that connects in three dimensions, at most 6 Å.",
    )
    paths: Literal["bvse", "straight"] = Field(
        default="bvse",
        title="Paths",
        description="Relaxed under the bond-valence site energy, or straight. The shipped model was trained "
        "on relaxed ones.",
    )
    sites: Literal["occupied", "bvse"] = Field(
        default="occupied",
        title="Sites",
        description="Sites of the network: the occupied ones, or with the empty minima of the bond-valence "
        "site energy too.",
    )
    max_file_mb: float = Field(
        default=50.0,
        gt=0,
        le=100_000,
        title="Largest file (MB)",
        description="A larger structure file is refused unread.",
    )
    time_limit_s: float | None = Field(
        default=120.0,
        gt=0,
        title="Time limit (s)",
        description="Longest that one material may take in a stage.",
    )
    batch_size: int = Field(
        default=8,
        ge=1,
        le=1000,
        title="Batch size",
        description="Materials that a process works on at a time.",
    )
    workers: int = Field(
        default=2,
        ge=1,
        le=MOST_WORKERS,
        title="Workers",
        description="Processes that featurize; on a cluster, how many batches are worked on at a time.",
    )
    runner: Literal["process", "thread", "dask", "ray"] = Field(
        default="process",
        title="Runner",
        description="Where batches run: processes or threads of this machine, or a Dask or Ray cluster (the "
        "extras dask and ray), started here or named by its scheduler.",
    )
    scheduler: str | None = Field(
        default=None,
        # For the form: what people write there is kept with the run.
        json_schema_extra={"pattern": r"^[^@\s]+$"},
        title="Scheduler",
        description="With runner 'dask' or 'ray': the address of a cluster, without a password in it. Left "
        "out: one of as many workers is started on this machine.",
    )
    inference: Literal["pool", "here"] = Field(
        default="pool",
        title="Inference",
        description="Predict barriers in the GPU pool of the Prefect server; in the process of the screening "
        "where there is no server or no worker of that pool is alive. Or always here.",
    )
    retry: tuple[Reason, ...] = Field(
        default=(), title="Retry", description="Compute again what failed for one of these reasons."
    )
    resume: str | None = Field(
        default=None,
        min_length=1,
        title="Run to go on with",
        description="Identifier of a run that was cut off, its beginning, or 'latest'. What decides its "
        "results is taken from the run.",
    )

    @field_validator("shards")
    @classmethod
    def _shards_can_be_named_so(cls, shards: str | None) -> str | None:
        # Its errors are no values' errors: pydantic would tell what was given, be it a password.
        return None if shards is None else normalised(shards)

    @field_validator("scheduler")
    @classmethod
    def _scheduler_holds_no_password(cls, scheduler: str | None) -> str | None:
        if scheduler is not None and ("@" in scheduler or not scheduler or scheduler.split() != [scheduler]):
            raise OrchestrationError(
                "the scheduler is no address without a password; give host and port, as tcp://HOST:8786 for "
                "Dask or HOST:6379 for Ray"
            )
        return scheduler

    @model_validator(mode="after")
    def _path_goes_with_files(self) -> ScreenParameters:
        if self.source == "files" and self.path is None:
            raise ValueError("the source 'files' needs a path: give a structure file or a folder of them")
        if self.source != "files" and self.path is not None:
            raise ValueError(
                f"a path was given with the source {self.source!r}; it goes with the source 'files'"
            )
        return self

    @model_validator(mode="after")
    def _query_fits(self) -> ScreenParameters:
        self.query()
        return self

    @model_validator(mode="after")
    def _scheduler_goes_with_a_cluster(self) -> ScreenParameters:
        if self.scheduler is not None and self.runner not in {"dask", "ray"}:
            raise ValueError(
                f"a scheduler was given with the runner {self.runner!r}; it goes with 'dask' and 'ray'"
            )
        if self.runner == "ray" and self.scheduler and _HOST_AND_PORT.fullmatch(self.scheduler) is None:
            raise ValueError(
                f"{self.scheduler!r} is no address of the head of a Ray cluster; give HOST:PORT, as "
                "127.0.0.1:6379, or leave it out to have a cluster start on this machine for the run"
            )
        return self

    @model_validator(mode="after")
    def _empty_sites_need_energies(self) -> ScreenParameters:
        if self.sites == "bvse" and self.paths == "straight":
            raise ValueError(
                "sites 'bvse' with paths 'straight': how high empty sites lie is learned from relaxed paths; "
                "leave paths at 'bvse', or take sites 'occupied'"
            )
        return self

    def deciding(self) -> dict[str, object]:
        """Return what decides the results: not where they go, nor how many workers there are."""
        decided = self.model_dump(mode="json", exclude={*IDLE, *QUERIES, "resume"})
        query = self.query()
        return decided if query is None else decided | {"query": query.model_dump(mode="json")}

    def syncing(self) -> SyncParameters:
        """Return the sync that brings what is screened into the store."""
        names = ("source", "working_ion", "database", *QUERIES)
        return SyncParameters(**{name: getattr(self, name) for name in names})

    def digest(self) -> str:
        """Return a digest of what decides the results."""
        return hashlib.sha256(json.dumps(self.deciding(), sort_keys=True).encode()).hexdigest()[:16]
