"""Structures as files: readable by pymatgen and ASE, the same structure, under lihop's names."""

import ase.io
import numpy as np
import pytest
from pymatgen.core import Structure
from pymatgen.io.cif import CifFile, CifParser

from storage.database import reading
from storage.errors import QueryError
from storage.exports.cif import cif_block
from storage.exports.materials import IDENTITY, atoms_of, selected, structure_of, with_structures
from storage.exports.structures import write_structures
from storage.recorder import Recorder
from tests.storage.exports.crystals import candidate_of, rock_salt

LICO, NACO, CHARGED = rock_salt(), rock_salt("Na"), rock_salt(a=4.4)
ODD = "1000 'a\"b"


@pytest.fixture(scope="module")
def db(tmp_path_factory, make):
    recorder = Recorder(tmp_path_factory.mktemp("published") / "lihop.duckdb")
    mixed = [-2.0, 1.0, 3.0, -2.0, 1.0, 2.5]
    recorder.record(
        rows=[
            make.run(),
            *make.material("m1", 0.3)[1:], candidate_of(make, "m1", LICO, licence="CC-BY-4.0"),
            *make.material("m2", 0.2)[1:],
            candidate_of(make, "m2", NACO, oxidation_states=mixed, working_ion="Li", source="files"),
            candidate_of(make, "m2/x.cif", LICO, oxidation_states=None, structure_hash="unknown-charges",
                         material_key="unknown-charges", name=ODD),
            candidate_of(make, "charged", CHARGED, material_id="m1", state="charged"),
        ]
    )  # fmt: skip
    recorder.publish()
    return recorder.paths.published


def rows_of(db, *materials, top=None):
    with reading(db) as connection:
        return list(with_structures(connection, selected(connection, materials, top)))


def same(found, expected):
    """Whether pymatgen read the structure: it sorts sites by element, and labels keep lihop's indices."""
    indices = [
        int(site.label.strip("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz")) for site in found
    ]
    sites = [expected[index] for index in indices]
    return (
        sorted(indices) == list(range(len(expected)))
        and np.allclose(found.frac_coords, [site.frac_coords for site in sites], atol=1e-9)
        and np.allclose(found.lattice.parameters, expected.lattice.parameters, atol=1e-8)
        and [site.specie.symbol for site in found] == [site.specie.symbol for site in sites]
    )


def charges_of(structure):
    """Charges by lihop's indices."""
    return [
        getattr(site.specie, "oxi_state", None)
        for site in sorted(structure, key=lambda site: int(site.label[-1]))
    ]


def test_which_materials(db):
    assert [row["structure_hash"] for row in rows_of(db)] == [
        "hash-m2", "hash-m1", "hash-charged", "unknown-charges"
    ]  # fmt: skip
    assert [row["structure_hash"] for row in rows_of(db, top=1)] == ["hash-m2"]
    # Those without a barrier are never among the best.
    assert [row["structure_hash"] for row in rows_of(db, top=9)] == ["hash-m2", "hash-m1"]
    assert [row["structure_hash"] for row in rows_of(db, "m2/x.cif", "m1")] == [
        "hash-m1", "hash-charged", "unknown-charges"
    ]  # fmt: skip
    with pytest.raises(QueryError, match="no material is called 'm7'"):
        rows_of(db, "m1", "m7")
    with pytest.raises(QueryError, match="1 or more"):
        rows_of(db, top=0)


def test_a_folder_of_cif_files(db, tmp_path):
    rows = rows_of(db)
    assert write_structures(rows, tmp_path / "deep" / "folder") == 4
    names = ["m1.cif", "m1_charged.cif", "m2.cif", "m2_x.cif"]
    assert sorted(path.name for path in (tmp_path / "deep" / "folder").iterdir()) == names
    expected = dict(zip(names, (LICO, CHARGED, NACO, LICO), strict=True))
    for name, structure in expected.items():
        found = Structure.from_file(tmp_path / "deep" / "folder" / name)
        assert same(found, structure)
        assert same_by_ase(ase.io.read(tmp_path / "deep" / "folder" / name), structure)
    # Again, over what is there.
    assert write_structures(rows, tmp_path / "deep" / "folder") == 4
    assert len(list((tmp_path / "deep" / "folder").iterdir())) == 4


def same_by_ase(atoms, structure):
    found = atoms.get_scaled_positions(wrap=False)
    return np.allclose(found, structure.frac_coords, atol=1e-6) and atoms.get_chemical_symbols() == [
        site.specie.symbol for site in structure
    ]


