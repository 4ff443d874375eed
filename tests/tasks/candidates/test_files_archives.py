"""Archives of structure files as candidates: every kind, and every way in which one can be bad or hostile."""

from __future__ import annotations

import gzip
import io
import lzma
import os
import pickle
import tarfile
import zipfile
from functools import cache
from typing import TYPE_CHECKING

import pytest
from pymatgen.core import Lattice, Structure
from pymatgen.io.cif import CifWriter
from pymatgen.io.vasp import Poscar

from storage.records import Reason
from tasks.candidates import files_archives, files_tables
from tasks.candidates.files import FilesSource
from tasks.candidates.source import EmptySourceError, RawMaterial, Rejected, RejectedError

if TYPE_CHECKING:
    from pathlib import Path

KINDS = ["a.zip", "a.tar", "a.tar.gz", "a.tgz", "a.tar.xz"]
TAR_MODES = {"a.tar": "w", "a.tar.gz": "w:gz", "a.tgz": "w:gz", "a.tar.xz": "w:xz"}


def rock_salt(edge_ang: float = 4.0) -> Structure:
    return Structure.from_spacegroup(
        "Fm-3m", Lattice.cubic(edge_ang), ["Li", "F"], [[0, 0, 0], [0.5, 0.5, 0.5]]
    )


@cache
def cif(edge_ang: float = 4.0) -> bytes:
    return str(CifWriter(rock_salt(edge_ang))).encode()


def table() -> bytes:
    cells = ['"' + cif(edge).decode().replace('"', '""') + '"' for edge in (4.3, 4.4)]
    return ("material_id,cif\n" + "".join(f"t{k},{cell}\n" for k, cell in enumerate(cells))).encode()


def write_archive(path: Path, members: dict[str, bytes]) -> Path:
    if path.suffix == ".zip":
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            for name, content in members.items():
                archive.writestr(name, content)
        return path
    with tarfile.open(path, TAR_MODES[path.name]) as archive:
        for name, content in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return path


def outcomes(source: FilesSource) -> dict[str, str]:
    """Return what each item or material comes to: an edge in Å, or the reason and message."""
    found = {}
    for item in source.items():
        try:
            read = pickle.loads(pickle.dumps(source)).read(item)
        except RejectedError as error:
            found[item.item_id] = f"{error.reason}: {error}"
            continue
        for one in read:
            if isinstance(one, Rejected):
                found[one.material_id] = f"{one.error.reason}: {one.error}"
            else:
                assert isinstance(one, RawMaterial)
                found[one.material_id] = f"{one.structure.lattice.a:.2f}"
    return found


MEMBERS = {
    "README.txt": b"nothing",
    "one.cif": cif(4.0),
    "sub/POSCAR": Poscar(rock_salt(4.1)).get_str().encode(),
    "broken.cif": b"data_x\n_cell_length_a 4.0\n",
    "table.csv": table(),
    "last.cif": cif(4.2),
}


@pytest.mark.parametrize("name", KINDS)
def test_every_kind_gives_its_structures_and_one_bad_member_costs_no_other(tmp_path: Path, name: str) -> None:
    write_archive(tmp_path / name, MEMBERS)
    before = sorted(tmp_path.iterdir())
    found = outcomes(FilesSource(str(tmp_path)))
    assert found.pop(f"{name}/broken.cif").startswith("unreadable_file: ")
    assert found == {
        f"{name}/one.cif": "4.00",
        f"{name}/sub/POSCAR": "4.10",
        "t0": "4.30",
        "t1": "4.40",
        f"{name}/last.cif": "4.20",
    }
    assert sorted(tmp_path.iterdir()) == before


@pytest.mark.parametrize("name", KINDS)
def test_items_are_read_in_any_order(tmp_path: Path, name: str) -> None:
    edges = [4.0 + k / 10 for k in range(6)]
    write_archive(tmp_path / name, {f"{k}.cif": cif(edge) for k, edge in enumerate(edges)})
    source = FilesSource(str(tmp_path / name))
    items = source.items()
    for k in (5, 0, 3, 2, 4, 1):
        (one,) = source.read(items[k])
        assert isinstance(one, RawMaterial)
        assert one.structure.lattice.a == pytest.approx(edges[k])


def test_the_digest_is_that_of_the_member_wherever_it_lies(tmp_path: Path) -> None:
    (tmp_path / "plain").mkdir()
    (tmp_path / "plain" / "x.cif").write_bytes(cif())
    digests = {FilesSource(str(tmp_path / "plain")).items()[0].digest}
    for name in KINDS:
        write_archive(tmp_path / name, {"x.cif": cif()})
        digests |= {item.digest for item in FilesSource(str(tmp_path / name)).items()}
    assert len(digests) == 1
    write_archive(tmp_path / "a.zip", {"x.cif": cif(4.5)})
    assert FilesSource(str(tmp_path / "a.zip")).items()[0].digest not in digests


