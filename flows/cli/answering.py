"""How `lihop sql` hands out an answer: as a table or text to read, or as a file."""

from __future__ import annotations

import sys
from enum import StrEnum
from pathlib import Path

from flows.cli.errors import UsageError
from flows.cli.output import print_json, print_table
from storage import queries

STANDARD_OUTPUT = "-"


class Format(StrEnum):
    """How rows are written."""

    TABLE = "table"
    CSV = "csv"
    JSON = "json"
    PARQUET = "parquet"


def answer(
    database: str,
    statement: str,
    *,
    limit: int,
    time_limit_s: float,
    file_format: Format | None,
    output: str | None,
    as_json: bool,
) -> None:
    """Put a statement and print its answer or write it to a file; say on standard error when it was cut.

    Parameters
    ----------
    database : str
        The published database.
    statement : str
        One reading statement.
    limit, time_limit_s : int, float
        Most rows, and most seconds.
    file_format : Format, optional
        By default a table, or what the file's name ends with.
    output : str, optional
        File to write; a dash is standard output.
    as_json : bool
        Print JSON: the rows, or what was written where a file is.

    Raises
    ------
    UsageError
        When the format does not go with the place, or two formats are asked for.
    """
    if output is not None and output != STANDARD_OUTPUT:
        if file_format is Format.TABLE:
            raise UsageError(f"--format table is for reading; write {output} as csv, json or parquet")
        write_file(
            database, statement, output, file_format, as_json=as_json, limit=limit, time_limit_s=time_limit_s
        )
        return
    if as_json and file_format not in {None, Format.JSON}:
        raise UsageError(f"--json and --format {file_format} were given: give one of the two")
    chosen = Format.JSON if as_json else file_format
    if chosen is Format.PARQUET:
        raise UsageError("--format parquet makes a file: name it, as in --output answer.parquet")
    if chosen is Format.CSV:
        _print_csv(database, statement, limit=limit, time_limit_s=time_limit_s)
        return
    found = queries.sql(database, statement, limit=limit, time_limit_s=time_limit_s)
    if chosen is Format.JSON:
        print_json(found.records())
    else:
        print_table(found.records(), {name: name for name in found.columns})
    say_cut(found.truncated, limit)


def write_file(
    database: str,
    statement: str,
    output: str,
    file_format: str | None,
    *,
    as_json: bool = False,
    limit: int | None = None,
    time_limit_s: float | None = None,
) -> None:
    """Write the answer to a statement to a file, and print what was written."""
    from storage.database import reading
    from storage.exports.places import format_of, refuse_database
    from storage.exports.tables import FORMATS, write_stream
    from storage.streams import streaming

    path = Path(output)
    chosen = format_of(path, file_format, FORMATS)
    refuse_database(path, database)
    with (
        reading(database) as connection,
        streaming(connection, statement, limit=limit, time_limit_s=time_limit_s) as stream,
    ):
        write_stream(stream, path, chosen)
    if as_json:
        print_json({"output": output, "format": chosen, "rows": stream.n_rows, "truncated": stream.truncated})
    else:
        print(f"Wrote {stream.n_rows} row{'' if stream.n_rows == 1 else 's'} to {output}.")
    say_cut(stream.truncated, limit)


def say_cut(truncated: bool, limit: int | None) -> None:
    """Say where no program that reads the rows stumbles over it that there are more."""
    if truncated:
        print(f"There are more than {limit} rows; raise --limit.", file=sys.stderr)


def _print_csv(database: str, statement: str, *, limit: int, time_limit_s: float) -> None:
    from storage.database import reading
    from storage.exports.tables import write_csv
    from storage.streams import streaming

    with (
        reading(database) as connection,
        streaming(connection, statement, limit=limit, time_limit_s=time_limit_s) as stream,
    ):
        sys.stdout.flush()
        write_csv(stream, sys.stdout.buffer)
        sys.stdout.buffer.flush()
    say_cut(stream.truncated, limit)
