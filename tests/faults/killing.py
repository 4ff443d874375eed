"""What kills are made of: the moment of a run, what it had recorded then, and what came of it in the end."""

from __future__ import annotations

import os
import random
import shutil
import signal
import tempfile
import time
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import duckdb
import pyarrow.parquet as pq

from storage import queries
from storage.database import wal_of
from storage.places import paths_of
from storage.records import ROW_TYPES
from tests.campaigns import TABLES, assert_same, tables
from tests.faults.pace.pacing import SUFFIX, Gate, finished, lift, waits
from tests.processes import state_of

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from storage.places import DatabasePaths

POLL_S = 0.005
LINGER_S = {
    "reading": 0.1,
    "featurizing": 0.4,
    "predicting": 0.05,
    "percolating": 0.05,
    "recording": 0.005,
    "publishing": 0.005,
}
"""How long after its mark a kill may fall, at most; how long exactly is what the seed decides."""

PASSING = ("recording", "publishing")
"""Stages that come and go many times in a run. It waits in the middle of one, until it is stopped."""

MOST_MERGES = 4
"""As many tables are merged, at least, once all but one batch are featurized."""


@dataclass(frozen=True)
class Moment:
    """When a kill falls: so many batches into a stage, and a seeded time later.

    Parameters
    ----------
    stage : str
        What the run does.
    done : int
        Batches of the stage that are finished by then; of featurizing, where the stage is a passing one.
    seed : int
        Decides how long after that.
    """

    stage: str
    done: int
    seed: int

    def __str__(self) -> str:
        after = "featurized" if self.stage in PASSING else "done"
        return f"{self.stage}, {self.done} {after}, seed {self.seed}"

    @property
    def delay_s(self) -> float:
        return random.Random(self.seed).random() * LINGER_S[self.stage]

    @property
    def before(self) -> Gate:
        """Where the run may wait until it is let come to this moment, a batch later."""
        stage = "featurizing" if self.stage in PASSING else self.stage
        return Gate(stage, max(self.done - 1, 0))

    @property
    def gate(self) -> Gate:
        """What keeps the run from getting past this moment."""
        return Gate(self.stage, self.done, random.Random(self.seed).randint(1, MOST_MERGES))

    def has_come(self, paths: DatabasePaths) -> bool:
        """Tell whether the run is so far."""
        if self.stage in PASSING:
            return waits(paths.published, self.stage)
        if self.done == 0:
            return _has_begun(paths, self.stage)
        return finished(paths.shards, self.stage) >= self.done


def _has_begun(paths: DatabasePaths, stage: str) -> bool:
    if stage == "reading":
        return any(paths.manifests.glob("*.json"))
    return any(paths.shards.glob("hops-*.candidates.parquet"))


@dataclass
class Victim:
    """A run that is to be stopped at a moment, killed or not, and looked at in the end.

    It is started behind a gate, which is lifted once it stands still.

    Parameters
    ----------
    database : Path
        Its database.
    moment : Moment
        When it is stopped.
    processes : callable
        Returns its processes.
    ended : callable
        Returns how it ended by itself, nothing while it goes on.
    """

    database: Path
    moment: Moment
    processes: Callable[[], Sequence[int]]
    ended: Callable[[], str]
    held: list[int] = field(default_factory=list)
    held_at: float = 0.0
    recorded: set[str] = field(default_factory=set)
    shards: dict[str, tuple[int, int]] = field(default_factory=dict)
    _due_at: float | None = None

    @property
    def paths(self) -> DatabasePaths:
        return paths_of(self.database)

    def is_near(self) -> bool:
        """Tell whether the run waits for being let come to its moment."""
        before = self.moment.before
        if waits(self.database, before.stage):
            return True
        self._assert_goes_on()
        return False

    def look(self) -> bool:
        """Stop the run if its moment has come; return whether it stands still, at that moment."""
        now = time.monotonic()
        if self._due_at is None:
            if self.moment.has_come(self.paths):
                self._due_at = now + self.moment.delay_s
            else:
                self._assert_goes_on()
            return False
        if now < self._due_at:
            return False
        self.held = [pid for pid in self.processes() if stop(pid)]
        if not self.held:
            raise AssertionError(f"the run ended at its moment: {self.moment}")
        self.held_at = time.time()
        self.recorded, self.shards = recorded(self.paths), self._written()
        lift(self.database)
        return True

    def _assert_goes_on(self) -> None:
        if ended := self.ended():
            raise AssertionError(f"the run ended before its moment came: {self.moment}: {ended}")

    def go_on(self) -> None:
        """Let what was stopped go on, as far as it lives."""
        for pid in self.held:
            send(pid, signal.SIGCONT)

    def _written(self) -> dict[str, tuple[int, int]]:
        """Return what tells whether a shard of results was written again."""
        found = {path.name: path.stat() for path in self.paths.shards.glob(f"*{SUFFIX}")}
        return {name: (stat.st_ino, stat.st_mtime_ns) for name, stat in found.items()}

    def recomputed(self) -> int:
        """Return how many batches were computed since, of which something was recorded before."""
        new = [name for name, written in self._written().items() if self.shards.get(name) != written]
        keys = [pq.read_table(self.paths.shards / name, columns=["stage_key"]) for name in new]
        return sum(not self.recorded.isdisjoint(one["stage_key"].to_pylist()) for one in keys)


