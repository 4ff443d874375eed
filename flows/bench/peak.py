"""The peak memory of a process, and a sync in a process of its own that tells its.

`python -m flows.bench.peak PARAMETERS` syncs as the JSON of its parameters says, and prints how many entries
there were and what memory it took at most.
"""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path

from flows.parameters import SyncParameters
from flows.sync import sync


def peak_mb() -> float:
    """Return the most memory that this process has had at once, in MB.

    From the kernel's own note of this program: what getrusage tells counts its starter's too.
    """
    return _status_mb("VmHWM")


def forget_peak() -> None:
    """Have the kernel note the most memory anew, from what there is now.

    Raises
    ------
    OSError
        Where the kernel does not let a process do so.
    """
    Path("/proc/self/clear_refs").write_text("5", encoding="ascii")


def own_memory_mb() -> float:
    """Return the memory of this process that is in no file, in MB."""
    return _status_mb("RssAnon")


def _status_mb(name: str) -> float:
    """Return what the kernel notes of this process under a name, in MB."""
    status = Path("/proc/self/status").read_text(encoding="ascii")
    found = re.search(rf"{name}:\s*([0-9]+) kB", status)
    if found is None:
        raise OSError(f"/proc/self/status tells no {name}; memory is measured on Linux alone")
    return int(found[1]) / 1024


def main(parameters: str) -> None:
    """Sync and tell."""
    summary = sync(SyncParameters(**json.loads(parameters)))
    print(json.dumps({"n_total": summary.n_total, "peak_mb": peak_mb()}))  # noqa: T201 - read by the bench


if __name__ == "__main__":
    main(*sys.argv[1:])
