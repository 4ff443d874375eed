"""Candidates from files: CIF, POSCAR, extended XYZ and pymatgen JSON, one file or a folder of thousands."""

from __future__ import annotations

import hashlib
import io
import json
import os
import re
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from storage.records import Reason
from tasks.candidates.source import (
    EmptySourceError,
    RawMaterial,
    Rejected,
    RejectedError,
    SourceError,
    SourceItem,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from pymatgen.core import Structure

DEFAULT_MAX_FILE_MB = 50.0
FORMATS = "CIF (.cif), POSCAR (POSCAR*, CONTCAR*, .poscar, .vasp), extended XYZ (.extxyz, .xyz), JSON (.json)"

WORKING_SUFFIX = ".work"
WORKING_CONTENT = ("recorder.lock", "working.duckdb", "manifests")
"""What tells a database's working folder from another whose name ends like it: any one of these."""

CIF_STRUCTURE = re.compile(r"^\s*_(cell[_.]length|atom_site[_.])", re.MULTILINE | re.IGNORECASE)
XYZ_REST = "neither this frame nor what follows can be read"

Part = TypeVar("Part")


@dataclass(frozen=True)
class FilesSource:
    """Structures in one file, or in a folder and the folders below it.

    Hidden files and folders are left out, and so are the working folders of lihop's databases: they hold
    JSON that is no structure.

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
        found = sorted(path for path in _visible_files(root) if reader_for(path) is not None)
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

    def read(self, item: SourceItem) -> list[RawMaterial | Rejected]:
        """Return the structures of one file, numbered by their place in it when there are several.

        One that cannot be read keeps its number and costs the others nothing.

        Raises
        ------
        RejectedError
            ``file_too_large`` or ``unreadable_file``, when nothing of the file can be read.
        """
        path = Path(item.location)
        reader = reader_for(path)
        if reader is None:
            raise RejectedError(
                Reason.UNREADABLE_FILE, f"{item.item_id}: not a known format; known are {FORMATS}"
            )
        self._refuse_large(path, item.item_id)
        with warnings.catch_warnings():
            # Readers warn about rounding and missing labels in files that they read correctly.
            warnings.simplefilter("ignore")
            found = _everything(reader, path)
        if not found:
            raise RejectedError(
                Reason.UNREADABLE_FILE, f"{item.item_id} holds no structure; check that it is complete"
            )
        if len(found) == 1:
            (only,) = found
            if isinstance(only, Exception):
                raise _unreadable(item.item_id, only) from only
            return [self._material(item.item_id, only, item)]
        names = [f"{item.item_id}#{number}" for number in range(1, len(found) + 1)]
        return [
            Rejected(name, _unreadable(name, one))
            if isinstance(one, Exception)
            else self._material(name, one, item)
            for name, one in zip(names, found, strict=True)
        ]

    def _refuse_large(self, path: Path, item_id: str) -> None:
        try:
            size_mb = path.stat().st_size / 1e6
        except OSError as error:
            raise _unreadable(item_id, error) from error
        if size_mb > self.max_file_mb:
            raise RejectedError(
                Reason.FILE_TOO_LARGE,
                f"{item_id} has {size_mb:.1f} MB, allowed are {self.max_file_mb:g} MB; raise --max-file-mb",
            )

    def _material(self, name: str, structure: Structure, item: SourceItem) -> RawMaterial:
        return RawMaterial(material_id=name, structure=structure, source=self.name, source_ref=item.item_id)


def _visible_files(root: Path) -> Iterator[Path]:
    for folder, folders, names in os.walk(root):
        here = Path(folder)
        # Changed in place, which keeps os.walk out of what is left out.
        folders[:] = [name for name in folders if not name.startswith(".") and not _is_working(here / name)]
        yield from (here / name for name in names if not name.startswith(".") and (here / name).is_file())


def _is_working(folder: Path) -> bool:
    """Say whether a folder is the working folder of a lihop database."""
    return folder.suffix == WORKING_SUFFIX and any((folder / name).exists() for name in WORKING_CONTENT)


def _everything(
    reader: Callable[[Path], Iterator[Structure | Exception]], path: Path
) -> list[Structure | Exception]:
    """Return what a reader finds, in order; where it cannot go on, its error stands for the rest."""
    found: list[Structure | Exception] = []
    try:
        for one in reader(path):
            found.append(one)  # noqa: PERF402 - what came before an error must stay
    except Exception as error:  # noqa: BLE001 - parsers raise whatever a broken file makes them raise
        found.append(error)
    return found


def _unreadable(name: str, error: Exception) -> RejectedError:
    text = str(error).strip().splitlines()
    cause = text[0][:300] if text else type(error).__name__
    return RejectedError(
        Reason.UNREADABLE_FILE, f"{name} cannot be read ({cause}); check that it is complete"
    )


def reader_for(path: Path) -> Callable[[Path], Iterator[Structure | Exception]] | None:
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


def _each(parts: Iterable[Part], parse: Callable[[Part], Structure]) -> Iterator[Structure | Exception]:
    """Parse the parts of a file one by one: each yields its structure, or why it has none."""
    for part in parts:
        found: Structure | Exception
        try:
            found = parse(part)
            if not (np.isfinite(found.lattice.matrix).all() and np.isfinite(found.frac_coords).all()):
                raise ValueError("lattice and positions must be finite numbers")
        except Exception as error:  # noqa: BLE001 - parsers raise whatever a broken file makes them raise
            found = error
        yield found


def _read_cif(path: Path) -> Iterator[Structure | Exception]:
    text = path.read_text(encoding="utf-8", errors="replace")
    blocks = re.split(r"^\s*data_", text, flags=re.MULTILINE | re.IGNORECASE)[1:]
    return _each(filter(_is_structure_block, blocks), _parse_cif_block)


def _is_structure_block(block: str) -> bool:
    # Blocks of texts and of measured patterns have neither cell nor atoms, or the pattern's name: they are no
    # structures. One that lacks only one of the two is a broken structure, and so is not passed over.
    return CIF_STRUCTURE.search(block) is not None and "powder_pattern" not in block.partition("\n")[0]


def _parse_cif_block(block: str) -> Structure:
    from pymatgen.io.cif import CifParser

    (structure,) = CifParser.from_str(f"data_{block}").parse_structures(primitive=False, on_error="raise")
    return structure


def _read_poscar(path: Path) -> Iterator[Structure | Exception]:
    return _each([path], _parse_poscar)


def _parse_poscar(path: Path) -> Structure:
    from pymatgen.io.vasp import Poscar

    poscar = Poscar.from_file(path, check_for_potcar=False)
    if not poscar.true_names:
        raise ValueError("the POSCAR does not name its elements; add the line of element symbols (VASP 5)")
    return poscar.structure


def _read_xyz(path: Path) -> Iterator[Structure | Exception]:
    return _each(
        _xyz_frames(path.read_text(encoding="utf-8", errors="replace").split("\n")), _parse_xyz_frame
    )


def _xyz_frames(lines: list[str]) -> Iterator[str]:
    """Yield the text of each frame, as long as every frame ends where its number of atoms says.

    Raises
    ------
    ValueError
        At the first frame that does not: where those after it begin is then not known.
    """
    start = _next_line(lines, 0)
    while start < len(lines):
        header = lines[start].strip()
        if not header.isdecimal():
            raise ValueError(
                f"line {start + 1} should be a number of atoms and is {header[:40]!r}; {XYZ_REST}"
            )
        end = start + 2 + int(header)
        if end > len(lines):
            raise ValueError(
                f"line {start + 1} announces {header} atoms and the file ends before; {XYZ_REST}"
            )
        while end < len(lines) and lines[end].lstrip().startswith("VEC"):
            end += 1
        following = _next_line(lines, end)
        # One word there is a broken header, of the next frame. More are an atom that this one did not count,
        # or the comment of a next one whose header and atoms it took for its own.
        if following < len(lines) and len(lines[following].split()) != 1:
            raise ValueError(
                f"line {start + 1} announces {header} atoms, and line {following + 1} after them should be "
                f"the next frame's number of atoms and is {lines[following].strip()[:40]!r}; {XYZ_REST}"
            )
        yield "\n".join(lines[start:end]) + "\n"
        start = following


def _next_line(lines: list[str], start: int) -> int:
    """Return the place of the next line that is not blank; the number of lines where there is none."""
    return next((place for place in range(start, len(lines)) if lines[place].strip()), len(lines))


def _parse_xyz_frame(text: str) -> Structure:
    from ase.io import read
    from pymatgen.io.ase import AseAtomsAdaptor

    atoms = read(io.StringIO(text), format="extxyz")
    if not atoms.pbc.all() or atoms.cell.rank < len(atoms.pbc):
        raise ValueError('no periodic cell; extended XYZ needs Lattice="..." and pbc="T T T"')
    structure = AseAtomsAdaptor.get_structure(atoms)
    for name in list(structure.site_properties):
        structure.remove_site_property(name)
    return structure


def _read_json(path: Path) -> Iterator[Structure | Exception]:
    data = json.loads(path.read_text(encoding="utf-8"))
    return _each(data if isinstance(data, list) else [data], _parse_json_entry)


def _parse_json_entry(entry: object) -> Structure:
    if not isinstance(entry, dict):
        raise TypeError(f"an object with a structure is needed, and a {type(entry).__name__} is there")
    return _structure_from_dict(entry.get("structure", entry))


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
