"""Processes that are kept: started again when killed, and gone with all they started when stopped."""

from __future__ import annotations

import os
import signal
import sys
from functools import partial

import pytest

from flows.orchestration import processes
from flows.orchestration.processes import Kept
from tests.processes import PATIENCE_S, lives, until

# A process with a child, both of which tell their numbers and then wait. As Prefect starts flows, a child may
# be in a session of its own.
PARENT = """
import os, subprocess, sys, time
own = sys.argv[2:] == ["own"]
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"], start_new_session=own)
open(sys.argv[1], "a").write(f"{os.getpid()} {child.pid}\\n")
time.sleep(600)
"""
# The same, that does not hear, and starts its child only when it is told to end.
LATE = """
import os, signal, subprocess, sys, time

def late(*_):
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"], start_new_session=True)
    open(sys.argv[1], "a").write(f"{os.getpid()} {child.pid}\\n")

signal.signal(signal.SIGTERM, late)
open(sys.argv[1] + ".ready", "w").close()
while True:
    time.sleep(600)
"""
DEAF = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN)"


@pytest.fixture
def kept(tmp_path, monkeypatch):
    """Return a kept process that starts a child, and the pairs of process numbers that it has told so far."""
    monkeypatch.setattr(processes, "FIRST_PAUSE_S", 0.05)
    told = tmp_path / "told"
    told.touch()
    found = Kept(
        "parent", [sys.executable, "-c", PARENT, str(told)], os.environ, tmp_path / "log", _pause_s=0.05
    )
    yield found, partial(_pairs, told)
    found.stop(0)


def _pairs(told):
    return [tuple(map(int, line.split())) for line in told.read_text().splitlines()]


def test_what_is_stopped_is_gone_with_what_it_started(kept):
    one, told = kept
    one.start()
    (pair,) = until(told)
    one.ask_to_stop()
    one.stop(PATIENCE_S)
    assert not one.is_running()
    until(lambda: not any(map(lives, pair)))


def test_what_is_stopped_is_gone_with_sessions_that_it_began(kept):
    one, told = kept
    one.command = [*one.command, "own"]
    one.start()
    (pair,) = until(told)
    one.ask_to_stop()
    # It ends at once, and nobody's child is what it had started.
    until(lambda: not one.is_running())
    assert lives(pair[1])
    one.stop(PATIENCE_S)
    until(lambda: not any(map(lives, pair)))


def test_what_was_started_at_the_last_is_gone_too(tmp_path):
    told = tmp_path / "told"
    told.touch()
    one = Kept("late", [sys.executable, "-c", LATE, str(told)], os.environ, tmp_path / "log")
    one.start()
    until((tmp_path / "told.ready").exists)
    one.ask_to_stop()
    (pair,) = until(partial(_pairs, told))
    one.stop(0)
    until(lambda: not any(map(lives, pair)))


def test_what_is_killed_is_started_again_and_leaves_no_child(kept):
    one, told = kept
    one.start()
    ((pid, child),) = until(told)
    assert one.keep() is None
    os.kill(pid, signal.SIGKILL)
    text = until(one.keep)
    assert "parent ended (killed by SIGKILL); starting it again" in text
    assert str(one.log) in text
    again = until(lambda: one.keep() or (told()[1:] or None))
    assert again[0][0] == one.pid != pid
    until(lambda: not lives(child))
    assert one.starts == 2


def test_what_does_not_hear_is_killed(tmp_path):
    ready = tmp_path / "ready"
    program = f"{DEAF}; open({str(ready)!r}, 'w').close(); import time; time.sleep(600)"
    one = Kept("deaf", [sys.executable, "-c", program], os.environ, tmp_path / "log")
    one.start()
    until(ready.exists)
    one.ask_to_stop()
    one.stop(0.2)
    assert not one.is_running()


def test_pauses_grow_while_it_does_not_start(tmp_path, monkeypatch):
    one = Kept(
        "broken", [sys.executable, "-c", "raise SystemExit(3)"], os.environ, tmp_path / "log", _pause_s=0.05
    )
    one.start()
    assert "exit code 3" in until(one.keep)
    until(lambda: one.starts == 2 or one.keep())
    until(one.keep)
    assert one._pause_s == pytest.approx(0.2)
    monkeypatch.setattr(processes, "LONGEST_PAUSE_S", 0.3)
    until(lambda: one.starts == 3 or one.keep())
    until(one.keep)
    assert one._pause_s == pytest.approx(0.3)


def test_what_was_never_started_has_no_number_and_stops_at_once(tmp_path):
    one = Kept("idle", ["true"], os.environ, tmp_path / "log")
    one.stop(0)
    assert not one.is_running()
    with pytest.raises(ValueError, match="never started"):
        _ = one.pid
