"""Bench `storage`: generated results recorded from shards, published and ranked, beside plain DuckDB."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tempfile
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

import duckdb

from flows.bench.generated import HOPS_A_MATERIAL, PATH_POINTS, Block, tables
from flows.bench.measure import OURS, BenchError, Case, Unit, alternate, summarise
from flows.bench.recording import AGAIN, BLOCKS_A_TRANSACTION, shard_of
from storage.recorder import Recorder
from storage.records import Candidate, Hop, Percolation, Prediction, Row, RunMaterial
from storage.shards import write_shard

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import pyarrow as pa

    from flows.bench.measure import BenchResult, BenchSettings
    from storage.shards import ShardInfo

MATERIALS = 2000
MOST_BESIDE = 20_000
"""Materials that are recorded beside plain DuckDB at most: its tables lie in memory."""

MATERIALS_A_BLOCK = 5000
FEWER = 10
"""How many times fewer materials with relaxed paths are recorded at scale."""

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
        materials = max(BLOCKS, round(MATERIALS * settings.scale))
        generated = generate(Path(folder) / "given", min(materials, MOST_BESIDE))
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
        del generated.blocks[:]
        few = max(BLOCKS, materials // FEWER)
        details = {
            "straight hops": at_scale(Path(folder) / "straight", materials, relaxed=False),
            "relaxed hops": at_scale(Path(folder) / "relaxed", few, relaxed=True),
        }
    return summarise(
        "storage",
        cases,
        Unit("rows/s"),
        details=details,
        notes=[
            f"beside DuckDB: {generated.materials} materials of {HOPS_A_MATERIAL} hops, {BLOCKS} shards a "
            "table: hops, predictions, and all tables, each in one call into a fresh file; ours also makes "
            "the schema, reads and verifies the shards, checks and keys",
            "the limit: the same Arrow tables inserted into bare tables, and into such with primary keys",
            f"at scale, in a process of its own: {BLOCKS_A_TRANSACTION} shards of hops a transaction, one in "
            f"{AGAIN * BLOCKS_A_TRANSACTION} given twice (recorded/s counts it once); "
            "then the other tables; ranking and single materials on an open copy, answers as Arrow tables",
            f"relaxed hops carry a path of {PATH_POINTS} points, straight ones none",
        ],
    )


def generate(folder: Path, materials: int) -> Generated:
    """Generate results of so many materials and write them as shards."""
    blocks = [tables(block) for block in _blocks(materials, BLOCKS)]
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


def at_scale(folder: Path, materials: int, *, relaxed: bool) -> dict[str, object]:
    """Write shards of so many materials, and let a process of its own record them, publish them and ask.

    Raises
    ------
    BenchError
        When it fails.
    """
    folder.mkdir()
    blocks = max(BLOCKS, materials // MATERIALS_A_BLOCK)
    for number, block in enumerate(_blocks(materials, blocks)):
        for table, data in tables(block, relaxed=relaxed).items():
            write_shard(shard_of(folder, number, table), data, table)
    command = [sys.executable, "-m", "flows.bench.recording", str(folder), str(materials), str(blocks)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 - our own
    shutil.rmtree(folder)
    if done.returncode != 0:
        raise BenchError(f"recording {materials} materials failed: {done.stderr}")
    found: dict[str, object] = json.loads(done.stdout)
    return found


def _blocks(materials: int, blocks: int) -> list[Block]:
    """Return so many materials in blocks."""
    edges = [materials * number // blocks for number in range(blocks + 1)]
    return [Block(first, after - first) for first, after in pairwise(edges)]
