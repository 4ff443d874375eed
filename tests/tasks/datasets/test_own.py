"""A user's own barriers: what tables may look like, what is refused and how, and what is read again."""

from __future__ import annotations

import json

import numpy as np
import pytest
from ase.io import write

from tasks.datasets import own, registry
from tasks.datasets.errors import DatasetError
from tasks.datasets.fingerprints import difference_ang, fingerprint
from tasks.datasets.own_hops import FILLED
from tasks.datasets.reading import check_files, read_records, splits_of
from tasks.datasets.records import Crystal, HopRecord
from tests.tasks.datasets.litraj_files import atoms_of
from tests.tasks.hops.crystals import octahedral_layers, single_layers

LITIS2 = single_layers()
LICOO2 = octahedral_layers("Li", "Co", "O", 2.816, 14.05, 0.2605)
WANTED = HopRecord("x", "x", "train", Crystal.of(LITIS2), 0, 0, (1, 0, 0), 0.61, "")
HEAD = "id,structure,i,j,ox,oy,oz,barrier_ev"
HOP = "h1,litis2.cif,0,0,1,0,0,0.61"


@pytest.fixture
def add(tmp_path):
    """Add a table, given as text, with two crystals beside it."""
    files = tmp_path / "files"
    files.mkdir()
    LITIS2.to(filename=str(files / "litis2.cif"))
    LICOO2.to(filename=str(files / "POSCAR_licoo2"), fmt="poscar")

    def run(text, name="mine", *, suffix="csv", encoding="utf-8", **named):
        path = files / f"table.{suffix}"
        if text is not None:
            path.write_text(text, encoding=encoding, newline="")
        named.setdefault("method", "DFT-NEB, PBE")
        return own.add(name, path, tmp_path / "data", **named)

    run.files = files
    run.data = tmp_path / "data"
    return run


def read(add, name="mine"):
    records, broken = read_records(f"own-{name}", add.data / "own" / name)
    assert broken == []
    return records


def refused(add, text, **named):
    """The messages that a table is refused with; nothing was written."""
    with pytest.raises(own.RefusedError) as caught:
        add(text, **named)
    assert not (add.data / "own").exists() or not list((add.data / "own").iterdir())
    return [finding.message for finding in caught.value.findings if finding.severity == "error"]


def assert_the_hop(record, barrier_ev=0.61):
    assert difference_ang(fingerprint(record), fingerprint(WANTED)) < 1e-5
    assert record.barrier_ev == pytest.approx(barrier_ev)
    assert record.ion == "Li"


