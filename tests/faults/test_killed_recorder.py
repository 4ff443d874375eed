"""kill -9 at every stage of recording and publishing: no acknowledged row is lost, none is there twice."""

from __future__ import annotations

import json
import random
import signal
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path

import pytest

from storage import queries
from storage.database import reading, writing
from storage.places import paths_of
from storage.recorder import Recorder
from storage.shards import write_shard
from tests.faults.doomed import ACKNOWLEDGED, DATABASE, TURNS

ROOT = Path(__file__).resolve().parents[2]
AT_POINTS, IN_TIME = range(40), range(40, 70)
HOPS = 3
SMALL = 100_000
COUNTED = ("candidates", "hops", "predictions", "percolation", "run_materials", "stage_results")


class Nursery:
    """The process that forks recorders."""

    def __init__(self, process: subprocess.Popen[str], root: Path) -> None:
        self.process = process
        self.root = root

    def fork(self, name: str, **asked: int | str) -> tuple[Path, int]:
        """Let a recorder live in a folder of its own; return the folder, and how it ended."""
        folder = self.root / name
        self.process.stdin.write(json.dumps({"folder": str(folder)} | asked) + "\n")
        self.process.stdin.flush()
        return folder, int(self.process.stdout.readline())


@contextmanager
def nursery(root: Path):
    command = [sys.executable, "-m", "tests.faults.doomed"]
    with subprocess.Popen(
        command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        yield Nursery(process, root)
        process.stdin.close()


def batch(turn: int, make) -> list:
    """Return the rows of one batch: two materials with their hops and results, and that the stage is done."""
    rows = [make.run()]
    for number in range(2):
        who = f"m{turn}-{number}"
        rows += [row for row in make.material(who) if row.table not in {"hops", "predictions", "runs"}]
        rows += [make.hop(who, j=j) for j in range(1, HOPS + 1)]
        rows += [make.prediction(who, j=j) for j in range(1, HOPS + 1)]
        rows.append(make.stage_result(f"done-{who}"))
    return rows


@pytest.fixture(scope="module")
def doomed(tmp_path_factory, make):
    """A nursery, the shards that its recorders record, and how long and through how many points one lives."""
    root = tmp_path_factory.mktemp("doomed")
    told = []
    for turn in range(TURNS):
        by_table: dict[str, list] = {}
        for row in batch(turn, make):
            by_table.setdefault(row.table, []).append(row)
        shards = [
            write_shard(root / f"{turn}.{table}.parquet", rows, table) for table, rows in by_table.items()
        ]
        told.append([(str(one.path), one.table, one.rows, one.digest) for one in shards])
    (root / "shards.json").write_text(json.dumps(told))
    with nursery(root) as found:
        started = time.monotonic()
        folder, ended = found.fork("undisturbed")
        found.milliseconds = 1000 * (time.monotonic() - started)
        assert ended == 0
        found.points = int((folder / "seen.txt").read_text())
        found.expected = counts(folder / DATABASE)
        found.shards = [[Path(path) for path, *_ in one] for one in told]
        assert found.points > 100
        yield found


def counts(database: Path) -> dict[str, int]:
    asked = " UNION ALL ".join(f"SELECT '{table}', count(*) FROM {table}" for table in COUNTED)
    with reading(database) as connection:
        return dict(connection.execute(asked).fetchall())


def turns_there(connection) -> set[int]:
    """Return the batches that are there; each is there whole, and no row twice."""
    turns = set()
    for turn in range(TURNS):
        found = [
            connection.execute(f"SELECT count(*) FROM {table} WHERE {column} LIKE ?", [like]).fetchall()[0][0]
            for table, column, like in (
                ("stage_results", "stage_key", f"done-m{turn}-%"),
                ("hops", "material_id", f"m{turn}-%"),
                ("predictions", "structure_hash", f"hash-m{turn}-%"),
                ("candidates", "material_id", f"m{turn}-%"),
                ("percolation", "structure_hash", f"hash-m{turn}-%"),
            )
        ]
        assert found in ([2, 2 * HOPS, 2 * HOPS, 2, 2], [0, 0, 0, 0, 0]), (turn, found)
        if found[0]:
            turns.add(turn)
    return turns


def acknowledged(folder: Path, what: str) -> set[int]:
    """Return the batches of which a killed recorder had said that they are recorded, or published."""
    try:
        lines = (folder / ACKNOWLEDGED).read_text().splitlines()
    except FileNotFoundError:
        return set()
    return {int(line.split()[1]) for line in lines if line.startswith(what) and len(line.split()) == 2}


def check(folder: Path, doomed) -> None:
    """Whatever happened, what was acknowledged is there, once, and the next recorder goes on."""
    paths = paths_of(folder / DATABASE)
    if acknowledged(folder, "published") or paths.published.exists():
        with reading(paths.published) as connection:
            there = turns_there(connection)
            assert there >= acknowledged(folder, "published")
            ranked = {row[0] for row in connection.execute("SELECT material_id FROM rankings").fetchall()}
            assert ranked == {f"m{turn}-{number}" for turn in there for number in range(2)}
    with writing(paths) as connection:
        assert turns_there(connection) >= acknowledged(folder, "recorded")
    recorder = Recorder(paths.published)
    recorder.record([shard for one in doomed.shards for shard in one])
    recorder.publish()
    assert counts(paths.published) == doomed.expected
    assert len(queries.rankings(paths.published)) == 2 * TURNS
    # Nothing that a kill left half written stays and fills the disk.
    assert not [path for path in folder.rglob("*.tmp") if path.stat().st_size > SMALL]


@pytest.mark.parametrize("seed", AT_POINTS)
def test_killed_between_two_steps(doomed, seed):
    # Spread over all points, each seed within its own share of them.
    share = doomed.points / len(AT_POINTS)
    point = int(seed * share + random.Random(seed).random() * share)
    folder, ended = doomed.fork(f"point-{seed}", point=point)
    assert ended == -signal.SIGKILL
    check(folder, doomed)


@pytest.mark.parametrize("seed", IN_TIME)
def test_killed_at_any_moment(doomed, seed):
    milliseconds = int(random.Random(seed).random() * doomed.milliseconds)
    folder, ended = doomed.fork(f"moment-{seed}", milliseconds=milliseconds)
    # The recorder may have been done before, where the machine was faster this time.
    assert ended in {-signal.SIGKILL, 0}
    check(folder, doomed)


@pytest.mark.parametrize("kilobytes", [64, 300, 800, 1500, 2500, 3300])
def test_a_full_disk_loses_nothing_that_was_acknowledged(doomed, kilobytes):
    folder, ended = doomed.fork(f"full-{kilobytes}", most_bytes=1024 * kilobytes)
    assert ended == 0
    # No database is as small as that, so that each of these recorders came to its end.
    assert acknowledged(folder, "published") != set(range(TURNS))
    said = (folder / "error.txt").read_text()
    assert str(folder) in said
    assert "space" in said or "Make room" in said
    check(folder, doomed)
