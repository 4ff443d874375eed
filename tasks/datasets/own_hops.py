"""Makes hops of a user's table of barriers, and says of each row that is none which column is wrong."""

from __future__ import annotations

import math
import re
import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from tasks.datasets.errors import DatasetError, UnreadableHopError
from tasks.datasets.findings import Finding
from tasks.datasets.own_table import BARRIERS
from tasks.datasets.records import ISOLATED, SPLITS, Crystal, HopRecord, Split

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray
    from pymatgen.core import Structure

    from tasks.datasets.own_table import Row, Table

UNITS = {"eV": 1.0, "meV": 1e-3, "kJ/mol": 1.0 / 96.48533212}
"""What a barrier is multiplied by to give eV (CODATA 2018)."""

AT_A_SITE_ANG = 0.3
"""An end given by coordinates is the ion's site within this distance."""

ROOM_ANG = 1.0
"""An end that is filled must be this far from every atom."""

HOP_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]{0,79}")
FILLED = "an end held no ion in the file and was filled"


@dataclass(frozen=True)
class Terms:
    """What is true of all rows unless a row says otherwise.

    Parameters
    ----------
    method : str
        How the barriers were found.
    unit : {"eV", "meV", "kJ/mol"}
        Unit of the barriers.
    ion : str or None
        Element that moves, where rows do not say.
    fill_ends : bool
        Whether an end given by coordinates at which there is no atom is filled.
    """

    method: str
    unit: str = "eV"
    ion: str | None = None
    fill_ends: bool = False


def unit_of(table: Table, given: str | None) -> str:
    """Return the unit of a table's barriers: what its column says, else what was given, else eV.

    Raises
    ------
    DatasetError
        If both speak and do not agree, or there is no such unit.
    """
    if given is not None and given not in UNITS:
        raise DatasetError(f"--unit {given}: there is no such unit; there are {', '.join(UNITS)}")
    named = BARRIERS[table.barrier_column]
    if named is not None and given is not None and named != given:
        raise DatasetError(
            f"--unit {given}: the column is called {table.barrier_column}; rename it or leave --unit out"
        )
    unit = named if named is not None else given
    return "eV" if unit is None else unit


def hops_of(table: Table, folder: Path, terms: Terms) -> tuple[list[HopRecord], list[Finding]]:
    """Return the hops of a table, and a finding for each row that is none.

    Parameters
    ----------
    table : Table
        Its rows.
    folder : Path
        Where the structure files lie.
    terms : Terms
        What holds for all rows.
    """
    seen: dict[str, Structure] = {}
    first: dict[str, str] = {}
    records, findings = [], []
    for row in table.rows:
        try:
            record = _hop_of(row, table.barrier_column, folder, terms, seen)
            if record.hop_id in first:
                raise UnreadableHopError(
                    f"column id: {record.hop_id} stands in {first[record.hop_id]} already; give another"
                )
            first[record.hop_id] = row.where
            records.append(record)
        except UnreadableHopError as error:
            name = row.values.get("id", row.where)
            findings.append(Finding("error", "rows", f"{row.where}, {error}", (name,)))
    return records, findings


def _hop_of(row: Row, column: str, folder: Path, terms: Terms, seen: dict[str, Structure]) -> HopRecord:
    values = row.values
    name = values.get("id", "")
    if not HOP_ID.fullmatch(name):
        raise UnreadableHopError(
            f"column id: {name!r}; give up to 80 letters, digits, dots, dashes, plus signs or underscores"
        )
    structure = (row.structure if row.structure is not None else _structure(values, folder, seen)).copy()
    refuse_disorder(structure)
    structure.remove_oxidation_states()
    ion = values.get("ion", terms.ion)
    note = ""
    if "i" in values or "j" in values:
        i, j, image = _by_sites(values, structure, ion)
    else:
        i, j, image, note = _by_coordinates(values, structure, ion, fill=terms.fill_ends)
    return HopRecord(
        hop_id=name,
        name=name,
        split=_split(values),
        crystal=Crystal.of(structure),
        i=i,
        j=j,
        image=image,
        barrier_ev=_barrier(values, column) * UNITS[terms.unit],
        method=values.get("method", terms.method),
        host_ion_fraction=_fraction(values),
        note=note,
    )


def _structure(values: dict[str, str], folder: Path, seen: dict[str, Structure]) -> Structure:
    """Read a structure file, once."""
    from tasks.candidates.files import FORMATS, reader_for

    name = values.get("structure", "")
    if not name:
        raise UnreadableHopError("column structure: empty; give the name of a structure file")
    if name in seen:
        return seen[name]
    path = folder / name
    reader = reader_for(path)
    if not path.is_file() or reader is None:
        why = "no such file" if not path.is_file() else f"no known format; known are {FORMATS}"
        raise UnreadableHopError(f"column structure: {path}: {why}; --structures names the folder")
    try:
        with warnings.catch_warnings():
            # Readers warn about rounding and missing labels in files that they read correctly.
            warnings.simplefilter("ignore")
            found = list(reader(path))
    except Exception as error:
        raise UnreadableHopError(f"column structure: {path} cannot be read ({error})") from error
    if len(found) != 1 or isinstance(found[0], Exception):
        why = str(found[0]) if len(found) == 1 else f"it holds {len(found)} structures, one is needed"
        raise UnreadableHopError(f"column structure: {path} cannot be used ({why})")
    seen[name] = found[0]
    return found[0]


