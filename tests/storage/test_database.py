"""Readers and the writer never wait for each other, and a file that cannot be used says why."""

import math
import shutil
import subprocess
import sys
import time
from contextlib import contextmanager
from datetime import UTC, datetime

import duckdb
import filelock
import pytest

from storage.database import (
    STORAGE_VERSION,
    also_holding,
    locked,
    publish,
    reading,
    waiting_at_most,
    writing,
)
from storage.errors import (
    CorruptDatabaseError,
    DatabaseLockedError,
    DatabaseMissingError,
    NewerSchemaError,
    SchemaMismatchError,
    StorageError,
)
from storage.places import paths_of
from storage.recorder import Recorder

HOLD_LOCK = """
import sys, time
from storage.database import locked
from storage.places import paths_of
with locked(paths_of(sys.argv[1])):
    print("held", flush=True)
    time.sleep(60)
"""
HOLD_FILE = """
import sys, duckdb
connection = duckdb.connect(sys.argv[1])
print("held", flush=True)
sys.stdin.read()
"""


@pytest.fixture
def recorder(tmp_path):
    return Recorder(tmp_path / "it's a folder" / "lihop.duckdb")


def _count(connection):
    return connection.execute("SELECT count(*) FROM stage_results").fetchone()[0]


def test_a_reader_holds_one_state_while_the_next_is_published(recorder, make):
    recorder.record(rows=[make.stage_result("k1")])
    recorder.publish()
    published = recorder.paths.published
    direct = duckdb.connect(str(published), read_only=True)
    with direct, reading(published) as reader:
        assert _count(reader) == 1
        for turn in range(3):
            recorder.record(rows=[make.stage_result(f"more-{turn}")])
            assert recorder.publish()
            with reading(published) as fresh:
                assert _count(fresh) == turn + 2
        assert _count(reader) == 1
        assert _count(direct) == 1


def test_what_is_recorded_shows_only_once_published(recorder, make):
    recorder.publish()
    recorder.record(rows=[make.stage_result()])
    with reading(recorder.paths.published) as reader:
        assert _count(reader) == 0


def test_older_clients_can_open_the_copy(recorder):
    recorder.publish()
    with duckdb.connect(":memory:") as connection:
        connection.execute(f"ATTACH '{str(recorder.paths.published).replace(chr(39), chr(39) * 2)}' AS copy")
        (tags,) = connection.execute(
            "SELECT tags FROM duckdb_databases() WHERE database_name = 'copy'"
        ).fetchone()
    assert tags["storage_version"].startswith(STORAGE_VERSION)


def test_publishing_can_wait_a_minute(recorder, make):
    assert recorder.publish(min_interval_s=60.0)
    recorder.record(rows=[make.stage_result()])
    assert not recorder.publish(min_interval_s=60.0)
    assert recorder.publish()


def test_a_copy_from_the_future_is_replaced(recorder, monkeypatch):
    recorder.publish()
    monkeypatch.setattr("storage.database.time.time", lambda: 0.0)
    assert recorder.publish(min_interval_s=60.0)


def test_a_moved_copy_goes_on_from_where_it_stood(recorder, make, tmp_path):
    recorder.record(rows=[make.stage_result("k1")])
    recorder.publish()
    moved = Recorder(tmp_path / "moved.duckdb")
    shutil.copy(recorder.paths.published, moved.paths.published)
    assert moved.known_stage_keys(["k1"]) == {"k1"}
    moved.record(rows=[make.stage_result("k2")])
    moved.publish()
    with reading(moved.paths.published) as reader:
        assert _count(reader) == 2


def test_what_a_client_wrote_into_the_copy_is_not_replayed(recorder, make):
    recorder.publish()
    published = recorder.paths.published
    script = (
        "import duckdb, os, sys; c = duckdb.connect(sys.argv[1]); "
        "c.execute(\"SET wal_autocheckpoint='1GB'\"); c.execute('CREATE TABLE theirs (x INTEGER)'); "
        "os._exit(0)"
    )
    subprocess.run([sys.executable, "-c", script, str(published)], check=True)
    assert published.with_name("lihop.duckdb.wal").exists()
    recorder.record(rows=[make.stage_result()])
    recorder.publish()
    with reading(published) as reader:
        assert _count(reader) == 1
        assert ("theirs",) not in reader.execute("SHOW TABLES").fetchall()


def test_a_missing_database_says_what_to_do(tmp_path):
    with (
        pytest.raises(DatabaseMissingError, match="lihop screen"),
        reading(tmp_path / "absent.duckdb"),
    ):
        pass
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("content", [b"", b"hello", b"x" * 5000, b"PAR1" * 100])
def test_a_foreign_file_is_named(tmp_path, content):
    path = tmp_path / "lihop.duckdb"
    path.write_bytes(content)
    with pytest.raises(CorruptDatabaseError, match="not a DuckDB file"), reading(path):
        pass
    with pytest.raises(CorruptDatabaseError, match="not a DuckDB file"):
        Recorder(path).publish()
    assert path.read_bytes() == content


