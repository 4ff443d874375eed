"""Descriptor shards: arrays of hops on disk, so that arrays never travel between tasks."""

from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from storage.columns import arrow_schema, conform, rows_to_table, table_to_rows
from storage.errors import ShardError, StorageError
from storage.records import DescriptorKey
from storage.shards import ShardInfo, seal, unseal

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from storage.folders import Place, RemoteFile

_SHAPE_KEY = b"lihop.shape"


def write_descriptor_shard(
    path: Path | RemoteFile, keys: Sequence[DescriptorKey], groups: Mapping[str, NDArray[np.floating[Any]]]
) -> ShardInfo:
    """Write one row a hop and one float32 column a descriptor group.

    Parameters
    ----------
    path : Path or RemoteFile
        Where to write.
    keys : sequence of DescriptorKey
        The hops, in the order of the arrays' first axis.
    groups : mapping of str to ndarray
        Group name to an array of shape (number of hops, *shape); NaN stays NaN.

    Raises
    ------
    RefusedRowsError, StorageError
        When an array's length is not the number of keys, it is empty a hop, or a group bears a key's name.
    """
    data = rows_to_table(keys, DescriptorKey)
    for name, array in groups.items():
        if name in data.column_names:
            raise StorageError(f"descriptor group {name!r} bears the name of a column or another group")
        data = data.append_column(*_column(name, array, len(keys)))
    return seal(path, data, DescriptorKey.table)


def read_descriptor_shard(
    path: Place, digest: str | None = None
) -> tuple[list[DescriptorKey], dict[str, NDArray[np.float32]]]:
    """Read and verify a descriptor shard.

    Returns
    -------
    keys : list of DescriptorKey
        The hops.
    groups : dict of str to ndarray
        Group name to a float32 array of shape (number of hops, *shape), its own memory.

    Raises
    ------
    ShardError
        When the shard is missing, truncated, damaged or of another kind.
    """
    shard = unseal(path, digest)
    if shard.info.table != DescriptorKey.table:
        raise ShardError(f"{path}: holds {shard.info.table!r}, not {DescriptorKey.table!r}")
    names = arrow_schema(DescriptorKey).names
    try:
        keys = table_to_rows(conform(shard.data.select(names), DescriptorKey), DescriptorKey)
        groups = {
            field.name: _array(shard.data.column(field.name), field, shard.info.rows)
            for field in shard.data.schema
            if field.name not in names
        }
    except (KeyError, ValueError, TypeError, StorageError) as error:
        raise ShardError(f"{path}: is not a descriptor shard: {error}; recompute it") from error
    return keys, groups


def _column(name: str, array: NDArray[np.floating[Any]], n_rows: int) -> tuple[pa.Field, pa.Array]:
    """Return the field and the fixed-size-list array of one descriptor group."""
    shape = array.shape[1:]
    width = math.prod(shape)
    if array.ndim < 2 or array.shape[0] != n_rows or width == 0:  # noqa: PLR2004 - hops, axis
        raise StorageError(
            f"descriptor group {name!r} has shape {array.shape}, not ({n_rows}, ...) with at least one "
            "number a hop"
        )
    flat = np.ascontiguousarray(array, dtype=np.float32).reshape(-1)
    values = pa.FixedSizeListArray.from_arrays(pa.array(flat, type=pa.float32()), width)
    return pa.field(name, values.type, nullable=False, metadata={_SHAPE_KEY: json.dumps(shape)}), values


def _array(column: pa.ChunkedArray, field: pa.Field, n_rows: int) -> NDArray[np.float32]:
    """Return the array of one descriptor group."""
    shape = tuple(json.loads(field.metadata[_SHAPE_KEY]))
    chunks = [chunk.flatten().to_numpy(zero_copy_only=False) for chunk in column.chunks]
    flat = np.concatenate(chunks) if chunks else np.empty(0, dtype=np.float32)
    return np.array(flat, dtype=np.float32).reshape((n_rows, *shape))
