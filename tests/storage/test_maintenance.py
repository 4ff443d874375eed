"""A database is checked for what DuckDB does not hold together, and gives space back and loses nothing."""

import os
import shutil
from contextlib import closing

import duckdb
import filelock
import pytest

from storage import deletion, vacuum
from storage.checks import check
from storage.connections import attach
from storage.database import STORAGE_VERSION, writing
from storage.errors import DatabaseMissingError, ForeignCopyError, StorageError
from storage.inspection import inspect, schema_of
from storage.merging import NUMBERED
from storage.places import paths_of
from storage.recorder import Recorder
from storage.records import ROW_TYPES
from storage.shard_files import there
from storage.shards import write_shard

BATCH = "hops-0a1b"


@pytest.fixture
def recorder(tmp_path, make):
    """A recorder of one material that was screened, with the shards that a run leaves."""
    recorder = Recorder(tmp_path / "lihop.duckdb")
    stages = [make.stage_result("hops-m1", shard=BATCH)]
    stages += [make.stage_result(f"{stage}-m1") for stage in ("prediction", "percolation")]
    recorder.record(rows=[make.run(status="completed"), *make.material(), *stages])
    recorder.publish()
    shards = recorder.paths.shards
    write_shard(shards / f"{BATCH}.candidates.parquet", [make.candidate()])
    write_shard(shards / f"{BATCH}.hops.parquet", [make.hop()])
    write_shard(shards / f"{BATCH}.stage_results.parquet", stages[:1])
    write_shard(shards / f"{BATCH}.0011223344.predictions.parquet", [make.prediction()])
    write_shard(shards / "candidates-77aa.candidates.parquet", [make.candidate()])
    return recorder


def _bad(recorder):
    return {one.check: one for one in check(recorder.paths) if not one.ok}


def _rows(path):
    with closing(duckdb.connect(str(path), read_only=True)) as connection:
        return {table: connection.execute(f"FROM {table} ORDER BY ALL").fetchall() for table in ROW_TYPES}


def test_a_database_as_it_should_be_has_no_finding(recorder):
    before = {path: path.read_bytes() for path in recorder.paths.work.rglob("*") if path.is_file()}
    found = check(recorder.paths)
    assert [one.check for one in found if not one.ok] == []
    assert {"working file", "published copy", "published from here", "schema", "shards whole"} <= {
        one.check for one in found
    }
    assert {path: path.read_bytes() for path in recorder.paths.work.rglob("*") if path.is_file()} == before


@pytest.mark.parametrize("name", ["working", "published"])
def test_damage_is_a_finding_with_a_remedy(recorder, name):
    path = getattr(recorder.paths, name)
    content = bytearray(path.read_bytes())
    content[-200_000] ^= 1
    path.write_bytes(content)
    found = _bad(recorder)
    check_name = "working file" if name == "working" else "published copy"
    other = "published" if name == "working" else "working"
    assert set(found) == {check_name}
    assert f"lihop db restore {other} --db" in found[check_name].remedy
    assert "What to do" not in found[check_name].detail


def test_a_copy_from_elsewhere_is_a_finding(recorder, make, tmp_path):
    other = Recorder(tmp_path / "other.duckdb")
    other.record(rows=[make.stage_result("theirs")])
    other.publish()
    shutil.copy(other.paths.published, recorder.paths.published)
    assert set(_bad(recorder)) == {"published from here"}
    recorder.paths.published.unlink()
    assert set(_bad(recorder)) == {"published copy"}


def test_a_copy_alone_is_checked_where_it_lies(recorder, tmp_path):
    alone = paths_of(tmp_path / "far" / "copy.duckdb")
    alone.published.parent.mkdir()
    shutil.copy(recorder.paths.published, alone.published)
    assert [one.ok for one in check(alone)] == [True]
    assert [path.name for path in alone.published.parent.iterdir()] == ["copy.duckdb"]


def test_no_database_is_an_error(tmp_path):
    for call in (check, vacuum.vacuum):
        with pytest.raises(DatabaseMissingError, match="lihop screen"):
            call(paths_of(tmp_path / "x.duckdb"))
    assert list(tmp_path.iterdir()) == []


