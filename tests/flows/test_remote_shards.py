"""Screenings whose shards lie in an object store: the same tables as beside the database."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from flows.campaign import run_campaign, screen
from flows.parameters import ScreenParameters
from storage import checks, deletion, moving, queries, vacuum
from storage.errors import FolderError
from storage.folders import there
from storage.places import paths_of
from storage.results_folder import shards_of
from tests.campaigns import RecordingSteps, assert_same, tables
from tests.servers.objects import ALL_METHODS, BUCKET, RESET, gated, serving_objects
from tests.servers.workstation import free_port

pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parents[2]
LIMIT = 6
# Three batches of each stage, so that there is a middle.
BATCH = 2

# Screens in one process, which kills itself once the second batch was recorded.
SCREEN_AND_DIE = """
import json, os, signal, sys
from flows.campaign import run_campaign
from flows.parameters import ScreenParameters
from tests.campaigns import RecordingSteps

seen = 0

class Dying(RecordingSteps):
    def here(self, stage, call, payload):
        global seen
        found = super().here(stage, call, payload)
        seen += 1
        if seen == 2:
            os.kill(os.getpid(), signal.SIGKILL)
        return found

run_campaign(ScreenParameters(**json.loads(sys.argv[1])), Dying())
"""


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    with serving_objects(tmp_path_factory.mktemp("objects")) as store:
        yield store


@pytest.fixture(scope="module")
def asked(checkpoint):
    def asked(folder, **changes):
        given = {
            "database": str(folder / "lihop.duckdb"), "model": str(checkpoint), "paths": "straight",
            "limit": LIMIT, "batch_size": BATCH, "workers": 2, "time_limit_s": None,
        }  # fmt: skip
        return ScreenParameters(**(given | changes))

    return asked


@pytest.fixture(scope="module")
def beside(tmp_path_factory, asked):
    """The tables of a screening whose shards lie beside the database."""
    folder = tmp_path_factory.mktemp("beside")
    summary = run_campaign(asked(folder), RecordingSteps())
    assert summary.n_with_result > 1
    return tables(folder / "lihop.duckdb")


def prefix_of(paths) -> str:
    return str(shards_of(paths)).partition("?")[0].removeprefix(f"s3://{BUCKET}/")


def test_the_tables_are_the_same_with_a_pool_of_processes(store, asked, beside, tmp_path):
    parameters = asked(tmp_path, shards=store.uri("pool"))
    first = screen(parameters)
    assert_same(tables(tmp_path / "lihop.duckdb"), beside)
    paths = paths_of(tmp_path / "lihop.duckdb")
    assert not paths.shards.exists()
    names = store.names("pool")
    assert any(name.endswith(".hops.parquet") for name in names)
    assert any(name.endswith(".descriptors.parquet") for name in names)
    manifest = json.loads((paths.manifests / f"{first.run_id}.json").read_text())
    assert manifest["shards"] == str(shards_of(paths))
    assert "shards" not in manifest["settings"]
    # Remembered, and read again: nothing is left to do, and nothing is put elsewhere.
    again = run_campaign(asked(tmp_path), RecordingSteps())
    assert (again.n_computed, again.n_reused) == (0, first.n_computed)
    assert run_campaign(parameters, RecordingSteps()).n_computed == 0
    assert not paths.shards.exists()
    with pytest.raises(FolderError, match=r"lie in s3://.*/pool.*--shards out .*lihop db shards --move-to"):
        run_campaign(asked(tmp_path, shards=store.uri("elsewhere")), RecordingSteps())
    assert store.names("elsewhere") == []


def test_a_killed_screening_is_gone_on_with(store, asked, beside, tmp_path):
    parameters = asked(tmp_path, shards=store.uri("killed"))
    done = subprocess.run(
        [sys.executable, "-c", SCREEN_AND_DIE, parameters.model_dump_json()],
        cwd=ROOT, check=False, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == -signal.SIGKILL, done.stderr
    before = store.names("killed")
    steps = RecordingSteps()
    summary = run_campaign(asked(tmp_path, resume="latest"), steps)
    assert summary.n_with_result > 1
    assert_same(tables(tmp_path / "lihop.duckdb"), beside)
    assert set(before) < set(store.names("killed"))
    assert "read" not in steps.ran
    assert [row["status"] for row in queries.runs(tmp_path / "lihop.duckdb")] == ["completed"]


def test_damage_in_the_store_is_found_and_computed_again(store, asked, beside, other_checkpoint, tmp_path):
    run_campaign(asked(tmp_path, shards=store.uri("damaged")), RecordingSteps())
    paths = paths_of(tmp_path / "lihop.duckdb")
    assert all(one.ok for one in checks.check(paths))
    hit = min(path for path in store.paths("damaged") if path.endswith(".descriptors.parquet"))
    store.flip(hit)
    (finding,) = [one for one in checks.check(paths) if not one.ok]
    assert finding.check == "shards whole"
    assert [Path(entry["path"].partition("?")[0]).name for entry in finding.files] == [Path(hit).name]
    # Another model reads what lies there; only what was damaged is described again.
    steps = RecordingSteps()
    run_campaign(asked(tmp_path, model=str(other_checkpoint)), steps)
    assert steps.ran.count("featurize") == 1
    assert [path.name.endswith(Path(hit).name) for path in paths.quarantine.glob("*.parquet")] == [True]
    assert all(one.ok for one in checks.check(paths))
    assert_same(tables(tmp_path / "lihop.duckdb", ("hops", "candidates")), {
        name: beside[name] for name in ("hops", "candidates")
    })  # fmt: skip


def test_upkeep_reaches_into_the_store(store, asked, beside, tmp_path):
    given = store.uri("kept")
    first = run_campaign(asked(tmp_path, shards=given), RecordingSteps())
    (tmp_path / "other").mkdir()
    run_campaign(asked(tmp_path / "other", shards=given, limit=1), RecordingSteps())
    paths, other = paths_of(tmp_path / "lihop.duckdb"), paths_of(tmp_path / "other" / "lihop.duckdb")
    of_other = store.names(prefix_of(other))
    before = store.names(prefix_of(paths))
    done = vacuum.vacuum(paths)
    left = store.names(prefix_of(paths))
    assert (len(before) - len(left), set(left) < set(before)) == (done.shards_removed, True)
    assert {name.rsplit(".", 2)[1] for name in left} == {"candidates", "hops", "descriptors"}
    assert sum(one.bytes for one in there(shards_of(paths))) == done.shard_bytes_after
    # They are what is read again, wherever they are moved to.
    moved = moving.move_shards(paths, str(tmp_path / "disk"))
    assert (moved.n_shards, moved.given) == (len(left), str(tmp_path / "disk"))
    assert sorted(path.name for path in Path(moved.shards).iterdir()) == left
    assert store.names(prefix_of(other)) == store.names("kept") == of_other
    back = moving.move_shards(paths, given)
    assert store.names(prefix_of(paths)) == left
    assert list(Path(moved.shards).iterdir()) == []
    assert moving.move_shards(paths) == back
    assert run_campaign(asked(tmp_path), RecordingSteps()).n_computed == 0
    assert_same(tables(tmp_path / "lihop.duckdb"), beside)
    # Without the runs that came to them there is no need for them.
    second = queries.runs(paths.published)[0]["run_id"]
    deleted = deletion.delete_runs(paths, [first.run_id, second], results=True)
    assert deleted.shards == len(left)
    assert store.names(prefix_of(paths)) == []
    assert store.names(prefix_of(other)) == of_other


def test_a_store_that_is_gone_ends_what_needs_it_and_nothing_else(store, asked, tmp_path, monkeypatch):
    monkeypatch.setattr("storage.insisting.FIRST_PAUSE_S", 0.001)
    monkeypatch.setattr("storage.folders.SDK_ATTEMPTS", 1)
    paths = paths_of(tmp_path / "lihop.duckdb")
    with gated(store) as gate:
        run_campaign(asked(tmp_path, limit=1, shards=gate.uri("gone")), RecordingSteps())
        ranked = queries.rankings(paths.published)
        gate.faults, gate.methods = ["AccessDenied"] * 10_000, ("PUT",)
        with pytest.raises(FolderError, match="may not be used"):
            run_campaign(asked(tmp_path), RecordingSteps())
        gate.faults, gate.methods = [RESET] * 10_000, ALL_METHODS
        for call in (vacuum.vacuum, lambda paths: deletion.delete_runs(paths, ["latest"], results=True)):
            with pytest.raises(FolderError, match="cannot be reached"):
                call(paths)
        (finding,) = [one for one in checks.check(paths) if not one.ok]
    assert "cannot be reached" in finding.detail
    assert queries.rankings(paths.published) == ranked
    assert len(queries.runs(paths.published)) == 1


def test_a_folder_that_cannot_be_used_is_not_remembered(asked, tmp_path, monkeypatch):
    monkeypatch.setattr("storage.insisting.FIRST_PAUSE_S", 0.001)
    monkeypatch.setattr("storage.folders.SDK_ATTEMPTS", 1)
    nowhere = f"s3://b-1/x?scheme=http&endpoint_override=127.0.0.1:{free_port()}"
    with pytest.raises(FolderError, match="cannot be reached"):
        run_campaign(asked(tmp_path, shards=nowhere), RecordingSteps())
    paths = paths_of(tmp_path / "lihop.duckdb")
    assert shards_of(paths) == paths.shards
