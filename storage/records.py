"""Row types: what a shard and a table hold, field by field, with units in the names.

A row is a frozen pydantic model; its fields, in order, are the columns of the Parquet shard and of the
DuckDB table of the same name. ``None`` means unknown, never zero.
"""

from __future__ import annotations

from datetime import datetime
from typing import ClassVar

from pydantic import Field

from storage.rows import Reason, Row, Stage
from storage.source_records import SourceEntry, SourceMember, Sync

__all__ = [
    "HOP_KEY", "ROW_TYPES", "Candidate", "DescriptorKey", "Failure", "Hop", "Model", "OfHop", "Percolation",
    "Prediction", "Reason", "Refinement", "Row", "Run", "RunFailure", "RunMaterial", "SourceEntry",
    "SourceMember", "Stage", "StageResult", "Sync",
]  # fmt: skip


# A further vacant site and its image with i in the home cell, as 7_0_-1_0; nothing for an isolated vacancy.
VACANCY_PATTERN = r"^([0-9]+(_-?[0-9]+){3})?$"
HOP_KEY = ("structure_hash", "working_ion", "i", "j", "ox", "oy", "oz", "vacancy")


class OfHop(Row):
    """What every row about a hop begins with; together with a stage key it tells the hops apart."""

    structure_hash: str
    working_ion: str
    i: int
    j: int
    ox: int
    oy: int
    oz: int
    vacancy: str = Field(default="", pattern=VACANCY_PATTERN)
    edge_id: str


class Candidate(Row):
    """A material that may be screened: one cleaned structure, and where it came from."""

    table: ClassVar[str] = "candidates"
    # Two files may hold one structure, and one file may change: each pair of name and content is a row.
    key: ClassVar[tuple[str, ...]] = ("source", "material_id", "structure_hash", "working_ion", "state")

    structure_hash: str = Field(description="digest of the cleaned structure, in its stored site order")
    material_id: str = Field(description="identifier within its source")
    material_key: str = Field(description="structure_hash of the material that this one was merged into")
    source: str = Field(description="reference, files, ...")
    source_ref: str | None = Field(default=None, description="DOI, database id or relative file path")
    formula: str = Field(description="reduced formula")
    name: str | None = Field(default=None, description="what people call it, e.g. olivine LiFePO4")
    working_ion: str = Field(description="element symbol of the ion that moves")
    state: str = Field(default="discharged", pattern="^(dis)?charged$", description="discharged or charged")
    ordering: str | None = Field(default=None, description="how a disordered structure was ordered")
    n_sites: int = Field(ge=1, description="sites in the stored cell")
    n_working_ions: int = Field(ge=1, description="working ions in the stored cell")
    volume_ang3: float = Field(gt=0, description="volume of the stored cell")
    space_group_number: int | None = Field(default=None, ge=1, le=230)
    space_group_symbol: str | None = None
    structure_json: str = Field(description="the cleaned structure as pymatgen JSON")
    oxidation_method: str | None = Field(
        default=None,
        description="how charges were assigned: bond_valence, composition; null when neither works",
    )
    oxidation_states: list[float] | None = Field(
        default=None, description="charge of each site in e, in stored order"
    )
    e_above_hull_ev: float | None = Field(default=None, description="energy above hull, eV/atom")
    average_voltage_v: float | None = None
    capacity_mah_g: float | None = Field(default=None, description="gravimetric capacity, all working ions")
    other_ids: list[str] | None = Field(default=None, description="further identifiers of the same entry")
    max_delta_volume_fraction: float | None = Field(
        default=None, description="largest volume change between charge and discharge"
    )
    stability_charge_ev: float | None = Field(default=None, description="hull energy when charged, eV/atom")
    stability_discharge_ev: float | None = Field(default=None, description="the same when discharged")
    band_gap_ev: float | None = None
    origin: str | None = Field(default=None, description="experiment (a collection's id) or theory")
    last_updated_at: datetime | None = Field(default=None, description="when its database last changed it")
    database_version: str | None = Field(default=None, description="version of the database it came from")
    licence: str | None = Field(default=None, description="SPDX identifier of what it comes under")
    content_hash: str | None = Field(default=None, description="digest of the source item's content")
    first_seen_at: datetime | None = Field(default=None, description="when a screening first met it")
    last_seen_at: datetime | None = Field(default=None, description="when a screening last met it")
    stage_key: str = Field(description="digest of the source item and of the cleaning that made this row")
    own_ids: list[str] | None = Field(
        default=None, description="those of other_ids that its own source item gives, without merged ones"
    )


