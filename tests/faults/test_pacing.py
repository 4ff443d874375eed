"""The gates of the kill matrix: what they hold is held until they are lifted, and nothing else is."""

from __future__ import annotations

import subprocess
import sys
import time

import pytest

from storage.database import wal_of
from storage.places import paths_of
from storage.records import StageResult
from tests.faults.kill_commands import ROOT
from tests.faults.killing import recorded
from tests.faults.pace.pacing import PUBLISHING, SUFFIX, Gate, finished, lift, paced, waits
from tests.servers.workstation import environment

PATIENCE_S = 60.0
WELL_AFTER_S = 0.5
"""By then whoever is not held has ended."""

WRITES = """
import sys
from pathlib import Path
from storage import atomic
folder, name = Path(sys.argv[1]), sys.argv[2]
for kind in ("candidates", "hops"):
    for number in range(3):
        atomic.write_bytes(folder / f"{kind}-{name}-{number}.stage_results.parquet", b"a shard")
"""
RECORDS = """
import sys
from storage.recorder import Recorder
from storage.records import Stage, StageResult
recorder = Recorder(sys.argv[1])
given = dict(structure_hash="0" * 64, working_ion="Li", stage=Stage.HOPS, n_rows=0)
for number in range(2):
    recorder.record(rows=[StageResult(stage_key=f"key-{number}", **given)])
recorder.publish()
"""


@pytest.fixture
def start(tmp_path):
    """Return what starts a program that waits at gates; it is over when the test is."""
    started = []

    def starting(program, *arguments):
        command = [sys.executable, "-c", program, *map(str, arguments)]
        started.append(subprocess.Popen(command, cwd=ROOT, env=paced(environment(tmp_path))))
        return started[-1]

    yield starting
    for process in started:
        process.kill()
        process.wait()


def _until(condition):
    end = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.01)


def test_no_shard_too_many_is_put_in_place(tmp_path, start):
    """Nor by two processes at once, each of which would find room for one more."""
    database = tmp_path / "lihop.duckdb"
    shards = paths_of(database).shards
    Gate("featurizing", 2).close(database)
    both = [start(WRITES, shards, name) for name in ("one", "other")]
    _until(lambda: finished(shards, "featurizing") == 2)
    _until(lambda: finished(shards, "reading") == 6)
    time.sleep(WELL_AFTER_S)
    assert finished(shards, "featurizing") == 2
    assert [one.poll() for one in both] == [None, None]
    _until(lambda: waits(database, "featurizing"))
    Gate("featurizing", 3).close(database)
    _until(lambda: finished(shards, "featurizing") == 3)
    time.sleep(WELL_AFTER_S)
    assert finished(shards, "featurizing") == 3
    lift(database)
    assert [one.wait(PATIENCE_S) for one in both] == [0, 0]
    assert finished(shards, "featurizing") == 6


def test_a_recorder_waits_before_it_commits(tmp_path, start):
    database = tmp_path / "lihop.duckdb"
    paths = paths_of(database)
    _featurize(paths.shards, 1)
    Gate("recording", 1, merges=2).close(database)
    recorder = start(RECORDS, database)
    _until(lambda: waits(database, "recording"))
    time.sleep(WELL_AFTER_S)
    assert recorder.poll() is None
    assert recorded(paths) == {"key-0"}
    assert paths.holder.exists()
    lift(database)
    assert recorder.wait(PATIENCE_S) == 0
    assert recorded(paths) == {"key-0", "key-1"}


def test_a_recorder_waits_with_half_of_a_copy(tmp_path, start):
    database = tmp_path / "lihop.duckdb"
    paths = paths_of(database)
    _featurize(paths.shards, 1)
    Gate("publishing", 1).close(database)
    recorder = start(RECORDS, database)
    _until(lambda: waits(database, "publishing"))
    time.sleep(WELL_AFTER_S)
    assert recorder.poll() is None
    assert not database.exists()
    assert paths.publishing.stat().st_size == paths.working.stat().st_size // 2
    lift(database)
    assert recorder.wait(PATIENCE_S) == 0
    assert database.stat().st_size == paths.working.stat().st_size


def test_a_recorder_does_not_wait_before_so_many_batches(tmp_path, start):
    database = tmp_path / "lihop.duckdb"
    _featurize(paths_of(database).shards, 1)
    Gate("recording", 2).close(database)
    assert start(RECORDS, database).wait(PATIENCE_S) == 0
    assert not waits(database, "recording")
    assert not wal_of(paths_of(database).working).exists()


def test_the_gates_know_the_names_that_lihop_gives(tmp_path):
    """They ask nothing of it, and would hold nothing under other names."""
    assert f".{StageResult.table}.parquet" == SUFFIX
    assert paths_of(tmp_path / "lihop.duckdb").publishing.name == PUBLISHING


def _featurize(shards, count):
    shards.mkdir(parents=True)
    for number in range(count):
        (shards / f"hops-{number}{SUFFIX}").touch()
