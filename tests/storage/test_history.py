"""Runs are found by name, compared by what became of each material, and deleted without touching others."""

import pytest

from storage import history, queries
from storage.deletion import delete_runs
from storage.errors import QueryError, StorageError
from storage.recorder import Recorder
from storage.shards import write_shard


@pytest.fixture
def recorder(tmp_path):
    return Recorder(tmp_path / "lihop.duckdb")


def _results(make, name, barrier_ev=0.3, *, key=None, **changes):
    """Return what a material comes to, stage results included, under keys of its own."""
    key = name if key is None else key
    rows = [
        make.hop(name, stage_key=f"hops-{key}"),
        make.prediction(name, stage_key=f"prediction-{key}", **changes),
        make.percolation(name, barrier_ev, stage_key=f"percolation-{key}", **changes),
    ]
    stages = [
        make.stage_result(f"hops-{key}", shard=f"hops-{key}"), make.stage_result(f"prediction-{key}"),
        make.stage_result(f"percolation-{key}"),
    ]  # fmt: skip
    return [*rows, *stages]


def _part(make, run_id, name, key=None):
    key = name if key is None else key
    keys = {f"{stage}_stage_key": f"{stage}-{key}" for stage in ("hops", "prediction", "percolation")}
    return make.run_material(run_id, name, **keys)


@pytest.fixture
def two_runs(recorder, make):
    """Two runs: `same` and `tiny` agree, `moved`, `fails`, `heals` differ, `gone` went and `new` came."""
    names = ("same", "tiny", "moved", "fails", "heals", "gone", "new")
    first, second = (
        make.failure("heals", stage_key="hops-heals-1"),
        make.failure("fails", stage_key="hops-fails-2"),
    )
    rows = [
        make.run("run-a", status="completed"),
        make.run("run-b", day=1, status="completed", settings_json='{"max_hops": 50, "symprec": 0.01}'),
        *(make.candidate(name) for name in names), first, second,
        make.run_failure(first, "run-a"), make.run_failure(second, "run-b"),
    ]  # fmt: skip
    for name, (before, after) in {
        "same": (0.3, None), "tiny": (0.3, 0.30001), "moved": (0.3, 0.5), "fails": (0.4, None),
    }.items():  # fmt: skip
        rows += [*_results(make, name, before, key=f"{name}-1"), _part(make, "run-a", name, f"{name}-1")]
        if after is not None:
            rows += _results(make, name, after, key=f"{name}-2")
        later = f"{name}-1" if name == "same" else f"{name}-2"
        rows.append(_part(make, "run-b", name, later))
    rows += [_part(make, "run-a", "heals", "heals-1"), _part(make, "run-b", "heals", "heals-2")]
    rows += _results(make, "heals", 0.2, key="heals-2")
    rows += [*_results(make, "gone"), _part(make, "run-a", "gone")]
    rows += [*_results(make, "new"), _part(make, "run-b", "new")]
    recorder.record(rows=rows)
    recorder.publish()
    return recorder


def test_two_runs_are_compared(two_runs):
    found = history.diff(two_runs.paths.published)
    assert (found["first"]["run_id"], found["second"]["run_id"]) == ("run-a", "run-b")
    assert found["settings"] == {"max_hops": [100, 50]}
    assert found["manifest"] == {}
    assert [row["material_id"] for row in found["came"]] == ["new"]
    assert [row["material_id"] for row in found["went"]] == ["gone"]
    (moved,) = found["changed"]
    assert (moved["material_id"], moved["changes"]) == ("moved", {"barrier_at_dim_ev": [0.3, 0.5]})
    (fails,) = found["newly_failing"]
    assert fails["material_id"] == "fails"
    assert fails["changes"]["reason"] == [None, "time_limit"]
    assert fails["changes"]["barrier_at_dim_ev"] == [0.4, None]
    assert fails["changes"]["percolation_dim"] == [1, None]
    (heals,) = found["newly_succeeding"]
    assert heals["changes"]["reason"] == ["time_limit", None]
    assert found["n_same"] == 2


def test_runs_compare_the_other_way_round_too(two_runs):
    found = history.diff(two_runs.paths.published, "run-b", "run-a")
    assert [row["material_id"] for row in found["came"]] == ["gone"]
    assert [row["material_id"] for row in found["newly_failing"]] == ["heals"]


