"""Rows to store: builders that fill in what a test does not care about."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import pytest

from storage.recorder import Recorder
from storage.records import (
    Candidate,
    Failure,
    Hop,
    Model,
    Percolation,
    Prediction,
    Reason,
    Refinement,
    Run,
    RunFailure,
    RunMaterial,
    SourceEntry,
    SourceMember,
    Stage,
    StageResult,
    Sync,
)

START = datetime(2026, 3, 1, 12, tzinfo=UTC)


def _candidate(who="m1", /, **changes):
    fields = {
        "structure_hash": f"hash-{who}",
        "material_id": who,
        "material_key": f"hash-{who}",
        "source": "reference",
        "formula": "LiFePO4",
        "name": f"name of {who}",
        "working_ion": "Li",
        "n_sites": 28,
        "n_working_ions": 4,
        "volume_ang3": 291.2,
        "structure_json": "{}",
        "oxidation_states": [1.0, 2.0],
        "stage_key": f"clean-{who}",
    }
    return Candidate(**(fields | changes))


def _hop(name="m1", j=1, **changes):
    fields = {
        "structure_hash": f"hash-{name}",
        "working_ion": "Li",
        "material_id": name,
        "edge_id": f"{name}_0_{j}_0_1_0",
        "i": 0,
        "j": j,
        "ox": 0,
        "oy": 1,
        "oz": 0,
        "distance_ang": 3.0 + 0.1 * j,
        "multiplicity": 2,
        "orbit": [[0, j, 0, 1, 0], [j, 0, 0, 0, -1]],
        "direction_symmetric": True,
        "stage_key": f"hops-{name}",
    }
    return Hop(**(fields | changes))


def _described_hop(name="m1", j=1, **changes):
    """Return a hop of which everything is known."""
    fields = {
        "vacancy": "4_0_-1_0",
        "edge_id": f"{name}_0_{j}_0_1_0_v4_0_-1_0",
        "mechanism": "divacancy",
        "frac_i": [0.1, 0.2, 0.3],
        "frac_j": [0.1, 1.2, -0.3],
        "orbit_also_vacant": [[4, 0, -1, 0], [5, 0, 0, 0]],
        "blocked_by": "network_site",
        "path_kind": "bvse",
        "d_min_ang": 1.9,
        "collapsed": False,
        "end_shift_ang": 0.0,
        "path_converged": True,
        "residual_force_ev_ang": 0.01,
        "path_steps": 120,
        "path_length_ang": 3.4,
        "bvse_barrier_ev": 0.4,
        "bvse_barrier_forward_ev": 0.4,
        "bvse_barrier_reverse_ev": 0.3,
        "bvse_site_energy_difference_ev": 0.1,
        "saddle_fraction": 0.45,
        "path_ang": [[0.1 * point, -0.25, 1e-9] for point in range(21)],
        "path_energies_ev": [0.02 * point for point in range(21)],
        "extrema_fraction": [0.45, 0.5, 0.7],
        "extrema_ev": [0.4, 0.2, 0.35],
        "n_intermediate_minima": 1,
        "missing_parameters": ["Ti3+", "N3-"],
    }
    return _hop(name, j, **(fields | changes))


def _prediction(name="m1", j=1, barrier_ev=0.3, **changes):
    fields = {
        "structure_hash": f"hash-{name}",
        "working_ion": "Li",
        "i": 0,
        "j": j,
        "ox": 0,
        "oy": 1,
        "oz": 0,
        "edge_id": f"{name}_0_{j}_0_1_0",
        "method": "cnn",
        "model_digest": "model-a",
        "barrier_ev": barrier_ev,
        "log_spread": 0.1,
        "member_barriers_ev": [barrier_ev * 0.9, barrier_ev * 1.1],
        "lower_ev": barrier_ev * 0.5,
        "upper_ev": barrier_ev * 2,
        "in_domain": True,
        "domain_distance": 0.4,
        "stage_key": f"prediction-{name}",
    }
    return Prediction(**(fields | changes))


def _refinement(name="m1", j=1, barrier_ev=0.3, **changes):
    fields = {
        "structure_hash": f"hash-{name}",
        "working_ion": "Li",
        "i": 0,
        "j": j,
        "ox": 0,
        "oy": 1,
        "oz": 0,
        "edge_id": f"{name}_0_{j}_0_1_0",
        "method": "chgnet-neb",
        "barrier_ev": barrier_ev,
        "converged": True,
        "residual_force_ev_ang": 0.04,
        "stage_key": f"refinement-{name}",
    }
    return Refinement(**(fields | changes))


def _percolation(name="m1", barrier_ev=0.3, **changes):
    fields = {
        "structure_hash": f"hash-{name}",
        "working_ion": "Li",
        "method": "cnn",
        "model_digest": "model-a",
        "n_hops": 2,
        "percolation_dim": None if barrier_ev is None else 1,
        "barrier_at_dim_ev": barrier_ev,
        "barrier_1d_ev": barrier_ev,
        "directions_1d": [[0, 1, 0]],
        "limiting_edge_1d": f"{name}_0_1_0_1_0",
        "stage_key": f"percolation-{name}",
    }
    return Percolation(**(fields | changes))


def _run(run_id="r1", day=0, **changes):
    fields = {
        "run_id": run_id,
        "name": "a screening",
        "source": "reference",
        "working_ion": "Li",
        "settings_json": '{"max_hops": 100, "symprec": 0.01}',
        "settings_digest": "settings-a",
        "model_digest": "model-a",
        "code_version": "0.1.0",
        "started_at": START + timedelta(days=day),
        "status": "running",
    }
    return Run(**(fields | changes))


def _run_material(run_id="r1", name="m1", **changes):
    fields = {
        "run_id": run_id,
        "structure_hash": f"hash-{name}",
        "working_ion": "Li",
        "material_id": name,
        "hops_stage_key": f"hops-{name}",
        "prediction_stage_key": f"prediction-{name}",
        "percolation_stage_key": f"percolation-{name}",
    }
    return RunMaterial(**(fields | changes))


def _failure(name="m1", **changes):
    fields = {
        "material_id": name,
        "source": "reference",
        "working_ion": "Li",
        "structure_hash": f"hash-{name}",
        "stage": Stage.HOPS,
        "reason": Reason.TIME_LIMIT,
        "message": "took longer than 60 s",
        "stage_key": f"hops-{name}",
    }
    return Failure(**(fields | changes))


def _run_failure(failure, run_id="r1"):
    names = ("material_id", "source", "working_ion", "stage", "reason", "stage_key")
    return RunFailure(run_id=run_id, **{name: getattr(failure, name) for name in names})


def _model(**changes):
    fields = {
        "model_digest": "model-a",
        "name": "cnn-a",
        "arch": "cnn",
        "members": 2,
        "trained_on": "devi2025 published",
        "n_training_hops": 559,
        "descriptor_versions_json": '{"local": 1}',
        "metrics_json": '{"mae_ev": 0.24}',
    }
    return Model(**(fields | changes))


def _stage_result(key="k1", **changes):
    fields = {
        "stage_key": key,
        "structure_hash": "hash-m1",
        "working_ion": "Li",
        "stage": Stage.HOPS,
        "n_rows": 2,
    }
    return StageResult(**(fields | changes))


def _source_entry(name="m1", **changes):
    fields = {
        "source": "mp",
        "entry_id": name,
        "index_digest": f"index-{name}",
        "content_hash": f"content-{name}",
        "aliases": [f"alias-{name}"],
        "first_seen_at": START,
        "last_seen_at": START,
    }
    return SourceEntry(**(fields | changes))


def _source_member(name="m1", **changes):
    fields = {"source": "mp", "query_digest": "query-a", "entry_id": name, "sync_id": "s1"}
    return SourceMember(**(fields | changes))


def _sync(sync_id="s1", day=0, **changes):
    fields = {
        "sync_id": sync_id,
        "source": "mp",
        "query_digest": "query-a",
        "query_json": "{}",
        "started_at": START + timedelta(days=day),
        "status": "running",
    }
    return Sync(**(fields | changes))


def _material(who="m1", barrier_ev=0.3, run_id="r1", /, **changes):
    """Return every row that a screened material leaves behind."""
    return [
        _candidate(who, **changes),
        _hop(who, 1),
        _hop(who, 2),
        _prediction(who, 1, 0.2),
        _prediction(who, 2, 0.9),
        _percolation(who, barrier_ev),
        _run_material(run_id, who),
    ]


@pytest.fixture(scope="session")
def make():
    return SimpleNamespace(
        candidate=_candidate,
        hop=_hop,
        described_hop=_described_hop,
        prediction=_prediction,
        refinement=_refinement,
        percolation=_percolation,
        run=_run,
        run_material=_run_material,
        failure=_failure,
        run_failure=_run_failure,
        model=_model,
        stage_result=_stage_result,
        source_entry=_source_entry,
        source_member=_source_member,
        sync=_sync,
        material=_material,
    )


@pytest.fixture
def publish(tmp_path):
    """Return what records rows, publishes them and returns the copy; called again, it adds to them."""
    recorder = Recorder(tmp_path / "lihop.duckdb")

    def record(rows):
        recorder.record(rows=rows)
        recorder.publish()
        return recorder.paths.published

    return record
