"""Arrow schemas of the row types: how a field of `storage.records` looks in a Parquet shard."""

from __future__ import annotations

import enum
import functools
import types
import typing
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, TypeVar

import pyarrow as pa

from storage.errors import RefusedRowsError
from storage.records import ROW_TYPES, Row

if TYPE_CHECKING:
    from collections.abc import Sequence

R = TypeVar("R", bound=Row)

# The number of the newest migration; shards carry it, so that rows for another schema are not merged.
SCHEMA_VERSION = 7

# Timestamps are stored without a zone, always UTC: clients of every version then read them alike.
_ARROW_TYPES: dict[object, pa.DataType] = {
    str: pa.string(),
    int: pa.int32(),
    float: pa.float64(),
    bool: pa.bool_(),
    datetime: pa.timestamp("us"),
}


def row_type_of(table: str) -> type[Row]:
    """Return the row type of a table that shards can be merged into."""
    try:
        return ROW_TYPES[table]
    except KeyError:
        allowed = ", ".join(ROW_TYPES)
        raise RefusedRowsError(f"no table is called {table!r}; allowed are {allowed}") from None


@functools.cache
def arrow_schema(row_type: type[Row]) -> pa.Schema:
    """Return the Arrow schema of a row type, fields in order."""
    fields = []
    for name, field in row_type.model_fields.items():
        inner, nullable = _unwrap(field.annotation)
        fields.append(pa.field(name, _arrow_type(inner), nullable=nullable))
    return pa.schema(fields)


def rows_to_table(rows: Sequence[Row], row_type: type[Row]) -> pa.Table:
    """Return rows of one type as an Arrow table.

    Raises
    ------
    RefusedRowsError
        When the rows are of several types, or a time carries no zone.
    """
    for row in rows:
        if type(row) is not row_type:
            raise RefusedRowsError(
                f"a row of type {type(row).__name__} was given among rows of {row_type.__name__}; "
                "write one shard a table"
            )
    schema = arrow_schema(row_type)
    try:
        columns = [
            pa.array([_plain(getattr(row, field.name)) for row in rows], type=field.type) for field in schema
        ]
    except (pa.ArrowInvalid, OverflowError) as error:
        raise RefusedRowsError(f"rows do not fit table {row_type.table!r}: {error}") from error
    return pa.table(columns, schema=schema)


def table_to_rows(table: pa.Table, row_type: type[R]) -> list[R]:
    """Return an Arrow table as validated rows."""
    return [row_type.model_validate(_restore(record)) for record in table.to_pylist()]


def conform(table: pa.Table, row_type: type[Row]) -> pa.Table:
    """Return an Arrow table with exactly the columns, order and types of a row type.

    Raises
    ------
    RefusedRowsError
        When a column is missing or unknown, cannot be cast, or holds a null where none is allowed.
    """
    schema = arrow_schema(row_type)
    missing = sorted(set(schema.names) - set(table.column_names))
    unknown = sorted(set(table.column_names) - set(schema.names))
    if missing or unknown or len(table.column_names) != len(set(table.column_names)):
        raise RefusedRowsError(
            f"columns do not fit table {row_type.table!r}: missing {missing}, unknown {unknown}"
        )
    try:
        return table.select(schema.names).cast(schema)  # refuses nulls where a field may not be null
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError, ValueError) as error:
        raise RefusedRowsError(f"columns do not fit table {row_type.table!r}: {error}") from error


def _unwrap(annotation: object) -> tuple[object, bool]:
    """Split ``X | None`` into X and whether None is allowed."""
    if typing.get_origin(annotation) in {types.UnionType, typing.Union}:
        rest = [part for part in typing.get_args(annotation) if part is not types.NoneType]
        if len(rest) == 1:
            return rest[0], True
    return annotation, False


def _arrow_type(annotation: object) -> pa.DataType:
    """Return the Arrow type of a plain annotation; lists nest."""
    if typing.get_origin(annotation) is list:
        return pa.list_(_arrow_type(typing.get_args(annotation)[0]))
    if isinstance(annotation, type) and issubclass(annotation, enum.StrEnum):
        return pa.string()
    if annotation in _ARROW_TYPES:
        return _ARROW_TYPES[annotation]
    raise TypeError(f"no column type is known for {annotation!r}; extend storage/columns.py")


def _plain(value: object) -> object:
    """Return a field's value as Arrow takes it."""
    if isinstance(value, enum.StrEnum):
        return value.value
    if isinstance(value, datetime):
        if value.tzinfo is None:
            raise RefusedRowsError(f"the time {value.isoformat()} carries no zone; give an aware datetime")
        return value.astimezone(UTC).replace(tzinfo=None)
    return value


def _restore(record: dict[str, Any]) -> dict[str, Any]:
    """Give the times of a record their zone back."""
    return {
        name: value.replace(tzinfo=UTC) if isinstance(value, datetime) else value
        for name, value in record.items()
    }
