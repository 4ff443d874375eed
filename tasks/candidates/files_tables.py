"""Tables with a structure a row: CSV and Parquet, listed and read a few rows at a time."""

from __future__ import annotations

import csv
import hashlib
import io
import json
import math
import os
import threading
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import chain, islice
from pathlib import PurePath
from typing import IO, TYPE_CHECKING, Any

from tasks.candidates.files_formats import parse_cell
from tasks.candidates.files_places import Listed, Place, Rows

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from pyarrow.parquet import ParquetFile
    from pymatgen.core import Structure

TABLES = "CSV (.csv) and Parquet (.parquet) with a column 'cif' or 'structure'"
STRUCTURE_COLUMNS = ("cif", "structure")
NUMBERS = ("e_above_hull_ev", "average_voltage_v")
ID_COLUMN = "material_id"

ROWS_AN_ITEM = 50
BUFFER_BYTES = 1 << 20
REST = "neither this row nor what follows can be read"


class TableError(ValueError):
    """A table cannot be used as a whole."""


@dataclass(frozen=True)
class TableRow:
    """What a row of a table says.

    Parameters
    ----------
    number : int
        Its number, counted from 1.
    found : Structure or Exception
        Its structure, or why it has none.
    material_id : str or None
        Identifier that the row gives; None where it gives none.
    e_above_hull_ev, average_voltage_v : float or None
        As the row gives them; None where it does not.
    """

    number: int
    found: Structure | Exception
    material_id: str | None = None
    e_above_hull_ev: float | None = None
    average_voltage_v: float | None = None


def is_table(name: str) -> bool:
    """Say whether a file is a table, by its name."""
    return PurePath(name).suffix.lower() in {".csv", ".parquet"}


def list_rows(stream: IO[bytes], place: Place, longest_bytes: int) -> Iterator[Listed]:
    """Yield the items of a table: some rows each, with the digest of what they say.

    Parameters
    ----------
    stream : binary file
        The table, at its beginning; it can seek.
    place : Place
        Where it lies.
    longest_bytes : int
        Longest cell that is read.

    Raises
    ------
    TableError
        When no column holds structures, or it is no table.
    """
    listing = _list_csv if PurePath(place.name).suffix.lower() == ".csv" else _list_parquet
    for rows, digest in listing(stream, longest_bytes):
        last = rows.first + rows.count - 1
        there = Place(place.file, place.member, place.at, place.size, rows)
        yield Listed(f"#{rows.first}" if last == rows.first else f"#{rows.first}-{last}", digest, there)


def read_rows(table: Path | bytes, name: str, rows: Rows, longest_bytes: int) -> list[TableRow]:
    """Return some rows of a table; one that cannot be read costs the others nothing.

    Parameters
    ----------
    table : Path or bytes
        Where the table lies, or all of it.
    name : str
        The name that tells its format.
    rows : Rows
        Which rows.
    longest_bytes : int
        Longest cell that is read.

    Raises
    ------
    TableError
        When it is not the table that was listed.
    """
    if PurePath(name).suffix.lower() == ".csv":
        with io.BytesIO(table) if isinstance(table, bytes) else table.open("rb") as stream:
            found = _read_csv(stream, rows, longest_bytes)
    else:
        found = _read_parquet(table, rows, longest_bytes)
    if len(found) < rows.count:
        raise TableError(f"it has {len(found)} of {rows.count} rows that were there; it changed meanwhile")
    return found


def _wanted(columns: Sequence[str]) -> dict[str, str]:
    """Return for each column that is read the name that the table gives it.

    Raises
    ------
    TableError
        When none of them holds structures.
    """
    by_name: dict[str, str] = {}
    for column in columns:
        by_name.setdefault(column.strip().lower(), column)
    if not any(name in by_name for name in STRUCTURE_COLUMNS):
        found = ", ".join(repr(column[:40]) for column in columns[:20]) or "none"
        raise TableError(
            f"no column holds structures: its columns are {found}; one must be named "
            f"{' or '.join(STRUCTURE_COLUMNS)} (the text of a CIF, or pymatgen JSON). Read beside it, where "
            f"there: {', '.join((ID_COLUMN, *NUMBERS))}"
        )
    structure = next(name for name in STRUCTURE_COLUMNS if name in by_name)
    names = (structure, ID_COLUMN, *NUMBERS)
    return {"structure" if name == structure else name: by_name[name] for name in names if name in by_name}


