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
    status = Path("/proc/self/status").read_text(encoding="ascii")
    found = re.search(r"VmHWM:\s*([0-9]+) kB", status)
    if found is None:
        raise OSError("/proc/self/status tells no VmHWM; peak memory is measured on Linux alone")
    return int(found[1]) / 1024


def main(parameters: str) -> None:
    """Sync and tell."""
    summary = sync(SyncParameters(**json.loads(parameters)))
    print(json.dumps({"n_total": summary.n_total, "peak_mb": peak_mb()}))  # noqa: T201 - read by the bench


if __name__ == "__main__":
    main(*sys.argv[1:])
