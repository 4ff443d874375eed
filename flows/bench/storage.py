"""Bench `storage`: generated results recorded from shards, published and ranked, beside plain DuckDB."""

from __future__ import annotations

import shutil
import tempfile
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

import duckdb

from flows.bench.generated import HOPS_A_MATERIAL, RUN_ID, Block, tables
from flows.bench.measure import OURS, Case, Unit, alternate, summarise, timed
from storage import queries
from storage.recorder import Recorder
from storage.records import Candidate, Hop, Percolation, Prediction, Row, Run, RunMaterial
from storage.shards import write_shard

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import pyarrow as pa

    from flows.bench.measure import BenchResult, BenchSettings
    from storage.shards import ShardInfo

MATERIALS = 2000
BLOCKS = 10
"""Shards a table: what as many batches of a screening bring."""

DUCKDB, KEYED = "DuckDB insert", "DuckDB insert with our key"
WHAT: dict[str, tuple[type[Row], ...]] = {
    "hops": (Hop,),
    "predictions": (Prediction,),
    "all tables": (Candidate, Hop, Prediction, Percolation, RunMaterial),
}


@dataclass(frozen=True)
class Generated:
    """Generated tables, block by block, and the shards that hold them."""

    blocks: list[dict[str, pa.Table]]
    shards: list[dict[str, ShardInfo]]
    materials: int


def bench(settings: BenchSettings) -> BenchResult:
    """Time the recording of each table into a fresh file, then publishing and asking."""
    with tempfile.TemporaryDirectory(prefix="lihop-bench-") as folder:
        generated = generate(Path(folder) / "given", max(BLOCKS, round(MATERIALS * settings.scale)))
        fresh = _fresh(Path(folder))
        cases = []
        for name, wanted in WHAT.items():
            rows = sum(block[row_type.table].num_rows for block in generated.blocks for row_type in wanted)
            found = alternate(
                {
                    OURS: partial(record, generated, wanted, fresh),
                    DUCKDB: partial(insert, generated, wanted, fresh, keyed=False),
                    KEYED: partial(insert, generated, wanted, fresh, keyed=True),
                },
                repeats=settings.repeats,
            )
            seconds = {side: timing.seconds for side, timing in found.items()}
            equal = {timing.result for timing in found.values()} == {rows}
            cases.append(Case(name, float(rows), seconds, equal))
        details = ask(generated, next(fresh) / "lihop.duckdb")
    return summarise(
        "storage",
        cases,
        Unit("rows/s"),
        details=details,
        notes=[
            f"{generated.materials} materials of {HOPS_A_MATERIAL} hops, {BLOCKS} shards a table: hops, "
            "predictions, and all tables, each in one call into a fresh file; ours also makes the schema, "
            "reads and verifies the shards, checks and keys",
            "the limit: the same Arrow tables inserted into bare tables, and into such with our primary keys",
        ],
    )


def generate(folder: Path, materials: int) -> Generated:
    """Generate results of so many materials and write them as shards."""
    edges = [materials * number // BLOCKS for number in range(BLOCKS + 1)]
    blocks = [tables(Block(first, after - first)) for first, after in pairwise(edges)]
    shards = [
        {
            table: write_shard(folder / f"{number}.{table}.parquet", data, table)
            for table, data in block.items()
        }
        for number, block in enumerate(blocks)
    ]
    return Generated(blocks, shards, materials)


def _fresh(folder: Path) -> Iterator[Path]:
    """Yield empty folders, each in the place of the last, which is removed."""
    place = folder / "fresh"
    while True:
        shutil.rmtree(place, ignore_errors=True)
        place.mkdir()
        yield place


def record(generated: Generated, wanted: Sequence[type[Row]], fresh: Iterator[Path]) -> int:
    """Record the shards of some tables into a fresh database; return the rows in it."""
    recorder = Recorder(next(fresh) / "lihop.duckdb")
    names = [row_type.table for row_type in wanted]
    recorder.record([block[name] for name in names for block in generated.shards])
    return _count(recorder.paths.working, names)


def insert(generated: Generated, wanted: Sequence[type[Row]], fresh: Iterator[Path], *, keyed: bool) -> int:
    """Insert the same Arrow tables with nothing but DuckDB; return the rows that are there then."""
    path = next(fresh) / "plain.duckdb"
    with closing(duckdb.connect(str(path))) as connection:
        for row_type in wanted:
            table = row_type.table
            connection.register("given", generated.blocks[0][table])
            connection.execute(f"CREATE TABLE {table} AS FROM given LIMIT 0")
            if keyed:
                connection.execute(f"ALTER TABLE {table} ADD PRIMARY KEY ({', '.join(row_type.key)})")
        connection.execute("BEGIN")
        for row_type in wanted:
            for block in generated.blocks:
                connection.register("given", block[row_type.table])
                connection.execute(f"INSERT INTO {row_type.table} FROM given")
        connection.execute("COMMIT")
    return _count(path, [row_type.table for row_type in wanted])


def _count(path: Path, names: Sequence[str]) -> int:
    total = 0
    with closing(duckdb.connect(str(path), read_only=True)) as connection:
        for name in names:
            found = connection.execute(f"SELECT count(*) FROM {name}").fetchone()  # noqa: S608 - ours
            total += 0 if found is None else int(found[0])
    return total


def ask(generated: Generated, database: Path) -> dict[str, object]:
    """Record everything into one database, publish it, ask it, and return what that took."""
    recorder = Recorder(database)
    recorder.start_run(_run())
    shards = [shard for block in generated.shards for shard in block.values()]
    rows = sum(shard.rows for shard in shards)
    record_s, _ = timed(lambda: recorder.record(shards))
    publish_s, _ = timed(recorder.publish)
    ranking_s, ranked = timed(lambda: queries.rankings(database))
    first_s, _ = timed(lambda: queries.rankings(database, limit=20))
    digest = f"hash-{Block(generated.materials // 2, 1).names[0]}"
    hops_s, hops = timed(lambda: queries.hops_of(database, digest, "Li"))
    return {
        "rows": rows,
        "record_all_rows_per_s": rows / record_s,
        "publish_s": publish_s,
        "ranking_of_all_s": ranking_s,
        "ranking_of_all_rows": len(_listed(ranked)),
        "ranking_of_20_s": first_s,
        "hops_of_one_material_ms": 1000 * hops_s,
        "hops_of_one_material": len(_listed(hops)),
        "bytes_a_row": database.stat().st_size / rows,
    }


def _listed(answer: object) -> list[object]:
    return answer if isinstance(answer, list) else []


def _run() -> Run:
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
