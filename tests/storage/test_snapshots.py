"""A snapshot is a whole copy of its moment, and is put back without anything being deleted."""

import json
import os
import shutil
import subprocess
import sys
from datetime import datetime, timedelta

import pytest

from storage import queries
from storage.database import reading, writing
from storage.errors import CorruptDatabaseError, DatabaseMissingError, StorageError
from storage.inspection import inspect
from storage.places import paths_of
from storage.recorder import Recorder
from storage.snapshot_files import facts_path, kept_in, time_in
from storage.snapshots import restore, take


@pytest.fixture
def recorder(tmp_path, make):
    """A recorder with one published row, k1."""
    recorder = Recorder(tmp_path / "lihop.duckdb")
    recorder.record(rows=[make.stage_result("k1")])
    recorder.publish()
    return recorder


def _keys(path):
    with reading(path) as connection:
        return [
            key for (key,) in connection.execute("SELECT stage_key FROM stage_results ORDER BY 1").fetchall()
        ]


def _spoil(path):
    """Overwrite the middle of a file: its headers still say that it is a database."""
    content = bytearray(path.read_bytes())
    content[12288:] = bytes(byte ^ 0x55 for byte in content[12288:])
    path.write_bytes(content)


def _cut(path):
    path.write_bytes(path.read_bytes()[:5000])


def _empty(path):
    path.write_bytes(b"")


def test_a_snapshot_is_what_was_recorded(recorder, make):
    recorder.record(rows=[make.stage_result("k2")])
    kept, removed = take(recorder.paths)
    assert removed == []
    assert kept.path.parent == recorder.paths.snapshots
    assert _keys(kept.path) == ["k1", "k2"]
    noted = json.loads(facts_path(kept.path).read_text())
    assert noted["rows"]["stage_results"] == 2
    assert noted["schema_version"] == kept.facts.schema_version
    assert noted["bytes"] == kept.path.stat().st_size
    assert kept_in(recorder.paths.snapshots) == [kept]
    assert inspect(kept.path).facts == kept.facts


@pytest.mark.parametrize("published", [True, False])
def test_a_snapshot_ranks_what_was_recorded_since_the_last_copy(recorder, make, published):
    if published:
        recorder.record(rows=[make.run(), *make.material("m1", 0.5)])
        recorder.publish()
    recorder.record(rows=[make.run(), *make.material("m2", 0.3)])
    kept, _ = take(recorder.paths)
    expected = ["m2", "m1"] if published else ["m2"]
    assert [row["material_id"] for row in queries.rankings(kept.path)] == expected
    assert inspect(kept.path).facts == kept.facts


def test_a_snapshot_goes_where_it_is_asked_to(recorder, tmp_path):
    target = tmp_path / "far" / "mine.duckdb"
    kept, _ = take(recorder.paths, to=target)
    assert _keys(target) == ["k1"]
    assert kept_in(recorder.paths.snapshots) == []
    with pytest.raises(StorageError, match="there is a file"):
        take(recorder.paths, to=target)
    assert restore(recorder.paths, str(target), confirmed=True).rows == kept.facts.rows


def test_older_snapshots_go_and_those_before_an_upgrade_stay(recorder):
    first, _ = take(recorder.paths)
    shutil.copy(first.path, recorder.paths.snapshots / "before-schema-9-x.duckdb")
    taken = [first.path] + [take(recorder.paths)[0].path for _ in range(2)]
    newest, removed = take(recorder.paths, keep=2)
    assert sorted(removed) == taken[:2]
    left = {one.path.name for one in kept_in(recorder.paths.snapshots)}
    assert left == {newest.path.name, taken[2].name, "before-schema-9-x.duckdb"}
    assert not any(facts_path(path).exists() for path in removed)
    with pytest.raises(StorageError, match="1 or more"):
        take(recorder.paths, keep=0)