class Hop(Row):
    """A symmetry-distinct vacancy hop i -> j + image; it and its reverse are one hop."""

    table: ClassVar[str] = "hops"
    key: ClassVar[tuple[str, ...]] = (*HOP_KEY, "stage_key")

    structure_hash: str
    working_ion: str
    material_id: str
    edge_id: str = Field(
        description="{material_id}_{i}_{j}_{ox}_{oy}_{oz}, for people; a divacancy hop's ends in _v{vacancy}"
    )
    i: int = Field(ge=0, description="initial site, index over all stored sites")
    j: int = Field(ge=0, description="final site, index over all stored sites")
    ox: int = Field(description="image of the final site along a")
    oy: int
    oz: int
    vacancy: str = Field(
        default="",
        pattern=VACANCY_PATTERN,
        description="further vacant site of a divacancy hop and its image, k_kx_ky_kz; empty when isolated",
    )
    frac_i: list[float] | None = Field(default=None, description="initial site, fractional, stored cell")
    frac_j: list[float] | None = Field(default=None, description="final site with its image, fractional")
    distance_ang: float = Field(gt=0)
    multiplicity: int = Field(ge=1, description="symmetry-equivalent undirected hops in the stored cell")
    orbit: list[list[int]] = Field(description="every [i, j, ox, oy, oz] of the orbit, this one included")
    orbit_also_vacant: list[list[int]] | None = Field(
        default=None, description="of a divacancy hop: [k, kx, ky, kz] for each entry of the orbit"
    )
    direction_symmetric: bool = Field(description="a symmetry operation maps the hop onto its reverse")
    mechanism: str = Field(default="isolated", description="isolated or divacancy")
    blocked_by: str | None = Field(
        default=None, description="host_atom or network_site when the straight path runs through one"
    )
    path_kind: str = Field(default="straight", description="straight, bvse or bvse_fixed_ends")
    d_min_ang: float | None = Field(default=None, description="least ion-anion distance along the path")
    collapsed: bool | None = Field(default=None, description="an end left its site when it was relaxed")
    end_shift_ang: float | None = Field(
        default=None, ge=0, description="largest move of an end from its site"
    )
    path_converged: bool | None = Field(default=None, description="the path met its force criterion")
    residual_force_ev_ang: float | None = Field(
        default=None, ge=0, description="largest force left on the path"
    )
    path_steps: int | None = Field(default=None, ge=0, description="steps of the relaxation")
    path_length_ang: float | None = Field(default=None, ge=0)
    bvse_barrier_ev: float | None = Field(
        default=None, description="E(saddle) - min(E_i, E_j) of the bond-valence site energy"
    )
    bvse_barrier_forward_ev: float | None = Field(default=None, description="E(saddle) - E_i")
    bvse_barrier_reverse_ev: float | None = Field(default=None, description="E(saddle) - E_j")
    bvse_site_energy_difference_ev: float | None = Field(default=None, description="E_j - E_i")
    saddle_fraction: float | None = Field(
        default=None, ge=0, le=1, description="where the saddle lies, as a fraction of the path's length"
    )
    path_ang: list[list[float]] | None = Field(
        default=None, description="Cartesian points of the path, i in the home cell"
    )
    path_energies_ev: list[float] | None = Field(
        default=None, description="energies at these points, relative to the lower end"
    )
    extrema_fraction: list[float] | None = Field(
        default=None, description="minima and maxima between the ends, as fractions of the path's length"
    )
    extrema_ev: list[float] | None = Field(default=None, description="their energies above the lower end")
    n_intermediate_minima: int | None = Field(default=None, ge=0)
    missing_parameters: list[str] | None = Field(
        default=None, description="what the bond-valence site energy has no parameters for"
    )
    stage_key: str = Field(description="digest of everything that this row was computed from")


