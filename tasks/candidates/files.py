"""Candidates from files: CIF, POSCAR, extended XYZ and pymatgen JSON, one file or a folder of thousands."""

from __future__ import annotations

import hashlib
import json
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from storage.records import Reason
from tasks.candidates.source import EmptySourceError, RawMaterial, RejectedError, SourceError, SourceItem
from tasks.limits import TimeLimitError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from pymatgen.core import Structure

DEFAULT_MAX_FILE_MB = 50.0
FORMATS = "CIF (.cif), POSCAR (POSCAR*, CONTCAR*, .poscar, .vasp), extended XYZ (.extxyz, .xyz), JSON (.json)"


@dataclass(frozen=True)
class FilesSource:
    """Structures in one file, or in a folder and the folders below it.

    Parameters
    ----------
    path : str
        A file or a folder.
    max_file_mb : float
        A larger file is refused without being read, in MB (1e6 bytes).
    """

    path: str
    max_file_mb: float = DEFAULT_MAX_FILE_MB
    name: str = "files"

    def items(self) -> list[SourceItem]:
        """Return one item a readable file, sorted by path.

        Raises
        ------
        SourceError
            When the path does not exist, or holds no file of a known format.
        """
        root = Path(self.path).expanduser()
        if not root.exists():
            raise SourceError(
                f"--path {self.path}: no such file or folder; give a structure file or a folder of them"
            )
        if root.is_file():
            if reader_for(root) is None:
                raise SourceError(f"--path {self.path}: not a known format; known are {FORMATS}")
            return [self._item(root, root.name)]
        found = [path for path in sorted(root.rglob("*")) if path.is_file() and reader_for(path) is not None]
        if not found:
            raise EmptySourceError(
                f"--path {self.path}: no structure file in the folder; known are {FORMATS}"
            )
        return [self._item(path, path.relative_to(root).as_posix()) for path in found]

    def _item(self, path: Path, item_id: str) -> SourceItem:
        try:
            digest = self._digest(path)
        except OSError as error:
            # The file is there and cannot be opened: reading it again in a worker says why.
            digest = hashlib.sha256(f"{path}:{error}".encode()).hexdigest()
        return SourceItem(source=self.name, item_id=item_id, location=str(path), digest=digest)

    def _digest(self, path: Path) -> str:
        size = path.stat().st_size
        if size > self.max_file_mb * 1e6:
            return hashlib.sha256(f"too large:{size}:{self.max_file_mb}".encode()).hexdigest()
        # The suffix decides how the bytes are read, so it belongs to the content.
        return hashlib.sha256(path.suffix.encode() + b"\0" + path.read_bytes()).hexdigest()

    def read(self, item: SourceItem) -> list[RawMaterial]:
        """Return the structures of one file, numbered when there are several.

        Raises
        ------
        RejectedError
            ``file_too_large`` or ``unreadable_file``.
        """
        path = Path(item.location)
        reader = reader_for(path)
        if reader is None:
            raise RejectedError(
                Reason.UNREADABLE_FILE, f"{item.item_id}: not a known format; known are {FORMATS}"
            )
        try:
            size_mb = path.stat().st_size / 1e6
            if size_mb > self.max_file_mb:
                raise RejectedError(
                    Reason.FILE_TOO_LARGE,
                    f"{item.item_id} has {size_mb:.1f} MB, allowed are {self.max_file_mb:g} MB; "
                    "raise --max-file-mb",
                )
            with warnings.catch_warnings():
                # Readers warn about rounding and missing labels in files that they read correctly.
                warnings.simplefilter("ignore")
                structures = list(reader(path))
        except (RejectedError, TimeLimitError):
            raise
        except Exception as error:
            # Parsers raise whatever a broken file makes them raise; each is one unreadable file.
            text = str(error).strip().splitlines()
            cause = text[0][:300] if text else type(error).__name__
            raise RejectedError(
                Reason.UNREADABLE_FILE, f"{item.item_id} cannot be read ({cause}); check that it is complete"
            ) from error
        if not structures:
            raise RejectedError(
                Reason.UNREADABLE_FILE, f"{item.item_id} holds no structure; check that it is complete"
            )
        return [
            RawMaterial(
                material_id=item.item_id if len(structures) == 1 else f"{item.item_id}#{number}",
                structure=structure,
                source=self.name,
                source_ref=item.item_id,
            )
            for number, structure in enumerate(structures, start=1)
        ]


def reader_for(path: Path) -> Callable[[Path], Iterator[Structure]] | None:
    """Return the function that reads a file, by its name; None for a name that is not known."""
    suffix, stem = path.suffix.lower(), path.name.upper()
    if suffix == ".cif":
        return _read_cif
    if suffix in {".xyz", ".extxyz"}:
        return _read_xyz
    if suffix == ".json":
        return _read_json
    if suffix in {".poscar", ".vasp"} or stem.startswith(("POSCAR", "CONTCAR")):
        return _read_poscar
    return None


def _read_cif(path: Path) -> Iterator[Structure]:
    from pymatgen.io.cif import CifParser

    yield from CifParser(path).parse_structures(primitive=False, on_error="raise")


def _read_poscar(path: Path) -> Iterator[Structure]:
    from pymatgen.io.vasp import Poscar

    poscar = Poscar.from_file(path, check_for_potcar=False)
    if not poscar.true_names:
        raise ValueError("the POSCAR does not name its elements; add the line of element symbols (VASP 5)")
    yield poscar.structure


def _read_xyz(path: Path) -> Iterator[Structure]:
    from ase.io import iread
    from pymatgen.io.ase import AseAtomsAdaptor

    for atoms in iread(path, index=":", format="extxyz"):
        if not atoms.pbc.all() or atoms.cell.rank < len(atoms.pbc):
            raise ValueError('no periodic cell; extended XYZ needs Lattice="..." and pbc="T T T"')
        structure = AseAtomsAdaptor.get_structure(atoms)
        for name in list(structure.site_properties):
            structure.remove_site_property(name)
        yield structure


def _read_json(path: Path) -> Iterator[Structure]:
    data = json.loads(path.read_text(encoding="utf-8"))
    for entry in data if isinstance(data, list) else [data]:
        yield _structure_from_dict(entry.get("structure", entry))


def _structure_from_dict(data: dict[str, Any]) -> Structure:
    # pymatgen's own from_dict decodes site properties by importing whatever module the file names: a file
    # from elsewhere must not choose code to run, so lattice, species and positions alone are read here.
    from pymatgen.core import DummySpecies, Element, Lattice, Structure

    if "lattice" not in data or "sites" not in data:
        raise ValueError("not a pymatgen structure: 'lattice' and 'sites' are needed")
    species, positions = [], []
    for site in data["sites"]:
        occupants: dict[Element | DummySpecies, float] = {}
        for occupant in site["species"]:
            element = Element(occupant["element"])
            occupants[element] = occupants.get(element, 0.0) + float(occupant.get("occu", 1.0))
        species.append(occupants)
        positions.append(site["abc"])
    return Structure(Lattice(data["lattice"]["matrix"]), species, positions)
