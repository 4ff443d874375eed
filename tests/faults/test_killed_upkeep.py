"""kill -9 in a vacuum, a snapshot and a restoration: nothing is lost, and nothing large is left for ever."""

from __future__ import annotations

import random
import signal

import pytest

from storage.inspection import inspect
from storage.places import paths_of
from storage.recorder import Recorder
from storage.snapshot_files import kept_in
from storage.snapshots import take
from tests.faults.doomed import DATABASE, upkeep
from tests.faults.test_killed_recorder import SMALL, batch, nursery

DOINGS = ("vacuum", "snapshot", "snapshot --to", "restore")
SEEDS = range(8)


@pytest.fixture(scope="module")
def kept(tmp_path_factory, make):
    """A nursery, a folder with a database and a snapshot of it, and how many points each doing has."""
    root = tmp_path_factory.mktemp("upkeep")
    recorder = Recorder(root / "kept" / DATABASE)
    recorder.record(rows=[row.model_copy(update={"status": "completed"}) if row.table == "runs" else row
                          for row in batch(0, make)])  # fmt: skip
    recorder.publish()
    take(recorder.paths)
    with nursery(root) as found:
        found.copied = str(root / "kept")
        found.rows = inspect(recorder.paths.working).facts.rows
        found.points = {}
        for doing in DOINGS:
            folder, ended = found.fork(f"undisturbed {doing}", copy_of=found.copied, doing=doing)
            assert (ended, (folder / "error.txt").exists()) == (0, False)
            found.points[doing] = int((folder / "seen.txt").read_text())
            assert found.points[doing] > 10
        yield found


@pytest.mark.parametrize("doing", DOINGS)
@pytest.mark.parametrize("seed", SEEDS)
def test_what_a_kill_leaves_is_gone_after_the_next_time(kept, doing, seed):
    share = kept.points[doing] / len(SEEDS)
    point = int((seed + random.Random(seed).random()) * share)
    folder, ended = kept.fork(f"{doing} {seed}", copy_of=kept.copied, doing=doing, point=point)
    assert ended == -signal.SIGKILL
    (folder / "elsewhere.duckdb").unlink(missing_ok=True)
    upkeep(folder, doing)
    paths = paths_of(folder / DATABASE)
    assert inspect(paths.working).facts.rows == inspect(paths.published).facts.rows == kept.rows
    allowed = {paths.working, paths.published, folder / "elsewhere.duckdb"}
    allowed |= {one.path for one in kept_in(paths.snapshots)}
    allowed |= set(paths.replaced.glob("*.duckdb"))
    large = {path for path in folder.rglob("*") if path.is_file() and path.stat().st_size > SMALL}
    assert large <= allowed
