"""Files as a source of candidates: every format, and every way in which a file can be bad."""

from __future__ import annotations

import json
import re
from io import StringIO
from typing import TYPE_CHECKING

import pytest
from ase.io import write as ase_write
from pymatgen.core import Lattice, Structure
from pymatgen.io.ase import AseAtomsAdaptor
from pymatgen.io.cif import CifWriter
from pymatgen.io.vasp import Poscar

from storage.places import paths_of
from storage.records import Reason
from tasks.candidates.files import FilesSource
from tasks.candidates.source import EmptySourceError, RawMaterial, Rejected, RejectedError, SourceError

if TYPE_CHECKING:
    from pathlib import Path

CELL_ONLY = "data_cut_off\n_cell_length_a 4.0\n"
TEXTS = "data_global\n_journal_year 2020\n_cell_measurement_temperature 293\n"


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
        ("e.json", "[1]"),
        ("f.json", "[]"),
        ("g.vasp", "LiF\n1.0\n"),
        ("h.extxyz", "2\nno lattice\nLi 0 0 0\nF 2 0 0\n"),
        ("i.cif", "\x00\x01\x02"),
        ("k.cif", "data_global\n_journal_year 2020\n"),
        ("l.extxyz", "3\nthe file ends before\nLi 0 0 0\n"),
        ("m.json", '{"lattice": {"matrix": [[4, 0, 0], [0, 4, 0], [0, 0, NaN]]}, "sites": []}'),
        ("j.vasp", "x\n1\n4 0 0\n0 4 0\n0 0 4\n1 1\ndirect\n0 0 0\n.5 .5 .5\n"),
    ],
)
def test_a_broken_file_is_unreadable_and_says_which(tmp_path: Path, name: str, content: str) -> None:
    (tmp_path / name).write_text(content)
    source = FilesSource(str(tmp_path))
    with pytest.raises(RejectedError, match=name) as caught:
        source.read(source.items()[0])
    assert caught.value.reason is Reason.UNREADABLE_FILE


def read_one(folder: Path, name: str, content: str) -> dict[str, str]:
    """Return what a file gives: the formula of each material, or why it cannot be read."""
    (folder / name).write_text(content)
    source = FilesSource(str(folder))
    found = {}
    for one in source.read(source.items()[0]):
        if isinstance(one, Rejected):
            assert one.error.reason is Reason.UNREADABLE_FILE
            assert one.material_id in str(one.error)
            found[one.material_id] = str(one.error)
        else:
            assert isinstance(one, RawMaterial)
            found[one.material_id] = one.structure.composition.reduced_formula
    return found


def cif(element: str) -> str:
    # All blocks have one name here, which CIF forbids and files in the wild have.
    structure = rock_salt()
    structure.replace_species({"Li": element})
    return re.sub(r"data_\S+", "data_same", str(CifWriter(structure)))


@pytest.mark.parametrize(
    "bad", [cif("Na").replace("4.0000", "four"), cif("Na").replace("Na  Na0  1", "Na  Na0"), CELL_ONLY]
)
def test_a_bad_cif_block_costs_no_other(tmp_path: Path, bad: str) -> None:
    found = read_one(tmp_path, "a.cif", TEXTS + cif("Li") + bad + cif("K"))
    assert list(found) == ["a.cif#1", "a.cif#2", "a.cif#3"]
    assert (found["a.cif#1"], found["a.cif#3"]) == ("LiF", "KF")
    assert "cannot be read" in found["a.cif#2"]


def test_a_cif_block_of_texts_is_no_structure(tmp_path: Path) -> None:
    assert read_one(tmp_path, "a.cif", TEXTS + cif("Li")) == {"a.cif": "LiF"}


def test_a_bad_json_entry_costs_no_other(tmp_path: Path) -> None:
    good = rock_salt().as_dict()
    found = read_one(tmp_path, "a.json", json.dumps([good, {"lattice": good["lattice"]}, 7, good]))
    assert [found["a.json#1"], found["a.json#4"]] == ["LiF", "LiF"]
    assert "'sites' are needed" in found["a.json#2"]
    assert "a int is there" in found["a.json#3"]


def frames(*elements: str) -> list[str]:
    written = []
    for element in elements:
        structure = rock_salt()
        structure.replace_species({"Li": element})
        file = StringIO()
        ase_write(file, AseAtomsAdaptor.get_atoms(structure), format="extxyz")
        written.append(file.getvalue())
    return written


@pytest.mark.parametrize(
    ("change", "cause"),
    [
        (lambda frame: frame.replace("Na ", "Xx ", 1), "Xx"),
        (lambda frame: frame.replace("   0.0", "   zero", 1), "zero"),
        (lambda frame: re.sub("pbc=.*", 'pbc="T T F"', frame), "no periodic cell"),
    ],
)
def test_a_bad_frame_that_ends_where_it_should_costs_no_other(tmp_path: Path, change, cause: str) -> None:
    first, second, third = frames("Li", "Na", "K")
    found = read_one(tmp_path, "a.extxyz", first + change(second) + "\n" + third)
    assert (found["a.extxyz#1"], found["a.extxyz#3"]) == ("LiF", "KF")
    assert cause in found["a.extxyz#2"]


@pytest.mark.parametrize("count", ["7", "9", "-1", "eight", "1000"])
def test_where_a_frame_ends_elsewhere_the_rest_is_one_row(tmp_path: Path, count: str) -> None:
    first, second, third = frames("Li", "Na", "K")
    found = read_one(tmp_path, "a.extxyz", first + second.replace("8", count, 1) + third)
    assert list(found) == ["a.extxyz#1", "a.extxyz#2"]
    assert found["a.extxyz#1"] == "LiF"
    assert "neither this frame nor what follows can be read" in found["a.extxyz#2"]


def test_a_folder_in_which_lihop_works_gives_its_structures_alone(tmp_path: Path) -> None:
    paths = paths_of(tmp_path / "lihop.duckdb")
    hidden, named_alike = tmp_path / ".git", tmp_path / "paper.work"
    for folder in (paths.manifests, hidden, named_alike):
        folder.mkdir(parents=True)
        (folder / "run.json").write_text("{}")
    (tmp_path / ".a.cif").write_text("")
    CifWriter(rock_salt()).write_file(tmp_path / "a.cif")
    listed = [item.item_id for item in FilesSource(str(tmp_path)).items()]
    assert listed == ["a.cif", "paper.work/run.json"]


@pytest.mark.parametrize("mark", ["lock", "working", "manifests"])
def test_a_working_folder_is_known_by_any_of_its_parts(tmp_path: Path, mark: str) -> None:
    paths = paths_of(tmp_path / "lihop.duckdb")
    paths.work.mkdir()
    getattr(paths, mark).mkdir()
    (paths.work / "a.json").write_text("{}")
    with pytest.raises(EmptySourceError):
        FilesSource(str(tmp_path)).items()


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
