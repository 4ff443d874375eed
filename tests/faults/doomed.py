"""Recorders that die: a process that forks one for each line it reads, and kills it where the line says.

A line is JSON: the folder of a case, and a point to die at, milliseconds to live, or the largest file that
may be written; and where it is not to record, what to do to a copy of which folder. The fork has
imported everything already and opened nothing, so that a kill costs little. It records batches and publishes,
and notes what was acknowledged in a file; its parent prints how it ended.
"""

from __future__ import annotations

import json
import os
import resource
import shutil
import signal
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import storage.atomic
import storage.database
import storage.snapshots
import storage.vacuum
from storage.errors import StorageError
from storage.places import paths_of
from storage.recorder import Recorder
from storage.shards import ShardInfo

if TYPE_CHECKING:
    from collections.abc import Callable

TURNS = 4
ACKNOWLEDGED = "acknowledged.txt"
DATABASE = "lihop.duckdb"


class Points:
    """Counts points and kills this process at one of them."""

    def __init__(self, last: int | None) -> None:
        self.last = last
        self.seen = 0

    def __call__(self) -> None:
        if self.seen == self.last:
            os.kill(os.getpid(), signal.SIGKILL)
        self.seen += 1

    def around(self, call: Callable[..., Any]) -> Callable[..., Any]:
        def wrapped(*given: Any, **named: Any) -> Any:
            self()
            result = call(*given, **named)
            self()
            return result

        return wrapped


class Watched:
    """A connection with a point before and after each statement, and around its end."""

    def __init__(self, connection: Any, points: Points) -> None:
        self._connection = connection
        self._points = points

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._connection, name)
        return self._points.around(found) if name in {"execute", "close", "sql"} else found


def watch(points: Points) -> None:
    """Put points round all that a recorder does to files: statements, renames, halves of copies, syncs."""
    attach = storage.database.attach
    storage.database.attach = lambda *given, **named: Watched(attach(*given, **named), points)
    connect = storage.vacuum.connect
    storage.vacuum.connect = lambda *given, **named: Watched(connect(*given, **named), points)

    def halting(source: Path, target: Path) -> None:
        content = Path(source).read_bytes()
        with Path(target).open("wb") as stream:
            stream.write(content[: len(content) // 2])
            stream.flush()
            points()
            stream.write(content[len(content) // 2 :])

    shutil.copyfile = halting
    storage.atomic.sync_file = points.around(storage.atomic.sync_file)
    Path.replace = points.around(Path.replace)


def record_all(folder: Path, shards: list[list[ShardInfo]]) -> None:
    """Record and publish batch by batch; note what was acknowledged."""
    recorder = Recorder(folder / DATABASE)
    for turn, batch in enumerate(shards):
        recorder.record(batch)
        note(folder, f"recorded {turn}")
        recorder.publish()
        note(folder, f"published {turn}")


def upkeep(folder: Path, doing: str) -> None:
    """Do to the database of a folder what somebody does who looks after it."""
    paths = paths_of(folder / DATABASE)
    if doing == "vacuum":
        storage.vacuum.vacuum(paths)
    elif doing == "restore":
        storage.snapshots.restore(paths, confirmed=True)
    else:
        storage.snapshots.take(paths, to=folder / "elsewhere.duckdb" if doing == "snapshot --to" else None)


def note(folder: Path, what: str) -> None:
    with (folder / ACKNOWLEDGED).open("a") as stream:
        stream.write(what + "\n")


def read_shards(folder: Path) -> list[list[ShardInfo]]:
    """Return what the test has put down: the shards of each batch."""
    return [
        [ShardInfo(Path(path), table, rows, digest) for path, table, rows, digest in batch]
        for batch in json.loads((folder / "shards.json").read_text())
    ]


def live(folder: Path, point: int | None, most_bytes: int | None, doing: str | None = None) -> None:
    """Be the fork."""
    points = Points(point)
    watch(points)
    if most_bytes is not None:
        # As a full disk does, but for this process alone: what would make a file larger fails.
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (most_bytes, most_bytes))
    try:
        if doing is None:
            record_all(folder, read_shards(folder.parent))
        else:
            upkeep(folder, doing)
    except StorageError as error:
        (folder / "error.txt").write_text(str(error))
    (folder / "seen.txt").write_text(str(points.seen))


def main() -> None:
    for line in sys.stdin:
        asked = json.loads(line)
        folder = Path(asked["folder"])
        if "copy_of" in asked:
            shutil.copytree(asked["copy_of"], folder)
        else:
            folder.mkdir()
        child = os.fork()
        if child == 0:
            live(folder, asked.get("point"), asked.get("most_bytes"), asked.get("doing"))
            os._exit(0)
        if "milliseconds" in asked:
            time.sleep(asked["milliseconds"] / 1000)
            os.kill(child, signal.SIGKILL)
        _, status = os.waitpid(child, 0)
        sys.stdout.write(f"{os.waitstatus_to_exitcode(status)}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
