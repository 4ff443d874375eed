"""Shards in an object store: written, read, listed, moved aside and removed, or said why not."""

from __future__ import annotations

import pickle
import time

import pytest

from storage import folders, insisting
from storage.errors import FolderError, ShardError
from storage.folders import RemoteFile, place, remove, there, try_out, within
from storage.quarantine import sift
from storage.recorder import Recorder
from storage.shards import read_shard, write_shard
from tests.servers.objects import BUCKET, RESET, gated, serving_objects
from tests.servers.workstation import free_port


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    with serving_objects(tmp_path_factory.mktemp("objects")) as store:
        yield store


@pytest.fixture
def folder(store, tmp_path):
    return store.uri(f"results of {tmp_path.name}")


@pytest.fixture
def gate(store, monkeypatch):
    # What is tried in between is the same, and the test need not wait for it.
    monkeypatch.setattr(insisting, "FIRST_PAUSE_S", 0.001)
    # So are the SDK's own attempts, whose pauses are not ours to shorten.
    monkeypatch.setattr(folders, "SDK_ATTEMPTS", 1)
    with gated(store) as gate:
        yield gate


def test_a_shard_comes_back_as_it_was_written(folder, make):
    written = write_shard(within(folder, "a.parquet"), [make.hop(), make.hop("m2")])
    assert (written.rows, str(written.path), written.path.name) == (
        2,
        str(within(folder, "a.parquet")),
        "a.parquet",
    )
    read = read_shard(pickle.loads(pickle.dumps(written.path)), written.digest)
    assert read.data.num_rows == 2
    assert place(str(written.path)) == written.path
    # Written again, it is replaced.
    assert read_shard(write_shard(written.path, [make.hop()]).path).data.num_rows == 1


def test_files_are_listed_and_removed(folder, store, make, tmp_path):
    assert there(folder) == []
    infos = [write_shard(within(folder, f"{name}.parquet"), [make.hop()]) for name in "bac"]
    store.write(f"{BUCKET}/results of {tmp_path.name}/beneath/d.parquet", b"of somebody else")
    found = there(folder)
    assert [one.path.name for one in found] == ["a.parquet", "b.parquet", "c.parquet"]
    assert [one.path for one in found] == [infos[1].path, infos[0].path, infos[2].path]
    assert all(one.bytes == len(one.path.read_bytes()) for one in found)
    assert all(abs(one.written_at.timestamp() - time.time()) < 3600 for one in found)
    remove([*found[:2], *found[:2]])
    assert [one.path.name for one in there(folder)] == ["c.parquet"]
    assert [one.path.exists() for one in found] == [False, False, True]


def test_what_is_not_there_is_a_shard_that_cannot_be_read(folder):
    with pytest.raises(ShardError, match="cannot be read: No such file"):
        read_shard(within(folder, "absent.parquet"))
    with pytest.raises(FileNotFoundError):
        within(folder, "absent.parquet").read_bytes()
    within(folder, "absent.parquet").unlink(missing_ok=True)


def test_a_damaged_shard_is_moved_out_of_the_store(folder, store, make, tmp_path):
    recorder = Recorder(tmp_path / "lihop.duckdb")
    good = write_shard(within(folder, "good.parquet"), [make.stage_result("good")])
    bad = write_shard(within(folder, "bad.parquet"), [make.hop()])
    store.flip(f"{BUCKET}/results of {tmp_path.name}/bad.parquet")
    spoilt = bad.path.read_bytes()
    with pytest.raises(ShardError, match=r"bad\.parquet.*damaged.*moved to .*quarantine"):
        recorder.record([bad, good])
    assert recorder.known_stage_keys(["good"]) == set()
    assert [one.path.name for one in there(folder)] == ["good.parquet"]
    (moved,) = recorder.paths.quarantine.glob("*.parquet")
    assert moved.read_bytes() == spoilt
    assert f"shard: {bad.path}\n" in moved.with_name(f"{moved.name}.txt").read_text()
    assert not sift([good.path, bad.path], recorder.paths.quarantine)
    assert recorder.record([write_shard(bad.path, [make.hop()]), good]) == {"hops": 1, "stage_results": 1}


