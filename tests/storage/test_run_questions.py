"""What changed between two runs, and what failed in each, and why."""

import pytest

from storage import history, queries
from storage.records import Reason, Stage


def _select(db, statement):
    return list(queries.sql(db, statement).rows)


def _result(make, run_id, name, barrier_ev, version="", **changes):
    """Return what a run leaves of a material, under keys of its own for each version of its result."""
    key = f"percolation-{name}{version}"
    part = make.run_material(run_id, name, percolation_stage_key=key)
    return [part, make.percolation(name, barrier_ev, stage_key=key, **changes)]


def _three_runs(make):
    return [
        make.run("r1", day=0, status="completed"), make.run("r2", day=1, status="completed"),
        make.run("r3", day=2, status="completed"),
        *[make.candidate(name) for name in ("same", "better", "lost", "gone", "back", "late")],
        *_result(make, "r1", "same", 0.3), *_result(make, "r1", "better", 0.5),
        *_result(make, "r1", "lost", 0.4), *_result(make, "r1", "gone", 0.2),
        *_result(make, "r1", "back", 0.6),
        *_result(make, "r2", "same", 0.3),
        *_result(make, "r2", "better", 0.4, "-2", percolation_dim=2, model_digest="model-b"),
        *_result(make, "r2", "lost", None, "-2"), *_result(make, "r2", "late", 0.7),
        *_result(make, "r3", "same", 0.3), *_result(make, "r3", "back", 0.5, "-3"),
    ]  # fmt: skip


def test_each_material_beside_its_previous_result(publish, make):
    failure = make.failure("lost", reason=Reason.TIME_LIMIT, stage_key="percolation-lost-2")
    again = make.failure("lost", reason=Reason.NO_HOPS, stage_key="percolation-lost-2")
    runs = [*_three_runs(make), failure, again]
    db = publish([*runs, *[make.run_failure(one, "r2") for one in (failure, again)]])
    found = _select(
        db,
        "SELECT material_id, status, previous_run_id, percolation_dim_before, percolation_dim_after, "
        "barrier_before_ev, barrier_after_ev, round(difference_ev, 6), model_digest_before, "
        "model_digest_after, failure_reasons FROM run_changes WHERE run_id = 'r2' ORDER BY material_id",
    )
    a, b = "model-a", "model-b"
    assert found == [
        ("back", "gone", "r1", 1, None, 0.6, None, None, a, None, None),
        ("better", "changed", "r1", 1, 2, 0.5, 0.4, -0.1, a, b, None),
        ("gone", "gone", "r1", 1, None, 0.2, None, None, a, None, None),
        ("late", "new", None, None, 1, None, 0.7, None, None, a, None),
        ("lost", "changed", "r1", 1, None, 0.4, None, None, a, a, "no_hops, time_limit"),
        ("same", "unchanged", "r1", 1, 1, 0.3, 0.3, 0.0, a, a, None),
    ]


def test_a_material_that_is_back_is_compared_with_the_run_that_had_it(publish, make):
    db = publish(_three_runs(make))
    columns = "material_id, status, previous_run_id, barrier_before_ev"
    assert _select(db, f"SELECT {columns} FROM run_changes WHERE run_id = 'r3' ORDER BY 1") == [
        ("back", "changed", "r1", 0.6),
        ("better", "gone", "r2", 0.4),
        ("late", "gone", "r2", 0.7),
        ("lost", "gone", "r2", None),
        ("same", "unchanged", "r2", 0.3),
    ]
    assert {row[0] for row in _select(db, "SELECT status FROM run_changes WHERE run_id = 'r1'")} == {"new"}


