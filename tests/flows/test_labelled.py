"""Labelled hops as arrays: the splits of a data set, their order, and that nothing is described twice."""

from __future__ import annotations

import json

import numpy as np
import pytest

from flows import labelled
from flows.known_tests import known_tests
from flows.progress import SilentReporter, reporting
from tasks.datasets import devi2025, own
from tasks.datasets.errors import DatasetError, NoSuchSplitError
from tests.tasks.datasets.test_devi2025 import entry

COUNTS = {"train": 3, "test": 2}


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A folder in devi2025's layout with a handful of toy entries, in no order."""
    monkeypatch.setattr(devi2025, "COUNTS", COUNTS)
    for split, jids in {"train": (12, 2, 7), "test": (2, 0)}.items():
        entries = [entry() | {"jid": jid, "target": 0.1 * (jid + 1)} for jid in jids]
        (tmp_path / devi2025.FILES[split]).write_text(json.dumps(entries))
    return tmp_path


@pytest.fixture
def described(monkeypatch):
    """Describe in this process; what was described."""
    seen = []

    class Here:
        def __init__(self, _pool):
            pass

        def over_pool(self, _stage, call, payloads):
            for payload in reversed(payloads):
                seen.extend(record.hop_id for record in payload[1])
                yield payload, call(payload)

    monkeypatch.setattr(labelled, "PlainSteps", Here)
    monkeypatch.setattr(labelled, "BATCH", 2)
    return seen


def test_all_is_train_and_then_test_each_by_id(folder, described):
    parts = [labelled.load_labelled("devi2025", split, data_dir=str(folder)) for split in ("train", "test")]
    both = labelled.load_labelled("devi2025", "all", data_dir=str(folder))
    assert both.ids == (
        "devi2025:train-12",
        "devi2025:train-2",
        "devi2025:train-7",
        "devi2025:test-0",
        "devi2025:test-2",
    )
    assert both.ids == parts[0].ids + parts[1].ids
    assert both.barrier_ev == pytest.approx([1.3, 0.3, 0.8, 0.1, 0.3])
    for name, values in both.inputs.items():
        assert np.array_equal(values, np.concatenate([p.inputs[name] for p in parts]), equal_nan=True)


def test_what_was_described_is_not_described_again(folder, described):
    labelled.load_labelled("devi2025", "test", data_dir=str(folder))
    assert sorted(described) == ["test-0", "test-2"]
    labelled.load_labelled("devi2025", "all", data_dir=str(folder))
    labelled.load_labelled("devi2025", "train", data_dir=str(folder))
    assert sorted(described) == ["test-0", "test-2", "train-12", "train-2", "train-7"]


def test_a_file_that_changed_is_described_anew(folder, described):
    labelled.load_labelled("devi2025", "test", data_dir=str(folder))
    changed = [entry() | {"jid": jid, "target": 9.5} for jid in (0, 2)]
    (folder / devi2025.FILES["test"]).write_text(json.dumps(changed))
    again = labelled.load_labelled("devi2025", "test", data_dir=str(folder))
    assert again.barrier_ev == pytest.approx([9.5, 9.5])


def test_splits_and_sets_that_there_are_not(folder):
    with pytest.raises(DatasetError, match="train, val, test and all"):
        labelled.load_labelled("devi2025", "validation", data_dir=str(folder))
    with pytest.raises(DatasetError, match="no hops; devi2025 has train, test"):
        labelled.load_labelled("devi2025", "val", data_dir=str(folder))
    with pytest.raises(DatasetError, match="each data set once"):
        labelled.load_labelled("devi2025,", "train", data_dir=str(folder))
    with pytest.raises(DatasetError, match="no such data set"):
        labelled.load_labelled("devi2024", "train", data_dir=str(folder))


OTHER = devi2025.structure_of(entry(elements=["Na"] * 6 + ["Ca", "O", "O"]))
ITS_HOP = "h1,crystal.json,0.9 0.5 0.5,1.4 0.5 0.5,0.61,train"


