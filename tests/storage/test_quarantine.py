"""A shard that cannot be trusted is moved aside with a note, and nothing of its group is recorded."""

import pytest

from storage.errors import ShardError
from storage.quarantine import sift
from storage.recorder import Recorder
from storage.shards import write_shard


@pytest.fixture
def recorder(tmp_path):
    return Recorder(tmp_path / "lihop.duckdb")


def _flip(path):
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def _cut(path):
    path.write_bytes(path.read_bytes()[:-20])


def _empty(path):
    path.write_bytes(b"")


def _foreign(path):
    path.write_bytes(b"PAR1 of somebody else PAR1")


@pytest.mark.parametrize("harm", [_flip, _cut, _empty, _foreign])
def test_a_shard_that_cannot_be_trusted_is_moved_aside(recorder, make, harm):
    folder = recorder.paths.shards
    good = write_shard(folder / "good.parquet", [make.stage_result("good")])
    bad = write_shard(folder / "bad.parquet", [make.hop()])
    worse = write_shard(folder / "worse.parquet", [make.hop("m2")])
    harm(bad.path)
    harm(worse.path)
    spoilt = bad.path.read_bytes()
    with pytest.raises(ShardError, match=r"bad\.parquet.*moved to .*quarantine.*worse\.parquet"):
        recorder.record([bad, good, worse], rows=[make.stage_result("beside")])
    assert recorder.known_stage_keys(["good", "beside"]) == set()
    assert [path.name for path in folder.iterdir()] == ["good.parquet"]
    moved = sorted(recorder.paths.quarantine.glob("*.parquet"))
    assert [
        path.name.endswith(name) for path, name in zip(moved, ("bad.parquet", "worse.parquet"), strict=True)
    ]
    assert moved[0].read_bytes() == spoilt
    note = moved[0].with_name(f"{moved[0].name}.txt").read_text()
    assert f"shard: {bad.path}\n" in note
    assert "reason: " in note
    assert "moved at: 20" in note
    # Written anew, it is recorded.
    again = write_shard(folder / "bad.parquet", [make.hop()])
    assert recorder.record([again, good]) == {"hops": 1, "stage_results": 1}


def test_a_shard_other_than_the_reported_one_is_moved_aside(recorder, make):
    path = recorder.paths.shards / "a.parquet"
    reported = write_shard(path, [make.hop()])
    write_shard(path, [make.hop(j=2)])
    with pytest.raises(ShardError, match="not the shard that was reported"):
        recorder.record([reported])
    assert not path.exists()
    assert len(list(recorder.paths.quarantine.glob("*.parquet"))) == 1


def test_a_shard_that_is_not_there_leaves_nothing(recorder, tmp_path):
    with pytest.raises(ShardError, match="cannot be read"):
        recorder.record([tmp_path / "absent.parquet"])
    assert not recorder.paths.quarantine.exists()


def test_damaged_ones_are_sifted_out(recorder, make):
    whole = write_shard(recorder.paths.shards / "a.parquet", [make.hop()]).path
    bad = write_shard(recorder.paths.shards / "b.parquet", [make.hop()]).path
    assert sift([whole], recorder.paths.quarantine)
    _flip(bad)
    assert not sift([whole, bad], recorder.paths.quarantine)
    assert (whole.exists(), bad.exists()) == (True, False)
    assert not sift([bad], recorder.paths.quarantine)