def test_what_refers_to_nothing_is_a_finding(recorder, make):
    ghost = make.failure("m9")
    recorder.record(rows=[
        make.hop("m2"), make.prediction("m2"), make.percolation("m2"), make.run_material("ghost", "m1"),
        ghost, make.run_failure(ghost, "ghost"),
    ])  # fmt: skip
    recorder.publish()
    found = _bad(recorder)
    assert set(found) == {
        "hops of recorded stages", "predictions of recorded stages", "percolation of recorded stages",
        "run_materials of recorded runs", "run_failures of recorded runs",
    }  # fmt: skip
    assert "hops-m2" in found["hops of recorded stages"].detail
    assert "lihop runs delete ghost" in found["run_materials of recorded runs"].remedy


def test_a_migration_that_is_not_ours_is_a_finding(recorder):
    with closing(duckdb.connect(str(recorder.paths.working))) as connection:
        connection.execute("UPDATE schema_migrations SET digest = 'other' WHERE version = 1")
    found = _bad(recorder)
    assert set(found) == {"working file"}
    assert "0001_initial" in found["working file"].detail


def test_shards_are_findings_with_their_sizes(recorder, make):
    shards = recorder.paths.shards
    orphan = shards / "hops-99ff.hops.parquet"
    write_shard(orphan, [make.hop()])
    (shards / "notes.txt").write_text("mine")
    damaged = shards / f"{BATCH}.hops.parquet"
    content = bytearray(damaged.read_bytes())
    content[60] ^= 1
    damaged.write_bytes(content)
    found = _bad(recorder)
    assert set(found) == {"shards whole", "shards referred to"}
    (bad,) = found["shards whole"].files
    assert (bad["path"], bad["bytes"]) == (str(damaged), len(content))
    assert "checksum" in bad["reason"]
    listed = {entry["path"]: entry["bytes"] for entry in found["shards referred to"].files}
    assert listed == {str(orphan): orphan.stat().st_size, str(shards / "notes.txt"): 4}
    assert "lihop db vacuum" in found["shards referred to"].remedy


def test_space_is_given_back_and_nothing_is_lost(recorder, make):
    rows = [make.stage_result(f"key-{n}", structure_hash="x" * 200) for n in range(20_000)]
    recorder.record(rows=rows)
    recorder.forget([row.stage_key for row in rows])
    recorder.publish()
    paths = recorder.paths
    content = _rows(paths.working)
    with closing(attach(paths.working, read_only=True)) as connection:
        schema = schema_of(connection)
    assert {kind for kind, *_ in schema} == {"table", "view", "column", "constraint"}
    done = vacuum.vacuum(paths)
    assert done.database_bytes_after == paths.working.stat().st_size < done.database_bytes_before
    assert paths.published.read_bytes() == paths.working.read_bytes()
    assert sum("digest of the cleaned structure" in comment for *_, comment in schema) > 3
    assert _rows(paths.working) == content
    with closing(attach(paths.working, read_only=True)) as connection:
        assert schema_of(connection) == schema
        (tags,) = connection.execute(
            "SELECT tags FROM duckdb_databases() WHERE database_name = current_database()"
        ).fetchone()
    assert tags["storage_version"].startswith(STORAGE_VERSION)
    # Constraints hold as before, and recording goes on.
    with writing(paths) as connection, pytest.raises(duckdb.ConstraintException):
        connection.execute("INSERT INTO percolation SELECT * FROM percolation")
    recorder.record(rows=[make.stage_result("after")])
    assert recorder.known_stage_keys(["after"]) == {"after"}