def test_what_passes_is_waited_for(gate, make):
    folder = gate.uri("passing")
    passing = ["SlowDown", "InternalError", RESET]
    gate.faults = list(passing)
    info = write_shard(within(folder, "a.parquet"), [make.hop()])
    assert gate.faults == []
    gate.faults = list(passing)
    assert read_shard(info.path, info.digest).data.num_rows == 1
    gate.faults = list(passing)
    assert [one.path for one in there(folder)] == [info.path]
    gate.faults = list(passing)
    info.path.unlink()
    assert gate.faults == []
    assert there(folder) == []


def test_what_does_not_pass_ends_in_words(gate, make):
    gate.faults = ["SlowDown"] * 1000
    gate.methods = ("PUT",)
    with pytest.raises(FolderError, match=r"cannot be used: .*Run the same again"):
        write_shard(within(gate.uri("never"), "a.parquet"), [make.hop()])
    assert gate.asked == insisting.ATTEMPTS


def test_clients_that_a_store_slowed_down_do_not_come_back_together(monkeypatch):
    pauses = []
    monkeypatch.setattr(insisting.time, "sleep", pauses.append)
    first = []
    for _ in range(50):

        def slowed_down():
            raise OSError("SlowDown")

        pauses.clear()
        with pytest.raises(FolderError):
            insisting.insist(slowed_down, "s3://bucket")
        assert len(pauses) == insisting.ATTEMPTS - 1
        first.append(pauses[0])
    assert insisting.FIRST_PAUSE_S / 2 <= min(first) < max(first) <= insisting.FIRST_PAUSE_S
    assert max(first) - min(first) > insisting.FIRST_PAUSE_S / 4


def test_who_is_refused_does_not_ask_again(gate, make):
    gate.faults = ["AccessDenied"] * 1000
    with pytest.raises(
        FolderError, match=r"may not be used: .*credentials come from the environment"
    ) as caught:
        write_shard(within(gate.uri("denied"), "a.parquet"), [make.hop()])
    assert gate.asked <= 2
    assert "its-own" not in str(caught.value)


def test_a_bucket_that_is_not_there_is_named(store, make):
    folder = store.uri("prefix", bucket="no-such-bucket")
    started = time.monotonic()
    with pytest.raises(
        FolderError, match=r"bucket of the results folder .*no-such-bucket.* is not there; make it"
    ):
        try_out(folder)
    assert time.monotonic() - started < 5


@pytest.mark.parametrize("name", folders.ENDPOINT_VARIABLES)
def test_the_endpoint_may_come_from_the_environment(store, make, tmp_path, monkeypatch, name):
    monkeypatch.setenv(name, f"http://{store.endpoint}")
    write_shard(within(f"s3://{BUCKET}/{tmp_path.name}", "a.parquet"), [make.hop()])
    assert store.names(tmp_path.name) == ["a.parquet"]


def test_an_endpoint_that_does_not_answer_is_named(gate):
    folder = f"s3://bucket/x?endpoint_override=127.0.0.1:{free_port()}&scheme=http"
    with pytest.raises(FolderError, match=r"cannot be reached: .*endpoint_override"):
        try_out(folder)


def test_trying_a_folder_out_leaves_nothing(store, folder, tmp_path):
    try_out(folder)
    assert store.names(f"results of {tmp_path.name}") == []
    try_out(str(tmp_path / "new" / "folder"))
    assert list((tmp_path / "new" / "folder").iterdir()) == []
    (tmp_path / "file").write_text("")
    with pytest.raises(FolderError, match="cannot be written"):
        try_out(str(tmp_path / "file"))


def test_a_remote_file_is_small():
    assert len(pickle.dumps(RemoteFile("s3://bucket/prefix/a.parquet"))) < 200
