"""Merging held against a dict that is filled row by row: each key once, the first or the newest."""

from __future__ import annotations

import random

import pytest

from storage.database import writing
from storage.merging import NEWEST_WINS, NUMBERED, WITHOUT_KEY
from storage.recorder import Recorder
from storage.records import Hop, Percolation, Prediction, RunMaterial, StageResult

CALLS, ROWS, KEYS = 8, 12, 7


def some_row(make, dice: random.Random, table: str):
    """A row under one of a few keys whose other columns tell it from the others of its key."""
    k, told = dice.randrange(KEYS), dice.randrange(10**6)
    material, j = f"m{k % 3}", k + 1
    if table == Hop.table:
        return make.hop(material, j=j, distance_ang=1.0 + told)
    if table == Prediction.table:
        return make.prediction(material, j=j, domain_distance=float(told))
    if table == Percolation.table:
        return make.percolation(material).model_copy(update={"stage_key": f"p{k}", "n_hops": told})
    if table == StageResult.table:
        return make.stage_result(f"stage-{k}").model_copy(update={"n_rows": told})
    return RunMaterial(
        run_id="r", structure_hash=f"h{k}", working_ion="Li", material_id=str(told),
        hops_stage_key="a", prediction_stage_key="b", percolation_stage_key="c",
    )  # fmt: skip


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("row_type", [Hop, Prediction, Percolation, StageResult, RunMaterial])
def test_each_key_is_there_once(tmp_path, make, row_type, seed):
    dice = random.Random(f"{row_type.table} {seed}")
    recorder = Recorder(tmp_path / "lihop.duckdb")
    expected: dict[tuple, object] = {}
    for _ in range(CALLS):
        rows = [some_row(make, dice, row_type.table) for _ in range(dice.randrange(1, ROWS))]
        recorder.record(rows=rows)
        for row in rows:
            key = tuple(getattr(row, name) for name in row_type.key)
            if row_type.table in NEWEST_WINS or key not in expected:
                expected[key] = row
    names = ", ".join(row_type.model_fields)
    with writing(recorder.paths) as connection:
        found = connection.execute(f"SELECT {names} FROM {row_type.table}").fetchall()
    places = [list(row_type.model_fields).index(name) for name in row_type.key]
    by_key = {tuple(row[place] for place in places): row for row in found}
    assert len(found) == len(by_key) == len(expected) > 1
    for key, row in expected.items():
        assert by_key[key] == tuple(row.model_dump().values())


def test_what_has_no_index_has_no_primary_key_either(tmp_path, make):
    recorder = Recorder(tmp_path / "lihop.duckdb")
    recorder.record(rows=[make.hop()])
    with writing(recorder.paths) as connection:
        keyed = connection.execute(
            "SELECT table_name FROM duckdb_constraints() WHERE constraint_type = 'PRIMARY KEY'"
        ).fetchall()
    assert not {name for (name,) in keyed} & WITHOUT_KEY


def test_numbers_count_structures_as_they_were_recorded(tmp_path, make):
    recorder = Recorder(tmp_path / "lihop.duckdb")
    recorder.record(rows=[make.hop("b"), make.hop("a"), make.hop("b", j=3)])
    recorder.record(rows=[make.prediction("c"), make.prediction("a")])
    recorder.record(rows=[make.percolation("e"), make.percolation("a")])
    recorder.record(rows=[make.hop("c"), make.hop("d"), make.hop("a"), make.run_material("r1", "e")])
    with writing(recorder.paths) as connection:
        numbers = dict(connection.execute("FROM structure_numbers").fetchall())
        questions = [f"SELECT structure_hash, structure_no FROM {table}" for table in sorted(NUMBERED)]
        carried = connection.execute(" UNION ALL ".join(questions)).fetchall()
    assert numbers == {"hash-b": 1, "hash-a": 2, "hash-c": 3, "hash-e": 4, "hash-d": 5}
    assert len(carried) == 10
    assert set(carried) == set(numbers.items())


def test_what_is_forgotten_and_computed_anew_keeps_its_number(tmp_path, make):
    recorder = Recorder(tmp_path / "lihop.duckdb")
    recorder.record(rows=[make.hop("a"), make.hop("b")])
    recorder.forget([make.hop("a").stage_key])
    recorder.record(rows=[make.hop("c"), make.hop("a")])
    with writing(recorder.paths) as connection:
        found = connection.execute("SELECT structure_hash, structure_no FROM hops").fetchall()
    assert sorted(found) == [("hash-a", 1), ("hash-b", 2), ("hash-c", 3)]
