"""Whatever text a frame says comes back from ASE as that text."""

import io

import ase.io
import pytest
from ase import Atoms

from storage.exports.extxyz import plain_text, write_frame

TEXTS = [
    "mp-149", "Li2FeSiO4", "P2_1/c", "Fm-3m", "LiCo(PO3)4", "1", "-1", "1.5", "1e5", "12_0_1", "0x10",
    "1 2 3", "1,2,3", "1, 2", "T", "F", "t", "f", "true", "False", "TRUE", "T F", "T,F", "true false",
    "nan", "NaN", "inf", "-inf", "Infinity", "none", "None", "", " ", " a ", "a b", "a  b", "\\", "a\\b",
    "a\\", "C:\\new\\table", "a\nb", "a\n", "\na", "a\r\nb", "a\tb", "'", '"', "it's", 'the "best"', "'\"",
    '\\"', "_JSON", "_JSON 3", "_JSON [1, 2]", '_JSON "a"', "_JSON {", "_JSONx", "{a}", "[1, 2]", "[a",
    "a]", "{", "a=b", "=", "a=1 b=2", "LiFePO\u2084", "\u00e9", "a\u2028b", "a\u2029b", "a\x85b", "a\x0bb",
    "a\x00b", "\u00b2", "\u0663", "\U0001f50b", "#", "Lattice=",
]  # fmt: skip


@pytest.mark.parametrize("text", TEXTS)
def test_any_text_comes_back_from_ase(text, tmp_path):
    atoms = Atoms("LiO", positions=[(0, 0, 0), (2, 0, 0)], cell=[4, 4, 4], pbc=True)
    atoms.info = {"before": 1, "text": text, "after": "mp-1"}
    with (tmp_path / "a.xyz").open("w", encoding="utf-8") as file:
        write_frame(file, atoms)
        write_frame(file, atoms)
    first, second = ase.io.read(tmp_path / "a.xyz", index=":", format="extxyz")
    assert first.info == second.info == atoms.info
    assert type(first.info["text"]) is str


def test_what_is_no_text_stays_what_it_is():
    given = {"number": 3, "barrier": 0.5, "known": True, "sites": [1, 2]}
    assert {name: plain_text(value) for name, value in given.items()} == given
    file = io.StringIO()
    atoms = Atoms("Li", positions=[(0, 0, 0)], cell=[4, 4, 4], pbc=True)
    atoms.info = given | {"unknown": None}
    write_frame(file, atoms)
    found = ase.io.read(io.StringIO(file.getvalue()), format="extxyz").info
    assert {name: value.tolist() if name == "sites" else value for name, value in found.items()} == given
