"""Arrays come back from a descriptor shard with their shapes, and NaN stays NaN."""

import numpy as np
import pytest

from storage.descriptor_shards import read_descriptor_shard, write_descriptor_shard
from storage.errors import ShardError, StorageError
from storage.records import DescriptorKey
from storage.shards import write_shard


def _keys(count):
    return [
        DescriptorKey(
            structure_hash="h",
            working_ion="Li",
            i=0,
            j=j,
            ox=0,
            oy=-1,
            oz=0,
            vacancy="" if j % 2 else f"{j}_0_-1_0",
            edge_id=f"m_0_{j}",
            stage_key="k",
        )
        for j in range(count)
    ]


def test_arrays_come_back(tmp_path):
    rng = np.random.default_rng(0)
    groups = {
        "local": rng.normal(size=(5, 12)),
        "profile": rng.normal(size=(5, 4, 21)).astype(np.float32),
        "topology": np.asfortranarray(rng.normal(size=(5, 3))),
    }
    groups["local"][2, 3] = np.nan
    info = write_descriptor_shard(tmp_path / "d.parquet", _keys(5), groups)
    keys, read = read_descriptor_shard(info.path, info.digest)
    assert keys == _keys(5)
    assert list(read) == list(groups)
    for name, array in groups.items():
        assert read[name].dtype == np.float32
        np.testing.assert_array_equal(read[name], array.astype(np.float32))
        read[name][0] = 0  # the caller may write into what was read


def test_no_hops_keep_their_shape(tmp_path):
    info = write_descriptor_shard(tmp_path / "d.parquet", [], {"profile": np.zeros((0, 4, 21))})
    keys, read = read_descriptor_shard(info.path)
    assert keys == []
    assert read["profile"].shape == (0, 4, 21)


@pytest.mark.parametrize("shape", [(4, 3), (5,), (5, 0)])
def test_a_wrong_shape_is_refused(tmp_path, shape):
    with pytest.raises(StorageError, match="has shape"):
        write_descriptor_shard(tmp_path / "d.parquet", _keys(5), {"local": np.zeros(shape)})


def test_a_group_may_not_bear_a_key_name(tmp_path):
    with pytest.raises(StorageError, match="bears the name"):
        write_descriptor_shard(tmp_path / "d.parquet", _keys(1), {"ox": np.zeros((1, 2))})


def test_a_shard_of_rows_is_not_descriptors(tmp_path, make):
    info = write_shard(tmp_path / "s.parquet", [make.stage_result()])
    with pytest.raises(ShardError, match="not 'descriptors'"):
        read_descriptor_shard(info.path)


def test_damage_is_noticed(tmp_path):
    info = write_descriptor_shard(tmp_path / "d.parquet", _keys(2), {"local": np.ones((2, 2))})
    content = bytearray(info.path.read_bytes())
    content[len(content) // 2] ^= 4
    info.path.write_bytes(content)
    with pytest.raises(ShardError, match="damaged"):
        read_descriptor_shard(info.path)