class TestTables:
    @pytest.mark.parametrize(
        "text",
        [
            f"{HEAD}\n{HOP}\n",
            f"\ufeff{HEAD}\r\n{HOP}\r\n\r\n",
            f"{HEAD}\n{HOP}\n".replace(",", ";").replace("0.61", "0,61"),
            f"{HEAD}\n{HOP}\n".replace(",", "\t"),
            f"{HEAD.upper()}\n{HOP}",
            "id,structure,i,j,ox,barrier_ev\nh1,litis2.cif,0,0,1,0.61\n",
            'id,structure,start,end,barrier_ev\nh1,litis2.cif,0 0 0.5,"1,0,0.5",0.61\n',
            "id;structure;start;end;barrier_ev\nh1;litis2.cif;0 0 0,5;1 0 0,5;0,61\n",
            "id,structure,start,end,barrier_ev,ion\nh1,litis2.cif,0.02 0 0.5,1.0 0 0.49,0.61,Li\n",
            "id,structure,start,end,barrier_ev\nh1,litis2.cif,5 -2 1.5,4 -2 1.5,0.61\n",
            "id,structure,i,j,ox,oy,oz,barrier_mev\nh1,litis2.cif,0,0,1,0,0,610\n",
            "id,structure,i,j,ox,oy,oz,barrier_kj_mol\nh1,litis2.cif,0,0,1,0,0,58.8560535\n",
        ],
    )
    def test_ways_to_write_the_same_hop(self, add, text):
        add(text)
        (record,) = read(add)
        assert_the_hop(record)
        assert (record.hop_id, record.method, record.split) == ("h1", "DFT-NEB, PBE", "train")

    def test_a_frame_a_hop(self, add):
        frames = []
        for number, ends in enumerate(
            [{"i": 0, "j": 0, "ox": 1}, {"start": [0, 0, 0.5], "end": [1, -1, 0.5]}]
        ):
            atoms = atoms_of(LITIS2)
            atoms.info = {"id": f"h{number}", "barrier": 610.0 + number, "note": "kept aside", **ends}
            frames.append(atoms)
        write(add.files / "table.extxyz", frames, format="extxyz")
        _, _, findings = add(None, suffix="extxyz", unit="meV")
        first, second = read(add)
        assert_the_hop(first)
        assert second.barrier_ev == pytest.approx(0.611)
        assert "note" in findings[-1].message

    def test_columns_that_help(self, add):
        add(
            "id,structure,i,j,ox,barrier_ev,method,split,host_ion_fraction,doi\n"
            "h1,litis2.cif,0,0,1,0.61,CHGNet-NEB,test,0.5,10.1/x\n"
            "h2,POSCAR_licoo2,0,0,1,0.47,,,,\n"
        )
        first, second = sorted(read(add), key=lambda record: record.hop_id)
        assert (first.method, first.split, first.host_ion_fraction) == ("CHGNet-NEB", "test", 0.5)
        assert (second.method, second.split, second.host_ion_fraction) == ("DFT-NEB, PBE", "train", 1.0)
        assert splits_of("own-mine", add.data / "own" / "mine") == ("train", "test")

    def test_structures_in_another_folder(self, add, tmp_path):
        (tmp_path / "cells").mkdir()
        (add.files / "litis2.cif").rename(tmp_path / "cells" / "litis2.cif")
        add(f"{HEAD}\n{HOP}\n", structures=tmp_path / "cells")
        assert_the_hop(read(add)[0])

    def test_vacant_ends_are_filled_where_that_is_asked_for(self, add):
        vacant = LITIS2.copy()
        vacant.make_supercell([3, 3, 2])
        start, end = np.array([0, 0, 0.25]), np.array([1 / 3, 0, 0.25])
        (gone,) = [k for k, site in enumerate(vacant) if np.allclose(site.frac_coords, end, atol=1e-3)]
        vacant.remove_sites([gone])
        vacant.to(filename=str(add.files / "vacant.cif"))
        table = (
            "id,structure,start,end,barrier_ev\n"
            f"h1,vacant.cif,{' '.join(map(str, start))},{' '.join(map(str, end))},0.61\n"
        )
        (message,) = refused(add, table, ion="Li")
        assert "--fill-ends" in message
        _, _, findings = add(table, ion="Li", fill_ends=True)
        assert_the_hop(read(add)[0])
        assert FILLED in findings[0].message

    def test_an_end_is_not_filled_on_top_of_an_atom(self, add):
        table = "id,structure,start,end,barrier_ev\nh1,litis2.cif,0 0 0.5,0.33 0.66 0.28,0.61\n"
        (message,) = refused(add, table, ion="Li", fill_ends=True)
        assert "column end: no Li within 0.3" in message


