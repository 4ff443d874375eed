"""A run that is killed or interrupted: nothing recorded is lost, and the next run completes the tables."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from storage import queries
from tests.campaigns import GOOD, Bench, assert_same, tables, write_bad, write_good
from tests.children import heed_interrupts

if TYPE_CHECKING:
    from collections.abc import Callable

ROOT = Path(__file__).resolve().parents[2]
MAX_FILE_MB = 0.2
POLL_S = 0.05
PATIENCE_S = 120.0

# Screens in one process, which kills itself when a stage is asked for the given time.
SCREEN_AND_DIE = """
import json, os, signal, sys
from flows.campaign import run_campaign
from flows.parameters import ScreenParameters
from storage.recorder import Recorder
from tests.campaigns import RecordingSteps

parameters, where, count = json.loads(sys.argv[1]), sys.argv[2], int(sys.argv[3])
seen = 0

def passed(stage):
    global seen
    seen += stage == where
    if seen == count:
        os.kill(os.getpid(), signal.SIGKILL)

class Dying(RecordingSteps):
    def over_pool(self, stage, call, payloads):
        for found in super().over_pool(stage, call, payloads):
            passed(stage)
            yield found
    def here(self, stage, call, payload):
        result = super().here(stage, call, payload)
        passed(stage)
        return result

class DyingRecorder(Recorder):
    def publish(self, **named):
        result = super().publish(**named)
        passed("publish")
        return result

import flows.context
flows.context.Recorder = DyingRecorder
run_campaign(ScreenParameters(**parameters), Dying())
"""


@pytest.fixture
def undisturbed(tmp_path, checkpoint, bench):
    """The tables of a run on the same folder that nothing happened to."""
    write_good(bench.folder)
    write_bad(bench.folder)
    (tmp_path / "undisturbed").mkdir()
    other = Bench(tmp_path / "undisturbed", checkpoint)
    other.folder = bench.folder
    other.screen(batch_size=1, max_file_mb=MAX_FILE_MB)
    return other.tables()


@pytest.mark.parametrize(
    ("stage", "count"),
    [
        ("featurize", 2),
        pytest.param("publish", 1, marks=pytest.mark.slow),
    ],
)
def test_a_killed_run_is_completed_by_the_next(bench, undisturbed, stage, count):
    """With files among the good ones that cannot be read: the kill matrix has none, and more moments."""
    parameters = bench.parameters(batch_size=1, max_file_mb=MAX_FILE_MB)
    done = subprocess.run(
        [sys.executable, "-c", SCREEN_AND_DIE, parameters.model_dump_json(), stage, str(count)],
        cwd=ROOT, check=False, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == -signal.SIGKILL, done.stderr
    summary = bench.screen(batch_size=1, max_file_mb=MAX_FILE_MB)
    assert summary.n_with_result == len(GOOD)
    assert_same(bench.tables(), undisturbed)
    # What was recorded before was not computed again.
    assert "read" not in bench.steps.ran
    if stage == "publish":
        assert "predict" not in bench.steps.ran
    assert {row["status"] for row in queries.runs(bench.database)} == {"running", "completed"}
    assert bench.screen(batch_size=1, max_file_mb=MAX_FILE_MB).n_computed == 0


def command(bench: Bench, *more: str) -> list[str]:
    return [
        sys.executable, "-m", "flows.cli.main", "screen", "--path", str(bench.folder), "--model",
        str(bench.checkpoint), "--database", str(bench.database), "--batch-size", "1", "--max-file-mb",
        str(MAX_FILE_MB), "--json", *more,
    ]  # fmt: skip


def wait_for(what: Callable[[], object]) -> None:
    """Look again and again until something is so."""
    pause = threading.Event()
    for _ in range(int(PATIENCE_S / POLL_S)):
        if what():
            return
        pause.wait(POLL_S)
    pytest.fail("waited in vain")


def in_session(leader: int) -> list[str]:
    """Process numbers and commands of a session, those left out that have ended and await their parent."""
    listed = subprocess.run(
        ["ps", "-eo", "sid=,stat=,pid=,args="], capture_output=True, text=True, check=True
    ).stdout.splitlines()
    rows = [line.split(maxsplit=2) for line in listed]
    return [row[2] for row in rows if int(row[0]) == leader and not row[1].startswith("Z")]


@pytest.mark.slow
@pytest.mark.parametrize("flags", [["--no-prefect"], []], ids=["plain", "flow"])
@pytest.mark.parametrize("name", ["SIGKILL", "SIGINT"])
def test_a_stopped_command_leaves_nothing_behind(bench, undisturbed, flags, name):
    home = bench.folder.parent / "home"
    home.mkdir()
    environment = dict(os.environ) | {"PREFECT_HOME": str(home), "OMP_NUM_THREADS": "1"}
    said = bench.folder.parent / "said.txt"
    with said.open("w") as file:
        process = subprocess.Popen(
            command(bench, *flags),
            stdout=file,
            stderr=file,
            cwd=ROOT,
            env=environment,
            start_new_session=True,
            preexec_fn=heed_interrupts,  # noqa: PLW1509 - no thread of this process forks beside it
        )
    try:
        shards = bench.database.parent / "lihop.duckdb.work" / "shards"
        wait_for(lambda: list(shards.glob("hops-*.hops.parquet")) or process.poll() is not None)
        if name == "SIGKILL":
            os.kill(process.pid, signal.SIGKILL)
        else:
            # As the terminal does: to every process of the group.
            os.killpg(process.pid, signal.SIGINT)
        expected = -signal.SIGKILL if name == "SIGKILL" else 128 + signal.SIGINT
        assert process.wait(PATIENCE_S) == expected, said.read_text()
        told = [line for line in said.read_text().splitlines() if line.startswith("lihop: interrupted; ")]
        assert len(told) == (name == "SIGINT"), said.read_text()
        assert "Traceback" not in said.read_text()
        # Prefect's own ephemeral server outlives a parent that was killed; that is not ours to end.
        served = {"uvicorn"} if name == "SIGKILL" else set()
        wait_for(lambda: all(served & set(line.split()) for line in in_session(process.pid)))
    finally:
        for line in in_session(process.pid):
            os.kill(int(line.split()[0]), signal.SIGKILL)
        process.wait()
    done = subprocess.run(
        command(bench, *flags), capture_output=True, text=True, cwd=ROOT, env=environment, check=False
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["n_with_result"] == len(GOOD)
    assert_same(tables(bench.database), undisturbed)
