"""A file that came from elsewhere is never overwritten, and a kill at any moment locks nobody out."""

import shutil

import duckdb
import pytest

from storage import atomic, database
from storage.database import reading
from storage.errors import ForeignCopyError
from storage.fingerprints import check_copy, fingerprint, note_copies
from storage.places import paths_of
from storage.recorder import Recorder


def published(path, make, *keys):
    recorder = Recorder(path)
    recorder.record(rows=[make.stage_result(key) for key in keys])
    recorder.publish()
    return recorder


def keys_in(path):
    with reading(path) as connection:
        return {row[0] for row in connection.execute("SELECT stage_key FROM stage_results").fetchall()}


@pytest.fixture
def mine(tmp_path, make):
    return published(tmp_path / "mine.duckdb", make, "mine")


@pytest.fixture
def theirs(tmp_path, make):
    return published(tmp_path / "theirs.duckdb", make, "other")


def test_endings_of_a_name_do_not_share_a_folder(tmp_path):
    assert paths_of(tmp_path / "x.db").work != paths_of(tmp_path / "x.duckdb").work


def test_a_copy_has_the_same_fingerprint_and_a_changed_file_another(mine, theirs, tmp_path):
    first = fingerprint(mine.paths.published)
    copy = shutil.copyfile(mine.paths.published, tmp_path / "copy.duckdb")
    assert fingerprint(copy) == first
    assert fingerprint(theirs.paths.published) != first
    with duckdb.connect(str(copy)) as connection:
        connection.execute("UPDATE stage_results SET n_rows = n_rows + 1")
    assert fingerprint(copy) != first


def test_a_change_far_into_a_large_file_is_seen(tmp_path):
    path = tmp_path / "large.duckdb"
    with duckdb.connect(str(path)) as connection:
        connection.execute("CREATE TABLE t AS SELECT range AS x, hash(range) AS y FROM range(400000)")
    assert path.stat().st_size > 4 * 262_144
    copy = shutil.copyfile(path, tmp_path / "copy.duckdb")
    seen = {fingerprint(path)}
    with duckdb.connect(str(copy)) as connection:
        connection.execute("UPDATE t SET y = 0 WHERE x = 399999")
    seen.add(fingerprint(copy))
    content = bytearray(path.read_bytes())
    content[3 * 4096 + 3 * 262_144] ^= 1
    copy.write_bytes(content)
    seen.add(fingerprint(copy))
    assert len(seen) == 3


def test_another_database_in_the_place_is_not_overwritten(mine, theirs, make):
    shutil.copyfile(theirs.paths.published, mine.paths.published)
    before = mine.paths.published.read_bytes()
    with pytest.raises(ForeignCopyError, match=r"move the folder mine\.duckdb\.work aside"):
        mine.publish()
    with pytest.raises(ForeignCopyError, match="move the file aside"):
        mine.record(rows=[make.stage_result("more")])
    assert mine.paths.published.read_bytes() == before


def test_moving_the_file_aside_goes_on_from_the_folder(mine, theirs, make, tmp_path):
    shutil.copyfile(theirs.paths.published, mine.paths.published)
    mine.paths.published.rename(tmp_path / "aside.duckdb")
    mine.record(rows=[make.stage_result("more")])
    mine.publish()
    assert keys_in(mine.paths.published) == {"mine", "more"}


def test_moving_the_folder_aside_goes_on_from_the_file(mine, theirs, make, tmp_path):
    shutil.copyfile(theirs.paths.published, mine.paths.published)
    mine.paths.work.rename(tmp_path / "aside")
    mine.record(rows=[make.stage_result("more")])
    mine.publish()
    assert keys_in(mine.paths.published) == {"other", "more"}


def test_a_folder_that_never_published_overwrites_nothing(tmp_path, theirs, make):
    fresh = Recorder(tmp_path / "fresh.duckdb")
    fresh.record(rows=[make.stage_result("fresh")])
    shutil.copyfile(theirs.paths.published, fresh.paths.published)
    with pytest.raises(ForeignCopyError):
        fresh.publish()
    assert keys_in(fresh.paths.published) == {"other"}


def test_file_and_folder_may_move_together(mine, make, tmp_path):
    (tmp_path / "elsewhere").mkdir()
    copy = paths_of(tmp_path / "elsewhere" / "mine.duckdb")
    shutil.copyfile(mine.paths.published, copy.published)
    shutil.copytree(mine.paths.work, copy.work)
    recorder = Recorder(copy.published)
    recorder.record(rows=[make.stage_result("more")])
    recorder.publish()
    assert keys_in(copy.published) == {"mine", "more"}


@pytest.mark.parametrize("renamed", [False, True])
def test_a_kill_while_publishing_locks_nobody_out(mine, make, monkeypatch, renamed):
    class Killed(BaseException):
        pass

    real = atomic.copy_file

    def copy_and_die(*paths):
        if renamed:
            real(*paths)
        raise Killed

    for turn in range(2):
        mine.record(rows=[make.stage_result(f"more-{turn}")])
        with monkeypatch.context() as patch:
            patch.setattr(database.atomic, "copy_file", copy_and_die)
            with pytest.raises(Killed):
                mine.publish()
    expected = {"mine", "more-0", "more-1"} if renamed else {"mine"}
    assert keys_in(mine.paths.published) == expected
    mine.record(rows=[make.stage_result("last")])
    mine.publish()
    assert keys_in(mine.paths.published) == {"mine", "more-0", "more-1", "last"}


def test_a_kill_while_a_working_file_is_made_locks_nobody_out(theirs, tmp_path, make):
    moved = Recorder(tmp_path / "moved.duckdb")
    shutil.copyfile(theirs.paths.published, moved.paths.published)
    note_copies(moved.paths.note, moved.paths.published)
    moved.record(rows=[make.stage_result("more")])
    moved.publish()
    assert keys_in(moved.paths.published) == {"other", "more"}


@pytest.mark.parametrize("content", ["", "{}", "nonsense"])
def test_a_note_that_says_nothing_accepts_nothing(mine, content):
    mine.paths.note.write_text(content)
    with pytest.raises(ForeignCopyError):
        check_copy(mine.paths.published, mine.paths.note)