@pytest.mark.parametrize("name", KINDS)
def test_a_name_that_climbs_out_is_only_a_name(tmp_path: Path, name: str) -> None:
    (tmp_path / "in").mkdir()
    outside = {tmp_path / "out.cif", tmp_path.parent / "out.cif"}
    write_archive(
        tmp_path / "in" / name, {"../out.cif": cif(), "/absolute.cif": cif(4.1), "new\nline.cif": cif(4.2)}
    )
    found = outcomes(FilesSource(str(tmp_path / "in")))
    assert sorted(found.values()) == ["4.00", "4.10", "4.20"]
    assert all(key.isprintable() for key in found)
    assert not any(path.exists() for path in outside)


@pytest.mark.parametrize("name", KINDS)
def test_an_archive_in_an_archive_is_refused_with_the_reason(tmp_path: Path, name: str) -> None:
    write_archive(tmp_path / name, {"in.zip": b"x", "in.tar.bz2": b"y", "a.cif": cif()})
    found = outcomes(FilesSource(str(tmp_path)))
    assert found.pop(f"{name}/a.cif") == "4.00"
    assert len(found) == 2
    assert all("is an archive in an archive; unpack the outer one" in why for why in found.values())


@pytest.mark.parametrize("name", KINDS)
def test_a_large_member_is_refused_and_costs_no_other(tmp_path: Path, name: str) -> None:
    write_archive(tmp_path / name, {"big.cif": b"#" * 2_000_000, "a.cif": cif()})
    found = outcomes(FilesSource(str(tmp_path), max_file_mb=1.0))
    assert found[f"{name}/a.cif"] == "4.00"
    assert found[f"{name}/big.cif"].startswith(f"{Reason.FILE_TOO_LARGE}: ")
    assert "2.0 MB, allowed are 1 MB" in found[f"{name}/big.cif"]


def test_a_zip_that_lies_about_a_size_is_read_no_further_than_allowed(tmp_path: Path) -> None:
    path = write_archive(tmp_path / "a.zip", {"bomb.cif": b"#" * 5_000_000, "a.cif": cif()})
    content = path.read_bytes()
    # The sizes in the local header and in the directory say 100 bytes.
    path.write_bytes(content.replace((5_000_000).to_bytes(4, "little"), (100).to_bytes(4, "little")))
    found = outcomes(FilesSource(str(path), max_file_mb=1.0))
    assert found["a.zip/a.cif"] == "4.00"
    assert "cannot be read" in found["a.zip/bomb.cif"]


