"""Processes and what they have started, from the kernel's own list."""

from __future__ import annotations

import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

PATIENCE_S, LOOK_S = 60.0, 0.02


def until(condition: Callable[[], Any]) -> Any:
    """Wait until something holds and return it."""
    end = time.monotonic() + PATIENCE_S
    while not (found := condition()):
        assert time.monotonic() < end, "it never came"
        time.sleep(LOOK_S)
    return found


def state_of(pid: int) -> str | None:
    """Return the letter by which the kernel tells what a process does; nothing where it is gone."""
    with suppress(FileNotFoundError, ProcessLookupError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    return None


def lives(pid: int) -> bool:
    """Tell whether a process is there and more than a number that its parent has not asked about yet."""
    return state_of(pid) not in {None, "Z", "X"}


def descendants(*ancestors: int) -> set[int]:
    """Return the processes that some have started, and those that these have; not those that are over."""
    parents = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            state, parent, *_ = stat.read_text(encoding="utf-8").rpartition(")")[2].split()
            if state != "Z":
                parents[int(stat.parent.name)] = int(parent)
    found = set(ancestors)
    while more := {pid for pid, parent in parents.items() if parent in found} - found:
        found |= more
    return found - set(ancestors)


def with_variable(name: str, value: str) -> set[int]:
    """Return the processes that have a variable in their environment, but for those that have ended."""
    wanted = f"{name}={value}".encode()
    found = set()
    for environment in Path("/proc").glob("[0-9]*/environ"):
        # That of a process that has ended and that nobody has asked about is empty.
        with suppress(OSError):
            if wanted in environment.read_bytes().split(b"\0"):
                found.add(int(environment.parent.name))
    return found