def test_damage_is_named(recorder, make):
    recorder.record(rows=[make.stage_result(f"k{n}") for n in range(100)])
    recorder.publish()
    published = recorder.paths.published
    content = bytearray(published.read_bytes())
    content[4096:12288] = b"\xff" * 8192
    published.write_bytes(content)
    with pytest.raises(CorruptDatabaseError, match=str(published.name)), reading(published):
        pass
    published.write_bytes(bytes(content[:5000]))
    with pytest.raises(CorruptDatabaseError, match=str(published.name)), reading(published):
        pass


def test_a_database_of_others_is_refused(tmp_path):
    path = tmp_path / "theirs.duckdb"
    with duckdb.connect(str(path)) as connection:
        connection.execute("CREATE TABLE theirs (x INTEGER)")
    with pytest.raises(SchemaMismatchError, match="theirs"), reading(path):
        pass
    with pytest.raises(SchemaMismatchError, match="theirs"):
        Recorder(path).publish()
    assert not paths_of(path).working.exists()


def test_a_newer_database_is_refused_and_left_alone(recorder, make):
    recorder.record(rows=[make.stage_result()])
    with writing(recorder.paths) as connection:
        connection.execute(
            "INSERT INTO schema_migrations VALUES (99, '0099_later', 'x', ?)",
            [datetime(2030, 1, 1, tzinfo=UTC)],
        )
    before = recorder.paths.working.read_bytes()
    with pytest.raises(NewerSchemaError, match="version 99"):
        recorder.record(rows=[make.stage_result("k2")])
    with pytest.raises(NewerSchemaError, match="version 99"):
        recorder.publish()
    assert recorder.paths.working.read_bytes() == before
    assert not recorder.paths.published.exists()
    shutil.copy(recorder.paths.working, recorder.paths.published)
    with pytest.raises(NewerSchemaError, match="version 99"), reading(recorder.paths.published):
        pass


def test_a_second_recorder_waits_a_bounded_time_and_names_the_first(tmp_path):
    db = tmp_path / "lihop.duckdb"
    command = [sys.executable, "-c", HOLD_LOCK, str(db)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout.readline() == "held\n"
        with pytest.raises(DatabaseLockedError, match=rf"process {holder.pid} on .*waited 0\.2 s"):
            Recorder(db, wait_s=0.2).publish()
        holder.kill()
    assert Recorder(db, wait_s=5).publish()


def test_a_folder_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "lihop.duckdb.work").write_text("in the way")
    with pytest.raises(StorageError, match=r"cannot write in .*lihop\.duckdb\.work"):
        Recorder(tmp_path / "lihop.duckdb").publish()


def test_locks_hold_within_a_process_too(tmp_path):
    paths = paths_of(tmp_path / "lihop.duckdb")
    with locked(paths), pytest.raises(DatabaseLockedError), locked(paths, wait_s=0.1):
        pass


def test_what_other_machines_know_is_waited_for_before_the_lock(tmp_path):
    paths = paths_of(tmp_path / "lihop.duckdb")
    waits = []

    @contextmanager
    def guard(wait_s):
        waits.append(wait_s)
        # Whoever waits here keeps nobody of this machine waiting, who would give up sooner.
        with filelock.FileLock(paths.lock).acquire(timeout=0):
            assert not paths.holder.exists()
        yield
        with filelock.FileLock(paths.lock).acquire(timeout=0):
            waits.append("left")

    with also_holding(guard), locked(paths):
        assert paths.holder.exists()
    assert waits == [math.inf, "left"]


def test_all_waits_together_have_a_bound(tmp_path):
    paths = paths_of(tmp_path / "lihop.duckdb")
    waits = []

    @contextmanager
    def guard(wait_s):
        waits.append(wait_s)
        yield

    began = time.monotonic()
    with locked(paths), waiting_at_most(0.2), also_holding(guard):
        for _ in range(3):
            with pytest.raises(DatabaseLockedError), locked(paths, wait_s=60.0):
                pass
    assert time.monotonic() - began < 10
    assert waits[0] <= 0.2
    assert waits[1:] == [0.0, 0.0]


def test_a_client_on_the_working_file_is_named(recorder, make):
    recorder.record(rows=[make.stage_result()])
    command = [sys.executable, "-c", HOLD_FILE, str(recorder.paths.working)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stdin=subprocess.PIPE, text=True) as holder:
        assert holder.stdout.readline() == "held\n"
        with pytest.raises(DatabaseLockedError, match=str(holder.pid)):
            publish(recorder.paths, wait_s=0.2)
        holder.stdin.close()
    assert recorder.publish()


def test_paths_lie_beside_the_copy(tmp_path):
    paths = paths_of(tmp_path / "mine.duckdb")
    assert paths.work == tmp_path / "mine.duckdb.work"
    assert paths.working.parent == paths.shards.parent == paths.manifests.parent == paths.work
