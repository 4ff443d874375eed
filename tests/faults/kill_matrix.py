"""Writes docs/kill-matrix.md: `python -m tests.faults.kill_matrix FILE [FOLDER [commands|served]]`.

Kills everything that the tests of the matrix kill, in about half an hour, and writes down what was
measured. FOLDER keeps what each part measured, and a part of which it has something is not played again.
"""

from __future__ import annotations

import json
import shutil
import sys
import tempfile
from dataclasses import asdict
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.campaigns import write_checkpoint
from tests.faults import kill_commands, kill_served
from tests.faults.kill_cases import (
    BATCHES,
    BY_ITSELF,
    COMMANDS,
    FOUND_WITHIN_S,
    SERVED,
    SILENT,
    Outcome,
    undisturbed,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from tests.faults.kill_cases import Case

COMMAND = "python -m tests.faults.kill_matrix docs/kill-matrix.md"
HEAD = (
    *("killed", "when", "found after / s", "completed by"),
    *("rows lost", "rows doubled", "batches recomputed"),
)
CASES = (*COMMANDS, *SERVED)
UNPLAYED = "Not measured when this was written"


def main(file: Path, kept: Path | None, parts: Sequence[str] = ()) -> None:
    """Play the matrix, or parts of it, and write the page, which tells what was not played."""
    # Kept where something fails: the databases and the server's log are what tells why.
    root = Path(tempfile.mkdtemp(prefix="lihop-kill-matrix-"))
    sys.stderr.write(f"The campaigns that are killed are in {root}, until all of them are completed.\n")
    kept = root if kept is None else kept
    kept.mkdir(exist_ok=True)
    checkpoint = write_checkpoint(root / "checkpoint")
    expected = undisturbed(root, checkpoint)
    found: dict[Case, Outcome] = {}
    for part in parts or PARTS:
        play = PARTS[part]
        found |= _measured(kept / f"{play.__name__}.json", partial(play, root, checkpoint, expected))
    shutil.rmtree(root)
    file.write_text(page(found, sum(map(len, expected.values()))), encoding="utf-8")


def _play_commands(root: Path, checkpoint: Path, expected: dict[str, list[Any]]) -> dict[Case, Outcome]:
    with kill_commands.nursery(root) as forks:
        return {case: kill_commands.outcome_of(case, root, checkpoint, expected, forks) for case in COMMANDS}


def _play_served(root: Path, checkpoint: Path, expected: dict[str, list[Any]]) -> dict[Case, Outcome]:
    runs = kill_served.Matrix(root, checkpoint).play()
    return {run.case: kill_served.outcome_of(run, expected) for run in runs}


PARTS = {"commands": _play_commands, "served": _play_served}


def _measured(file: Path, play: Callable[[], dict[Case, Outcome]]) -> dict[Case, Outcome]:
    """Return what a part of the matrix came to: what is kept of it, or what is measured now."""
    if not file.exists():
        found = {f"{case.what}, {case.moment}": asdict(one) for case, one in play().items()}
        file.write_text(json.dumps(found, indent=1), encoding="utf-8")
    kept = json.loads(file.read_text(encoding="utf-8"))
    named = {f"{case.what}, {case.moment}": case for case in CASES}
    return {named[name]: Outcome(**one) for name, one in kept.items()}


def page(found: Mapping[Case, Outcome], n_rows: int) -> str:
    """Return the page."""
    rows = [_row(_cells(case, found[case])) for case in CASES if case in found]
    table = "\n".join([_row(HEAD), _row(["---"] * len(HEAD)), *rows])
    return f"""# What is killed, and when

Written by `{COMMAND}`, with Prefect {version("prefect")} and DuckDB {version("duckdb")}.
`make kill-matrix` (`tests/faults/test_kill_matrix.py`, `test_kill_matrix_served.py`) kills the same, and
fails at a row that is lost or doubled, at a batch that is computed again, and at a death that is not found
within {FOUND_WITHIN_S:g} s.

- **Runs**: a screening of {BATCHES} reference cathodes on straight paths, a material a batch. It ends with
  {n_rows} rows in the tables that hold results and in `rankings`.
- **Killed**: by `kill -9`, at so many finished batches of a stage and a seeded time later. So that no
  machine is too quick for a moment, the run waits for it at a gate, which is patched into its processes and
  not in lihop: up to its mark it goes on freely, and after it until it would put one more shard of that
  stage in place. In the middle of recording or publishing it waits itself, where so many batches are
  featurized: inside a transaction, after a seeded number of tables, or with half of a copy written. The run
  is then stopped (`SIGSTOP`), what it has recorded is read from a copy of its working file, the gate is
  lifted, then comes the kill.
- **Found**: until the command has its exit code or the server the final state. A run that was killed with
  its worker says nothing any more: the automation of `lihop deploy` marks it as crashed. Of a run that
  went on by itself there is nothing to find. A flow whose worker alone was killed ends with it, and says so.
  Where barriers were being predicted in the GPU pool, found is when the screening says that it predicts
  them in its own process.
- **Lost, doubled**: rows that are not there or not as in an undisturbed run (numbers within 1e-4, since a
  network's last digits depend on the batch it sees), and rows that it does not have. Timestamps, names of
  shards and identifiers of runs are free.
- **Recomputed**: batches of any stage that were computed after the kill although a result of theirs had
  been recorded before it.

{len(found)} cases: {_total(found, "rows_lost")} rows lost, {_total(found, "rows_doubled")} doubled,
{_total(found, "recomputed")} batches recomputed.{_silence(found)}

{table}
{_unplayed(found)}"""


def _silence(found: Mapping[Case, Outcome]) -> str:
    """Return how long it took until missing heartbeats told of a run, where there was one to tell of."""
    waited = [one.found_s for case, one in found.items() if case.what in SILENT]
    if not waited:
        return ""
    return f" Missing heartbeats told of a run after\n{min(waited):.0f} to {max(waited):.0f} s."


def _unplayed(found: Mapping[Case, Outcome]) -> str:
    """Return which cases the page says nothing of."""
    left = [case for case in CASES if case not in found]
    if not left:
        return ""
    lines = "\n".join(f"- {case.what}: {case.moment}" for case in left)
    return f"\n{UNPLAYED}, {len(left)} cases:\n\n{lines}\n"


def _total(found: Mapping[Case, Outcome], name: str) -> int:
    return sum(getattr(one, name) for one in found.values())


def _cells(case: Case, one: Outcome) -> list[str]:
    counts = [str(one.rows_lost), str(one.rows_doubled), str(one.recomputed)]
    found = "went on" if one.completed_by == BY_ITSELF else f"{one.found_s:.1f}"
    return [case.what, str(case.moment), found, one.completed_by, *counts]


def _row(cells: list[str] | tuple[str, ...]) -> str:
    return f"| {' | '.join(cells)} |"


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]) if len(sys.argv) > 2 else None, sys.argv[3:])
