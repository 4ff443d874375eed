"""A screening on a folder of good and bad files: everything ends as a result or as a reason."""

from __future__ import annotations

import json
import shutil

import pytest

from storage import queries
from storage.recorder import Recorder
from tests.campaigns import GOOD, assert_same, rock_salt, walled, write_bad, write_cif, write_good

MAX_FILE_MB = 0.2


def test_good_and_bad_files_all_end_somewhere(bench):
    write_good(bench.folder)
    expected = write_bad(bench.folder)
    summary = bench.screen(max_file_mb=MAX_FILE_MB, batch_size=3)
    ranked = bench.rankings()
    with_barrier = {name for name, row in ranked.items() if row["barrier_at_dim_ev"] is not None}
    assert with_barrier == set(GOOD)
    assert bench.reasons() == expected
    assert summary.n_items == len(GOOD) + len(expected)
    assert summary.n_items == summary.n_with_result + sum(summary.failures.values())
    assert summary.n_with_result == len(GOOD)
    for name in GOOD:
        row = ranked[name]
        assert 0 < row["lower_ev"] <= row["barrier_at_dim_ev"] <= row["upper_ev"]
        assert row["percolation_dim"] in {1, 2, 3}
    for row in queries.failures(bench.database):
        assert row["material_id"] in row["message"]
        assert row["traceback"] is None


def test_the_ranking_says_why_a_material_has_no_barrier(bench):
    write_good(bench.folder, ("lif.cif",))
    write_bad(bench.folder)
    bench.screen(max_file_mb=MAX_FILE_MB)
    ranked = bench.rankings()
    assert ranked["lonely.cif"]["reason"] == "no_hops"
    assert ranked["walled.cif"]["reason"] == "no_hops"
    assert ranked["lif.cif"]["reason"] is None


def test_hops_that_are_blocked_are_kept_and_named(bench):
    write_good(bench.folder, ("lif.cif",))
    write_cif(walled(), bench.folder / "walled.cif")
    bench.screen()
    rows = queries.sql(bench.database, "FROM hops WHERE material_id = 'walled.cif'").records()
    assert rows
    assert {row["blocked_by"] for row in rows} == {"host_atom"}
    predicted = queries.sql(bench.database, "SELECT DISTINCT edge_id FROM predictions").records()
    assert not {row["edge_id"] for row in rows} & {row["edge_id"] for row in predicted}


@pytest.mark.parametrize("with_others", [True, False])
def test_a_walled_material_is_not_tried_again(bench, with_others):
    if with_others:
        write_good(bench.folder, ("lif.cif",))
    write_cif(walled(), bench.folder / "walled.cif")
    bench.screen()
    second = bench.screen()
    assert second.n_computed == 0
    assert bench.steps.ran == []
    assert second.failures == {"no_hops": 1}


def test_a_second_run_computes_nothing_and_changes_nothing(bench):
    write_good(bench.folder)
    write_bad(bench.folder)
    first = bench.screen(max_file_mb=MAX_FILE_MB)
    before = bench.tables()
    second = bench.screen(max_file_mb=MAX_FILE_MB, batch_size=2)
    assert first.n_computed > 0
    assert second.n_computed == 0
    assert second.n_reused == second.n_candidates == first.n_candidates
    assert bench.steps.ran == []
    assert second.failures == first.failures
    assert second.n_with_result == first.n_with_result
    assert_same(bench.tables(), before)


def test_only_a_new_file_is_computed(bench):
    write_good(bench.folder, ("lif.cif", "li2o.cif"))
    bench.screen()
    before = bench.rankings()
    write_good(bench.folder, ("licl.cif",))
    second = bench.screen()
    assert (second.n_computed, second.n_reused) == (1, 2)
    after = bench.rankings()
    for name, row in before.items():
        assert after[name]["barrier_at_dim_ev"] == row["barrier_at_dim_ev"]


def test_another_cutoff_is_computed_anew(bench):
    write_good(bench.folder, ("lif.cif", "licoo2.cif"))
    bench.screen()
    before, n_hops = bench.tables(), bench.rankings()["licoo2.cif"]["n_hops"]
    second = bench.screen(cutoff_ang=4.5)
    assert second.n_computed == 2
    assert "featurize" in bench.steps.ran
    after = bench.tables()
    keys = {name: {row["stage_key"] for row in before[name]} for name in ("hops", "predictions")}
    for name, old in keys.items():
        assert {row["stage_key"] for row in after[name]} > old
        assert [row for row in after[name] if row["stage_key"] in old] == before[name]
    assert all(row["cutoff_ang"] <= 4.5 for row in bench.rankings().values())
    assert bench.rankings()["licoo2.cif"]["n_hops"] < n_hops


