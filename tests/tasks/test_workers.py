"""What a worker does with a batch: it writes shards under names that follow from the content."""

from __future__ import annotations

import pickle

import pytest

from storage.descriptor_shards import read_descriptor_shard
from storage.records import Candidate, DescriptorKey, Failure, Hop, StageResult
from storage.shards import read_rows
from tasks.candidates.cleaning import CleaningSettings
from tasks.candidates.files import FilesSource
from tasks.stage_keys import HopSettings, candidate_key
from tasks.workers import (
    FeaturizeWork,
    PrepareWork,
    featurize_batch,
    prepare_batch,
    shard_path,
    stem_of,
    write_candidates,
    write_rows,
)
from tests.campaigns import lonely, rock_salt, write_bad, write_good

SETTINGS = HopSettings()


def featurized(folder, candidates):
    stem = write_candidates(candidates, SETTINGS, str(folder))
    path = shard_path(folder, stem, Candidate.table)
    work = FeaturizeWork(str(path), stem, len(candidates), SETTINGS, None, str(folder))
    return featurize_batch(pickle.loads(pickle.dumps(work)))


def test_a_stem_does_not_depend_on_order_and_tells_batches_apart():
    assert stem_of("hops", ["a", "b"]) == stem_of("hops", ["b", "a"])
    assert len({stem_of("hops", ["a", "b"]), stem_of("hops", ["ab"]), stem_of("other", ["a", "b"])}) == 3


def test_featurized_batches_are_written_whole(tmp_path, candidate_of):
    some = [candidate_of(rock_salt("Li", "F", 4.03), "good"), candidate_of(lonely(), "lonely")]
    batch = featurized(tmp_path, some)
    assert batch.n_materials == 2
    assert {info.table for info in batch.shards} == {"hops", "failures", "stage_results"}
    keys, groups = read_descriptor_shard(shard_path(tmp_path, batch.stem, DescriptorKey.table))
    assert len(keys) == len(next(iter(groups.values())))
    results = read_rows(shard_path(tmp_path, batch.stem, StageResult.table), StageResult)
    assert {row.shard for row in results} == {batch.stem}
    (failure,) = read_rows(shard_path(tmp_path, batch.stem, Failure.table), Failure)
    assert failure.material_id == "lonely"


def test_the_same_batch_again_writes_the_same_files(tmp_path, candidate_of):
    some = [candidate_of(rock_salt("Li", "F", 4.03), "good")]
    featurized(tmp_path, some)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    featurized(tmp_path, some)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_without_a_hop_to_describe_there_is_no_shard_of_descriptors(tmp_path, candidate_of):
    batch = featurized(tmp_path, [candidate_of(lonely(), "lonely")])
    assert not shard_path(tmp_path, batch.stem, DescriptorKey.table).exists()
    assert not shard_path(tmp_path, batch.stem, Hop.table).exists()


def test_prepared_batches(tmp_path):
    folder, out = tmp_path / "in", tmp_path / "out"
    write_good(folder)
    expected = write_bad(folder)
    out.mkdir()
    source = FilesSource(str(folder), max_file_mb=0.2)
    cleaning = CleaningSettings()
    items = tuple((item, candidate_key(item, cleaning.digest())) for item in source.items())
    work = PrepareWork(source, items, cleaning, None, str(out))
    batch = prepare_batch(pickle.loads(pickle.dumps(work)))
    assert batch.n_materials == len(items)
    read = {info.table: info.path for info in batch.shards}
    failed = {row.material_id: row.reason.value for row in read_rows(read["failures"], Failure)}
    late = {"no_hops", "duplicate"}
    assert failed == {name: reason for name, reason in expected.items() if reason not in late}
    kept = {row.material_id for row in read_rows(read["candidates"], Candidate)}
    assert kept | set(failed) == {item.item_id for item, _ in items}
    assert not kept & set(failed)
    assert {row.stage_key for row in read_rows(read["stage_results"], StageResult)} == {k for _, k in items}


def test_singles_of_a_batch(tmp_path):
    write_good(tmp_path)
    source, cleaning = FilesSource(str(tmp_path)), CleaningSettings()
    items = tuple((item, item.item_id) for item in source.items())
    work = PrepareWork(source, items, cleaning, None, str(tmp_path))
    assert [single.items for single in work.singles()] == [(item,) for item in items]


@pytest.mark.parametrize("tables", [(), ([],), ([], [])])
def test_no_rows_make_no_shards(tmp_path, tables):
    assert write_rows(str(tmp_path), "x", *tables) == []
    assert list(tmp_path.iterdir()) == []
