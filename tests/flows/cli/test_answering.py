"""`lihop sql` hands out the same rows in every format, and says when there are more."""

from __future__ import annotations

import csv
import io
import json

import pyarrow.parquet as pq
import pytest

STATEMENT = "SELECT material_id, n_sites, other_ids, e_above_hull_ev FROM candidates ORDER BY material_id"


@pytest.fixture
def rows(lihop, database):
    found = json.loads(lihop("sql", STATEMENT, "--json").out)
    assert len(found) > 3
    return found


def test_printed(lihop, rows):
    assert json.loads(lihop("sql", STATEMENT, "--format", "json").out) == rows
    printed = list(
        csv.DictReader(io.StringIO(lihop("sql", STATEMENT, "--format", "csv", "--output", "-").out))
    )
    assert [row["material_id"] for row in printed] == [row["material_id"] for row in rows]
    assert [int(row["n_sites"]) for row in printed] == [row["n_sites"] for row in rows]
    # What is unknown is an empty field.
    assert {row["e_above_hull_ev"] for row in printed} == {""}
    table = lihop("sql", STATEMENT, "--format", "table").out
    assert table == lihop("sql", STATEMENT).out
    assert all(row["material_id"] in table for row in rows)


@pytest.mark.parametrize(("name", "more"), [("a.parquet", ()), ("a.out", ("--format", "parquet"))])
def test_parquet(lihop, rows, tmp_path, name, more):
    result = lihop("sql", STATEMENT, "--output", tmp_path / name, *more)
    assert (result.code, result.err) == (0, "")
    assert f"Wrote {len(rows)} rows to" in result.out
    table = pq.read_table(tmp_path / name)
    assert table.to_pylist() == rows
    # Also of a column that holds nothing.
    assert [str(kind) for kind in table.schema.types] == [
        "string",
        "int32",
        "list<element: string>",
        "double",
    ]


def test_other_files(lihop, rows, tmp_path):
    assert lihop("sql", STATEMENT, "--output", tmp_path / "a.csv").code == 0
    assert (tmp_path / "a.csv").read_text() == lihop("sql", STATEMENT, "--format", "csv").out
    said = lihop("sql", STATEMENT, "--output", tmp_path / "a.json", "--json")
    assert json.loads(said.out) == {
        "output": str(tmp_path / "a.json"), "format": "json", "rows": len(rows), "truncated": False
    }  # fmt: skip
    assert json.loads((tmp_path / "a.json").read_text()) == rows


@pytest.mark.parametrize(
    ("kind", "to_file"),
    [("table", False), ("csv", False), ("json", False), ("csv", True), ("json", True), ("parquet", True)],
)
def test_cut_off_rows_are_announced_beside_the_rows(lihop, database, tmp_path, kind, to_file):
    more = ("--output", tmp_path / f"a.{kind}") if to_file else ("--format", kind)
    cut = lihop("sql", "FROM candidates", "--limit", "2", *more)
    assert cut.code == 0
    assert cut.err == "There are more than 2 rows; raise --limit.\n"
    assert "more than" not in cut.out
    if kind == "json":
        assert len(json.loads((tmp_path / "a.json").read_text() if to_file else cut.out)) == 2
    assert lihop("sql", "FROM candidates LIMIT 2", "--limit", "2", *more).err == ""


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (("--format", "parquet"), "--output answer.parquet"),
        (("--format", "csv", "--json"), "one of the two"),
        (("--format", "table", "--output", "{folder}/a.csv"), "csv, json or parquet"),
        (("--output", "{folder}/a.xlsx"), "allowed are csv, json, parquet"),
        (("--output", "{folder}"), "allowed are csv, json, parquet"),
        (("--output", "{folder}", "--format", "csv"), "cannot be written"),
        (("--output", "{database}", "--format", "csv"), "belongs to the database"),
        (("--output", "{folder}/a.csv", "--time-limit", "0.01"), "longer than 0.01 s"),
    ],
)
def test_what_is_refused(lihop, database, tmp_path, more, said):
    before = database.read_bytes()
    statement = "SELECT count(*) FROM range(10000000000) AS a, range(1000)" if "0.01" in more else STATEMENT
    result = lihop("sql", statement, *(text.format(folder=tmp_path, database=database) for text in more))
    assert result.code == 2
    assert result.is_one_message
    assert said in result.err
    assert list(tmp_path.iterdir()) == []
    assert database.read_bytes() == before
