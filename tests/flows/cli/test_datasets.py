"""`lihop data list`, `fetch`, `verify` and `add`, as people call them."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace

import pytest

from flows.cli import datasets
from tasks.datasets import devi2025, registry
from tests.tasks.datasets.litraj_files import centroid, write_nebbvse122k
from tests.tasks.datasets.servers import serving
from tests.tasks.datasets.test_devi2025 import entry
from tests.tasks.hops.crystals import single_layers

HEAD = "id,structure,i,j,ox,oy,oz,barrier_ev"
ROW = "h1,litis2.cif,0,0,1,0,0,0.61"


@pytest.fixture
def table(tmp_path):
    """Write a table beside a crystal."""
    single_layers().to(filename=str(tmp_path / "litis2.cif"))

    def write(*rows, head=HEAD):
        path = tmp_path / "table.csv"
        path.write_text("\n".join([head, *rows]) + "\n")
        return path

    return write


@pytest.fixture
def toys(tmp_path, monkeypatch):
    """devi2025 with three toy entries and their checksums."""
    bodies = {
        "train": json.dumps([entry() | {"jid": 0, "target": 0.5}, entry() | {"jid": 1, "target": 0.9}]),
        "test": json.dumps([entry() | {"jid": 0, "target": 0.5}]),
    }
    monkeypatch.setattr(devi2025, "COUNTS", {"train": 2, "test": 1})
    sums = {devi2025.FILES[s]: hashlib.sha256(text.encode()).hexdigest() for s, text in bodies.items()}
    files = tuple(replace(file, sha256=sums.get(file.name, file.sha256)) for file in registry.DEVI2025.files)
    known = replace(registry.DEVI2025, files=files, hops=3, splits={"train": 2, "test": 1})
    monkeypatch.setitem(registry.PUBLISHED, "devi2025", known)
    folder = tmp_path / "data" / "devi2025"
    folder.mkdir(parents=True)
    for split, text in bodies.items():
        (folder / devi2025.FILES[split]).write_text(text)
    return folder


class TestList:
    def test_json_says_where_files_come_from(self, lihop):
        rows = {row["name"]: row for row in json.loads(lihop("data", "list", "--json").out)}
        assert set(rows) == {"devi2025", "nebDFT2k", "nebBVSE122k"}
        devi = rows["devi2025"]
        assert (devi["hops"], devi["splits"]) == (619, {"train": 559, "test": 60})
        assert devi["folder"] is None
        assert all(file["sha256"] for file in devi["files"])
        assert rows["nebDFT2k"]["splits"] == {"train": None, "val": None, "test": None}
        assert rows["nebBVSE122k"]["files"][-1]["url"].endswith("nebBVSE122k.zip")

    def test_the_table_says_what_is_here(self, lihop, toys, table):
        assert lihop("data", "add", "lab", "--barriers", table(ROW), "--method", "DFT-NEB").code == 0
        result = lihop("data", "list")
        assert result.code == 0
        assert "own-lab" in result.out
        assert "not here" in result.out
        assert "data/devi2025" in result.out

    def test_a_broken_set_of_one_s_own_does_not_hide_the_others(self, lihop, table):
        lihop("data", "add", "lab", "--barriers", table(ROW), "--method", "DFT-NEB")
        with open("data/own/lab/dataset.json", "w") as file:  # noqa: PTH123 - where the command stands
            file.write("{")
        result = lihop("data", "list")
        assert result.code == 0
        assert "cannot be read" in " ".join(result.out.split())


class TestVerify:
    def test_the_toys_hold_what_they_were_given(self, lihop, toys):
        result = lihop("data", "verify", "devi2025", "--json")
        assert result.code == 0
        found = json.loads(result.out)
        assert (found["n"], found["splits"], found["ok"]) == (3, {"train": 2, "test": 1}, True)
        checks = {(row["severity"], row["check"]): row for row in found["findings"]}
        assert checks["warning", "leaks between splits"]["count"] == 3
        assert checks["warning", "conflicting labels"]["ids"] == ["train-0", "train-1", "test-0"]
        assert checks["note", "shared hosts"]["count"] == 1

    def test_a_changed_file_is_an_error(self, lihop, toys):
        path = toys / devi2025.FILES["test"]
        path.write_text(path.read_text().replace('"target": 0.5', '"target": 0.4'))
        result = lihop("data", "verify", "devi2025")
        assert result.code == 1
        assert "checksums" in result.out
        assert "--force" in result.out
        assert "1 error, " in result.out

    def test_a_file_that_is_cut_off(self, lihop, toys):
        path = toys / devi2025.FILES["train"]
        path.write_text(path.read_text()[:-40])
        result = lihop("data", "verify", "devi2025")
        assert result.code == 1
        assert "is no JSON" in " ".join(result.out.split())

    def test_an_entry_that_is_no_hop(self, lihop, toys):
        path = toys / devi2025.FILES["train"]
        entries = json.loads(path.read_text())
        del entries[1]["atoms"]["lattice_mat"]
        path.write_text(json.dumps(entries))
        found = json.loads(lihop("data", "verify", "devi2025", "--json").out)
        broken = [row for row in found["findings"] if row["check"] == "entries"]
        assert [row["ids"] for row in broken] == [["train-1"]]
        assert not found["ok"]

    def test_one_s_own(self, lihop, table):
        lihop("data", "add", "lab", "--barriers", table(ROW), "--method", "DFT-NEB")
        assert lihop("data", "verify", "own-lab").code == 0
        path = "data/own/lab/barriers.csv"
        with open(path) as file:  # noqa: PTH123 - where the command stands
            text = file.read()
        with open(path, "w") as file:  # noqa: PTH123
            file.write(text.replace("0.61", "610"))
        result = lihop("data", "verify", "own-lab")
        assert result.code == 1
        assert "units of barriers" in result.out

    def test_a_part_of_litraj(self, lihop, tmp_path):
        crystal = single_layers()
        frames = {
            split: [centroid(crystal, 0, 0, image, (3, 3, 2), 0.5, "mp-1")]
            for split, image in {"train": (1, 0, 0), "val": (0, 0, 1), "test": (1, -1, 0)}.items()
        }
        write_nebbvse122k(tmp_path / "data" / "nebBVSE122k", frames)
        found = json.loads(lihop("data", "verify", "nebBVSE122k", "--json").out)
        errors = [row["check"] for row in found["findings"] if row["severity"] == "error"]
        assert errors == ["counts"]
        assert found["n"] == 3

    @pytest.mark.parametrize("name", ["devi2025", "own-lab", "devi2024"])
    def test_what_is_not_here(self, lihop, name):
        result = lihop("data", "verify", name)
        assert result.code == 2
        assert result.is_one_message


class TestFetch:
    def test_from_a_server_and_again(self, lihop, toys, monkeypatch, tmp_path):
        monkeypatch.setenv("NO_PROXY", "127.0.0.1")
        published = {
            "RAW-Em-5-images-TRAIN.json": (toys / devi2025.FILES["train"]).read_bytes(),
            "RAW-Em-5-images-TEST.json": (toys / devi2025.FILES["test"]).read_bytes(),
        }
        with serving(published) as shelf:
            flags = ("--from", shelf.address, "--data-dir", tmp_path / "new")
            first = lihop("data", "fetch", "devi2025", *flags)
            rows = json.loads(lihop("data", "fetch", "devi2025", *flags, "--json").out)
            assert len(shelf.asked) == 2
        assert first.code == 0, first.err
        assert "fetched" in first.out
        assert [row["state"] for row in rows] == ["kept", "kept", "no download", "no download"]
        assert lihop("data", "verify", "devi2025", "--data-dir", tmp_path / "new").code == 0

    def test_the_data_folder_of_the_settings_is_written_to(self, lihop, toys, monkeypatch, tmp_path):
        monkeypatch.setenv("LIHOP_DATA_DIR", str(tmp_path / "other"))
        assert lihop("data", "fetch", "devi2025", "--from", toys).code == 0
        assert (tmp_path / "other" / "devi2025" / devi2025.FILES["test"]).is_file()

    def test_errors_say_what_to_do(self, lihop, toys, tmp_path):
        with serving({}) as shelf:
            result = lihop(
                "data", "fetch", "devi2025", "--from", shelf.address, "--data-dir", tmp_path / "new"
            )
        assert result.code == 2
        assert result.is_one_message
        assert "--from" in result.err
        (toys / devi2025.FILES["test"]).write_text("mine")
        edited = lihop("data", "fetch", "devi2025", "--from", tmp_path)
        assert edited.code == 2
        assert (toys / devi2025.FILES["test"]).read_text() == "mine"


class TestAdd:
    def test_json_and_what_to_do_next(self, lihop, table):
        found = json.loads(
            lihop("data", "add", "lab", "--barriers", table(ROW), "--method", "DFT-NEB", "--json").out
        )
        assert (found["name"], found["hops"], found["findings"]) == ("own-lab", 1, [])
        result = lihop("data", "add", "lab", "--barriers", table(ROW), "--method", "DFT-NEB", "--force")
        assert "lihop train --dataset devi2025 --dataset own-lab" in result.out

    def test_errors_are_told_together_and_nothing_is_written(self, lihop, table, tmp_path):
        wrong = table(ROW, "h2,none.cif,0,0,1,0,0,0.5", "h3,litis2.cif,0,0,1,0,0,-1")
        result = lihop("data", "add", "lab", "--barriers", wrong, "--method", "DFT-NEB")
        assert result.code == 2
        assert result.is_one_message
        assert "2 errors" in result.err
        assert "line 3, column structure" in result.err
        assert "line 4, column barrier_ev" in result.err
        assert not (tmp_path / "data").exists()

    def test_a_long_list_of_errors_is_cut(self, lihop, table):
        rows = [f"h{k},none.cif,0,0,1,0,0,0.5" for k in range(30)]
        result = lihop("data", "add", "lab", "--barriers", table(*rows), "--method", "DFT-NEB")
        assert result.err.count("column structure") == 20
        assert "and 10 more" in result.err

    def test_the_help_describes_the_table(self, lihop):
        text = " ".join(lihop("data", "add", "--help").out.split())
        for column in ("barrier_mev", "barrier_kj_mol", "host_ion_fraction", "start and end"):
            assert column in text
        assert "start" in datasets.EPILOG_ADD


@pytest.mark.data
def test_the_published_files_and_what_their_authors_left_in(lihop, devi2025_dir):
    """What the check finds in devi2025 today: no error, and three of its sixty test hops are known ones."""
    result = lihop("data", "verify", "devi2025", "--data-dir", devi2025_dir, "--json")
    found = json.loads(result.out)
    assert result.code == 0
    assert found["n"] == 619
    checks = {(row["severity"], row["check"]): row for row in found["findings"]}
    leaked = checks["warning", "leaks between splits"]["ids"]
    assert [name for name in leaked if name.startswith("test")] == ["test-16", "test-35", "test-43"]
    assert checks["note", "shared hosts"]["count"] == 40
    assert checks["note", "reading"]["count"] == 2
    assert not any(severity == "error" for severity, _ in checks)