def test_another_model_reuses_hops_and_descriptors(bench, other_checkpoint):
    write_good(bench.folder)
    bench.screen(batch_size=3)
    before = bench.rankings()
    second = bench.screen(model=str(other_checkpoint), batch_size=3)
    assert second.n_computed == len(GOOD)
    assert set(bench.steps.ran) == {"predict", "percolate"}
    after = bench.rankings()
    for name in GOOD:
        assert after[name]["model_digest"] != before[name]["model_digest"]
        assert after[name]["barrier_at_dim_ev"] != before[name]["barrier_at_dim_ev"]
    assert len(bench.tables()["models"]) == 2


def test_the_first_model_again_needs_no_work(bench, other_checkpoint):
    write_good(bench.folder, ("lif.cif",))
    bench.screen()
    before = bench.rankings()["lif.cif"]
    bench.screen(model=str(other_checkpoint))
    third = bench.screen()
    assert third.n_computed == 0
    after = bench.rankings()["lif.cif"]
    assert after | {"run_id": None} == before | {"run_id": None}


def test_deleted_shards_are_only_computed_again(bench, other_checkpoint):
    write_good(bench.folder)
    bench.screen()
    before = bench.tables()
    shutil.rmtree(bench.database.parent / "lihop.duckdb.work" / "shards")
    again = bench.screen()
    assert again.n_computed == 0
    assert_same(bench.tables(), before)
    second = bench.screen(model=str(other_checkpoint))
    assert second.n_with_result == len(GOOD)
    assert "featurize" in bench.steps.ran
    assert bench.tables()["hops"] == before["hops"]


def test_recomputed_shards_are_found_again(bench, other_checkpoint):
    """Also when they were recomputed in batches of another size."""
    write_good(bench.folder)
    bench.screen(batch_size=4)
    shutil.rmtree(bench.database.parent / "lihop.duckdb.work" / "shards")
    bench.screen(model=str(other_checkpoint), batch_size=1)
    assert bench.steps.ran.count("featurize") == len(GOOD)
    # Nothing but the percolation is forgotten, so that the shards behind it are looked for again.
    Recorder(bench.database).forget({row["stage_key"] for row in bench.tables()["percolation"]})
    last = bench.screen(model=str(other_checkpoint), batch_size=1)
    assert last.n_computed == len(GOOD)
    assert "featurize" not in bench.steps.ran