class Prediction(OfHop):
    """A predicted migration barrier of one hop by one model."""

    table: ClassVar[str] = "predictions"
    key: ClassVar[tuple[str, ...]] = (*HOP_KEY, "stage_key")

    method: str = Field(description="cnn, cnn+trees, ...")
    model_digest: str
    barrier_ev: float = Field(gt=0, description="E(saddle) - min(E_i, E_j)")
    log_spread: float = Field(ge=0, description="standard deviation of log(barrier) over the ensemble")
    member_barriers_ev: list[float] = Field(description="one a member of the ensemble")
    lower_ev: float = Field(ge=0, description="lower end of the calibrated 90% interval")
    upper_ev: float = Field(description="upper end of the calibrated 90% interval")
    in_domain: bool = Field(description="descriptors lie inside the training domain")
    domain_distance: float = Field(
        ge=0, description="distance to the training set over its threshold; 1 is the edge"
    )
    stage_key: str


class Percolation(Row):
    """In how many dimensions, and over what barrier, the working ions of one material percolate."""

    table: ClassVar[str] = "percolation"
    key: ClassVar[tuple[str, ...]] = ("structure_hash", "working_ion", "stage_key")

    structure_hash: str
    working_ion: str
    method: str
    model_digest: str
    n_hops: int = Field(ge=0, description="symmetry-distinct hops in the graph")
    cutoff_ang: float | None = Field(default=None, description="longest hop in the graph")
    percolation_dim: int | None = Field(default=None, ge=0, le=3)
    barrier_at_dim_ev: float | None = None
    lower_ev: float | None = None
    upper_ev: float | None = None
    barrier_1d_ev: float | None = None
    barrier_2d_ev: float | None = None
    barrier_3d_ev: float | None = None
    lower_1d_ev: float | None = None
    upper_1d_ev: float | None = None
    lower_2d_ev: float | None = None
    upper_2d_ev: float | None = None
    lower_3d_ev: float | None = None
    upper_3d_ev: float | None = None
    limiting_edge_1d: str | None = Field(default=None, description="edge_id of the rate-limiting hop")
    limiting_edge_2d: str | None = None
    limiting_edge_3d: str | None = None
    directions_1d: list[list[int]] | None = Field(default=None, description="lattice vectors, stored cell")
    directions_2d: list[list[int]] | None = None
    directions_3d: list[list[int]] | None = None
    direction_conventional: str | None = Field(
        default=None,
        description="the percolating direction or plane at percolation_dim in the conventional cell",
    )
    site_energies: str = Field(
        default="unknown", description="unknown (counted as 0), partial (missing ones counted as 0) or known"
    )
    site_energy_difference_ev: float | None = Field(
        default=None, ge=0, description="highest minus lowest site of the percolating component (BVSE)"
    )
    in_domain: bool | None = Field(
        default=None, description="the rate-limiting hop at percolation_dim lies in the training domain"
    )
    path_converged: bool | None = Field(
        default=None, description="the path of the rate-limiting hop at percolation_dim met its criterion"
    )
    bottlenecks_json: str | None = Field(
        default=None, description="share of draws in which each edge_id is rate-limiting, by dimension"
    )
    dims_json: str | None = Field(default=None, description="share of draws with each percolation_dim")
    draws: int = Field(default=0, ge=0, description="joint draws behind the intervals")
    stage_key: str