def gather(victims: Sequence[Victim], patience_s: float) -> None:
    """Wait until every run is near its moment, then let all come to it.

    None is stopped or holds the place of the recorder while others have yet to start.
    """
    _until(victims, Victim.is_near, patience_s)
    for one in victims:
        one.moment.gate.close(one.database)


def hold(victims: Sequence[Victim], patience_s: float) -> None:
    """Stop every run at its moment."""
    _until(victims, Victim.look, patience_s)


def _until(victims: Sequence[Victim], is_so: Callable[[Victim], bool], patience_s: float) -> None:
    end = time.monotonic() + patience_s
    left = list(victims)
    while left := [one for one in left if not is_so(one)]:
        if time.monotonic() > end:
            raise AssertionError(f"never came: {[str(one.moment) for one in left]}")
        time.sleep(POLL_S)


def send(pid: int, number: signal.Signals) -> bool:
    """Send a signal to a process; return whether it was there."""
    if pid <= 1:
        # These would be groups, or everything: never what a test has started.
        raise ValueError(f"{pid} is not a process of ours")
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        return False
    return True


def stop(pid: int) -> bool:
    """Stop a process and wait until it stands still; return whether it lives."""
    if not send(pid, signal.SIGSTOP):
        return False
    while (state := state_of(pid)) not in {"T", "t"}:
        if state in {None, "Z", "X"}:
            return False
        time.sleep(POLL_S)
    return True


def command_of(pid: int) -> str:
    """Return what a process runs; nothing where it is gone."""
    with suppress(FileNotFoundError, ProcessLookupError):
        return Path(f"/proc/{pid}/cmdline").read_text().replace("\0", " ")
    return ""


def of_pool(pids: Sequence[int]) -> list[int]:
    """Return those of some processes that compute batches."""
    return [pid for pid in pids if "spawn_main" in command_of(pid)]


def recorded(paths: DatabasePaths) -> set[str]:
    """Return the keys of the stages that are recorded, from a copy: as it would be found after a kill."""
    if not paths.working.exists():
        return set()
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / paths.working.name
        shutil.copyfile(paths.working, copy)
        with suppress(FileNotFoundError):
            shutil.copyfile(wal_of(paths.working), wal_of(copy))
        with duckdb.connect(str(copy)) as connection:
            return {row[0] for row in connection.execute("SELECT stage_key FROM stage_results").fetchall()}


def results(database: Path) -> dict[str, list[dict[str, Any]]]:
    """Return every row of the tables that hold results, and what the ranking says."""
    ranked = queries.rankings(database)
    kept = ("material_id", "percolation_dim", "barrier_at_dim_ev", "lower_ev", "upper_ev")
    return tables(database) | {"rankings": [{name: row[name] for name in kept} for row in ranked]}


def lost_and_doubled(found: dict[str, list[Any]], expected: dict[str, list[Any]]) -> tuple[int, int]:
    """Return how many rows are not there, or not as they should be, and how many are there too many."""
    lost = doubled = 0
    for table in (*TABLES, "rankings"):
        key = ROW_TYPES[table].key if table in ROW_TYPES else ("material_id",)
        left = {}
        for row in found[table]:
            left.setdefault(tuple(row[name] for name in key), []).append(row)
        for row in expected[table]:
            there = left.get(tuple(row[name] for name in key), [])
            if there and _alike(there[0], row):
                there.pop(0)
            else:
                lost += 1
        doubled += sum(len(rows) for rows in left.values())
    return lost, doubled


def _alike(found: dict[str, Any], expected: dict[str, Any]) -> bool:
    try:
        assert_same(found, expected)
    except AssertionError:
        return False
    return True
