"""Columns as JSON text are what Python writes of their values."""

import json
import math

import pyarrow as pa
import pytest

from storage.asking import plain
from storage.exports.json_text import json_rows, json_text

NESTED = [[[0.1, None], [], None], None, [], [[math.nan, -math.inf, 1e-12, 1e22, -0.0, 3.0]]]


@pytest.mark.parametrize(
    "column",
    [
        pa.array(NESTED, pa.list_(pa.list_(pa.float64()))),
        pa.array(NESTED, pa.large_list(pa.list_(pa.float64()))),
        # A part of a column: the lists before it do not count.
        pa.array(NESTED, pa.list_(pa.list_(pa.float64()))).slice(1, 3),
        pa.array([[[1, None], [2**31 - 1]], None, [[]]], pa.list_(pa.list_(pa.int32()))),
        pa.array([["a\"b'\n", None, "ü"], [], None], pa.list_(pa.string())),
        pa.array([True, None, False]),
        pa.array([[True], [None]]),
        pa.array([1.5, None, math.nan, math.inf]),
        pa.array([1, None], pa.uint8()),
        pa.array([None, None]),
        pa.array([[None]], pa.list_(pa.null())),
        pa.array([{"a": [1.0]}, None]),
        pa.array([[1.0, None], None], pa.list_(pa.float64(), 2)),
        pa.array([], pa.list_(pa.int32())),
        pa.array(["null", None, "", "\u2028\\"]),
    ],
)
def test_as_python_writes_it(column):
    assert [json.loads(text) for text in json_text(column).to_pylist()] == plain(column.to_pylist())


def test_rows():
    batch = pa.RecordBatch.from_pydict({'a"b': [1, None], "l": [[1.0], None], "t": ["x", "{"]})
    assert [json.loads(row) for row in json_rows(batch)] == batch.to_pylist()
