"""Fetching whole data sets: single files, a zip file, and what is refused."""

from __future__ import annotations

import hashlib
import io
import zipfile
from dataclasses import replace
from pathlib import Path

import pytest

from tasks.datasets import fetching, registry
from tasks.datasets.errors import DatasetError, DownloadError
from tests.tasks.datasets.servers import serving

CONTENT = {"RAW-Em-5-images-TRAIN.json": b"[1]", "RAW-Em-5-images-TEST.json": b"[2]"}


@pytest.fixture
def known(monkeypatch):
    """devi2025 with checksums of two small files, and nebBVSE122k without any."""
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    sums = {name: hashlib.sha256(body).hexdigest() for name, body in CONTENT.items()}
    devi = registry.DEVI2025
    files = tuple(
        replace(file, sha256=sums[file.url.rpartition("/")[2]], size=3) if file.url else file
        for file in devi.files
    )
    monkeypatch.setitem(registry.PUBLISHED, "devi2025", replace(devi, files=files))


def packed(*names, **others):
    """A zip file with files of nebBVSE122k."""
    raw = io.BytesIO()
    with zipfile.ZipFile(raw, "w") as archive:
        for name in names:
            archive.writestr(f"nebBVSE122k/{name}", name)
        for name, text in others.items():
            archive.writestr(name.replace("__", "../"), text)
    return raw.getvalue()


WHOLE = packed(*(file.name for file in registry.NEBBVSE122K.files))


def test_the_addresses_are_https_and_the_checksums_whole():
    for known_set in registry.PUBLISHED.values():
        for file in (*known_set.files, *([known_set.archive] if known_set.archive else [])):
            assert not file.url or file.url.startswith("https://")
            assert len(file.sha256) in {0, 64}
        total = sum(known_set.splits.values())
        assert total in {0, known_set.hops}


def test_files_from_an_address(known, tmp_path):
    with serving(CONTENT) as shelf:
        found = fetching.fetch("devi2025", str(tmp_path), source=shelf.address)
        again = fetching.fetch("devi2025", str(tmp_path), source=shelf.address)
    states = {file.name: (file.state, file.checked) for file in found}
    assert states["train_5images.json"] == ("fetched", True)
    assert states["tabulation.csv"] == ("no download", False)
    assert [file.state for file in again[:2]] == ["kept", "kept"]
    assert (tmp_path / "devi2025" / "test_5images.json").read_bytes() == b"[2]"


def test_files_from_a_folder_by_either_name(known, tmp_path):
    given = tmp_path / "given"
    given.mkdir()
    (given / "RAW-Em-5-images-TRAIN.json").write_bytes(b"[1]")
    (given / "test_5images.json").write_bytes(b"[2]")
    found = fetching.fetch("devi2025", str(tmp_path / "data"), source=str(given))
    assert all(file.checked for file in found[:2])
    (given / "test_5images.json").unlink()
    with pytest.raises(DownloadError, match=r"no test_5images.json or RAW-Em-5-images-TEST.json"):
        fetching.fetch("devi2025", str(tmp_path / "other"), source=str(given))


def test_the_data_folder_may_be_the_data_set_s_own(known, tmp_path):
    with serving(CONTENT) as shelf:
        fetching.fetch("devi2025", str(tmp_path / "devi2025"), source=shelf.address)
    assert (tmp_path / "devi2025" / "train_5images.json").is_file()


def test_a_zip_file_is_unpacked_in_one_step(known, tmp_path):
    with serving({"nebBVSE122k.zip": WHOLE}) as shelf:
        found = fetching.fetch("nebBVSE122k", str(tmp_path), source=shelf.address)
    assert found[0].sha256 == hashlib.sha256(WHOLE).hexdigest()
    assert not found[0].checked
    assert [path.name for path in tmp_path.iterdir()] == ["nebBVSE122k"]
    assert (tmp_path / "nebBVSE122k" / "nebBVSE122k_val.xyz").is_file()
    again = fetching.fetch("nebBVSE122k", str(tmp_path), source="https://nowhere.invalid/")
    assert {file.state for file in again} == {"kept"}


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (WHOLE[: len(WHOLE) // 2], "no whole zip file"),
        (packed("nebBVSE122k_train.xyz"), r"holds no .*nebBVSE122k_val.xyz"),
        (packed(*(file.name for file in registry.NEBBVSE122K.files), __evil="x"), "outside"),
    ],
)
def test_a_zip_file_that_is_broken_or_another(known, tmp_path, body, reason):
    with serving({"nebBVSE122k.zip": body}) as shelf, pytest.raises(DownloadError, match=reason):
        fetching.fetch("nebBVSE122k", str(tmp_path / "data"), source=shelf.address)
    assert list((tmp_path / "data").iterdir()) == []
    assert not (tmp_path / "evil").exists()