def test_under_a_clock_that_was_set_back_the_newest_is_the_latest_and_stays(recorder, make):
    ahead = time_in(recorder.paths.snapshots) + timedelta(days=400)
    first, _ = take(recorder.paths)
    noted = json.loads(facts_path(first.path).read_text()) | {"taken_at": ahead.isoformat()}
    facts_path(first.path).write_text(json.dumps(noted))
    recorder.record(rows=[make.stage_result("k2")])
    second, removed = take(recorder.paths, keep=1)
    assert removed == [first.path]
    assert kept_in(recorder.paths.snapshots) == [second]
    assert datetime.fromisoformat(second.taken_at) == ahead + timedelta(microseconds=1)
    os.utime(second.path, (2**32, 2**32))  # of which nothing is noted any more
    facts_path(second.path).unlink()
    third, removed = take(recorder.paths, keep=2)
    assert removed == []
    assert [one.path for one in kept_in(recorder.paths.snapshots)] == [third.path, second.path]
    assert third.path.name > second.path.name
    assert restore(recorder.paths, confirmed=True).source == third.path


def test_nothing_is_not_kept(tmp_path):
    with pytest.raises(DatabaseMissingError, match="lihop screen"):
        take(paths_of(tmp_path / "x.duckdb"))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("harm", [_spoil, _cut, _empty, None])
@pytest.mark.parametrize("copy_too", [False, True])
def test_a_damaged_file_is_moved_aside_and_the_snapshot_goes_on(recorder, make, harm, copy_too):
    take(recorder.paths)
    recorder.record(rows=[make.stage_result("k2")])
    paths = recorder.paths
    hit = [paths.working, *([paths.published] if copy_too else [])]
    for path in hit:
        path.unlink() if harm is None else harm(path)
    left = {path.read_bytes() for path in (paths.working, paths.published) if path.exists()}
    # Without a working file the copy is the present file: where it can be read somebody has to say so.
    if harm is None and not copy_too:
        with pytest.raises(StorageError, match="--yes"):
            restore(paths)
    done = restore(paths, confirmed=harm is None and not copy_too)
    assert {path.read_bytes() for path in done.replaced} == left
    assert all(path.parent == paths.replaced for path in done.replaced)
    assert _keys(paths.published) == ["k1"]
    recorder.record(rows=[make.stage_result("k3")])
    recorder.publish()
    assert _keys(paths.published) == ["k1", "k3"]


def test_what_can_be_read_is_replaced_only_when_that_is_meant(recorder, make):
    kept, _ = take(recorder.paths)
    recorder.record(rows=[make.stage_result("k2")])
    with pytest.raises(StorageError, match=r"can be read, .*--yes"):
        restore(recorder.paths)
    assert recorder.known_stage_keys(["k2"]) == {"k2"}
    done = restore(recorder.paths, kept.path.stem, confirmed=True)
    assert recorder.known_stage_keys(["k1", "k2"]) == {"k1"}
    moved = {tuple(_keys(path)) for path in done.replaced}
    assert moved == {("k1",), ("k1", "k2")}


def test_the_log_of_the_replaced_file_is_not_replayed(recorder):
    take(recorder.paths)
    log = recorder.paths.working.with_name("working.duckdb.wal")
    log.write_bytes(b"of the other file")
    _spoil(recorder.paths.working)
    done = restore(recorder.paths)
    assert b"of the other file" in {path.read_bytes() for path in done.replaced}
    assert _keys(recorder.paths.published) == ["k1"]


def _left_with_a_log(path):
    """Write into a database file as a program does that is killed then."""
    statement = "INSERT INTO stage_results SELECT * REPLACE ('theirs' AS stage_key) FROM stage_results"
    script = (
        f"import duckdb, os; c = duckdb.connect({str(path)!r}); "
        f"c.execute('SET wal_autocheckpoint = \"1GB\"'); c.execute({statement!r}); os._exit(0)"
    )
    subprocess.run([sys.executable, "-c", script], check=True)
    assert path.with_name(f"{path.name}.wal").exists()


def test_a_file_that_lies_beside_its_log_is_not_restored_by_half(recorder, tmp_path):
    kept, _ = take(recorder.paths, to=tmp_path / "mine.duckdb")
    facts_path(kept.path).unlink()
    _left_with_a_log(kept.path)
    before = recorder.paths.working.read_bytes()
    with pytest.raises(StorageError, match=r"mine\.duckdb\.wal, which would not be restored"):
        restore(recorder.paths, str(kept.path), confirmed=True)
    assert recorder.paths.working.read_bytes() == before
    kept.path.with_name("mine.duckdb.wal").unlink()
    assert restore(recorder.paths, str(kept.path), confirmed=True).rows["stage_results"] == 1


