"""Structure files by their format: text in, structures or the reasons why not out, one by one."""

from __future__ import annotations

import io
import json
import re
from pathlib import PurePath
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path

    from pymatgen.core import Structure

    Parser = Callable[[bytes], Iterator[Structure | Exception]]

FORMATS = "CIF (.cif), POSCAR (POSCAR*, CONTCAR*, .poscar, .vasp), extended XYZ (.extxyz, .xyz), JSON (.json)"

CIF_STRUCTURE = re.compile(r"^\s*_(cell[_.]length|atom_site[_.])", re.MULTILINE | re.IGNORECASE)
XYZ_REST = "neither this frame nor what follows can be read"

Part = TypeVar("Part")


def parser_for(name: str) -> Parser | None:
    """Return the function that parses a file's content, by its name; None for a name that is not known."""
    path = PurePath(name)
    suffix, stem = path.suffix.lower(), path.name.upper()
    if suffix == ".cif":
        return _parse_cif
    if suffix in {".xyz", ".extxyz"}:
        return _parse_xyz
    if suffix == ".json":
        return _parse_json
    if suffix in {".poscar", ".vasp"} or stem.startswith(("POSCAR", "CONTCAR")):
        return _parse_poscar
    return None


def reader_for(path: Path) -> Callable[[Path], Iterator[Structure | Exception]] | None:
    """Return the function that reads a structure file, by its name; None for a name that is not known."""
    parser = parser_for(path.name)
    return None if parser is None else lambda file: parser(file.read_bytes())


def everything(parser: Parser, content: bytes) -> list[Structure | Exception]:
    """Return what a parser finds, in order; where it cannot go on, its error stands for the rest."""
    found: list[Structure | Exception] = []
    try:
        for one in parser(content):
            found.append(one)  # noqa: PERF402 - what came before an error must stay
    except Exception as error:  # noqa: BLE001 - parsers raise whatever a broken file makes them raise
        found.append(error)
    return found


def cause_of(error: Exception) -> str:
    """Return the first line of an error's message, or its class where it says nothing."""
    text = str(error).strip().splitlines()
    return text[0][:300] if text else type(error).__name__


def parse_cell(cell: object) -> Structure:
    """Return the structure in a cell of a table: the text of a CIF, or pymatgen JSON as text or object.

    Raises
    ------
    ValueError
        When the cell is empty or holds several structures; parsers raise other errors too.
    """
    if isinstance(cell, dict):
        found = everything(_entries_parser(cell), b"")
    elif not isinstance(cell, str | bytes) or not cell.strip():
        raise ValueError("the cell is empty; the text of a CIF, or pymatgen JSON, is needed")
    else:
        content = cell.encode() if isinstance(cell, str) else cell
        found = everything(_parse_json if content.lstrip()[:1] in {b"{", b"["} else _parse_cif, content)
    if len(found) != 1:
        raise ValueError(f"the cell holds {len(found)} structures, one is needed")
    if isinstance(found[0], Exception):
        raise found[0]
    return found[0]


def _entries_parser(entry: dict[str, Any]) -> Parser:
    return lambda _content: _each([entry], _parse_json_entry)


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


def _parse_cif(content: bytes) -> Iterator[Structure | Exception]:
    text = _text(content, errors="replace")
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


def _parse_poscar(content: bytes) -> Iterator[Structure | Exception]:
    return _each([_text(content)], _parse_poscar_text)


def _parse_poscar_text(text: str) -> Structure:
    from pymatgen.io.vasp import Poscar

    poscar = Poscar.from_str(text)
    if not poscar.true_names:
        raise ValueError("the POSCAR does not name its elements; add the line of element symbols (VASP 5)")
    return poscar.structure


def _parse_xyz(content: bytes) -> Iterator[Structure | Exception]:
    return _each(_xyz_frames(_text(content, errors="replace").split("\n")), _parse_xyz_frame)


def _text(content: bytes, errors: str = "strict") -> str:
    # The line ends of every system, as a file opened as text has them.
    return content.decode("utf-8", errors=errors).replace("\r\n", "\n").replace("\r", "\n")


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


def _parse_json(content: bytes) -> Iterator[Structure | Exception]:
    data = json.loads(content.decode("utf-8"))
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
