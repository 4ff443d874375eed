"""Finished fits are found again by what they follow from, whole or not at all."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch

from models import training
from models.fit_store import FitStore, fit_key, rows_digest, write_atomically
from models.recipe import train_checkpoint
from models.training import Keeping

STATE = {"a.weight": torch.arange(6.0).reshape(2, 3), "a.count": torch.tensor(3)}


@pytest.fixture
def store(tmp_path):
    return FitStore(tmp_path / "fits")


def test_there_and_back(store):
    assert store.read("k") is None
    assert len(store) == 0
    store.write("k", STATE, {"label": "member-0"})
    found = store.read("k")
    assert found.keys() == STATE.keys()
    assert all(torch.equal(found[name], STATE[name]) for name in STATE)
    assert len(store) == 1
    assert [file.name for file in store.folder.iterdir()] == ["k.safetensors"]


@pytest.mark.parametrize("where", ["header", "weights", "end", "all"])
def test_damage_counts_as_not_there(store, where):
    store.write("k", STATE, {})
    file = store.folder / "k.safetensors"
    content = bytearray(file.read_bytes())
    if where == "end":
        file.write_bytes(content[:-4])
    elif where == "all":
        file.write_bytes(b"")
    else:
        content[{"header": 20, "weights": -3}[where]] ^= 0x11
        file.write_bytes(content)
    assert store.read("k") is None


def test_weights_without_a_checksum_are_not_taken(store):
    from safetensors.torch import save_file

    store.folder.mkdir()
    save_file(STATE, store.folder / "k.safetensors")
    assert store.read("k") is None


def test_a_failed_write_leaves_what_was_there(tmp_path, monkeypatch):
    file = tmp_path / "file"
    write_atomically(file, b"old")
    monkeypatch.setattr("os.fsync", lambda _: (_ for _ in ()).throw(OSError("disk full")))
    with pytest.raises(OSError, match="disk full"):
        write_atomically(file, b"new")
    assert file.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [file]


def changed(rows):
    """Rows that differ in one thing each."""
    values = {name: array.copy() for name, array in rows.inputs.items()}
    values["local"][3, 1] += 1e-3
    yield dataclasses.replace(rows, inputs=values)
    yield dataclasses.replace(rows, barrier_ev=rows.barrier_ev * 1.001)
    yield dataclasses.replace(rows, ids=("other", *rows.ids[1:]))
    yield dataclasses.replace(rows, hosts=("other", *rows.hosts[1:]))
    yield rows.take(np.arange(len(rows))[::-1])
    yield rows.only(("local", "profile", "topology"))


def test_the_digest_of_rows_tells_all_of_them_apart(make):
    rows = make(20)
    digests = [rows_digest(rows), *(rows_digest(other) for other in changed(rows))]
    assert len(set(digests)) == len(digests)
    assert rows_digest(make(20)) == digests[0]


def test_a_key_depends_on_everything(tiny):
    other = tiny.model_copy(update={"dropout": 0.3})
    keys = {fit_key("d", tiny, 0, "cpu"), fit_key("e", tiny, 0, "cpu"), fit_key("d", other, 0, "cpu")}
    keys |= {fit_key("d", tiny, 1, "cpu"), fit_key("d", tiny, 0, "cuda")}
    assert len(keys) == 5


class TestTraining:
    """A recipe with a store gives what it gives without, and fits nothing twice."""

    @pytest.fixture
    def fits(self, monkeypatch):
        """Labels of the networks that were fitted."""
        labels = []
        original = training.train_network

        def counted(*arguments, **named):
            labels.append(named["label"])
            return original(*arguments, **named)

        monkeypatch.setattr(training, "train_network", counted)
        return labels

    def test_nothing_twice_and_the_same_digest(self, rows, tiny, store, fits):
        def digest(keep):
            return train_checkpoint(rows, tiny, name="t", trained_on="x", keep=keep).digest

        plain = digest(None)
        fits.clear()
        names = ["calibration-fold-0-0", "calibration-fold-0-1", "calibration-fold-1-0"]
        names += ["calibration-fold-1-1", "member-0", "member-1"]
        assert digest(Keeping(store=store)) == plain
        assert fits == names
        fits.clear()
        assert digest(Keeping(store=store)) == plain
        assert fits == []
        next(iter(store.folder.iterdir())).unlink()
        assert digest(Keeping(store=store)) == plain
        assert len(fits) == 1

    def test_taking_a_fit_moves_no_random_state(self, rows, tiny, store):
        training.train_ensemble(rows, tiny, [0], keep=Keeping(store=store))
        before = torch.get_rng_state()
        training.train_ensemble(rows, tiny, [0], keep=Keeping(store=store))
        assert torch.equal(torch.get_rng_state(), before)
