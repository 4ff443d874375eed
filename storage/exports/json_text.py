"""Arrow columns as JSON text; lists of numbers, most of a path, without a Python object each."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from storage.asking import plain

NULL = "null"


def json_text(column: pa.Array) -> pa.Array:
    """Return the values of a column as JSON text; what is null is ``null``, and what is not finite too.

    Times are in ISO 8601 (UTC), bytes in base64, intervals in seconds with months of 30 days.
    """
    kind = column.type
    if pa.types.is_null(kind):
        return pa.array([NULL] * len(column), type=pa.string())
    if pa.types.is_list(kind) or pa.types.is_large_list(kind):
        return _of_lists(column)
    if pa.types.is_floating(kind):
        return pc.if_else(
            pc.fill_null(pc.is_finite(column), fill_value=False), column.cast(pa.string()), NULL
        )
    if pa.types.is_integer(kind) or pa.types.is_boolean(kind):
        return pc.fill_null(column.cast(pa.string()), NULL)
    texts = [
        json.dumps(plain(_as_asked(value)), ensure_ascii=False, allow_nan=False)
        for value in _in_python(column)
    ]
    return pa.array(texts, type=pa.string())


def json_rows(batch: pa.RecordBatch) -> list[str]:
    """Return a batch's rows as JSON objects."""
    parts: list[Any] = []
    for number, (name, column) in enumerate(zip(batch.schema.names, batch.columns, strict=True)):
        before = f"{', ' if number else '{'}{json.dumps(name, ensure_ascii=False)}: "
        parts += [before, json_text(column)]
    texts: list[str] = pc.binary_join_element_wise(*parts, "}", "").to_pylist()
    return texts


def _of_lists(column: pa.Array) -> pa.Array:
    """Return lists as JSON: the text of all their entries at once, joined list by list."""
    lengths = pc.fill_null(column.value_lengths(), 0).cast(pa.int32())
    offsets = pa.concat_arrays([pa.array([0], pa.int32()), pc.cumulative_sum(lengths)])
    joined = pc.binary_join(pa.ListArray.from_arrays(offsets, json_text(column.flatten())), ", ")
    return pc.if_else(column.is_valid(), pc.binary_join_element_wise("[", joined, "]", ""), NULL)


def _in_python(column: pa.Array) -> list[Any]:
    """Return values in Python, maps as dicts; Arrow is far slower then, so only where there are any."""
    found: list[Any] = column.to_pylist(maps_as_pydicts="lossy" if "map<" in str(column.type) else None)
    return found


def _as_asked(value: object) -> object:
    """Return what Arrow made of intervals and large whole numbers as DuckDB itself has them in Python."""
    if isinstance(value, pa.MonthDayNano):
        return (value.months * 30 + value.days) * 86400 + value.nanoseconds / 1e9
    if isinstance(value, Decimal) and value.as_tuple().exponent == 0:
        return int(value)
    return value
