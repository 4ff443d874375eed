"""The views answer with the newest result, in order, and lose no material."""

from storage import queries
from storage.records import Reason, Stage


def _ranked(db, *columns):
    return [tuple(row[column] for column in columns) for row in queries.rankings(db)]


def test_ordered_by_barrier_with_nulls_last(publish, make):
    names = {"slow": 0.9, "none": None, "fast": 0.1, "middle": 0.4}
    rows = [row for name, barrier in names.items() for row in make.material(name, barrier)]
    db = publish([make.run(), *rows])
    expected = [("fast", 1), ("middle", 2), ("slow", 3), ("none", None)]
    assert _ranked(db, "material_id", "rank") == expected
    through_sql = queries.sql(db, "SELECT material_id, rank FROM rankings").rows
    assert list(through_sql) == expected


def test_the_newest_run_counts_and_older_predictions_stay(publish, make):
    newer = {"percolation_stage_key": "percolation-new", "prediction_stage_key": "prediction-new"}
    db = publish(
        [
            make.run("old", day=0), make.run("new", day=1), *make.material("m1", 0.5, "old"),
            make.prediction("m1", 1, 0.7, stage_key="prediction-new", model_digest="model-b"),
            make.percolation("m1", 0.7, stage_key="percolation-new", model_digest="model-b"),
            make.run_material("new", "m1", **newer),
        ]
    )  # fmt: skip
    assert _ranked(db, "barrier_at_dim_ev", "run_id", "model_digest") == [(0.7, "new", "model-b")]
    shown = [(hop["j"], hop["barrier_ev"]) for hop in queries.hops_of(db, "hash-m1")]
    assert shown == [(1, 0.7), (2, None)]
    assert len(queries.predictions_of(db, "hash-m1")) == 3
    assert [row["stage_key"] for row in queries.percolation_of(db, "hash-m1")] == ["percolation-new"]


def test_a_run_recorded_late_is_not_the_newest(publish, make):
    publish([make.run("new", day=5), *make.material("m1", 0.5, "new")])
    db = publish(
        [
            make.run("old", day=1), make.percolation("m1", 0.9, stage_key="percolation-old"),
            make.run_material("old", "m1", percolation_stage_key="percolation-old"),
        ]
    )  # fmt: skip
    assert _ranked(db, "barrier_at_dim_ev") == [(0.5,)]


def test_a_later_failure_does_not_hide_a_result(publish, make):
    failure = make.failure("m1", stage_key="percolation-new")
    db = publish(
        [
            make.run("old", day=0), make.run("new", day=1), *make.material("m1", 0.5, "old"),
            make.run_material("new", "m1", percolation_stage_key="percolation-new"),
            failure, make.run_failure(failure, "new"),
        ]
    )  # fmt: skip
    assert _ranked(db, "barrier_at_dim_ev", "run_id", "reason") == [(0.5, "old", None)]


def test_a_material_without_a_barrier_says_why(publish, make):
    failure = make.failure("timed-out")
    db = publish(
        [
            make.run(), failure, make.run_failure(failure), make.candidate("timed-out"),
            make.run_material(name="timed-out"), make.candidate("untouched"),
            make.candidate("no-hops"), make.run_material(name="no-hops"),
            make.percolation("no-hops", None, n_hops=0),
            make.candidate("apart"), make.run_material(name="apart"),
            make.percolation("apart", None, percolation_dim=0),
        ]
    )  # fmt: skip
    assert sorted(_ranked(db, "material_id", "reason", "reason_message")) == [
        ("apart", "no_percolation", None),
        ("no-hops", "no_hops", None),
        ("timed-out", "time_limit", "took longer than 60 s"),
        ("untouched", "not_computed", None),
    ]


def test_refused_materials_stay_in_failures(publish, make):
    refused = make.failure(
        "disordered", structure_hash=None, stage=Stage.CANDIDATES, reason=Reason.PARTIAL_OCCUPANCY
    )
    db = publish([make.run(), refused, make.run_failure(refused), *make.material("m1")])
    assert _ranked(db, "material_id") == [("m1",)]
    assert [row["material_id"] for row in queries.failures(db, reason="partial_occupancy")] == ["disordered"]


def test_merged_structures_are_one_material(publish, make):
    duplicate = make.failure("m1", reason=Reason.DUPLICATE, stage=Stage.CANDIDATES)
    db = publish(
        [
            make.run(), *make.material("m1", 0.4),
            make.candidate("copy", material_key="hash-m1"),
            make.candidate("m1", source="files", material_id="a.cif", stage_key="other"), duplicate,
        ]
    )  # fmt: skip
    assert _ranked(db, "material_id", "source", "barrier_at_dim_ev") == [("m1", "reference", 0.4)]


def test_a_duplicate_is_not_why_the_original_has_no_barrier(publish, make):
    duplicate = make.failure("m1", reason=Reason.DUPLICATE, stage=Stage.CANDIDATES)
    db = publish([make.run(), make.candidate("m1"), duplicate])
    assert _ranked(db, "reason") == [("not_computed",)]


def test_flags_name_what_to_be_careful_about(publish, make):
    db = publish(
        [
            make.run(),
            make.candidate("a", e_above_hull_ev=0.2), make.run_material(name="a"),
            make.percolation("a", 0.1, in_domain=False),
            make.candidate("b", e_above_hull_ev=0.0), make.run_material(name="b"),
            make.percolation("b", 0.2, in_domain=True),
            make.candidate("c"), make.run_material(name="c"), make.percolation("c", 0.3),
        ]
    )  # fmt: skip
    assert _ranked(db, "material_id", "flags", "far_above_hull", "in_domain") == [
        ("a", "outside training domain; more than 0.1 eV above hull", True, False),
        ("b", None, False, True),
        ("c", None, None, None),
    ]


