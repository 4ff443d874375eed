"""Kills of `lihop screen` and of the processes of its pool, case by case."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.children import heed_interrupts
from tests.faults.kill_cases import FLOW, POOL, Outcome, asked_for
from tests.faults.killing import (
    Victim,
    descendants,
    hold,
    lives,
    lost_and_doubled,
    of_pool,
    results,
    send,
)
from tests.servers.workstation import environment

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.faults.kill_cases import Case

ROOT = Path(__file__).resolve().parents[2]
PATIENCE_S = 240.0
POLL_S = 0.05


def outcome_of(case: Case, root: Path, checkpoint: Path, expected: dict[str, list[Any]]) -> Outcome:
    """Screen in a folder of its own, kill what the case says, complete the run and look at what there is."""
    folder = root / case.name
    folder.mkdir()
    workers = 2 if case.what == POOL else 1
    command = [*_command(case, folder), *_flags(checkpoint, folder, workers)]
    with _running(command, folder) as process:
        victim = Victim(
            folder / "lihop.duckdb",
            case.moment,
            lambda: [process.pid, *of_pool(descendants(process.pid))],
            lambda: process.poll() is not None,
        )
        hold([victim], PATIENCE_S)
        pool = of_pool(victim.held)
        killed_at = time.monotonic()
        if case.what == POOL:
            victim.kill([random.Random(case.moment.seed).choice(pool)])
            assert process.wait(PATIENCE_S) == 0, (folder / "said.txt").read_text()
            found_s, completed_by = 0.0, "itself"
        else:
            victim.kill([process.pid])
            assert process.wait(PATIENCE_S) == -signal.SIGKILL
            found_s = time.monotonic() - killed_at
            _wait_until_gone(pool)
            completed_by = _complete(case, folder, checkpoint)
    lost, doubled = lost_and_doubled(results(victim.database), expected)
    return Outcome(found_s, completed_by, lost, doubled, victim.recomputed())


def _command(case: Case, folder: Path) -> list[str]:
    plainly = [] if case.what == FLOW else ["--no-prefect"]
    database = str(folder / "lihop.duckdb")
    return [sys.executable, "-m", "flows.cli.main", "screen", *plainly, "--json", "--database", database]


def _flags(checkpoint: Path, folder: Path, workers: int) -> list[str]:
    asked = asked_for(checkpoint, folder / "lihop.duckdb") | {"workers": workers}
    named = {name: value for name, value in asked.items() if name != "database"}
    return [part for name, value in named.items() for part in (f"--{name.replace('_', '-')}", str(value))]


@contextmanager
def _running(command: list[str], folder: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Run a command in a session of its own; nothing of it is left in the end."""
    with (folder / "said.txt").open("wb") as said:
        process = subprocess.Popen(
            command, stdout=said, stderr=said, cwd=ROOT, env=environment(folder), start_new_session=True,
            preexec_fn=heed_interrupts,  # noqa: PLW1509 - no thread of this process forks beside it
        )  # fmt: skip
    try:
        yield process
    finally:
        for pid in _in_session(process.pid):
            send(pid, signal.SIGKILL)
        process.wait()


def _in_session(leader: int) -> list[int]:
    """Return the processes of a session: Prefect's ephemeral server outlives a parent that was killed."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and lives(int(entry.name)):
            try:
                session = os.getsid(int(entry.name))
            except ProcessLookupError:
                continue
            found += [int(entry.name)] if session == leader else []
    return found


def _wait_until_gone(pids: list[int]) -> None:
    """Wait until processes have ended by themselves, as those of a pool do whose run is gone."""
    end = time.monotonic() + PATIENCE_S
    while any(map(lives, pids)):
        assert time.monotonic() < end, "the pool outlives its run"
        time.sleep(POLL_S)


def _complete(case: Case, folder: Path, checkpoint: Path) -> str:
    """Complete a run that was killed: by its name, or by the same command, by turns."""
    by_name = case.moment.seed % 2 == 0
    more = ["--resume", "latest"] if by_name else _flags(checkpoint, folder, 1)
    done = subprocess.run(
        [*_command(case, folder), *more], capture_output=True, text=True, check=False, cwd=ROOT,
        env=environment(folder),
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return "`lihop screen --resume latest`" if by_name else "the same command"