def test_a_damaged_shard_is_only_computed_again(bench, other_checkpoint):
    write_good(bench.folder)
    bench.screen(batch_size=2)
    shards = sorted(
        (bench.database.parent / "lihop.duckdb.work" / "shards").glob("hops-*.descriptors.parquet")
    )
    assert len(shards) == 2
    content = shards[0].read_bytes()
    shards[0].write_bytes(content[: len(content) // 2])
    summary = bench.screen(model=str(other_checkpoint), batch_size=2)
    assert summary.n_with_result == len(GOOD)
    assert bench.steps.ran.count("featurize") == 1


def test_a_changed_file_is_read_again(bench):
    path = write_cif(rock_salt("Li", "F", 4.03), bench.folder / "a.cif")
    bench.screen()
    first = bench.rankings()["a.cif"]
    write_cif(rock_salt("Li", "Br", 5.50), path)
    second = bench.screen()
    assert second.n_computed == 1
    of_run = "SELECT formula FROM run_materials JOIN candidates USING (structure_hash) WHERE run_id = '{}'"
    taken = queries.sql(bench.database, of_run.format(second.run_id)).records()
    assert taken == [{"formula": "LiBr"}]
    assert first["formula"] == "LiF"


def test_files_of_several_structures(bench):
    both = [structure.as_dict() for structure in (GOOD["lif.cif"], GOOD["li2o.cif"])]
    (bench.folder / "both.json").write_text(json.dumps(both), encoding="utf-8")
    summary = bench.screen()
    assert summary.n_items == 1
    assert set(bench.rankings()) == {"both.json#1", "both.json#2"}
    assert summary.n_with_result == 2


def test_one_crystal_under_two_names_is_one_material(bench):
    write_cif(GOOD["lif.cif"], bench.folder / "a.cif")
    write_cif(GOOD["lif.cif"], bench.folder / "b.cif")
    summary = bench.screen()
    assert summary.n_candidates == 1
    assert bench.reasons() == {"b.cif": "duplicate"}
    assert list(bench.rankings()) == ["a.cif"]
    (message,) = [row["message"] for row in queries.failures(bench.database)]
    assert "b.cif is the same material as a.cif (one structure, volumes per atom within 5%)" in message


def test_a_folder_of_bad_files_alone_is_a_run_without_result(bench):
    expected = write_bad(bench.folder)
    del expected["zz-again.cif"]
    (bench.folder / "zz-again.cif").unlink()
    summary = bench.screen(max_file_mb=MAX_FILE_MB)
    assert summary.n_with_result == 0
    assert bench.reasons() == expected
    assert "predict" not in bench.steps.ran


def test_another_working_ion(bench):
    write_cif(rock_salt("Na", "Cl", 5.64), bench.folder / "nacl.cif")
    write_good(bench.folder, ("lif.cif",))
    bench.screen()
    assert bench.reasons() == {"nacl.cif": "no_working_ion"}
    bench.screen(working_ion="Na")
    assert bench.reasons() == {"lif.cif": "no_working_ion"}
    assert {(row["material_id"], row["working_ion"]) for row in bench.rankings().values()} == {
        ("lif.cif", "Li"),
        ("nacl.cif", "Na"),
    }


def test_what_goes_wrong_in_percolation_costs_no_other(bench, monkeypatch):
    from tasks import percolating

    real = percolating.percolation_row

    def fail(candidate, *rest):
        if candidate.material_id == "lif.cif":
            raise ArithmeticError("no luck")
        return real(candidate, *rest)

    monkeypatch.setattr(percolating, "percolation_row", fail)
    write_good(bench.folder, ("lif.cif", "li2o.cif"))
    summary = bench.screen()
    assert bench.reasons() == {"lif.cif": "unexpected"}
    assert summary.n_with_result == 1
    assert summary.n_items == summary.n_with_result + sum(summary.failures.values())
    monkeypatch.undo()
    again = bench.screen(retry=("unexpected",))
    assert (again.n_computed, again.n_with_result, again.failures) == (1, 2, {})


def test_what_goes_wrong_in_featurizing_costs_no_other(bench, monkeypatch):
    from tasks import featurizing

    real = featurizing.describe
    seen = []

    def fail(env):
        seen.append(env)
        if env.composition.get("F"):
            raise ArithmeticError("no luck")
        return real(env)

    monkeypatch.setattr(featurizing, "describe", fail)
    write_good(bench.folder)
    summary = bench.screen()
    assert bench.reasons() == {"lif.cif": "unexpected"}
    (row,) = queries.failures(bench.database)
    assert "no luck" in row["message"]
    assert "ArithmeticError" in row["traceback"]
    assert summary.n_with_result == len(GOOD) - 1


def test_a_run_that_cannot_go_on_is_recorded_as_failed(bench, monkeypatch):
    from flows import computing

    def fail(*_args, **_named):
        raise RuntimeError("the model cannot be used")

    write_good(bench.folder)
    monkeypatch.setattr(computing, "load_checkpoint", fail)
    with pytest.raises(RuntimeError, match="cannot be used"):
        bench.screen()
    monkeypatch.undo()
    summary = bench.screen()
    assert "featurize" not in bench.steps.ran
    assert summary.n_with_result == len(GOOD)
    assert {row["status"] for row in queries.runs(bench.database)} == {"failed", "completed"}


def test_the_run_is_counted_in_its_row(bench):
    write_good(bench.folder)
    expected = write_bad(bench.folder)
    summary = bench.screen(max_file_mb=MAX_FILE_MB)
    (row,) = queries.runs(bench.database)
    assert row["run_id"] == summary.run_id
    assert row["n_candidates"] == row["n_materials"] == summary.n_candidates
    assert row["n_ranked"] == len(GOOD)
    assert row["n_failed"] == row["n_failures"] == len(expected)
    assert row["model_digest"] == bench.rankings()["lif.cif"]["model_digest"]


def test_every_table_is_keyed_by_a_recorded_stage(bench):
    write_good(bench.folder)
    bench.screen()
    found = bench.tables()
    done = {row["stage_key"] for row in found["stage_results"]}
    for name in ("candidates", "hops", "predictions", "percolation"):
        assert {row["stage_key"] for row in found[name]} <= done