class TestRefused:
    @pytest.mark.parametrize(
        ("row", "reason"),
        [
            ("h1,none.cif,0,0,1,0,0,0.61", "column structure: .*none.cif: no such file"),
            ("h1,,0,0,1,0,0,0.61", "column structure: empty"),
            ("h1,litis2.cif,9,0,1,0,0,0.61", "column i: site 9; the structure has sites 0 to 3"),
            ("h1,litis2.cif,0,-1,1,0,0,0.61", "column j: site -1"),
            ("h1,litis2.cif,0,1,0,0,0,0.61", "site 0 holds Li and site 1 holds Ti"),
            ("h1,litis2.cif,0,0,0,0,0,0.61", "a site to itself"),
            ("h1,litis2.cif,0,x,1,0,0,0.61", "column j: 'x'; give a whole number"),
            ("h1,litis2.cif,0,0,0.5,0,0,0.61", "column ox: '0.5'; give a whole number"),
            ("h1,litis2.cif,0,0,1,0,0,0", "column barrier_ev: 0; a barrier"),
            ("h1,litis2.cif,0,0,1,0,0,-0.2", "column barrier_ev: -0.2; a barrier"),
            ("h1,litis2.cif,0,0,1,0,0,nan", "column barrier_ev: nan; a barrier"),
            ("h1,litis2.cif,0,0,1,0,0,inf", "column barrier_ev: inf; a barrier"),
            ("h1,litis2.cif,0,0,1,0,0,", "column barrier_ev: ''; give a number"),
            ("h1,litis2.cif,0,0,1,0,0,high", "column barrier_ev: 'high'; give a number"),
            ("a b,litis2.cif,0,0,1,0,0,0.61", "column id: 'a b'"),
            ("../up,litis2.cif,0,0,1,0,0,0.61", "column id: '../up'"),
        ],
    )
    def test_rows_are_named_with_line_and_column(self, add, row, reason):
        import re

        (message,) = refused(add, f"{HEAD}\n{row}\nh2,POSCAR_licoo2,0,0,1,0,0,0.47\n")
        assert message.startswith("table.csv line 2, ")
        assert re.search(reason, message)

    def test_every_wrong_row_is_named_at_once(self, add):
        messages = refused(add, f"{HEAD}\n{HOP}\nh1,POSCAR_licoo2,0,0,1,0,0,0.4\nh3,none.cif,0,0,1,0,0,0.4\n")
        assert len(messages) == 2
        assert "line 3, column id: h1 stands in table.csv line 2 already" in messages[0]

    def test_partial_occupancy(self, add):
        part = LITIS2.copy()
        part.replace(0, {"Li": 0.5})
        part.to(filename=str(add.files / "part.cif"))
        (message,) = refused(add, f"{HEAD}\nh1,part.cif,0,0,1,0,0,0.61\n")
        assert "give an ordered structure" in message

    def test_a_structure_file_that_is_broken(self, add):
        (add.files / "broken.cif").write_text("data_x\n_cell_length_a 3\n")
        (add.files / "what.txt").write_text("?")
        messages = refused(add, f"{HEAD}\nh1,broken.cif,0,0,1,0,0,0.61\nh2,what.txt,0,0,1,0,0,0.61\n")
        assert "cannot be" in messages[0]
        assert "no known format" in messages[1]

    def test_wrong_units_of_barriers_and_lengths(self, add):
        (message,) = refused(add, f"{HEAD}\n{HOP}\n".replace("0.61", "610"))
        assert "meV would make it 0.61 eV" in message
        bohr = LITIS2.copy()
        bohr.scale_lattice(bohr.volume / 0.529177**3)
        bohr.to(filename=str(add.files / "bohr.cif"))
        (message,) = refused(add, f"{HEAD}\nh1,bohr.cif,0,0,1,0,0,0.61\n")
        assert "Bohr" in message

    def test_leaks_and_conflicts(self, add):
        head = f"{HEAD},split"
        (message,) = refused(add, f"{head}\n{HOP},train\nh2,litis2.cif,0,0,0,1,0,0.62,test\n")
        assert "several splits" in message
        (message,) = refused(add, f"{head}\n{HOP},train\nh2,litis2.cif,0,0,0,1,0,0.95,train\n")
        assert "h1 (0.61 eV) = h2 (0.95 eV)" in message

    @pytest.mark.parametrize(
        ("text", "reason"),
        [
            ("", "first line must name the columns"),
            (f"{HEAD}\n", "holds no rows"),
            ("id,structure,i,j\nh1,litis2.cif,0,0\n", "one column must hold the barriers"),
            ("id,structure,i,j,barrier,barrier_ev\n", "one column must hold the barriers"),
            ("structure,i,j,barrier_ev\n", "columns id are missing"),
            ("id,structure,barrier_ev\n", "where hops begin and end"),
            ("id,id,structure,i,j,barrier_ev\n", "id stand twice"),
            (f"{HEAD}\n{HOP},7\n", "line 2: 9 fields where the first line names 8"),
            (f'{HEAD}\nh1,"litis2.cif,0,0,1,0,0,0.61\n', "check its quotes"),
        ],
    )
    def test_tables_that_are_none(self, add, text, reason):
        with pytest.raises(DatasetError, match=reason):
            add(text)

    def test_files_that_are_no_text(self, add):
        with pytest.raises(DatasetError, match="UTF-8"):
            add(f"{HEAD}\n{HOP}\n", encoding="utf-16")
        with pytest.raises(DatasetError, match="UTF-8"):
            add(f"{HEAD},é\n{HOP},1\n", encoding="latin-1")
        (add.files / "table.xyz").write_text("3\nnothing\nLi 0 0 0\n")
        with pytest.raises(DatasetError, match="extended XYZ"):
            add(None, suffix="xyz")
        with pytest.raises(DatasetError, match="no such file"):
            add(None, suffix="dat")

    def test_names_methods_and_units(self, add):
        good = f"{HEAD}\n{HOP}\n"
        for name in ("devi2025", "nebdft2k", "Mine", "a/b", "", ".x"):
            with pytest.raises(DatasetError, match="name"):
                add(good, name=name)
        with pytest.raises(DatasetError, match="--method is empty"):
            add(good, method=" ")
        with pytest.raises(DatasetError, match="no such unit"):
            add(good, unit="kcal/mol")
        with pytest.raises(DatasetError, match="called barrier_ev"):
            add(good, unit="meV")


