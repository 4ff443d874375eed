"""How an item of files is read: a structure file, or some rows of a table, as materials with their names."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import TYPE_CHECKING

from storage.records import Reason
from tasks.candidates.files_archives import read_member
from tasks.candidates.files_formats import cause_of, everything, parser_for
from tasks.candidates.files_listing import READABLE
from tasks.candidates.files_places import Place, Rows, bytes_of
from tasks.candidates.files_tables import TableRow, read_rows
from tasks.candidates.source import RawMaterial, Rejected, RejectedError

if TYPE_CHECKING:
    from tasks.candidates.source import SourceItem


def read_item(item: SourceItem, max_file_mb: float) -> list[RawMaterial | Rejected]:
    """Return the structures of one item, numbered by their place in it when there are several.

    Parameters
    ----------
    item : SourceItem
        As it was listed.
    max_file_mb : float
        Largest structure file, member or cell that is read, in MB.

    Raises
    ------
    RejectedError
        ``file_too_large`` or ``unreadable_file``, when nothing of the item can be read.
    """
    place = Place.of(item.location)
    refused = place.refused()
    if refused is not None:
        raise refused
    with warnings.catch_warnings():
        # Readers warn about rounding and missing labels in files that they read correctly.
        warnings.simplefilter("ignore")
        if place.rows is None:
            return _read_file(place, item, max_file_mb)
        try:
            rows = _read_table(place, place.rows, max_file_mb)
        except Exception as error:
            raise _unreadable(item.item_id, error) from error
    # Rows are numbered through the whole table: "table.csv#51-100" has the rows "table.csv#51", ...
    return [_of_row(row, item.item_id.rpartition("#")[0], item.source) for row in rows]


def _read_file(place: Place, item: SourceItem, max_file_mb: float) -> list[RawMaterial | Rejected]:
    parser = parser_for(place.name)
    if parser is None:
        raise RejectedError(
            Reason.UNREADABLE_FILE, f"{item.item_id}: not a known format; known are {READABLE}"
        )
    try:
        content = _content(place, item.item_id, max_file_mb)
    except RejectedError:
        raise
    except Exception as error:
        raise _unreadable(item.item_id, error) from error
    found = everything(parser, content)
    if not found:
        raise RejectedError(
            Reason.UNREADABLE_FILE, f"{item.item_id} holds no structure; check that it is complete"
        )
    if len(found) == 1:
        (only,) = found
        if isinstance(only, Exception):
            raise _unreadable(item.item_id, only) from only
        return [RawMaterial(item.item_id, only, item.source, item.item_id)]
    names = [f"{item.item_id}#{number}" for number in range(1, len(found) + 1)]
    return [
        Rejected(name, _unreadable(name, one))
        if isinstance(one, Exception)
        else RawMaterial(name, one, item.source, item.item_id)
        for name, one in zip(names, found, strict=True)
    ]


def _content(place: Place, item_id: str, max_file_mb: float) -> bytes:
    if place.member is not None:
        return read_member(place, bytes_of(max_file_mb))
    path = Path(place.file)
    size_mb = path.stat().st_size / 1e6
    if size_mb > max_file_mb:
        raise RejectedError(
            Reason.FILE_TOO_LARGE,
            f"{item_id} has {size_mb:.1f} MB, allowed are {max_file_mb:g} MB; raise --max-file-mb",
        )
    return path.read_bytes()


def _read_table(place: Place, rows: Rows, max_file_mb: float) -> list[TableRow]:
    longest_bytes = bytes_of(max_file_mb)
    table = Path(place.file) if place.member is None else read_member(place, longest_bytes)
    return read_rows(table, place.name, rows, longest_bytes)


def _of_row(row: TableRow, table: str, source: str) -> RawMaterial | Rejected:
    ref = f"{table}#{row.number}"
    name = ref if row.material_id is None else row.material_id
    if isinstance(row.found, Exception):
        return Rejected(name, _unreadable(ref if name == ref else f"{name} ({ref})", row.found))
    return RawMaterial(
        material_id=name,
        structure=row.found,
        source=source,
        source_ref=ref,
        e_above_hull_ev=row.e_above_hull_ev,
        average_voltage_v=row.average_voltage_v,
    )


def _unreadable(name: str, error: Exception) -> RejectedError:
    return RejectedError(
        Reason.UNREADABLE_FILE, f"{name} cannot be read ({cause_of(error)}); check that it is complete"
    )