def refuse_disorder(structure: Structure) -> None:
    """Refuse sites that hold an atom in part: which of them are filled is for the user to say.

    Raises
    ------
    UnreadableHopError
        If there is such a site.
    """
    part = [
        f"site {k} holds {site.species_string}" for k, site in enumerate(structure) if not site.is_ordered
    ]
    if part:
        raise UnreadableHopError(
            f"column structure: {part[0]} ({len(part)} such sites); give an ordered structure, the one that "
            "was computed"
        )


def _by_sites(
    values: dict[str, str], structure: Structure, ion: str | None
) -> tuple[int, int, tuple[int, int, int]]:
    """Return the ends that columns i, j, ox, oy and oz name."""
    i, j = _integer(values, "i"), _integer(values, "j")
    for column, index in (("i", i), ("j", j)):
        if not 0 <= index < len(structure):
            raise UnreadableHopError(
                f"column {column}: site {index}; the structure has sites 0 to {len(structure) - 1}, counted "
                "from 0"
            )
    x, y, z = (_integer(values, column, default=0) for column in ("ox", "oy", "oz"))
    start, end = structure[i].specie.symbol, structure[j].specie.symbol
    if start != end or ion not in {None, start}:
        raise UnreadableHopError(
            f"columns i and j: site {i} holds {start} and site {j} holds {end}; both must hold "
            f"{'the same ion' if ion is None else ion}, counted from 0"
        )
    if i == j and not (x or y or z):
        raise UnreadableHopError("columns i and j: a site to itself; give its other cell in ox, oy, oz")
    return i, j, (x, y, z)


def _by_coordinates(
    values: dict[str, str], structure: Structure, ion: str | None, *, fill: bool
) -> tuple[int, int, tuple[int, int, int], str]:
    """Return the ends that columns start and end name; fill those that are empty, if that is wanted."""
    note = ""
    found: list[tuple[int, NDArray[np.float64]]] = []
    for column in ("start", "end"):
        point = _point(values, column)
        nearest, gap = _nearest(structure, point, None)
        mine, off = _nearest(structure, point, ion)
        if off > AT_A_SITE_ANG:
            held = f"the nearest atom is {structure[nearest].specie.symbol} at {gap:.2f} Å"
            moving = ion if ion is not None else "ion"
            if not fill or ion is None or gap < ROOM_ANG:
                raise UnreadableHopError(
                    f"column {column}: no {moving} within {AT_A_SITE_ANG:g} Å ({held}); give fractional "
                    "coordinates of a filled end, or --fill-ends and --ion"
                )
            structure.append(ion, point)
            mine, note = len(structure) - 1, FILLED
        found.append((mine, point))
    (i, start), (j, end) = found
    symbols = {structure[i].specie.symbol, structure[j].specie.symbol}
    if len(symbols) > 1:
        raise UnreadableHopError(
            f"columns start and end: {' and '.join(sorted(symbols))} are there; give --ion"
        )
    cells = np.round((end - structure[j].frac_coords) - (start - structure[i].frac_coords)).astype(int)
    x, y, z = (int(k) for k in cells)
    if i == j and not cells.any():
        raise UnreadableHopError("columns start and end: both are the same site")
    return i, j, (x, y, z), note


def _nearest(structure: Structure, point: NDArray[np.float64], ion: str | None) -> tuple[int, float]:
    """Return the site nearest to a point, of one element or of any, and how far it is in Å."""
    sites = [k for k, site in enumerate(structure) if ion is None or site.specie.symbol == ion]
    if not sites:
        return -1, math.inf
    apart = structure.lattice.get_all_distances([point], structure.frac_coords[sites])[0]
    return sites[int(np.argmin(apart))], float(apart.min())


def _point(values: dict[str, str], column: str) -> NDArray[np.float64]:
    parts = values.get(column, "").replace(",", " ").split()
    try:
        x, y, z = (float(part) for part in parts)
    except ValueError as error:
        raise UnreadableHopError(
            f"column {column}: {values.get(column, '')!r}; give three fractional coordinates, as in 0.5 0.5 0"
        ) from error
    if not all(math.isfinite(part) for part in (x, y, z)):
        raise UnreadableHopError(f"column {column}: {values[column]!r}; give finite numbers")
    return np.array([x, y, z])


def _integer(values: dict[str, str], column: str, default: int | None = None) -> int:
    text = values.get(column, "")
    if not text and default is not None:
        return default
    if not re.fullmatch(r"[-+]?\d+(\.0+)?", text):
        raise UnreadableHopError(f"column {column}: {text!r}; give a whole number")
    return int(float(text))


def _number(values: dict[str, str], column: str) -> float:
    text = values.get(column, "")
    try:
        return float(text)
    except ValueError as error:
        raise UnreadableHopError(f"column {column}: {text!r}; give a number") from error


def _barrier(values: dict[str, str], column: str) -> float:
    found = _number(values, column)
    if not (math.isfinite(found) and found > 0.0):
        raise UnreadableHopError(
            f"column {column}: {found:g}; a barrier, E(saddle) - min(E of the ends), is finite and above "
            "zero; correct it or leave the row out"
        )
    return found


def _fraction(values: dict[str, str]) -> float:
    if "host_ion_fraction" not in values:
        return ISOLATED
    found = _number(values, "host_ion_fraction")
    if not 0.0 <= found <= 1.0:
        raise UnreadableHopError(f"column host_ion_fraction: {found:g}; give a share from 0 to 1")
    return found


def _split(values: dict[str, str]) -> Split:
    text = values.get("split", "train").lower()
    for split in SPLITS:
        if text == split:
            return split
    raise UnreadableHopError(f"column split: {text!r}; give {', '.join(SPLITS)}, or leave it out")