def test_runs_of_another_source_ion_or_state_are_not_compared(publish, make):
    charged = {"structure_hash": "hash-charged"}
    db = publish(
        [
            make.run("r1", day=0, status="completed"),
            make.candidate("m1"), make.candidate("m1", state="charged", **charged), make.candidate("m2"),
            *_result(make, "r1", "m1", 0.3),
            make.run_material("r1", "m1", percolation_stage_key="percolation-charged", **charged),
            make.percolation("m1", 0.1, stage_key="percolation-charged", **charged),
            make.run("files", day=1, source="files", status="completed"), *_result(make, "files", "m2", 0.5),
            make.run("r2", day=2, status="completed"), *_result(make, "r2", "m1", 0.3),
        ]
    )  # fmt: skip
    columns = "run_id, material_id, state, status, previous_run_id"
    assert _select(db, f"SELECT {columns} FROM run_changes WHERE run_id <> 'r1' ORDER BY ALL") == [
        ("files", "m2", "discharged", "new", None),
        ("r2", "m1", "charged", "gone", "r1"),
        ("r2", "m1", "discharged", "unchanged", "r1"),
    ]


def test_a_failure_is_of_the_state_that_failed(publish, make):
    charged = {"structure_hash": "hash-charged"}
    slow = make.failure("m1", stage_key="hops-charged", **charged)
    early = make.failure("m2", stage=Stage.CANDIDATES, reason=Reason.MALFORMED_DOCUMENT, structure_hash=None)
    db = publish(
        [
            make.run("r1", day=0, status="completed"), make.candidate("m2"), *_result(make, "r1", "m2", 0.4),
            make.run("r2", day=1, status="completed"),
            make.candidate("m1"), make.candidate("m1", state="charged", **charged),
            *_result(make, "r2", "m1", 0.3),
            make.run_material("r2", "m1", percolation_stage_key="percolation-charged", **charged),
            slow, early, make.run_failure(slow, "r2"), make.run_failure(early, "r2"),
        ]
    )  # fmt: skip
    columns = "material_id, state, barrier_after_ev, failure_reasons"
    assert _select(db, f"SELECT {columns} FROM run_changes WHERE run_id = 'r2' ORDER BY ALL") == [
        ("m1", "charged", None, "time_limit"),
        ("m1", "discharged", 0.3, None),
        ("m2", "discharged", None, "malformed_document"),
    ]


@pytest.mark.parametrize(("barrier_ev", "status"), [
    (0.3 + 1e-7, "unchanged"), (0.3 - 9e-5, "unchanged"), (0.3 + 2e-4, "changed"), (None, "changed"),
])  # fmt: skip
def test_noise_in_the_last_digits_is_no_change(publish, make, barrier_ev, status):
    db = publish(
        [
            make.run("r1", day=0, status="completed"), make.candidate("m1"), *_result(make, "r1", "m1", 0.3),
            make.run("r2", day=1, status="completed"),
            *_result(make, "r2", "m1", barrier_ev, "-2", percolation_dim=1),
        ]
    )  # fmt: skip
    assert _select(db, "SELECT status FROM run_changes WHERE run_id = 'r2'") == [(status,)]
    found = history.diff(db, "r1", "r2")
    assert bool(found["changed"] or found["newly_failing"]) == (status == "changed")


def test_a_changed_structure_is_a_change(publish, make):
    new = {"structure_hash": "hash-new"}
    db = publish(
        [
            make.run("r1", day=0, status="completed"), make.candidate("m1"), *_result(make, "r1", "m1", 0.3),
            make.run("r2", day=1, status="completed"), make.candidate("m1", **new),
            make.run_material("r2", "m1", percolation_stage_key="percolation-new", **new),
            make.percolation("m1", 0.3, stage_key="percolation-new", **new),
        ]
    )  # fmt: skip
    columns = "status, structure_hash_before, structure_hash_after"
    found = _select(db, f"SELECT {columns} FROM run_changes WHERE run_id = 'r2'")
    assert found == [("changed", "hash-m1", "hash-new")]


