"""Candidates from files: structure files, tables and archives of them, one file or a folder of thousands."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tasks.candidates.files_formats import FORMATS, reader_for
from tasks.candidates.files_listing import READABLE, is_known, known_files, list_file
from tasks.candidates.files_places import Place
from tasks.candidates.files_reading import read_item
from tasks.candidates.files_tables import is_table
from tasks.candidates.source import EmptySourceError, SourceError, SourceItem

if TYPE_CHECKING:
    from tasks.candidates.source import RawMaterial, Rejected

__all__ = ["DEFAULT_MAX_FILE_MB", "FORMATS", "FilesSource", "reader_for"]

DEFAULT_MAX_FILE_MB = 50.0


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
            if not is_known(root.name):
                raise SourceError(f"--path {self.path}: not a known format; known are {READABLE}")
            return self._only(root)
        found = known_files(root)
        items = [item for path in found for item in self._items_of(path, path.relative_to(root).as_posix())]
        if not items:
            raise EmptySourceError(
                f"--path {self.path}: no structure file in the folder; known are {READABLE}"
            )
        return items

    def _only(self, path: Path) -> list[SourceItem]:
        items = self._items_of(path, path.name)
        if not items:
            raise EmptySourceError(f"--path {self.path}: no structure in the file; known are {READABLE}")
        refused = Place.of(items[0].location).refused() if len(items) == 1 and is_table(path.name) else None
        if refused is not None:
            raise SourceError(f"--path {self.path}: {refused}")
        return items

    def _items_of(self, path: Path, item_id: str) -> list[SourceItem]:
        return [
            SourceItem(self.name, item_id + one.item_id, one.place.text(), one.digest)
            for one in list_file(path, item_id, self.max_file_mb)
        ]

    def read(self, item: SourceItem) -> list[RawMaterial | Rejected]:
        """Return the structures of one item, numbered by their place in it when there are several.

        One that cannot be read keeps its number and costs the others nothing.

        Raises
        ------
        RejectedError
            ``file_too_large`` or ``unreadable_file``, when nothing of the item can be read.
        """
        return read_item(item, self.max_file_mb)
