"""A gate at which a run waits for its kill, so that no machine is too quick for a moment to be met.

The gate is a file beside the database of the run, which says what the run may not go beyond. lihop knows
nothing of it: a process that is started with this folder on its PYTHONPATH has three of its calls patched, by
which shards are put in place, rows merged and the database copied. Where there is no gate they do as ever.

Importing this changes nothing, and asks for nothing of lihop: every process of a run does so when it starts.
"""

from __future__ import annotations

import fcntl
import importlib.abc
import importlib.machinery
import json
import os
import shutil
import sys
import time
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from types import ModuleType

FOLDER = Path(__file__).resolve().parent
GATE, WAITING, TURN = "gate.json", "gate.waits-for-", "gate.turn"
POLL_S = 0.02
PATIENCE_S = 900.0
"""Longest wait: whoever kills would have given up by then, and a process that waits for ever is left over."""

RECORDER = "storage.recorder"
PUBLISHING = "publishing.tmp"
SUFFIX = ".stage_results.parquet"
"""End of the name of a shard of results: the last of a batch that counts."""

RECORDED, PUBLISHED = "recording", "publishing"


@dataclass(frozen=True)
class Gate:
    """How far a run may go.

    Parameters
    ----------
    stage : str
        Of which no more batches may be finished than `done`. Where this is recording or publishing, the run
        waits in the middle of it, as soon as so many batches are featurized.
    done : int
        Batches.
    merges : int
        For recording: of how many tables rows are merged then before the run waits, inside a transaction.
    """

    stage: str
    done: int
    merges: int = 1

    def close(self, database: Path) -> None:
        """Put the gate beside a database, whose folder is made, in the place of one that is there."""
        database.parent.mkdir(parents=True, exist_ok=True)
        new = database.parent / f"{GATE}.new"
        new.write_text(json.dumps(asdict(self)), encoding="utf-8")
        new.replace(database.parent / GATE)


def lift(database: Path) -> None:
    """Let the run of a database, and the one that completes it, go on."""
    (database.parent / GATE).unlink(missing_ok=True)


def waits(database: Path, stage: str) -> bool:
    """Tell whether a run has come to a gate of a stage."""
    return (database.parent / f"{WAITING}{stage}").exists()


def finished(shards: Path, stage: str) -> int:
    """Return how many batches of a stage have left their shards of results in a folder."""
    return sum(stage_of(path) == stage for path in shards.glob(f"*{SUFFIX}"))


def stage_of(shard: Path) -> str:
    """Return the stage that a shard of results is of: its name is its batch, the model, and what else."""
    stem = shard.name.removesuffix(SUFFIX)
    if stem.startswith("candidates-"):
        return "reading"
    return ("featurizing", "predicting", "percolating")[stem.count(".")]


def paced(variables: Mapping[str, str]) -> dict[str, str]:
    """Return an environment whose processes wait at gates."""
    before = variables.get("PYTHONPATH")
    return dict(variables) | {"PYTHONPATH": os.pathsep.join([str(FOLDER), *([before] if before else [])])}


def install() -> None:
    """Patch what this process calls."""
    Path.replace = _at_shards(Path.replace)
    shutil.copyfile = _at_copies(shutil.copyfile)
    # What merges rows is imported by the process itself, and later; a process of the pool never does.
    sys.meta_path.insert(0, _Recorder())


def _gate_of(work: Path) -> Gate | None:
    """Return the gate of the database that a working folder is of, if there is one."""
    try:
        return Gate(**json.loads((work.parent / GATE).read_text(encoding="utf-8")))
    except FileNotFoundError:
        return None


def _is_reached(gate: Gate, stage: str, work: Path) -> bool:
    """Tell whether a run is to wait in the middle of a stage."""
    return gate.stage == stage and finished(work / "shards", "featurizing") >= gate.done


def _wait(work: Path, gate: Gate) -> None:
    """Wait in the middle of a stage until the gate is lifted, or another is in its place."""
    end = time.monotonic() + PATIENCE_S
    while _gate_of(work) == gate:
        _doze(work, gate, end)


def _doze(work: Path, gate: Gate, end: float) -> None:
    """Say what the run waits for, and wait a little."""
    (work.parent / f"{WAITING}{gate.stage}").touch()
    if time.monotonic() > end:
        raise TimeoutError(f"nobody lifted {gate} within {PATIENCE_S:g} s")
    time.sleep(POLL_S)


def _at_shards(replace: Callable[..., Path]) -> Callable[..., Path]:
    """Return `Path.replace`, which waits before it puts a shard of results in place that is one too many."""

    def wrapped(self: Path, target: Any) -> Path:
        shard = Path(target)
        if not shard.name.endswith(SUFFIX):
            return replace(self, target)
        work = shard.parents[1]
        end = time.monotonic() + PATIENCE_S
        while (gate := _gate_of(work)) is not None:
            # By turns: of two processes at once each would find room for one more.
            with _turn(work):
                if stage_of(shard) != gate.stage or finished(shard.parent, gate.stage) < gate.done:
                    return replace(self, target)
            _doze(work, gate, end)
        return replace(self, target)

    return wrapped


@contextmanager
def _turn(work: Path) -> Iterator[None]:
    """Let one process of a run at a time into the body; one that is killed in there leaves it."""
    with (work.parent / TURN).open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _at_copies(copyfile: Callable[..., Any]) -> Callable[..., Any]:
    """Return `shutil.copyfile`, which waits when half of a copy that is to be published is written."""

    def wrapped(source: Any, target: Any, **named: Any) -> Any:
        work = Path(target).parent
        gate = _gate_of(work) if Path(target).name == PUBLISHING else None
        if gate is None or not _is_reached(gate, PUBLISHED, work):
            return copyfile(source, target, **named)
        content = Path(source).read_bytes()
        with Path(target).open("wb") as stream:
            stream.write(content[: len(content) // 2])
            stream.flush()
            _wait(work, gate)
            stream.write(content[len(content) // 2 :])
        return target

    return wrapped


def _at_merges(merge: Callable[..., None]) -> Callable[..., None]:
    """Return the merge of the recorder, which waits after so many tables: nothing is committed then."""
    merged = 0

    def wrapped(connection: Any, row_type: Any, data: Any) -> None:
        nonlocal merged
        merge(connection, row_type, data)
        work = _file_of(connection).parent
        gate = _gate_of(work)
        if gate is not None and _is_reached(gate, RECORDED, work):
            merged += 1
            if merged >= gate.merges:
                _wait(work, gate)

    return wrapped


def _file_of(connection: Any) -> Path:
    """Return the database file that a connection is in."""
    asked = "SELECT path FROM duckdb_databases() WHERE database_name = current_database()"
    ((path,),) = connection.execute(asked).fetchall()
    return Path(path)


class _Recorder(importlib.abc.MetaPathFinder):
    """Finds the recorder as ever, and patches it once it is imported."""

    def find_spec(
        self, name: str, path: Any = None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        spec = importlib.machinery.PathFinder.find_spec(name, path, target) if name == RECORDER else None
        if spec is None or spec.loader is None:
            return None
        execute = spec.loader.exec_module

        def exec_module(module: ModuleType) -> None:
            execute(module)
            module.merge = _at_merges(module.merge)

        spec.loader.exec_module = exec_module
        return spec