class TestKept:
    def test_a_name_that_is_taken_stays_unless_forced(self, add):
        add(f"{HEAD}\n{HOP}\n")
        with pytest.raises(DatasetError, match="--force"):
            add(f"{HEAD}\n{HOP}\n".replace("0.61", "0.7"))
        assert read(add)[0].barrier_ev == 0.61
        add(f"{HEAD}\n{HOP}\n".replace("0.61", "0.7"), force=True)
        assert read(add)[0].barrier_ev == 0.7
        assert [path.name for path in (add.data / "own").iterdir()] == ["mine"]

    def test_a_forced_table_with_errors_leaves_what_was_there(self, add):
        add(f"{HEAD}\n{HOP}\n")
        with pytest.raises(own.RefusedError):
            add(f"{HEAD}\n{HOP}\n".replace("0.61", "-1"), force=True)
        assert read(add)[0].barrier_ev == 0.61

    def test_a_disk_that_fills_leaves_nothing(self, add, monkeypatch):
        add(f"{HEAD}\n{HOP}\n")

        def full(*_given):
            raise OSError("no space left on device")

        monkeypatch.setattr(own, "digest_of", lambda path: full() if path.name == own.BARRIERS else "0")
        with pytest.raises(OSError, match="no space"):
            add(f"{HEAD}\n{HOP}\n".replace("0.61", "0.7"), force=True)
        monkeypatch.undo()
        assert read(add)[0].barrier_ev == 0.61
        assert [path.name for path in (add.data / "own").iterdir()] == ["mine"]

    def test_what_is_remembered(self, add):
        folder, about, _ = add(f"{HEAD},method\n{HOP},CHGNet-NEB\n", licence="CC0")
        assert json.loads((folder / "dataset.json").read_text())["methods"] == ["CHGNet-NEB"]
        assert (about["licence"], about["hops"], about["ions"]) == ("CC0", 1, ["Li"])
        assert registry.own_names(str(add.data)) == ["own-mine"]
        assert registry.find_folder("own-mine", str(add.data)) == folder
        assert {path.suffix for path in folder.rglob("*") if path.is_file()} == {".csv", ".json"}

    def test_a_change_by_hand_is_noted_and_a_broken_file_named(self, add):
        folder, _, _ = add(f"{HEAD}\n{HOP}\n")
        assert check_files("own-mine", folder) == []
        table = folder / "barriers.csv"
        table.write_text(table.read_text().replace("0.61", "0.65"))
        assert check_files("own-mine", folder)[0].severity == "note"
        assert read(add)[0].barrier_ev == 0.65
        (folder / "dataset.json").write_text("{")
        with pytest.raises(DatasetError, match="add the data set again"):
            read(add)
        (folder / "dataset.json").write_text('{"format": 99}')
        with pytest.raises(DatasetError, match="this version reads 1"):
            read(add)