def test_a_failure_before_there_is_a_structure_is_compared(recorder, make):
    bad = make.failure(
        "x", structure_hash=None, stage="candidates", reason="unreadable_file", stage_key="clean-x"
    )
    recorder.record(rows=[
        make.run("run-a"), make.run("run-b", day=1), bad, make.run_failure(bad, "run-a"),
        make.candidate("x"), *_results(make, "x"), _part(make, "run-b", "x"),
    ])  # fmt: skip
    recorder.publish()
    found = history.diff(recorder.paths.published)
    assert [row["changes"]["reason"] for row in found["newly_succeeding"]] == [["unreadable_file", None]]
    assert found["came"] == found["went"] == []


def test_both_states_of_charge_are_compared_apart(recorder, make):
    hashed = {"structure_hash": "hash-charged"}
    charged = hashed | {"state": "charged"}
    rows = [make.run("run-a"), make.run("run-b", day=1), make.candidate("x"), make.candidate("x", **charged)]
    rows += [make.run_material(run, "x") for run in ("run-a", "run-b")]
    for run, barrier_ev in (("run-a", 0.5), ("run-b", 0.6)):
        rows.append(make.run_material(run, "x", **hashed, percolation_stage_key=f"p-{run}"))
        rows.append(make.percolation("x", barrier_ev, **hashed, stage_key=f"p-{run}"))
    recorder.record(rows=[*rows, make.percolation("x", 0.3)])
    recorder.publish()
    found = history.diff(recorder.paths.published)
    assert [(row["state"], row["changes"]) for row in found["changed"]] == [
        ("charged", {"barrier_at_dim_ev": [0.5, 0.6]})
    ]
    assert found["n_same"] == 1


def test_the_run_before_is_of_the_same_source(recorder, make):
    recorder.record(rows=[
        make.run("a1"), make.run("other", day=1, source="files"), make.run("a2", day=2),
    ])  # fmt: skip
    recorder.publish()
    db = recorder.paths.published
    assert history.diff(db)["first"]["run_id"] == "a1"
    assert history.diff(db, "a2")["first"]["run_id"] == "a1"
    with pytest.raises(QueryError, match="no run of the same source"):
        history.diff(db, None, "other")


def test_a_run_is_named_by_its_beginning(two_runs):
    known = ["run-b", "run-a", "older"]
    assert history.matching_run(known, "latest") == "run-b"
    assert history.matching_run(known, "o") == "older"
    with pytest.raises(QueryError, match="begins several runs: run-b, run-a"):
        history.matching_run(known, "run")
    with pytest.raises(QueryError, match="there are latest, run-b"):
        history.matching_run(known, "")
    with pytest.raises(QueryError, match="none, since nothing was screened"):
        history.matching_run([], "latest")
    # An identifier that begins another one means itself.
    assert history.matching_run(["ab", "a"], "a") == "a"


def test_a_card_tells_settings_and_failures(two_runs):
    card = history.run_card(two_runs.paths.published, "run-b")
    assert card["settings"] == {"max_hops": 50, "symprec": 0.01}
    assert card["failures_by_reason"] == {"time_limit": 1}
    assert (card["n_materials"], card["n_ranked"], card["model_digest"]) == (6, 5, "model-a")


def _keys(recorder, table):
    return {row["stage_key"] for row in queries.sql(recorder.paths.published, f"FROM {table}").records()}


def test_a_run_is_deleted_and_its_results_stay(two_runs):
    before = {table: _keys(two_runs, table) for table in ("hops", "predictions", "percolation", "failures")}
    done = delete_runs(two_runs.paths, ["run-b"])
    assert done.rows == {"runs": 1, "run_materials": 6, "run_failures": 1}
    assert [row["run_id"] for row in queries.runs(two_runs.paths.published)] == ["run-a"]
    assert {table: _keys(two_runs, table) for table in before} == before


