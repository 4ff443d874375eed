"""Processes and what they have started, from the kernel's own list."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path


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