class TestMany:
    @pytest.fixture
    def data(self, tmp_path, monkeypatch):
        """A data folder with devi2025's toys."""
        monkeypatch.setattr(devi2025, "COUNTS", COUNTS)
        (tmp_path / "devi2025").mkdir()
        for split, jids in {"train": (12, 2, 7), "test": (2, 0)}.items():
            entries = [entry() | {"jid": jid, "target": 0.1 * (jid + 1)} for jid in jids]
            (tmp_path / "devi2025" / devi2025.FILES[split]).write_text(json.dumps(entries))
        return tmp_path

    def add(self, data, structure, row, name="lab"):
        files = data / "files"
        files.mkdir(exist_ok=True)
        structure.to(filename=str(files / "crystal.json"))
        (files / "table.csv").write_text(f"id,structure,start,end,barrier_ev,split\n{row}\n")
        own.add(name, files / "table.csv", data, method="DFT-NEB, PBE", licence="CC0")

    def test_rows_stand_one_set_after_another_with_their_methods(self, data, described):
        self.add(data, OTHER, ITS_HOP)
        both, text = labelled.load_labelled_many(["devi2025", "own-lab"], "train", data_dir=str(data))
        assert both.ids == ("devi2025:train-12", "devi2025:train-2", "devi2025:train-7", "own-lab:h1")
        assert both.methods == (devi2025.METHOD,) * 3 + ("DFT-NEB, PBE",)
        assert both.hosts[-1] == "CaO2"
        assert both.take([3]).methods == ("DFT-NEB, PBE",)
        assert "devi2025: 3 train hops" in text
        assert "its test hops were not used" in text
        assert "own-lab: 1 train hops (one's own; licence: CC0; barriers: DFT-NEB, PBE)." in text
        by_commas = labelled.load_labelled("devi2025, own-lab", "train", data_dir=str(data))
        assert by_commas.ids == both.ids

    def test_a_set_without_the_split_is_left_out(self, data, described):
        self.add(data, OTHER, ITS_HOP)
        names = ["devi2025", "own-lab"]
        tests, text = labelled.load_labelled_many(names, "test", data_dir=str(data))
        assert tests.ids == ("devi2025:test-0", "devi2025:test-2")
        assert "own-lab" not in text
        whole, _ = labelled.load_labelled_many(names, "all", data_dir=str(data))
        assert len(whole) == 6
        with pytest.raises(NoSuchSplitError, match="no hops; own-lab has train"):
            labelled.load_labelled("own-lab", "test", data_dir=str(data))

    def test_the_same_hop_in_two_sets_is_named_and_refused(self, data, described):
        """Also where the other set holds it as a test: here it is the toy of devi2025 itself."""
        toy = devi2025.structure_of(entry())
        self.add(data, toy, ITS_HOP)
        with pytest.raises(DatasetError, match=r"devi2025:test-0 \(0.1 eV\) = own-lab:h1 \(0.61 eV\)"):
            labelled.load_labelled_many(["devi2025", "own-lab"], "train", data_dir=str(data))
        assert described == []

    def test_alone_a_set_with_known_test_hops_is_warned_of(self, data, described):
        toy = devi2025.structure_of(entry())
        self.add(data, toy, ITS_HOP)
        told = []

        class Listener(SilentReporter):
            def message(self, text):
                told.append(text)

        with reporting(Listener()):
            _, text = labelled.load_labelled_many(["own-lab"], "train", data_dir=str(data))
        assert len(told) == 1
        assert "own-lab:h1 (0.61 eV) = devi2025:test-0" in told[0]
        assert "1 of the hops of own-lab are test hops of devi2025 under other ids: own-lab:h1" in text
        pairs = known_tests(["own-lab"], "train", str(data))
        assert {(name, record.hop_id) for _, (name, record) in pairs} == {
            ("devi2025", "test-0"),
            ("devi2025", "test-2"),
        }
        assert known_tests(["own-lab"], "test", str(data)) == []

    def test_two_sets_of_one_s_own_are_warned_of_as_well(self, data, described):
        self.add(data, devi2025.structure_of(entry()), ITS_HOP)
        self.add(data, OTHER, ITS_HOP, name="two")
        _, text = labelled.load_labelled_many(["own-lab", "own-two"], "train", data_dir=str(data))
        assert "1 of the hops of own-lab are test hops of devi2025" in text

    def test_a_set_without_known_test_hops_is_not_warned_of(self, data, described):
        self.add(data, OTHER, ITS_HOP)
        assert "test hops" not in labelled.load_labelled_many(["own-lab"], "train", data_dir=str(data))[1]
