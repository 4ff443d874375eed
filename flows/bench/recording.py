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

BLOCKS_A_TRANSACTION = 5
"""Shards of a table that are recorded together: what has come in meanwhile from workers."""

AGAIN = 2
"""One shard of hops in so many transactions is given again in the next: nothing of it may be there twice."""

ASKED_TIMES = 5
OTHERS = (Prediction, Candidate, Percolation, RunMaterial)

OF_ONE_MATERIAL = (
    "rankings", "candidates", "percolation", "hops", "predictions", "latest_results", "run_results",
    "run_changes", "hop_barriers", "hop_methods", "rate_limiting_hops", "method_disagreements",
    "outside_domain", "hop_rates", "diffusivities",
)  # fmt: skip
"""What is asked about a single material, by its structure and, where that is there, by its identifier."""

STRUCTURE, IDENTIFIER = "structure_hash", "material_id"
OTHERWISE = {"run_changes": "structure_hash_after"}
"""Where a structure is named by another column."""


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
        asked = of_one_material(connection, Block(materials // 2, 1).names[0])
    total = sum(rows.values())
    return {
        "materials": materials,
        "hops": rows[Hop.table],
        "predictions": rows[Prediction.table],
        "transactions of hops": len(_transactions(blocks)),
        "hops recorded/s": rows[Hop.table] / hops_s,
        "hops given/s": given / hops_s,
        "hops given again": given - rows[Hop.table],
        "other rows recorded/s": others / others_s,
        "publish_s": publish_s,
        "publish again_s": again_s,
        "ranking of all_s": ranking_s,
        "ranking rows": ranked,
        "slowest question about one material (ms)": 1000 * max(asked.values()),
        "all questions about one material (ms)": {name: 1000 * seconds for name, seconds in asked.items()},
        "peak memory (MB)": peak_mb(),
        "bytes a row": database.stat().st_size / total,
        "shard bytes a hop": sum(shard_of(folder, n, Hop.table).stat().st_size for n in range(blocks))
        / rows[Hop.table],
    }


def _transactions(blocks: int) -> list[range]:
    """Return which blocks are recorded together."""
    firsts = range(0, blocks, BLOCKS_A_TRANSACTION)
    return [range(first, min(first + BLOCKS_A_TRANSACTION, blocks)) for first in firsts]


def _record_hops(recorder: Recorder, folder: Path, blocks: int) -> int:
    """Record the hops; return how many rows were given."""
    given = 0
    for number, together in enumerate(_transactions(blocks)):
        again = [together[0] - 1] if number % AGAIN == AGAIN - 1 else []
        shards = [shard_of(folder, block, Hop.table) for block in (*again, *together)]
        given += recorder.record(shards, [_done(block) for block in together])[Hop.table]
    return given


def _record_others(recorder: Recorder, folder: Path, blocks: int) -> int:
    """Record everything else; return how many rows were given."""
    given = 0
    for together in _transactions(blocks):
        shards = [shard_of(folder, block, row.table) for block in together for row in OTHERS]
        given += sum(recorder.record(shards).values())
    return given


def _done(block: int) -> StageResult:
    """Return the note, in the same transaction, that a block is recorded."""
    return StageResult(stage_key=f"block {block}", working_ion="Li", stage=Stage.HOPS, n_rows=0)


def of_one_material(connection: duckdb.DuckDBPyConnection, name: str) -> dict[str, float]:
    """Return the median seconds of each question about one material, the first time left out.

    Parameters
    ----------
    connection : duckdb.DuckDBPyConnection
        At a published copy of generated results.
    name : str
        Identifier of the material.

    Returns
    -------
    dict of str to float
        Seconds by table or view and the column by which it was asked.
    """
    found = {}
    for relation in OF_ONE_MATERIAL:
        there = {column for column, *_ in connection.execute(f"DESCRIBE {relation}").fetchall()}
        structure = OTHERWISE.get(relation, STRUCTURE)
        for column, value in ((structure, hash_of(name)), (IDENTIFIER, name)):
            if column in there:
                ask = partial(_ask, connection, f"FROM {relation} WHERE {column} = $value", {"value": value})
                ask()
                found[f"{relation} by {column}"] = median(timed(ask)[0] for _ in range(ASKED_TIMES))
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
