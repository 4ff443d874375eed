"""What a screening is asked to do: the flow's parameters, which are also the form in the Prefect UI."""

from __future__ import annotations

import hashlib
import json
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from storage.records import Reason

WorkingIon = Literal["Li", "Na", "K", "Mg", "Ca", "Zn", "Al"]


class ScreenParameters(BaseModel):
    """Parameters of `screen-cathodes`; bad values are refused before a run exists."""

    model_config = ConfigDict(frozen=True, extra="forbid", title="Screen cathodes")

    source: Literal["reference", "files"] = Field(
        default="reference", title="Source", description="Where the candidate structures come from."
    )
    path: str | None = Field(
        default=None,
        title="Path",
        description="With source 'files': a structure file, or a folder (CIF, POSCAR, extxyz, JSON).",
    )
    working_ion: WorkingIon = Field(
        default="Li", title="Working ion", description="Element symbol of the ion that moves."
    )
    database: str = Field(
        default="lihop.duckdb",
        title="Database",
        description="DuckDB file that the results are published to, beside its working folder FILE.work.",
    )
    model: str = Field(
        default="production",
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
        default=8, ge=1, le=1000, title="Batch size", description="Materials that a task works on at a time."
    )
    workers: int = Field(default=2, ge=1, le=256, title="Workers", description="Processes that featurize.")
    retry: tuple[Reason, ...] = Field(
        default=(), title="Retry", description="Compute again what failed for one of these reasons."
    )

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
    def _empty_sites_need_energies(self) -> ScreenParameters:
        if self.sites == "bvse" and self.paths == "straight":
            raise ValueError(
                "sites 'bvse' with paths 'straight': how high empty sites lie is learned from relaxed paths; "
                "leave paths at 'bvse', or take sites 'occupied'"
            )
        return self

    def deciding(self) -> dict[str, object]:
        """Return what decides the results: not where they go, nor how many workers there are."""
        return self.model_dump(
            mode="json", exclude={"database", "batch_size", "workers", "retry", "time_limit_s"}
        )

    def digest(self) -> str:
        """Return a digest of what decides the results."""
        return hashlib.sha256(json.dumps(self.deciding(), sort_keys=True).encode()).hexdigest()[:16]
