"""Peers' figures reach the hop that they are of, and no other."""

from __future__ import annotations

import json

import numpy as np
import pytest

from tasks.datasets import devi2025
from tasks.datasets.devi2025_peers import MODEL3, NEB_RELAXED, NEB_UNRELAXED, read_peers
from tasks.datasets.errors import DatasetError

TRAIN = [("A_1", 0.5), ("A_2 ", 0.7), ("twice", 0.2), ("twice", 0.3), ("other", 1.0), ("lost", 0.9)]
TEST = [("B", 0.4), ("C", 0.6)]
NEB = [
    " A_1,0.5,0.55,0.65", "A_2,0.7,0.75,", "twice,0.2,0.25,0.25", "other,1.3,1.1,1.1", "nobody,0.1,0.1,0.1",
    "B,0.404,0.41,0.42", "C,0.6,,",
]  # fmt: skip
PEER = ["C,0.6,0.61", "A_1,0.5,0.51"]


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setattr(devi2025, "COUNTS", {"train": len(TRAIN), "test": len(TEST)})
    for split, rows in {"train": TRAIN, "test": TEST}.items():
        entries = [{"jid": k, "sys_name": name, "target": ev} for k, (name, ev) in enumerate(rows)]
        (tmp_path / devi2025.FILES[split]).write_text(json.dumps(entries))
    head = "sys_name,barrier_ev,mace_mp0_neb_relaxed_ev,mace_mp0_neb_unrelaxed_ev"
    (tmp_path / "tabulation.csv").write_text("\n".join([head, *NEB]) + "\n")
    (tmp_path / "peer_test_predictions.csv").write_text(
        "\n".join(["sys_name,target_ev,model3_ev", *PEER]) + "\n"
    )
    return tmp_path


def test_figures_go_to_the_hop_of_the_name_and_barrier(folder):
    found = {peer.name: dict(peer.barrier_ev) for peer in read_peers(folder)}
    assert found == {
        # The training row is none of the peer's test.
        MODEL3: {"devi2025:test-1": 0.61},
        NEB_RELAXED: {"devi2025:train-0": 0.55, "devi2025:train-1": 0.75, "devi2025:test-0": 0.41},
        NEB_UNRELAXED: {"devi2025:train-0": 0.65, "devi2025:test-0": 0.42},
    }


def test_what_was_left_out_is_said(folder):
    notes = {peer.name: peer.note for peer in read_peers(folder)}
    assert notes[NEB_RELAXED] == (
        "mace_mp0_neb_relaxed: 3 of 8 hops have a figure; of 7 rows of tabulation.csv 1 are empty, 2 have a "
        "name that no hop or several have, 1 another DFT barrier"
    )
    assert "2 are empty" in notes[NEB_UNRELAXED]


def test_a_missing_file_leaves_its_peers_out(folder):
    (folder / "tabulation.csv").unlink()
    model3, relaxed, unrelaxed = read_peers(folder)
    assert model3.barrier_ev
    assert not relaxed.barrier_ev
    assert not unrelaxed.barrier_ev
    assert "tabulation.csv is not there" in relaxed.note


def test_damage_is_named(folder):
    (folder / "peer_test_predictions.csv").write_text("sys_name,target_ev,model3_ev\nC,0.6,much\n")
    with pytest.raises(DatasetError, match="C has 'much' as model3_ev"):
        read_peers(folder)
    (folder / "peer_test_predictions.csv").write_text("sys_name,target_ev\nC,0.6\n")
    with pytest.raises(DatasetError, match="no column model3_ev"):
        read_peers(folder)


@pytest.mark.data
def test_the_published_files_are_matched_in_full(devi2025_dir):
    found = {peer.name: peer.barrier_ev for peer in read_peers(devi2025_dir)}
    assert {name: len(barriers) for name, barriers in found.items()} == {
        MODEL3: 60, NEB_RELAXED: 616, NEB_UNRELAXED: 612
    }  # fmt: skip
    # The two errors that their authors and the project quote.
    truth = {
        f"devi2025:{split}-{entry['jid']}": entry["target"]
        for split in devi2025.FILES
        for entry in devi2025.read_entries(devi2025_dir, split)
    }
    error = {
        name: np.mean([abs(barriers[key] - truth[key]) for key in barriers])
        for name, barriers in found.items()
    }
    assert error[MODEL3] == pytest.approx(0.261, abs=5e-4)
    assert error[NEB_RELAXED] == pytest.approx(0.363, abs=1e-3)
