"""Files as a source of candidates: every format, and every way in which a file can be bad."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from ase.io import write as ase_write
from pymatgen.core import Lattice, Structure
from pymatgen.io.ase import AseAtomsAdaptor
from pymatgen.io.cif import CifWriter
from pymatgen.io.vasp import Poscar

from storage.records import Reason
from tasks.candidates.files import FilesSource
from tasks.candidates.source import RejectedError, SourceError

if TYPE_CHECKING:
    from pathlib import Path


def rock_salt(shift: float = 0.0) -> Structure:
    structure = Structure.from_spacegroup(
        "Fm-3m", Lattice.cubic(4.0), ["Li", "F"], [[0, 0, 0], [0.5, 0.5, 0.5]]
    )
    structure.translate_sites(list(range(len(structure))), [shift] * 3)
    return structure


def write_all_formats(folder: Path) -> None:
    structure = rock_salt()
    CifWriter(structure).write_file(folder / "a.cif")
    Poscar(structure).write_file(folder / "POSCAR_b")
    Poscar(structure).write_file(folder / "c.vasp")
    ase_write(
        folder / "d.extxyz", [AseAtomsAdaptor.get_atoms(rock_salt(s)) for s in (0.0, 0.1)], format="extxyz"
    )
    (folder / "sub").mkdir()
    (folder / "sub" / "e.json").write_text(json.dumps(structure.as_dict()))
    (folder / "f.json").write_text(json.dumps([structure.as_dict(), {"structure": structure.as_dict()}]))
    (folder / "notes.txt").write_text("not a structure")


def test_every_format_is_read_to_the_same_crystal(tmp_path: Path) -> None:
    write_all_formats(tmp_path)
    source = FilesSource(str(tmp_path))
    items = source.items()
    assert [item.item_id for item in items] == [
        "POSCAR_b",
        "a.cif",
        "c.vasp",
        "d.extxyz",
        "f.json",
        "sub/e.json",
    ]
    materials = [material for item in items for material in source.read(item)]
    assert [m.material_id for m in materials] == [
        "POSCAR_b", "a.cif", "c.vasp", "d.extxyz#1", "d.extxyz#2", "f.json#1", "f.json#2", "sub/e.json",
    ]  # fmt: skip
    for material in materials:
        assert material.structure.composition.reduced_formula == "LiF"
        assert material.structure.volume / len(material.structure) == pytest.approx(8.0, abs=1e-6)


def test_one_file_is_enough(tmp_path: Path) -> None:
    CifWriter(rock_salt()).write_file(tmp_path / "a.cif")
    source = FilesSource(str(tmp_path / "a.cif"))
    assert [m.material_id for item in source.items() for m in source.read(item)] == ["a.cif"]


@pytest.mark.parametrize("what", ["missing", "empty", "only text"])
def test_a_path_without_structures_is_an_error_that_names_it(tmp_path: Path, what: str) -> None:
    folder = tmp_path / "folder"
    if what != "missing":
        folder.mkdir()
    if what == "only text":
        (folder / "notes.txt").write_text("nothing")
    with pytest.raises(SourceError, match="folder") as caught:
        FilesSource(str(folder)).items()
    assert str(folder) in str(caught.value)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.cif", "data_x\n_cell_length_a 4.0\n"),
        ("b.cif", ""),
        ("c.json", "{"),
        ("d.json", '{"lattice": {}, "sites": []}'),
        ("e.json", "[1, 2]"),
        ("f.json", "[]"),
        ("g.vasp", "LiF\n1.0\n"),
        ("h.extxyz", "2\nno lattice\nLi 0 0 0\nF 2 0 0\n"),
        ("i.cif", "\x00\x01\x02"),
        ("j.vasp", "x\n1\n4 0 0\n0 4 0\n0 0 4\n1 1\ndirect\n0 0 0\n.5 .5 .5\n"),
    ],
)
def test_a_broken_file_is_unreadable_and_says_which(tmp_path: Path, name: str, content: str) -> None:
    (tmp_path / name).write_text(content)
    source = FilesSource(str(tmp_path))
    with pytest.raises(RejectedError, match=name) as caught:
        source.read(source.items()[0])
    assert caught.value.reason is Reason.UNREADABLE_FILE


def test_an_enormous_file_is_refused_unread(tmp_path: Path) -> None:
    (tmp_path / "big.cif").write_bytes(b"#" * 2_000_000)
    source = FilesSource(str(tmp_path), max_file_mb=1.0)
    with pytest.raises(RejectedError, match=r"2\.0 MB, allowed are 1 MB") as caught:
        source.read(source.items()[0])
    assert caught.value.reason is Reason.FILE_TOO_LARGE


def test_a_json_file_cannot_choose_code_to_run(tmp_path: Path) -> None:
    data = rock_salt().as_dict()
    data["sites"][0]["properties"] = {"x": {"@module": "antigravity_not_there", "@class": "Boom"}}
    data["properties"] = {"x": {"@module": "antigravity_not_there", "@class": "Boom"}}
    (tmp_path / "a.json").write_text(json.dumps(data))
    source = FilesSource(str(tmp_path))
    assert len(source.read(source.items()[0])) == 1


def test_the_digest_follows_the_content_and_not_the_place(tmp_path: Path) -> None:
    for folder in ("one", "two"):
        (tmp_path / folder).mkdir()
        CifWriter(rock_salt()).write_file(tmp_path / folder / "a.cif")
    one, two = (FilesSource(str(tmp_path / folder)).items()[0].digest for folder in ("one", "two"))
    assert one == two
    (tmp_path / "two" / "a.cif").write_text("data_other")
    assert FilesSource(str(tmp_path / "two")).items()[0].digest != one