class Refinement(OfHop):
    """A barrier of one hop from a relaxed path (NEB), with its convergence."""

    table: ClassVar[str] = "refinements"
    key: ClassVar[tuple[str, ...]] = (*HOP_KEY, "method", "stage_key")

    method: str = Field(description="chgnet-neb, vasp-neb, ...")
    model_digest: str | None = Field(default=None, description="digest of the potential; DFT has none")
    barrier_ev: float = Field(ge=0, description="E(saddle) - min(E_i, E_j)")
    barrier_forward_ev: float | None = Field(default=None, description="E(saddle) - E_i")
    barrier_reverse_ev: float | None = Field(default=None, description="E(saddle) - E_j")
    converged: bool = Field(description="the path met its force criterion")
    residual_force_ev_ang: float | None = Field(
        default=None, ge=0, description="largest force left on the path"
    )
    n_images: int | None = Field(default=None, ge=1)
    n_steps: int | None = Field(default=None, ge=0)
    stage_key: str


class Failure(Row):
    """Something that has no result, and why."""

    table: ClassVar[str] = "failures"
    key: ClassVar[tuple[str, ...]] = ("material_id", "source", "working_ion", "stage", "reason", "stage_key")

    material_id: str
    source: str
    working_ion: str
    structure_hash: str | None = None
    formula: str | None = None
    stage: Stage
    reason: Reason
    message: str
    traceback: str | None = None
    stage_key: str


class StageResult(Row):
    """A stage that is done for one structure: what is recorded under a key is not computed again."""

    table: ClassVar[str] = "stage_results"
    key: ClassVar[tuple[str, ...]] = ("stage_key",)

    stage_key: str
    structure_hash: str | None = Field(default=None, description="null for a source item, before it is read")
    working_ion: str
    stage: Stage
    shard: str | None = Field(
        default=None, description="file name of the descriptor shard, where there is one"
    )
    n_rows: int = Field(ge=0)


class Run(Row):
    """One run of a flow and the manifest that it was started with."""

    table: ClassVar[str] = "runs"
    key: ClassVar[tuple[str, ...]] = ("run_id",)

    run_id: str
    name: str
    source: str
    working_ion: str
    settings_json: str
    settings_digest: str
    model_digest: str
    code_version: str
    started_at: datetime
    finished_at: datetime | None = None
    status: str = Field(description="running, completed, failed")
    n_candidates: int = 0
    n_computed: int = 0
    n_reused: int = 0
    n_failed: int = 0
    database_version: str | None = Field(default=None, description="of a remote source of candidates")
    citation: str | None = Field(default=None, description="how to cite that source")


class RunMaterial(Row):
    """Which material took part in which run, and under which keys its results stand."""

    table: ClassVar[str] = "run_materials"
    key: ClassVar[tuple[str, ...]] = ("run_id", "structure_hash", "working_ion")

    run_id: str
    structure_hash: str
    working_ion: str
    material_id: str
    hops_stage_key: str
    prediction_stage_key: str
    percolation_stage_key: str


class RunFailure(Row):
    """Which failure took part in which run."""

    table: ClassVar[str] = "run_failures"
    key: ClassVar[tuple[str, ...]] = (
        "run_id", "material_id", "source", "working_ion", "stage", "reason", "stage_key"
    )  # fmt: skip

    run_id: str
    material_id: str
    source: str
    working_ion: str
    stage: Stage
    reason: Reason
    stage_key: str = Field(description="stage_key of the row in failures")


class Model(Row):
    """A checkpoint that predictions were made with."""

    table: ClassVar[str] = "models"
    key: ClassVar[tuple[str, ...]] = ("model_digest",)

    model_digest: str
    name: str
    arch: str
    members: int
    trained_on: str
    n_training_hops: int
    descriptor_versions_json: str
    metrics_json: str


class DescriptorKey(OfHop):
    """The hop that one row of a descriptor shard describes. It has no table: descriptors stay in shards."""

    table: ClassVar[str] = "descriptors"
    key: ClassVar[tuple[str, ...]] = (*HOP_KEY, "stage_key")

    stage_key: str


ROW_TYPES: dict[str, type[Row]] = {
    row.table: row
    for row in (
        Run, Candidate, Hop, Prediction, Percolation, Refinement, Failure, Model,
        StageResult, RunMaterial, RunFailure, SourceEntry, SourceMember, Sync,
    )
}  # fmt: skip