def test_a_zip_file_of_the_user_stays_and_so_does_a_folder(known, tmp_path):
    mine = tmp_path / "nebBVSE122k.zip"
    mine.write_bytes(WHOLE)
    (tmp_path / "nebBVSE122k").mkdir()
    (tmp_path / "nebBVSE122k" / "notes.txt").write_text("mine")
    with pytest.raises(DownloadError, match="--force"):
        fetching.fetch("nebBVSE122k", str(tmp_path), source=str(mine))
    assert (tmp_path / "nebBVSE122k" / "notes.txt").read_text() == "mine"
    fetching.fetch("nebBVSE122k", str(tmp_path / "other"), source=str(mine))
    assert mine.read_bytes() == WHOLE


@pytest.fixture
def edited(tmp_path):
    """A folder with an edited file of the archive, and files that are not of it; how to fetch over it."""
    folder = tmp_path / "data" / "nebBVSE122k"
    (folder / "mine").mkdir(parents=True)
    for name in ("notes.txt", "mine/more.txt", "nebBVSE122k_train.xyz"):
        (folder / name).write_text("mine")
    given = tmp_path / "nebBVSE122k.zip"
    given.write_bytes(WHOLE)

    def fetch():
        return fetching.fetch("nebBVSE122k", str(tmp_path / "data"), source=str(given), force=True)

    return folder, fetch


def test_force_replaces_the_archive_s_files_and_no_others(edited):
    folder, fetch = edited
    fetch()
    for file in registry.NEBBVSE122K.files:
        assert (folder / file.name).read_text() == file.name
    assert (folder / "notes.txt").read_text() == "mine"
    assert (folder / "mine" / "more.txt").read_text() == "mine"
    assert [path.name for path in folder.parent.iterdir()] == ["nebBVSE122k"]


@pytest.mark.parametrize("done", [0, 1])
def test_cut_off_at_any_time_force_loses_nothing(edited, monkeypatch, done):
    folder, fetch = edited
    before = {path.relative_to(folder) for path in folder.rglob("*")}
    moved = []

    def cut_off(move):
        def moving(source, target):
            if folder not in (target, *target.parents):
                return move(source, target)  # the zip file, to its place
            if len(moved) == done:
                raise InterruptedError("cut off")
            moved.append(target)
            return move(source, target)

        return moving

    with monkeypatch.context() as patched:
        for name in ("rename", "replace"):
            patched.setattr(Path, name, cut_off(getattr(Path, name)))
        with pytest.raises(InterruptedError):
            fetch()
    assert {path.relative_to(folder) for path in folder.rglob("*")} >= before
    assert len(moved) == done
    assert (folder / "notes.txt").read_text() == "mine"
    fetch()
    assert (folder / "nebBVSE122k_train.xyz").read_text() == "nebBVSE122k_train.xyz"


def test_force_leaves_a_zip_file_of_the_user_where_the_archive_comes_to(edited):
    folder, fetch = edited
    mine = folder.parent / "nebBVSE122k.zip"
    mine.write_bytes(b"mine")
    fetch()
    assert mine.read_bytes() == b"mine"
    mine.write_bytes(WHOLE)
    fetching.fetch("nebBVSE122k", str(folder.parent), source=str(mine), force=True)
    assert mine.read_bytes() == WHOLE
    assert sorted(path.name for path in folder.parent.iterdir()) == ["nebBVSE122k", "nebBVSE122k.zip"]


def test_a_folder_where_the_archive_has_a_file_is_refused_before_anything(edited):
    folder, fetch = edited
    (folder / "nebBVSE122k_val.xyz").mkdir()
    with pytest.raises(DownloadError, match=r"nebBVSE122k_val\.xyz.*move it elsewhere"):
        fetch()
    assert (folder / "nebBVSE122k_train.xyz").read_text() == "mine"


def test_what_cannot_be_fetched(tmp_path):
    with pytest.raises(DatasetError, match="to fetch there are devi2025, nebDFT2k, nebBVSE122k"):
        fetching.fetch("devi2024", str(tmp_path))
    with pytest.raises(DatasetError, match="lihop data add"):
        fetching.fetch("own-mine", str(tmp_path))
