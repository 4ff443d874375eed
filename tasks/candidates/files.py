"""Candidates from files: structure files, tables and archives of them, one file or a folder of thousands."""

from __future__ import annotations

import hashlib
import os
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from storage.records import Reason
from tasks.candidates.files_archives import ARCHIVES, is_archive, list_members, read_member
from tasks.candidates.files_formats import FORMATS, cause_of, everything, parser_for, reader_for
from tasks.candidates.files_places import Place
from tasks.candidates.files_tables import TABLES, TableError, TableRow, is_table, list_rows, read_rows
from tasks.candidates.source import (
    EmptySourceError,
    RawMaterial,
    Rejected,
    RejectedError,
    SourceError,
    SourceItem,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["DEFAULT_MAX_FILE_MB", "FORMATS", "FilesSource", "reader_for"]

DEFAULT_MAX_FILE_MB = 50.0
READABLE = f"{FORMATS}; {TABLES}; {ARCHIVES}"

WORKING_SUFFIX = ".work"
WORKING_CONTENT = ("recorder.lock", "working.duckdb", "manifests")
"""What tells a database's working folder from another whose name ends like it: any one of these."""


@dataclass(frozen=True)
class FilesSource:
    """Structures in one file, or in a folder and the folders below it.

    An item is a structure file, a member of an archive, or some rows of a table. Hidden files and folders are
    left out, and so are the working folders of lihop's databases: they hold JSON that is no structure.

    Parameters
    ----------
    path : str
        A file or a folder.
    max_file_mb : float
        A larger structure file, member of an archive or cell of a table is refused without being read, in MB
        (1e6 bytes). Tables and archives themselves may be of any size.
    """

    path: str
    max_file_mb: float = DEFAULT_MAX_FILE_MB
    name: str = "files"

    @property
    def _max_bytes(self) -> int:
        return int(self.max_file_mb * 1e6)

    def items(self) -> list[SourceItem]:
        """Return what there is to read, sorted by path, and within a file in its own order.

        Raises
        ------
        SourceError
            When the path does not exist, holds no file of a known format, or is a table without structures.
        """
        root = Path(self.path).expanduser()
        if not root.exists():
            raise SourceError(
                f"--path {self.path}: no such file or folder; give a structure file or a folder of them"
            )
        if root.is_file():
            if not _is_known(root.name):
                raise SourceError(f"--path {self.path}: not a known format; known are {READABLE}")
            return self._only(root)
        found = sorted(path for path in _visible_files(root) if _is_known(path.name))
        items = [item for path in found for item in self._items_of(path, path.relative_to(root).as_posix())]
        if not items:
            raise EmptySourceError(
                f"--path {self.path}: no structure file in the folder; known are {READABLE}"
            )
        return items

    def _only(self, path: Path) -> list[SourceItem]:
        items = list(self._items_of(path, path.name))
        if not items:
            raise EmptySourceError(f"--path {self.path}: no structure in the file; known are {READABLE}")
        refused = Place.of(items[0].location).refused() if len(items) == 1 and is_table(path.name) else None
        if refused is not None:
            raise SourceError(f"--path {self.path}: {refused}")
        return items

    def _items_of(self, path: Path, item_id: str) -> Iterator[SourceItem]:
        try:
            if is_archive(path.name):
                for one in list_members(path, self._max_bytes):
                    yield SourceItem(self.name, item_id + one.item_id, one.place.text(), one.digest)
            elif is_table(path.name):
                with path.open("rb") as stream:
                    for one in list_rows(stream, Place(str(path)), self._max_bytes):
                        yield SourceItem(self.name, item_id + one.item_id, one.place.text(), one.digest)
            else:
                yield SourceItem(self.name, item_id, Place(str(path)).text(), self._digest(path))
        except TableError as error:
            yield self._refused(path, item_id, f"{item_id}: {error}")
        except OSError as error:
            yield self._refused(path, item_id, f"{item_id} cannot be read ({cause_of(error)})")

    def _refused(self, path: Path, item_id: str, message: str) -> SourceItem:
        place = Place(str(path), reason=Reason.UNREADABLE_FILE.value, message=message)
        digest = hashlib.sha256(f"{path}:{message}".encode()).hexdigest()
        return SourceItem(self.name, item_id, place.text(), digest)

    def _digest(self, path: Path) -> str:
        size = path.stat().st_size
        if size > self._max_bytes:
            return hashlib.sha256(f"too large:{size}:{self.max_file_mb}".encode()).hexdigest()
        # The suffix decides how the bytes are read, so it belongs to the content.
        return hashlib.sha256(path.suffix.encode() + b"\0" + path.read_bytes()).hexdigest()

    def read(self, item: SourceItem) -> list[RawMaterial | Rejected]:
        """Return the structures of one item, numbered by their place in it when there are several.

        One that cannot be read keeps its number and costs the others nothing.

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
                return self._read_file(place, item)
            try:
                rows = self._read_table(place)
            except Exception as error:
                raise _unreadable(item.item_id, error) from error
        # Rows are numbered through the whole table: "table.csv#51-100" has the rows "table.csv#51", ...
        return [self._of_row(row, item.item_id.rpartition("#")[0]) for row in rows]

    def _read_file(self, place: Place, item: SourceItem) -> list[RawMaterial | Rejected]:
        parser = parser_for(place.name)
        if parser is None:
            raise RejectedError(
                Reason.UNREADABLE_FILE, f"{item.item_id}: not a known format; known are {READABLE}"
            )
        try:
            content = self._content(place, item.item_id)
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
            return [RawMaterial(item.item_id, only, self.name, item.item_id)]
        names = [f"{item.item_id}#{number}" for number in range(1, len(found) + 1)]
        return [
            Rejected(name, _unreadable(name, one))
            if isinstance(one, Exception)
            else RawMaterial(name, one, self.name, item.item_id)
            for name, one in zip(names, found, strict=True)
        ]

    def _content(self, place: Place, item_id: str) -> bytes:
        if place.member is not None:
            return read_member(place, self._max_bytes)
        path = Path(place.file)
        size_mb = path.stat().st_size / 1e6
        if size_mb > self.max_file_mb:
            raise RejectedError(
                Reason.FILE_TOO_LARGE,
                f"{item_id} has {size_mb:.1f} MB, allowed are {self.max_file_mb:g} MB; raise --max-file-mb",
            )
        return path.read_bytes()

    def _read_table(self, place: Place) -> list[TableRow]:
        if place.rows is None:
            raise ValueError("no rows are named")
        table = Path(place.file) if place.member is None else read_member(place, self._max_bytes)
        return read_rows(table, place.name, place.rows, self._max_bytes)

    def _of_row(self, row: TableRow, table: str) -> RawMaterial | Rejected:
        ref = f"{table}#{row.number}"
        name = ref if row.material_id is None else row.material_id
        if isinstance(row.found, Exception):
            return Rejected(name, _unreadable(ref if name == ref else f"{name} ({ref})", row.found))
        return RawMaterial(
            material_id=name,
            structure=row.found,
            source=self.name,
            source_ref=ref,
            e_above_hull_ev=row.e_above_hull_ev,
            average_voltage_v=row.average_voltage_v,
        )


def _is_known(name: str) -> bool:
    return is_archive(name) or is_table(name) or parser_for(name) is not None


def _visible_files(root: Path) -> Iterator[Path]:
    for folder, folders, names in os.walk(root):
        here = Path(folder)
        # Changed in place, which keeps os.walk out of what is left out.
        folders[:] = [name for name in folders if not name.startswith(".") and not _is_working(here / name)]
        yield from (here / name for name in names if not name.startswith(".") and (here / name).is_file())


def _is_working(folder: Path) -> bool:
    """Say whether a folder is the working folder of a lihop database."""
    return folder.suffix == WORKING_SUFFIX and any((folder / name).exists() for name in WORKING_CONTENT)


def _unreadable(name: str, error: Exception) -> RejectedError:
    return RejectedError(
        Reason.UNREADABLE_FILE, f"{name} cannot be read ({cause_of(error)}); check that it is complete"
    )
