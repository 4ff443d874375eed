"""A shard is whole and ours, or it is refused with the cause."""

import hashlib
import random

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pydantic import ValidationError

from storage.columns import SCHEMA_VERSION
from storage.errors import RefusedRowsError, ShardError
from storage.records import Candidate, Hop, Run, StageResult
from storage.shards import read_rows, read_shard, write_shard

HARD_IDS = [
    "it's",
    'a "b"',
    "a/b/../c",
    "line\nbreak\r\n",
    "ü" * 10_000,
    "\x00nul",
    "lihop-sha256:" + "0" * 64,
]


def test_rows_come_back_as_they_went(tmp_path, make):
    rows = [make.hop(j=j) for j in (1, 2, 3)]
    info = write_shard(tmp_path / "deep" / "hops.parquet", rows)
    assert (info.table, info.rows) == ("hops", 3)
    assert read_rows(info.path, Hop, info.digest) == rows


def test_all_that_is_known_of_a_hop_comes_back(tmp_path, make):
    known = make.described_hop()
    assert [name for name in Hop.model_fields if getattr(known, name) is None] == []
    empty = make.described_hop(j=2, extrema_fraction=[], extrema_ev=[], missing_parameters=[])
    rows = [known, make.hop(), empty]
    assert read_rows(write_shard(tmp_path / "hops.parquet", rows).path, Hop) == rows


@pytest.mark.parametrize(
    "vacancy", ["4", "4_0_0", "-4_0_0_0", "4_0_0_0_0", "4_0_0_0\n", "4 0 0 0", "isolated"]
)
def test_a_vacancy_has_one_spelling(make, vacancy):
    with pytest.raises(ValidationError, match="vacancy"):
        make.hop(vacancy=vacancy)


@pytest.mark.parametrize("identifier", HARD_IDS, ids=range(len(HARD_IDS)))
def test_any_identifier_survives(tmp_path, make, identifier):
    rows = [make.candidate(material_id=identifier)]
    info = write_shard(tmp_path / "s.parquet", rows)
    assert read_rows(info.path, Candidate) == rows


def test_times_keep_their_instant(tmp_path, make):
    rows = [make.run()]
    info = write_shard(tmp_path / "s.parquet", rows)
    assert read_rows(info.path, Run) == rows


def test_a_time_without_zone_is_refused(tmp_path, make):
    run = make.run()
    naive = run.model_copy(update={"started_at": run.started_at.replace(tzinfo=None)})
    with pytest.raises(RefusedRowsError, match="carries no zone"):
        write_shard(tmp_path / "s.parquet", [naive])


def test_an_arrow_table_is_written_like_rows(tmp_path, make):
    rows = [make.stage_result("k1"), make.stage_result("k2", structure_hash=None)]
    first = write_shard(tmp_path / "a.parquet", rows)
    table = read_shard(first.path).data
    shuffled = table.select(list(reversed(table.column_names)))
    second = write_shard(tmp_path / "b.parquet", shuffled, "stage_results")
    assert second.digest == first.digest
    assert read_rows(second.path, StageResult) == rows


def test_an_empty_shard_needs_a_table(tmp_path):
    info = write_shard(tmp_path / "s.parquet", [], "hops")
    assert read_rows(info.path, Hop) == []
    with pytest.raises(ShardError, match="without a table name"):
        write_shard(tmp_path / "s.parquet", [])


def test_mixed_rows_are_refused(tmp_path, make):
    with pytest.raises(RefusedRowsError, match="one shard a table"):
        write_shard(tmp_path / "s.parquet", [make.hop(), make.candidate()])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda table: table.drop_columns(["n_rows"]), "missing .'n_rows'"),
        (lambda table: table.append_column("extra", pa.array([1])), "unknown .'extra'"),
        (lambda table: table.set_column(0, "stage_key", pa.array([None], pa.string())), "non-nullable"),
        (lambda table: table.set_column(5, "n_rows", pa.array(["x"])), "do not fit"),
    ],
)
def test_a_table_that_does_not_fit_is_refused(tmp_path, make, change, message):
    info = write_shard(tmp_path / "s.parquet", [make.stage_result()])
    table = change(read_shard(info.path).data)
    with pytest.raises(RefusedRowsError, match=message):
        write_shard(tmp_path / "t.parquet", table, "stage_results")


def test_no_flipped_bit_goes_unnoticed(tmp_path, make):
    path = write_shard(tmp_path / "s.parquet", [make.stage_result()]).path
    whole = path.read_bytes()
    draw = random.Random(0)
    for place in range(len(whole)):
        damaged = bytearray(whole)
        damaged[place] ^= 1 << draw.randrange(8)
        path.write_bytes(damaged)
        with pytest.raises(ShardError):
            read_shard(path)


def test_no_truncation_goes_unnoticed(tmp_path, make):
    path = write_shard(tmp_path / "s.parquet", [make.stage_result()]).path
    whole = path.read_bytes()
    for length in range(0, len(whole), 7):
        path.write_bytes(whole[:length])
        with pytest.raises(ShardError, match=r"truncated|not a Parquet file"):
            read_shard(path)


def test_the_causes_are_named(tmp_path, make):
    info = write_shard(tmp_path / "s.parquet", [make.stage_result()])
    with pytest.raises(ShardError, match="cannot be read"):
        read_shard(tmp_path / "absent.parquet")
    with pytest.raises(ShardError, match="not the shard that was reported"):
        read_shard(info.path, hashlib.sha256(b"").hexdigest())
    with pytest.raises(ShardError, match="holds 'stage_results', not 'hops'"):
        read_rows(info.path, Hop)
    foreign = tmp_path / "foreign.parquet"
    pq.write_table(pa.table({"x": [1]}), foreign)
    with pytest.raises(ShardError, match="foreign"):
        read_shard(foreign)
    (tmp_path / "text.parquet").write_text("hello")
    with pytest.raises(ShardError, match="not a Parquet file"):
        read_shard(tmp_path / "text.parquet")


@pytest.mark.parametrize("version", [1, 99])
def test_a_shard_of_another_schema_is_refused(tmp_path, make, monkeypatch, version):
    monkeypatch.setattr("storage.shards.SCHEMA_VERSION", version)
    info = write_shard(tmp_path / "s.parquet", [make.stage_result()])
    monkeypatch.undo()
    with pytest.raises(
        ShardError, match=rf"schema version {version}, not {SCHEMA_VERSION}; .*one version of lihop"
    ):
        read_shard(info.path)


def test_a_failed_write_leaves_nothing(tmp_path, make, monkeypatch):
    path = write_shard(tmp_path / "s.parquet", [make.stage_result()]).path
    before = path.read_bytes()

    def broken(_path):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("storage.atomic.sync_file", broken)
    with pytest.raises(OSError, match="No space"):
        write_shard(path, [make.stage_result("other")])
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]
