"""Ctrl-C ends a screening in one line, and what it had done is there to be ranked."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from tests.campaigns import GOOD, write_good
from tests.children import heed_interrupts

ROOT = Path(__file__).resolve().parents[3]
POLL_S = 0.05
PATIENCE_S = 120.0

# The command in a process whose prediction does not end before it is interrupted.
SCREEN_AND_WAIT = """
import sys, threading
from pathlib import Path
import flows.computing
from flows.cli.main import main

reached = Path(sys.argv.pop(1))

def wait(self, batches):
    list(batches)
    reached.touch()
    threading.Event().wait(600)

flows.computing.load_checkpoint = lambda context: None
flows.computing.Pass._predicted = wait
main()
"""


def wait_for(path, process):
    pause = threading.Event()
    for _ in range(int(PATIENCE_S / POLL_S)):
        if path.exists() or process.poll() is not None:
            return
        pause.wait(POLL_S)
    pytest.fail("waited in vain")


def test_a_plain_run(lihop, bench):
    write_good(bench.folder)
    reached = bench.folder.parent / "reached"
    flags = ["--path", bench.folder, "--model", bench.checkpoint, "--database", bench.database]
    flags += ["--no-prefect", "--workers", "1"]
    with subprocess.Popen(
        [sys.executable, "-c", SCREEN_AND_WAIT, reached, "screen", *flags],
        cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True,
        preexec_fn=heed_interrupts,  # noqa: PLW1509 - no thread of this process forks beside it
    ) as process:  # fmt: skip
        wait_for(reached, process)
        os.killpg(process.pid, signal.SIGINT)
        out, err = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 130, err
    assert out == ""
    lines = [line for line in err.splitlines() if line.startswith("lihop: ")]
    assert lines == ["lihop: interrupted; what was done is kept, run the same command to go on"]
    assert "Traceback" not in err
    rows = json.loads(lihop("rank", "--json", "--database", bench.database).out)
    assert {row["material_id"] for row in rows} == set(GOOD)
    assert lihop("screen", *flags).code == 0