def _row(number: int, cells: Mapping[str, Any]) -> TableRow:
    """Return the row that some cells make, by the names that this module gives columns."""
    material_id = _id(cells)
    try:
        values = {name: _number(name, cells.get(name)) for name in NUMBERS}
        return TableRow(number, parse_cell(cells["structure"]), material_id, **values)
    except Exception as error:  # noqa: BLE001 - parsers raise whatever a broken cell makes them raise
        return TableRow(number, error, material_id)


def _id(cells: Mapping[str, Any]) -> str | None:
    given = cells.get(ID_COLUMN)
    return None if _is_missing(given) else str(given).strip()


def _is_missing(cell: object) -> bool:
    if isinstance(cell, float) and math.isnan(cell):
        return True
    return cell is None or str(cell).strip().lower() in {"", "nan", "null", "none", "na", "n/a"}


def _number(name: str, cell: object) -> float | None:
    if _is_missing(cell):
        return None
    try:
        value = float(str(cell))
    except ValueError as error:
        raise ValueError(
            f"column {name}: {str(cell)[:40]!r} is not a number; give eV or V, or nothing"
        ) from error
    if not math.isfinite(value):
        raise ValueError(f"column {name}: {value} is not finite; leave the cell empty where it is unknown")
    return value


class _Lines:
    """The lines of a file as text, which knows at which byte it is and the digest of what it gave."""

    def __init__(self, stream: IO[bytes], longest_bytes: int) -> None:
        self.stream, self.longest_bytes, self.at = stream, longest_bytes, stream.tell()
        self.digest = hashlib.sha256()

    def __iter__(self) -> _Lines:
        return self

    def __next__(self) -> str:
        line = self.stream.readline(self.longest_bytes + 1)
        if not line:
            raise StopIteration
        if len(line) > self.longest_bytes:
            raise csv.Error(f"a line has more than {self.longest_bytes / 1e6:g} MB; raise --max-file-mb")
        self.at += len(line)
        self.digest.update(line)
        return line.decode("utf-8", errors="replace")


@contextmanager
def _cells_up_to(longest_bytes: int) -> Iterator[None]:
    """Let cells be as long as a structure file may be: Python's own limit is 128 KiB."""
    before = csv.field_size_limit(longest_bytes)
    try:
        yield
    finally:
        csv.field_size_limit(before)


def _csv_header(lines: _Lines) -> list[str]:
    try:
        header = next(csv.reader(lines, strict=True), [])
    except csv.Error as error:
        raise TableError(f"its first line is no header ({error})") from error
    return [name.removeprefix("\ufeff") for name in header]


def _csv_rows(lines: _Lines) -> Iterator[list[str] | Exception]:
    """Yield the rows that are not blank; what cannot be split into cells ends them."""
    try:
        yield from filter(None, csv.reader(lines, strict=True))
    except csv.Error as error:
        yield ValueError(f"{error}; {REST}")


def _list_csv(stream: IO[bytes], longest_bytes: int) -> list[tuple[Rows, str]]:
    with _cells_up_to(longest_bytes):
        lines = _Lines(stream, longest_bytes)
        _wanted(_csv_header(lines))
        # What the columns are called belongs to the content of every item.
        header, found = lines.digest.copy(), []
        first, count, at = 1, 0, lines.at
        for cells in _csv_rows(lines):
            count += 1
            if isinstance(cells, Exception):
                # What is refused under one limit may be read under another, and is another item there.
                lines.digest.update(_of_limit(longest_bytes).encode())
            if count == ROWS_AN_ITEM:
                found.append((Rows(first, count, at), lines.digest.hexdigest()))
                first, count, at, lines.digest = first + count, 0, lines.at, header.copy()
        if count:
            found.append((Rows(first, count, at), lines.digest.hexdigest()))
    return found


