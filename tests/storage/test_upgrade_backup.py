"""Before a database is upgraded, the file as it was is kept; a kill leaves the old file or both."""

import gzip
import signal
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import duckdb
import pytest

from storage.columns import SCHEMA_VERSION
from storage.recorder import Recorder
from storage.schema import Migration, migrations
from storage.snapshot_files import kept_in

FIXTURE = Path(__file__).with_name("fixtures") / "schema_1.duckdb.gz"

# Dies at one of the points of an upgrade: around the copy, its facts, and the migration.
DIE_AT = """
import os, signal, sys
import storage.atomic, storage.database
from storage.recorder import Recorder
wanted, seen = int(sys.argv[2]), 0

def point():
    global seen
    seen += 1
    if seen == wanted:
        os.kill(os.getpid(), signal.SIGKILL)

def watched(call):
    def wrapped(*given, **named):
        point()
        result = call(*given, **named)
        point()
        return result
    return wrapped

storage.atomic.copy_file = watched(storage.atomic.copy_file)
storage.atomic.write_text = watched(storage.atomic.write_text)
storage.database.migrate = watched(storage.database.migrate)
Recorder(sys.argv[1]).publish()
print(seen)
"""


@pytest.fixture
def recorder(tmp_path):
    recorder = Recorder(tmp_path / "lihop.duckdb")
    recorder.paths.work.mkdir()
    recorder.paths.working.write_bytes(gzip.decompress(FIXTURE.read_bytes()))
    return recorder


def _schema(path):
    with closing(duckdb.connect(str(path), read_only=True)) as connection:
        (version,) = connection.execute("SELECT max(version) FROM schema_migrations").fetchone()
        hops = connection.execute("SELECT edge_id FROM hops ORDER BY ALL").fetchall()
    return version, hops


def test_the_file_as_it_was_is_kept(recorder):
    old = _schema(recorder.paths.working)
    recorder.publish()
    (kept,) = kept_in(recorder.paths.snapshots)
    assert kept.path.name.startswith(f"before-schema-{SCHEMA_VERSION}-")
    assert _schema(kept.path) == old == (1, old[1])
    assert kept.facts.schema_version == 1
    assert kept.facts.rows["hops"] == len(old[1]) == 23
    assert _schema(recorder.paths.working) == (SCHEMA_VERSION, old[1])
    recorder.publish()
    assert len(kept_in(recorder.paths.snapshots)) == 1


def test_a_copy_that_is_taken_over_is_kept_too(tmp_path):
    recorder = Recorder(tmp_path / "lihop.duckdb")
    recorder.paths.published.write_bytes(gzip.decompress(FIXTURE.read_bytes()))
    old = _schema(recorder.paths.published)
    recorder.known_stage_keys(["x"])
    (kept,) = kept_in(recorder.paths.snapshots)
    assert _schema(kept.path) == old


def test_a_fresh_file_is_not_kept(tmp_path):
    recorder = Recorder(tmp_path / "lihop.duckdb")
    recorder.publish()
    recorder.publish()
    assert not recorder.paths.snapshots.exists()


def test_what_stands_in_the_log_is_kept(recorder):
    script = (
        "import duckdb, os, sys; c = duckdb.connect(sys.argv[1]); "
        "c.execute(\"SET wal_autocheckpoint='1GB'\"); "
        "c.execute('UPDATE hops SET edge_id = edge_id || $$-late$$'); os._exit(0)"
    )
    subprocess.run([sys.executable, "-c", script, str(recorder.paths.working)], check=True)
    recorder.publish()
    (kept,) = kept_in(recorder.paths.snapshots)
    assert all(edge.endswith("-late") for (edge,) in _schema(kept.path)[1])


def test_an_upgrade_that_fails_again_and_again_is_kept_once(recorder, monkeypatch):
    good = migrations()
    bad = Migration(SCHEMA_VERSION, good[-1].name, f"{good[-1].sql}\nSELECT no_such_function();")
    monkeypatch.setattr("storage.schema.migrations", lambda: [*good[:-1], bad])
    for _ in range(2):
        with pytest.raises(duckdb.CatalogException):
            recorder.publish()
    assert len(kept_in(recorder.paths.snapshots)) == 1
    assert _schema(recorder.paths.working)[0] == 1


def test_a_kill_at_any_point_leaves_the_old_file_or_both(tmp_path):
    content = gzip.decompress(FIXTURE.read_bytes())
    for point in range(1, 100):
        recorder = Recorder(tmp_path / str(point) / "lihop.duckdb")
        recorder.paths.work.mkdir(parents=True)
        recorder.paths.working.write_bytes(content)
        done = subprocess.run(
            [sys.executable, "-c", DIE_AT, str(recorder.paths.published), str(point)],
            check=False, capture_output=True, text=True, cwd=Path.cwd(),
        )  # fmt: skip
        version, hops = _schema(recorder.paths.working)
        kept = kept_in(recorder.paths.snapshots)
        assert version == 1 or [_schema(one.path) for one in kept] == [(1, hops)]
        assert recorder.publish()
        assert _schema(recorder.paths.working) == (SCHEMA_VERSION, hops)
        # What was kept without facts, since the kill came between, is not taken for the same again.
        assert {_schema(one.path)[0] for one in kept_in(recorder.paths.snapshots)} == {1}
        if done.returncode == 0:
            assert point == int(done.stdout) + 1 > 6
            return
        assert done.returncode == -signal.SIGKILL, done.stderr
    pytest.fail("the upgrade never came to its end")
