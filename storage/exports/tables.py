"""Answers as CSV, JSON or Parquet, a batch at a time; whole files or none."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, BinaryIO

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.parquet as pq

from storage.errors import QueryError
from storage.exports.json_text import json_rows, json_text
from storage.exports.places import format_of, writing_file

if TYPE_CHECKING:
    from pathlib import Path

    from storage.streams import Stream

FORMATS = ("csv", "json", "parquet")


def write_stream(stream: Stream, path: Path, file_format: str | None = None) -> Path:
    """Write an answer to a file, atomically, with no more than a batch of it in memory.

    Parameters
    ----------
    stream : Stream
        What a question is answered with.
    path : Path
        Where to write; an existing file is replaced.
    file_format : str, optional
        csv, json or parquet; by default what the file's name ends with.

    Returns
    -------
    Path
        The file written.

    Raises
    ------
    QueryError
        When the format is none of these, the answer does not fit it, or the file cannot be written.
    """
    chosen = format_of(path, file_format, FORMATS)
    with writing_file(path) as temporary:
        if chosen == "parquet":
            _write_parquet(stream, temporary)
        else:
            with temporary.open("wb") as sink:
                {"csv": write_csv, "json": write_json}[chosen](stream, sink)
    return path


def write_csv(stream: Stream, sink: BinaryIO) -> None:
    """Write an answer as CSV: null is an empty field and an empty text is ``""``; lists are JSON."""
    fields = [pa.field(field.name, _csv_type(field.type)) for field in stream.schema]
    schema = pa.schema(fields)
    with pyarrow.csv.CSVWriter(sink, schema) as writer:
        for batch in stream:
            columns = [
                _csv_column(column, field.type) for column, field in zip(batch.columns, fields, strict=True)
            ]
            writer.write_batch(pa.RecordBatch.from_arrays(columns, schema=schema))


def write_json(stream: Stream, sink: BinaryIO) -> None:
    """Write an answer as a JSON list of objects, a row a line."""
    before = "[\n"
    for batch in stream:
        sink.write((before + ",\n".join(json_rows(batch))).encode())
        before = ",\n"
    sink.write(b"[]\n" if stream.n_rows == 0 else b"\n]\n")


def _write_parquet(stream: Stream, path: Path) -> None:
    try:
        with pq.ParquetWriter(path, stream.schema) as writer:
            for batch in stream:
                writer.write_batch(batch)
    except (pa.ArrowNotImplementedError, pa.ArrowInvalid, pa.ArrowTypeError) as error:
        raise QueryError(
            f"the answer does not fit Parquet: {error}; cast that column, or write csv or json"
        ) from error


def _csv_type(kind: pa.DataType) -> pa.DataType:
    """Return the type that a column has in CSV: its own, or text where Arrow's writer does not know it."""
    if pa.types.is_dictionary(kind):
        return _csv_type(kind.value_type)
    by_itself = (
        pa.types.is_nested(kind) or pa.types.is_interval(kind) or pa.types.is_union(kind)
        or pa.types.is_binary(kind) or pa.types.is_large_binary(kind)
    )  # fmt: skip
    return pa.string() if by_itself else kind


def _csv_column(column: pa.Array, kind: pa.DataType) -> pa.Array:
    """Return a column as CSV has it."""
    if column.type.equals(kind):
        return column
    if pa.types.is_dictionary(column.type):
        return column.cast(kind)
    if pa.types.is_binary(column.type) or pa.types.is_large_binary(column.type):
        encoded = [
            None if value is None else base64.b64encode(value).decode() for value in column.to_pylist()
        ]
        return pa.array(encoded, type=kind)
    return pc.if_else(column.is_valid(), json_text(column), None)
