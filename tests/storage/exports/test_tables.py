"""Exports hold what the question returned, whole or not at all."""

import csv
import json

import pyarrow.parquet as pq
import pytest

from storage.errors import QueryError
from storage.exports.tables import export
from storage.queries import Answer

ANSWER = Answer(
    ("name", "barrier_ev", "orbit"), (('a "b",\nc', 0.25, [[0, 1]]), ("ü", None, [])), truncated=False
)


def test_csv(tmp_path):
    path = export(ANSWER, tmp_path / "a.csv")
    with path.open(newline="", encoding="utf-8") as stream:
        rows = list(csv.reader(stream))
    assert rows == [["name", "barrier_ev", "orbit"], ['a "b",\nc', "0.25", "[[0, 1]]"], ["ü", "", "[]"]]


def test_json(tmp_path):
    path = export(ANSWER, tmp_path / "deep" / "a.json")
    assert json.loads(path.read_text()) == ANSWER.records()


def test_parquet(tmp_path):
    path = export(ANSWER, tmp_path / "a.out", "parquet")
    assert pq.read_table(path).to_pylist() == ANSWER.records()


def test_what_does_not_fit_is_refused_and_leaves_nothing(tmp_path):
    with pytest.raises(QueryError, match="allowed are csv, json, parquet"):
        export(ANSWER, tmp_path / "a.xlsx")
    twice = Answer(("a", "a"), ((1, 2),), truncated=False)
    with pytest.raises(QueryError, match="distinct"):
        export(twice, tmp_path / "a.parquet")
    mixed = Answer(("a",), ((1,), ("x",)), truncated=False)
    with pytest.raises(QueryError, match="csv or json"):
        export(mixed, tmp_path / "a.parquet")
    assert list(tmp_path.iterdir()) == []
