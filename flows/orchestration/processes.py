"""Processes that are kept running: started again when they end, and stopped with all that they started.

Each is given the end of a pipe as its standard input. Nothing is ever sent; a program that wants to end when
we are gone, killed or not, watches it (`flows.orchestration.bound`).
"""

from __future__ import annotations

import os
import signal
import subprocess
import time
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import psutil

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

FIRST_PAUSE_S, LONGEST_PAUSE_S = 1.0, 60.0
"""How long to wait before a process is started again: twice as long each time, and no longer than that."""

STEADY_S = 120.0
"""A process that ran so long had no trouble in starting: the next pause is a short one again."""

LOOK_S = 0.1
"""How often to look for what a process has started, while it ends."""


class Below:
    """The processes that some have started, those in sessions of their own too, from when they were seen.

    Whose parent has ended is nobody's child any more. So they are looked for while it lives.
    """

    def __init__(self) -> None:
        self._seen: set[psutil.Process] = set()

    def look(self, pid: int) -> None:
        """Note what a process has started up to now."""
        with suppress(psutil.NoSuchProcess):
            self._seen.update(psutil.Process(pid).children(recursive=True))

    def kill(self) -> None:
        """Kill what is left of them, and what these have started meanwhile."""
        # A number that another process has by now is not taken for one of them.
        for one in self._seen:
            with suppress(psutil.NoSuchProcess):
                for process in (one, *one.children(recursive=True)):
                    with suppress(psutil.NoSuchProcess):
                        process.kill()
        self._seen.clear()


@dataclass
class Kept:
    """A process that is started again when it ends, until it is stopped.

    Parameters
    ----------
    name : str
        What it is called in messages.
    command : sequence of str
        The program and its arguments.
    environment : mapping of str to str
        Its environment.
    log : Path
        File that takes what it prints; begun anew with each `Kept`.
    before : Kept, optional
        One that may end only when this one has ended too, where both watch their standard input.
    """

    name: str
    command: Sequence[str]
    environment: Mapping[str, str]
    log: Path
    before: Kept | None = None
    starts: int = 0
    _process: subprocess.Popen[bytes] | None = None
    _started_at: float = 0.0
    _pause_s: float = FIRST_PAUSE_S
    _again_at: float | None = field(default=None)
    _below: Below = field(default_factory=Below)
    _alive: tuple[int, int] | None = None

    def start(self) -> None:
        """Start it, in a session of its own: an interrupt from the keyboard is for us to pass on."""
        if self._alive is None:
            self._alive = os.pipe()
        held = () if self.before is None else self.before.held()
        with self.log.open("ab" if self.starts else "wb") as log:
            self._process = subprocess.Popen(  # noqa: S603 - our own command
                self.command,
                env=dict(self.environment),
                stdin=self._alive[0],
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                pass_fds=held,
            )
        self.starts += 1
        self._started_at = time.monotonic()
        self._again_at = None

    def held(self) -> tuple[int, ...]:
        """Return the end of its pipe that is ours: while anybody holds it, it is wanted."""
        return self._alive[1:] if self._alive is not None else ()

    @property
    def pid(self) -> int:
        """The identifier of the process that was started last."""
        if self._process is None:
            raise ValueError(f"{self.name} was never started")
        return self._process.pid

    def is_running(self) -> bool:
        """Tell whether it runs."""
        return self._process is not None and self._process.poll() is None

    def keep(self) -> str | None:
        """Start it again when it ended and its pause is over; return what is to be told, if anything."""
        if self._process is None or self._process.poll() is None:
            return None
        now = time.monotonic()
        if self._again_at is None:
            if now - self._started_at > STEADY_S:
                self._pause_s = FIRST_PAUSE_S
            self._again_at = now + self._pause_s
            told = f"{self.name} ended ({_how(self._process.returncode)}); starting it again, see {self.log}"
            self._kill_group()  # what it had started has nobody to answer to
            self._pause_s = min(2 * self._pause_s, LONGEST_PAUSE_S)
            return told
        if now >= self._again_at:
            self.start()
        return None

    def ask_to_stop(self) -> None:
        """Ask it to end."""
        if self.is_running() and self._process is not None:
            self._below.look(self.pid)
            self._process.send_signal(signal.SIGTERM)

    def stop(self, wait_s: float) -> None:
        """Wait until it has ended, so long at most; kill what is left of it, and of all that it started."""
        if self._process is None:
            return
        end = time.monotonic() + wait_s
        while self.is_running():
            self._below.look(self.pid)
            if time.monotonic() >= end:
                break
            with suppress(subprocess.TimeoutExpired):
                self._process.wait(LOOK_S)
        self._kill_group()
        self._below.kill()
        self._process.wait()
        self._let_go()

    def _let_go(self) -> None:
        """Close both ends of its pipe."""
        for end in self._alive or ():
            os.close(end)
        self._alive = None

    def _kill_group(self) -> None:
        """Kill what is left of its session."""
        try:
            os.killpg(self.pid, signal.SIGKILL)
        except ProcessLookupError:
            return


def _how(code: int) -> str:
    """Say how a process ended."""
    return f"exit code {code}" if code >= 0 else f"killed by {signal.Signals(-code).name}"