def test_shards_that_are_not_read_again_are_removed(recorder, make):
    write_shard(recorder.paths.shards / "hops-99ff.hops.parquet", [make.hop()])
    sizes = {path: path.stat().st_size for path in recorder.paths.shards.iterdir()}
    done = vacuum.vacuum(recorder.paths)
    left = {path.name for path in recorder.paths.shards.iterdir()}
    assert left == {f"{BATCH}.candidates.parquet", f"{BATCH}.hops.parquet"}
    assert done.shard_bytes_before == sum(sizes.values())
    assert done.shard_bytes_after == sum(size for path, size in sizes.items() if path.name in left)
    assert (done.shards_removed, done.shards_in_use) == (4, 0)
    assert _bad(recorder) == {}


@pytest.mark.parametrize("ahead", [-1000, 0, 1000])
def test_shards_of_a_run_at_work_are_left_to_it(recorder, make, ahead):
    # The clock of who records and that of the disk may differ by as much as they like.
    recorder.start_run(make.run("at-work", day=ahead, status="running"))
    shards = recorder.paths.shards
    for path in shards.iterdir():
        os.utime(path, (0, 0))
    mine = shards / "hops-99ff.hops.parquet"
    write_shard(mine, [make.hop()])
    os.utime(mine, (10**9, 10**9))
    recorder.publish()
    assert _bad(recorder) == {}
    there = set(shards.iterdir())
    done = vacuum.vacuum(recorder.paths)
    assert set(shards.iterdir()) == there
    assert (done.shards_removed, done.shards_in_use) == (0, 4)
    assert vacuum.vacuum(recorder.paths, force=True).shards_removed == 4
    assert not mine.exists()


def test_shards_of_a_deleted_run_go_under_the_lock(recorder, monkeypatch):
    unlocked = []

    def looking(folder):
        try:
            with filelock.FileLock(recorder.paths.lock).acquire(timeout=0):
                unlocked.append(folder)
        except filelock.Timeout:
            pass
        return there(folder)

    monkeypatch.setattr(deletion, "shards_there", looking)
    assert deletion.delete_runs(recorder.paths, ["r1"], results=True).shards == 2
    assert unlocked == []


def test_a_copy_that_differs_replaces_nothing(recorder, monkeypatch):
    before = recorder.paths.working.read_bytes()
    copy = vacuum._copy_database

    def without_a_comment(source, target, scratch):
        copy(source, target, scratch)
        with closing(duckdb.connect(str(target))) as connection:
            connection.execute("COMMENT ON TABLE hops IS 'other'")

    monkeypatch.setattr(vacuum, "_copy_database", without_a_comment)
    with pytest.raises(StorageError, match="was not rebuilt"):
        vacuum.vacuum(recorder.paths)
    assert recorder.paths.working.read_bytes() == before
    assert not list(recorder.paths.work.glob("*tmp*"))
    assert (recorder.paths.shards / "candidates-77aa.candidates.parquet").exists()


def test_a_damaged_file_is_not_vacuumed(recorder):
    content = bytearray(recorder.paths.working.read_bytes())
    for place in range(12288 + 1000, len(content), 262_144):
        content[place] ^= 1
    recorder.paths.working.write_bytes(content)
    with pytest.raises(StorageError, match="damaged"):
        vacuum.vacuum(recorder.paths)
    assert recorder.paths.working.read_bytes() == content


def test_a_vacuum_mends_blocks_that_no_row_lies_in(recorder, make):
    rows = [make.stage_result(f"key-{n}", structure_hash="x" * 200) for n in range(20_000)]
    recorder.record(rows=rows)
    recorder.forget([row.stage_key for row in rows])
    recorder.publish()
    path = recorder.paths.working
    spoilt = bytearray(path.read_bytes())
    n_spoilt = 0
    for place in range(12288 + 1000, len(spoilt), 262_144):
        spoilt[place] ^= 1
        path.write_bytes(spoilt)
        try:
            inspect(path, blocks=False)
            n_spoilt += 1
        except StorageError:
            spoilt[place] ^= 1
    assert n_spoilt > 3
    path.write_bytes(spoilt)
    found = _bad(recorder)["working file"]
    assert f"({n_spoilt} in all). Every row can be read: it may be of an index, or unused" in found.detail
    assert f"lihop db vacuum --db {recorder.paths.published}" in found.remedy
    vacuum.vacuum(recorder.paths)
    assert _bad(recorder) == {}
    assert inspect(path).facts.rows["stage_results"] == 3
    recorder.record(rows=[make.stage_result("key-1")])
    assert recorder.known_stage_keys(["key-1", "key-2", "hops-m1"]) == {"key-1", "hops-m1"}