def test_an_unconverged_path_is_flagged_and_stays_in_its_place(publish, make):
    db = publish(
        [
            make.run(),
            make.candidate("a", e_above_hull_ev=0.2), make.run_material(name="a"),
            make.percolation("a", 0.1, in_domain=False, path_converged=False),
            make.candidate("b"), make.run_material(name="b"),
            make.percolation("b", 0.2, path_converged=True, site_energy_difference_ev=0.0),
            make.candidate("c"), make.run_material(name="c"),
            make.percolation("c", 0.3, path_converged=False, site_energy_difference_ev=0.25),
        ]
    )  # fmt: skip
    assert _ranked(db, "rank", "material_id", "path_converged", "flags", "site_energy_difference_ev") == [
        (
            1, "a", False,
            "outside training domain; rate-limiting path not converged; more than 0.1 eV above hull", None,
        ),
        (2, "b", True, None, 0.0),
        (3, "c", False, "rate-limiting path not converged", 0.25),
    ]  # fmt: skip


def test_limiting_edge_is_that_of_the_dimension(publish, make):
    db = publish(
        [
            make.run(), make.candidate("m1"), make.run_material(),
            make.percolation(percolation_dim=2, limiting_edge_1d="one", limiting_edge_2d="two"),
        ]
    )  # fmt: skip
    assert _ranked(db, "limiting_edge") == [("two",)]


def test_converged_refinements_go_before_predictions(publish, make):
    db = publish(
        [
            make.run(), *make.material(),
            make.hop(j=3), make.hop(j=4),
            make.refinement(j=1, barrier_ev=0.33),
            make.refinement(j=2, barrier_ev=0.44, converged=False),
            make.refinement(j=3, barrier_ev=0.55, converged=False),
        ]
    )  # fmt: skip
    found = [
        (hop["j"], hop["method"], hop["barrier_ev"], hop["converged"])
        for hop in queries.hops_of(db, "hash-m1")
    ]
    assert found == [
        (1, "chgnet-neb", 0.33, True),
        (2, "cnn", 0.9, None),
        (3, "chgnet-neb", 0.55, False),
        (4, None, None, None),
    ]


def test_each_mechanism_has_its_own_barrier(publish, make):
    there, other = "4_0_-1_0", "4_0_0_0"
    db = publish(
        [
            make.run(), *make.material(),
            make.described_hop(j=1, vacancy=there), make.described_hop(j=1, vacancy=other),
            make.prediction(j=1, barrier_ev=0.15, vacancy=there),
            make.prediction(j=1, barrier_ev=0.25, vacancy=other),
            make.refinement(j=1, barrier_ev=0.11, vacancy=there),
        ]
    )  # fmt: skip
    found = [
        (hop["j"], hop["mechanism"], hop["vacancy"], hop["method"], hop["barrier_ev"])
        for hop in queries.hops_of(db, "hash-m1")
    ]
    assert found == [
        (1, "isolated", "", "cnn", 0.2),
        (1, "divacancy", there, "chgnet-neb", 0.11),
        (1, "divacancy", other, "cnn", 0.25),
        (2, "isolated", "", "cnn", 0.9),
    ]
    through_sql = queries.sql(db, "SELECT j, mechanism, vacancy, method, barrier_ev FROM hop_barriers").rows
    assert list(through_sql) == found


def test_a_barrier_carries_the_force_left_on_its_own_path(publish, make):
    relaxed = {"vacancy": "", "mechanism": "isolated"}
    db = publish(
        [
            make.run(), make.candidate(), make.run_material(),
            make.described_hop(j=1, **relaxed), make.prediction(j=1),
            make.described_hop(j=2, **relaxed, path_converged=False), make.refinement(j=2),
            make.described_hop(j=3, **relaxed), make.refinement(j=3, residual_force_ev_ang=None),
            make.described_hop(j=4, **relaxed), make.hop(j=5),
        ]
    )  # fmt: skip
    columns = ("j", "method", "path_kind", "path_converged", "residual_force_ev_ang", "bvse_barrier_ev")
    assert [tuple(hop[name] for name in columns) for hop in queries.hops_of(db, "hash-m1")] == [
        (1, "cnn", "bvse", True, 0.01, 0.4),
        (2, "chgnet-neb", "bvse", False, 0.04, 0.4),
        (3, "chgnet-neb", "bvse", True, None, 0.4),
        (4, None, "bvse", True, 0.01, 0.4),
        (5, None, "straight", None, None, None),
    ]


def test_run_summary_counts(publish, make):
    kinds = [("a", Reason.NO_HOPS), ("b", Reason.TIME_LIMIT), ("c", Reason.TIME_LIMIT)]
    refused = [make.failure(name, reason=reason) for name, reason in kinds]
    db = publish(
        [
            make.run("r1", day=0), make.run("r2", day=1),
            *make.material("m1", 0.4), *make.material("m2", None),
            *refused, *[make.run_failure(failure) for failure in refused],
        ]
    )  # fmt: skip
    second, first = queries.runs(db)
    assert (first["run_id"], first["n_materials"], first["n_ranked"], first["n_failures"]) == ("r1", 2, 1, 3)
    assert first["failures_by_reason"] == "time_limit: 2, no_hops: 1"
    assert (second["n_materials"], second["n_failures"], second["failures_by_reason"]) == (0, 0, None)
    assert first["started_at"] == "2026-03-01T12:00:00Z"
