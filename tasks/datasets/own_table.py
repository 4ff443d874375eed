"""Reads a table of a user's own barriers: CSV as programs write it, or extended XYZ with a frame a hop."""

from __future__ import annotations

import csv
import io
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from tasks.datasets.errors import DatasetError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from pymatgen.core import Structure

BARRIERS = {"barrier_ev": "eV", "barrier_mev": "meV", "barrier_kj_mol": "kJ/mol", "barrier": None}
"""Columns that hold barriers, and the unit that a name says; the last one leaves it to --unit."""

SITES = ("i", "j", "ox", "oy", "oz")
COORDINATES = ("start", "end")
OTHERS = ("id", "structure", "ion", "method", "split", "host_ion_fraction")
KNOWN = (*OTHERS, *BARRIERS, *SITES, *COORDINATES)


@dataclass(frozen=True)
class Row:
    """One hop of a table: what its columns say, and where it stands.

    Parameters
    ----------
    where : str
        File and line or frame, for messages.
    values : dict of str to str
        What stands in each known column; a column that is empty is left out.
    structure : Structure or None
        The crystal, where the table itself holds it.
    """

    where: str
    values: dict[str, str]
    structure: Structure | None = None


@dataclass(frozen=True)
class Table:
    """The rows of a table.

    Parameters
    ----------
    rows : list of Row
        In the order of the file.
    barrier_column : str
        The column that holds the barriers.
    left_aside : tuple of str
        Columns that mean nothing here.
    """

    rows: list[Row]
    barrier_column: str
    left_aside: tuple[str, ...] = field(default=())


def read_table(path: Path) -> Table:
    """Read a table of barriers.

    Raises
    ------
    DatasetError
        If the file is missing, no table, or lacks a column.
    """
    if not path.is_file():
        raise DatasetError(
            f"--barriers {path}: no such file; give a CSV file or extended XYZ (.xyz, .extxyz)"
        )
    if path.suffix.lower() in {".xyz", ".extxyz"}:
        return _read_frames(path)
    return _read_csv(path)


def _read_csv(path: Path) -> Table:
    text = _text(path)
    head = text.partition("\n")[0]
    delimiter = max(";\t,", key=head.count) if any(mark in head for mark in ";\t,") else ","
    try:
        lines = list(csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True))
    except csv.Error as error:
        raise DatasetError(f"{path}: cannot be read as CSV ({error}); check its quotes") from error
    if not lines or not any(cell.strip() for cell in lines[0]):
        raise DatasetError(f"{path}: the first line must name the columns; it is empty")
    names = [cell.strip().lower() for cell in lines[0]]
    barrier = _check_columns(path, names, with_structure=True)
    rows = []
    for number, line in enumerate(lines[1:], 2):
        if not any(cell.strip() for cell in line):
            continue
        where = f"{path.name} line {number}"
        if len(line) != len(names):
            raise DatasetError(
                f"{where}: {len(line)} fields where the first line names {len(names)} columns; a field with "
                f"{delimiter!r} in it needs quotes"
            )
        # Where fields end with semicolons or tabs, numbers may be written with a comma.
        cells = [_point(cell.strip()) if delimiter != "," else cell.strip() for cell in line]
        rows.append(Row(where, {n: c for n, c in zip(names, cells, strict=True) if n in KNOWN and c}))
    if not rows:
        raise DatasetError(f"{path}: names its columns and holds no rows")
    return Table(rows, barrier, tuple(name for name in names if name and name not in KNOWN))


def _text(path: Path) -> str:
    raw = path.read_bytes()
    if b"\0" in raw[:1000]:
        raise DatasetError(f"{path}: is not UTF-8 text; save it as 'CSV UTF-8'")
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise DatasetError(f"{path}: is not UTF-8 text ({error}); save it as 'CSV UTF-8'") from error


def _point(cell: str) -> str:
    """Return a number that is written with a comma with a point; anything else as it is."""
    return " ".join(
        part.replace(",", ".") if re.fullmatch(r"[-+]?\d*,\d+([eE][-+]?\d+)?", part) else part
        for part in cell.split(" ")
    )


def _check_columns(path: Path, names: Sequence[str], *, with_structure: bool) -> str:
    """Return the column that holds the barriers; refuse a table that lacks what a hop needs."""
    there = ", ".join(name for name in names if name)
    twice = sorted({name for name in names if name and names.count(name) > 1})
    if twice:
        raise DatasetError(f"{path}: the columns {', '.join(twice)} stand twice; keep one of each")
    barriers = [name for name in BARRIERS if name in names]
    if len(barriers) != 1:
        raise DatasetError(
            f"{path}: one column must hold the barriers, {', '.join(BARRIERS)}; there are {there}"
        )
    needed = ["id", *(["structure"] if with_structure else [])]
    missing = [name for name in needed if name not in names]
    if missing:
        raise DatasetError(f"{path}: the columns {', '.join(missing)} are missing; there are {there}")
    if not ({"i", "j"} <= set(names) or set(COORDINATES) <= set(names)):
        raise DatasetError(
            f"{path}: nothing says where hops begin and end; give the columns i and j (and ox, oy, oz), or "
            f"start and end with three fractional coordinates each; there are {there}"
        )
    return barriers[0]


def _read_frames(path: Path) -> Table:
    """Read extended XYZ: one frame a hop, its values in the second line."""
    from ase.io import iread

    from tasks.candidates.files import reader_for

    reader = reader_for(path)
    try:
        structures = list(reader(path)) if reader is not None else []
        frames = list(iread(str(path), index=":", format="extxyz"))
    except Exception as error:
        raise DatasetError(f"{path}: cannot be read as extended XYZ ({error})") from error
    if not frames or len(frames) != len(structures):
        raise DatasetError(f"{path}: holds no frame of extended XYZ, or is cut off")
    rows, aside, barriers = [], set(), set()
    for number, (atoms, structure) in enumerate(zip(frames, structures, strict=True), 1):
        values = {str(key).lower(): _plain(value) for key, value in atoms.info.items()}
        where = f"{path.name} frame {number}"
        if isinstance(structure, Exception):
            raise DatasetError(f"{where}: {structure}") from structure
        barriers.add(_check_columns(path, list(values), with_structure=False))
        aside |= set(values) - set(KNOWN)
        rows.append(Row(where, {k: v for k, v in values.items() if k in KNOWN and v}, structure))
    if len(barriers) > 1:
        raise DatasetError(f"{path}: barriers stand under {' and '.join(sorted(barriers))}; use one name")
    return Table(rows, barriers.pop(), tuple(sorted(aside)))


def _plain(value: Any) -> str:  # noqa: ANN401 - ase gives numbers, arrays and text
    """Return a value of a frame as a table would have it."""
    tolist = getattr(value, "tolist", None)
    listed = tolist() if tolist is not None else value
    return (
        " ".join(str(part) for part in listed) if isinstance(listed, (list, tuple)) else str(listed).strip()
    )
