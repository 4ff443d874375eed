"""Answers as CSV, JSON or Parquet; whole files or none."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.parquet as pq

from storage import atomic
from storage.errors import QueryError

if TYPE_CHECKING:
    from storage.queries import Answer

FORMATS = ("csv", "json", "parquet")


def export(answer: Answer, path: Path, file_format: str | None = None) -> Path:
    """Write an answer to a file, atomically.

    Parameters
    ----------
    answer : Answer
        What a question returned.
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
        When the format is none of these, or the answer does not fit it.
    """
    path = Path(path)
    chosen = (file_format or path.suffix.removeprefix(".")).lower()
    if chosen not in FORMATS:
        raise QueryError(f"cannot export as {chosen!r}; allowed are {', '.join(FORMATS)}")
    if chosen == "csv":
        atomic.write_text(path, to_csv(answer))
    elif chosen == "json":
        atomic.write_text(path, json.dumps(answer.records(), indent=2) + "\n")
    else:
        table = _to_arrow(answer)
        with atomic.replacing(path) as temporary:
            pq.write_table(table, temporary)
    return path


def to_csv(answer: Answer) -> str:
    """Return an answer as CSV text; null is an empty field, lists are JSON."""
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(answer.columns)
    for row in answer.rows:
        writer.writerow([json.dumps(value) if isinstance(value, (list, dict)) else value for value in row])
    return stream.getvalue()


def _to_arrow(answer: Answer) -> pa.Table:
    """Return an answer as an Arrow table."""
    if len(set(answer.columns)) < len(answer.columns):
        raise QueryError(f"Parquet needs distinct column names; given are {', '.join(answer.columns)}")
    try:
        columns = [pa.array([row[place] for row in answer.rows]) for place in range(len(answer.columns))]
    except (pa.ArrowInvalid, pa.ArrowTypeError) as error:
        raise QueryError(f"the answer does not fit Parquet: {error}; export as csv or json") from error
    return pa.table(columns, names=list(answer.columns))