@pytest.mark.parametrize(("which", "keys"), [("published", ["k1"]), ("working", ["k1", "theirs"])])
def test_what_is_said_to_be_restored_is_what_is_there(recorder, which, keys):
    _left_with_a_log(getattr(recorder.paths, which))
    done = restore(recorder.paths, which, confirmed=True)
    assert done.rows["stage_results"] == len(keys)
    assert _keys(recorder.paths.published) == keys


def test_a_place_that_cannot_be_written_is_one_message(recorder, tmp_path):
    with pytest.raises(StorageError, match=r"is a folder; give a file as --to, such as .*lihop\.duckdb"):
        take(recorder.paths, to=tmp_path)
    (tmp_path / "file").write_text("")
    for to in (tmp_path / "file" / "a.duckdb", tmp_path / f"{'x' * 300}.duckdb"):
        with pytest.raises(StorageError, match="give a --to in a folder that can be written"):
            take(recorder.paths, to=to)
    recorder.paths.snapshots.write_text("")
    with pytest.raises(StorageError, match="cannot write in"):
        take(recorder.paths)


@pytest.mark.parametrize("harm", [_spoil, _cut, _empty])
def test_a_snapshot_that_does_not_check_out_is_refused(recorder, harm):
    kept, _ = take(recorder.paths)
    harm(kept.path)
    before = recorder.paths.working.read_bytes()
    with pytest.raises(CorruptDatabaseError, match=kept.path.name):
        restore(recorder.paths, confirmed=True)
    assert recorder.paths.working.read_bytes() == before
    assert not recorder.paths.replaced.exists()


def test_a_snapshot_that_was_swapped_is_refused(recorder, make):
    kept, _ = take(recorder.paths)
    recorder.record(rows=[make.stage_result("k2")])
    other, _ = take(recorder.paths)
    shutil.copy(other.path, kept.path)
    with pytest.raises(CorruptDatabaseError, match="is not the file that"):
        restore(recorder.paths, kept.path.name, confirmed=True)


def test_an_unknown_snapshot_names_those_there_are(recorder):
    with pytest.raises(StorageError, match="lihop db snapshot"):
        restore(recorder.paths)
    kept, _ = take(recorder.paths)
    with pytest.raises(StorageError, match=rf"'nosuch'.*{kept.path.stem}"):
        restore(recorder.paths, "nosuch")


def test_the_published_copy_or_the_working_file_can_be_gone_on_from(recorder, make):
    paths = recorder.paths
    recorder.record(rows=[make.stage_result("k2")])
    recorder.publish()
    _spoil(paths.working)
    with pytest.raises(CorruptDatabaseError, match=r"db restore published"):
        recorder.record(rows=[make.stage_result("k3")])
    assert restore(paths, "published").rows["stage_results"] == 2
    recorder.record(rows=[make.stage_result("k3")])
    _cut(paths.published)
    with pytest.raises(CorruptDatabaseError, match=r"db restore working"), reading(paths.published):
        pass
    restore(paths, "working")
    assert _keys(paths.published) == ["k1", "k2", "k3"]


def test_damage_names_the_newest_snapshot_or_says_there_is_none(recorder, make):
    content = recorder.paths.working.read_bytes()
    _cut(recorder.paths.working)
    with pytest.raises(CorruptDatabaseError, match="there is no snapshot"):
        recorder.record(rows=[make.stage_result()])
    recorder.paths.working.write_bytes(content)
    take(recorder.paths)
    newest, _ = take(recorder.paths)
    expected = rf"lihop db restore latest --db {recorder.paths.published}`.* {newest.path.name} of 20"
    _cut(recorder.paths.working)
    with pytest.raises(CorruptDatabaseError, match=expected), writing(recorder.paths):
        pass
    _cut(recorder.paths.published)
    with pytest.raises(CorruptDatabaseError, match=expected), reading(recorder.paths.published):
        pass


def test_damage_of_what_no_query_reads_is_found(recorder, make):
    recorder.record(rows=[make.stage_result(f"key-{n}") for n in range(20_000)])
    recorder.publish()
    path = recorder.paths.published
    content = path.read_bytes()
    n_blocks = (len(content) - 12288) // 262_144
    assert n_blocks > 4
    inspect(path)
    for block in range(n_blocks):
        spoilt = bytearray(content)
        spoilt[12288 + 262_144 * block + 1000] ^= 1
        path.write_bytes(spoilt)
        with pytest.raises(CorruptDatabaseError, match=path.name):
            inspect(path)
