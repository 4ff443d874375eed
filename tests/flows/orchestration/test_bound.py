"""Programs that end when who started them is gone, killed or not."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.processes import PATIENCE_S, lives, until

ROOT = Path(__file__).resolve().parents[3]
QUICK = "from flows.orchestration import bound; bound.GRACE_S = 0.2; bound.main()"

# Starts one process, and one that the first has to wait for; tells their numbers.
STARTER = """
import os, sys, time
from pathlib import Path
from flows.orchestration.processes import Kept

def kept(name, *before):
    command = [sys.executable, "-m", "flows.orchestration.bound", "waiting", name]
    return Kept(name, command, os.environ, Path(name + ".log"), *before)

first = kept("first")
second = kept("second", first)
first.start()
second.start()
print(first.pid, second.pid, flush=True)
time.sleep(600)
"""

# Hears that it is to end, and ends when a file says so; tells what it can read.
WAITING = """
import signal, sys, time
from pathlib import Path

name = sys.argv[1]
signal.signal(signal.SIGTERM, lambda *_: Path(name + ".heard").touch())
Path(name + ".read").write_text(repr(sys.stdin.read()))
while not Path(name + ".go").exists():
    time.sleep(0.02)
"""

# Does not hear, and has a child in a session of its own.
DEAF = """
import os, signal, subprocess, sys, time
from pathlib import Path

signal.signal(signal.SIGTERM, signal.SIG_IGN)
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"], start_new_session=True)
Path("child.part").write_text(str(child.pid))
Path("child.part").rename("child")
time.sleep(600)
"""


@pytest.fixture
def here(tmp_path):
    """Return a folder with the programs, and the environment that finds them and lihop."""
    for name, text in {"starter": STARTER, "waiting": WAITING, "deaf": DEAF}.items():
        (tmp_path / f"{name}.py").write_text(text)
    return tmp_path, os.environ | {"PYTHONPATH": f"{tmp_path}{os.pathsep}{ROOT}"}


def test_who_is_killed_takes_with_it_what_it_started_in_turn(here):
    folder, environment = here
    starter = subprocess.Popen(
        [sys.executable, "starter.py"], cwd=folder, env=environment, stdout=subprocess.PIPE, text=True
    )
    with starter:
        first, second = map(int, starter.stdout.readline().split())
        # What they start would wait for ever for somebody who never says anything.
        until(lambda: all((folder / f"{one}.read").exists() for one in ("first", "second")))
        assert until((folder / "second.read").read_text) == "''"
        assert not (folder / "second.heard").exists()
        starter.kill()
    until((folder / "second.heard").exists)
    assert not (folder / "first.heard").exists()
    (folder / "second.go").touch()
    until(lambda: not lives(second))
    until((folder / "first.heard").exists)
    (folder / "first.go").touch()
    until(lambda: not lives(first))


def test_what_does_not_hear_is_killed_with_what_it_started(here):
    folder, environment = here
    with subprocess.Popen(
        [sys.executable, "-c", QUICK, "deaf"], cwd=folder, env=environment, stdin=subprocess.PIPE
    ) as deaf:
        until((folder / "child").exists)
        child = int((folder / "child").read_text())
        assert lives(child)
        deaf.stdin.close()
        assert deaf.wait(PATIENCE_S) == -signal.SIGKILL
    until(lambda: not lives(child))


def test_it_is_the_module_that_it_names(here):
    folder, environment = here
    (folder / "told.py").write_text("import sys; print(__name__, *sys.argv[1:])")
    command = [sys.executable, "-m", "flows.orchestration.bound", "told", "one", "--two"]
    with subprocess.Popen(
        command, cwd=folder, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as told:
        assert told.stdout.read() == "__main__ one --two\n"
        assert told.wait(PATIENCE_S) == 0
