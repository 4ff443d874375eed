"""Cleaned structures as files: a CIF each, one CIF or one extended XYZ of all."""

from __future__ import annotations

from typing import TYPE_CHECKING

from storage.errors import QueryError
from storage.exports.cif import HEADER, cif_block
from storage.exports.extxyz import write_frame
from storage.exports.materials import atoms_of, structure_of
from storage.exports.places import Names, writing_file

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path
    from typing import TextIO

    from storage.asking import Record

XYZ = (".extxyz", ".xyz")


def write_structures(rows: Iterable[Record], output: Path) -> int:
    """Write cleaned structures to a file or into a folder, each file atomically.

    Parameters
    ----------
    rows : iterable of dict
        Rows of `storage.exports.materials.with_structures`.
    output : Path
        ``.cif`` or ``.extxyz`` for one file of all, or a folder for a CIF each, named by material.

    Returns
    -------
    int
        How many were written.

    Raises
    ------
    QueryError
        When the name ends otherwise, or a file cannot be written.
    """
    ending = ending_of(output, (".cif", *XYZ))
    if ending == "":
        return _write_folder(rows, output)
    add = _adding_cif() if ending == ".cif" else _add_frame
    n_written = 0
    with writing_file(output) as temporary, temporary.open("w", encoding="utf-8") as file:
        if ending == ".cif":
            file.write(HEADER)
        for row in rows:
            add(row, file)
            n_written += 1
    return n_written


def ending_of(output: Path, allowed: tuple[str, ...]) -> str:
    """Return the ending of a file's name in small letters, nothing for a folder.

    Raises
    ------
    QueryError
        When it is none of those allowed.
    """
    ending = "" if output.is_dir() else output.suffix.lower()
    if ending not in {"", *allowed}:
        raise QueryError(f"{output}: name a file that ends in {' or '.join(allowed)}, or a folder")
    return ending


def _write_folder(rows: Iterable[Record], folder: Path) -> int:
    names = Names()
    n_written = 0
    for row in rows:
        name = _name(row, names)
        with writing_file(folder / f"{name}.cif") as temporary:
            temporary.write_text(HEADER + cif_block(structure_of(row), name), encoding="utf-8")
        n_written += 1
    return n_written


def _adding_cif() -> Callable[[Record, TextIO], None]:
    names = Names()

    def add(row: Record, file: TextIO) -> None:
        file.write(cif_block(structure_of(row), _name(row, names)) + "\n")

    return add


def _add_frame(row: Record, file: TextIO) -> None:
    write_frame(file, atoms_of(row))


def _name(row: Record, names: Names) -> str:
    """Return a name for a structure: the material's, and its state of charge where that is not the usual."""
    identifier = row["material_id"].removesuffix(".cif")
    state = "" if row["state"] == "discharged" else f"_{row['state']}"
    return names.stem(f"{identifier}{state}", row["structure_hash"])