def test_a_part_of_a_block_that_a_kill_left_is_no_damage(recorder):
    path = recorder.paths.published
    content = path.read_bytes()
    path.write_bytes(content + b"half a block" * 1000)
    inspect(path)
    # A block of which the file's header knows must be whole.
    path.write_bytes(content[:-1000])
    with pytest.raises(StorageError, match=r"damaged|cannot be"):
        inspect(path)


def test_a_foreign_copy_stops_a_vacuum_before_it_begins(recorder, make, tmp_path):
    other = Recorder(tmp_path / "other.duckdb")
    other.record(rows=[make.stage_result("theirs")])
    other.publish()
    shutil.copy(other.paths.published, recorder.paths.published)
    with pytest.raises(ForeignCopyError):
        vacuum.vacuum(recorder.paths)
    assert inspect(recorder.paths.published).facts.rows["stage_results"] == 1
    assert (recorder.paths.shards / "candidates-77aa.candidates.parquet").exists()


@pytest.mark.parametrize("table", ["hops", "predictions"])
def test_a_row_that_stands_twice_is_told(recorder, make, table):
    recorder.record(rows=[make.run(), *make.material()])
    recorder.publish()
    named = f"{table} there once"
    assert {one.check: one.ok for one in check(recorder.paths)}[named]
    with writing(recorder.paths) as connection:
        # Its name is for people, and tells no two rows of one key apart.
        again = f"SELECT * REPLACE (edge_id || ' again' AS edge_id) FROM {table} LIMIT 1"
        connection.execute(f"INSERT INTO {table} BY NAME {again}")
    found = next(one for one in check(recorder.paths) if one.check == named)
    assert not found.ok
    assert "m1_0_" in found.detail


@pytest.mark.parametrize("table", sorted(NUMBERED))
@pytest.mark.parametrize("number", ["NULL", "structure_no + 1"])
def test_a_row_that_views_would_not_find_is_told(recorder, make, table, number):
    recorder.record(rows=[make.run(), *make.material()])
    recorder.publish()
    named = f"{table} numbered"
    assert {one.check: one.ok for one in check(recorder.paths)}[named]
    with writing(recorder.paths) as connection:
        connection.execute(f"UPDATE {table} SET structure_no = {number}")
    found = next(one for one in check(recorder.paths) if one.check == named)
    assert not found.ok
    assert "hash-m1" in found.detail


def test_structures_of_one_number_are_told(recorder, make):
    recorder.record(rows=[make.run(), *make.material("m1"), *make.material("m2")])
    recorder.publish()
    named = "structures numbered apart"
    assert {one.check: one.ok for one in check(recorder.paths)}[named]
    with writing(recorder.paths) as connection:
        for table in ("structure_numbers", *sorted(NUMBERED)):
            connection.execute(f"UPDATE {table} SET structure_no = 1")
    found = next(one for one in check(recorder.paths) if one.check == named)
    assert not found.ok
    assert "hash-m1" in found.detail


def _indexes(path):
    with closing(duckdb.connect(str(path), read_only=True)) as connection:
        return connection.execute("SELECT table_name, sql FROM duckdb_indexes() ORDER BY ALL").fetchall()


def test_indexes_outlive_publishing_and_vacuuming(recorder, make):
    recorder.publish()
    before = _indexes(recorder.paths.published)
    assert {table for table, _ in before} >= {"hops", "predictions", "published_results"}
    recorder.record(rows=[make.run("r2", day=1), *make.material("m2")])
    recorder.publish()
    assert _indexes(recorder.paths.published) == before
    vacuum.vacuum(recorder.paths)
    assert _indexes(recorder.paths.working) == _indexes(recorder.paths.published) == before