@pytest.mark.parametrize("name", KINDS)
def test_a_bomb_is_refused_by_what_it_unpacks_to(
    tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(files_archives, "MAX_UNPACKED_BYTES", 3_000_000)
    write_archive(tmp_path / name, {f"{k}.cif": b"#" * 900_000 for k in range(20)} | {"last.cif": cif()})
    CifWriter(rock_salt()).write_file(tmp_path / "other.cif")
    found = outcomes(FilesSource(str(tmp_path), max_file_mb=1.0))
    assert found["other.cif"] == "4.00"
    assert f"{name}/last.cif" not in found
    assert found[name].startswith(f"{Reason.FILE_TOO_LARGE}: {name}: the archive unpacks to more than")


@pytest.mark.parametrize("name", KINDS)
def test_too_many_members_are_refused(tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files_archives, "MAX_MEMBERS", 3)
    write_archive(tmp_path / name, {f"{k}.txt": b"" for k in range(5)})
    assert "more than 3 members" in outcomes(FilesSource(str(tmp_path)))[name]


def test_a_tar_with_an_enormous_header_is_refused(tmp_path: Path) -> None:
    info = tarfile.TarInfo("././@LongLink")
    info.type, info.size = tarfile.GNUTYPE_LONGNAME, 1 << 30
    (tmp_path / "a.tar").write_bytes(info.tobuf() + b"x" * 4096)
    assert "it is no honest tar" in outcomes(FilesSource(str(tmp_path)))["a.tar"]


def test_an_encrypted_member_is_named(tmp_path: Path) -> None:
    path = write_archive(tmp_path / "a.zip", {"secret.cif": cif(), "open.cif": cif(4.1)})
    content = bytearray(path.read_bytes())
    # The flag of the first member, in its local header and in the directory.
    content[6] |= 1
    content[content.index(b"PK\x01\x02") + 8] |= 1
    path.write_bytes(content)
    found = outcomes(FilesSource(str(path)))
    assert found["a.zip/open.cif"] == "4.10"
    assert "a.zip/secret.cif is encrypted; unpack the archive with its password" in found["a.zip/secret.cif"]


def test_a_member_whose_bytes_rotted_costs_no_other(tmp_path: Path) -> None:
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
        archive.writestr("a.cif", cif(4.0))
        archive.writestr("b.cif", cif(4.1))
    path.write_bytes(path.read_bytes().replace(b"4.10000000", b"4.90000000", 1))
    found = outcomes(FilesSource(str(path)))
    assert found["a.zip/a.cif"] == "4.00"
    assert "cannot be read" in found["a.zip/b.cif"]


def test_links_in_a_tar_are_refused(tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "a.tar", "w") as archive:
        for name, kind in (("soft.cif", tarfile.SYMTYPE), ("hard.cif", tarfile.LNKTYPE)):
            info = tarfile.TarInfo(name)
            info.type, info.linkname = kind, "/etc/passwd"
            archive.addfile(info)
    found = outcomes(FilesSource(str(tmp_path)))
    assert len(found) == 2
    assert all("no plain file" in why for why in found.values())


@pytest.mark.parametrize("name", KINDS)
def test_a_cut_archive_says_so_and_keeps_what_came_before(tmp_path: Path, name: str) -> None:
    noise = {f"{k}.txt": os.urandom(40_000) for k in range(4)}
    path = write_archive(tmp_path / name, {"a.cif": cif(), **noise, "z.cif": cif(4.1)})
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])
    found = outcomes(FilesSource(str(path)))
    assert f"{name}/z.cif" not in found
    assert "cannot be read" in found[name]
    if name != "a.zip":
        # The directory of a zip is at its end, so nothing of a cut one can be found.
        assert found[f"{name}/a.cif"] == "4.00"


def test_a_broken_header_in_a_tar_does_not_end_it_quietly(tmp_path: Path) -> None:
    path = write_archive(tmp_path / "a.tar", {"a.cif": cif(), "b.cif": cif(4.1), "c.cif": cif(4.2)})
    content = path.read_bytes()
    path.write_bytes(content.replace(b"b.cif", b"B.cif"))
    found = outcomes(FilesSource(str(path)))
    assert found["a.tar/a.cif"] == "4.00"
    assert "a broken header after 1 members hides what follows" in found["a.tar"]


@pytest.mark.parametrize("name", KINDS)
def test_no_archive_at_all_is_unreadable(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(
        b"this is no archive, only a text of some length that claims to be one" * 20
    )
    assert "the archive cannot be read" in outcomes(FilesSource(str(tmp_path)))[name]


@pytest.mark.parametrize("pack", [gzip.compress, lzma.compress])
def test_a_packed_text_is_no_tar(tmp_path: Path, pack) -> None:
    name = "a.tar.gz" if pack is gzip.compress else "a.tar.xz"
    (tmp_path / name).write_bytes(pack(b"a text" * 1000))
    assert "the archive cannot be read" in outcomes(FilesSource(str(tmp_path)))[name]


@pytest.mark.parametrize("name", KINDS)
def test_an_archive_of_texts_is_empty(tmp_path: Path, name: str) -> None:
    write_archive(tmp_path / name, {"README.txt": b"x", ".hidden.cif": cif(), "__MACOSX/a.cif": cif()})
    with pytest.raises(EmptySourceError):
        FilesSource(str(tmp_path / name)).items()


def test_a_table_in_an_archive_is_read_by_rows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files_tables, "ROWS_AN_ITEM", 1)
    write_archive(tmp_path / "a.tgz", {"x/table.csv": table(), "bad.csv": b"a,b\n1,2\n"})
    source = FilesSource(str(tmp_path))
    ids = [item.item_id for item in source.items()]
    assert ids == ["a.tgz/x/table.csv#1", "a.tgz/x/table.csv#2", "a.tgz/bad.csv"]
    found = outcomes(source)
    assert (found["t0"], found["t1"]) == ("4.30", "4.40")
    assert "its columns are 'a', 'b'" in found["a.tgz/bad.csv"]


def test_another_archive_at_the_same_path_is_not_taken_for_the_one_kept_open(tmp_path: Path) -> None:
    for edge in (4.0, 4.5):
        path = write_archive(tmp_path / "a.zip", {"a.cif": cif(edge), "pad.txt": b"x" * int(edge * 10)})
        assert outcomes(FilesSource(str(path))) == {"a.zip/a.cif": f"{edge:.2f}"}