def test_a_cif_says_what_it_is_and_how_it_is_charged(db, tmp_path):
    write_structures(rows_of(db), tmp_path / "all.cif")
    blocks = CifFile.from_file(tmp_path / "all.cif").data
    assert list(blocks) == ["m2", "m1", "m1_charged", "m2_x"]
    known = blocks["m1"].data
    assert (known["_lihop_material_id"], known["_lihop_structure_hash"]) == ("m1", "hash-m1")
    assert (known["_lihop_state"], known["_lihop_licence"]) == ("discharged", "CC-BY-4.0")
    # What is unknown is a question mark, and nothing is charged 0.
    unknown = blocks["m2_x"].data
    assert unknown["_lihop_licence"] == "?"
    assert "_atom_type_oxidation_number" not in unknown
    # Its own check compares every block with the first one.
    parser = CifParser(tmp_path / "all.cif", check_cif=False)
    structures = parser.parse_structures(primitive=False)
    assert [same(found, one) for found, one in zip(structures, (NACO, LICO, CHARGED, LICO), strict=True)]
    mixed, plain, *_, bare = structures
    assert charges_of(mixed) == [-2.0, 1.0, 3.0, -2.0, 1.0, 2.5]
    assert charges_of(plain) == [-2.0, 1.0, 3.0, -2.0, 1.0, 3.0]
    assert charges_of(bare) == [None] * 6
    assert "# Written by lihop" in (tmp_path / "all.cif").read_text()
    assert list(known["_atom_site_label"]) == ["O0", "Li1", "Co2", "O3", "Li4", "Co5"]


@pytest.mark.parametrize("text", [
    ODD, "a\nb", "a'b\"\n;c", "1000", "?", "_x", "loop_", "#no comment", "", "a\ndata_x",
    "data_a\ndata_x\ndata_y", "\n\n \tdata_x 'a\"", "a\n\nDATA_x\n;b",
])  # fmt: skip
def test_any_text_comes_back_from_a_cif(text):
    structure = LICO.copy()
    structure.properties = dict.fromkeys(IDENTITY) | {"name": text}
    (block,) = CifFile.from_str(cif_block(structure, "x")).data.values()
    found = block.data["_lihop_name"]
    assert " ".join(str(found).split()) == " ".join(text.replace("\n;", "\n ;").split())
    assert same(CifParser.from_str(cif_block(structure, "x")).parse_structures(primitive=False)[0], LICO)


@pytest.mark.parametrize("ending", ["extxyz", "xyz"])
def test_extended_xyz(db, tmp_path, ending):
    rows = rows_of(db)
    assert write_structures(rows, tmp_path / f"all.{ending}") == 4
    frames = ase.io.read(tmp_path / f"all.{ending}", index=":", format="extxyz")
    for frame, row, structure in zip(frames, rows, (NACO, LICO, CHARGED, LICO), strict=True):
        assert same_by_ase(frame, structure)
        known = {name: row[name] for name in IDENTITY if row[name] is not None}
        assert frame.info == known
    assert frames[0].arrays["oxidation_state"].tolist() == [-2.0, 1.0, 3.0, -2.0, 1.0, 2.5]
    assert "oxidation_state" not in frames[3].arrays


def test_objects(db):
    unknown, known = rows_of(db, "unknown-charges")[0], rows_of(db, "hash-m2")[0]
    structure = structure_of(known)
    assert structure.matches(NACO)
    assert np.allclose(structure.frac_coords, NACO.frac_coords)
    assert structure.properties["structure_hash"] == "hash-m2"
    assert structure.site_properties["oxidation_state"] == [-2.0, 1.0, 3.0, -2.0, 1.0, 2.5]
    assert "oxidation_state" not in structure_of(unknown).site_properties
    assert same_by_ase(atoms_of(known), NACO)
    partly = known | {"oxidation_states": [None, *known["oxidation_states"][1:]]}
    assert "oxidation_state" not in atoms_of(partly).arrays
    assert "_atom_type_oxidation_number" not in cif_block(structure_of(partly), "x")


def test_what_cannot_be_written(db, tmp_path):
    with pytest.raises(QueryError, match=r"\.cif or \.extxyz or \.xyz, or a folder"):
        write_structures(rows_of(db), tmp_path / "POSCAR.vasp")
    (tmp_path / "file").write_text("")
    with pytest.raises(QueryError, match="cannot be written"):
        write_structures(rows_of(db), tmp_path / "file")
    with pytest.raises(QueryError, match="cannot be written"):
        write_structures(rows_of(db), tmp_path / "file" / "a.cif")
    assert [path.name for path in tmp_path.iterdir()] == ["file"]