def _read_csv(stream: IO[bytes], rows: Rows, longest_bytes: int) -> list[TableRow]:
    with _cells_up_to(longest_bytes):
        header = _csv_header(_Lines(stream, longest_bytes))
        wanted = _wanted(header)
        stream.seek(rows.at)
        some = list(islice(_csv_rows(_Lines(stream, longest_bytes)), rows.count))
    found = []
    for number, cells in enumerate(some, rows.first):
        if isinstance(cells, Exception):
            found.append(TableRow(number, cells))
        elif len(cells) != len(header):
            why = f"the row has {len(cells)} cells and the header {len(header)}; quote cells that hold commas"
            found.append(TableRow(number, ValueError(why)))
        else:
            named = dict(zip(header, cells, strict=True))
            found.append(_row(number, {name: named[column] for name, column in wanted.items()}))
    return found


def _open_parquet(table: Path | IO[bytes]) -> ParquetFile:
    from pyarrow.parquet import ParquetFile

    try:
        return ParquetFile(table, buffer_size=BUFFER_BYTES, pre_buffer=False)
    except Exception as error:
        raise TableError(f"it cannot be read as Parquet ({error}); check that it is complete") from error


def _batches(file: ParquetFile, group: int, columns: Sequence[str]) -> Iterator[list[dict[str, Any]]]:
    for batch in file.iter_batches(
        batch_size=ROWS_AN_ITEM, row_groups=[group], columns=list(columns), use_threads=False
    ):
        yield batch.to_pylist()


def _of_limit(longest_bytes: int) -> str:
    return f"a cell over {longest_bytes} bytes"


def _is_over(cell: object, longest_bytes: int) -> bool:
    return isinstance(cell, str | bytes) and len(cell) > longest_bytes


def _list_parquet(stream: IO[bytes], longest_bytes: int) -> Iterator[tuple[Rows, str]]:
    file = _open_parquet(stream)
    wanted = _wanted(file.schema_arrow.names)
    first = 1
    for group in range(file.num_row_groups):
        skip = 0
        for cells in _batches(file, group, list(wanted.values())):
            text = json.dumps([wanted, cells], sort_keys=True, default=str)
            if any(_is_over(row[wanted["structure"]], longest_bytes) for row in cells):
                text += _of_limit(longest_bytes)
            yield Rows(first, len(cells), group, skip), hashlib.sha256(text.encode()).hexdigest()
            first, skip = first + len(cells), skip + len(cells)


class _Cursor:
    """A place in a row group, which only goes forward: to find it anew costs a pass over all before it."""

    def __init__(self, table: Path | IO[bytes], group: int) -> None:
        file = _open_parquet(table)
        self.wanted = _wanted(file.schema_arrow.names)
        self.rows = chain.from_iterable(_batches(file, group, list(self.wanted.values())))
        self.at = 0

    def take(self, skip: int, count: int) -> list[dict[str, Any]]:
        """Return the cells of some rows, by the names that this module gives columns."""
        some = list(islice(self.rows, skip - self.at, skip - self.at + count))
        self.at = skip + count
        return [{name: row[column] for name, column in self.wanted.items()} for row in some]


_LOCK = threading.Lock()
_KEPT: dict[tuple[object, ...], _Cursor] = {}
"""Where the last rows were read, in this process: items are read in order."""


def _cells(table: Path | bytes, rows: Rows) -> list[dict[str, Any]]:
    if isinstance(table, bytes):
        return _Cursor(io.BytesIO(table), rows.at).take(rows.skip, rows.count)
    state = table.stat()
    key = (os.getpid(), str(table), state.st_mtime_ns, state.st_size, rows.at)
    with _LOCK:
        cursor = _KEPT.get(key)
        # It is put back whole, or not at all: a time limit may come up in the middle.
        _KEPT.clear()
        if cursor is None or cursor.at > rows.skip:
            cursor = _Cursor(table, rows.at)
        found = cursor.take(rows.skip, rows.count)
        _KEPT[key] = cursor
    return found


def _read_parquet(table: Path | bytes, rows: Rows, longest_bytes: int) -> list[TableRow]:
    found = []
    for number, cells in enumerate(_cells(table, rows), rows.first):
        cell = cells["structure"]
        if _is_over(cell, longest_bytes):
            most = f"allowed are {longest_bytes / 1e6:g} MB; raise --max-file-mb"
            why = f"the cell has {len(cell) / 1e6:.1f} MB, {most}"
            found.append(TableRow(number, ValueError(why), _id(cells)))
        else:
            found.append(_row(number, cells))
    return found
