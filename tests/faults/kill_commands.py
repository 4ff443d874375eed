"""Kills of `lihop screen` and of the processes of its pool, case by case."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.faults.kill_cases import BY_ITSELF, FLOW, POOL, Outcome, asked_for
from tests.faults.kill_nursery import ENDED, SAID, STARTED
from tests.faults.killing import (
    Victim,
    hold,
    lost_and_doubled,
    of_pool,
    results,
    send,
)
from tests.faults.pace.pacing import paced
from tests.processes import descendants, lives
from tests.servers.workstation import environment

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.faults.kill_cases import Case

ROOT = Path(__file__).resolve().parents[2]
PATIENCE_S = 240.0
POLL_S = 0.05


class Nursery:
    """The process that forks commands.

    Parameters
    ----------
    process : Popen
        The process.
    """

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process

    def fork(self, folder: Path, arguments: list[str]) -> int:
        """Start a command; return its process."""
        self.process.stdin.write(json.dumps({"folder": str(folder), "arguments": arguments}) + "\n")
        self.process.stdin.flush()
        return self._told(STARTED)

    def ended(self) -> int:
        """Wait for the command and return its exit code."""
        return self._told(ENDED)

    def _told(self, about: str) -> int:
        """Return the next number about something; what was left unread of another command is passed over."""
        while line := self.process.stdout.readline():
            what, number = line.split()
            if what == about:
                return int(number)
        raise AssertionError("the nursery is gone")


@contextmanager
def nursery(home: Path) -> Iterator[Nursery]:
    """Yield a nursery, whose commands have Prefect's home in a folder."""
    with subprocess.Popen(
        [sys.executable, "-m", "tests.faults.kill_nursery"], cwd=ROOT, env=paced(environment(home)),
        text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
    ) as process:  # fmt: skip
        yield Nursery(process)
        process.stdin.close()


def outcome_of(
    case: Case, root: Path, checkpoint: Path, expected: dict[str, list[Any]], forks: Nursery
) -> Outcome:
    """Screen in a folder of its own, kill what the case says, complete the run and look at what there is."""
    folder = root / case.name
    case.moment.gate.close(folder / "lihop.duckdb")
    prefect = case.what == FLOW
    process = forks.fork(
        folder, arguments(checkpoint, folder, 2 if case.what == POOL else 1, prefect=prefect)
    )
    victim = Victim(
        folder / "lihop.duckdb",
        case.moment,
        lambda: [process, *of_pool(sorted(descendants(process)))],
        lambda: "" if lives(process) else f"it said: {(folder / SAID).read_text()}",
    )
    try:
        hold([victim], PATIENCE_S)
        pool = of_pool(victim.held)
        killed_at = time.monotonic()
        if case.what == POOL:
            send(random.Random(case.moment.seed).choice(pool), signal.SIGKILL)
            victim.go_on()
            assert forks.ended() == 0, (folder / SAID).read_text()
            found_s, completed_by = 0.0, BY_ITSELF
        else:
            send(process, signal.SIGKILL)
            victim.go_on()
            assert forks.ended() == -signal.SIGKILL
            found_s = time.monotonic() - killed_at
            _wait_until_gone(pool)
            completed_by = _complete(case, folder, checkpoint, forks)
    finally:
        _end_session(process)
    lost, doubled = lost_and_doubled(results(victim.database), expected)
    return Outcome(found_s, completed_by, lost, doubled, victim.recomputed())


def arguments(checkpoint: Path, folder: Path, workers: int, *, prefect: bool) -> list[str]:
    """Return the arguments of the command that screens into a database of a folder."""
    asked = asked_for(checkpoint, folder / "lihop.duckdb") | {"workers": workers}
    flags = [part for name, value in asked.items() for part in (f"--{name.replace('_', '-')}", str(value))]
    return ["screen", "--json", "--prefect" if prefect else "--no-prefect", *flags]


def _end_session(leader: int) -> None:
    """Kill what is left of a session: Prefect's ephemeral server outlives a parent that was killed."""
    if leader <= 1:
        raise ValueError(f"{leader} leads no session of ours")
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                session = os.getsid(int(entry.name))
            except ProcessLookupError:
                continue
            if session == leader:
                send(int(entry.name), signal.SIGKILL)


def _wait_until_gone(pids: list[int]) -> None:
    """Wait until processes have ended by themselves, as those of a pool do whose run is gone."""
    end = time.monotonic() + PATIENCE_S
    while any(map(lives, pids)):
        assert time.monotonic() < end, "the pool outlives its run"
        time.sleep(POLL_S)


def _complete(case: Case, folder: Path, checkpoint: Path, forks: Nursery) -> str:
    """Complete a run that was killed: by its name, or by the same command, by turns."""
    by_name = case.moment.seed % 2 == 0
    prefect = case.what == FLOW
    again = arguments(checkpoint, folder, 1, prefect=prefect)
    if by_name:
        again = [
            *again[:3],
            "--resume",
            "latest",
            "--database",
            str(folder / "lihop.duckdb"),
            "--workers",
            "1",
        ]
    process = forks.fork(folder, again)
    code = forks.ended()
    _end_session(process)
    assert code == 0, (folder / SAID).read_text()
    return "`lihop screen --resume latest`" if by_name else "the same command"
