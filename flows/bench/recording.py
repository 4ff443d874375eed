"""What bench `storage` times at scale, in a process of its own: its memory is then that of recording alone.

`python -m flows.bench.recording FOLDER MATERIALS BLOCKS` records the shards of a folder, publishes and asks,
and prints what that took as JSON.
"""

from __future__ import annotations

import json
import sys
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING

from flows.bench.generated import RUN_ID, Block, hash_of
from flows.bench.measure import timed
from flows.bench.peak import peak_mb
from storage.database import reading
from storage.recorder import Recorder
from storage.records import Candidate, Hop, Percolation, Prediction, Run, RunMaterial, StageResult
from storage.rows import Stage

if TYPE_CHECKING:
    from collections.abc import Sequence

    import duckdb

AGAIN = 10
"""One in so many blocks is recorded a second time, among the others: nothing of it may be there twice."""

ASKED_TIMES = 5
OTHERS = (Prediction, Candidate, Percolation, RunMaterial)

QUESTIONS = {
    "ranking row": "FROM rankings WHERE structure_hash = $hash",
    "hops with the best barrier": "FROM hop_barriers WHERE structure_hash = $hash AND working_ion = 'Li'",
    "hops": "FROM hops WHERE structure_hash = $hash",
    "predictions": "FROM predictions WHERE structure_hash = $hash",
    "by its id": "FROM rankings WHERE material_id = $name",
}
"""What is asked of a single material, by what it is called here."""


def run_row() -> Run:
    """Return the run that all generated materials are of."""
    return Run(
        run_id=RUN_ID,
        name="bench",
        source="bench",
        working_ion="Li",
        settings_json="{}",
        settings_digest="bench",
        model_digest="bench",
        code_version="bench",
        started_at=datetime.now(UTC),
        status="running",
    )


def shard_of(folder: Path, block: int, table: str) -> Path:
    """Return where the shard of a block's table lies."""
    return folder / f"{block:05d}.{table}.parquet"


def measure(folder: Path, materials: int, blocks: int) -> dict[str, object]:
    """Record, publish and ask; return what it took.

    Parameters
    ----------
    folder : Path
        Holds the shards; the database is made there too.
    materials, blocks : int
        How many materials, in how many blocks.
    """
    database = folder / "lihop.duckdb"
    recorder = Recorder(database)
    recorder.start_run(run_row())
    hops_s, given = timed(partial(_record_hops, recorder, folder, blocks))
    others_s, others = timed(partial(_record_others, recorder, folder, blocks))
    publish_s, _ = timed(recorder.publish)
    again_s, _ = timed(recorder.publish)
    with reading(database) as connection:
        rows = {row.table: _count(connection, row.table) for row in (Hop, *OTHERS)}
        ranking_s, ranked = timed(partial(_ask, connection, "FROM rankings"))
        asked = _of_one_material(connection, Block(materials // 2, 1).names[0])
    total = sum(rows.values())
    return {
        "materials": materials,
        "hops": rows[Hop.table],
        "predictions": rows[Prediction.table],
        "transactions": blocks,
        "hops recorded/s": given / hops_s,
        "hops given again": given - rows[Hop.table],
        "other rows recorded/s": others / others_s,
        "publish_s": publish_s,
        "publish again_s": again_s,
        "ranking of all_s": ranking_s,
        "ranking rows": ranked,
        **{f"{name} of one material (ms)": 1000 * seconds for name, seconds in asked.items()},
        "peak memory (MB)": peak_mb(),
        "bytes a row": database.stat().st_size / total,
        "shard bytes a hop": sum(shard_of(folder, n, Hop.table).stat().st_size for n in range(blocks))
        / rows[Hop.table],
    }


def _record_hops(recorder: Recorder, folder: Path, blocks: int) -> int:
    """Record the hops, a transaction a shard; return how many rows were given."""
    given = 0
    for block in range(blocks):
        for _ in range(2 if block % AGAIN == AGAIN - 1 else 1):
            given += recorder.record([shard_of(folder, block, Hop.table)], [_done(block)])[Hop.table]
    return given


def _record_others(recorder: Recorder, folder: Path, blocks: int) -> int:
    """Record everything else, a transaction a block; return how many rows were given."""
    return sum(
        sum(recorder.record([shard_of(folder, block, row.table) for row in OTHERS]).values())
        for block in range(blocks)
    )


def _done(block: int) -> StageResult:
    """Return the note, in the same transaction, that a block is recorded."""
    return StageResult(stage_key=f"block {block}", working_ion="Li", stage=Stage.HOPS, n_rows=0)


def _of_one_material(connection: duckdb.DuckDBPyConnection, name: str) -> dict[str, float]:
    """Return the median seconds of each question about one material, the first time left out."""
    found = {}
    for question, statement in QUESTIONS.items():
        asked = {"hash": hash_of(name)} if "$hash" in statement else {"name": name}
        ask = partial(_ask, connection, statement, asked)
        ask()
        found[question] = median(timed(ask)[0] for _ in range(ASKED_TIMES))
    return found


def _ask(connection: duckdb.DuckDBPyConnection, statement: str, asked: dict[str, str] | None = None) -> int:
    """Return how many rows an answer has, all of which are in hand then, as Arrow."""
    rows: int = connection.sql(statement, params=asked).to_arrow_table().num_rows
    return rows


def _count(connection: duckdb.DuckDBPyConnection, table: str) -> int:
    (found,) = connection.execute(f"SELECT count(*) FROM {table}").fetchall()  # noqa: S608 - ours
    return int(found[0])


def main(arguments: Sequence[str]) -> None:
    """Measure what is asked for and print it."""
    folder, materials, blocks = arguments
    print(json.dumps(measure(Path(folder), int(materials), int(blocks))))  # noqa: T201 - read by the bench


if __name__ == "__main__":
    main(sys.argv[1:])