def test_with_results_goes_what_only_that_run_took_part_in(two_runs, make, tmp_path):
    shards = two_runs.paths.shards
    for name in ("moved-1", "moved-2", "same-1"):
        write_shard(shards / f"hops-{name}.hops.parquet", [make.hop()])
    planned = delete_runs(two_runs.paths, ["run-b"], results=True, dry_run=True)
    assert not planned.done
    assert _keys(two_runs, "percolation") >= {"percolation-moved-2"}
    done = delete_runs(two_runs.paths, ["run-b"], results=True)
    assert (done.rows, done.shards, done.shard_bytes) == (planned.rows, planned.shards, planned.shard_bytes)
    assert done.shards == 1
    assert {path.name for path in shards.iterdir()} == {
        "hops-moved-1.hops.parquet",
        "hops-same-1.hops.parquet",
    }
    left = {"same-1", "tiny-1", "moved-1", "fails-1", "gone"}
    assert _keys(two_runs, "hops") == {f"hops-{key}" for key in left}
    assert _keys(two_runs, "predictions") == {f"prediction-{key}" for key in left}
    assert _keys(two_runs, "percolation") == {f"percolation-{key}" for key in left}
    assert _keys(two_runs, "failures") == {"hops-heals-1"}
    assert _keys(two_runs, "stage_results") == {
        f"{s}-{k}" for k in left for s in ("hops", "prediction", "percolation")
    }
    ranked = {
        row["material_id"]: row["barrier_at_dim_ev"] for row in queries.rankings(two_runs.paths.published)
    }
    assert ranked["moved"] == 0.3


def test_deleting_all_runs_leaves_no_result(two_runs):
    done = delete_runs(two_runs.paths, ["run-a", "latest", "run-b"], results=True)
    assert done.runs == ("run-a", "run-b")
    for table in ("hops", "predictions", "percolation", "failures", "stage_results", "runs", "run_failures"):
        assert queries.sql(two_runs.paths.published, f"FROM {table}").rows == ()


def test_what_a_sync_found_is_left_to_it(recorder, make):
    bad = make.failure("x", stage="candidates", reason="malformed_document", stage_key="entry-x")
    recorder.record(rows=[make.run("a", status="failed"), bad, make.run_failure(bad, "a")])
    delete_runs(recorder.paths, ["a"], results=True)
    assert _keys(recorder, "failures") == {"entry-x"}


def test_a_run_that_never_ended_is_deleted_only_by_force(recorder, make):
    recorder.start_run(make.run("dead"))
    recorder.start_run(make.run("done", day=1, status="completed"))
    with pytest.raises(StorageError, match=r"dead never ended.*--force"):
        delete_runs(recorder.paths, ["done", "dead"])
    assert len(queries.runs(_published(recorder))) == 2
    assert delete_runs(recorder.paths, ["dead"], force=True).rows["runs"] == 1
    assert [path.stem for path in recorder.paths.manifests.iterdir()] == ["done"]


def _published(recorder):
    recorder.publish()
    return recorder.paths.published


def test_what_is_left_of_a_run_that_is_not_there_can_be_deleted(recorder, make):
    recorder.record(rows=[make.run_material("ghost")])
    assert delete_runs(recorder.paths, ["ghost"]).rows == {"runs": 0, "run_materials": 1, "run_failures": 0}


def test_rankings_show_the_newest_model_and_older_predictions_stay(recorder, make):
    old = {"model_digest": "model-old"}
    recorder.record(rows=[
        make.candidate(), make.run("a", model_digest="model-old"), make.run("b", day=1, status="completed"),
        *_results(make, "m1", 0.5, key="1", **old), _part(make, "a", "m1", "1"),
        *_results(make, "m1", 0.3, key="2"), _part(make, "b", "m1", "2"),
    ])  # fmt: skip
    db = _published(recorder)
    assert [(row["barrier_at_dim_ev"], row["model_digest"]) for row in queries.rankings(db)] == [
        (0.3, "model-a")
    ]
    assert {row["model_digest"] for row in queries.predictions_of(db, "hash-m1")} == {"model-old", "model-a"}
    found = history.diff(db)
    assert found["manifest"] == {"model_digest": ["model-old", "model-a"]}
    assert [row["changes"] for row in found["changed"]] == [{"barrier_at_dim_ev": [0.5, 0.3]}]
    delete_runs(recorder.paths, ["b"], results=True)
    assert [row["barrier_at_dim_ev"] for row in queries.rankings(db)] == [0.5]
