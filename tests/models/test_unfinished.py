"""The folder of an unfinished training: what it keeps, what it refuses, when it goes."""

from __future__ import annotations

import json

import pytest

from models.errors import UnfinishedError
from models.fit_store import rows_digest
from models.unfinished import unfinished

ASKED = {"settings": {"epochs": 3, "groups": ("local",)}, "dataset": ["own"]}


class Describing:
    """Hands rows out, and counts how often."""

    def __init__(self, rows):
        self.rows = rows
        self.calls = 0

    def __call__(self):
        self.calls += 1
        return self.rows, "rows in words"


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "one.unfinished"


@pytest.fixture
def describing(rows):
    return Describing(rows)


def begin(folder, describing, asked=None, **named):
    """Take the folder up and leave it, as a training does that is cut off."""
    with unfinished(folder, ASKED if asked is None else asked, **named) as found:
        resumed = found.resume()
        rows, words = found.rows(describing)
    assert words == "rows in words"
    return resumed, rows


def test_rows_are_described_once(folder, describing, rows):
    assert begin(folder, describing) == (False, rows)
    resumed, again = begin(folder, describing)
    assert resumed
    assert describing.calls == 1
    assert rows_digest(again) == rows_digest(rows)


def test_it_goes_when_finished(folder, describing):
    begin(folder, describing)
    with unfinished(folder, ASKED) as found:
        found.finish()
    assert not folder.exists()


def test_nothing_stays_of_a_training_that_never_began(folder):
    with pytest.raises(OSError, match="no data"):
        begin(folder, lambda: (_ for _ in ()).throw(OSError("no data")))
    assert not folder.exists()


@pytest.mark.parametrize(
    ("other", "said"),
    [
        ({"dataset": ["own", "more"]}, r"dataset was \['own'\] and is now \['own', 'more'\]"),
        (
            {"settings": {"epochs": 4, "groups": ["local"]}},
            r"otherwise: settings\.epochs was 3 and is now 4;",
        ),
        ({"settings": {"epochs": 3}}, r"settings\.groups was \['local'\] and is now None"),
        ({"torch": "3"}, "torch was None and is now '3'"),
    ],
)
def test_another_request_is_refused_by_name(folder, describing, other, said):
    begin(folder, describing)
    with pytest.raises(UnfinishedError, match=said) as caught:
        begin(folder, describing, {**ASKED, **other})
    assert "--fresh" in str(caught.value)
    assert begin(folder, describing)[0]


def test_fresh_forgets(folder, describing):
    begin(folder, describing)
    with unfinished(folder, ASKED) as found:
        found.store.write("k", {}, {})
    assert begin(folder, describing, {"settings": {}}, fresh=True)[0] is False
    assert describing.calls == 2
    with unfinished(folder, {"settings": {}}) as found:
        assert len(found.store) == 0


@pytest.mark.parametrize("damage", [b"", b"PK\x03\x04 half", None])
def test_damaged_rows_are_described_again(folder, describing, damage):
    begin(folder, describing)
    if damage is None:
        (folder / "hops.npz").unlink()
    else:
        (folder / "hops.npz").write_bytes(damage)
    assert begin(folder, describing)[0]
    assert describing.calls == 2
    assert begin(folder, describing)[0]
    assert describing.calls == 2


def test_rows_that_come_out_otherwise_are_refused(folder, describing, make):
    begin(folder, describing)
    (folder / "hops.npz").unlink()
    with pytest.raises(UnfinishedError, match="lost or damaged, and described again they are not the same"):
        begin(folder, Describing(make(seed=3)))


def test_rows_are_no_pickle(folder, describing):
    import numpy as np

    begin(folder, describing)
    with np.load(folder / "hops.npz", allow_pickle=False) as kept:
        assert all(kept[name].dtype != object for name in kept.files)


@pytest.mark.parametrize("content", ["", "{}", '{"format": 9, "asked": {}, "rows": null}'])
def test_a_manifest_that_cannot_be_read(folder, describing, content):
    begin(folder, describing)
    (folder / "training.json").write_text(content)
    with pytest.raises(UnfinishedError, match="--fresh"):
        begin(folder, describing)
    assert begin(folder, describing, fresh=True)[0] is False


def test_a_folder_of_something_else_is_left_alone(folder, describing):
    folder.mkdir()
    (folder / "thesis.tex").touch()
    with pytest.raises(UnfinishedError, match=r"thesis\.tex"):
        begin(folder, describing, fresh=True)
    assert [entry.name for entry in folder.iterdir()] == ["thesis.tex"]


def test_one_process_at_a_time(folder, describing):
    begin(folder, describing)
    with unfinished(folder, ASKED):
        with pytest.raises(UnfinishedError, match="another process trains"):
            begin(folder, describing)
        assert (folder / "training.json").is_file()


def test_the_manifest_is_for_people_too(folder, describing, rows):
    begin(folder, describing)
    found = json.loads((folder / "training.json").read_text())
    assert found["asked"]["settings"]["epochs"] == 3
    assert found["rows"] == rows_digest(rows)