def test_of_two_structures_of_one_material_always_the_same_is_compared_with(publish, make):
    names = [f"m{number}" for number in range(12)]
    rows = [make.run("r1", day=0, status="completed"), make.run("r2", day=1, status="completed")]
    for name in names:
        rows += [make.candidate(name), *_result(make, "r1", name, 0.3)]
        new = {"structure_hash": f"{'a' if name in names[:6] else 'z'}-{name}"}
        rows += [make.candidate(name, **new), make.percolation(name, 0.3, stage_key=f"new-{name}", **new)]
        rows += [
            make.run_material(run, name, percolation_stage_key=f"new-{name}", **new) for run in ("r1", "r2")
        ]
    db = publish(rows)
    columns = "material_id, status, structure_hash_before"
    found = _select(db, f"SELECT {columns} FROM run_changes WHERE run_id = 'r2' ORDER BY ALL")
    assert len(found) == len(names)
    for name in names:
        alone = f"SELECT {columns} FROM run_changes WHERE run_id = 'r2' AND material_id = '{name}'"
        assert _select(db, alone) == [row for row in found if row[0] == name]
    assert {row[1] for row in found} == {"unchanged", "changed"}


def test_what_a_killed_run_did_not_come_to_is_not_gone(publish, make):
    runs = [
        make.run("r1", day=0, status="completed"), make.run("killed", day=1, status="failed"),
        make.run("r2", day=2, status="completed"), make.candidate("m1"), make.candidate("m2"),
    ]  # fmt: skip
    results = [
        *_result(make, "r1", "m1", 0.3), *_result(make, "r1", "m2", 0.4),
        *_result(make, "killed", "m1", 0.3), *_result(make, "r2", "m1", 0.3),
    ]  # fmt: skip
    db = publish([*runs, *results])
    columns = "run_id, material_id, status, previous_run_id"
    assert _select(db, f"SELECT {columns} FROM run_changes WHERE run_id <> 'r1' ORDER BY ALL") == [
        ("killed", "m1", "unchanged", "r1"),
        ("r2", "m1", "unchanged", "killed"),
        ("r2", "m2", "gone", "r1"),
    ]


def test_failures_are_counted_by_run_and_reason_with_examples(publish, make):
    slow = [make.failure(f"m{n}", message=f"m{n} took longer than 60 s") for n in (4, 2, 3, 1)]
    refused = make.failure(
        "m9", stage=Stage.CANDIDATES, reason=Reason.PARTIAL_OCCUPANCY, message="half an atom"
    )
    twice = make.failure("m1", message="m1 took longer than 90 s", stage_key="hops-other")
    db = publish(
        [
            make.run("r1", day=0), make.run("r2", day=1), *slow, refused, twice,
            *[make.run_failure(one, "r1") for one in (*slow, refused)],
            *[make.run_failure(one, "r2") for one in (twice, slow[3])],
        ]
    )  # fmt: skip
    columns = "run_id, stage, reason, n_failures, n_materials, n_computed_since, example_ids"
    assert _select(db, f"SELECT {columns} FROM failure_summary") == [
        ("r2", "hops", "time_limit", 2, 1, 0, "m1"),
        ("r1", "hops", "time_limit", 4, 4, 0, "m1, m2, m3"),
        ("r1", "candidates", "partial_occupancy", 1, 1, 0, "m9"),
    ]
    messages = _select(db, "SELECT example_message FROM failure_summary WHERE run_id = 'r1'")
    assert messages == [("m1 took longer than 60 s",), ("half an atom",)]


def test_a_failure_that_was_taken_back_stays_in_the_count_of_its_run(publish, make):
    kept, healed = make.failure("m1"), make.failure("m2")
    # What is computed again is removed from `failures`, and the run keeps that it failed then.
    db = publish([make.run(), kept, make.run_failure(kept), make.run_failure(healed)])
    columns = "n_failures, n_computed_since, example_ids"
    assert _select(db, f"SELECT {columns} FROM failure_summary") == [(2, 1, "m1, m2")]
